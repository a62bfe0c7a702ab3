"""`mk`: the command line of MemoryKernel. JSON on stdout, everything else on stderr."""

from memorykernel.cli.main import app, main

__all__ = ["app", "main"]
