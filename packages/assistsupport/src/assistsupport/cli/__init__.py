"""The command line: arguments in, exit code out."""

from assistsupport.cli.main import main

__all__ = ["main"]
