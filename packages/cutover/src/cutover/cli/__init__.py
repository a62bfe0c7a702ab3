"""The `cutover` command: arguments in, exit code out."""

from cutover.cli.main import main

__all__ = ["main"]
