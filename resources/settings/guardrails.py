"""What spend may never do, over days and within one.

Here: the money invariants' bounds and the alarms of the day. Not here: how edits are chosen
(`decisions.py`), who may sign them (`governance.py`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from resources.settings.calendar import FreezeWindow
from resources.settings.values import Dollars, Section, TrackName


class Guardrails(Section):
    """Money invariants 2, 3, 5 and 6. Fractions of the budget they bound.

    Each bound is the invariant itself: a file may tighten a rule, never loosen it.
    """

    total_daily_cap: Dollars
    edit_limit: Annotated[float, Field(gt=0.0, le=0.05)] = 0.05
    day_limit: Annotated[float, Field(gt=0.0, le=0.10)] = 0.10
    drift_limit: Annotated[float, Field(gt=0.0, le=0.20)] = 0.20
    edit_cooldown_hours: Annotated[int, Field(ge=72, le=720)] = 72
    stop_probability: Annotated[float, Field(ge=0.9, le=1.0)] = 0.9
    stop_spend_caps: Annotated[float, Field(ge=4.0, le=100.0)] = 4.0
    freeze_probability: Annotated[float, Field(gt=0.0, le=0.5)] = 0.5
    track_raise_probability: Annotated[float, Field(gt=0.0, le=0.2)] = 0.2
    exploration_floor: Annotated[float, Field(ge=0.10, le=0.5)] = 0.10
    weekly_loss_budget: dict[TrackName, Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]]
    overdelivery: Annotated[float, Field(ge=0.25, le=1.0)] = 0.25
    freeze_windows: tuple[FreezeWindow, ...] = ()


class Pacing(Section):
    """Spend within a day. `overdelivery`: how far above a daily budget a platform may go on one day by its
    own rules; the guardrails' for platforms not named. Where spend is beyond that, or the day will end beyond
    it with more than `alarm_probability`, a stop is put before people. `reporting_delay_hours`: how late a
    platform may report what is spent; an hour is settled, and judged, once so much time lies behind it.
    """

    overdelivery: dict[
        Literal["meta", "google_ads", "tiktok", "linkedin"], Annotated[float, Field(ge=0.0, le=2.0)]
    ] = {"meta": 0.75, "google_ads": 1.0, "linkedin": 0.5}
    reporting_delay_hours: dict[
        Literal["meta", "google_ads", "tiktok", "linkedin"], Annotated[float, Field(ge=0.0, le=24.0)]
    ] = {"meta": 0.25, "google_ads": 3.0, "tiktok": 1.0, "linkedin": 1.0}
    alarm_probability: Annotated[float, Field(ge=0.9, lt=1.0)] = 0.9
