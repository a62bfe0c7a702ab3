"""What a draft costs, small knowledge base and large, and what the policy service adds to it in any state.

The knowledge base is synthetic: words of a Zipf-like vocabulary, so that a ticket's terms match many
articles, which is what makes lexical search expensive. Building it takes a while; it is kept below
`build/`. With `--data DIR` the quality of the search is measured too, on every collection in DIR (BEIR
layout: corpus.jsonl, queries.jsonl, qrels.tsv).
"""

from __future__ import annotations

import json
import math
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from assistsupport.adapters.desk_file import load_catalogue
from assistsupport.adapters.host import RandomIds, SystemClock, SystemStopwatch
from assistsupport.adapters.producer_client import ProducerClient
from assistsupport.adapters.readers.documents import DocumentReaders
from assistsupport.adapters.sqlite_journal import SqliteJournal
from assistsupport.adapters.sqlite_library import FORMAT, SqliteLibrary
from assistsupport.adapters.tantivy_index import TantivyIndexes
from assistsupport.core.knowledge import FoundFile, FoundSource
from assistsupport.core.ticket import Ticket
from assistsupport.service.desk import Desk
from assistsupport.service.knowledge import KnowledgeBase

from benchmarks.limit import load_limits
from packages.assistsupport.tests.fault_catalogue import CATALOGUE
from packages.assistsupport.tests.policy_world import MemoryGovernance, await_status, make_governance

CACHE: Final = Path("build/bench-draft")
_GOALS: Final = {3_500: ("<= 8 ms", "<= 20 ms"), 100_000: ("<= 18 ms", "<= 45 ms")}
_GOALS_ADDED: Final = ("<= 1 ms", "<= 3 ms")
_GOAL_INDEX: Final = "<= 3 s"
_GOAL_CHANGED: Final = "<= 150 ms"
_SEED: Final = 20_260_208
_WORDS: Final = 20_000
_POLICY: Final = " Can I use a USB stick for that?"


def run(data_dir: Path | None, quick: bool) -> list[dict[str, object]]:
    """Measure drafts at 3,500 and 100,000 articles (3,500 when quick).

    Args:
        data_dir: A folder of retrieval collections; None leaves the quality of the search out.
        quick: Fewer articles and drafts.
    """
    rounds = 200 if quick else 1_000
    rows: list[dict[str, object]] = []
    for size in (3_500,) if quick else (3_500, 100_000):
        with _open_knowledge(size, rows) as knowledge:
            rows += _measure_drafts(knowledge, size, rounds)
            if size == 3_500:
                rows += _measure_lane(knowledge, rounds)
    rows += _measure_change(quick)
    rows += _measure_quality(data_dir)
    return rows


class _Synthetic:
    """Articles made on the fly: an `ArticleFiles` without a disk."""

    def __init__(self, size: int) -> None:
        self._size = size
        chance = random.Random(_SEED)
        self._vocabulary = ["".join(chance.choices("bcdfghklmnprstvaeiou", k=7)) for _ in range(_WORDS)]
        self._weights = list(accumulate(1 / (rank + 10) for rank in range(_WORDS)))
        self._articles: dict[str, bytes] = {}

    def prepare(self) -> None:
        """Make all articles now, so that making them is not measured."""
        self._articles = {
            f"synthetic/{number}.md": self.make(f"synthetic/{number}.md") for number in range(self._size)
        }

    def replace(self, article_id: str, text: bytes) -> None:
        """Let an article read differently from now on."""
        self._articles[article_id] = text

    def find(self, path: Path, name: str | None, known: Mapping[str, Path]) -> FoundSource:
        ids = sorted(f"synthetic/{number}.md" for number in range(self._size))
        files = tuple(FoundFile(article_id=each, path=Path(each)) for each in ids)
        return FoundSource(name="synthetic", root=path, files=files, is_whole=True)

    def read(self, file: FoundFile) -> bytes:
        return self._articles[file.article_id]

    def make(self, article_id: str) -> bytes:
        chance = random.Random(f"{_SEED}/{article_id}")
        title = " ".join(self.words(chance, 5))
        sections = (
            f"## {' '.join(self.words(chance, 3))}\n\n{' '.join(self.words(chance, 25)).capitalize()}.\n\n"
            f"1. {' '.join(self.words(chance, 8))}\n2. {' '.join(self.words(chance, 8))}\n\n"
            for _ in range(3)
        )
        return f"---\ntitle: {title}\n---\n\n{''.join(sections)}".encode()

    def words(self, chance: random.Random, count: int) -> list[str]:
        return chance.choices(self._vocabulary, cum_weights=self._weights, k=count)

    def tickets(self, count: int, ending: str = "") -> list[Ticket]:
        """Each holds words of one article among words of no particular one."""
        chance = random.Random(_SEED)
        tickets = []
        for _ in range(count):
            article = self.make(f"synthetic/{chance.randrange(self._size)}.md")
            words = chance.sample(article.decode().split(), 14) + self.words(chance, 16)
            tickets.append(Ticket(text="Hello, " + " ".join(words) + "." + ending))
        return tickets


