"""What an embedder is, and the arithmetic all of them share.

Here: the interface, reading a specification, batching, mean pooling, unit length, vectors as texts. Not here:
weights, running a network, decoding an image (`resources.embedders`).

Vectors of two embedders never mix: whoever keeps one keeps the specification and the hash of the weights too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt
import polars as pl

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Image = npt.NDArray[np.uint8]
"""A decoded picture: RGB, shape (height, width, 3)."""

Progress = Callable[[int, int], None]
"""Told how many items are done, of how many."""

Item = TypeVar("Item", contravariant=True)

_COMMIT = re.compile(r"[0-9a-f]{40}")
_FORMS = "bundled:NAME, hf:ORGANISATION/NAME@COMMIT or path:FOLDER"


def untold(done: int, of: int) -> None:
    """The progress nobody asked for."""


class Embedder(Protocol[Item]):
    """Turns items into vectors of length 1.

    The vector of an item depends on the item and the weights alone, not on the other items of a call or their
    order: to the last bit on a processor with the bundled weights, else within rounding (1e-5).
    """

    @property
    def specification(self) -> str:
        """What it was opened by, such as `bundled:minilm-l6-v2-int8`."""
        ...

    @property
    def weights_sha256(self) -> str:
        """Hash of all files a vector depends on (`combined_sha256`)."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        ...

    def embed(self, items: Sequence[Item], progress: Progress = untold) -> FloatArray:
        """Vectors of length 1 in the order of the items, shape (items, dimensions).

        Raises:
            TypeError, ValueError: an item is not what this embedder reads; the message gives its position.
        """
        ...


@dataclass(frozen=True)
class Specification:
    """Where weights come from.

    Attributes:
        kind: `bundled` (installed with AELP), `hf` (a model hub, a fixed commit), `path` (a folder).
        name: of the bundled weights, of the hub's repository, or the folder.
        revision: the commit; empty unless `hf`.
    """

    kind: Literal["bundled", "hf", "path"]
    name: str
    revision: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" + (f"@{self.revision}" if self.revision else "")


def parse_specification(text: str) -> Specification:
    """Read `bundled:NAME`, `hf:ORGANISATION/NAME@COMMIT` or `path:FOLDER`.

    Raises:
        ValueError: another form; a hub's repository without a commit of 40 hexadecimal digits (a branch
            moves, and the same specification would mean other vectors).
    """
    kind, colon, name = text.partition(":")
    if not colon or kind not in ("bundled", "hf", "path") or not name.strip():
        raise ValueError(f"embedder {text!r}: expected {_FORMS}")
    if kind != "hf":
        return Specification(cast(Literal["bundled", "path"], kind), name)
    repository, _, revision = name.partition("@")
    if not _COMMIT.fullmatch(revision) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", repository):
        raise ValueError(
            f"embedder {text!r}: expected hf:ORGANISATION/NAME@COMMIT, the commit as 40 hexadecimal digits "
            "(the hub shows them under 'Files', 'History'); a branch moves"
        )
    return Specification("hf", repository, revision)


def combined_sha256(hashes: Mapping[str, str]) -> str:
    """One hash of several files, from each file's name and sha256; a single file keeps its own.

    It is the sha256 of what `sha256sum` prints for the files in the order of their names.

    Raises:
        ValueError: no files.
    """
    if not hashes:
        raise ValueError("no files to hash: an embedder needs weights")
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    printed = "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))
    return hashlib.sha256(printed.encode()).hexdigest()


def batches_by_length(lengths: Sequence[int], room: int) -> list[IntArray]:
    """Positions in batches whose padded size is bounded: items × the longest of them ≤ room.

    Longest first, so that the memory a call needs shows at its start; ties in the order given. An item longer
    than the room is a batch of its own.

    Raises:
        ValueError: room or a length below 1.
    """
    if room < 1 or any(length < 1 for length in lengths):
        raise ValueError(f"lengths and room must be at least 1 (room is {room})")
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    batches, start = [], 0
    while start < len(order):
        size = max(1, room // lengths[order[start]])
        batches.append(order[start : start + size])
        start += size
    return batches


def mean_of_tokens(states: FloatArray, mask: IntArray) -> FloatArray:
    """The mean state of each text's tokens, padding left out.

    Args:
        states: shape (texts, tokens, dimensions).
        mask: 1 for a token, 0 for padding, shape (texts, tokens).
    Returns:
        Shape (texts, dimensions).
    Raises:
        ValueError: a text without tokens.
    """
    counts = mask.sum(axis=1, keepdims=True)
    if not counts.all():
        raise ValueError("a text without tokens has no mean")
    total = (states * mask[:, :, None].astype(np.float32)).sum(axis=1)
    return np.asarray(total / counts.astype(np.float32), dtype=np.float32)


def unit_length(vectors: npt.NDArray[np.floating]) -> FloatArray:
    """Rows scaled to Euclidean length 1, shape (items, dimensions).

    Raises:
        ValueError: a row of zeros, or one that is not finite: every cosine with it would be nonsense.
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    wrong = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if wrong.size:
        raise ValueError(f"vector {wrong[0]} has length {lengths[wrong[0], 0]}: it cannot be scaled to 1")
    return np.asarray(vectors / lengths, dtype=np.float32)


def packed(vectors: FloatArray) -> pl.Series:
    """Vectors as texts, one a row: float32, little-endian, base64. Nothing is rounded.

    A warehouse keeps them as they are, in a column that every engine has: of 384 numbers 2,048 characters.

    Args:
        vectors: shape (items, dimensions).
    """
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    return pl.Series([row.tobytes() for row in rows], dtype=pl.Binary).bin.encode("base64")


def unpacked(texts: pl.Series, dimensions: int) -> FloatArray:
    """The vectors that `packed` wrote, shape (texts, dimensions).

    Raises:
        ValueError: a text of another length: vectors of another embedder are among them.
    """
    rows = texts.str.decode("base64")
    wrong = (rows.bin.size() != dimensions * 4).fill_null(value=True)
    if wrong.any():
        raise ValueError(f"{wrong.sum()} of {len(rows)} vectors have no {dimensions} dimensions")
    found = np.frombuffer(b"".join(rows.to_list()), dtype="<f4")
    return found.reshape(len(rows), dimensions).astype(np.float32, copy=False)
