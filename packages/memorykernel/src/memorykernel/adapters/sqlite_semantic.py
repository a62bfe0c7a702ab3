"""Recalls by meaning on a file: the encoder and the vectors, loaded when the first one is asked."""

from __future__ import annotations

from functools import cache

from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.errors import ModeUnavailable
from memorykernel.ports import Encoder, Memory
from memorykernel.service.semantic_recall import OpenSemantic, SemanticRecall


def open_semantic(file: SqliteFile, memory: Memory) -> OpenSemantic:
    """What makes recalls by meaning ready on a file.

    Returns:
        A function that loads everything at its first call; it raises ModeUnavailable when the extra is not
        installed or has other weights.
    """

    @cache
    def open_once() -> SemanticRecall:
        encoder = _load_encoder()
        from memorykernel.adapters.sqlite_vectors import SqliteVectors

        return SemanticRecall(memory=memory, vectors=SqliteVectors(file, encoder.model), encoder=encoder)

    return open_once


@cache
def _load_encoder() -> Encoder:
    """The encoder of this process, one for all of its databases."""
    # Imported here: numpy is an extra, and few commands need it.
    try:
        from memorykernel.adapters.minilm_encoder import find_weights, load_minilm
    except ModuleNotFoundError as exc:
        raise ModeUnavailable(
            f"mode 'semantic' needs '{exc.name}', which is not installed;"
            " install memorykernel-service with its extra 'semantic'",
            {"field": "mode"},
        ) from exc
    return load_minilm(find_weights())
