"""What the use cases need from the world, as small protocols.

Every method of a store reads or writes one consistent state, and raises only errors of this package.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeVar

from memorykernel.core.admission import NewRecord
from memorykernel.core.bundle import BundleFile, Manifest, Member, StoreState
from memorykernel.core.evidence import PolicyEvidence, RecallEvidence, Snapshot
from memorykernel.core.overlap import Box, Groups, Meeting, Overlap, Standing, Value
from memorykernel.core.proof import ProofEntry, ProofInput
from memorykernel.core.published import PublishedAnswer, PublishedManifest
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.recall_search import RecallSearch
from memorykernel.core.record import Link, Scope
from memorykernel.core.schema_status import SchemaStatus
from memorykernel.core.stored_question import StoredAnswer, StoredQuestion
from memorykernel.core.stored_record import KeptRequest, StoredRecord
from memorykernel.core.ticket import Ticket
from memorykernel.core.vector import Model
from memorykernel.core.vocabulary import RecordType

Result = TypeVar("Result")


class Clock(Protocol):
    """The time."""

    def now_us(self) -> int:
        """Microseconds since 1970 UTC."""
        ...


class Ids(Protocol):
    """New ids."""

    def mint_ulid(self, now_us: int) -> str:
        """A ULID that nobody has seen, for a time in microseconds since 1970 UTC."""
        ...


class Nearby(Protocol):
    """What a conflict check reads of one state; every read is bounded, whatever the store holds."""

    def list_groups(self, values: Collection[Value], *, limit: int) -> tuple[Groups, bool]:
        """The groups that values are members of, at any time; whether some were left out.

        Args:
            values: Each with its field. limit: How many groups of each to list at most.
        """
        ...

    def find_rules(
        self, boxes: Iterable[Box], standing: Standing | None, *, max_keys: int, limit: int
    ) -> Overlap:
        """The constraints whose keys lie in boxes, of one key the newest first.

        Args:
            boxes: Where to look, in this order.
            standing: Only rules of this standing; None for all.
            max_keys: How many keys to look at; a box without any counts as one.
            limit: How many constraints to read, the newest of those found.
        """
        ...

    def find_members(self, meetings: Iterable[Meeting], *, max_keys: int, limit: int) -> Overlap:
        """The memberships that are asked for.

        Args:
            meetings: What to look for.
            max_keys: Of how many members to look whether they are in another group too.
            limit: How many memberships to read for each meeting.
        """
        ...


class WriteTransaction(Protocol):
    """One write in the making: what it reads is what it writes upon, and all of it is kept or nothing."""

    def find_request(self, key: str) -> KeptRequest | None:
        """The request that was kept under a key, or None."""
        ...

    def keep_request(self, kept: KeptRequest) -> None:
        """Keep a request under a key that `find_request` did not find."""
        ...

    def load_record(self, memory_version_id: str) -> StoredRecord | None:
        """As `Memory.load_record`, with what this write has added."""
        ...

    def look_around(self) -> Nearby:
        """What is near, with what this write has added."""
        ...

    def add_record(self, new: NewRecord) -> str:
        """Add a record and the links it was written with.

        Returns:
            The chain's head after it, 64 lower-case hex digits.

        Raises:
            WriteConflict: As `Memory.add_record`.
        """
        ...

    def add_link(self, link: Link) -> str:
        """Add a link, unless the same statement by the same writer is there.

        Returns:
            The chain's head after it, 64 lower-case hex digits.

        Raises:
            WriteConflict: As `Memory.add_link`.
        """
        ...


class Memory(Protocol):
    """Records and links; append-only."""

    def add_record(self, new: NewRecord, *, now_us: int) -> str:
        """Keep a record and the links it was written with, or nothing.

        Durable when it returns.

        Args:
            new: The record.
            now_us: The time of the write; recorded, unless the entry before it was recorded later.

        Returns:
            The chain's head after it, 64 hex digits.

        Raises:
            WriteConflict: The version exists, or a link's target does not.
            WriteFailed: The store could not.
        """
        ...

    def add_link(self, link: Link, *, now_us: int) -> str:
        """Keep a link; the same statement by the same writer is kept once.

        Args and returns as `add_record`.

        Raises:
            WriteConflict: An end does not exist, or the link closes a cycle of supersessions.
            WriteFailed: The store could not.
        """
        ...

    def find_snapshot(self, as_known_at: int | str) -> Snapshot | None:
        """The state at a time (microseconds since 1970 UTC), or of a head (64 hex digits).

        Entries older than schema 4 have no time: they belong to every state of a time. None when no entry has
        the head.

        Raises:
            QueryFailed: The store could not.
        """
        ...

    def read_policy_evidence(
        self,
        question: PolicyQuestion,
        *,
        version_index: bool = False,
        patterns: bool = False,
        known: Snapshot | None = None,
    ) -> PolicyEvidence:
        """Read what can matter to a policy question, in one consistent state, in one round trip.

        Args:
            question: The question.
            version_index: Fill in the version index, which v1 needs.
            patterns: Read constraints by prefix and group too, and the memberships of the question's values;
                else only constraints that compare all three fields exactly.
            known: The state to read as of; None for all that is there.

        Raises:
            QueryFailed: The store could not.
        """
        ...

    def read_recall_evidence(
        self, record_types: Collection[RecordType], terms: Collection[str], *, known: Snapshot | None = None
    ) -> RecallEvidence:
        """Read the records of the types that share a term, with how many they share.

        Raises:
            QueryFailed: The store could not.
        """
        ...

    def search_records(self, search: RecallSearch, *, known: Snapshot | None = None) -> RecallEvidence:
        """As `read_recall_evidence`, but a bounded part: `core.recall_search` says which."""
        ...

    def read_every_record(
        self, record_types: Collection[RecordType], *, known: Snapshot | None = None
    ) -> RecallEvidence:
        """Read all records of the types, and the version index; raises as `read_recall_evidence`."""
        ...

    def write(self, job: Callable[[WriteTransaction], Result], *, now_us: int) -> Result:
        """Run a job in one write transaction, and keep what it wrote unless it raises.

        Durable when it returns. No other write comes between what the job reads and what it writes. A store
        may run the job again on another state, so it must have no effect of its own.

        Args:
            job: What to do.
            now_us: As in `add_record`.

        Raises:
            WriteFailed: The store could not. What the job raises comes out as it is; nothing was kept.
        """
        ...

    def look_around(self, job: Callable[[Nearby], Result]) -> Result:
        """Run a job that reads one state, outside of a write.

        Raises:
            QueryFailed: The store could not.
        """
        ...

    def load_record(self, memory_version_id: str) -> StoredRecord | None:
        """One version of one memory, or None.

        Raises:
            QueryFailed: The store could not.
        """
        ...

    def list_versions(self, memory_id: str, *, after: int, limit: int) -> Sequence[StoredRecord]:
        """The versions of a memory, by version number.

        Args:
            memory_id: The memory; one that nobody wrote has none.
            after: Only greater version numbers; 0 for all.
            limit: At most so many.

        Raises:
            QueryFailed: The store could not.
        """
        ...


class TextOfRecord(NamedTuple):
    """What a record is found by, and which record it is."""

    record_seq: int
    memory_version_id: str
    text: str


class Encoder(Protocol):
    """Makes vectors of texts."""

    @property
    def model(self) -> Model:
        """What it is; vectors of another model are of no use to it."""
        ...

    def encode(self, text: str) -> bytes:
        """The vector of a text; the same on the same machine every time, see `core.vector`."""
        ...


class Vectors(Protocol):
    """The vectors of a store's records by one model; derived data, kept beside the store."""

    def count_missing(self, known: Snapshot) -> int:
        """How many records of a state have no vector.

        Raises:
            QueryFailed: The store could not.
        """
        ...

    def list_missing(self, known: Snapshot, *, limit: int) -> Sequence[TextOfRecord]:
        """Records of a state that have no vector, oldest first.

        Raises:
            QueryFailed: The store could not.
        """
        ...

    def keep(self, vectors: Sequence[tuple[TextOfRecord, bytes]]) -> None:
        """Keep vectors; one that is there already stays.

        Raises:
            QueryFailed: They could not be kept.
        """
        ...

    def drop(self) -> None:
        """Forget all vectors of the model.

        Raises:
            QueryFailed: They could not be forgotten.
        """
        ...

    def read_nearest(
        self,
        vector: bytes,
        record_types: Collection[RecordType],
        *,
        known: Snapshot,
        limit: int,
        at_least: int,
    ) -> RecallEvidence:
        """Read the records of a state that are nearest to a vector.

        Args:
            vector: Of the question. record_types: Which records. known: The state; all its records have
            vectors. limit: How many at most; of equally similar ones the newest. at_least: The smallest
            similarity, in hundredths.

        Raises:
            QueryFailed: The store could not.
        """
        ...


