"""What rows say, as one short name: the same rows in any order have the same.

Here: the hash, and which two can be compared. Not here: which columns are left out of it, and who compares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import polars as pl

_FORM = 2  # 1 had no mark, and heard columns without a value too


def content_version(rows: pl.DataFrame, leaving_out: Collection[str] = ()) -> str:
    """A mark of how it is made, and 16 hex digits of sha256 over names, types and values in any order.

    As text: Arrow's own bytes differ between equal frames, and polars' row hashes between its versions. A
    column without a value says nothing: one that a later version adds leaves earlier rows what they were.

    Args:
        leaving_out: columns that say who wrote a row and when, which two runs that say the same differ in.
    """
    kept = rows.drop(leaving_out, strict=False)
    kept = kept.select(column for column in kept if column.null_count() < kept.height)
    digest = hashlib.sha256(f"{kept.schema}\n".encode())
    digest.update(kept.sort(kept.columns).write_csv(null_value="\\N").encode())
    mark = hashlib.sha256(f"{_FORM} {sorted(leaving_out)}".encode())
    return f"{mark.hexdigest()[:4]}-{digest.hexdigest()[:16]}"


def made_alike(one: str, other: str) -> bool:
    """Whether two versions were made alike: only then other versions mean other rows."""
    return one.partition("-")[0] == other.partition("-")[0]
