"""The decision log: what a line must be, and what a sequence of lines proves.

A line is a DSSE envelope (canonical JSON, RFC 8785) around an in-toto Statement v1 whose subject is
the log as it stood before the line: `{"name": "decision-log", "digest": {"sha256": <root>}}`. The
entries form an RFC 6962 tree over the raw lines, so a line that is changed, dropped or reordered no
longer fits the roots that its successors signed. Truncation leaves a valid shorter log: it is found
only against a head that somebody kept (`verify_log(..., against=head)`).

Invariants: entry 0 is `Opened`, signed by both parties with different keys; after it every entry has
exactly one signer, known from entry 0 or from a `RoleBound` before it, of a kind that may sign such
an entry; times do not run backwards by more than the allowed skew.
Source: RFC 6962 section 2.1, RFC 8785, DSSE v1, in-toto Statement v1; cutover-program, "The decision log".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec
import rfc8785
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Signature, Signer

from cutover.core.entry import SIGNERS, Entry, EntryBody, Opened, RoleBound
from cutover.core.key import KeyKind, Party, PublicKey
from cutover.errors import LogDamaged

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:cutover:entry:v1"
SUBJECT_NAME = "decision-log"
MAX_LINE_BYTES = 1 << 20
EMPTY_ROOT = hashlib.sha256(b"").hexdigest()
DEFAULT_SKEW = timedelta(seconds=5)


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A log's size and RFC 6962 root (hex), enough to tell two logs apart."""

    size: int
    root: str


class _Digest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: str


class _Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    digest: _Digest


class _Predicate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    index: int
    time: datetime
    body: EntryBody


class _Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type_: str = msgspec.field(name="_type")
    subject: tuple[_Subject]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: _Predicate


class _Sig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keyid: str
    sig: str


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    payload: str
    payload_type: str = msgspec.field(name="payloadType")
    signatures: tuple[_Sig, ...]


def encode_canonical(value: object) -> bytes:
    """Encode any record or JSON value as RFC 8785 canonical JSON. Pure."""
    return rfc8785.dumps(msgspec.to_builtins(value))


def calculate_digest(value: object) -> str:
    """Return the sha256 hex digest of a record's canonical JSON. Pure."""
    return hashlib.sha256(encode_canonical(value)).hexdigest()


def calculate_leaf(line: bytes) -> str:
    """Return the RFC 6962 leaf hash (hex) of a raw line without its newline. Pure."""
    return hashlib.sha256(b"\x00" + line).hexdigest()


class Tree:
    """An append-only RFC 6962 tree that keeps only the roots of its complete subtrees.

    Appending and taking the root cost O(log n); order of appends is the order of the log.
    """

    def __init__(self) -> None:
        self._size = 0
        self._peaks: list[tuple[int, bytes]] = []

    def append(self, leaf: str) -> None:
        """Add a leaf hash (hex) at the end."""
        node, width = bytes.fromhex(leaf), 1
        while self._peaks and self._peaks[-1][0] == width:
            node = _join(self._peaks.pop()[1], node)
            width *= 2
        self._peaks.append((width, node))
        self._size += 1

    def head(self) -> Head:
        """Return size and root; the root of the empty tree is sha256 of nothing."""
        if not self._peaks:
            return Head(size=0, root=EMPTY_ROOT)
        *left, (_, root) = self._peaks
        for _, peak in reversed(left):
            root = _join(peak, root)
        return Head(size=self._size, root=root.hex())


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def encode_statement(body: EntryBody, *, head: Head, time: datetime) -> bytes:
    """Return the canonical payload that the author of the next entry signs. Pure."""
    return encode_canonical(
        _Statement(
            type_=STATEMENT_TYPE,
            subject=(_Subject(name=SUBJECT_NAME, digest=_Digest(sha256=head.root)),),
            predicate_type=PREDICATE_TYPE,
            predicate=_Predicate(index=head.size, time=time, body=body),
        )
    )


def sign_line(statement: bytes, signers: Sequence[Signer]) -> bytes:
    """Return the line (no newline) for a statement, signed by each signer in order of key id."""
    envelope = Envelope(statement, PAYLOAD_TYPE, {})
    for signer in sorted(signers, key=lambda s: s.public_key.keyid):
        envelope.sign(signer)
    return rfc8785.dumps(envelope.to_dict())


