"""`mk import`: a file of data, or of policies.

`mk import FILE` is the short form of `mk import data FILE`.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from memorykernel.cli import moving, policies

_DEFAULT = "data"


class _ImportGroup(TyperGroup):
    """A group with a command that need not be named."""

    default_command = _DEFAULT

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_DEFAULT, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(
    cls=_ImportGroup,
    help="Take over an export (mk import FILE), or a file of policies.",
    no_args_is_help=True,
)
app.command(_DEFAULT)(moving.import_data)
app.command("policies")(policies.import_policies_file)
