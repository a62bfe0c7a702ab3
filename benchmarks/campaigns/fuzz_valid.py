"""Requests of the campaign `fuzz` as they should be, before anything is spoilt; ids in paths may be wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from benchmarks.campaigns.fuzz_odd import ODD_TEXTS


@dataclass(frozen=True, slots=True)
class Known:
    """What a server has given out: ids and cursors that lead somewhere."""

    packages: tuple[str, ...]
    versions: tuple[str, ...]
    memories: tuple[str, ...]
    cursors: tuple[str, ...]
    snapshots: tuple[str, ...]


def reword(dice: random.Random, text: str) -> str:
    """A text with something wrong with it."""
    at = dice.randrange(len(text) + 1)
    odd = chr(dice.randrange(32, 0x2FF)), dice.choice(ODD_TEXTS)[:300]
    return dice.choice(
        (
            text[:at],
            text[at:],
            text * 2,
            text.swapcase(),
            *(f"{text[:at]}{each}{text[at + 1 :]}" for each in odd),
        )
    )


def _twist(dice: random.Random, known: tuple[str, ...]) -> str:
    """One of the ids or cursors for a path, often with something wrong with it."""
    chosen = dice.choice(known)
    return quote(reword(dice, chosen) if dice.random() < 0.5 else chosen, safe="", errors="replace")


def _deal_get(suffix: str) -> Callable[[random.Random, Known], str]:
    return lambda dice, known: f"/v1/context/{_twist(dice, known.packages)}{suffix}"


GETS: Final[tuple[Callable[[random.Random, Known], str], ...]] = (
    lambda _, __: "/v1/health",
    lambda _, __: "/v1/ready",
    lambda _, __: "/v1/openapi",
    lambda _, __: "/metrics",
    *(_deal_get(suffix) for suffix in ("", "/replay", "/proof", "/counterfactual", "/exclusions")),
    lambda d, k: f"{_deal_get('/exclusions')(d, k)}?cursor={_twist(d, k.cursors)}",
    lambda d, k: f"/v1/memory/record/{_twist(d, k.versions)}",
    lambda d, k: f"/v1/memory/lineage/{_twist(d, k.memories)}",
)


def _common(dice: random.Random, known: Known) -> dict[str, Any]:
    return {
        "memory_id": dice.choice((None, None, dice.choice(known.memories))),
        "version": dice.choice((1, 1, 2)), "writer": "w", "justification": "j", "source_uri": "u",
        "source_hash": None,
        "evidence": ["e"], "confidence": dice.choice((None, 0.5)), "truth_status": "asserted",
        "authority": "note",
        "created_at": None, "effective_at": "2026-02-08T13:19:53Z", "expires_at": None,
        "supersedes": dice.choice(([], [], [dice.choice(known.versions)])), "contradicts": [],
    }  # fmt: skip


def _deal_rule(dice: random.Random, known: Known) -> dict[str, Any]:
    name = f"{dice.getrandbits(40):x}"
    match = {f"{each}_match": dice.choice(("exact", "prefix")) for each in ("actor", "resource")}
    scope = {"actor": name, "action": "use", "resource": f"r/{name}", **match}
    return {**_common(dice, known), **scope, "effect": dice.choice(("allow", "deny")), "note": None}


def _deal_ask(dice: random.Random, known: Known) -> dict[str, Any]:
    basis = {"as_of": dice.choice((None, "2026-02-08T13:19:53Z")), "as_known_at": _deal_known_at(dice, known)}
    return {"text": "may I?", "actor": "ann", "action": "use", "resource": "usb", **basis}


def _deal_known_at(dice: random.Random, known: Known) -> str | None:
    return dice.choice((None, None, "2099-01-01T00:00:00Z", dice.choice(known.snapshots)))


def _deal_recall(dice: random.Random, known: Known) -> dict[str, Any]:
    types = dice.choice(([], ["decision"], ["constraint", "event"]))
    cursor = dice.choice((None, None, dice.choice(known.cursors)))
    known_at = _deal_known_at(dice, known)
    return {
        "text": "usb drive",
        "record_types": types,
        "as_of": None,
        "as_known_at": known_at,
        "cursor": cursor,
    }


def _deal_link(dice: random.Random, known: Known) -> dict[str, Any]:
    ends = {"from": dice.choice(known.versions), "to": dice.choice(known.versions)}
    relation = dice.choice(("supersedes", "contradicts"))
    return {**ends, "relation": relation, "writer": "w", "justification": "j"}


def _deal_compare(dice: random.Random, known: Known) -> dict[str, Any]:
    bases = {key: {"ruleset": f"ordering.v{dice.randint(1, 3)}"} for key in ("from", "to")}
    return {**bases, "cursor": dice.choice((None, "ans_3")), "limit": dice.choice((None, 1, 20))}


def _deal_radius(dice: random.Random, known: Known) -> dict[str, Any]:
    return {"memory_version_id": dice.choice(known.versions), "cursor": None, "limit": 5}


POSTS: Final[tuple[Callable[[random.Random, Known], tuple[str, dict[str, Any]]], ...]] = (
    lambda d, k: ("/v1/memory/add/constraint", _deal_rule(d, k)),
    lambda d, k: ("/v1/memory/check/constraint", _deal_rule(d, k)),
    lambda d, k: (
        "/v1/memory/add/summary",
        {**_common(d, k), "record_type": "decision", "summary": f"{d.random()}"},
    ),
    lambda d, k: (
        "/v1/memory/add/membership",
        {**_common(d, k), "field": "actor", "group": "g", "member": f"{d.random()}"},
    ),
    lambda d, k: ("/v1/memory/link", _deal_link(d, k)),
    lambda d, k: ("/v1/query/ask", _deal_ask(d, k)),
    lambda d, k: ("/v1/query/recall", _deal_recall(d, k)),
    lambda d, k: ("/v1/explain/blast-radius", _deal_radius(d, k)),
    lambda d, k: ("/v1/explain/compare", _deal_compare(d, k)),
    lambda d, k: ("/v1/db/migrate", {"dry_run": True}),
    lambda d, k: ("/v1/db/schema-version", {}),
)