class Answers(Protocol):
    """Answers that were given; append-only, with a hash chain of their own."""

    def store_answer(self, context_package_id: str, package: bytes, asked: StoredQuestion) -> None:
        """Keep an answer with its question; the same bytes under the same id are kept once.

        Raises:
            QueryFailed: The store could not.
        """
        ...

    def load_answer(self, context_package_id: str) -> StoredAnswer | None:
        """The newest answer under an id, or None.

        Raises:
            ContextLookupFailed: The store could not.
        """
        ...

    def list_policy_answers(
        self, *, after: int, limit: int, scope: Scope | None = None
    ) -> Sequence[StoredAnswer]:
        """Stored answers to policy questions that have their question, oldest first.

        Args:
            after: Only answers with a greater `answer_seq`. limit: At most so many. scope: Only questions
            that it can match: those whose values are equal to its exact fields and begin
                with its prefixes; groups and `*` match all.

        Raises:
            ContextLookupFailed: The store could not.
        """
        ...


class AnswerKeeper(Protocol):
    """Keeps answers without making whoever asks next wait for it."""

    def begin_answer(self, context_package_id: str, package: bytes, asked: StoredQuestion) -> Ticket[bytes]:
        """Begin to keep an answer as `Answers.store_answer` does.

        Returns:
            A ticket with the package, done when it is kept; fails with QueryFailed. A store that commits at
            once returns one that is done.

        Raises:
            QueryFailed: The store could not, and knows already.
        """
        ...


