"""What each lever's budget buys on each of the coming days: FORECAST_RESULTS.

Here: budgets around the one in force, quantiles of spend, impressions, clicks, signups, CAC by each count
and contribution margin. Not here: totals (`outlook`), which budget to choose (`models.bandits`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import polars as pl

from models.forecasting.book import BlockDay, LeverBook, draw_days, lever_book
from models.forecasting.draws import BLOCK, Draws, clumps
from models.forecasting.economics import Economics, EconomicsDraws, draw_economics
from models.forecasting.panel import KEYS, FloatArray
from models.forecasting.rates import Link, RateModel
from models.quantiles import quantile_rows

_CENT = Decimal("0.01")
_EARNED = ("platform_cac", "backend_cac", "incremental_cac", "contribution_margin")
METRICS = ("spend", "impressions", "clicks", "signups", "cac", *_EARNED)


def forecast_levers(
    model: RateModel,
    levers: pl.DataFrame,
    delivery: pl.DataFrame,
    as_of_date: date,
    *,
    cac_caps: Mapping[str, float],
    budget_multipliers: Sequence[float],
    horizon_days: int,
    delivery_mean: float,
    delivery_strength: float,
    draws: int,
    rng: np.random.Generator,
    economics: Economics | None = None,
) -> pl.DataFrame:
    """Forecast every lever at every multiple of its budget, as_of_date and the days after.

    Budgets of a lever share each draw's delivery, rates and luck and differ by what money changes:
    spend in proportion, clicks by (budget ratio)^(1 + slope of clicks per dollar), signups by
    (budget ratio)^elasticity. So more budget never spends less, draw by draw.

    Args:
        model: fitted on the days before `as_of_date`, with these levers in its panel.
        levers, delivery: see `lever_book`.
        cac_caps: dollars per signup, by track.
        budget_multipliers: positive; 1 is added if absent. Budgets are rounded to the cent, and
            multiples that round to the same budget are forecast once.
        horizon_days: target dates as_of_date … as_of_date + horizon_days - 1.
        delivery_mean, delivery_strength: prior share of budget spent, and its worth in days.
        rng: only its first integer is used, so the same seed gives the outlook the same paths.
        economics: of these levers, see `fit_economics`; without it CAC by platform, backend and
            incrementality and the contribution margin are NULL.
    Returns:
        FORECAST_RESULTS. Signups are reward-weighted at the mean incrementality, so that they can
        be compared with what is later observed. Quantiles of something never observed in any lever
        (no clicks anywhere) are NULL.
    Raises:
        ValueError: a track without a cap, a multiplier that is not positive, and as `lever_book`.
    """
    if any(multiplier <= 0 for multiplier in budget_multipliers):
        raise ValueError("budget multipliers must be positive")
    book = lever_book(
        model, levers, delivery, delivery_mean=delivery_mean, delivery_strength=delivery_strength
    )
    uncapped = sorted(set(book.levers["track"].unique()) - set(cac_caps))
    if uncapped:
        raise ValueError(f"no CAC cap for the tracks {uncapped}")
    multipliers = np.unique([*budget_multipliers, 1.0])
    budgets = _rounded_budgets(book, multipliers)
    # What the cent makes of a multiple: a budget of 3 cents has no multiple of 1.05.
    in_dollars = np.array(budgets, dtype=float).reshape(book.rows.size, multipliers.size)
    ratios = np.where(
        book.budget[:, None] > 0, in_dollars / np.where(book.budget > 0, book.budget, 1.0)[:, None], 1.0
    )
    caps = np.array([float(cac_caps[track]) for track in book.levers["track"]])
    shape = (book.rows.size, horizon_days, multipliers.size)
    quantiles = {metric: np.full((*shape, 3), np.nan) for metric in METRICS}
    within_cap = np.full(shape, np.nan)
    seed = int(rng.integers(2**62))
    earned: EconomicsDraws | None = None
    for block in draw_days(
        model,
        book,
        as_of_date,
        days=horizon_days,
        draws=draws,
        seed=seed,
        with_impressions=True,
    ):
        if economics is not None and block.day == 0:  # what a signup is worth does not change by the day
            first = int(block.positions[0])
            earned = draw_economics(
                economics, book.levers[block.positions].select(KEYS), first // BLOCK, draws, seed
            )
        _summarise(model, book, block, ratios[block.positions], caps, earned, quantiles, within_cap)
    scored = model.score_multiplier[book.rows]
    return _frame(book, as_of_date, multipliers, budgets, scored, quantiles, within_cap, draws)


def _rounded_budgets(book: LeverBook, multipliers: FloatArray) -> list[list[Decimal]]:
    """Budget of each lever and multiplier, to the cent; shape (levers, multipliers)."""
    return [
        [
            (Decimal(str(current)) * Decimal(str(float(multiplier)))).quantize(_CENT, ROUND_HALF_UP)
            if multiplier != 1.0
            else Decimal(str(current))
            for multiplier in multipliers
        ]
        for current in book.levers["current_budget"].to_list()
    ]


def _summarise(
    model: RateModel,
    book: LeverBook,
    block: BlockDay,
    ratios: FloatArray,
    caps: FloatArray,
    earned: EconomicsDraws | None,
    quantiles: dict[str, FloatArray],
    within_cap: FloatArray,
) -> None:
    """Write one block and day into the result arrays; `ratios` of budgets to the one in force, ascending."""
    at = block.positions, block.day
    rows = book.rows[block.positions]
    assert block.impressions is not None
    # Scaling by the budget does not change the order of draws, so these need one sort, not one a budget.
    for metric, values, slope in (
        ("spend", block.spend, np.zeros(rows.size)),
        ("impressions", block.impressions, model.slopes[Link.IMPRESSIONS, rows]),
        ("clicks", block.outcome.clicks, model.slopes[Link.CLICKS, rows]),
    ):
        scale = ratios ** (1.0 + slope[:, None])
        quantiles[metric][at] = scale[:, :, None] * quantile_rows(values)[:, None, :]
    if not (model.known[Link.CLICKS] and model.known[Link.SIGNUPS]):
        return
    dispersion = model.levels[Link.SIGNUPS].dispersion[rows]
    mean = clumps(block.outcome.signup_mean, dispersion, block.noise)
    unit = np.clip(dispersion, 0.05, 1.0).astype(np.float32)[:, None]
    share = ratios ** model.elasticity[rows][:, None]
    signups = np.zeros_like(mean)
    before = np.zeros(rows.size)
    for index in range(ratios.shape[1]):
        # Counts of a larger budget are those of the smaller one plus what the extra money adds.
        added = (share[:, index] - before).astype(np.float32)[:, None]
        signups += block.noise.poisson(mean * added / unit) * unit
        before = share[:, index]
        spend = block.spend * ratios[:, [index]].astype(np.float32)
        cac = _cac(spend, signups)
        quantiles["signups"][*at, index] = quantile_rows(signups)
        quantiles["cac"][*at, index] = quantile_rows(cac)
        within = (cac <= caps[block.positions].astype(np.float32)[:, None]).mean(axis=1)
        within_cap[*at, index] = within
        if earned is not None:
            for metric, values in zip(_EARNED, _earnings(earned, spend, signups), strict=True):
                quantiles[metric][*at, index] = quantile_rows(values)


def _earnings(earned: EconomicsDraws, spend: Draws, signups: Draws) -> Iterator[Draws]:
    """CAC by what platforms claim, the store books and advertising causes; then the contribution margin."""
    for per_signup in (earned.claimed, earned.booked, earned.caused):
        yield _cac(spend, signups * per_signup)
    yield signups * earned.contribution - spend


def _cac(spend: Draws, signups: Draws) -> Draws:
    """Dollars per signup, infinite where signups are none (as where nothing is spent) or unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        cac: Draws = np.where(signups > 0, spend / signups, np.float32(np.inf))
    return cac