class _Unwatched:
    def advance(self, stage: str, done: int, total: int) -> None:
        """Do nothing."""


@contextmanager
def _open_knowledge(size: int, rows: list[dict[str, object]]) -> Iterator[KnowledgeBase]:
    folder = CACHE / f"format-{FORMAT}" / f"{size}"
    folder.mkdir(parents=True, exist_ok=True)
    library = SqliteLibrary(folder / "knowledge.db")
    files = _Synthetic(size)
    knowledge = _knowledge(library, folder, files)
    if knowledge.describe()[0] != size:
        files.prepare()
        seconds = knowledge.add([folder], None, _Unwatched()).elapsed_ms / 1000
        goal = _GOAL_INDEX if size == 3_500 else None
        rows.append(_row(f"index {size:,} articles", seconds, unit="s", goal=goal))
    yield knowledge
    library.close()


def _knowledge(library: SqliteLibrary, folder: Path, files: _Synthetic) -> KnowledgeBase:
    return KnowledgeBase(
        library=library,
        indexes=TantivyIndexes(folder / "index"),
        files=files,
        reader=DocumentReaders(),
        stopwatch=SystemStopwatch(),
    )


def _desk(knowledge: KnowledgeBase, lane: ProducerClient, stack: ExitStack) -> Desk:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="draft-")))
    journal = SqliteJournal(folder / "drafts.db")
    stack.callback(journal.close)
    return Desk(
        knowledge=knowledge,
        catalogue=load_catalogue(None),
        lane=lane,
        journal=journal,
        ids=RandomIds(),
        clock=SystemClock(),
        stopwatch=SystemStopwatch(),
    )


def _measure_drafts(knowledge: KnowledgeBase, size: int, rounds: int) -> list[dict[str, object]]:
    tickets = _Synthetic(size).tickets(rounds)
    with ExitStack() as stack:
        desk = _desk(knowledge, _lane("http://127.0.0.1:9", stack), stack)
        times = [_time(partial(desk.draft, ticket, enrichment=False)) for ticket in tickets]
    p50, p99 = _percentiles(times)
    goal50, goal99 = _GOALS[size]
    limit = {"loopback_ms": load_limits().loopback_ms}
    return [
        _row(f"draft, {size:,} articles, p50", p50, limit=limit, goal=goal50),
        _row(f"draft, {size:,} articles, p99", p99, limit=limit, goal=goal99),
    ]


def _measure_lane(knowledge: KnowledgeBase, rounds: int) -> list[dict[str, object]]:
    """Draft each ticket with and without the lane, one right after the other, and take the differences."""
    rows: list[dict[str, object]] = []
    tickets = _Synthetic(3_500).tickets(rounds, _POLICY)
    for name, opened in (("healthy", _healthy), ("refused", _refused), ("hanging", _hanging)):
        with ExitStack() as stack:
            desk = _desk(knowledge, _lane(stack.enter_context(opened()), stack), stack)
            off, on = [], []
            for ticket in tickets:
                off.append(_time(partial(desk.draft, ticket, enrichment=False)))
                on.append(_time(partial(desk.draft, ticket)))
        (off50, off99), (on50, on99) = _percentiles(off), _percentiles(on)
        rows.append(_added(f"added by the policy lane, {name}, p50", on50, off50, _GOALS_ADDED[0]))
        rows.append(_added(f"added by the policy lane, {name}, p99", on99, off99, _GOALS_ADDED[1]))
    return rows


def _added(name: str, on: float, off: float, goal: str) -> dict[str, object]:
    limit = {"off_ms": off, "loopback_ms": load_limits().loopback_ms}
    return _row(name, max(on - off, 0.0), limit=limit, ratio=on / off, goal=goal)


def _lane(url: str, stack: ExitStack) -> ProducerClient:
    lane = ProducerClient(MemoryGovernance(make_governance(url)), SystemClock())
    stack.callback(lane.close)
    lane.start()
    await_status(lane, lambda status: status.checked_at is not None)
    return lane


