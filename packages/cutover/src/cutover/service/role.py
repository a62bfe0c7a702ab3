"""Bind a named role to a holder, accept it, and end it.

A party binds its own roles and, like the other party, the joint ones; the holder accepts with the key
that the binding certified. Whether a role is resolved is for `cutover.core.role` to judge: a second
binding is possible on purpose, because a handover overlaps.
Source: cutover-program, "Parties, roles, keys".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cutover.core.entry import Entry, RoleAcknowledged, RoleBound, RoleReleased
from cutover.core.key import KeyKind, Party, PublicKey
from cutover.core.program import Role
from cutover.errors import Refused
from cutover.service.station import Station


def bind(
    station: Station,
    *,
    party: Party,
    role: str,
    key: PublicKey,
    contact: str,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> Entry:
    """Bind a holder to a role and certify the holder's key.

    Args:
        station: With the party's key.
        party: Who binds.
        role: A role of the program.
        key: The holder's public key; its name becomes the holder's.
        contact: How the holder is reached.
        not_before: From when; by default now, or the program's not_before if that is earlier.
        not_after: Until when; by default the end of the window.

    Raises:
        Refused: When the role is unknown or the other party's, the key is no holder key of this party,
            or the times do not make sense.
    """
    _require_role(station, role, party)
    if key.kind is not KeyKind.HOLDER or key.party is not party:
        raise Refused(
            f"{key.name}'s key is a {key.kind} key of {key.party}, expected a holder key of the {party}"
        )
    window = station.program.window
    start = not_before or min(station.clock.now(), window.not_before)
    end = not_after or window.closes_at
    if end <= start:
        raise Refused(f"the binding ends {end.isoformat()}, before it begins; choose a later --until")
    body = RoleBound(
        role=role, party=party, holder=key.name, contact=contact, key=key, not_before=start, not_after=end
    )
    return station.log.append(body, station.signer)


def acknowledge(station: Station, *, role: str) -> Entry:
    """Accept a role with the holder's own key.

    Raises:
        Refused: When the key is not bound to the role now, or has accepted it already.
    """
    _require_role(station, role, None)
    keyid = station.signer.public_key.keyid
    bound, accepted = False, False
    for entry in station.log.read().entries:
        match entry.body:
            case RoleBound(role=name, key=key) if name == role and key.keyid == keyid:
                bound, accepted = True, False
            case RoleReleased(role=name, keyid=released) if name == role and released == keyid:
                bound = False
            case RoleAcknowledged(role=name) if name == role and entry.signer.keyid == keyid:
                accepted = True
            case _:
                continue
    if not bound:
        raise Refused(f"this key is not bound to {role}; expected the party to run 'cutover bind' first")
    if accepted:
        raise Refused(f"{role} is acknowledged with this key already; nothing is left to do")
    return station.log.append(RoleAcknowledged(role=role), station.signer)


def release(station: Station, *, party: Party, role: str, holder: str) -> Entry:
    """End the binding of a holder to a role; the role is unresolved until somebody else is bound.

    Args:
        holder: The holder's name, as bound, or the key id's beginning.

    Raises:
        Refused: When no such binding stands.
    """
    _require_role(station, role, party)
    keyid = _find_bound(station.log.read().entries, role, holder)
    if keyid is None:
        raise Refused(f"{holder} is not bound to {role}; see 'cutover status' for who is")
    return station.log.append(RoleReleased(role=role, party=party, keyid=keyid), station.signer)


def _find_bound(entries: Sequence[Entry], role: str, holder: str) -> str | None:
    bound: dict[str, str] = {}
    for entry in entries:
        match entry.body:
            case RoleBound(role=name, holder=who, key=key) if name == role:
                bound[key.keyid] = who
            case RoleReleased(role=name, keyid=keyid) if name == role:
                bound.pop(keyid, None)
            case _:
                continue
    found = [k for k, who in bound.items() if who == holder or (len(holder) >= 8 and k.startswith(holder))]
    return found[-1] if found else None


def _require_role(station: Station, role: str, party: Party | None) -> Role:
    known = station.program.roles.get(role)
    if known is None:
        raise Refused(
            f"{role} is no role of this program; expected one of {', '.join(station.program.roles)}"
        )
    if party is not None and known.party not in (None, party):
        raise Refused(f"{role} belongs to the {known.party}, so the {party} cannot bind or release it")
    return known
