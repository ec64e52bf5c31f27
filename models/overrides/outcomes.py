"""What an override brought beside what was forecast of it and of the proposal, and what that says of the two.

Here: forecasts of both paths, the difference between them given what came, what all overrides of a kind come
to. Not here: which choices these are (`choices`).

Only the chosen path happened. With λ signups per dollar at the budget c in force, u the share of a budget
that is delivered and ε the elasticity, the forecast of a budget b over n days is, as the morning decided it,

    spend = b n u,    signups ~ Poisson(λ c n u (b/c)^ε),    contribution = m signups − spend.

λ is the morning's posterior, widened by how much a lever's rate moves from week to week. What came (y signups
for s dollars at the chosen budget h) then moves it, by the conjugate step

    λ | y ~ Gamma(shape + y, rate + s (h/c)^(ε−1)),

and the difference of the two choices is taken at the same λ, ε and delivery for both: the proposal is
credited with the good or bad week that really was, along the curve, and with no outcome of its own. The luck
of counting favours neither side. The window cannot tell the curve from the rate, so ε keeps its prior law,
one draw for all overrides: an error of the curve does not average away. What an edit costs while the platform
learns is left out, in favour of whoever edits.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.overrides.choices import KINDS, LEVER
from models.quantiles import NAMES, quantile_rows

FloatArray = NDArray[np.float64]

ENOUGH_OVERRIDES = 10
ENOUGH_MORNINGS = 5
"""Fewer say nothing: a morning's overrides share its luck."""
RATE_DEVIATION = 0.2
"""Of a week's signups per dollar around the four weeks before, as a share, luck of counts left out.

Measured at 0.19 to 0.21 over 201 lever-weeks of the simulated business.
"""
ELASTICITY_DEVIATION = 0.1
DELIVERY_DAYS = 14
PATHS = ("chosen", "proposed")
METRICS = ("signups", "spend", "contribution")
ALL = "all"


def judged_choices(standing: pl.DataFrame, days: pl.DataFrame) -> pl.DataFrame:
    """Choices all of whose days are matured, with what came: first_day, last_day, days, spend, signups.

    Args:
        standing: of `choices.standing_days`.
        days: rows of `reward_daily`. A day without a row had no delivery.
    """
    came = days.group_by(*LEVER, "date").agg(
        pl.col("cost", "reward").cast(pl.Float64).sum(), pl.col("is_matured").all()
    )
    matured = days.filter("is_matured").group_by("platform", "account_id")
    through = matured.agg(matured_through=pl.col("date").max())
    known = [name for name in standing.columns if name != "date"]
    return (
        standing.join(came, on=[*LEVER, "date"], how="left")
        .join(through, on=["platform", "account_id"])
        .sort("proposal_id", "date")
        .group_by(*known, "matured_through", maintain_order=True)
        .agg(
            first_day=pl.col("date").min(),
            last_day=pl.col("date").max(),
            days=pl.len().cast(pl.Int64),
            spend=pl.col("cost").sum(),
            signups=pl.col("reward").sum(),
            is_matured=pl.col("is_matured").fill_null(value=True).all(),
        )
        .filter("is_matured", pl.col("last_day") <= pl.col("matured_through"))
        .drop("is_matured", "matured_through")
        .sort("made_on", "proposal_id")
    )


