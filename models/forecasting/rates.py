"""The rate model: what a lever's dollar buys, learnt from daily sums, pooled to its track.

Here: fitting spend per day, impressions per dollar, clicks per dollar and conversions per click, with
spend response, weekdays, late conversions and events. Not here: drawing from it (`draws`), budgets
(`levers`), scoring (`accuracy`).

CTR enters as clicks per dollar (= 1000 · CTR / CPM): wherever clicks are what is paid for, CPM and CTR
move together and their errors cancel, which two separate models could not know. CTR is recovered as
clicks per dollar over impressions per dollar, and 1 / (clicks per dollar · CVR) is the CAC identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import IntEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.forecasting.delay import Completion, completion_so_far
from models.forecasting.dynamics import Level, also_uncertain, candidates, filter_level
from models.forecasting.events import (
    ComingEvent,
    Event,
    EventEvidence,
    coming,
    event_effect,
    ordinary_days,
)
from models.forecasting.panel import FloatArray, IntArray, Panel
from models.forecasting.response import WEEK, spend_factor, spend_slope, usual_spend, weekday_effects
from models.response_curves import held_inside


class Link(IntEnum):
    """The rates in a chain; each is a numerator over an exposure."""

    SPEND = 0
    IMPRESSIONS = 1
    CLICKS = 2
    SIGNUPS = 3


DISPERSIONS = {
    Link.SPEND: (0.0,),
    Link.IMPRESSIONS: (0.0, 0.25, 1.0, 2.5),
    Link.CLICKS: (0.0, 0.25, 1.0, 2.5),
    Link.SIGNUPS: (0.25, 1.0, 2.5),
}
"""Candidate count variances over the mean. Money has no counting noise, nor have clicks where they are what
is paid for. Conversions always have: less than Poisson only where many count a fraction each."""
_BETWEEN_PRIOR_SD = 0.5
_BETWEEN_PRIOR_LEVERS = 3.0


@dataclass(frozen=True)
class RateModel:
    """Fitted rates of every series of a panel; arrays are aligned with `series`.

    Attributes:
        series: KEYS, sorted.
        next_day: first day that can be forecast.
        track: index into `tracks` per series; levers of a track share shocks.
        levels: one per Link, at usual spend on an average weekday.
        slopes: of each log rate on log spend, shape (links, series); 0 for SPEND.
        weekdays: log effects, shape (links, series, 7), Monday first.
        usual: dollars per day the slopes refer to, shape (series,).
        score_multiplier: what scores move signups per dollar by before a series has run, shape (series,).
        known: whether anything at all is known of a link, per Link; else forecasts are NaN.
        coming_events: what events that have not ended do to the rates of their days.
    """

    series: pl.DataFrame
    next_day: date
    track: IntArray
    tracks: tuple[str, ...]
    levels: tuple[Level, ...]
    slopes: FloatArray
    weekdays: FloatArray
    usual: FloatArray
    score_multiplier: FloatArray
    known: tuple[bool, ...]
    coming_events: tuple[ComingEvent, ...] = ()

    @property
    def elasticity(self) -> FloatArray:
        """d log(signups) / d log(spend) per series, in (0, 1]."""
        total: FloatArray = 1.0 + self.slopes[Link.CLICKS] + self.slopes[Link.SIGNUPS]
        return np.clip(total, 0.05, 1.0)


def fit_rates(
    panel: Panel,
    *,
    maturity_days: int | Mapping[tuple[str, str], int],
    elasticity: float,
    completion: Completion | None = None,
    events: Sequence[Event] = (),
    history: Panel | None = None,
    curves: pl.DataFrame | None = None,
    multipliers: pl.DataFrame | None = None,
) -> RateModel:
    """Fit the four links.

    Args:
        panel: daily sums before the as-of day.
        maturity_days: without `completion`, conversions of the last so many days are still arriving and
            are not used; one number, or one per (platform, account_id).
        elasticity: prior mean of d log(signups) / d log(spend); two thirds of the loss is laid on
            clicks per dollar (dearer auctions), one third on conversions per click.
        completion: what share of each day's conversions is known so far (`completion_so_far`): a young
            day counts with that share of its clicks. Slopes and weekdays are learnt from matured days.
        events: the calendar; days of an event do not move the level, and coming ones get its effect.
        curves: platform, account_id, lever_id (unique), cluster, elasticity_mean: series with a curve answer
            to spend as their cluster does. What of it lies in clicks per dollar is learnt from the cluster,
            the rest is laid on conversions per click. Others learn both from their account.
        multipliers: of `models.ranking.multipliers.lever_multipliers`: a series starts from its track's rate
            times its multiplier, and its own days take over from there; None: nothing is scored.
        history: where earlier events are looked for, if not in `panel`: a longer panel of the same accounts
            that ends on the same day, its series as coarse as whole tracks.
    Raises:
        ValueError: negative maturity, elasticity outside (0, 1], a history that ends on another day.
    """
    if not 0.0 < elasticity <= 1.0:
        raise ValueError(f"elasticity must lie in (0, 1], found {elasticity}")
    if history is not None and history.next_day != panel.next_day:
        raise ValueError(f"history ends before {history.next_day}, the panel before {panel.next_day}")
    completion = completion or completion_so_far(panel, maturity_days)
    used, settled = (completion.share > 0).astype(float), completion.settled
    ordinary = ordinary_days(panel, events)
    group_spend = _mean_spend(panel)
    usual = usual_spend(panel.cost, group_spend)
    pool, answers = _curves(panel, curves, elasticity)
    loss = 1.0 - answers
    first_weekday = panel.first_day.weekday()

    promised = _promised(panel, multipliers)

    slopes = np.zeros((len(Link), panel.series.height))
    weekdays = np.zeros((len(Link), panel.series.height, WEEK))
    ahead = coming(panel, events)
    effects = np.zeros((2, len(ahead), len(Link), panel.series.height))
    levels, known = [], []
    chain = (
        (Link.SPEND, panel.cost, _days_alive(panel.cost), np.zeros_like(loss)),
        (Link.IMPRESSIONS, panel.impressions, panel.cost, -2.0 * loss / 3.0),
        (Link.CLICKS, panel.clicks, panel.cost, -2.0 * loss / 3.0),
        # A day without exposure teaches nothing, and the level drifts on through it to today.
        (Link.SIGNUPS, panel.conversions * used, panel.clicks * completion.share, -loss / 3.0),
    )
    for link, all_counts, all_exposure, prior_slope in chain:
        telling = ordinary * (settled if link is Link.SIGNUPS else 1.0)
        if link is not Link.SPEND:
            slopes[link] = spend_slope(
                all_counts * telling, all_exposure * telling, panel.cost, pool, prior_slope
            )
            if curves is not None:
                slopes[link] = _on_curve(link, slopes, loss, pool >= panel.account.size)
            all_exposure = all_exposure * spend_factor(panel.cost, usual[:, None], slopes[link][:, None])
        weekdays[link] = weekday_effects(
            all_counts * telling, all_exposure * telling, first_weekday, panel.account
        )
        days = (first_weekday + np.arange(panel.days)) % WEEK
        all_exposure = all_exposure * np.exp(weekdays[link][:, days])
        if ahead:
            evidence = EventEvidence(panel, all_counts, all_exposure, ordinary)
            if history is not None:
                evidence = _evidence(link, history, panel, completion, slopes[link], weekdays[link], events)
            for index, event in enumerate(ahead):
                effects[:, index, link] = event_effect(event, events, panel, evidence)
        counts, exposure = all_counts * ordinary, all_exposure * ordinary
        known.append(bool(exposure.sum() > 0 and (link is Link.SIGNUPS or counts.sum() > 0)))
        unsure = completion.log_sd if link is Link.SIGNUPS else np.zeros_like(exposure)
        level = _level(link, panel, counts, exposure * np.exp(promised[link])[:, None], unsure)
        levels.append(replace(level, log_rate=level.log_rate + promised[link]))

    tracks = tuple(panel.series["track"].unique().sort().to_list())
    return RateModel(
        series=panel.series,
        next_day=panel.next_day,
        track=np.searchsorted(np.asarray(tracks, dtype=str), panel.series["track"].to_numpy().astype(str)),
        tracks=tracks,
        levels=tuple(levels),
        slopes=slopes,
        weekdays=weekdays,
        usual=usual,
        score_multiplier=np.exp(promised.sum(axis=0)),
        known=tuple(known),
        coming_events=tuple(
            ComingEvent(event, effects[0, index], effects[1, index]) for index, event in enumerate(ahead)
        ),
    )


def _promised(panel: Panel, multipliers: pl.DataFrame | None) -> FloatArray:
    """Log multiplier of each link and series, shape (links, series): CTR moves clicks, CVR signups."""
    promised = np.zeros((len(Link), panel.series.height))
    if multipliers is not None:
        keys = ["platform", "account_id", "lever_id"]
        rows = panel.series.join(multipliers, on=keys, how="left", maintain_order="left")
        for link, name in ((Link.CLICKS, "ctr_multiplier"), (Link.SIGNUPS, "cvr_multiplier")):
            promised[link] = rows[name].log().fill_null(0.0).to_numpy()
    return promised


def _curves(panel: Panel, curves: pl.DataFrame | None, elasticity: float) -> tuple[IntArray, FloatArray]:
    """Who learns slopes together, and the elasticity of each series, (series,).

    A series without a curve is pooled with its account; codes of clusters lie beyond all accounts'.
    """
    if curves is None:
        return panel.account, np.full(panel.series.height, elasticity)
    keys = ["platform", "account_id", "lever_id"]
    rows = panel.series.join(
        curves.select(*keys, "cluster", "elasticity_mean"), on=keys, how="left", maintain_order="left"
    )
    names = {name: index for index, name in enumerate(rows["cluster"].drop_nulls().unique().sort())}
    codes = [
        account if cluster is None else panel.account.size + names[cluster]
        for account, cluster in zip(panel.account.tolist(), rows["cluster"], strict=True)
    ]
    answers = rows["elasticity_mean"].fill_null(elasticity).to_numpy()
    return np.array(codes, dtype=np.int64), held_inside(answers)


def _on_curve(link: Link, slopes: FloatArray, loss: FloatArray, has_curve: NDArray[np.bool_]) -> FloatArray:
    """Slopes of a link, so that those of clicks and of conversions add up to the curve's, neither above 0."""
    learnt: FloatArray = slopes[link]
    if link is Link.CLICKS:
        return np.where(has_curve, np.maximum(learnt, -loss), learnt)
    if link is Link.SIGNUPS:
        return np.where(has_curve, np.minimum(-loss - slopes[Link.CLICKS], 0.0), learnt)
    return learnt


