"""Whatever is changed in a proof, it does not hold any more.

Every leaf of the document is changed in several ways, and every leaf of the package in it; entries and inputs
are left out, repeated and exchanged. The numbers are printed.

One kind of change is no lie: to leave out an input of an ordering.v2 answer that changed none of its bytes,
as a second superseder does. That no input is missing is what a proof cannot show (ADR 0012); ordering.v3's
packages have a digest of their inputs, so that there it is shown too.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from memorykernel.cli.proof_check import Refused, check_proof

Path = tuple[str | int, ...]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*path, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from leaves(each, (*path, number))
    else:
        yield path, value


def changed(value: Any) -> list[Any]:
    """Other values: near ones, and some of other types that are easily taken for the same."""
    if isinstance(value, bool):
        return [not value, int(value)]
    if isinstance(value, int):
        return [
            value + 1,
            value - 1,
            -value - 1,
            float(value),
            str(value),
            None,
            *[bool(value)] * (value in (0, 1)),
        ]
    if isinstance(value, float):
        return [value * 1.0000001 + 1e-9, None, str(value), *[int(value)] * value.is_integer()]
    if isinstance(value, str):
        flipped = value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"
        return [
            f"{value} ",
            value[:-1] if value else "y",
            flipped,
            None,
            *[value.upper()] * (value != value.upper()),
        ]
    return ["", 0, False]


def put(document: Any, path: Path, value: Any) -> Any:
    made = copy.deepcopy(document)
    at = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return made


def encode(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def mutate(document: Any) -> Iterator[tuple[str, bytes]]:
    for path, value in leaves(document):
        for other in changed(value):
            yield f"{path}: {value!r} -> {other!r}"[:200], encode(put(document, path, other))
    package = json.loads(document["package"])
    for path, value in leaves(package):
        for other in changed(value):
            text = encode(put(package, path, other)).decode()
            yield f"package {path}: {value!r} -> {other!r}"[:200], encode(document | {"package": text})
    yield "package with space", encode(document | {"package": json.dumps(package)})
    for name in ("inputs", "chain"):
        rows = document[name]
        for number in range(len(rows)):
            yield f"{name} without {number}", encode(document | {name: rows[:number] + rows[number + 1 :]})
            yield f"{name} with {number} twice", encode(document | {name: [*rows, rows[number]]})
    yield "chain reversed", encode(document | {"chain": document["chain"][::-1]})
    for name in list(document):
        yield f"without {name}", encode({key: each for key, each in document.items() if key != name})
    yield "with more", encode(document | {"more": 1})


@pytest.mark.parametrize(("ruleset", "seed"), [("v2", 5), ("v3", 6), ("v3", 7)])
def test_no_changed_proof_holds(
    stage: Any, proof_kit: Any, ruleset: str, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(seed)
    scene = stage(ruleset)
    proof_kit.fill(scene, chance, 18, v3=ruleset == "v3")
    document = json.loads(scene.prove(scene.ask(text="dürfen wir?")))
    assert check_proof(encode(document))["inputs"] > 3
    count, survivors = 0, []
    for name, mutant in mutate(document):
        count += 1
        try:
            check_proof(mutant)
        except Refused:
            continue
        survivors.append(name)
    with capsys.disabled():
        print(f"\n{ruleset} seed {seed}: {count} mutants, {len(survivors)} survived")
    equivalent = [name for name in survivors if ruleset == "v2" and name.startswith("inputs without")]
    assert survivors == equivalent
    assert count > 800
