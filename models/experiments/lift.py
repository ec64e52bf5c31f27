"""What applied raises did that held ones did not: outcomes of lever-windows, weighted by their draw.

Here: outcomes, inverse-propensity weighting, the sequence of intervals, windows nothing was done in. Not
here: who is drawn for, the interval's mathematics (`confidence_sequences`).

A window is judged as it was drawn, whatever became of the call (intention to treat). Its outcome is the
change from as many days before, per dollar spent in those: levers of any size count alike, and what a lever
is like cancels. With outcome y, hold probability q and A = 1 where it was applied,

    φ = y A / (1 - q) - y (1 - A) / q,    E[φ | past] = y(applied) - y(held)

because only the draw is random and it depends on nothing (design-based; Howard et al. 2021, section 4.2), so
the mean of φ is the mean lift so far, with an interval that holds at every morning.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from models.experiments.assignment import assignment_draw
from models.experiments.confidence_sequences import empirical_bernstein_sequence
from models.rewards import RewardDefinition

METRICS = ("net", "signups")
LARGEST_OUTCOME = 1.0
"""Outcomes are cut at a gain or loss of a dollar per dollar spent before; the lift is of cut outcomes."""
_TUNED_WINDOWS = 500
_TYPICAL_SD = 0.3  # of an outcome; a wrong guess costs width, never validity
_KEY = ["platform", "account_id", "lever_id"]
_WINDOW = [*_KEY, "track", "as_of_date", "window_days", "arm", "hold_probability"]

WINDOW_SCHEMA = pl.Schema(
    {
        "platform": pl.String(),
        "account_id": pl.String(),
        "lever_id": pl.String(),
        "track": pl.String(),
        "as_of_date": pl.Date(),
        "window_days": pl.Int64(),
        "arm": pl.String(),
        "hold_probability": pl.Float64(),
    }
)


def window_outcomes(
    windows: pl.DataFrame,
    lever_days: pl.DataFrame,
    accounts: pl.DataFrame,
    *,
    as_of_date: date,
    reward: RewardDefinition,
    contributions: Mapping[str, float],
    caps: Mapping[str, float],
) -> pl.DataFrame:
    """The outcomes of the windows whose every cohort is matured, in the order they were drawn.

    After: the full days inside the window, as_of + 1 to as_of + window - 1. Before: as many, up to as_of - 1.

    Args:
        windows: `WINDOW_SCHEMA`; arm is apply or hold.
        lever_days: date, platform, account_id, lever_id, cost, conversions_click, conversions_view.
        accounts: platform, account_id, maturity_days; windows of other accounts are left out.
        as_of_date: the morning of the look.
        contributions: dollars a signup brings before advertising, by track; other tracks are left out.
        caps: dollars per signup, by track.
    Returns:
        the windows' columns with net (dollars of contribution less spend gained per dollar spent before) and
        signups (gained, times the cap, per dollar spent before), both cut to [-1, 1]; windows of levers that
        spent nothing before are left out.
    """
    economics = pl.DataFrame(
        [(track, contributions[track], caps[track]) for track in sorted(set(contributions) & set(caps))],
        schema={"track": pl.String, "contribution": pl.Float64, "cap": pl.Float64},
        orient="row",
    )
    full_days = pl.duration(days=pl.col("window_days") - 1)
    judged = (
        windows.select(_WINDOW)
        .join(accounts.select("platform", "account_id", "maturity_days"), on=["platform", "account_id"])
        .join(economics, on="track")
        .filter(
            pl.col("as_of_date") + full_days < as_of_date - pl.duration(days=pl.col("maturity_days")),
        )
        .sort("as_of_date", *_KEY)
        .with_row_index("window")
    )
    one = pl.duration(days=1)
    before = _sums(judged, lever_days, -full_days, -one)
    after = _sums(judged, lever_days, one, full_days)
    both = judged.join(before, on="window", how="left").join(after, on="window", how="left", suffix="_after")
    both = both.with_columns(
        pl.col("^(spend|clicks|views)(_after)?$").fill_null(0.0),
    ).filter(pl.col("spend") > 0)
    signups, signups_after = (
        pl.Series(reward.mean_reward(both[f"clicks{when}"].to_numpy(), both[f"views{when}"].to_numpy()))
        for when in ("", "_after")
    )
    gained = pl.lit(signups_after - signups)
    net = gained * pl.col("contribution") - (pl.col("spend_after") - pl.col("spend"))
    return both.sort("window").select(
        *_WINDOW,
        (net / pl.col("spend")).clip(-LARGEST_OUTCOME, LARGEST_OUTCOME).alias("net"),
        (gained * pl.col("cap") / pl.col("spend")).clip(-LARGEST_OUTCOME, LARGEST_OUTCOME).alias("signups"),
    )


def _sums(judged: pl.DataFrame, lever_days: pl.DataFrame, first: pl.Expr, last: pl.Expr) -> pl.DataFrame:
    """Spend and conversions of each window's days from `first` to `last` after its morning."""
    morning = pl.col("as_of_date")
    days = judged.select("window", *_KEY, pl.date_ranges(morning + first, morning + last).alias("date"))
    return (
        days.explode("date")
        .join(lever_days, on=[*_KEY, "date"])
        .group_by("window")
        .agg(
            pl.col("cost").cast(pl.Float64).sum().alias("spend"),
            pl.col("conversions_click").cast(pl.Float64).sum().alias("clicks"),
            pl.col("conversions_view").cast(pl.Float64).sum().alias("views"),
        )
    )


