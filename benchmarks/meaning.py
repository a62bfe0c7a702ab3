"""What recall by meaning costs: a vector, and a persisted recall in process over all vectors of a store.

The texts are a few hundred, so that their real vectors are made in seconds; the records of a store take turns
with them, and each has its vector as if it had been made for it. What a recall compares, reads and keeps is
the same as with as many different texts. There is no goal of its own for it; the limit beside it is the
encoder, which every recall runs once. Processor time stands beside time, for machines that others use too.
"""

from __future__ import annotations

import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from memorykernel import default_release, open_kernel
from memorykernel.adapters.minilm_encoder import MiniLmEncoder, find_weights, load_minilm
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.core.admission import Fresh, NewRecord, admit_record
from memorykernel.core.request import AddSummary, RecallV4, read_request
from memorykernel.core.vocabulary import RecallMode
from memorykernel.ports import Vectors

_NOW_US: Final = 1_770_000_000_000_000
_BATCH: Final = 10_000
_WHO: Final = ("contractors", "new employees", "the finance team", "guests", "administrators", "night staff")
_MAY: Final = ("may", "must not", "asked to", "were allowed to", "prefer to", "stopped trying to")
_WHAT: Final = (
    "plug USB drives into company laptops",
    "print salary reports on the third floor",
    "open the VPN from a private phone",
    "share customer data with suppliers",
    "install software without a ticket",
    "keep backups in the cloud for seven years",
    "reset the password of a colleague",
    "enter the server room after ten in the evening",
)
_QUESTIONS: Final = (
    "Can I use a flash drive at work?",
    "who is able to get into the data center at night",
    "retention of archived copies",
    "is it fine to hand our clients' details to a vendor?",
)


def run(data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
    """Measure vectors, and recalls at 10,000 records (100,000 too unless quick).

    Args:
        data_dir: Not used; the records are made here.
        quick: Fewer records and questions.
    """
    begun = time.perf_counter()
    encoder = load_minilm(find_weights())
    rows = [_row("weights read and checked by digest", (time.perf_counter() - begun) * 1000)]
    texts = [" ".join(words) for words in itertools.product(_WHO, _MAY, _WHAT)]
    question_ms = _measure_encoder(encoder, _QUESTIONS, 10 if quick else 50)
    rows += [
        _row("vector of a question of 8 words, p50", question_ms),
        _row("vector of a record of 10 words, p50", _measure_encoder(encoder, texts[:20], 5)),
    ]
    vectors = {text: encoder.encode(text) for text in texts}
    for size in (10_000,) if quick else (10_000, 100_000):
        with tempfile.TemporaryDirectory(prefix="meaning-") as folder:
            path = Path(folder) / "memory.db"
            _fill(path, size, texts)
            rows += _measure_recall(path, size, vectors, question_ms, 40 if quick else 200)
    return rows


def _measure_encoder(encoder: MiniLmEncoder, texts: Sequence[str], rounds: int) -> float:
    return statistics.median(_time(encoder.encode, [*texts] * rounds))


def _measure_recall(
    path: Path, size: int, vectors: dict[str, bytes], question_ms: float, rounds: int
) -> list[dict[str, object]]:
    kernel = open_kernel(path, default_release("service.v4"))
    _keep(kernel.open_semantic().vectors, path, vectors)
    kernel.file.close()
    kernel = open_kernel(path, default_release("service.v4"))
    begun = time.perf_counter()
    kernel.asking.recall(_ask("warm"))
    first_ms = (time.perf_counter() - begun) * 1000
    questions = [f"{text} {number}" for number in range(rounds // 4) for text in _QUESTIONS]
    used = time.process_time()
    times = _time(lambda text: kernel.asking.recall(_ask(text)), questions)
    cpu_ms = (time.process_time() - used) / len(questions) * 1000
    kernel.file.close()
    name, limit = f"recall by meaning in process, persisted, {size:,} records", {"encoder_ms": question_ms}
    return [
        _row(f"{name}, the first one (reads every vector)", first_ms),
        _row(f"{name}, p50", statistics.median(times), limit=limit),
        _row(f"{name}, p95", sorted(times)[int(len(times) * 0.95)], limit=limit),
        _row(f"{name}, processor time, mean", cpu_ms, limit=limit),
    ]


def _keep(vectors: Vectors, path: Path, known: dict[str, bytes]) -> None:
    file = SqliteFile(path)
    state = SqliteMemory(file).find_snapshot(_NOW_US * 2)
    file.close()
    if state is None:
        raise RuntimeError("the store has no state; expected the one it was filled to")
    while missing := vectors.list_missing(state, limit=_BATCH):
        vectors.keep([(each, known[each.text]) for each in missing])


def _ask(text: str) -> RecallV4:
    return RecallV4(text=text, record_types=(), mode=RecallMode.SEMANTIC)


def _fill(path: Path, size: int, texts: Sequence[str]) -> None:
    kernel = open_kernel(path, default_release("service.v4"))
    kernel.schema_care.migrate(dry_run=False)
    kernel.file.close()
    file = SqliteFile(path)
    memory, records = SqliteMemory(file), _records(size, texts)
    while batch := list(itertools.islice(records, _BATCH)):
        memory.add_records(batch, now_us=_NOW_US)
    file.close()


def _records(size: int, texts: Sequence[str]) -> Iterator[NewRecord]:
    dice = random.Random(size)
    body: dict[str, Any] = {
        "record_type": "decision",
        "version": 1,
        "writer": "team",
        "justification": "noted",
        "source_uri": "file:///notes.md",
        "evidence": [],
        "truth_status": "asserted",
        "authority": "derived",
        "supersedes": [],
        "contradicts": [],
    }
    for number in range(size):
        request = read_request({**body, "summary": dice.choice(texts)}, AddSummary, strict=True)
        us = _NOW_US - (size - number) * 1_000_000
        fresh = Fresh(memory_version_id=f"01V{number:023d}", memory_id=f"01M{number:023d}", now_us=us)
        yield admit_record(request, fresh)


def _time(act: Callable[[str], object], texts: Sequence[str]) -> list[float]:
    times = []
    for text in texts:
        begun = time.perf_counter()
        act(text)
        times.append((time.perf_counter() - begun) * 1000)
    return times


def _row(name: str, value_ms: float, *, limit: dict[str, float] | None = None) -> dict[str, object]:
    return {"name": name, "value": value_ms, "unit": "ms", "limit": limit or {}, "ratio": None, "goal": None}
