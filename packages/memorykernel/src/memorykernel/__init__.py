"""MemoryKernel: a typed, append-only memory that answers policy questions deterministically.

The service speaks HTTP (`mk serve`), the same use cases are commands (`mk`), and a Python program can open a
`Kernel` on a database, or talk to a server with `memorykernel.client.Client`: both have the same methods.
"""

from memorykernel.core.context_package import ContextPackage
from memorykernel.core.release import Release, default_release
from memorykernel.errors import MemoryKernelError
from memorykernel.library import Kernel
from memorykernel.wiring import choose_release, open_kernel

__all__ = [
    "ContextPackage",
    "Kernel",
    "MemoryKernelError",
    "Release",
    "choose_release",
    "default_release",
    "open_kernel",
]