def _level(link: Link, panel: Panel, counts: FloatArray, exposure: FloatArray, log_sd: FloatArray) -> Level:
    """The level of one link; `log_sd` is how unsure the log exposure of each day is.

    The filter runs once more with every exposure one standard deviation lower: what that moves the level is
    the standard deviation the exposures give it if they err together, an upper bound.
    """
    prior_rate, prior_variance = _parents(counts, exposure, panel.account, panel.group)
    grid = candidates(DISPERSIONS[link])
    # Spend is decided: how well its past was foreseen promises nothing of what will be decided next.
    calibrated = link is not Link.SPEND
    level = filter_level(
        counts, exposure, prior_rate, prior_variance, panel.account, grid, calibrated=calibrated
    )
    if not log_sd.any():
        return level
    lower = exposure * np.exp(-log_sd)
    shifted = filter_level(
        counts, lower, prior_rate, prior_variance, panel.account, grid, calibrated=calibrated
    )
    return also_uncertain(level, shifted.log_rate - level.log_rate)


def _evidence(
    link: Link,
    history: Panel,
    panel: Panel,
    completion: Completion,
    slope: FloatArray,
    weekday: FloatArray,
    events: Sequence[Event],
) -> EventEvidence:
    """One link over the history, with the spend response, weekdays and delays of the panel's accounts."""
    share = np.zeros((history.series.height, history.days))
    slopes, weekdays = np.zeros((history.series.height, 1)), np.zeros((history.series.height, WEEK))
    rows = panel.series.select("platform", "account_id").rows()
    both = min(history.days, panel.days)
    for row, account in enumerate(history.series.select("platform", "account_id").rows()):
        own = [index for index, key in enumerate(rows) if key == account]
        if own:
            share[row] = 1.0
            share[row, history.days - both :] = completion.share[own[0], panel.days - both :]
            slopes[row], weekdays[row] = slope[own[0]], weekday[own].mean(axis=0)
    counts, exposure = {
        Link.SPEND: (history.cost, _days_alive(history.cost)),
        Link.IMPRESSIONS: (history.impressions, history.cost),
        Link.CLICKS: (history.clicks, history.cost),
        Link.SIGNUPS: (history.conversions * (share > 0), history.clicks * share),
    }[link]
    usual = usual_spend(history.cost, _mean_spend(history))
    if link is not Link.SPEND:
        exposure = exposure * spend_factor(history.cost, usual[:, None], slopes)
    days = (history.first_day.weekday() + np.arange(history.days)) % WEEK
    return EventEvidence(
        history, counts, exposure * np.exp(weekdays[:, days]), ordinary_days(history, events)
    )


