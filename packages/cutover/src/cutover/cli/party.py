"""Commands of the two parties: keys, opening, roles, hand-off, repin, packets and approvals."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cutover.cli.option import (
    HERE,
    OWN_KEYS,
    AsParty,
    Folder,
    Json,
    Keys,
    KindName,
    PartyName,
    WhichScope,
)
from cutover.cli.output import show_json, show_line, show_table
from cutover.cli.step import open_station, open_workspace, show_entry

_FORMATS = ["%Y-%m-%dT%H:%M:%S%z"]
From = Annotated[
    datetime | None,
    typer.Option("--from", formats=_FORMATS, help="Start of the binding, e.g. 2026-02-08T13:00:00+0000."),
]
Until = Annotated[
    datetime | None,
    typer.Option("--until", formats=_FORMATS, help="End of the binding, e.g. 2026-02-08T15:00:00+0000."),
]
WaivedUntil = Annotated[
    datetime | None,
    typer.Option("--until", formats=_FORMATS, help="End of the waiver, e.g. 2026-02-08T15:00:00+0000."),
]

Role = Annotated[str, typer.Option("--role", help="A role of cutover.toml.")]


def keys(
    who: Annotated[KindName, typer.Argument(help="For whom the key is.")],
    name: Annotated[str, typer.Option("--name", help="Who holds it, for people.")],
    party: Annotated[PartyName | None, typer.Option("--party", help="A holder's party.")] = None,
    keys: Keys = OWN_KEYS,
    json: Json = False,
) -> None:
    """Generate an Ed25519 key pair in your key folder."""
    from cutover.adapters.key_folder import KeyFolder
    from cutover.core.key import KeyKind, Party

    named = who.value if who.value in set(Party) else party
    kind = KeyKind.PARTY if who.value in set(Party) else KeyKind(who)
    own = Party(named) if named and kind is not KeyKind.EXECUTOR else None
    public = KeyFolder(keys).generate(kind, party=own, name=name)
    if json:
        show_json(public)
    else:
        show_line(f"{public.kind} key {public.keyid[:16]} for {public.name} in {keys}")


def open_program(
    as_: AsParty,
    with_: Annotated[
        list[Path] | None,
        typer.Option("--with", help="Public key file of the other party, of the executor."),
    ] = None,
    folder: Folder = HERE,
    keys: Keys = OWN_KEYS,
    json: Json = False,
) -> None:
    """Sign entry 0: the first party proposes, the other one countersigns and opens the program."""
    from cutover.wiring.identity import load_identity, open_as_party

    opening = open_as_party(open_workspace(folder), load_identity(keys, as_), tuple(with_ or ()))
    if json:
        show_json(opening)
        return
    show_table(
        ("key", "kind", "party", "name"),
        ((k.keyid[:16], k.kind, k.party or "-", k.name) for k in opening.keys),
    )
    if opening.entry is None:
        show_line("proposed; the other party runs 'cutover open' after comparing these keys")
    else:
        show_entry(opening.entry, as_json=False)


def bind(
    role: Role,
    as_: AsParty,
    key: Annotated[Path, typer.Option("--key", help="The holder's public key file.")],
    contact: Annotated[str, typer.Option("--contact", help="How the holder is reached.")],
    from_: From = None,
    until: Until = None,
    folder: Folder = HERE,
    keys: Keys = OWN_KEYS,
    json: Json = False,
) -> None:
    """Bind a holder to a role and certify the holder's key."""
    from cutover.core.key import Party
    from cutover.service import role as roles
    from cutover.wiring.identity import load_public

    entry = roles.bind(
        open_station(folder, keys, as_), party=Party(as_), role=role, key=load_public(key), contact=contact,
        not_before=from_, not_after=until,
    )  # fmt: skip
    show_entry(entry, as_json=json)


def acknowledge(
    role: Role,
    as_: Annotated[str, typer.Option("--as", help="Your name, as your key was generated.")],
    folder: Folder = HERE,
    keys: Keys = OWN_KEYS,
    json: Json = False,
) -> None:
    """Accept a role, with the holder's own key."""
    from cutover.service import role as roles

    show_entry(roles.acknowledge(open_station(folder, keys, as_), role=role), as_json=json)


def unbind(
    role: Role,
    as_: AsParty,
    holder: Annotated[str, typer.Option("--holder", help="The holder's name, or how the key id begins.")],
    folder: Folder = HERE,
    keys: Keys = OWN_KEYS,
    json: Json = False,
) -> None:
    """End a binding; the role is unresolved until somebody else is bound."""
    from cutover.core.key import Party
    from cutover.service import role as roles

    entry = roles.release(open_station(folder, keys, as_), party=Party(as_), role=role, holder=holder)
    show_entry(entry, as_json=json)


def handoff(folder: Folder = HERE, keys: Keys = OWN_KEYS, json: Json = False) -> None:
    """Hand the release over (producer)."""
    from cutover.service.handoff import hand_off

    show_entry(hand_off(open_station(folder, keys, PartyName.PRODUCER)), as_json=json)


def prepare(folder: Folder = HERE, keys: Keys = OWN_KEYS, json: Json = False) -> None:
    """Write the repin and its inverse on side refs; nothing goes live (consumer)."""
    from cutover.service import prepare as repin

    show_entry(repin.prepare(open_station(folder, keys, PartyName.CONSUMER)), as_json=json)


def checkpoint(as_: AsParty, folder: Folder = HERE, keys: Keys = OWN_KEYS, json: Json = False) -> None:
    """Sign your checkpoint packet: this target, this log."""
    from cutover.service import checkpoint as packet

    show_entry(packet.checkpoint(open_station(folder, keys, as_)), as_json=json)


def approve(
    as_: AsParty, scope: WhichScope, folder: Folder = HERE, keys: Keys = OWN_KEYS, json: Json = False
) -> None:
    """Recompute the newest decision and put your key on it."""
    from cutover.core.entry import Scope
    from cutover.core.key import Party
    from cutover.service import approve as approval

    entry = approval.approve(open_station(folder, keys, as_), Party(as_), Scope(scope))
    show_entry(entry, as_json=json)


def waive(
    gate: Annotated[str, typer.Option("--gate", help="The gate that warned.")],
    as_: AsParty,
    reason_code: Annotated[str, typer.Option("--reason-code", help="The clause that warned.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it is acceptable.")],
    until: WaivedUntil = None,
    folder: Folder = HERE,
    keys: Keys = OWN_KEYS,
    json: Json = False,
) -> None:
    """Accept one warning of one gate, until a time; counts when both parties did."""
    from cutover.service import approve as approval

    station = open_station(folder, keys, as_)
    expires_at = until or station.program.window.closes_at
    entry = approval.waive(station, gate=gate, reason_code=reason_code, reason=reason, expires_at=expires_at)
    show_entry(entry, as_json=json)