def lift_sequence(outcomes: pl.DataFrame, metric: str, *, alpha: float) -> pl.DataFrame:
    """The lift after each window, with an interval that holds at all of them with probability 1 - alpha.

    Args:
        outcomes: of `window_outcomes`.
        metric: net or signups.
    Returns:
        as_of_date, lift, lift_low, lift_high; one row per window, in the order they were drawn.
    Raises:
        ValueError: a hold probability outside (0, 1), or an outcome that was not cut.
    """
    applied, held = 1 - pl.col("hold_probability"), pl.col("hold_probability")
    rows = outcomes.with_columns(
        pl.when(pl.col("arm") == "apply")
        .then(pl.col(metric) / applied)
        .otherwise(-pl.col(metric) / held)
        .alias("weighted")
    )
    rarest = outcomes.select(pl.min_horizontal(applied, held).min()).item()
    if rarest is None:
        empty = dict.fromkeys(("lift", "lift_low", "lift_high"), pl.Float64)
        return pl.DataFrame(schema={"as_of_date": pl.Date, **empty})
    if rarest <= 0:
        raise ValueError("hold probabilities must lie in (0, 1)")
    largest = LARGEST_OUTCOME / rarest
    found = empirical_bernstein_sequence(
        rows["weighted"].to_numpy(),
        largest,
        alpha=alpha,
        tuned_variance=_TUNED_WINDOWS * _TYPICAL_SD**2 / (rarest * (1 - rarest)),
    )
    widest = 2 * LARGEST_OUTCOME  # no lift can be more
    return rows.select(
        "as_of_date",
        pl.Series("lift", found.mean),
        pl.Series("lift_low", found.low.clip(-widest, widest)),
        pl.Series("lift_high", found.high.clip(-widest, widest)),
    )


def placebo_windows(lever_days: pl.DataFrame, *, window_days: int, seed: int) -> pl.DataFrame:
    """The past cut into windows and drawn for by a coin, though nothing was done in either arm (A/A).

    Blocks begin at fixed days of the calendar, so a later morning adds windows and changes none. A lever's
    first block has no days before it and is left out, and so is its last, which may be short.

    Args:
        lever_days: date, platform, account_id, track, lever_id.
        window_days: days of a block.
    Returns:
        `WINDOW_SCHEMA`.
    """
    ordinal = pl.col("date").dt.epoch("d").cast(pl.Int64)
    starts = (
        lever_days.with_columns((ordinal // window_days * window_days).alias("start"))
        .group_by(*_KEY, "track", "start")
        .agg(pl.len())
        .sort(*_KEY, "track", "start")
        .with_columns(
            pl.col("start").min().over(*_KEY).alias("first"), pl.col("start").max().over(*_KEY).alias("last")
        )
        .filter(pl.col("start") > pl.col("first"), pl.col("start") < pl.col("last"))
        .unique([*_KEY, "start"], keep="first", maintain_order=True)
        .with_columns(pl.from_epoch("start", "d").cast(pl.Date).alias("as_of_date"))
    )
    names = starts.select(*_KEY, pl.col("as_of_date").cast(pl.String)).iter_rows()
    arms = ["hold" if assignment_draw(seed, "placebo", *name) < 0.5 else "apply" for name in names]
    return starts.select(
        *(*_KEY, "track", "as_of_date"),
        pl.lit(window_days, dtype=pl.Int64).alias("window_days"),
        pl.Series("arm", arms, dtype=pl.String),
        pl.lit(0.5).alias("hold_probability"),
    )
