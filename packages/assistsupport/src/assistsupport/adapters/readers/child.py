"""The reading child: reads one document after the other for its parent, under limits of the kernel.

Run as `python -I -m assistsupport.adapters.readers.child`. Frames on stdin and stdout are a length of four
bytes and MessagePack. The limits are set here, before a byte of a document is looked at; the parent
adds a limit of wall time. A library that crashes takes this process with it and nothing else.
"""

import os
import resource
import sys
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from assistsupport.adapters.readers.frame import Job, Outcome, read_frame, write_frame
from assistsupport.core.article import Article, DocumentFormat, calculate_sha256
from assistsupport.core.document import Document, compose_article
from assistsupport.errors import ArticleRefused


def main() -> None:
    """Serve until the parent closes our stdin."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # whatever a library prints or reads, it is none of the parent's
        os.dup2(nowhere, descriptor)
    serve(incoming, outgoing)


def serve(incoming: BinaryIO, outgoing: BinaryIO) -> None:
    """Answer jobs until there are no more."""
    while (frame := read_frame(incoming)) is not None:
        job = msgspec.msgpack.decode(frame, type=Job)
        set_limits(job)
        write_frame(outgoing, msgspec.msgpack.encode(_answer(job)))


def set_limits(job: Job) -> None:
    """Bound this process for one document: memory, processor time; no files written, no core dumps."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(used.ru_utime + used.ru_stime) + 1 + job.cpu_s
    for limit, soft in (
        (resource.RLIMIT_AS, job.memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(limit)
        bounded = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(limit, (bounded, hard))


def _answer(job: Job) -> Outcome:
    try:
        return Outcome(article=_read(job))
    except ArticleRefused as exc:
        return Outcome(reason=str(exc))
    except MemoryError:
        return Outcome(reason="reading it takes too much memory; split it", is_spent=True)
    except RecursionError:
        return Outcome(reason="it is nested too deeply; simplify it", is_spent=True)
    except Exception as exc:  # noqa: BLE001 - a library's word about a hostile file; any of them refuses it
        message = " ".join(str(exc).split())[:200]
        return Outcome(reason=f"it cannot be read: {type(exc).__name__}: {message}".rstrip(": "))


def _read(job: Job) -> Article:
    document = _choose(job.format)(job.data)
    return compose_article(job.article_id, calculate_sha256(job.data), job.format, job.reader, document)


def _choose(format_: DocumentFormat) -> Callable[[bytes], Document]:
    """Import a library only when there is a document for it."""
    if format_ is DocumentFormat.PDF:
        from assistsupport.adapters.readers.pdf import read_pdf

        return read_pdf
    if format_ is DocumentFormat.DOCX:
        from assistsupport.adapters.readers.docx import read_docx

        return read_docx
    if format_ is DocumentFormat.HTML:
        from assistsupport.adapters.readers.html import read_html

        return read_html
    raise ArticleRefused(f"no reader takes {format_}")


if __name__ == "__main__":
    main()
    sys.exit(0)