def score_choices(
    judged: pl.DataFrame,
    beliefs: pl.DataFrame,
    days: pl.DataFrame,
    *,
    contributions: Mapping[str, float],
    elasticity: float,
    rng: np.random.Generator,
    draws: int = 2000,
) -> tuple[pl.DataFrame, FloatArray]:
    """Forecasts of both paths, what came, and the difference, a row per choice.

    Args:
        judged: of `judged_choices`.
        beliefs: as_of_date, platform, account_id, lever_id, posterior_shape, posterior_rate: of the mornings
            that were decided; choices without one are left out.
        days: rows of `reward_daily`; the delivery of the two weeks before a morning is read off them.
        contributions: dollars a signup brings before advertising, by track; other tracks are left out.
        elasticity: of signups on budget, in (0, 1).
    Returns:
        The choices with <path>_<metric>_p10/p50/p90 (both paths, METRICS), realised_<metric>,
        difference_p10/p50/p90 (dollars of contribution over the window, chosen less proposed) and p_ahead,
        P(difference > 0); and the difference's draws in dollars a day, shape (choices, draws).
    """
    worth = pl.col("track").replace_strict(dict(contributions), default=None, return_dtype=pl.Float64)
    rows = (
        judged.join(
            beliefs.select(*LEVER, "posterior_shape", "posterior_rate", made_on="as_of_date"),
            on=[*LEVER, "made_on"],
        )
        .with_columns(worth.alias("worth"))
        .filter(pl.col("worth").is_not_null(), pl.col("current_budget") > 0)
        .sort("made_on", "proposal_id")
    )
    curve = _elasticities(elasticity, rng, draws)
    current, span, worths = _column(rows, "current_budget"), _column(rows, "days"), _column(rows, "worth")
    shape = 1.0 / (1.0 / _column(rows, "posterior_shape") + RATE_DEVIATION**2)
    rate = shape * _column(rows, "posterior_rate") / _column(rows, "posterior_shape")
    delivered = _delivery(rows, days, rng, draws)
    at_current = current * span * delivered
    budgets = {path: _column(rows, f"{path}_budget") for path in PATHS}
    lift = {path: (budgets[path] / current) ** curve for path in PATHS}  # (choices, draws)

    before = rng.gamma(shape, size=(rows.height, draws)) / rate
    made = {}
    for path in PATHS:
        spend = budgets[path] * span * delivered
        signups = rng.poisson(before * at_current * lift[path]).astype(np.float64)
        for metric, drawn in zip(METRICS, (signups, spend, worths * signups - spend), strict=True):
            made[f"{path}_{metric}"] = quantile_rows(drawn)

    spent, came, chosen = _column(rows, "spend"), _column(rows, "signups"), budgets["chosen"]
    is_on = chosen > 0
    # A path that was paused showed nothing of the lever's delivery.
    shared = np.where(is_on, spent / np.where(is_on, chosen * span, 1.0), delivered)
    exposure = np.where(is_on, spent * np.where(is_on, chosen / current, 1.0) ** (curve - 1.0), 0.0)
    after = rng.gamma(shape + came, size=(rows.height, draws)) / (rate + exposure)
    untaken = after * current * span * shared * lift["proposed"]
    difference = worths * (after * exposure - untaken) - (spent - budgets["proposed"] * span * shared)
    made["difference"] = quantile_rows(difference)
    scored = rows.drop("worth", "posterior_shape", "posterior_rate").rename(
        {"spend": "realised_spend", "signups": "realised_signups"}
    )
    return scored.with_columns(
        pl.Series("realised_contribution", (worths * came - spent)[:, 0]),
        *(
            pl.Series(f"{metric}_{name}", values[:, place])
            for metric, values in made.items()
            for place, name in enumerate(NAMES)
        ),
        pl.Series("p_ahead", (difference > 0).mean(axis=1)),
    ), difference / span


def _column(rows: pl.DataFrame, name: str) -> FloatArray:
    """Shape (choices, 1), beside draws."""
    return rows[name].cast(pl.Float64).to_numpy()[:, None]


def _elasticities(mean: float, rng: np.random.Generator, draws: int) -> FloatArray:
    """Draws of ε: a beta law of that mean and `ELASTICITY_DEVIATION`, which keeps it in (0, 1)."""
    if not 0.0 < mean < 1.0:
        raise ValueError(f"elasticity must lie in (0, 1), found {mean}")
    # No law on (0, 1) is wider than sqrt(mean (1 - mean)); a beta law with both shapes above 0 is narrower.
    deviation = min(ELASTICITY_DEVIATION, 0.5 * np.sqrt(mean * (1.0 - mean)))
    size = mean * (1.0 - mean) / deviation**2 - 1.0
    return rng.beta(mean * size, (1.0 - mean) * size, draws)


