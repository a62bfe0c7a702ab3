"""`mk tokens`: who may use a server that asks for tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from memorykernel.cli.output import narrate, print_record
from memorykernel.core.access import DEFAULT_TENANT, TokenScope
from memorykernel.errors import InvalidRequest
from memorykernel.wiring import add_token, list_tokens, revoke_token

app = typer.Typer(help="Who may use a server that asks for tokens.", no_args_is_help=True)

AccessPath = Annotated[Path, typer.Option("--access", help="The access file.")]


class _Added(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    tenant: str
    scopes: tuple[TokenScope, ...]
    token: str


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    tenant: str
    scopes: tuple[TokenScope, ...]
    created_at: str


class _List(msgspec.Struct, frozen=True, kw_only=True):
    tokens: tuple[_Shown, ...]


class _Revoked(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    tenant: str


@app.command()
def add(
    access: AccessPath,
    scope: Annotated[str, typer.Option(help="One or more of read, write, admin, with commas.")],
    tenant: Annotated[str, typer.Option(help="Whose database it opens.")] = DEFAULT_TENANT,
) -> None:
    """Add a token and print it, this once; the file keeps its digest only. Creates a missing file."""
    entry, token = add_token(access, tenant=tenant, scopes=_read_scopes(scope))
    print_record(_Added(id=entry.id, tenant=entry.tenant, scopes=entry.scopes, token=token))
    narrate("keep the token now: it cannot be shown again")


@app.command("list")
def list_(access: AccessPath) -> None:
    """List the tokens, without their secrets."""
    shown = (
        _Shown(id=each.id, tenant=each.tenant, scopes=each.scopes, created_at=each.created_at)
        for each in list_tokens(access)
    )
    print_record(_List(tokens=tuple(shown)))


@app.command()
def revoke(
    access: AccessPath, token_id: Annotated[str, typer.Argument(help="The id, as 'mk tokens list' shows it.")]
) -> None:
    """Take a token away; running servers refuse it within about a second."""
    entry = revoke_token(access, token_id)
    print_record(_Revoked(id=entry.id, tenant=entry.tenant))


def _read_scopes(text: str) -> tuple[TokenScope, ...]:
    names = [each.strip() for each in text.split(",")]
    if unknown := sorted(set(names) - set(TokenScope)):
        raise InvalidRequest(
            f"scope '{unknown[0][:32]}' is unknown; expected read, write or admin, with commas between"
        )
    return tuple(scope for scope in TokenScope if scope in names)
