"""What a persisted recall costs in process, by how common its words are, beside two peers on the same texts.

Every record has the word "policy"; the other words are as frequent as words of a language are (Zipf). The
peers are SQLite's FTS5, the fifty best by bm25, which neither judges what counts nor keeps an answer; and the
published implementation's approach, loading every record, of which only the SQL is timed. Beside the time
stands the processor's, which others on the machine take less from. Stores are made once and kept under
build/; one million records only with BENCH_LONG=1.
"""

from __future__ import annotations

import itertools
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from memorykernel import default_release, open_kernel
from memorykernel.adapters.rows import RECORD_COLUMNS, Row, place_row
from memorykernel.adapters.sqlite_postings import list_postings
from memorykernel.core.package_bounds import MAX_PACKAGE_BYTES
from memorykernel.core.request import RecallV4, read_request
from memorykernel.core.terms import unicode_terms
from memorykernel.core.vocabulary import Authority, SummaryType, TruthStatus

from benchmarks.ask import LONG

_GOAL_P95: Final = {100_000: "<= 5 ms", 1_000_000: "<= 15 ms"}
_STORES: Final = Path("build/bench-recall")
_VOCABULARY: Final = 50_000
_WORDS: Final = 12
_BATCH: Final = 20_000
_NOW_US: Final = 1_770_000_000_000_000
_EVERYWHERE: Final = "policy"
_SUMMARY_AT: Final = RECORD_COLUMNS.index("summary")
_INSERT_RECORD: Final = (
    f"INSERT INTO records (record_seq, {', '.join(RECORD_COLUMNS)})"  # noqa: S608  # column names
    f" VALUES (?{', ?' * len(RECORD_COLUMNS)})"
)

