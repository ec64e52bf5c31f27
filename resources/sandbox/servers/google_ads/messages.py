"""Rows of a frame as GoogleAdsRow messages.

Here: setting a field by its path, enums by name. Not here: which rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
from google.ads.googleads.v26.services.types.google_ads_service import SearchGoogleAdsStreamResponse

from resources.sandbox.servers.google_ads.failures import REQUEST_ID

# Kept as whole millionths in the tables, so that sums are exact.
MILLIONTHS = frozenset(
    f"metrics.{name}"
    for name in ("conversions", "conversions_value", "all_conversions", "all_conversions_value")
)


def batches(rows: pl.DataFrame, asked: Sequence[str], size: int) -> Iterator[Any]:
    """Responses of up to `size` rows; one without rows where there are none."""
    for start in range(0, max(rows.height, 1), size):
        response = SearchGoogleAdsStreamResponse.pb(SearchGoogleAdsStreamResponse())
        response.request_id = REQUEST_ID
        response.field_mask.paths.extend(asked)
        for values in rows.slice(start, size).iter_rows():
            message = response.results.add()
            for path, value in zip(rows.columns, values, strict=True):
                if value is not None:
                    _assign(message, path.split("."), value / 1_000_000 if path in MILLIONTHS else value)
        yield response


def _assign(message: Any, path: Sequence[str], value: Any) -> None:
    *parents, leaf = path
    for parent in parents:
        message = getattr(message, parent)
    names = message.DESCRIPTOR.fields_by_name
    field = names.get(leaf) or names[leaf + "_"]
    if isinstance(value, list):
        repeated = getattr(message, field.name)
        for item in value:
            if field.message_type is not None:
                repeated.add(text=item)
            else:
                repeated.append(item)
    elif field.message_type is not None:  # a field mask
        getattr(message, field.name).paths.extend(value.split(","))
    elif field.enum_type is not None:
        setattr(message, field.name, field.enum_type.values_by_name[value].number)
    else:
        setattr(message, field.name, value)
