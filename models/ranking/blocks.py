"""Creatives as rankers read them: a row per creative in each block.

Here: vectors, measures and words of creatives side by side. Not here: making them (`resources`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.creatives.contents import joined_text, text_sha256
from models.ranking.candidates import IMAGE, TEXT, TRAITS, WORDS
from models.ranking.kernels import Values

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Vectors:
    """Contents' hashes, ascending, and their vectors, shape (contents, dimensions)."""

    content_sha256: pl.Series
    vectors: npt.NDArray[np.float32]

    def of(self, hashes: list[str | None]) -> FloatArray:
        """A vector per hash, NaN where there is none; shape (hashes, dimensions)."""
        place = {known: row for row, known in enumerate(self.content_sha256.to_list())}
        rows = [place.get(wanted, -1) if wanted is not None else -1 for wanted in hashes]
        padded = np.vstack([self.vectors, np.full((1, self.vectors.shape[1]), np.nan)])
        return np.asarray(padded[rows], dtype=np.float64)


def creative_blocks(
    creatives: pl.DataFrame, text: Vectors, image: Vectors, features: pl.DataFrame
) -> dict[str, Values]:
    """The blocks of creatives, one row each; a block that nothing has is left out.

    Args:
        creatives: headline, body, call_to_action, content_hash, content_sha256 (of the image).
        features: CREATIVE_FEATURES of one version, one row per content_hash and content_sha256.
    """
    words = creatives.select(joined_text()).to_series()
    hashes = [None if written is None else text_sha256(written) for written in words]
    blocks: dict[str, Values] = {WORDS: words.fill_null("").to_list()}
    if text.vectors.size:
        blocks[TEXT] = text.of(hashes)
    if image.vectors.size:
        blocks[IMAGE] = image.of(creatives["content_sha256"].to_list())
    measured = measured_traits(features.schema)
    if measured and features.height:
        traits = creatives.select("content_hash", "content_sha256").join(
            features.select("content_hash", "content_sha256", *measured),
            on=["content_hash", "content_sha256"],
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        blocks[TRAITS] = (
            traits.select(pl.col(measured).cast(pl.Float64).fill_null(float("nan"))).to_numpy().copy()
        )
    return blocks


def measured_traits(features: pl.Schema) -> list[str]:
    """Columns of CREATIVE_FEATURES that make the block of traits, in its order."""
    return [name for name in features if name.startswith(("text_", "image_")) and features[name].is_numeric()]
