"""The composition root: the only place that picks adapters."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from contracts.core.pin import verify_base_url
from contracts.errors import MalformedDocument

from assistsupport.adapters.desk_file import load_catalogue, load_tickets
from assistsupport.adapters.disabled_lane import DisabledLane
from assistsupport.adapters.document_folder import DocumentFolder
from assistsupport.adapters.git_governance import GitGovernance
from assistsupport.adapters.host import RandomIds, SystemClock, SystemStopwatch
from assistsupport.adapters.readers.documents import DocumentReaders
from assistsupport.adapters.sqlite_journal import SqliteJournal
from assistsupport.adapters.sqlite_library import SqliteLibrary
from assistsupport.adapters.tantivy_index import TantivyIndexes
from assistsupport.core.catalogue import PolicyCatalogue
from assistsupport.core.governance_location import parse_governance_location
from assistsupport.core.ticket import Ticket
from assistsupport.errors import LibraryUnusable, SettingRefused
from assistsupport.ports import PolicyLane
from assistsupport.service.desk import Desk
from assistsupport.service.knowledge import KnowledgeBase

MIN_TOKEN_CHARS = 16
_LIBRARY = "knowledge.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """How to reach the producer.

    Args:
        governance: `REPO@REF`; None when there is no producer.
        producer_url: Overrides the pin's base URL.
        allow_remote: Accept a producer that is not on loopback.
        is_enabled: False switches enrichment off.
    """

    governance: str | None = None
    producer_url: str | None = None
    allow_remote: bool = False
    is_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskParts:
    """A desk with what stands behind it, open."""

    desk: Desk
    knowledge: KnowledgeBase
    lane: PolicyLane


def read_version() -> str:
    """Return the version of this program."""
    return version("assistsupport-desk")


def has_knowledge(data: Path) -> bool:
    """Say whether a data folder holds a knowledge base, be it an empty one."""
    return (data / _LIBRARY).is_file()


@contextmanager
def open_knowledge(data: Path) -> Iterator[KnowledgeBase]:
    """Open the knowledge base of a data folder, which is created when it is missing.

    Raises:
        LibraryUnusable: The folder cannot be used.
    """
    _make_folder(data)
    library = SqliteLibrary(data / _LIBRARY)
    reader = DocumentReaders()
    try:
        yield KnowledgeBase(
            library=library,
            indexes=TantivyIndexes(data / "index"),
            files=DocumentFolder(),
            reader=reader,
            stopwatch=SystemStopwatch(),
        )
    finally:
        reader.close()
        library.close()


@contextmanager
def open_desk(data: Path, lane_settings: LaneSettings, catalogue: Path | None) -> Iterator[DeskParts]:
    """Open a desk; its lane is started, and is closed at the end.

    Raises:
        AssistSupportError: A part cannot be opened; the message says which.
    """
    with ExitStack() as stack:
        knowledge = stack.enter_context(open_knowledge(data))
        words = read_catalogue(catalogue)
        lane = build_lane(lane_settings)
        journal = SqliteJournal(data / "drafts.db")
        stack.callback(journal.close)
        lane.start()
        stack.callback(lane.close)
        desk = Desk(
            knowledge=knowledge,
            catalogue=words,
            lane=lane,
            journal=journal,
            ids=RandomIds(),
            clock=SystemClock(),
            stopwatch=SystemStopwatch(),
        )
        yield DeskParts(desk=desk, knowledge=knowledge, lane=lane)


def build_lane(settings: LaneSettings) -> PolicyLane:
    """Return the lane that the settings ask for, not yet started.

    Raises:
        SettingRefused: The producer's URL is not loopback, or is given without governance.
        GovernanceUnreadable: `REPO@REF` is malformed.
    """
    if settings.governance is None and settings.producer_url is not None:
        raise SettingRefused(
            "--producer-url needs a pin to check against; pass --governance REPO@REF as well"
        )
    if settings.governance is None or not settings.is_enabled:
        return DisabledLane(SystemClock())
    if settings.producer_url is not None:
        try:
            verify_base_url(settings.producer_url, allow_remote=settings.allow_remote, field="--producer-url")
        except MalformedDocument as exc:
            raise SettingRefused(f"{exc}; or pass --allow-remote-producer") from exc
    # Imported here: a command that asks no producer starts in half the time without an HTTP client.
    from assistsupport.adapters.producer_client import ProducerClient

    source = GitGovernance(parse_governance_location(settings.governance), allow_remote=settings.allow_remote)
    return ProducerClient(source, SystemClock(), base_url=settings.producer_url)


def read_catalogue(path: Path | None) -> PolicyCatalogue:
    """Return the team's policy catalogue, or the one that ships with this package."""
    return load_catalogue(path)


def read_tickets(path: Path | None) -> tuple[Ticket, ...]:
    """Return the inbox."""
    return load_tickets(path) if path else ()


def read_control_token(path: Path | None) -> str | None:
    """Return the control token of a file, without the white space around it.

    Raises:
        SettingRefused: The file cannot be read, or the token is too short to be one.
    """
    if path is None:
        return None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingRefused(f"control token file {path} cannot be read; check --control-token-file") from exc
    if len(token) < MIN_TOKEN_CHARS or not token.isascii() or not token.isprintable():
        raise SettingRefused(
            f"control token in {path} is too weak: expected at least {MIN_TOKEN_CHARS} printable ASCII "
            f"characters, got {len(token)}; write a random one, such as of 'openssl rand -hex 32'"
        )
    return token


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise LibraryUnusable(
            f"data folder {data} cannot be made: {exc.strerror}; pass another --data"
        ) from exc
