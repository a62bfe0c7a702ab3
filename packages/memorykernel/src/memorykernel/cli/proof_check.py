"""Checks the proof of a policy answer without the database: `python proof_check.py FILE`.

It stands alone: the standard library is all it imports, so that it can be read, copied and run anywhere. Exit
code 0 says that the proof holds, 1 that it does not, 3 that it could not be read.

A proof that holds shows that every input is a row of the history which the snapshot id stands for, with the
time at which it was recorded, and that the answer's bytes, all of them, follow from these inputs by its
ruleset. It cannot show that no other row matches, nor that the snapshot was the newest: for that, the
database. The rules are written here once more, plainly: an error must be made twice to go unseen.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn

RECORD = re.findall(
    "[a-z_]+",
    """memory_version_id memory_id version record_type created_at_us effective_at_us truth_status authority
    confidence writer justification source_uri source_hash evidence actor action resource effect note summary
    expires_at_us matching field group_name member""",
)
ENTRY = ["entry_seq", "kind", "subject", "digest", "recorded_at_us", "previous", "jump"]
LINK = ("from_version_id", "to_version_id", "relation", "writer", "justification")
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # all times here are UTC
TIME = r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|[+-]00:00)"
GENESIS = hashlib.sha256(b"memorykernel.chain.memory.v1").hexdigest()
FIELDS = ("actor", "action", "resource")
AUTHORITY = {"authoritative": 3, "derived": 2, "note": 1}
TRUTH = {"observed": 5, "asserted": 4, "inferred": 3, "speculative": 2, "retracted": 1}
LEVEL = {"exact": 3, "prefix": 2, "group": 1}
SHOWN = (
    "memory_version_id",
    "memory_id",
    "record_type",
    "version",
    "truth_status",
    "confidence",
    "authority",
)
DIGESTED = (*SHOWN[:5], "authority", "confidence", "created_at_us", "effective_at_us", "expires_at_us")
REASONS = ("not in effect", "expired", "retracted", "superseded", "membership does not count")
DECIDE = "decide: top specificity, authority, truth status and confidence; both effects are inconclusive"
RANKS = ("authority_rank", "truth_status_rank", "confidence", "effective_at", "created_at")
TIES = [
    "scope_specificity desc",
    *(f"{rank} desc" for rank in RANKS),
    "memory_id asc",
    "memory_version_id asc",
]
Row = dict[str, Any]
Claim = tuple[str, str, str, str, int]


class Refused(Exception):
    """The proof does not hold, and why."""


def check_proof(data: bytes) -> Row:
    """Check a proof document.

    Returns:
        What it shows: the answer's id, result, ruleset, snapshot and number of inputs.

    Raises:
        Refused: It does not hold.
    """
    try:
        proof = json.loads(data.decode(), object_pairs_hook=_object, parse_constant=_refuse_number)
        keys = ["proof_version", "ruleset", "snapshot", "question", "package", "inputs", "chain"]
        _require(list(proof) == keys and proof["proof_version"] == "memorykernel.proof.v1", "it is no proof")
        head, newest = proof["snapshot"].values()
        entries = check_chain(head, newest, proof["chain"])
        check_known(proof["question"].get("as_known_at"), head, entries.get(newest))
        records, claims = check_inputs(proof["inputs"], entries)
        package = Answering(proof["ruleset"], proof["question"], records, claims).build(head)
        _require(
            encode(package) == proof["package"], "the answer does not follow from the inputs by its ruleset"
        )
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
        OverflowError,
    ) as exc:
        raise Refused(f"it cannot be read: {type(exc).__name__}: {exc}") from exc
    shown = {"context_package_id": package["context_package_id"], "result": package["answer"]["result"]}
    return shown | {"ruleset": proof["ruleset"], "snapshot_id": f"txn_{head}", "inputs": len(proof["inputs"])}


def check_chain(head: str, newest: int, chain: Sequence[Row]) -> dict[int, Row]:
    """The entries by number, each proved to lie before `head`: an entry nearer to it binds its hash."""
    _require(type(newest) is int and newest >= 0, "the snapshot has no number")
    _require(newest > 0 or head == GENESIS, "the snapshot is not the empty memory")
    bound, proved = {newest: head}, {}
    for entry in chain:
        _require(list(entry) == ENTRY, "an entry has other names")
        number, kind, subject, digest, at, previous, jump = entry.values()
        parts: tuple[Any, ...] = (_bytes(previous), kind, subject, _bytes(digest))
        # An older entry's hash has no jump in it: one that is told here would be bound by nothing.
        _require((at is None) == (jump is None), f"entry {number} has a time or a jump without the other")
        if at is not None:
            parts = (parts[0], _bytes(jump), number, *parts[1:], at)
        _require(number in bound, f"entry {number} is not reached from the snapshot")
        _require(hash_values(parts).hex() == bound[number], f"entry {number} is not what was recorded")
        proved[number] = entry
        for older, older_head in ((number - 1, previous), (find_jump(number), jump)):
            if older_head is not None:
                _require(bound.setdefault(older, older_head) == older_head, f"entry {older} has two heads")
    _require(
        len(proved) == len(chain) and (newest in proved or newest == 0), "entries are missing or repeated"
    )
    return proved


def check_known(named: str | None, head: str, entry: Row | None) -> None:
    """The state is one that was there when, or as, the question says; whether the newest, no proof shows."""
    if named is None or named == f"txn_{head}":
        return
    at = re.fullmatch(TIME, named, re.ASCII)
    _require(at is not None, "the question names another state")
    if at is not None and entry is not None and entry["recorded_at_us"] is not None:
        whole = (datetime.fromisoformat(f"{at[1]}T{at[2]}") - EPOCH) // timedelta(microseconds=1)
        known_us = whole + int(f"{at[3] or 0}000000"[:6])
        _require(entry["recorded_at_us"] <= known_us, "the state is later than the question knows")


def check_inputs(inputs: Sequence[Row], entries: dict[int, Row]) -> tuple[list[Row], list[Claim]]:
    """The records; and per link superseded, superseder and its authority, truth status and effective_at."""
    records: dict[str, Row] = {}
    links, seen = [], set()
    for each in inputs:
        number, kind, columns = each.values()
        entry = entries[number]
        grown = any(value is not None for value in columns[20:])
        digest = hash_values(columns if grown else columns[:20]).hex()
        _require(type(number) is int and number not in seen, "an input is there twice")
        _require(
            entry["kind"] == kind and entry["digest"] == digest, f"input {number} is not what was recorded"
        )
        seen.add(number)
        if kind == "record":
            records[columns[0]] = dict(zip(RECORD, columns, strict=True))
        else:
            links.append(dict(zip(LINK, columns, strict=True)))
    _require(all(link["relation"] == "supersedes" for link in links), "a link is no supersession")
    claims = set()
    for link in links:
        maker = records[link["from_version_id"]]
        judged = (maker["authority"], maker["truth_status"], maker["effective_at_us"])
        claims.add((link["to_version_id"], link["from_version_id"], *judged))
    return list(records.values()), sorted(claims)


class Answering:
    """ordering.v2 and ordering.v3, written once more, plainly."""

    def __init__(self, ruleset: str, question: Row, records: list[Row], claims: list[Claim]) -> None:
        _require(ruleset in ("ordering.v2", "ordering.v3"), f"the ruleset {ruleset!r} is not known here")
        self.ruleset, self.question = ruleset, question
        self.claims: dict[str, list[Claim]] = {}
        for claim in claims:
            self.claims.setdefault(claim[0], []).append(claim)
        self.v3 = ruleset == "ordering.v3"
        _require(list(question) == ["text", *FIELDS, "as_of_us", *["as_known_at"] * self.v3], "no question")
        self.asked = {field: question[field] for field in FIELDS}
        self.members = [each for each in records if self.v3 and each["member"] is not None]
        self.members = [each for each in self.members if each["member"] == self.asked[each["field"]]]
        self.rules = sorted(filter(self.matches, records), key=self.key)

    def matches(self, record: Row) -> bool:
        if record["record_type"] != "constraint" or (record["matching"] and not self.v3):
            return False
        return all(self.fits(*part) for part in patterns(record))

    def fits(self, field: str, value: str, match: str) -> bool:
        asked = self.asked[field]
        if match == "prefix":
            ends = [end for end, character in enumerate(asked, 1) if character in "/:."]
            return value in (asked[:end] for end in ends[:32])
        if match == "group":
            return bool(self.memberships(field, value))
        return value in ("*", asked)

    def memberships(self, field: str, group: str) -> list[Row]:
        return [each for each in self.members if (each["field"], each["group_name"]) == (field, group)]

    def specificity(self, record: Row) -> tuple[int, int]:
        if not self.v3:
            return sum(record[field] == self.asked[field] for field in FIELDS), 0
        said = [part for part in patterns(record) if part[1:] != ("*", "exact")]
        length = sum(len(value) for _, value, match in said if match == "prefix")
        return sum(LEVEL[match] for *_, match in said), length

    def key(self, record: Row) -> tuple[Any, ...]:
        level, length = self.specificity(record) if record["member"] is None else (0, 0)
        ranks = (-AUTHORITY[record["authority"]], -TRUTH[record["truth_status"]], -confidence(record))
        ids = (record["memory_id"], record["memory_version_id"])
        names = map(bound_id, ids) if self.v3 else ids
        return (-level, -length, *ranks, -record["effective_at_us"], -record["created_at_us"], *names)

    def judge(self, record: Row, at: int) -> tuple[str | None, list[str]]:
        """Why a record does not count by itself, None when it does, and all reasons."""
        if record["effective_at_us"] > at:
            return REASONS[0], ["effective_at is later than as_of"]
        if self.v3 and record["expires_at_us"] is not None and record["expires_at_us"] <= at:
            return REASONS[1], ["expires_at is not later than as_of"]
        if record["truth_status"] == "retracted":
            return REASONS[2], ["truth_status is retracted"]
        made = self.claims.get(record["memory_version_id"], [])
        for claim in made:
            if weakness(claim, record, at) is None:
                return REASONS[3], [f"record is superseded by {claim[1]}"]
        named = [f"not superseded by {claim[1]}: {weakness(claim, record, at)}" for claim in made[:3]]
        return None, named + [f"not superseded by {len(made) - 3} more"] * (len(made) > 3)

    def judge_rule(self, rule: Row, at: int) -> tuple[str | None, list[str]]:
        exclusion, reasons = self.judge(rule, at)
        lacking = []
        for field, group in places(rule):
            judged = [(self.judge(each, at)[0], each) for each in self.memberships(field, group)]
            speaks, speaker = min(judged, key=lambda one: (one[0] is not None, self.key(one[1])))
            if speaks is not None:
                by = f"{field} is a member of '{excerpt(group)}' by {speaker['memory_version_id']}"
                lacking.append(f"membership does not count: {by}: {speaks}")
        return (REASONS[4], lacking + reasons) if lacking else (exclusion, reasons)

    def decide(self, at: int) -> tuple[str, dict[str, list[str]]]:
        """The result at a time, and the ids of the deciding rules by effect."""
        active = [rule for rule in self.rules if self.judge_rule(rule, at)[0] is None]
        top = takewhile(lambda rule: self.key(rule)[:5] == self.key(active[0])[:5], active)
        sides: dict[str, list[str]] = {"allow": [], "deny": []}
        for rule in top:
            sides[rule["effect"]].append(rule["memory_version_id"])
        if bool(sides["allow"]) == bool(sides["deny"]):
            return "inconclusive", sides
        return ("allow" if sides["allow"] else "deny"), sides

    def answer(self) -> Row:
        result, sides = self.decide(self.question["as_of_us"])
        why = "No active matching constraints were found"
        if result != "inconclusive":
            verb = "allows" if result == "allow" else "denies"
            why = f"Highest-precedence active constraint {verb} the action"
        elif sides["allow"]:
            named = "; ".join(f"{effect} {self.name(ids)}" for effect, ids in sides.items())
            why = f"Top-precedence constraints conflict (allow and deny): {named}"
        return {"result": result, "why": why} | ({"holds_until": self.holds_until(result)} if self.v3 else {})

    def name(self, ids: list[str]) -> str:
        named = ", ".join(excerpt(each) if self.v3 else each for each in sorted(ids)[:10])
        return f"{named} and {len(ids) - 10} more" if len(ids) > 10 else named

    def holds_until(self, result: str) -> str | None:
        times = {
            each[name]
            for each in (*self.rules, *self.members)
            for name in ("effective_at_us", "expires_at_us")
        }
        later = (times | {claim[4] for claims in self.claims.values() for claim in claims}) - {None}
        for at in sorted(at for at in later if at > self.question["as_of_us"]):
            if self.decide(at)[0] != result:
                return format_time(at)
        return None

    def include(self, rule: Row) -> Row:
        level, length = self.specificity(rule)
        reasons = [f"scope specificity score={level} for actor/action/resource"]
        active = "passed active filters (not retracted, not superseded)"
        if self.v3:
            reasons = [f"scope specificity level={level}/9 prefix_length={length}"]
            reasons += [f"{field} is a member of '{excerpt(group)}'" for field, group in places(rule)]
            active = "passed active filters (in effect, not expired, not retracted, not superseded)"
        ranks = {
            "authority_rank": AUTHORITY[rule["authority"]],
            "truth_status_rank": TRUTH[rule["truth_status"]],
        }
        scores = {"scope_match": level / (9 if self.v3 else 3)} | ranks | {"confidence": confidence(rule)}
        said = self.judge_rule(rule, self.question["as_of_us"])[1]
        return {"included": True, "reasons": [*reasons, active, *said], "rule_scores": scores}

    def digest_inputs(self) -> Row:
        records = sorted([*self.rules, *self.members], key=lambda each: str(each["memory_version_id"]))
        rows = [[*(each[name] for name in DIGESTED), content(each)] for each in records]
        encoded = encode(
            [rows, [claim for each in records for claim in self.claims.get(each["memory_version_id"], [])]]
        )
        return {"records": len(rows), "sha256": hashlib.sha256(encoded.encode()).hexdigest()}

    def build(self, head: str) -> Row:
        """The whole package."""
        asked, snapshot, as_of = self.question, f"txn_{head}", format_time(self.question["as_of_us"])
        scope = list(self.asked.values())
        known = [asked["as_known_at"], None] if self.v3 else []
        named = encode([self.ruleset, asked["text"], asked["as_of_us"], scope, *known, snapshot])
        judged = [(rule, *self.judge_rule(rule, asked["as_of_us"])) for rule in self.rules]
        active = [(rule, self.include(rule)) for rule, exclusion, _ in judged if exclusion is None]
        out = [(rule, exclusion, why) for rule, exclusion, why in judged if exclusion is not None]
        missed = [(rule, {"included": False, "reasons": why, "rule_scores": None}) for rule, _, why in out]
        selected = list_items(active, *((50, 32768) if self.v3 else (len(active), sys.maxsize)))
        excluded = list_items(missed, 20, 12288 if self.v3 else sys.maxsize)
        reasons = REASONS if self.v3 else (REASONS[0], *REASONS[2:4])
        counts = {each: sum(exclusion == each for _, exclusion, _ in out) for each in reasons}
        inputs = {"inputs": self.digest_inputs()} if self.v3 else {}
        package: Row = {
            "context_package_id": f"cpkg_{hashlib.sha256(named.encode()).hexdigest()[:32]}",
            "generated_at": as_of,
            "query": {"text": asked["text"]} | self.asked | {"as_of": as_of},
            "determinism": {"ruleset_version": self.ruleset, "snapshot_id": snapshot, "tie_breakers": TIES}
            | inputs,
            "answer": self.answer(),
            "selected_items": selected,
            "excluded_items": excluded,
        }
        if self.v3:
            package["query"]["as_known_at"] = asked["as_known_at"]
            cursor = self.point_behind(len(excluded), [rule for rule, *_ in out])
            package["exclusions"] = {"total": len(out), "by_reason": counts, "next_cursor": cursor}
        said = ", ".join(f"{reason} {count}" for reason, count in counts.items())
        kinds = " by exact value, prefix, group or *" * self.v3
        limits = [f"limit: selected_items shows the {len(selected)} highest of {len(active)}"] * self.v3
        return package | {
            "ordering_trace": [
                "filter: record_type=constraint",
                f"filter: scope_match(actor, action, resource){kinds}",
                f"exclude: {said}",
                *limits,
                f"limit: excluded_items shows the {len(excluded)} nearest of {len(out)}",
                "sort: precedence tuple with deterministic tie-breakers",
                DECIDE,
            ]
        }

    def point_behind(self, stop: int, missed: list[Row]) -> str | None:
        if stop >= len(missed):
            return None
        bound = encode([self.ruleset, *self.asked.values(), self.question["as_of_us"]])
        key = list(self.key(missed[stop - 1])) if stop else None
        position = encode([hashlib.sha256(bound.encode()).hexdigest()[:16], key])
        return "cur_" + base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def list_items(entries: list[tuple[Row, Row]], most: int, room: int) -> list[Row]:
    """The first records as items, as many as fit."""
    items: list[Row] = []
    for rank, (record, why) in enumerate(entries[:most], 1):
        shown = {name: record[name] for name in SHOWN}
        items.append({"rank": rank} | shown | {"why": why})
        room -= len(encode(items[-1]).encode()) + 1
        if room < 0:
            return items[:-1]
    return items


def weakness(claim: Claim, target: Row, at: int) -> str | None:
    """Why a claim does not supersede its target, None when it does."""
    _, maker, authority, truth_status, effective_at_us = claim
    if maker == target["memory_version_id"]:
        return "it is the record itself"
    if effective_at_us > at:
        return "it is not in effect at as_of"
    if truth_status == "retracted":
        return "it is retracted"
    weaker = AUTHORITY[authority] < AUTHORITY[target["authority"]]
    return f"authority {authority} is below {target['authority']}" if weaker else None


def patterns(record: Row) -> list[tuple[str, str, str]]:
    """Field, value and match of a constraint's scope."""
    matches = (record["matching"] or "exact,exact,exact").split(",")
    return [(field, record[field], match) for field, match in zip(FIELDS, matches, strict=True)]