@contextmanager
def _healthy() -> Iterator[str]:
    """A real producer in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="producer-") as folder:
        program = shutil.which("mk", path=str(Path(sys.executable).parent)) or "mk"
        command = [program, "serve", "--db", f"{folder}/memory.db", "--bind", "127.0.0.1:0"]
        command += ["--service-contract", "service.v3"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            try:
                yield json.loads(process.stdout.readline())["url"]
            finally:
                process.terminate()


@contextmanager
def _refused() -> Iterator[str]:
    """A port where nobody listens."""
    yield "http://127.0.0.1:9"


@contextmanager
def _hanging() -> Iterator[str]:
    """A producer that passes the preflight and never answers a question."""
    server = CATALOGUE["hang-before-status"].serve(contract="service.v3", routes=("/v1/query/ask",))
    try:
        yield server.url
    finally:
        server.close()


def _measure_change(quick: bool) -> list[dict[str, object]]:
    """How long until one changed article is found, reading every file of the folder again."""
    size = 350 if quick else 3_500
    with tempfile.TemporaryDirectory(prefix="change-") as name:
        folder = Path(name)
        library = SqliteLibrary(folder / "knowledge.db")
        files = _Synthetic(size)
        files.prepare()
        knowledge = _knowledge(library, folder, files)
        knowledge.add([folder], None, _Unwatched())
        files.replace("synthetic/7.md", b"# Zebra\n")
        began = time.perf_counter()
        knowledge.add([folder], None, _Unwatched())
        assert knowledge.find("zebra").ranked
        elapsed_ms = (time.perf_counter() - began) * 1000
        library.close()
    limit = {"fdatasync_ms": load_limits().fdatasync_ms}
    return [_row(f"one changed article of {size:,} searchable", elapsed_ms, limit=limit, goal=_GOAL_CHANGED)]


def _measure_quality(data_dir: Path | None) -> list[dict[str, object]]:
    if data_dir is None:
        return []
    return [_measure_collection(path.parent) for path in sorted(data_dir.glob("*/corpus.jsonl"))]


def _measure_collection(folder: Path) -> dict[str, object]:
    """nDCG@10 with binary gains over the queries that have a relevant document."""
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "qrels.tsv").read_text().splitlines()[1:]:
        query, document, gain = line.split("\t")
        if int(gain) > 0:
            relevant[query].add(document)
    queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    with tempfile.TemporaryDirectory(prefix="quality-") as name:
        library = SqliteLibrary(Path(name) / "knowledge.db")
        knowledge = _knowledge(library, Path(name), _Collection(folder))
        knowledge.add([folder], None, _Unwatched())
        scores = [
            _ndcg(
                [
                    each.article.article.article_id.split("/")[1].removesuffix(".md")
                    for each in found.ranked[:10]
                ],
                wanted,
            )
            for query in queries
            if (wanted := relevant[query["_id"]])
            for found in [knowledge.find(query["text"])]
        ]
        library.close()
    return _row(f"nDCG@10, {folder.name}", statistics.mean(scores), unit="nDCG")


class _Collection(_Synthetic):
    """The documents of a collection as articles."""

    def __init__(self, folder: Path) -> None:
        lines = (folder / "corpus.jsonl").read_text().splitlines()
        self._documents = {each["_id"]: each for each in map(json.loads, lines)}

    def find(self, path: Path, name: str | None, known: Mapping[str, Path]) -> FoundSource:
        ids = sorted(self._documents)
        files = tuple(FoundFile(article_id=f"collection/{each}.md", path=Path(each)) for each in ids)
        return FoundSource(name="collection", root=path, files=files, is_whole=True)

    def read(self, file: FoundFile) -> bytes:
        document: dict[str, Any] = self._documents[file.path.name]
        return f"---\ntitle: {json.dumps(document['title'])}\n---\n\n{document['text']}\n".encode()


def _ndcg(ranking: list[str], wanted: set[str]) -> float:
    gained = sum(1 / math.log2(place + 2) for place, document in enumerate(ranking) if document in wanted)
    return gained / sum(1 / math.log2(place + 2) for place in range(min(10, len(wanted))))


def _time(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _percentiles(times: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(times, n=100)
    return statistics.median(times), cuts[98]


def _row(
    name: str,
    value: float,
    *,
    unit: str = "ms",
    limit: Mapping[str, float] | None = None,
    ratio: float | None = None,
    goal: str | None = None,
) -> dict[str, object]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "limit": dict(limit or {}),
        "ratio": ratio,
        "goal": goal,
    }
