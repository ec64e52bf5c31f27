"""Is a media-mix model to be believed? Held-out weeks, refits and a channel that did nothing.

Here: one-step-ahead forecasts beside simple rivals, how far returns move without the newest weeks, a
placebo channel, next week's spend, which cannot have worked yet. Not here: what one fit tells of itself
(`diagnostics`), experiments, the models: fitting is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
import polars as pl

from models.mmm.baseline import Baseline, BaselinePrior, baseline
from models.mmm.posterior import MediaPosterior, linear_draws
from models.mmm.response import FloatArray, adstock_weights, lagged, saturated
from models.mmm.weeks import MediaWeeks
from models.scoring_rules import crps

PLACEBO = "placebo"
MOST_PLACEBO_SHARE = 0.01
"""A placebo fails where P(its share of the outcome > this) is at least 90 %, and higher than before any data:
the priors allow no effect below 0, so its median share is never 0, and where the weeks say little it keeps
theirs."""
MOST_MOVE = 1.0
"""Posterior standard deviations that a return may move when a few weeks are left out."""
MOST_LEAD = 2.5
"""t of next week's spend in this week's outcome above which spend is taken to follow the outcome."""
PLACEBO_BLOCK_WEEKS = 4
LOSS_BLOCK_WEEKS = 4
YEAR_WEEKS = 52
_RIDGE_RETENTIONS = (0.0, 0.2, 0.4, 0.6, 0.8)
_RIDGE_PENALTIES = tuple(np.logspace(-2, 3, 11))
_RIDGE_DRAWS = 1000
_LEAST_ERRORS = 8
_RESAMPLES = 2000


@dataclass(frozen=True)
class NextWeek:
    """What is known of a week before its outcome: dollars by channel, controls."""

    spend: FloatArray
    controls: FloatArray


Forecaster = Callable[[MediaWeeks, NextWeek, np.random.Generator], FloatArray]
"""Draws of the outcome of the week after the past ones, shape (draws,)."""


class Fitted(Protocol):
    """What the checks read of a fit."""

    @property
    def weeks(self) -> MediaWeeks: ...
    def return_on_spend(self) -> FloatArray: ...
    def contributions(self) -> FloatArray: ...


def hold_out(
    weeks: MediaWeeks, last: int, forecasters: Mapping[str, Forecaster], rng: np.random.Generator
) -> pl.DataFrame:
    """Forecasts of each of the last weeks, made from the weeks before it and its own spend and controls.

    Returns:
        A row per week and method: first_day, method, actual, p10, p50, p90, crps (outcome units),
        percentage_error (of the p50, absolute; null where nothing came), inside (of p10–p90).

    Raises:
        ValueError: no week is left to learn from.
    """
    if not 0 < last < weeks.number:
        raise ValueError(f"{last} weeks to hold out of {weeks.number}")
    rows = []
    for at in range(weeks.number - last, weeks.number):
        past, ahead = weeks.before(at), NextWeek(weeks.spend[at], weeks.controls[at])
        actual = float(weeks.outcome[at])
        for method, forecaster in forecasters.items():
            drawn = np.sort(forecaster(past, ahead, rng))
            low, middle, high = (float(value) for value in np.quantile(drawn, (0.1, 0.5, 0.9)))
            rows.append(
                {
                    "first_day": weeks.days[at],
                    "method": method,
                    "actual": actual,
                    "p10": low,
                    "p50": middle,
                    "p90": high,
                    "crps": float(crps(drawn[None, :], np.array([actual]))[0]),
                    "percentage_error": abs(middle - actual) / actual if actual else None,
                    "inside": low <= actual <= high,
                }
            )
    return pl.DataFrame(rows)


def score_hold_out(forecasts: pl.DataFrame, ours: str, rng: np.random.Generator) -> pl.DataFrame:
    """A row per method of `hold_out`.

    Returns:
        method, crps, mape, coverage (share inside p10–p90, 80 % wanted), and our mean crps less the method's
        with a 95 % interval that resamples blocks of weeks: difference, difference_low, difference_high
        (below 0: ours is better; 0 for our own row).
    """
    methods = forecasts["method"].unique(maintain_order=True).to_list()
    losses = {method: forecasts.filter(pl.col("method") == method)["crps"].to_numpy() for method in methods}
    scores = forecasts.group_by("method", maintain_order=True).agg(
        pl.col("crps").mean(),
        pl.col("percentage_error").mean().alias("mape"),
        pl.col("inside").mean().alias("coverage"),
    )
    gaps = [losses[ours] - losses[method] for method in methods]
    ends = np.array([block_interval(gap, rng) for gap in gaps])
    return scores.with_columns(
        difference=pl.Series([float(gap.mean()) for gap in gaps]),
        difference_low=pl.Series(ends[:, 0]),
        difference_high=pl.Series(ends[:, 1]),
    )


def block_interval(values: FloatArray, rng: np.random.Generator) -> tuple[float, float]:
    """95 % interval of a mean over weeks that resamples blocks of LOSS_BLOCK_WEEKS, wrapping around."""
    number = values.size
    starts = rng.integers(0, number, size=(_RESAMPLES, -(-number // LOSS_BLOCK_WEEKS)))
    drawn = ((starts[..., None] + np.arange(LOSS_BLOCK_WEEKS)) % number).reshape(_RESAMPLES, -1)
    low, high = np.quantile(values[drawn[:, :number]].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def posterior_forecaster(fit: Callable[[MediaWeeks], MediaPosterior], prior: BaselinePrior) -> Forecaster:
    """Fits the past weeks anew for each forecast; `prior` is the one `fit` uses."""

    def forecast(past: MediaWeeks, ahead: NextWeek, rng: np.random.Generator) -> FloatArray:
        return next_outcome(fit(past), prior, ahead, rng)

    return forecast


def next_outcome(
    posterior: MediaPosterior, prior: BaselinePrior, ahead: NextWeek, rng: np.random.Generator
) -> FloatArray:
    """Draws of the outcome of the week after the fitted ones, shape (draws,).

    The baseline's columns are laid out over the fitted weeks and the next (the drift's depend on the range),
    and its coefficients drawn again given the fitted weeks.
    """
    past = posterior.weeks
    longer = _with_week(past, ahead)
    columns = baseline(longer, prior)
    fitted = replace(posterior, columns=Baseline(columns.names, columns.columns[:-1]))
    drawn = linear_draws(fitted, rng)
    level = drawn.coefficients @ columns.columns[-1]
    recent = lagged(longer.spend / past.spend_scale, posterior.lags)[-1]
    stock = np.einsum("dcl,cl->dc", posterior.carry_over(), recent)
    media = (posterior.effect * saturated(posterior.saturation, stock, posterior.media)).sum(axis=1)
    left = (past.outcome[-1] - drawn.expected()[:, -1]) / past.outcome_scale
    noise = posterior.memory * left + posterior.noise * rng.standard_normal(posterior.draws)
    found: FloatArray = past.outcome_scale * (level + media + noise)
    return found


def seasonal_naive(past: MediaWeeks, ahead: NextWeek, rng: np.random.Generator) -> FloatArray:
    """The same week of last year where there is one, else last week, plus each error this made before.

    With fewer than eight errors of the year's lag, those of last week's stand in.
    """
    lag = YEAR_WEEKS if past.number >= YEAR_WEEKS else 1
    errors = past.outcome[lag:] - past.outcome[:-lag]
    if errors.size < _LEAST_ERRORS:
        errors = np.diff(past.outcome) if past.number > 1 else np.zeros(1)
    found: FloatArray = past.outcome[-lag] + errors
    return found


def ridge_adstock(past: MediaWeeks, ahead: NextWeek, rng: np.random.Generator) -> FloatArray:
    """Linear ridge on carried-over spend (one retention), controls, trend and the year, both chosen by
    generalised cross-validation (Golub, Heath & Wahba 1979); Gaussian errors."""
    best: tuple[float, float, float] | None = None
    longer = _with_week(past, ahead)
    for retention in _RIDGE_RETENTIONS:
        columns = _ridge_columns(longer, retention)
        centre, spread = columns[:-1].mean(axis=0), columns[:-1].std(axis=0)
        scaled = (columns - centre) / np.where(spread > 0, spread, 1.0)
        level = float(past.outcome.mean())
        left, singular, turn = np.linalg.svd(scaled[:-1], full_matrices=False)
        seen, new = left.T @ (past.outcome - level), turn @ scaled[-1]
        for penalty in _RIDGE_PENALTIES:
            kept = singular**2 / (singular**2 + penalty)
            freedom = past.number - 1 - kept.sum()
            if freedom <= 1:
                continue
            residual = past.outcome - level - left @ (kept * seen)
            squares = float(residual @ residual)
            score = squares / freedom**2
            if best is None or score < best[0]:
                shrunk = singular / (singular**2 + penalty)
                stretch = 1.0 + 1.0 / past.number + float(((new * shrunk) ** 2).sum())
                best = (score, level + float(new @ (shrunk * seen)), squares / freedom * stretch)
    if best is None:
        raise ValueError(f"{past.number} weeks are too few for a ridge of {longer.spend.shape[1]} channels")
    found: FloatArray = best[1] + np.sqrt(best[2]) * rng.standard_normal(_RIDGE_DRAWS)
    return found


def refit_stability(
    weeks: MediaWeeks, fit: Callable[[MediaWeeks], Fitted], left_out: Sequence[int] = (1, 2, 3, 4)
) -> pl.DataFrame:
    """How far each channel's return moves when the newest weeks are left out.

    Returns:
        A row per channel and number of weeks left out: channel, left_out, roas_p50, moved (from the median
        with all weeks, in that fit's standard deviations), stable (at most MOST_MOVE).
    """
    whole = fit(weeks).return_on_spend()
    middle, spread = np.median(whole, axis=0), whole.std(axis=0)
    parts = []
    for number in left_out:
        without = np.median(fit(weeks.before(weeks.number - number)).return_on_spend(), axis=0)
        moved = np.abs(without - middle) / np.where(spread > 0, spread, 1.0)
        parts.append(
            pl.DataFrame(
                {
                    "channel": list(weeks.channels),
                    "left_out": [number] * len(weeks.channels),
                    "roas_p50": without,
                    "moved": moved,
                    "stable": moved <= MOST_MOVE,
                }
            )
        )
    return pl.concat(parts)


AnyFit = TypeVar("AnyFit", bound=Fitted)


@dataclass(frozen=True)
class Placebo:
    """Share of the whole outcome that a model credits to a channel which did nothing; believed_p10 is its
    10 % quantile before any data."""

    share_p10: float
    share_p50: float
    share_p90: float
    believed_p10: float = 0.0

    @property
    def passed(self) -> bool:
        return self.share_p10 < max(MOST_PLACEBO_SHARE, self.believed_p10)


def placebo_check(
    weeks: MediaWeeks,
    fit: Callable[[MediaWeeks], AnyFit],
    rng: np.random.Generator,
    believed: Callable[[AnyFit], Fitted] | None = None,
) -> Placebo:
    """Fit with a placebo channel beside the real ones, and what it was credited with.

    Args:
        believed: the fit as it was before any data; None: the priors expect nothing of a channel.
    """
    fitted = fit(with_placebo(weeks, rng))
    low, middle, high = (float(value) for value in np.quantile(_placebo_share(fitted), (0.1, 0.5, 0.9)))
    before = 0.0 if believed is None else float(np.quantile(_placebo_share(believed(fitted)), 0.1))
    return Placebo(low, middle, high, before)


def _placebo_share(fitted: Fitted) -> FloatArray:
    at = fitted.weeks.channels.index(PLACEBO)
    found: FloatArray = fitted.contributions()[:, :, at].sum(axis=1) / max(
        float(fitted.weeks.outcome.sum()), 1e-12
    )
    return found


def lead_check(weeks: MediaWeeks, prior: BaselinePrior) -> pl.DataFrame:
    """Does next week's spend "explain" this week's outcome? Then budgets follow sales, and a model that
    takes them as given credits channels with what moved them.

    Least squares of the outcome on the baseline and each channel's logged spend of this week and of the past
    (retention 0.5); what is left on the next week's logged spend, one channel at a time, with errors that
    allow for autocorrelation up to four weeks (Newey & West 1987). Demand that moves spend within the week
    only is not seen.

    Returns:
        channel, t, follows (t above MOST_LEAD).

    Raises:
        ValueError: the weeks are no more than the columns.
    """
    spending = np.maximum((weeks.spend > 0).sum(axis=0), 1)
    usual = np.maximum(weeks.spend.sum(axis=0) / spending, 1e-12)
    weights = adstock_weights("geometric", {"retention": np.array([0.0, 0.5])}, 8)
    past = np.log1p(lagged(weeks.spend, 8) @ weights.T / usual[:, None]).reshape(weeks.number, -1)
    columns = np.hstack([baseline(weeks, prior).columns, past])[:-1]
    freedom = columns.shape[0] - columns.shape[1] - 1
    if freedom < 1:
        raise ValueError(f"{weeks.number} weeks are too few for {columns.shape[1]} columns")
    axes = np.linalg.qr(columns)[0]
    outcome, lead = (
        values - axes @ (axes.T @ values)
        for values in (weeks.outcome[:-1], np.log1p(weeks.spend[1:] / usual))
    )
    found = np.array([_lead_t(outcome, lead[:, at], freedom) for at in range(lead.shape[1])])
    return pl.DataFrame({"channel": list(weeks.channels), "t": found, "follows": found > MOST_LEAD})


def with_placebo(weeks: MediaWeeks, rng: np.random.Generator) -> MediaWeeks:
    """The same weeks and one more channel: the spend of a channel drawn at random, its blocks of four weeks
    shuffled, so that it keeps its size and much of its rhythm and has no part in the outcome.

    Raises:
        ValueError: a channel is called "placebo" already.
    """
    if PLACEBO in weeks.channels:
        raise ValueError("a channel of these weeks is called placebo")
    spending = np.flatnonzero(weeks.spend.sum(axis=0) > 0)
    source = weeks.spend[:, rng.choice(spending)]
    blocks = [source[at : at + PLACEBO_BLOCK_WEEKS] for at in range(0, weeks.number, PLACEBO_BLOCK_WEEKS)]
    shuffled = np.concatenate([blocks[at] for at in rng.permutation(len(blocks))])
    spend = np.column_stack([weeks.spend, shuffled])
    return replace(weeks, channels=(*weeks.channels, PLACEBO), spend=spend)


def _lead_t(outcome: FloatArray, lead: FloatArray, freedom: int) -> float:
    squares = float(lead @ lead)
    if squares < 1e-9 * lead.size:  # its course is the others' and the baseline's
        return 0.0
    slope = float(lead @ outcome) / squares
    score = lead * (outcome - slope * lead)
    spread = float(score @ score) + 2 * sum(
        (1 - lag / 5) * float(score[lag:] @ score[:-lag]) for lag in range(1, 5)
    )
    error = np.sqrt(max(spread, 1e-300) * score.size / freedom) / squares
    return float(slope / error)


def _with_week(past: MediaWeeks, ahead: NextWeek) -> MediaWeeks:
    """The past and a week whose outcome is not known: 0, and read by nobody."""
    return replace(
        past,
        spend=np.vstack([past.spend, ahead.spend]),
        outcome=np.append(past.outcome, 0.0),
        controls=np.vstack([past.controls, ahead.controls]),
    )


def _ridge_columns(weeks: MediaWeeks, retention: float) -> FloatArray:
    weights = adstock_weights("geometric", {"retention": np.array(retention)}, 8)
    stock = lagged(weeks.spend, 8) @ weights
    at = np.arange(weeks.number, dtype=float)
    angle = 2 * np.pi * np.outer(at * 7 / 365.25, (1, 2))
    return np.column_stack([stock, weeks.controls, at, np.sin(angle), np.cos(angle)])