def places(rule: Row) -> list[tuple[str, str]]:
    """The groups that a scope names, by field."""
    return [(field, value) for field, value, match in patterns(rule) if match == "group"]


def content(record: Row) -> list[Any]:
    """What the digest of the inputs has of a record's content."""
    if record["member"] is not None:
        return [record["field"], record["group_name"], record["member"]]
    marks = {"exact": "=", "prefix": "^", "group": "@"}
    keys = [
        value if (value, match) == ("*", "exact") else marks[match] + value
        for _, value, match in patterns(record)
    ]
    return [*keys, record["effect"], record["note"]]


def confidence(record: Row) -> float:
    """The confidence that orders a record."""
    return 0.5 if record["confidence"] is None else float(record["confidence"])


def bound_id(text: str) -> str:
    """An id as cursors hold it."""
    return (
        text if re.fullmatch("[0-9A-Za-z]{1,64}", text) else f"~{hashlib.sha256(text.encode()).hexdigest()}"
    )


def excerpt(text: str) -> str:
    """The beginning of a text."""
    return text if len(text) <= 40 else f"{text[:40]}…"


def format_time(instant_us: int) -> str:
    """RFC 3339 of microseconds since 1970."""
    time = EPOCH + timedelta(microseconds=instant_us)
    return (
        time.isoformat().rstrip("0").removesuffix(".") + "Z" if time.microsecond else time.isoformat() + "Z"
    )


