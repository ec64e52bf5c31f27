"""One spelling per account: written two ways, an account would be two, and its money counted twice.

Here: the spelling files and pulls both land. Not here: how an API wants an id (each connector).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

# Source -> what is replaced by what: Google shows 472-118-9034 and its APIs say 4721189034; Meta's node of
# account 418802716650377 is act_418802716650377; LinkedIn's and Google Analytics' have prefixes too.
_SPELLINGS: Mapping[str, tuple[str, str]] = {
    "google_ads": (r"^(\d{3})-?(\d{3})-?(\d{4})$", "${1}-${2}-${3}"),
    "meta": (r"^act_(\d+)$", "${1}"),
    "linkedin": (r"^urn:li:sponsoredAccount:(\d+)$", "${1}"),
    "ga4": (r"^properties/(\d+)$", "${1}"),
}


def spelt(source: str, account_id: str) -> str:
    """The account's id as it is landed."""
    said: str = spelt_all(pl.Series([source]), pl.Series([account_id]))[0]
    return said


def spelt_all(sources: pl.Series, account_ids: pl.Series) -> pl.Series:
    """The same for columns of equal length; nulls stay."""
    for source in sources.unique():
        if source in _SPELLINGS:
            pattern, replacement = _SPELLINGS[source]
            written = account_ids.str.replace(pattern, replacement)
            account_ids = written.zip_with(sources.eq_missing(source), account_ids)
    return account_ids