def _frame(
    book: LeverBook,
    as_of_date: date,
    multipliers: FloatArray,
    budgets: list[list[Decimal]],
    scored: FloatArray,
    quantiles: dict[str, FloatArray],
    within_cap: FloatArray,
    draws: int,
) -> pl.DataFrame:
    n_levers, horizon, n_budgets = within_cap.shape
    repeat = horizon * n_budgets
    keys = {name: np.repeat(book.levers[name].to_numpy(), repeat) for name in KEYS}
    columns: dict[str, object] = {
        "target_date": [
            as_of_date + timedelta(days=day)
            for _ in range(n_levers)
            for day in range(horizon)
            for _ in range(n_budgets)
        ],
        "budget": pl.Series(
            [budget for of_lever in budgets for _ in range(horizon) for budget in of_lever],
            dtype=pl.Decimal(38, 9),
        ),
        "is_current_budget": np.tile(multipliers == 1.0, n_levers * horizon),
    }
    for metric in METRICS:
        for index, level in enumerate(("p10", "p50", "p90")):
            columns[f"{metric}_{level}"] = quantiles[metric][..., index].ravel()
    columns["p_cac_within_cap"] = within_cap.ravel()
    columns["score_multiplier"] = np.repeat(scored, repeat)
    frame = pl.DataFrame(
        {name: pl.Series(values, dtype=pl.String) for name, values in keys.items()} | columns,
        schema_overrides={"target_date": pl.Date},
    )
    measured = [name for name in frame.columns if name[-4:] in ("_p10", "_p50", "_p90")]
    return (
        frame.with_columns(
            pl.lit(as_of_date).alias("as_of_date"),
            pl.lit(draws, dtype=pl.Int64).alias("draws"),
            *(
                pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name)
                for name in [*measured, "p_cac_within_cap"]
            ),
        )
        # Of budgets that round to the same cent the one in force stays.
        .sort("is_current_budget", descending=True, maintain_order=True)
        .unique(
            ["platform", "account_id", "lever_id", "target_date", "budget"], keep="first", maintain_order=True
        )
        .sort(*KEYS, "target_date", "budget")
    )