def find_jump(number: int) -> int:
    """The entry that an entry's head binds besides the one before it (ADR 0012)."""
    rest = number
    while rest > 0:
        weight = (1 << ((rest + 1).bit_length() - 1)) - 1
        if rest == weight:
            return number - weight
        rest -= weight
    raise Refused("an entry has no number")


def hash_values(values: Iterable[Any]) -> bytes:
    """SHA-256 of values, each framed with its type and length."""
    return hashlib.sha256(b"".join(map(_frame, values))).digest()


def encode(value: Any) -> str:
    """JSON without white space, numbers in their shortest form."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode(key)}:{encode(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(encode, value)) + "]"
    if isinstance(value, float):
        digits, _, exponent = repr(value).partition("e")
        if exponent == "-05":  # the one exponent that the rules write out and Python does not
            return re.sub(r"(-?)(\d)\.?", r"\g<1>0.0000\2", digits, count=1)
        return re.sub("e([+-])0*", lambda sign: "e" + sign[1].strip("+"), repr(value))
    return json.dumps(value, ensure_ascii=False)


def _frame(value: Any) -> bytes:
    if value is None:
        return b"n"
    if isinstance(value, str | bytes):
        raw = value.encode() if isinstance(value, str) else value
        return b"t%d:%b" % (len(raw), raw)
    if type(value) is int:
        return b"i%d;" % value
    _require(type(value) is float, f"{value!r} cannot be in a row")
    return b"f" + struct.pack(">d", value)


def _bytes(text: str) -> bytes:
    _require(bool(re.fullmatch("[0-9a-f]{64}", text)), "a hash is no 64 hex digits")
    return bytes.fromhex(text)


def _object(pairs: list[tuple[str, Any]]) -> Row:
    _require(len(dict(pairs)) == len(pairs), "a name is there twice")
    return dict(pairs)


def _refuse_number(text: str) -> NoReturn:
    raise Refused(f"{text} is no number")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Refused(otherwise)


def main(arguments: Sequence[str]) -> int:
    """Check the file that is named, and say what came of it."""
    if len(arguments) != 1:
        print("error: no proof can be read; run: python proof_check.py FILE", file=sys.stderr)
        return 3
    try:
        shown = check_proof(Path(arguments[0]).read_bytes())
    except Refused as refused:
        print(json.dumps({"holds": False, "because": str(refused)}))
        return 1
    except OSError as exc:
        print(f"error: no proof can be read: {exc}; correct the path", file=sys.stderr)
        return 3
    print(json.dumps({"holds": True} | shown))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
