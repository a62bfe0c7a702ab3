from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cutover.adapters.file_log import FileLog
from cutover.core.entry import Observed, StopCondition, Stopped
from cutover.core.log import MAX_LINE_BYTES
from cutover.errors import LogConflict, LogDamaged, LogError
from cutover.ports import Clock
from securesystemslib.signer import CryptoSigner

# A process of its own: appends forever (or n times), one line on stdout per durable entry.
APPENDER = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from cutover.adapters.clock import SystemClock
from cutover.adapters.file_log import FileLog
from cutover.core.entry import Observed

path, key, name, count = sys.argv[1:]
signer = CryptoSigner(load_pem_private_key(Path(key).read_bytes(), None))
log = FileLog(Path(path), SystemClock())
for number in range(int(count)):
    entry = log.append(Observed(subject=name, facts={"number": str(number)}), signer)
    print(entry.index, flush=True)
"""


class SetClock:
    """A clock that shows what it is set to."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return 0.0

    def pause(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


def observed(number: int) -> Observed:
    return Observed(subject="test", facts={"number": str(number)})


def reopen(log: FileLog) -> FileLog:
    return FileLog(log.path, SetClock(datetime(2026, 2, 8, 12, 1, tzinfo=UTC)))


def start_appender(log: FileLog, signer: CryptoSigner, name: str, count: int) -> subprocess.Popen[str]:
    key = log.path.with_name("executor.key")
    key.write_bytes(signer.private_bytes)
    command = [sys.executable, "-c", APPENDER, str(log.path), str(key), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_what_is_appended_is_read_by_another_process_s_log(
    opened_log: FileLog, executor_signer: CryptoSigner
) -> None:
    entry = opened_log.append(observed(1), executor_signer)
    again = reopen(opened_log).read()
    assert again.entries[-1] == entry
    assert again.head == opened_log.read().head
    assert again.head.size == 2


def test_a_log_that_nobody_opened_is_empty(tmp_path: Path, clock: Clock) -> None:
    assert FileLog(tmp_path / "none" / "entries.jsonl", clock).read().head.size == 0
    assert not (tmp_path / "none").exists()


def test_a_reader_pays_for_new_lines_only(opened_log: FileLog, executor_signer: CryptoSigner) -> None:
    reader = reopen(opened_log)
    first = reader.read().entries[0]
    opened_log.append(observed(1), executor_signer)
    assert reader.read().entries[0] is first
    assert reader.read().head.size == 2


def test_a_line_that_would_not_verify_is_never_written(opened_log: FileLog) -> None:
    before = opened_log.path.read_bytes()
    with pytest.raises(LogDamaged, match="a key that this program does not know"):
        opened_log.append(observed(1), CryptoSigner.generate_ed25519())
    with pytest.raises(LogDamaged):
        opened_log.append_line(b"{}")
    assert opened_log.path.read_bytes() == before
    assert opened_log.read().head.size == 1


@pytest.mark.parametrize("tail", [b"{", b"\x00" * 700, b'{"payload":"e30=","payloadType":"x","sig'])
def test_a_torn_last_line_is_ignored_by_readers_and_moved_away_by_the_next_appender(
    opened_log: FileLog, executor_signer: CryptoSigner, tail: bytes
) -> None:
    with opened_log.path.open("ab") as file:
        file.write(tail)
    log = reopen(opened_log)
    assert log.read().head.size == 1
    assert log.torn_bytes == len(tail)
    log.append(observed(1), executor_signer)
    assert reopen(opened_log).read().head.size == 2
    assert reopen(opened_log).torn_bytes == 0
    assert opened_log.path.with_name("entries.jsonl.torn").read_bytes() == tail + b"\n"


def test_a_line_that_lacks_only_its_newline_is_completed(
    opened_log: FileLog, executor_signer: CryptoSigner
) -> None:
    entry = opened_log.append(observed(1), executor_signer)
    os.truncate(opened_log.path, opened_log.path.stat().st_size - 1)
    log = reopen(opened_log)
    assert log.read().head.size == 1
    log.append(observed(2), executor_signer)
    entries = reopen(opened_log).read().entries
    assert len(entries) == 3
    assert entries[1] == entry


def test_a_torn_tail_never_hides_damage_before_it(opened_log: FileLog, executor_signer: CryptoSigner) -> None:
    for number in range(3):
        opened_log.append(observed(number), executor_signer)
    lines = opened_log.path.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b'"sig":"', b'"sig":"A', 1)
    opened_log.path.write_bytes(b"\n".join(lines) + b'{"torn')
    with pytest.raises(LogDamaged, match="entry 2"):
        reopen(opened_log).read()
    with pytest.raises(LogDamaged, match="entry 2"):
        reopen(opened_log).append(observed(9), executor_signer)


def test_a_complete_last_line_that_does_not_verify_is_damage_and_stays(
    opened_log: FileLog, executor_signer: CryptoSigner
) -> None:
    with opened_log.path.open("ab") as file:
        file.write(b"{}\n")
    before = opened_log.path.read_bytes()
    with pytest.raises(LogDamaged, match="entry 1"):
        reopen(opened_log).append(observed(1), executor_signer)
    assert opened_log.path.read_bytes() == before


def test_a_file_that_shrinks_or_is_replaced_in_use_is_damage(
    opened_log: FileLog, executor_signer: CryptoSigner, tmp_path: Path
) -> None:
    whole = opened_log.path.read_bytes()
    opened_log.append(observed(1), executor_signer)
    os.truncate(opened_log.path, len(whole))
    with pytest.raises(LogDamaged, match="shrank"):
        opened_log.read()
    other = reopen(opened_log)
    other.read()
    (tmp_path / "forged").write_bytes(whole)
    (tmp_path / "forged").replace(opened_log.path)
    with pytest.raises(LogDamaged, match="replaced"):
        other.read()


def test_time_never_runs_backwards_within_the_skew_and_never_beyond(
    opened_log: FileLog, executor_signer: CryptoSigner
) -> None:
    newest = opened_log.append(observed(1), executor_signer).time
    clock = SetClock(newest - timedelta(seconds=4))
    log = FileLog(opened_log.path, clock)
    assert log.append(observed(2), executor_signer).time == newest
    clock.instant = newest - timedelta(seconds=6)
    with pytest.raises(LogError, match=r"behind the newest entry.*set the clock"):
        log.append(observed(3), executor_signer)
    assert log.read().head.size == 3


def test_an_entry_too_long_for_a_line_is_refused(opened_log: FileLog, executor_signer: CryptoSigner) -> None:
    body = Observed(subject="bulk", facts={"all": "x" * MAX_LINE_BYTES})
    with pytest.raises(LogError, match="keep the bulk as evidence"):
        opened_log.append(body, executor_signer)
    assert reopen(opened_log).read().head.size == 1


def test_a_full_disk_is_reported_and_leaves_the_log_unharmed(
    opened_log: FileLog, executor_signer: CryptoSigner
) -> None:
    opened_log.append(observed(1), executor_signer)
    before = opened_log.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, hard))
    try:
        with pytest.raises(LogError, match="nothing was appended, make room"):
            opened_log.append(observed(2), executor_signer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert opened_log.path.read_bytes() == before
    assert opened_log.append(observed(3), executor_signer).index == 2


def test_processes_that_append_at_once_make_one_log(
    opened_log: FileLog, executor_signer: CryptoSigner
) -> None:
    log = FileLog(opened_log.path, SetClock(datetime.now(UTC)))
    appenders = [start_appender(log, executor_signer, f"process-{n}", 25) for n in range(3)]
    indexes: list[int] = []
    for appender in appenders:
        out, _ = appender.communicate(timeout=60)
        assert appender.returncode == 0
        indexes += map(int, out.split())
    entries = log.read().entries
    assert sorted(indexes) == list(range(1, 76))
    for number in range(3):
        mine = [
            e.body.facts["number"]
            for e in entries
            if isinstance(e.body, Observed) and e.body.subject == f"process-{number}"
        ]
        assert mine == [str(n) for n in range(25)]


def test_a_killed_appender_loses_nothing_it_acknowledged_and_blocks_nobody(
    opened_log: FileLog, executor_signer: CryptoSigner
) -> None:
    log = FileLog(opened_log.path, SetClock(datetime.now(UTC) + timedelta(seconds=1)))
    acknowledged = 0
    for round_ in range(4):
        with start_appender(log, executor_signer, "killed", 100_000) as appender:
            assert appender.stdout is not None
            for _ in range(3 + 5 * round_):
                acknowledged = int(appender.stdout.readline())
            appender.kill()
            for line in appender.stdout.read().splitlines():
                acknowledged = int(line)
        assert log.read().head.size > acknowledged
    stop = Stopped(condition=StopCondition.MANUAL, reason="after the kills", observed_at=datetime.now(UTC))
    log = FileLog(opened_log.path, SetClock(datetime.now(UTC) + timedelta(seconds=1)))
    assert log.append(stop, executor_signer).index > acknowledged
    assert log.read().entries[-1].body == stop


def test_a_writer_that_was_stopped_in_the_middle_is_named_and_not_waited_for(
    opened_log: FileLog, executor_signer: CryptoSigner
) -> None:
    """What it was about to write could still come, so nothing is written beside it either."""
    head = opened_log.read().head
    impatient = FileLog(opened_log.path, SetClock(datetime(2026, 2, 8, 12, 1, tzinfo=UTC)), patience_s=0.01)
    with opened_log.path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LogError, match="another process has held the decision log"):
            impatient.append(observed(1), executor_signer)
        with pytest.raises(LogError, match="another process has held the decision log"):
            impatient.read()
    assert impatient.append(observed(1), executor_signer).index == head.size


def test_an_entry_is_refused_for_what_was_appended_meanwhile(
    opened_log: FileLog, executor_signer: CryptoSigner
) -> None:
    size = len(opened_log.read().entries)
    reopen(opened_log).append(observed(1), executor_signer)
    with pytest.raises(LogConflict, match="it grew"):
        opened_log.append(
            observed(2), executor_signer, unless=lambda entries: "it grew" if len(entries) > size else None
        )
    assert len(reopen(opened_log).read().entries) == size + 1