class Provenance(Protocol):
    """Rows and chain entries as they are hashed, for proofs."""

    def read_inputs(self, version_ids: Collection[str], known: Snapshot) -> Sequence[ProofInput]:
        """The records of the versions, the supersessions of them that the state has, and their makers.

        Returns:
            By entry, each once.

        Raises:
            ContextLookupFailed: The store could not.
        """
        ...

    def find_first_jump(self) -> int | None:
        """The first entry of the memory's chain whose head binds a jump; None when none does.

        Raises:
            ContextLookupFailed: The store could not.
        """
        ...

    def read_entries(self, entry_seqs: Sequence[int]) -> Sequence[ProofEntry]:
        """Entries of the memory's chain, from 1, in the order given.

        Raises:
            ContextLookupFailed: The store could not.
        """
        ...


class WriteQueue(Protocol):
    """Lets writes share a commit."""

    def begin_write(self, work: Callable[[], Result]) -> Ticket[Result]:
        """Run a use case where writes are made, soon, and commit it with others.

        Args:
            work: What it writes to this store is durable when the ticket is done. It must not wait for a
            ticket.

        Returns:
            A ticket with what `work` returned; fails with what it raised, or with WriteFailed.
        """
        ...


class Schema(Protocol):
    """The database's schema."""

    def load_status(self) -> SchemaStatus:
        """Say where the schema stands; creates nothing.

        Raises:
            SchemaUnavailable: The file is no database of this program.
        """
        ...

    def migrate(self, now_us: int) -> SchemaStatus:
        """Apply what is pending, all of it or nothing, and say where the schema stands then.

        Raises:
            MigrationFailed: It could not.
        """
        ...