class VerifiedLog:
    """The log as far as it has been verified; the one object that holds its invariants.

    `append` verifies a raw line against everything before it and either takes it or raises
    `LogDamaged`, leaving the log as it was. Verification is incremental: a reader that follows a
    growing file pays for new lines only. Idea: python-tuf's TrustedMetadataSet.

    Args:
        skew: How far an entry's time may precede its predecessor's.
    """

    def __init__(self, *, skew: timedelta = DEFAULT_SKEW) -> None:
        self._skew = skew
        self._entries: list[Entry] = []
        self._tree = Tree()
        self._heads: list[Head] = [self._tree.head()]
        self._keys: dict[str, PublicKey] = {}

    @property
    def entries(self) -> Sequence[Entry]:
        """All verified entries, in order; a live view that grows with the log."""
        return self._entries

    @property
    def head(self) -> Head:
        """Size and root of what has been verified."""
        return self._heads[-1]

    def head_at(self, size: int) -> Head:
        """Return the head when the log had `size` entries; raises IndexError beyond the end."""
        return self._heads[size]

    def key(self, keyid: str) -> PublicKey | None:
        """Return the key that entry 0 or a role binding introduced, if any."""
        return self._keys.get(keyid)

    def append(self, line: bytes, *, persist: Callable[[bytes], None] | None = None) -> Entry:
        """Verify the next raw line (no newline) and take it.

        Args:
            line: The raw line.
            persist: Called with the line once it has verified; when it raises, the line is not taken.

        Raises:
            LogDamaged: With the line's index and what is wrong with it.
        """
        index = len(self._entries)
        predicate, envelope = _parse_line(index, line, self.head)
        self._verify_time(index, predicate.time)
        signers = self._verify_signers(index, predicate.body, envelope)
        entry = Entry(
            index=index, time=predicate.time, body=predicate.body, signers=signers, leaf=calculate_leaf(line)
        )
        if persist is not None:
            persist(line)
        self._take(entry)
        return entry

    def _take(self, entry: Entry) -> None:
        self._tree.append(entry.leaf)
        self._heads.append(self._tree.head())
        self._entries.append(entry)
        if isinstance(entry.body, Opened):
            self._keys.update({key.keyid: key for key in entry.body.keys})
        if isinstance(entry.body, RoleBound):
            self._keys[entry.body.key.keyid] = entry.body.key

    def _verify_time(self, index: int, time: datetime) -> None:
        if time.tzinfo is None:
            raise LogDamaged(index, "its time has no zone")
        if self._entries and time < self._entries[-1].time - self._skew:
            raise LogDamaged(
                index, f"its time {time.isoformat()} precedes entry {index - 1} by more than {self._skew}"
            )

    def _verify_signers(self, index: int, body: EntryBody, envelope: Envelope) -> tuple[PublicKey, ...]:
        if (index == 0) != isinstance(body, Opened):
            raise LogDamaged(index, "entry 0, and only entry 0, opens a program")
        known = _opening_keys(body) if isinstance(body, Opened) else self._keys
        if isinstance(body, RoleBound):
            _verify_binding(index, body, self._keys)
        signers = tuple(
            _verify_signature(index, known, keyid, envelope) for keyid in sorted(envelope.signatures)
        )
        if isinstance(body, Opened):
            _verify_opening(index, body, signers)
        elif len(signers) != 1:
            raise LogDamaged(index, f"it has {len(signers)} signatures, expected one")
        for signer in signers:
            if signer.kind not in SIGNERS[type(body)]:
                raise LogDamaged(index, f"a {signer.kind} key may not sign {type(body).__name__}")
        if isinstance(body, RoleBound) and signers[0].party is not body.party:
            raise LogDamaged(index, f"{signers[0].party} cannot bind a role of {body.party}")
        return signers


