"""Vectors of creatives' contents: made once each, kept in the warehouse, apart by embedder and weights.

Here: which contents an embedder has not read yet, reading those in parts, keeping and giving back vectors.
Not here: the networks (`resources.embedders`), pixels (`creative_images`), what is done with vectors.

Work is proportional to what is new: where nothing is, no network is opened. A part is kept as soon as it is
read, so a run that is killed is continued by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import polars as pl

from models.embeddings import Embedder, FloatArray, Image, packed, unpacked
from resources import embedders
from resources.creative_images import CreativeImages, Shown
from resources.warehouse.interface import Append, Warehouse
from resources.warehouse.retrying import waited_for
from resources.warehouse.tables import CREATIVE_EMBEDDINGS

Say = Callable[[str], None]

_TEXTS_PER_PART = 2048
_IMAGES_PER_PART = 16  # decoded ones are held together, up to 8 MB each
_KEYS = """
select content_sha256
from gaelp_training.creative_embeddings
where modality = $modality and embedder = $embedder and weights_sha256 = $weights_sha256
"""
_VECTORS = """
select content_sha256, dimensions, vector
from gaelp_training.creative_embeddings
where modality = $modality and embedder = $embedder and weights_sha256 = $weights_sha256
    and embedded_at >= $since
"""
_EVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class VectorSpace:
    """Vectors that may be compared: of texts, images or videos, by an embedder, of its weights."""

    modality: Literal["text", "image", "video"]
    embedder: str
    weights_sha256: str

    def parameters(self) -> dict[str, str]:
        """The columns that tell its rows from others."""
        return {
            "modality": self.modality,
            "embedder": self.embedder,
            "weights_sha256": self.weights_sha256,
        }


def space_of(modality: Literal["text", "image"], specification: str) -> VectorSpace:
    """The space of an embedder as its weights are now; the network is not opened.

    Raises:
        ValueError, EmbedderUnavailable: as `embedders.weights_sha256`.
    """
    return VectorSpace(modality, specification, embedders.weights_sha256(specification))


@dataclass(frozen=True)
class Reading:
    """What became of contents: how many were read now, how many had been, and the seconds it took."""

    new: int
    known: int
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """New contents a second, opening the network included."""
        return self.new / self.seconds if self.new else 0.0


class VectorKeeper:
    """Reads what is new and keeps its vectors.

    Args:
        threads: an embedder may use.
        moment: noted with each vector.
        say: told of progress.
    """

    def __init__(self, warehouse: Warehouse, threads: int, moment: datetime, say: Say) -> None:
        self._warehouse = warehouse
        self._threads = threads
        self._moment = moment
        self._say = say

    def read_texts(self, contents: pl.DataFrame, space: VectorSpace) -> Reading:
        """Vectors of the texts that have none.

        Args:
            contents: `models.creatives.contents.text_contents`.
        """
        new = self.without_vector(contents, space)
        known, started = contents.height - new.height, time.monotonic()
        if new.is_empty():
            return Reading(0, known)
        embedder = embedders.open_text_embedder(space.embedder, self._threads)
        _check_weights(embedder, space)
        done = 0
        for part in new.iter_slices(_TEXTS_PER_PART):
            vectors = embedder.embed(part["text"].to_list())
            hashes = part["content_sha256"].to_list()
            self._keep(space, vector_rows(space, hashes, vectors, self._moment))
            done += part.height
            self._say_progress("texts", done, new.height, started)
        return Reading(done, known, time.monotonic() - started)

    def read_images(self, images: CreativeImages, space: VectorSpace, known: int, shown: Shown) -> Reading:
        """Vectors of images; what cannot be shown is set aside in the same write.

        Args:
            images: of the contents that `without_vector` gives.
            known: how many contents had a vector.
        """
        started, done = time.monotonic(), 0
        embedder: Embedder[Image] | None = None
        for part in images.parts(_IMAGES_PER_PART):
            if embedder is None:
                embedder = embedders.open_image_embedder(space.embedder, self._threads)
                _check_weights(embedder, space)
            for content, image in part:
                shown(content, image.pixels)
            vectors = embedder.embed([image.pixels for _, image in part])
            hashes = [content["content_sha256"] for content, _ in part]
            self._keep(space, vector_rows(space, hashes, vectors, self._moment), *images.set_aside())
            done += len(part)
            self._say_progress("images", done, images.to_read.height, started)
        if aside := images.set_aside():
            waited_for(lambda: self._warehouse.write(*aside))
        return Reading(done, known, time.monotonic() - started)

    def without_vector(self, contents: pl.DataFrame, space: VectorSpace) -> pl.DataFrame:
        """The contents that the space holds no vector of; reads keys, no vectors."""
        known = self._warehouse.query(_KEYS, space.parameters())
        return contents.join(known, on="content_sha256", how="anti", maintain_order="left")

    def _keep(self, space: VectorSpace, made: pl.DataFrame, *others: Append) -> None:
        """Write vectors and `others`; vectors that another run has kept meanwhile are left out."""

        def write() -> None:
            rows = self.without_vector(made, space)
            self._warehouse.write(Append(CREATIVE_EMBEDDINGS, rows), *others)

        waited_for(write)

    def _say_progress(self, what: str, done: int, of: int, started: float) -> None:
        rate = done / max(time.monotonic() - started, 1e-9)
        self._say(f"{done:,} of {of:,} new {what} read, {rate:,.0f} a second")


def vector_rows(
    space: VectorSpace, hashes: Sequence[str], vectors: FloatArray, moment: datetime
) -> pl.DataFrame:
    """CREATIVE_EMBEDDINGS of vectors, shape (contents, dimensions), in the order of their hashes."""
    return pl.DataFrame({"content_sha256": list(hashes), "vector": packed(vectors)}).with_columns(
        **{name: pl.lit(value) for name, value in space.parameters().items()},
        dimensions=pl.lit(vectors.shape[1], dtype=pl.Int64),
        embedded_at=pl.lit(moment).cast(pl.Datetime("us", "UTC")),
    )


def read_vectors(
    warehouse: Warehouse, space: VectorSpace, since: datetime = _EVER
) -> tuple[pl.Series, FloatArray]:
    """Contents' hashes in order, and their vectors, shape (contents, dimensions).

    Args:
        since: only those made at this moment or later.
    Raises:
        ValueError: vectors of different lengths are kept as one space's.
    """
    rows = warehouse.query(_VECTORS, {**space.parameters(), "since": since}).sort("content_sha256")
    dimensions = 0 if rows.is_empty() else int(rows["dimensions"][0])
    return rows["content_sha256"], unpacked(rows["vector"], dimensions)


def _check_weights(embedder: Embedder[Any], space: VectorSpace) -> None:
    """Raises ValueError: other weights were opened than the space is named by."""
    if embedder.weights_sha256 != space.weights_sha256:
        raise ValueError(
            f"{space.embedder}: its weights changed while it was opened ({space.weights_sha256[:12]} became "
            f"{embedder.weights_sha256[:12]}); nothing was embedded, run it again"
        )
