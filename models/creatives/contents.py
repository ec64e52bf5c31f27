"""What of creatives is read: each text and each image once, however many creatives show it.

Here: a creative's text as one, and contents by their hash. Not here: reading them (`models.embeddings`,
`text_features`, `image_features`), which were read before (`resources.creative_vectors`).
"""

from __future__ import annotations

import hashlib

import polars as pl

from models.policy import TEXTS

CREATIVE = ("platform", "account_id", "creative_id")


def joined_text() -> pl.Expr:
    """The text of a creative: headline, body and call to action as they are written, a line each.

    Blank ones are left out; null where nothing is left. The line break is a space to a tokenizer: a headline
    alone, such as an experiment's arm, has the vector it would have anywhere else.
    """
    lines = [pl.col(name).str.strip_chars() for name in TEXTS]
    written = [pl.when(line != "").then(line) for line in lines]
    joined = pl.concat_str(written, separator="\n", ignore_nulls=True)
    return pl.when(joined != "").then(joined)


def text_contents(*texts: pl.Series) -> pl.DataFrame:
    """Each distinct text once, with the sha256 of its UTF-8 bytes; unknown texts are left out.

    Args:
        texts: of creatives (`joined_text`), of an experiment's arms, of whatever else is to be read.
    Returns:
        content_sha256, text; in the order of the hashes.
    """
    distinct = sorted({text for series in texts for text in series.drop_nulls()})
    rows = [(text_sha256(text), text) for text in distinct]
    schema = {"content_sha256": pl.String, "text": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("content_sha256")


def text_sha256(text: str) -> str:
    """The hash a text is kept under."""
    return hashlib.sha256(text.encode()).hexdigest()


def image_contents(creatives: pl.DataFrame) -> pl.DataFrame:
    """Each distinct image once, with the first creative that shows it.

    Args:
        creatives: platform, account_id, creative_id, content_sha256 (null: its bytes were never fetched).
    Returns:
        content_sha256, platform, account_id, creative_id, creatives (how many show it); in the order of the
        hashes.
    """
    known = creatives.drop_nulls("content_sha256").sort(CREATIVE)
    firsts = [pl.col(name).first() for name in CREATIVE]
    return known.group_by("content_sha256").agg(*firsts, creatives=pl.len()).sort("content_sha256")


def with_arms_of_tests(creatives: pl.DataFrame, arms: pl.DataFrame) -> pl.DataFrame:
    """Creatives and, below them, what arms of split tests showed, in the columns both have.

    Args:
        creatives: columns of CREATIVE, texts, content_hash, content_sha256, or some of them.
        arms: rows of int_experiment_arms. One that names no creative is called by its test; one that shows
            nothing known is left out.
    """
    known = arms.filter(joined_text().is_not_null() | pl.col("content_sha256").is_not_null())
    named = pl.coalesce("creative_id", pl.format("{}/{}", "test_id", "arm"))
    both = [name for name in creatives.columns if name in known.columns]
    return pl.concat([creatives.select(both), known.with_columns(creative_id=named).select(both)])