def _delivery(rows: pl.DataFrame, days: pl.DataFrame, rng: np.random.Generator, draws: int) -> FloatArray:
    """Mean share of its budget a lever delivers over the window, shape (choices, draws).

    Days are drawn from the lever's own two weeks before the morning, beside the budget in force that morning;
    a lever without any delivers its whole budget.
    """
    spent: dict[tuple[str, ...], dict[date, float]] = {}
    for *lever, day, cost in (
        days.group_by(*LEVER, "date").agg(pl.col("cost").cast(pl.Float64).sum()).iter_rows()
    ):
        spent.setdefault(tuple(lever), {})[day] = cost
    shares = np.ones((rows.height, draws))
    for place, row in enumerate(rows.iter_rows(named=True)):
        own = spent.get(tuple(row[name] for name in LEVER), {})
        before = (row["made_on"] - timedelta(days=age) for age in range(1, DELIVERY_DAYS + 1))
        seen = np.array([own[day] for day in before if day in own])
        if seen.size:
            drawn = rng.choice(seen / row["current_budget"], size=(draws, row["days"]))
            shares[place] = drawn.mean(axis=1)
    return shares


def learnings(scored: pl.DataFrame, differences: FloatArray, rng: np.random.Generator) -> pl.DataFrame:
    """What overrides of each kind, and all together, come to: a row per kind, whether there were any or not.

    The mean's interval holds posterior draws and which mornings there happened to be: each draw weighs whole
    mornings anew, by exponential weights (Rubin's Bayesian bootstrap, 1981), for a morning's overrides share
    its luck.

    Args:
        scored, differences: of `score_choices`.
    Returns:
        kind, overrides, mornings, is_enough, difference, difference_low, difference_high (dollars a day an
        override, 95 %; null below ENOUGH_OVERRIDES or ENOUGH_MORNINGS), sentence.
    """
    found = []
    for kind in (*KINDS, ALL):
        members = np.ones(scored.height, dtype=bool) if kind == ALL else (scored["kind"] == kind).to_numpy()
        mornings = scored.filter(members)["made_on"]
        is_enough = members.sum() >= ENOUGH_OVERRIDES and mornings.n_unique() >= ENOUGH_MORNINGS
        interval: tuple[float, ...] | None = None
        if is_enough:
            places = mornings.rank("dense").to_numpy().astype(np.int64) - 1
            weights = rng.exponential(size=(mornings.n_unique(), differences.shape[1]))[places]
            means = (weights * differences[members]).sum(axis=0) / weights.sum(axis=0)
            interval = (float(means.mean()), *map(float, np.quantile(means, (0.025, 0.975))))
        middle, low, high = interval or (None, None, None)
        found.append(
            {
                "kind": kind,
                "overrides": int(members.sum()),
                "mornings": mornings.n_unique(),
                "is_enough": bool(is_enough),
                "difference": middle,
                "difference_low": low,
                "difference_high": high,
                "sentence": _sentence(kind, int(members.sum()), mornings.n_unique(), interval),
            }
        )
    return pl.DataFrame(found, schema=LEARNINGS)


LEARNINGS = pl.Schema(
    {
        "kind": pl.String(),
        "overrides": pl.Int64(),
        "mornings": pl.Int64(),
        "is_enough": pl.Boolean(),
        "difference": pl.Float64(),
        "difference_low": pl.Float64(),
        "difference_high": pl.Float64(),
        "sentence": pl.String(),
    }
)
_WORDS = {
    "rejected": "Proposals not taken",
    "another_number": "Another number taken",
    "rolled_back": "Changes taken back",
    "edited_outside": "Edits on the platform",
    ALL: "All together",
}


def _sentence(kind: str, overrides: int, mornings: int, interval: tuple[float, ...] | None) -> str:
    """What is to be learnt, of the model as much as of anybody."""
    of = f"{_WORDS[kind]}: {overrides} matured on {mornings} morning{'' if mornings == 1 else 's'}"
    if interval is None:
        return f"{of}; not yet enough to learn from ({ENOUGH_OVERRIDES} on {ENOUGH_MORNINGS})."
    middle, low, high = interval
    beside = (
        f"{abs(middle):,.2f} a day each [{min(abs(low), abs(high)):,.2f} to {max(abs(low), abs(high)):,.2f}]"
    )
    if low > 0:
        return (
            f"{of}; what was chosen was worth {beside} more: its reasons hold what the model does not know."
        )
    if high < 0:
        return f"{of}; what was proposed was worth {beside} more: its evidence did not come across."
    return f"{of}; no difference can be told ({middle:+,.2f} a day each [{low:+,.2f} to {high:+,.2f}])."
