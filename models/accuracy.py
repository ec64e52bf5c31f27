"""How good the forecasts were: a rolling-origin backtest of the very model that forecasts.

Here: forecasts of the past as it stood then, the classic and the two naive methods beside them, and their
scores with block-bootstrap intervals. Not here: the model (`models.forecasting`) and the classic method
(`models.triangular`), which are used as they are.

Reading of "given actual spend": clicks and conversions are forecast knowing each day's spend over the
horizon, because a budget is what one decides; how well spend itself is forecast is scored apart. The
other methods get the same knowledge, or the comparison would only show that spend is informative:
    triangular     the classic method, see `models.triangular`,
    last_week      rate per dollar of the last seven days · actual spend,
    seasonal_mean  mean rate per dollar of the same weekday so far · actual spend of that day,
and a naive forecast's law is the point times the method's own past ratios actual / forecast at that
horizon, over all series and every earlier day whose horizon had ended. For spend both forecast dollars a day.

Three losses and their price: pinball at p10, p50 and p90, what the tables show; CRPS of all draws (of the
naive methods: of all those ratios), which sees the tails too; width, what an interval's coverage cost. The
classic method gives spend as one number, whose CRPS is its absolute error.
Nothing dated on or after an origin reaches a forecast made there, except the given spend. What levers knew
of their young days at an origin is not kept, so the backtest uses matured days only: the live forecast, which
also uses young days at the share that has come (`forecasting.delay`), knows more than what is scored here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.forecasting.draws import PathSampler, blocks, dispersed, noise_stream
from models.forecasting.events import Event
from models.forecasting.outcomes import day_outcome, median_rate
from models.forecasting.panel import FloatArray, IntArray, Panel, build_panel
from models.forecasting.rates import Link, RateModel, fit_rates
from models.quantiles import LEVELS, NAMES, quantile_rows
from models.scoring_rules import crps
from models.triangular import triangular_draws

METRICS = ("clicks", "conversions", "spend")
NAIVE = ("last_week", "seasonal_mean")
METHODS = ("aelp", "triangular", *NAIVE)
WEEK = 7
TRAFFIC_DAYS = 28
QUARTILES = 4
SCORES = {
    "platform": pl.String,
    "account_id": pl.String,
    "metric": pl.String,
    "horizon_days": pl.Int64,
    "as_of_date": pl.Date,
    "method": pl.String,
    "origins": pl.Int64,
    "forecasts": pl.Int64,
    "coverage": pl.Float64,
    "coverage_low": pl.Float64,
    "coverage_high": pl.Float64,
    "pinball": pl.Float64,
    "pinball_difference": pl.Float64,
    "pinball_difference_low": pl.Float64,
    "pinball_difference_high": pl.Float64,
    "crps": pl.Float64,
    "crps_difference": pl.Float64,
    "crps_difference_low": pl.Float64,
    "crps_difference_high": pl.Float64,
    "width": pl.Float64,
    "width_difference": pl.Float64,
    "width_difference_low": pl.Float64,
    "width_difference_high": pl.Float64,
    **{f"coverage_traffic_q{quartile + 1}": pl.Float64 for quartile in range(QUARTILES)},
}
SCHEMA = {
    "platform": pl.String,
    "account_id": pl.String,
    "metric": pl.String,
    "horizon_days": pl.Int64,
    "method": pl.String,
    "origin": pl.Int64,
    "series": pl.Int64,
    "traffic": pl.Float64,
    "actual": pl.Float64,
    "p10": pl.Float64,
    "p50": pl.Float64,
    "p90": pl.Float64,
    "crps": pl.Float64,
}


@dataclass(frozen=True)
class _Forecast:
    """Of every series: p10, p50, p90, shape (series, 3), and the CRPS of all draws, shape (series,)."""

    quantiles: FloatArray
    crps: FloatArray


def backtest_forecasts(
    daily: pl.DataFrame,
    as_of_date: date,
    *,
    maturity_days: int | Mapping[tuple[str, str], int],
    elasticity: float,
    rng: np.random.Generator,
    horizons: Sequence[int] = (7, 14),
    first_origin: int = 14,
    origin_spacing: int = WEEK,
    draws: int = 2000,
    given_spend: bool = True,
    events: Sequence[Event] = (),
    curves: Callable[[date], pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """Every forecast of the backtest beside what happened, one row each (SCHEMA).

    Args:
        daily: date, platform, account_id, track, lever_id, cost, impressions, clicks, conversions.
        as_of_date: rows from this day on are not used.
        maturity_days: as in the live forecast, for all accounts or by (platform, account_id). The model
            uses no conversion younger than this at an origin, and origins keep this far from the last
            day, so that every actual scored has matured. The other methods are handed matured counts
            up to the origin, which they could not have had: any error is in their favour.
        elasticity: prior of the live forecast.
        curves: response curves by lever as the live forecast of that morning would have had them, as in
            `fit_rates`; None: every lever answers by the prior.
        horizons: days ahead, summed.
        first_origin: days of matured history before the first forecast (expanding window).
        given_spend: False lets the naive methods forecast counts a day without knowing spend; the
            variant is reported beside, never instead.
        events: the calendar, as in the live forecast; it was known long before.
    Series without spend over the horizon are not scored for clicks and conversions (the answer is
    given away), series without spend in the week before not for spend.
    """
    seed = int(rng.integers(2**62))
    rows: list[pl.DataFrame] = []
    accounts = daily.select("platform", "account_id").unique().sort("platform", "account_id")
    for platform, account_id in accounts.iter_rows():
        own = daily.filter((pl.col("platform") == platform) & (pl.col("account_id") == account_id))
        panel = build_panel(own, as_of_date)
        maturity = maturity_days if isinstance(maturity_days, int) else maturity_days[platform, account_id]
        usable = panel.days - maturity
        for origin in range(first_origin + maturity, usable - min(horizons) + 1, origin_spacing):
            past = panel.before(origin)
            fitted = fit_rates(
                past,
                maturity_days=maturity,
                elasticity=elasticity,
                events=events,
                curves=None if curves is None else curves(past.next_day),
            )
            within = [horizon for horizon in horizons if origin + horizon <= usable]
            forecasts = {"aelp": _model_forecasts(fitted, panel, origin, within, draws, seed + origin)}
            classic = triangular_draws(
                past,
                panel.cost[:, origin : origin + max(within)],
                horizons=within,
                draws=draws,
                rng=np.random.default_rng((seed, origin)),
            )
            forecasts["triangular"] = {
                (metric, horizon): _scored(drawn, _actual(panel, metric, origin, horizon))
                for (metric, horizon), drawn in classic
            }
            for method in NAIVE:
                forecasts[method] = _naive_forecasts(method, panel, origin, within, given_spend, draws)
            for method, made in forecasts.items():
                for (metric, horizon), forecast in made.items():
                    rows.append(_scored_rows(panel, origin, horizon, metric, method, forecast))
    if not rows:
        return pl.DataFrame(schema=SCHEMA)
    return pl.concat(rows).select(list(SCHEMA)).cast(SCHEMA)  # type: ignore[arg-type]


def _scored(draws: NDArray[np.floating], actual: FloatArray) -> _Forecast:
    ordered = np.sort(draws, axis=1)
    return _Forecast(quantile_rows(ordered), crps(ordered, actual))


def _scored_rows(
    panel: Panel, origin: int, horizon: int, metric: str, method: str, forecast: _Forecast
) -> pl.DataFrame:
    actual = _actual(panel, metric, origin, horizon)
    if metric == "spend":
        scored = panel.cost[:, max(origin - WEEK, 0) : origin].sum(axis=1) > 0
    else:
        scored = _actual(panel, "spend", origin, horizon) > 0
    index = np.flatnonzero(scored)
    traffic = panel.clicks[:, max(origin - TRAFFIC_DAYS, 0) : origin].sum(axis=1)
    return panel.series.with_row_index("series")[index].select(
        "platform",
        "account_id",
        "series",
        metric=pl.lit(metric),
        horizon_days=pl.lit(horizon),
        method=pl.lit(method),
        origin=pl.lit(origin),
        traffic=pl.Series(traffic[index]),
        actual=pl.Series(actual[index]),
        p10=pl.Series(forecast.quantiles[index, 0]),
        p50=pl.Series(forecast.quantiles[index, 1]),
        p90=pl.Series(forecast.quantiles[index, 2]),
        crps=pl.Series(forecast.crps[index]),
    )


def _actual(panel: Panel, metric: str, origin: int, horizon: int) -> FloatArray:
    """What came over the horizon, shape (series,)."""
    came: FloatArray = _measure(panel, metric)[:, origin : origin + horizon].sum(axis=1)
    return came


def _measure(panel: Panel, metric: str) -> FloatArray:
    return {"clicks": panel.clicks, "conversions": panel.conversions, "spend": panel.cost}[metric]


# --- the model under test ---------------------------------------------------------------------------


def _model_forecasts(
    model: RateModel, panel: Panel, origin: int, horizons: Iterable[int], draws: int, seed: int
) -> dict[tuple[str, int], _Forecast]:
    """Forecasts of sums over each horizon, keyed by (metric, horizon)."""
    horizons, series = list(horizons), panel.series.height
    cells = [(metric, horizon) for metric in METRICS for horizon in horizons]
    actual = {cell: _actual(panel, cell[0], origin, cell[1]) for cell in cells}
    made = {cell: _Forecast(np.zeros((series, len(LEVELS))), np.zeros(series)) for cell in cells}
    first_weekday = model.next_day.weekday()
    for block, rows in blocks(np.arange(panel.series.height)):
        paths = PathSampler(model, rows, block, (Link.SPEND, Link.CLICKS, Link.SIGNUPS), draws, seed)
        counting = noise_stream(seed, block, 1)
        sums = {metric: np.zeros((rows.size, draws), dtype=np.float32) for metric in METRICS}
        for ahead in range(max(horizons)):
            weekday = (first_weekday + ahead) % WEEK
            deviations = paths.next_day()
            given = panel.cost[rows, origin + ahead] if origin + ahead < panel.days else np.zeros(rows.size)
            spend = np.repeat(given.astype(np.float32)[:, None], draws, axis=1)
            outcome = day_outcome(model, rows, weekday, spend, deviations, counting)
            dispersion = model.levels[Link.SIGNUPS].dispersion[rows]
            sums["clicks"] += outcome.clicks
            sums["conversions"] += dispersed(outcome.signup_mean, dispersion, counting)
            forecast = np.exp(deviations[Link.SPEND])
            forecast *= median_rate(model, Link.SPEND, rows, weekday).astype(np.float32)[:, None]
            sums["spend"] += forecast
            if ahead + 1 in horizons:
                for metric in METRICS:
                    cell = metric, ahead + 1
                    scored = _scored(sums[metric], actual[cell][rows])
                    made[cell].quantiles[rows], made[cell].crps[rows] = scored.quantiles, scored.crps
    return made


# --- naive methods ----------------------------------------------------------------------------------


def _naive_forecasts(
    method: str, panel: Panel, origin: int, horizons: Iterable[int], given_spend: bool, draws: int
) -> dict[tuple[str, int], _Forecast]:
    made = {}
    for metric in METRICS:
        counts = _measure(panel, metric)
        per_dollar = given_spend and metric != "spend"
        exposure = panel.cost if per_dollar else np.ones_like(panel.cost)
        half = 0.01 if metric == "spend" else 0.5
        for horizon in horizons:
            point = _naive_point(method, counts, exposure, origin, horizon)
            residuals = _past_residuals(method, counts, exposure, origin, horizon, half)
            # As many as the model draws, evenly through the residuals, which are far more in a large account.
            even = (np.arange(min(draws, residuals.size)) + 0.5) / min(draws, residuals.size)
            quantiles, ensemble = (
                np.maximum((point[:, None] + half) * np.exp(np.quantile(residuals, levels)) - half, 0.0)
                for levels in (LEVELS, even)
            )
            made[metric, horizon] = _Forecast(
                quantiles, crps(ensemble, _actual(panel, metric, origin, horizon))
            )
    return made


def _naive_point(
    method: str, counts: FloatArray, exposure: FloatArray, origin: int, horizon: int
) -> FloatArray:
    """Sum over the horizon from counts before `origin` and exposure over the horizon; shape (series,)."""
    ahead = exposure[:, origin : origin + horizon]
    overall = _ratio(counts[:, :origin].sum(axis=1), exposure[:, :origin].sum(axis=1), 0.0)
    if method == "last_week":
        week = slice(origin - WEEK, origin)
        rate = _ratio(counts[:, week].sum(axis=1), exposure[:, week].sum(axis=1), overall)
        ahead_sum: FloatArray = rate * ahead.sum(axis=1)
        return ahead_sum
    point = np.zeros(counts.shape[0])
    for day in range(ahead.shape[1]):
        same = slice((origin + day) % WEEK, origin, WEEK)
        rate = _ratio(counts[:, same].sum(axis=1), exposure[:, same].sum(axis=1), overall)
        point += rate * ahead[:, day]
    return point


def _ratio(numerator: FloatArray, denominator: FloatArray, fallback: FloatArray | float) -> FloatArray:
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1.0), fallback)


def _past_residuals(
    method: str, counts: FloatArray, exposure: FloatArray, origin: int, horizon: int, half: float
) -> FloatArray:
    """Log actual / forecast of every series and earlier day whose horizon ended by `origin`.

    Pooled over the account's series, which served the naive methods better than each series' own few.
    When no such day exists yet the longest shorter horizon that has one stands in (first origins).
    """
    for length in range(horizon, 0, -1):
        residuals = []
        for day in range(WEEK, origin - length + 1):
            forecast = _naive_point(method, counts, exposure, day, length)
            actual = counts[:, day : day + length].sum(axis=1)
            exposed = exposure[:, day : day + length].sum(axis=1) > 0
            residuals.append(np.log((actual + half) / (forecast + half))[exposed])
        if residuals and any(found.size for found in residuals):
            return np.concatenate(residuals)
    return np.zeros(1)


# --- scores -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scores:
    """Sums per origin, so that resampling origins is a weighted sum; each of shape (origins,)."""

    forecasts: FloatArray
    covered: FloatArray
    loss: FloatArray
    actual: FloatArray
    crps: FloatArray
    width: FloatArray


_LOSSES = {"loss": "pinball", "crps": "crps", "width": "width"}
"""What is compared as a share of the actual, and its column."""


def score_forecasts(
    forecasts: pl.DataFrame, as_of_date: date, *, rng: np.random.Generator, resamples: int = 2000
) -> pl.DataFrame:
    """FORECAST_ACCURACY: coverage, pinball loss, CRPS and width per account, metric, horizon and method.

    Pinball loss is averaged over p10, p50, p90 and forecasts, CRPS and width over forecasts, each as a share
    of the mean actual. Intervals
    resample whole origins in circular blocks as long as the horizon (overlapping horizons share days),
    the same resample for every method, so differences are paired. Traffic quartiles rank an account's
    forecasts by the clicks of the 28 days before them.

    Args:
        forecasts: from `backtest_forecasts`.
    """
    seed = int(rng.integers(2**62))
    results = []
    cells = ["platform", "account_id", "metric", "horizon_days"]
    for key, cell in forecasts.sort([*cells, "method", "origin", "series"]).group_by(
        cells, maintain_order=True
    ):
        horizon = int(str(key[3]))
        origins = cell["origin"].unique().sort().to_numpy()
        picks = _circular_blocks(origins.size, -(-horizon // WEEK), resamples, np.random.default_rng(seed))
        scores = {m: _sum_by_origin(cell.filter(pl.col("method") == m), origins) for m in METHODS}
        reference = {name: _share(scores["aelp"], name, picks) for name in _LOSSES}
        for method in METHODS:
            own = scores[method]
            coverage = own.covered[picks].sum(axis=1) / own.forecasts[picks].sum(axis=1)
            covered_low, covered_high = _interval(coverage)
            losses: dict[str, float] = {}
            for name, column in _LOSSES.items():
                losses |= _compared(column, _share(own, name, picks), reference[name])
            results.append(
                dict(zip(cells, key, strict=True))
                | {
                    "as_of_date": as_of_date,
                    "method": method,
                    "origins": origins.size,
                    "forecasts": int(own.forecasts.sum()),
                    "coverage": own.covered.sum() / own.forecasts.sum(),
                    "coverage_low": covered_low,
                    "coverage_high": covered_high,
                }
                | losses
                | _coverage_by_traffic(cell.filter(pl.col("method") == method))
            )
    return pl.DataFrame(results, schema=SCORES).with_columns(pl.selectors.float().fill_nan(None))


def forecast_accuracy(
    daily: pl.DataFrame,
    as_of_date: date,
    *,
    maturity_days: int | Mapping[tuple[str, str], int],
    elasticity: float,
    rng: np.random.Generator,
    events: Sequence[Event] = (),
    curves: Callable[[date], pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """Backtest every account and score it: `backtest_forecasts`, then `score_forecasts`.

    Accounts with less than three weeks of matured history have no row.
    """
    made = backtest_forecasts(
        daily,
        as_of_date,
        maturity_days=maturity_days,
        elasticity=elasticity,
        rng=rng,
        events=events,
        curves=curves,
    )
    return score_forecasts(made, as_of_date, rng=rng)


def _sum_by_origin(rows: pl.DataFrame, origins: IntArray) -> _Scores:
    actual = pl.col("actual")
    loss = pl.sum_horizontal(
        pl.max_horizontal(level * (actual - pl.col(name)), (level - 1.0) * (actual - pl.col(name)))
        for level, name in zip(LEVELS, NAMES, strict=True)
    ) / len(LEVELS)
    sums = (
        rows.group_by("origin")
        .agg(
            forecasts=pl.len(),
            covered=((actual >= pl.col("p10")) & (actual <= pl.col("p90"))).sum(),
            loss=loss.sum(),
            actual=actual.sum(),
            crps=pl.col("crps").sum(),
            width=(pl.col("p90") - pl.col("p10")).sum(),
        )
        .sort("origin")
    )
    assert sums["origin"].to_list() == origins.tolist()
    return _Scores(*(sums[name].cast(pl.Float64).to_numpy() for name in _Scores.__dataclass_fields__))


def _coverage_by_traffic(rows: pl.DataFrame) -> dict[str, float]:
    """Share of actuals inside p10-p90 by quartile of traffic; NaN where a quartile has no forecast."""
    ranked = rows.with_columns(
        inside=pl.col("actual").is_between(pl.col("p10"), pl.col("p90")),
        quartile=(pl.struct("traffic", "origin", "series").rank("ordinal").cast(pl.Int64) - 1)
        * QUARTILES
        // rows.height,
    )
    shares = dict(ranked.group_by("quartile").agg(pl.col("inside").mean()).iter_rows())
    return {
        f"coverage_traffic_q{quartile + 1}": shares.get(quartile, np.nan) for quartile in range(QUARTILES)
    }


def _compared(
    column: str, own: tuple[float, FloatArray], reference: tuple[float, FloatArray]
) -> dict[str, float]:
    """A method's loss and by how much it is larger than the reference's, each resample beside its own."""
    low, high = _interval(own[1] - reference[1])
    return {
        column: own[0],
        f"{column}_difference": own[0] - reference[0],
        f"{column}_difference_low": low,
        f"{column}_difference_high": high,
    }


def _share(scores: _Scores, name: str, picks: IntArray) -> tuple[float, FloatArray]:
    """A loss as a share of the actual, of all origins and per resample; NaN where nothing happened."""
    amount: FloatArray = getattr(scores, name)
    total = scores.actual.sum()
    happened = scores.actual[picks].sum(axis=1)
    some = happened > 0
    resampled = np.where(some, amount[picks].sum(axis=1) / np.where(some, happened, 1.0), np.nan)
    return float(amount.sum() / total) if total > 0 else np.nan, resampled


def _interval(values: FloatArray) -> tuple[float, float]:
    """2.5 % and 97.5 % of the resamples in which there was something to measure."""
    measured = values[~np.isnan(values)]
    if not measured.size:
        return np.nan, np.nan
    low, high = np.quantile(measured, (0.025, 0.975))
    return float(low), float(high)


def _circular_blocks(n: int, length: int, resamples: int, rng: np.random.Generator) -> IntArray:
    """Indices of resampled origins in circular blocks, shape (resamples, n)."""
    starts = rng.integers(0, n, size=(resamples, -(-n // length)))
    picks: IntArray = (starts[:, :, None] + np.arange(length)) % n
    return picks.reshape(resamples, -1)[:, :n]
