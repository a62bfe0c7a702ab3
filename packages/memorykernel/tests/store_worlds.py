"""Random worlds in two stores: the same writes must give the same heads, the same questions the same bytes.

`compare_stores` is what a campaign runs for as long as it is asked to. Names are few, so that rules meet;
texts hold what stores like to get wrong: case, accents, characters outside the first plane, U+0000, long
words. Names hold no U+0000: service.v4 refuses it.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from memorykernel.core.instant import format_instant
from memorykernel.core.release import Release, default_release
from memorykernel.core.request import (
    AddConstraintV4,
    AddLink,
    AddMembership,
    AddSummaryV4,
    Ask,
    AskV4,
    Recall,
    RecallV4,
    read_request,
)
from memorykernel.errors import MemoryKernelError
from memorykernel.wiring import Kernel, open_kernel

Location = Path | str

START_US = 1_770_000_000_000_000
DAY_US = 86_400_000_000
QUESTIONS_PER_WORLD = 20
WORLDS_PER_STORE = 25

NAMES = ("ada", "Ada", "bob", "ad\u00e9", "team/a", "team/a/ada", "team/b", "\U0001f5dd", "nul", "*")
GROUPS = ("staff", "Staff", "team/")
PREFIXES = ("team/", "team/a/", "nul:")
WORDS = (
    "drive",
    "Drive",
    "Stra\u00dfe",
    "STRASSE",
    "\u65e5\u672c",
    "7",
    "caf\u00e9",
    "nul\0x",
    "w" * 3000,
    "usb_drive",
)
TRUTHS = ("asserted", "observed", "inferred", "speculative", "retracted")
AUTHORITIES = ("authoritative", "derived", "note")
RELEASES: Mapping[str, Release] = {
    "v1": Release(
        service_contract="service.v2",
        ruleset="ordering.v1",
        recall_ruleset="recall-ordering.v1",
        schema_version=4,
    ),
    "v2": default_release("service.v3"),
    "v3": default_release("service.v4"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was compared, and the first cases that differ: seed and number of the case, and how.

    `digest` is the SHA-256 of all that the first store gave, for comparing two processes.
    """

    cases: int
    writes: int
    digest: str
    differing: tuple[str, ...]


@dataclass
class _Clock:
    us: int = START_US

    def now_us(self) -> int:
        return self.us


@dataclass
class _Ids:
    minted: int = 0

    def mint_ulid(self, now_us: int) -> str:
        self.minted += 1
        return f"01J{self.minted:023d}"


class _Side:
    """One store, asked by the rules of every release."""

    def __init__(self, location: Location) -> None:
        self.clock = _Clock()
        ids = _Ids()
        self.kernels: dict[str, Kernel] = {
            name: open_kernel(location, release, clock=self.clock, ids=ids)
            for name, release in RELEASES.items()
        }
        self.kernels["v3"].schema_care.migrate(dry_run=False)

    def do(self, step: dict[str, Any], now_us: int) -> bytes:
        """Carry a step out; what it gave, or how it was refused."""
        self.clock.us = now_us
        try:
            return self._do(step["do"], step.get("by", "v3"), step["body"])
        except MemoryKernelError as error:
            return f"{error.code}: {error.message}".encode()

    def head(self) -> str:
        """The memory's head."""
        return self.kernels["v3"].check_integrity().memory_head

    def close(self) -> None:
        """Close every connection."""
        for kernel in self.kernels.values():
            kernel.file.close()

    def _do(self, what: str, by: str, body: dict[str, Any]) -> bytes:
        kernel = self.kernels[by]
        if what == "ask":
            kind: type[Ask] = AskV4 if by == "v3" else Ask
            return self._kept(kernel, kernel.asking.ask(read_request(body, kind, strict=True)))
        if what == "recall":
            kinds: dict[str, Any] = {"v3": RecallV4}
            asked = read_request(body, kinds.get(by, Recall), strict=True)
            return self._kept(kernel, kernel.asking.recall(asked))
        if what == "link":
            link = kernel.remembering.add_link(read_request(body, AddLink, strict=True))
            return msgspec.json.encode(link)
        written: dict[str, Any] = {"rule": AddConstraintV4, "member": AddMembership, "say": AddSummaryV4}
        record = kernel.remembering.add_record(read_request(body, written[what], strict=True))
        return msgspec.json.encode(record)

    def _kept(self, kernel: Kernel, package: bytes) -> bytes:
        found = kernel.asking.find(package.split(b'"')[3].decode())
        return package if found == package else b"kept: " + found


