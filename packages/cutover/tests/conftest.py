"""Keys, a clock and an opened log that the tests of every layer share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cutover.adapters.file_log import FileLog
from cutover.core.entry import Opened
from cutover.core.key import KeyKind, Party, PublicKey
from cutover.core.log import VerifiedLog, encode_statement, sign_line
from cutover.ports import Clock
from securesystemslib.signer import CryptoSigner

START = datetime(2026, 2, 8, 12, 0, tzinfo=UTC)


class StepClock:
    """A clock that moves one millisecond with every look."""

    def __init__(self) -> None:
        self._looks = 0

    def now(self) -> datetime:
        """Return an instant after the one before."""
        self._looks += 1
        return START + timedelta(milliseconds=self._looks)

    def monotonic(self) -> float:
        """Return seconds after the ones before."""
        self._looks += 1
        return self._looks / 1000

    def pause(self, seconds: float) -> None:
        """Let that much time pass at once."""
        self._looks += round(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    """A clock that depends on nothing but how often it was looked at."""
    return StepClock()


@pytest.fixture(scope="session")
def party_signers() -> Mapping[Party, CryptoSigner]:
    """Both parties' keys."""
    return {party: CryptoSigner.generate_ed25519() for party in Party}


@pytest.fixture(scope="session")
def executor_signer() -> CryptoSigner:
    """The executor's key."""
    return CryptoSigner.generate_ed25519()


@pytest.fixture(scope="session")
def public_keys(
    party_signers: Mapping[Party, CryptoSigner], executor_signer: CryptoSigner
) -> tuple[PublicKey, ...]:
    """The public halves, as entry 0 names them."""
    parties = (_public(signer, KeyKind.PARTY, party) for party, signer in party_signers.items())
    return (*parties, _public(executor_signer, KeyKind.EXECUTOR, None))


@pytest.fixture(scope="session")
def opening_line(party_signers: Mapping[Party, CryptoSigner], public_keys: tuple[PublicKey, ...]) -> bytes:
    """The raw line of entry 0, signed by both parties at noon."""
    body = Opened(program="test", program_digest="0" * 64, keys=public_keys)
    statement = encode_statement(body, head=VerifiedLog().head, time=START)
    return sign_line(statement, tuple(party_signers.values()))


@pytest.fixture
def opened_log(tmp_path: Path, clock: Clock, opening_line: bytes) -> FileLog:
    """A log on the disk that holds entry 0."""
    log = FileLog(tmp_path / "log" / "entries.jsonl", clock)
    log.append_line(opening_line)
    return log


def _public(signer: CryptoSigner, kind: KeyKind, party: Party | None) -> PublicKey:
    key = signer.public_key
    return PublicKey(
        keyid=key.keyid, public=key.keyval["public"], kind=kind, party=party, name=f"{party or 'the'} {kind}"
    )