def _days_alive(cost: FloatArray) -> FloatArray:
    """1 from the first day with spend on: a lever not yet launched says nothing about its spend."""
    alive: FloatArray = (cost.cumsum(axis=1) > 0).astype(float)
    return alive


def _mean_spend(panel: Panel) -> FloatArray:
    """Mean dollars per lever and day with spend in each series' group: the fallback for a new lever."""
    mean = np.zeros(panel.series.height)
    for member in np.unique(panel.group):
        inside = panel.group == member
        days = int((panel.cost[inside] > 0).sum())
        mean[inside] = panel.cost[inside].sum() / max(days, 1)
    return mean


def _parents(
    counts: FloatArray, exposure: FloatArray, account: IntArray, group: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Each series' parent rate and the variance of log rates around it.

    Rates are ratios of sums, nested (all → account → track) with one count's worth of the level
    above, so a track without conversions still has a positive rate. The variance is the method of
    moments over the track's levers beyond counting noise, shrunk to _BETWEEN_PRIOR_SD².
    """
    total, exposed = counts.sum(axis=1), exposure.sum(axis=1)
    overall = (total.sum() + 0.5) / exposed.sum() if exposed.sum() > 0 else 1.0
    rate = np.full(total.size, overall)
    for codes in (account, group):
        above = rate.copy()
        for member in np.unique(codes):
            inside = codes == member
            rate[inside] = (total[inside].sum() + 1.0) / (exposed[inside].sum() + 1.0 / above[inside][0])
    variance = np.full(total.size, _BETWEEN_PRIOR_SD**2)
    for member in np.unique(group):
        inside = (group == member) & (exposed > 0)
        if inside.sum() < 2:
            continue
        weight = total[inside] / (1.0 + _BETWEEN_PRIOR_SD**2 * total[inside])
        deviation = np.log((total[inside] + 0.5) / (exposed[inside] * rate[inside] + 0.5))
        sampling = 1.0 / (total[inside] + 0.5)
        if weight.sum() <= 0:
            continue
        between = max(float((weight * (deviation**2 - sampling)).sum() / weight.sum()), 0.0)
        levers = float(weight.sum() ** 2 / (weight**2).sum())
        variance[group == member] = (_BETWEEN_PRIOR_LEVERS * _BETWEEN_PRIOR_SD**2 + levers * between) / (
            _BETWEEN_PRIOR_LEVERS + levers
        )
    return rate, np.clip(variance, 0.05**2, 1.0)
