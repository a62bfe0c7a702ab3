"""Making the rows of a large bundle in a second process, while this one writes them.

The second process is a program of its own, not a fork or a spawn: those would copy or run the program that
this library is used in. It is sent chunks and answers with rows, through pipes; what it refuses is refused
here in the same words. It holds no file of the store, and ends when its pipes do.
"""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from threading import Thread
from typing import IO, Any, Final

import msgspec

from memorykernel.adapters.bundle_rows import Heads, MemoryRows, RowSink, pour
from memorykernel.adapters.rows import Row
from memorykernel.adapters.storage_fault import explain
from memorykernel.core.bundle import Manifest
from memorykernel.errors import BundleInvalid, WriteFailed
from memorykernel.ports import Bundle, BundleChunk

WORTH_IT: Final = 20_000
"""From how many records and links on a second process is faster; it takes a quarter of a second to start."""

_SIZE: Final = struct.Struct(">Q")


class _Answers(msgspec.Struct, frozen=True, tag=True):
    answers: list[Row]
    entries: list[Row]


class _Requests(msgspec.Struct, frozen=True, tag=True):
    requests: list[Row]


class _Memory(msgspec.Struct, frozen=True, tag=True):
    rows: MemoryRows


class _Ended(msgspec.Struct, frozen=True, tag=True):
    heads: Heads


class _Refused(msgspec.Struct, frozen=True, tag=True):
    is_bundle: bool
    message: str


_ENCODER: Final = msgspec.msgpack.Encoder()
_REPLIES: Final[msgspec.msgpack.Decoder[_Memory | _Answers | _Requests | _Ended | _Refused]] = (
    msgspec.msgpack.Decoder(_Memory | _Answers | _Requests | _Ended | _Refused)
)
_CHUNKS: Final = msgspec.msgpack.Decoder(BundleChunk | None)


def is_worth_it(manifest: Manifest, lines: int = WORTH_IT) -> bool:
    """Whether a bundle has so many lines of memory, and there is a processor for a second process."""
    state = manifest.state
    is_large = state.records + state.links >= lines
    return is_large and bool(sys.executable) and (os.cpu_count() or 1) > 1


def pour_apart(bundle: Bundle, manifest: Manifest, sink: RowSink) -> Heads:
    """The same as `bundle_rows.pour`; early lines wait in a file of the second process.

    Raises:
        BundleInvalid: As `bundle_rows.pour`.
        WriteFailed: The second process could not do its work.
    """
    faults: list[Exception] = []
    paths = os.pathsep.join(filter(None, sys.path))
    # Not from the current folder, where anybody could have put a module of any name.
    command = [sys.executable, "-P", "-m", "memorykernel.adapters.bundle_apart"]
    environment = {**os.environ, "PYTHONPATH": paths}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as maker:
        assert maker.stdin is not None and maker.stdout is not None  # noqa: S101, PT018  # they are pipes
        feeder = Thread(target=_feed, args=(bundle, manifest, maker.stdin, faults))
        feeder.start()
        try:
            heads = _take(maker.stdout, sink)
        finally:
            maker.kill()
            feeder.join()
    if faults:
        raise faults[0]
    if heads is None:
        raise WriteFailed("the second process of the import ended early; import again")
    return heads


def _feed(bundle: Bundle, manifest: Manifest, pipe: IO[bytes], faults: list[Exception]) -> None:
    """Send everything; a second process that ended has said why, or is missed."""
    try:
        with pipe:
            _send(pipe, manifest)
            for chunk in bundle.read_chunks(manifest):
                _send(pipe, chunk)
            _send(pipe, None)
    except BrokenPipeError:
        pass
    except Exception as exc:  # noqa: BLE001  # raised by who waits for this thread
        faults.append(exc)


def _take(pipe: IO[bytes], sink: RowSink) -> Heads | None:
    """Let rows in until the last ones; None when the second process ended before them."""
    while (data := _receive(pipe)) is not None:
        match _REPLIES.decode(data):
            case _Memory(rows):
                sink.add_memory(rows)
            case _Answers(answers, entries):
                sink.add_answers(answers, entries)
            case _Requests(requests):
                sink.add_requests(requests)
            case _Ended(heads):
                return heads
            case _Refused(is_bundle, message):
                raise BundleInvalid(message) if is_bundle else WriteFailed(message)
    return None


def _send(pipe: IO[bytes], message: object) -> None:
    data = _ENCODER.encode(message)
    pipe.write(_SIZE.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    prefix = pipe.read(_SIZE.size)
    if len(prefix) < _SIZE.size:
        return None
    (size,) = _SIZE.unpack(prefix)
    data = pipe.read(size)
    return data if len(data) == size else None


class _Piped:
    """The bundle as the second process gets it, and where its rows go."""

    def __init__(self, source: IO[bytes], target: IO[bytes]) -> None:
        self._source, self._target = source, target

    def verify(self) -> Manifest:
        """See `ports.Bundle`; verified where it came from."""
        return msgspec.msgpack.decode(self._read(), type=Manifest)

    def read_chunks(self, manifest: Manifest) -> Iterator[BundleChunk]:
        """See `ports.Bundle`."""
        del manifest
        while (chunk := _CHUNKS.decode(self._read())) is not None:
            yield chunk

    def add_memory(self, rows: MemoryRows) -> None:
        """See `bundle_rows.RowSink`."""
        self.send(_Memory(rows))

    def add_answers(self, answers: list[Row], entries: list[Row]) -> None:
        """See `bundle_rows.RowSink`."""
        self.send(_Answers(answers, entries))

    def add_requests(self, requests: list[Row]) -> None:
        """See `bundle_rows.RowSink`."""
        self.send(_Requests(requests))

    def send(self, message: Any) -> None:
        """Send one message."""
        _send(self._target, message)

    def _read(self) -> bytes:
        data = _receive(self._source)
        if data is None:
            raise SystemExit(1)
        return data


def main() -> None:
    """Be the second process: read a manifest and chunks from stdin, write rows to stdout."""
    # The first process is interrupted too, and its end ends the pipes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Rows hold no cycles, and there are many of them.
    gc.disable()
    piped = _Piped(sys.stdin.buffer, sys.stdout.buffer)
    try:
        with closing(sqlite3.connect("", isolation_level=None)) as parking:
            piped.send(_Ended(pour(piped, piped.verify(), piped, parking)))
    except BundleInvalid as exc:
        piped.send(_Refused(is_bundle=True, message=exc.message))
    except sqlite3.Error as exc:
        piped.send(_Refused(is_bundle=False, message=f"nothing was imported: {explain(exc)}"))


if __name__ == "__main__":
    main()