def _parse_line(index: int, line: bytes, head: Head) -> tuple[_Predicate, Envelope]:
    if len(line) > MAX_LINE_BYTES:
        raise LogDamaged(index, f"it is {len(line)} bytes long, at most {MAX_LINE_BYTES} are read")
    try:
        raw = msgspec.json.decode(line, type=_Line)
        payload = base64.b64decode(raw.payload, validate=True)
        signatures = {
            s.keyid: Signature(s.keyid, base64.b64decode(s.sig, validate=True).hex()) for s in raw.signatures
        }
        statement = msgspec.json.decode(payload, type=_Statement)
        canonical = rfc8785.dumps(Envelope(payload, raw.payload_type, signatures).to_dict()) == line
        canonical = canonical and encode_canonical(statement) == payload
    except (msgspec.MsgspecError, ValueError, rfc8785.CanonicalizationError, RecursionError) as exc:
        raise LogDamaged(index, f"it cannot be read ({exc})") from exc
    if not canonical:
        raise LogDamaged(index, "it is not written in canonical form")
    if (raw.payload_type, statement.type_, statement.predicate_type) != (
        PAYLOAD_TYPE,
        STATEMENT_TYPE,
        PREDICATE_TYPE,
    ):
        raise LogDamaged(index, "it is not a statement of this tool")
    if statement.predicate.index != index:
        raise LogDamaged(index, f"it was written as entry {statement.predicate.index}")
    if statement.subject[0].name != SUBJECT_NAME or statement.subject[0].digest.sha256 != head.root:
        raise LogDamaged(index, "it does not follow from the entries before it")
    return statement.predicate, Envelope(payload, PAYLOAD_TYPE, signatures)


def _verify_signature(index: int, known: dict[str, PublicKey], keyid: str, envelope: Envelope) -> PublicKey:
    key = known.get(keyid)
    if key is None:
        raise LogDamaged(index, f"it is signed by {keyid[:12]}, a key that this program does not know")
    try:
        key.to_verifier().verify_signature(envelope.signatures[keyid], envelope.pae())
    except (UnverifiedSignatureError, VerificationError) as exc:
        raise LogDamaged(index, f"the signature of {key.name} does not fit") from exc
    return key


def _opening_keys(body: Opened) -> dict[str, PublicKey]:
    return {key.keyid: key for key in body.keys}


def _verify_genuine(index: int, key: PublicKey) -> None:
    if not key.is_genuine:
        raise LogDamaged(index, f"the key of {key.name} is not written as its key id says")


def _verify_opening(index: int, body: Opened, signers: tuple[PublicKey, ...]) -> None:
    for key in body.keys:
        _verify_genuine(index, key)
    publics = [key.public for key in body.keys]
    if len(set(publics)) != len(publics) or len(_opening_keys(body)) != len(publics):
        raise LogDamaged(index, "one key fills two places")
    parties = sorted(str(key.party) for key in body.keys if key.kind is KeyKind.PARTY)
    if parties != sorted(Party):
        raise LogDamaged(index, f"it names the party keys {parties}, expected one of each party")
    if any(key.kind is KeyKind.HOLDER for key in body.keys):
        raise LogDamaged(index, "holder keys come with a role binding, not with entry 0")
    if {signer.party for signer in signers} != set(Party):
        raise LogDamaged(index, "it is not signed by both parties")


def _verify_binding(index: int, body: RoleBound, known: dict[str, PublicKey]) -> None:
    _verify_genuine(index, body.key)
    if body.key.kind is not KeyKind.HOLDER or body.key.party is not body.party:
        raise LogDamaged(index, "a role is bound to a key that is not a holder key of that party")
    earlier = known.get(body.key.keyid)
    clash = any(k.public == body.key.public and k != body.key for k in known.values())
    if clash or (earlier is not None and earlier != body.key):
        raise LogDamaged(index, "one key fills two places")


def verify_log(
    lines: Sequence[bytes], *, against: Head | None = None, skew: timedelta = DEFAULT_SKEW
) -> VerifiedLog:
    """Verify a whole log.

    Args:
        lines: Raw lines without newlines, in order.
        against: A head kept from earlier; the log must contain it as a prefix.
        skew: See `VerifiedLog`.

    Raises:
        LogDamaged: At the first entry that does not verify, or where the log and `against` part.
    """
    log = VerifiedLog(skew=skew)
    for line in lines:
        log.append(line)
    if against is not None:
        verify_prefix(log, against)
    return log


def verify_prefix(log: VerifiedLog, against: Head) -> None:
    """Verify that a log still begins with what a kept head covers. Pure.

    Raises:
        LogDamaged: Where the log and the head part: it was truncated, or another history was written.
    """
    if against.size > log.head.size:
        raise LogDamaged(
            log.head.size, f"the log ends here, but a kept head covers {against.size} entries: truncated"
        )
    if log.head_at(against.size) != against:
        raise LogDamaged(
            against.size - 1, "the log differs from the kept head at or before this entry: forked"
        )
