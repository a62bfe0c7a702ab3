"""MemoryKernel: a typed, append-only memory that answers policy questions deterministically.

The service speaks HTTP (`mk serve`), the same use cases are commands (`mk`), and a Python program can open a
kernel on a file.
"""

from memorykernel.core.release import Release, default_release
from memorykernel.errors import MemoryKernelError
from memorykernel.wiring import Kernel, choose_release, open_kernel

__all__ = ["Kernel", "MemoryKernelError", "Release", "choose_release", "default_release", "open_kernel"]
