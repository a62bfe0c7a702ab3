"""What parent and child say to each other: a job, an outcome, and the frame around both."""

from typing import BinaryIO

import msgspec

from assistsupport.core.article import Article, DocumentFormat, ReaderStamp

MAX_FRAME_BYTES = 64 * 1_048_576


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One document to read.

    Args:
        article_id: Its id.
        format: What it is.
        reader: The stamp that the article gets.
        data: The file.
        memory_bytes: How much address space reading it may take.
        cpu_s: How much processor time.
    """

    article_id: str
    format: DocumentFormat
    reader: ReaderStamp
    data: bytes
    memory_bytes: int
    cpu_s: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The article, or why there is none; `is_spent` when the child should not read another one."""

    article: Article | None = None
    reason: str | None = None
    is_spent: bool = False


def write_frame(stream: BinaryIO, payload: bytes) -> None:
    """Send one frame."""
    stream.write(len(payload).to_bytes(4, "big"))
    stream.write(payload)
    stream.flush()


def read_frame(stream: BinaryIO) -> bytes | None:
    """Return one frame; None when the other side is gone, or says something too long."""
    head = stream.read(4)
    size = int.from_bytes(head, "big")
    if len(head) < 4 or size > MAX_FRAME_BYTES:
        return None
    payload = stream.read(size)
    return payload if len(payload) == size else None
