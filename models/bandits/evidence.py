"""Which days are evidence for a lever, how much each still counts, and how much spend has been answered.

Here: windows, matured and young cohorts, weights by age, sums. Not here: belief (`posteriors`), the choice
of a half-life (`half_life`).

A matured cohort's spend is exposure in full. A younger one counts where its completion (the share of its
conversions that have arrived) is known: its conversions as they are, its spend times completion. Matured is
what was read once it was old enough: a day that nobody has read since it was young, its source having been
away, is as young as it was then, or its missing conversions would look like a lever to be stopped. Both weigh
2^(-age / half-life), age counted from the newest day of its account that is evidence: the score that chooses
a half-life predicts the day after that. Counted from the morning, an account of matured cohorts only (its
newest day is two weeks old) would forget nearly all it knows, and a bad lever would never be stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

LEVER_KEY = ("platform", "account_id", "lever_id")
MONEY = pl.Decimal(38, 9)
SUMS = ("spend", "click_conversions", "view_conversions")
# Of weighted days: matured spend; young spend times completion, its deviation, and all of it; counts.
WEIGHTED = (
    *("settled_exposure", "young_exposure", "young_exposure_sd", "young_spend"),
    *("evidence_clicks", "evidence_views"),
)


def evidence_windows(accounts: pl.DataFrame, as_of_date: date, window_days: int) -> pl.DataFrame:
    """platform, account_id, window_start, window_end: the matured cohort days that are judged."""
    last = pl.lit(as_of_date) - pl.duration(days=pl.col("maturity_days").cast(pl.Int64) + 1)
    return accounts.select(
        "platform",
        "account_id",
        (last - pl.duration(days=window_days - 1)).cast(pl.Date).alias("window_start"),
        last.cast(pl.Date).alias("window_end"),
    )


def matured_days(daily: pl.DataFrame, windows: pl.DataFrame, unit: str) -> pl.DataFrame:
    """Days inside their account's window, with `SUMS` as decimals: row order cannot change a digit of a sum.

    Args:
        daily: days last read while they were young (not is_matured) are left out.

    Raises:
        ValueError: negative cost or conversions.
    """
    days = (
        daily.filter(pl.col("is_matured"))
        .filter(pl.col("date").is_between(windows["window_start"].min(), windows["window_end"].max()))
        .join(windows, on=["platform", "account_id"], how="inner")
        .filter(pl.col("date").is_between("window_start", "window_end"))
        .select("date", "platform", "account_id", "track", unit, *_measures())
    )
    _refuse_negative(days, unit)
    return days


def young_days(daily: pl.DataFrame, windows: pl.DataFrame, as_of_date: date) -> pl.DataFrame:
    """Days whose completion is known between an account's window and the morning, and those inside it that
    were last read while they were young; as `matured_days`.

    Args:
        daily: as `reward_daily`; completion and completion_sd null, or absent, where no delay curve is known.

    Raises:
        ValueError: negative cost or conversions; a completion outside (0, 1] or a negative deviation.
    """
    missing = [
        pl.lit(None, dtype=pl.Float64).alias(name)
        for name in ("completion", "completion_sd")
        if name not in daily.columns
    ]
    days = (
        daily.with_columns(missing)
        .filter(pl.col("date") < as_of_date, pl.col("completion").is_not_null())
        .join(windows, on=["platform", "account_id"], how="inner")
        .filter(
            (pl.col("date") > pl.col("window_end"))
            | (pl.col("date") >= pl.col("window_start")) & ~pl.col("is_matured")
        )
        .select(
            *("date", "platform", "account_id", "track", "lever_id", "completion"),
            pl.col("completion_sd").fill_null(0.0),
            *_measures(),
        )
    )
    _refuse_negative(days, "lever_id")
    if not days.filter(
        ~pl.col("completion").is_between(0, 1, closed="right") | (pl.col("completion_sd") < 0)
    ).is_empty():
        raise ValueError(
            "daily rows by lever_id: completion must lie in (0, 1] and its deviation not below 0"
        )
    return days


def weighted_days(
    daily: pl.DataFrame,
    accounts: pl.DataFrame,
    as_of_date: date,
    window_days: int,
    half_lives: Mapping[str, float | None],
) -> pl.DataFrame:
    """Every day that is evidence, with `SUMS` (0 for a young cohort) and `WEIGHTED`, all of them decimals.

    Args:
        daily: rows of `reward_daily`.
        accounts: platform, account_id, maturity_days.
        as_of_date: the morning.
        window_days: matured cohort days judged.
        half_lives: days, by track; None or absent: a day counts in full however old.
    """
    windows = evidence_windows(accounts, as_of_date, window_days)
    none = pl.lit(0).cast(MONEY)
    matured = matured_days(daily, windows, "lever_id").with_columns(
        settled_exposure="spend", **dict.fromkeys(WEIGHTED[1:4], none)
    )
    young = young_days(daily, windows, as_of_date)
    arrived = {
        "young_exposure": pl.col("spend").cast(pl.Float64) * pl.col("completion"),
        "young_exposure_sd": pl.col("spend").cast(pl.Float64) * pl.col("completion_sd"),
    }
    young = young.with_columns(
        settled_exposure=none,
        young_spend="spend",
        **{name: value.round(9).cast(MONEY) for name, value in arrived.items()},
    )
    counts = {"evidence_clicks": "click_conversions", "evidence_views": "view_conversions"}
    columns = ("date", "platform", "account_id", "track", "lever_id", *SUMS, *WEIGHTED)
    days = pl.concat(
        [
            matured.with_columns(**counts).select(columns),
            young.with_columns(**counts).with_columns(none.alias(name) for name in SUMS).select(columns),
        ]
    )
    rates = {track: 1 / days for track, days in half_lives.items() if days is not None}
    newest = pl.col("date").max().over("platform", "account_id")
    age = (newest - pl.col("date")).dt.total_days().cast(pl.Float64)
    weight = pl.lit(2.0).pow(
        -age * pl.col("track").replace_strict(rates, default=0.0, return_dtype=pl.Float64)
    )
    return days.with_columns(
        (pl.col(name).cast(pl.Float64) * weight).round(9).cast(MONEY) for name in WEIGHTED
    )


def _measures() -> tuple[pl.Expr, ...]:
    return (
        pl.col("cost").cast(MONEY).fill_null(0).alias("spend"),
        pl.col("conversions_click").cast(MONEY).fill_null(0).alias("click_conversions"),
        pl.col("conversions_view").cast(MONEY).fill_null(0).alias("view_conversions"),
    )


def _refuse_negative(days: pl.DataFrame, unit: str) -> None:
    for name in SUMS:
        if (days[name] < 0).any():
            raise ValueError(f"daily rows by {unit}: negative {name}")
