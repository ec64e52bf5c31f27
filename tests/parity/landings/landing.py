"""One finished attempt at a slice, as the parity tests write it down, and rows that several modules tell.

Not here: the landings (the modules beside this one), what is written of them (`landed.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

Payload = Mapping[str, str]


def day(number: int) -> date:
    return date(2026, 6, number)


@dataclass(frozen=True)
class Landing:
    """One finished attempt at a slice: its rows are (grain keys, payload) pairs."""

    step: int
    batch: str
    stream: str
    source: str
    account_id: str
    report_date: date | None
    breakdown_set: str
    rows: Sequence[tuple[tuple[str, ...], Payload]] = ()
    status: str = "complete"
    data_batch: str | None = None


def meta(creative: str | None = None, campaign: str = "Security US", **numbers: str) -> Payload:
    named = {"campaign_name": campaign, "adset_name": "Set", "ad_name": "Ad", "currency": "USD"}
    return named | ({"creative_id": creative} if creative else {}) | numbers