class _Author:
    """Makes the steps of one world."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._written = 0

    def write(self, ids: list[str]) -> dict[str, Any]:
        """A write that may name versions that are there."""
        what = self._chance.choices(("rule", "member", "say", "link"), (6, 2, 3, 2))[0]
        if what == "link" and len(ids) > 1:
            old, new = self._chance.sample(ids, 2)
            relation = self._chance.choice(("supersedes", "supersedes", "contradicts"))
            body = {"from": new, "to": old, "relation": relation, "writer": "w", "justification": "j"}
            return {"do": "link", "body": body}
        if what == "member":
            field = self._chance.choice(("actor", "resource"))
            content = {"field": field, "group": self._pick(GROUPS), "member": self._pick(NAMES)}
            return {"do": "member", "body": {**self._common(ids), **content}}
        if what == "say":
            summary = " ".join(self._chance.choices(WORDS, k=self._chance.randint(1, 5)))
            content = {"record_type": self._pick(("decision", "event")), "summary": summary}
            return {"do": "say", "body": {**self._common(ids), **content}}
        scope = {**self._pattern("actor"), **self._pattern("action"), **self._pattern("resource")}
        content = {**scope, "effect": self._pick(("allow", "deny")), "note": self._pick((None, "n\0te"))}
        return {"do": "rule", "body": {**self._common(ids), **content}}

    def ask(self, heads: list[str], newest_us: int) -> dict[str, Any]:
        """A question by the rules of one release."""
        by = self._pick(("v1", "v2", "v3", "v3"))
        as_of = format_instant(START_US + self._chance.randint(-2, 6) * DAY_US)
        known = {"as_known_at": self._known(heads, newest_us)} if by == "v3" else {}
        if self._chance.random() < 0.3:
            text = " ".join(self._chance.choices(WORDS, k=3))
            types = self._chance.choice(([], ["event"], ["constraint", "decision"]))
            body = {"text": text, "record_types": types, "as_of": as_of, **known}
            return {"do": "recall", "by": by, "body": body}
        scope = {field: self._pick(NAMES) for field in ("actor", "action", "resource")}
        return {"do": "ask", "by": by, "body": {"text": "may I?", **scope, "as_of": as_of, **known}}

    def _known(self, heads: list[str], newest_us: int) -> str | None:
        time = format_instant(self._chance.randint(START_US - 1, newest_us + 1))
        return self._chance.choice((None, time, f"txn_{self._chance.choice(heads)}"))

    def _pattern(self, field: str) -> dict[str, Any]:
        match = self._chance.choices(("exact", "prefix", "group"), (6, 1, 1))[0]
        values = {"exact": NAMES, "prefix": PREFIXES, "group": GROUPS}[match]
        return {field: self._pick(values), f"{field}_match": match}

    def _common(self, ids: list[str]) -> dict[str, Any]:
        self._written += 1
        effective = self._chance.randint(-2, 4)
        expires = effective + self._chance.randint(1, 4) if self._chance.random() < 0.3 else None
        return {
            "version": 1,
            "writer": f"writer {self._written}",
            "justification": "j",
            "source_uri": "u",
            "evidence": [self._pick(WORDS)],
            "truth_status": self._pick(TRUTHS),
            "authority": self._pick(AUTHORITIES),
            "confidence": self._pick((0, 0.0, 0.25, 1 / 3, 1)),
            "effective_at": format_instant(START_US + effective * DAY_US),
            "expires_at": None if expires is None else format_instant(START_US + expires * DAY_US),
            "supersedes": self._chance.sample(ids, min(len(ids), self._pick((0, 0, 0, 1, 2)))),
            "contradicts": [],
        }

    def _pick(self, choices: Any) -> Any:
        return self._chance.choice(choices)


def compare_stores(
    make_pair: Callable[[], tuple[Location, Location]], *, cases: int, seed: int
) -> Comparison:
    """Write random worlds to pairs of stores and ask both the same questions.

    Args:
        make_pair: Two new, empty places for databases.
        cases: How many questions.
        seed: The same seed gives the same worlds and questions.
    """
    asked = writes = world = 0
    differing: list[str] = []
    given = hashlib.sha256()
    sides: tuple[_Side, _Side] | None = None
    ids: list[str] = []
    heads: list[str] = []
    while asked < cases:
        if world % WORLDS_PER_STORE == 0:
            _close(sides)
            first, second = make_pair()
            sides, ids, heads = (_Side(first), _Side(second)), [], []
        assert sides is not None
        chance = random.Random(f"{seed}/{world}")
        author = _Author(chance)
        now_us = sides[0].clock.us
        for _ in range(chance.randint(2, 12)):
            now_us += chance.randint(-5, 1000)
            replies = _do_both(sides, author.write(ids), now_us, f"{seed}/{world}: write {writes}", differing)
            writes += 1
            given.update(replies)
            if replies.startswith(b'{"memory_version_id"'):
                ids.append(msgspec.json.decode(replies)["memory_version_id"])
        tips = {side.head() for side in sides}
        differing += [] if len(tips) == 1 else [f"{seed}/{world}: heads {sorted(tips)}"]
        heads.append(tips.pop())
        for _ in range(min(QUESTIONS_PER_WORLD, cases - asked)):
            case = f"{seed}/{world}: case {asked}"
            given.update(_do_both(sides, author.ask(heads, now_us), now_us, case, differing))
            asked += 1
        world += 1
    _close(sides)
    return Comparison(cases=asked, writes=writes, digest=given.hexdigest(), differing=tuple(differing[:20]))


def _do_both(
    sides: tuple[_Side, _Side], step: dict[str, Any], now_us: int, name: str, differing: list[str]
) -> bytes:
    first, second = (side.do(step, now_us) for side in sides)
    if first != second:
        differing.append(f"{name}: {step}\n  {first!r}\n  {second!r}")
    return first


def _close(sides: tuple[_Side, _Side] | None) -> None:
    for side in sides or ():
        side.close()
