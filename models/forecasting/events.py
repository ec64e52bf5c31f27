"""Days unlike the others: what a sale or a holiday does to the rates, learnt from when it came before.

Here: which days of a panel belong to an event, the event's log effect on each rate, and its predictive for
the days still to come. Not here: the calendar itself (settings), the level on ordinary days (`dynamics`).

Event days are neither outliers nor ordinary days: they do not move the level. Each earlier occurrence gives
one log ratio of what happened to what the ordinary days around it would have given, because its days share
their luck. Per account and rate, with v_o the counting and day noise of occurrence o,
    y_o ~ N(β + u_o, v_o),   u_o ~ N(0, OCCURRENCE_SD²),   β ~ N(0, PRIOR_SD²),
and a coming occurrence has the predictive of β + u; one that has begun also knows its own days so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from models.forecasting.panel import FloatArray, IntArray, Panel

PRIOR_SD = 0.4
OCCURRENCE_SD = 0.2
"""How far one year's event differs from the same event in another year, on the log scale."""
DAY_SD = 0.1
SURROUNDING_DAYS = 14
FURTHEST_DAYS = 90
_DISPERSION = 2.0
_ACCOUNT = ("platform", "account_id")
_Ratio = tuple[float, float]


@dataclass(frozen=True)
class Event:
    """One occurrence of an event: days from first_day to last_day, both included; track None means all.

    Occurrences of one name teach about each other.
    """

    name: str
    first_day: date
    last_day: date
    track: str | None = None

    def __post_init__(self) -> None:
        if self.last_day < self.first_day:
            raise ValueError(f"event {self.name}: last day {self.last_day} is before {self.first_day}")


@dataclass(frozen=True)
class ComingEvent:
    """What an event that has not ended does to the log rates; arrays of shape (links, series).

    Attributes:
        event: the occurrence.
        effect: expected log effect, 0 where the event does not concern the series.
        log_sd: its standard deviation, common to all days of the occurrence.
    """

    event: Event
    effect: FloatArray
    log_sd: FloatArray

    def covers(self, day: date) -> bool:
        return self.event.first_day <= day <= self.event.last_day


def ordinary_days(panel: Panel, events: Sequence[Event]) -> FloatArray:
    """1 on days that belong to no event of the series' track, else 0; shape (series, days)."""
    ordinary = np.ones((panel.series.height, panel.days))
    for event in events:
        ordinary[np.ix_(concerned(panel, event), _columns(panel, event))] = 0.0
    return ordinary


def concerned(panel: Panel, event: Event) -> np.ndarray:
    """Whether the event concerns each series, shape (series,)."""
    if event.track is None:
        return np.ones(panel.series.height, dtype=bool)
    return (panel.series["track"] == event.track).to_numpy()


def coming(panel: Panel, events: Sequence[Event]) -> list[Event]:
    """Occurrences that have not ended before the first day that can be forecast, as far as forecasts look."""
    furthest = panel.next_day + timedelta(days=FURTHEST_DAYS)
    return [event for event in events if event.last_day >= panel.next_day and event.first_day < furthest]


@dataclass(frozen=True)
class EventEvidence:
    """One rate over a history that may be longer and coarser than the panel that is forecast.

    Attributes:
        panel: whose days and tracks these are.
        counts, exposure: shape (series, days), exposure adjusted for spend and weekday.
        ordinary: from `ordinary_days`.
    """

    panel: Panel
    counts: FloatArray
    exposure: FloatArray
    ordinary: FloatArray


def event_effect(
    event: Event, calendar: Sequence[Event], panel: Panel, evidence: EventEvidence
) -> tuple[FloatArray, FloatArray]:
    """Log effect of an occurrence on a rate and its standard deviation, each of shape (series,).

    Args:
        event: the occurrence to forecast.
        calendar: all occurrences; those of the same name and track are its evidence.
        panel: the series to forecast; what an account's series did together is learnt for all of them.
    """
    effect, log_sd = np.zeros(panel.series.height), np.zeros(panel.series.height)
    mine, theirs = concerned(panel, event), concerned(evidence.panel, event)
    kin = [other for other in calendar if (other.name, other.track) == (event.name, event.track)]
    accounts = np.array([":".join(key) for key in panel.series.select(_ACCOUNT).rows()])
    known = np.array([":".join(key) for key in evidence.panel.series.select(_ACCOUNT).rows()])
    for account in np.unique(accounts[mine]):
        found = {
            other: _log_ratio(other, np.flatnonzero(theirs & (known == account)), evidence) for other in kin
        }
        own = mine & (accounts == account)
        effect[own], variance = _predictive(found.pop(event), [one for one in found.values() if one])
        log_sd[own] = np.sqrt(variance)
    return effect, log_sd


def _predictive(begun: _Ratio | None, earlier: list[_Ratio]) -> tuple[float, float]:
    """Mean and variance of an occurrence's effect, from other occurrences and from its own days so far."""
    trusts = [1.0 / (variance + OCCURRENCE_SD**2) for _, variance in earlier]
    precision = 1.0 / PRIOR_SD**2 + sum(trusts)
    mean = sum(trust * ratio for trust, (ratio, _) in zip(trusts, earlier, strict=True)) / precision
    variance = 1.0 / precision + OCCURRENCE_SD**2
    if begun is None:
        return mean, variance
    gain = variance / (variance + begun[1])
    return mean + gain * (begun[0] - mean), (1.0 - gain) * variance


def _log_ratio(event: Event, rows: IntArray, evidence: EventEvidence) -> _Ratio | None:
    """Log of happened over expected on the event's days so far, and its variance; None where nothing tells.

    Expected at each series' own rate on the ordinary days up to SURROUNDING_DAYS before and after.
    """
    days = _columns(evidence.panel, event)
    if not days.size or not rows.size:
        return None
    first, last = (
        max(days[0] - SURROUNDING_DAYS, 0),
        min(days[-1] + SURROUNDING_DAYS + 1, evidence.panel.days),
    )
    usual = np.ix_(rows, np.arange(first, last))
    ordinary = evidence.ordinary[usual]
    exposed = (evidence.exposure[usual] * ordinary).sum(axis=1)
    counted = (evidence.counts[usual] * ordinary).sum(axis=1)
    telling = exposed > 0
    if not telling.any():
        return None
    on_event = np.ix_(rows[telling], days)
    exposure = evidence.exposure[on_event]
    expected = float((counted[telling] / exposed[telling] * exposure.sum(axis=1)).sum())
    happened = float(evidence.counts[on_event][exposure > 0].sum())
    if expected <= 0:
        return None
    counting = _DISPERSION * (1.0 / (happened + 0.5) + 1.0 / (float(counted[telling].sum()) + 0.5))
    day_luck = DAY_SD**2 * (1.0 / days.size + 1.0 / (last - first))
    return float(np.log((happened + 0.5) / (expected + 0.5))), counting + day_luck


def _columns(panel: Panel, event: Event) -> IntArray:
    """Columns of the panel that are days of the event."""
    first = max((event.first_day - panel.first_day).days, 0)
    last = min((event.last_day - panel.first_day).days, panel.days - 1)
    return np.arange(first, last + 1, dtype=np.int64)
