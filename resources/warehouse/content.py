"""What rows say, as one short name: the same rows in any order have the same.

Here: the hash. Not here: which columns are left out of it, and who compares it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import polars as pl


def content_version(rows: pl.DataFrame, leaving_out: Collection[str] = ()) -> str:
    """First 16 hex digits of sha256 over names, types and values of the rows, whatever their order.

    As text: Arrow's own bytes differ between equal frames, and polars' row hashes between its versions. A
    column without a value says nothing: one that a later version adds leaves earlier rows what they were.

    Args:
        leaving_out: columns that say who wrote a row and when, which two runs that say the same differ in.
    """
    kept = rows.drop(leaving_out, strict=False)
    kept = kept.select(column for column in kept if column.null_count() < kept.height)
    digest = hashlib.sha256(f"{kept.schema}\n".encode())
    digest.update(kept.sort(kept.columns).write_csv(null_value="\\N").encode())
    return digest.hexdigest()[:16]
