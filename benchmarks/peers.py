"""The same rules and questions for MemoryKernel and three policy engines, in one run.

Each rule is the only one of its scope, so that the engines' ways to settle conflicts do not matter; each
answer is checked to be the same. The engines hold all rules in memory and answer yes or no; MemoryKernel
reads them from its file, explains the answer and keeps it. Its time without keeping it stands beside. Rules
are loaded and parsed before the clock runs. Cedar gets a parsed policy set, Casbin a policy a line, and Rego
a document that is indexed by scope, which flatters it: somebody has to make it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import casbin  # type: ignore[import-untyped]  # it has no types
import cedarpy
import regopy  # type: ignore[import-untyped]  # it has no types
from memorykernel import default_release
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.core.admission import Fresh, admit_record
from memorykernel.core.request import AddConstraint, Ask, read_request
from memorykernel.core.ticket import Ticket
from memorykernel.wiring import Kernel, open_kernel

Ask3 = tuple[str, str, str]
Engine = Callable[[Ask3], bool]

_CASBIN_MODEL: Final = """
[request_definition]
r = sub, act, obj
[policy_definition]
p = sub, act, obj, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.sub == p.sub && r.act == p.act && (p.obj == "*" || r.obj == p.obj)
"""
_REGO_MODULE: Final = """
package rules
default allow := false
allow := true if { data.rules.scopes[input.actor][input.action][input.resource] == "allow" }
allow := true if { data.rules.scopes[input.actor][input.action]["*"] == "allow" }
"""
_ENOUGH_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    actor: str
    action: str
    resource: str
    allow: bool


def run(data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
    """Measure at 1,000 and 10,000 rules (1,000 when quick).

    Args:
        data_dir: Not used.
        quick: Fewer rules and questions.
    """
    rows: list[dict[str, object]] = []
    for size in (1_000,) if quick else (1_000, 10_000):
        with tempfile.TemporaryDirectory(prefix="peers-") as folder:
            rows += _compare(size, Path(folder) / "memory.db", 100 if quick else 1_000)
    return rows


def _compare(size: int, path: Path, rounds: int) -> list[dict[str, object]]:
    rules = [_make_rule(number) for number in range(size)]
    kernel = _open(path, rules)
    ours = _kernel_engine(kernel)
    engines: dict[str, Engine] = {
        "MemoryKernel, answer not kept": _kernel_engine(
            replace(kernel, asking=replace(kernel.asking, keeper=_Forgetful()))
        ),
        "PyCasbin": _casbin_engine(rules),
        "Cedar": _cedar_engine(rules),
        "Rego": _rego_engine(rules),
    }
    questions = [_make_question(number, size) for number in range(rounds)]
    expected = [_decide(rules, question) for question in questions]
    mine = _measure("MemoryKernel", ours, questions, expected)
    rows = [_row(f"MemoryKernel, kept and explained, {size:,} rules, p50 in process", mine)]
    for name, engine in engines.items():
        theirs = _measure(name, engine, questions, expected)
        rows.append(
            _row(f"{name}, {size:,} rules, p50 in process (ratio: ours to it)", theirs, mine / theirs)
        )
    kernel.file.close()
    return rows


def _make_rule(number: int) -> _Rule:
    """One rule in eight is for all resources of its actor and action; no two match the same question."""
    resource = "*" if number % 8 == 0 else f"resource-{number % 11}"
    return _Rule(
        actor=f"actor-{number}", action=f"action-{number % 7}", resource=resource, allow=number % 3 != 0
    )


def _make_question(number: int, size: int) -> Ask3:
    """Every fifth question is one that no rule answers."""
    rule = number * 7919 % size
    action = "nothing" if number % 5 == 0 else f"action-{rule % 7}"
    return f"actor-{rule}", action, f"resource-{rule % 11}"


def _decide(rules: list[_Rule], question: Ask3) -> bool:
    actor, action, resource = question
    rule = rules[int(actor.removeprefix("actor-"))]
    return rule.allow and rule.action == action and rule.resource in ("*", resource)


def _open(path: Path, rules: list[_Rule]) -> Kernel:
    kernel = open_kernel(path, default_release())
    kernel.schema_care.migrate(dry_run=False)
    file = SqliteFile(path)
    records = (
        admit_record(
            read_request(_record_body(rule), AddConstraint, strict=True),
            Fresh(memory_version_id=f"01V{number:023d}", memory_id=f"01M{number:023d}", now_us=1),
        )
        for number, rule in enumerate(rules)
    )
    SqliteMemory(file).add_records(records, now_us=0)
    file.close()
    return kernel


def _record_body(rule: _Rule) -> dict[str, Any]:
    return {
        "actor": rule.actor,
        "action": rule.action,
        "resource": rule.resource,
        "effect": "allow" if rule.allow else "deny",
        "version": 1,
        "writer": "policy-team",
        "justification": "reviewed",
        "source_uri": "file:///handbook.md",
        "evidence": [],
        "truth_status": "asserted",
        "authority": "authoritative",
        "supersedes": [],
        "contradicts": [],
    }


class _Forgetful:
    """Keeps nothing, as the other engines do."""

    def begin_answer(self, context_package_id: str, package: bytes, asked: object) -> Ticket[bytes]:
        return Ticket.done(package)


def _kernel_engine(kernel: Kernel) -> Engine:
    def ask(question: Ask3) -> bool:
        actor, action, resource = question
        package = kernel.asking.ask(Ask(text="may it?", actor=actor, action=action, resource=resource))
        return b'"answer":{"result":"allow"' in package

    return ask


def _casbin_engine(rules: list[_Rule]) -> Engine:
    model = casbin.Model()
    model.load_model_from_text(_CASBIN_MODEL)
    enforcer = casbin.Enforcer(model)
    enforcer.add_policies(
        [[rule.actor, rule.action, rule.resource, "allow" if rule.allow else "deny"] for rule in rules]
    )
    return lambda question: bool(enforcer.enforce(*question))


def _cedar_engine(rules: list[_Rule]) -> Engine:
    policies = cedarpy.PolicySet.from_str("\n".join(map(_cedar_policy, rules)))
    entities = cedarpy.Entities.from_json_str("[]")

    def ask(question: Ask3) -> bool:
        kinds = ("principal", "Actor"), ("action", "Action"), ("resource", "Resource")
        named = zip(kinds, question, strict=True)
        request = {key: {"type": kind, "id": value} for (key, kind), value in named}
        return cedarpy.is_authorized(request, policies, entities).decision is cedarpy.Decision.Allow

    return ask


def _cedar_policy(rule: _Rule) -> str:
    resource = "resource" if rule.resource == "*" else f'resource == Resource::"{rule.resource}"'
    effect = "permit" if rule.allow else "forbid"
    scope = f'principal == Actor::"{rule.actor}", action == Action::"{rule.action}", {resource}'
    return f"{effect}({scope});"


def _rego_engine(rules: list[_Rule]) -> Engine:
    scopes: dict[str, dict[str, dict[str, str]]] = {}
    for rule in rules:
        effects = scopes.setdefault(rule.actor, {}).setdefault(rule.action, {})
        effects[rule.resource] = "allow" if rule.allow else "deny"
    interpreter = regopy.Interpreter()
    interpreter.add_data({"rules": {"scopes": scopes}})
    interpreter.add_module("rules", _REGO_MODULE)

    def ask(question: Ask3) -> bool:
        interpreter.set_input(dict(zip(("actor", "action", "resource"), question, strict=True)))
        return str(interpreter.query("data.rules.allow")) == '{"expressions":[true]}'

    return ask


def _measure(name: str, engine: Engine, questions: list[Ask3], expected: list[bool]) -> float:
    """The median milliseconds; stops when it takes too long, after five questions at the least."""
    engine(questions[0])
    times: list[float] = []
    started = time.perf_counter()
    for question, right in zip(questions, expected, strict=True):
        begun = time.perf_counter()
        answer = engine(question)
        times.append((time.perf_counter() - begun) * 1000)
        if answer is not right:
            raise RuntimeError(f"{name} answered {answer} to {question}, expected {right}")
        if len(times) >= 5 and time.perf_counter() - started > _ENOUGH_S:
            break
    return statistics.median(times)


def _row(name: str, value_ms: float, ratio: float | None = None) -> dict[str, object]:
    return {"name": name, "value": value_ms, "unit": "ms", "ratio": ratio}