class BundleChunk(NamedTuple):
    """NDJSON lines of one member, as a bundle has them."""

    member: Member
    path: str
    data: bytes


class Bundle(Protocol):
    """An export to read from."""

    def verify(self) -> Manifest:
        """Check every byte against the manifest, and the manifest against its signature, if one is required.

        Raises:
            BundleInvalid: It is damaged, cut off, not signed as required, or no bundle.
        """
        ...

    def read_chunks(self, manifest: Manifest) -> Iterator[BundleChunk]:
        """The chunks, in the order in which they stand there, each one checked again.

        Raises:
            BundleInvalid: It is not the bundle that was verified.
        """
        ...


class EncodedLines(NamedTuple):
    """NDJSON lines to export, and how many."""

    data: bytes
    lines: int


class BundleWriter(Protocol):
    """The container of an export in the making; remembers what it was given."""

    def encode_chunk(self, member: Member, lines: EncodedLines) -> Iterator[bytes]:
        """The bytes of the next chunk of a member."""
        ...

    def list_files(self) -> tuple[BundleFile, ...]:
        """The chunks so far."""
        ...

    def encode_file(self, path: str, data: bytes) -> Iterator[bytes]:
        """The bytes of another file."""
        ...

    def encode_end(self) -> bytes:
        """The bytes that the container ends with."""
        ...


class DataSnapshot(Protocol):
    """One state of a store, for as long as it is held."""

    def load_state(self) -> StoreState:
        """What the store holds."""
        ...

    def load_newest_us(self) -> int | None:
        """When the newest entry of the memory was recorded; None when that is not known."""
        ...

    def encode_lines(self, member: Member) -> Iterator[EncodedLines]:
        """The lines of a member, by `seq`, in pieces of a few megabytes.

        Raises:
            QueryFailed: The store could not, or a row is not what was written.
        """
        ...


class DataSource(Protocol):
    """A store to export."""

    def hold(self) -> AbstractContextManager[DataSnapshot]:
        """Hold on to the newest state; others write meanwhile."""
        ...


class Imported(NamedTuple):
    """What an import did: lines taken over, those that were there already, answers left out of a merge."""

    exact: bool
    added: int
    identical: int
    left_out: int


class DataTarget(Protocol):
    """A store to import into."""

    def load(self, bundle: Bundle, manifest: Manifest, *, now_us: int) -> Imported:
        """Take over a verified bundle, all of it or nothing; durable when it returns.

        A store that holds nothing gets the same heads; another one is merged into, with `now_us` as the time
        of recording.

        Raises:
            BundleInvalid: A line is invalid, entries are missing, or a head does not come out.
            WriteConflict: A link leads nowhere, or the store has another record under the same id.
            WriteFailed: The store could not.
        """
        ...


class PublishedData(Protocol):
    """What the published implementation wrote, to read from."""

    def verify(self) -> PublishedManifest:
        """Check what can be checked before anything is parsed.

        Raises:
            BundleInvalid: It is damaged, or of a kind that is not known.
        """
        ...

    def read_records(self) -> Iterator[NewRecord]:
        """All records, in any order, with their ids and times.

        Raises:
            BundleInvalid: One cannot be read, or says what no request may.
        """
        ...

    def read_links(self) -> Iterator[Link]:
        """Links that stand beside the records."""
        ...

    def read_answers(self) -> Iterator[PublishedAnswer]:
        """Stored answers."""
        ...


class PublishedTarget(Protocol):
    """A store that takes over published data."""

    def load(self, data: PublishedData, *, now_us: int) -> Imported:
        """Take over verified data, all of it or nothing; durable when it returns.

        Raises:
            BundleInvalid: A line is invalid.
            WriteConflict: A link leads nowhere, or the store has other content under the same id.
            WriteFailed: The store could not.
        """
        ...