Words = Callable[[random.Random], tuple[str, ...]]
KINDS: Final[dict[str, Words]] = {
    "a rare word": lambda dice: (_word(dice.randrange(_VOCABULARY // 2, _VOCABULARY)),),
    "a common word": lambda dice: (_word(dice.randrange(20)),),
    "the word every record has": lambda _: (_EVERYWHERE,),
    "a rare, a middling and that word": lambda dice: (
        _EVERYWHERE,
        _word(dice.randrange(100, 1_000)),
        _word(dice.randrange(_VOCABULARY // 2, _VOCABULARY)),
    ),
    "four common words": lambda dice: (_EVERYWHERE, *map(_word, dice.sample(range(50), 3))),
    "twelve words": lambda dice: tuple(map(_word, dice.sample(range(2_000), 12))),
}
"""Questions by the words that they are made of."""


def run(data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
    """Measure recalls at 100,000 records (10,000 when quick; 1,000,000 too in the long form).

    Args:
        data_dir: Not used; the records are made here.
        quick: Fewer records and questions.
    """
    rows: list[dict[str, object]] = []
    for size in list_sizes(quick):
        with tempfile.TemporaryDirectory(prefix="recall-") as folder:
            path = Path(shutil.copy(make_store(size), Path(folder) / "memory.db"))
            rows += _measure(path, _make_index(size), size, 50 if quick else 300)
    return rows


def list_sizes(quick: bool) -> tuple[int, ...]:
    """How many records the stores have that are measured."""
    if quick:
        return (10_000,)
    return (100_000, 1_000_000) if LONG else (100_000,)


def make_store(size: int) -> Path:
    """A store of so many summaries at the newest schema; made once."""
    return _make_once(_STORES / f"{size}.db", lambda path: _fill(path, size))


def _make_index(size: int) -> Path:
    """The same texts in FTS5; made once."""
    return _make_once(_STORES / f"{size}.fts.db", lambda path: _fill_index(path, size))


def _make_once(made: Path, make: Callable[[Path], None]) -> Path:
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        fresh = made.with_suffix(".part")
        fresh.unlink(missing_ok=True)
        make(fresh)
        fresh.rename(made)
    return made


def _measure(path: Path, index: Path, size: int, rounds: int) -> list[dict[str, object]]:
    rows = [_row(f"peer: load every record, SQL alone, {size:,} records", _measure_load(path, size))]
    kernel = open_kernel(path, default_release("service.v4"))
    peer = sqlite3.connect(index)
    largest = 0
    for kind, words in KINDS.items():
        dice = random.Random(kind)
        texts = [" ".join(words(dice)) for _ in range(rounds)]
        largest = max(largest, *(len(kernel.asking.recall(_question(text))) for text in texts[:20]))
        ours, cpu = _time(lambda text: kernel.asking.recall(_question(text)), texts)
        theirs, _ = _time(
            lambda text: peer.execute(_BM25, (" OR ".join(text.split()),)).fetchall(), texts[:50]
        )
        p50, p95, p95_cpu = statistics.median(ours), _percentile(ours), _percentile(cpu)
        bm25 = statistics.median(theirs)
        name = f"recall in process, persisted, {size:,} records, {kind}"
        rows += [
            _row(f"peer: FTS5, best 50 by bm25, {size:,} records, {kind}, p50", bm25),
            _row(f"{name}, p50 (ratio: to FTS5)", p50, ratio=p50 / bm25),
            _row(f"{name}, p95", p95, goal=_GOAL_P95.get(size)),
            _row(f"{name}, p95 of processor time", p95_cpu),
        ]
    kernel.file.close()
    peer.close()
    bound = f"<= {MAX_PACKAGE_BYTES}"
    return [*rows, _row(f"largest package of these, {size:,} records", largest, unit="bytes", goal=bound)]


_BM25: Final = "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY bm25(texts) LIMIT 50"


def _measure_load(path: Path, size: int) -> float:
    connection = sqlite3.connect(path)
    try:
        rounds = [""] * (3 if size < 1_000_000 else 1)
        times, _ = _time(lambda _: connection.execute("SELECT * FROM records").fetchall(), rounds)
        return statistics.median(times)
    finally:
        connection.close()


def _fill(path: Path, size: int) -> None:
    """Fill in rows and lists at once, as an import does, without the chain that a recall does not read."""
    kernel = open_kernel(path, default_release("service.v4"))
    kernel.schema_care.migrate(dry_run=False)
    kernel.file.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("CREATE TEMP TABLE loaded (word TEXT, slot INTEGER, rank BLOB, record_seq INTEGER)")
    rows = enumerate(_records(size), start=1)
    while batch := list(itertools.islice(rows, _BATCH)):
        connection.executemany(_INSERT_RECORD, [(number, *row) for number, row in batch])
        postings = (
            list_postings(number, unicode_terms(str(row[_SUMMARY_AT])), place_row(row))
            for number, row in batch
        )
        connection.executemany(
            "INSERT INTO loaded VALUES (?, ?, ?, ?)", itertools.chain.from_iterable(postings)
        )
    connection.execute("INSERT INTO postings SELECT * FROM loaded ORDER BY 1, 2, 3, 4")
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()


def _fill_index(path: Path, size: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE VIRTUAL TABLE texts USING fts5 (text, content='')")
    rows = enumerate(_texts(size), start=1)
    connection.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", rows)
    connection.execute("INSERT INTO texts (texts) VALUES ('optimize')")
    connection.commit()
    connection.close()


def _texts(size: int) -> Iterator[str]:
    dice = random.Random(size)
    weights = list(itertools.accumulate(1 / (number + 10) for number in range(_VOCABULARY)))
    for _ in range(size):
        numbers = dice.choices(range(_VOCABULARY), cum_weights=weights, k=_WORDS)
        yield " ".join((_EVERYWHERE, *map(_word, numbers)))


def _records(size: int) -> Iterator[Row]:
    """Of all types, authorities and truth statuses; one a minute takes effect."""
    dice = random.Random(f"records {size}")
    kinds, truths, authorities = list(SummaryType), list(TruthStatus), list(Authority)
    for number, text in enumerate(_texts(size)):
        us = _NOW_US - (size - number) * 60_000_000
        ranks = (dice.choice(truths), dice.choice(authorities), round(dice.random(), 2))
        origin = ("team", "noted", "file:///notes.md", None, "[]", None, None, None, None, None)
        kind = dice.choice(kinds)
        yield f"01V{number:023d}", f"01M{number:023d}", 1, kind, us, us, *ranks, *origin, text


def _word(number: int) -> str:
    """A word of letters only, so that both tokenizers agree on it."""
    letters = ""
    while number or not letters:
        number, digit = divmod(number, 20)
        letters += "bcdfghjklmnpqrstvwxz"[digit] + "aeiou"[digit % 5]
    return letters + "n"


def _question(text: str) -> RecallV4:
    body: dict[str, Any] = {"text": text, "record_types": [], "as_of": "2027-01-01T00:00:00Z"}
    return read_request(body, RecallV4, strict=True)


def _time(act: Callable[[str], object], texts: list[str]) -> tuple[list[float], list[float]]:
    """Milliseconds, of the clock and of this thread, for each text."""
    act(texts[0])  # the first one opens the file
    times, busy = [], []
    for text in texts:
        begun, worked = time.perf_counter(), time.thread_time()
        act(text)
        times.append((time.perf_counter() - begun) * 1000)
        busy.append((time.thread_time() - worked) * 1000)
    return times, busy


def _percentile(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


def _row(
    name: str, value: float, *, unit: str = "ms", ratio: float | None = None, goal: str | None = None
) -> dict[str, object]:
    return {"name": name, "value": value, "unit": unit, "ratio": ratio, "goal": goal}
