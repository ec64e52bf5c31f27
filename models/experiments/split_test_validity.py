"""Is a split test fit to be judged: are its shares as planned, over segments and time, is it large enough.

Here: sample ratios, time balance, enough data, and the reasons against a test. Not here: weeks in which
randomisation itself was broken (`broken_windows`), what the arms did to clicks and orders
(`split_test_results`), where the rows come from (the assets).

A test whose users are not split as planned was not randomised as planned, and no formula repairs what it
shows (Fabijan et al. 2019, Diagnosing sample ratio mismatch, KDD). So nothing here looks at outcomes.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import stats

from models.experiments.broken_windows import broken_windows

TEST = ["platform", "account_id", "test_id"]

FALSE_DISCOVERIES = 0.001
"""Of the tests a check calls broken, the part that may be sound (Benjamini and Hochberg 1995).

For a single test it is the 0.0005 to 0.001 that experimenters use (Fabijan et al. 2019): calling a test
broken throws its money away, and real breakage shows at far smaller probabilities.
"""
TIME_IMBALANCE = 0.1
"""Cramér's V from which arms met other times: Cohen's small effect. With many users any drift is significant;
below this, half the users of a two-armed test meet shares within five points of the whole test's.
"""
SMALLEST_ARM = 100
"""Users (or impressions) an arm needs: below, no difference that advertising makes could be shown."""
SMALLEST_EXPECTED = 5.0
"""Expected count below which the chi-square law does not hold."""

CELL_SCHEMA = pl.Schema(
    {
        "platform": pl.String(),
        "account_id": pl.String(),
        "test_id": pl.String(),
        "arm": pl.String(),
        "period_start": pl.Date(),
        "hour": pl.String(),
        "segment": pl.String(),
        "planned_share": pl.Float64(),
        "users": pl.Float64(),
        "impressions": pl.Float64(),
    }
)
"""A test's rows by arm, period (a day or a week), hour and segment. Hour, segment, planned share and one of
users and impressions are null where the test does not tell."""


def split_test_validity(cells: pl.DataFrame) -> pl.DataFrame:
    """Each test's checks, and the reasons for which it may not be judged.

    Args:
        cells: `CELL_SCHEMA`; further columns are ignored.
    Returns:
        one row per test, sorted: TEST, week (Monday of its first period), arms, unit (users or impressions),
        units, smallest_arm, share_gap (largest |observed - planned| of an arm), sample_ratio_p and _q (null
        where counts are too small to tell), segments_off and periods_off (segments and periods whose shares
        are not as planned), time_imbalance (Cramér's V), time_p (both null where times cannot be compared),
        broken_window (it began in one), valid, reasons (list of text), time_note (in words, where arms' hours
        are not told alike; null elsewhere).
    """
    told = _with_comparable_hours(_with_units(cells))
    planned_shares = (
        told.group_by(*TEST, "arm")
        .agg(pl.col("planned_share").drop_nulls().n_unique())
        .group_by(TEST)
        .agg(pl.col("planned_share").max().alias("planned_shares"))
    )
    about = told.group_by(TEST).agg(
        pl.col("period_start").min().dt.truncate("1w").alias("week"), pl.col("unit").first()
    )
    found = (
        about.join(sample_ratio(told, []), on=TEST)
        .join(planned_shares, on=TEST)
        .join(_parts_off(told, "segment"), on=TEST, how="left")
        .join(_parts_off(told, "period_start"), on=TEST, how="left")
        .join(time_balance(told), on=TEST, how="left")
        .join(_time_notes(told), on=TEST, how="left")
        .with_columns(pl.col("segments_off", "periods_off").fill_null(0))
        .sort(TEST)
    )
    return (
        found.with_columns(
            _in_broken_window(found).alias("broken_window"), discovery_rate(found["time_p"]).alias("time_q")
        )
        .with_columns(_reasons().alias("reasons"))
        .with_columns(
            (pl.col("reasons").list.len() == 0).alias("valid"),
            pl.when(pl.col("time_p").is_null())
            .then(pl.format("{}, so times are not available", "hours_untold"))
            .otherwise(pl.format("{}, so times are compared by period", "hours_untold"))
            .alias("time_note"),
        )
        .select(
            *(*TEST, "week", "arms", "unit", "units", "smallest_arm", "share_gap"),
            *("sample_ratio_p", "sample_ratio_q", "segments_off", "segments", "periods_off", "periods"),
            *("time_imbalance", "time_p", "time_cell", "broken_window", "valid", "reasons", "time_note"),
        )
    )


def sample_ratio(told: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Pearson's chi-square of the arms' units against their planned shares, per test and part of it.

    Where no share is planned for some arm, or none at all, all arms' are equal. Units are taken to be
    independent: users are, impressions are where a person meets a test about once.

    Args:
        told: cells with `units`, `unit`.
        by: columns that cut a test into parts, such as segment; parts without one are left out.
    Returns:
        TEST, `by`, arms, units, smallest_arm, share_gap, sample_ratio_p, sample_ratio_q (the false discovery
        rate over all rows at which this one is called broken); p and q null where an arm's expected count is
        below `SMALLEST_EXPECTED` (but for an arm that none was planned for), share_gap without units.
    """
    arms = told.group_by(*TEST, "arm").agg(pl.col("planned_share").mean())
    is_unplanned = pl.col("planned_share").is_null().any() | (pl.col("planned_share").sum() <= 0)
    share = pl.when(is_unplanned.over(TEST)).then(pl.lit(1.0)).otherwise(pl.col("planned_share"))
    arms = arms.with_columns((share / share.sum().over(TEST)).alias("planned"))
    counted = told.drop_nulls(by).group_by(*TEST, *by, "arm").agg(pl.col("units").sum())
    # An arm that a part never showed has no row there, and is what the check is for.
    parts = counted.select(*TEST, *by).unique().join(arms, on=TEST)
    total = pl.col("units").sum().over([*TEST, *by])
    expected = total * pl.col("planned")
    off = pl.col("units") - pl.col("expected")
    ratios = (
        parts.join(counted, on=[*TEST, *by, "arm"], how="left", nulls_equal=True)
        .with_columns(pl.col("units").fill_null(0.0))
        .with_columns(expected.alias("expected"))
        .group_by(*TEST, *by)
        .agg(
            pl.len().cast(pl.Int64).alias("arms"),
            pl.col("units").sum(),
            pl.col("units").min().alias("smallest_arm"),
            (off.abs().max() / pl.col("units").sum()).fill_nan(None).alias("share_gap"),
            # An arm that no share was planned for and that has units is infinitely far off.
            pl.when(off != 0).then(off**2 / pl.col("expected")).sum().alias("statistic"),
            pl.col("expected").filter(pl.col("planned") > 0).min().alias("least"),
        )
        .sort(*TEST, *by)
    )
    p = stats.chi2.sf(ratios["statistic"].to_numpy(), ratios["arms"].to_numpy() - 1)
    enough = (pl.col("least") >= SMALLEST_EXPECTED) & (pl.col("arms") > 1)
    ratios = ratios.with_columns(pl.when(enough).then(pl.Series(p)).alias("sample_ratio_p"))
    return ratios.with_columns(
        discovery_rate(ratios["sample_ratio_p"]).alias("sample_ratio_q")
    ).drop("statistic", "least")  # fmt: skip


def time_balance(told: pl.DataFrame) -> pl.DataFrame:
    """Whether a test's arms met the same days and hours: chi-square of arm × time, and its effect size.

    The size is Cramér's V without its bias (Bergsma 2013, Journal of the Korean Statistical Society 42(3)),
    so it does not grow with the number of users, nor with that of hours. Thin times are taken together.

    Args:
        told: cells with `units`; an hour counts where the row tells one.
    Returns:
        TEST, time_imbalance, time_p, time_cell (where an arm is furthest from the others, in words); tests
        with a single arm or time, or with too few units for two, are left out.
    """
    arm_total, time_total, total = (
        pl.col("units").sum().over(over) for over in ([*TEST, "arm"], [*TEST, "time"], TEST)
    )
    time = pl.concat_str(
        pl.col("period_start").dt.to_string("%Y-%m-%d"), pl.col("hour"), separator=" h", ignore_nulls=True
    )
    counted = told.group_by(*TEST, "arm", time.alias("time")).agg(pl.col("units").sum())
    counted = counted.filter(pl.col("units").sum().over([*TEST, "arm"]) > 0)
    arms, times = counted.select(*TEST, "arm").unique(), counted.select(*TEST, "time").unique()
    table = (
        arms.join(times, on=TEST)
        .join(counted, on=[*TEST, "arm", "time"], how="left")
        .with_columns(pl.col("units").fill_null(0.0))
    )
    least = (arm_total * time_total / total).min().over([*TEST, "time"])
    merged = table.with_columns(
        pl.when(least >= SMALLEST_EXPECTED).then("time").otherwise(pl.lit("thin times")).alias("time")
    )
    table = merged.group_by(*TEST, "arm", "time").agg(pl.col("units").sum()).filter(time_total > 0)
    table = table.with_columns(
        (arm_total * time_total / total).alias("expected"),
        (pl.col("units") / arm_total).alias("share"),
        ((time_total - pl.col("units")) / (total - arm_total)).alias("others"),
    ).sort(*TEST, "arm", "time")
    excess = (pl.col("share") - pl.col("others")).abs().arg_max()
    tests = (
        table.group_by(TEST, maintain_order=True)
        .agg(
            ((pl.col("units") - pl.col("expected")) ** 2 / pl.col("expected")).sum().alias("statistic"),
            pl.col("units").sum(),
            pl.col("arm").n_unique().cast(pl.Float64).alias("arms"),
            pl.col("time").n_unique().cast(pl.Float64).alias("times"),
            *(pl.col(name).get(excess).alias(f"worst_{name}") for name in ("arm", "time", "share", "others")),
        )
        .filter(pl.col("arms") > 1, pl.col("times") > 1)
    )
    freedom = (tests["arms"] - 1) * (tests["times"] - 1)
    p = stats.chi2.sf(tests["statistic"].to_numpy(), freedom.to_numpy())
    others = pl.col("units") - 1
    rows, columns = (pl.col(size) - (pl.col(size) - 1) ** 2 / others for size in ("arms", "times"))
    spread = (pl.col("statistic") / pl.col("units") - pl.lit(freedom) / others).clip(lower_bound=0)
    return tests.select(
        *TEST,
        (spread / (pl.min_horizontal(rows, columns) - 1)).sqrt().alias("time_imbalance"),
        pl.Series("time_p", p, dtype=pl.Float64),
        pl.format(
            "{}% of {} fall in {}, {}% of the others",
            (100 * pl.col("worst_share")).round(1),
            "worst_arm",
            "worst_time",
            (100 * pl.col("worst_others")).round(1),
        ).alias("time_cell"),
    )


def discovery_rate(p: pl.Series) -> pl.Series:
    """Benjamini and Hochberg's adjusted p-values; null where there is none to adjust."""
    adjusted = np.full(len(p), np.nan)
    known = p.is_not_null().to_numpy()
    if known.any():
        adjusted[known] = stats.false_discovery_control(p.drop_nulls().to_numpy())
    return pl.Series(adjusted).fill_nan(None)


def _with_units(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells with what was randomised: users where every row of the test tells them, else impressions."""
    in_users = pl.col("users").is_not_null().all().over(TEST)
    return cells.with_columns(
        pl.when(in_users).then("users").otherwise(pl.col("impressions").fill_null(0)).alias("units"),
        pl.when(in_users).then(pl.lit("users")).otherwise(pl.lit("impressions")).alias("unit"),
    )


def _with_comparable_hours(told: pl.DataFrame) -> pl.DataFrame:
    """Cells whose hours count only where each row with units tells one, with `hour_untold` for each row.

    Beside an arm told by the hour, one told by the day would seem to have met no hour of it.
    """
    untold = pl.col("hour").is_null() & (pl.col("units") > 0)
    return told.with_columns(
        (untold & pl.col("hour").is_not_null().any().over(TEST)).alias("hour_untold"),
        pl.when(~untold.any().over(TEST)).then("hour").alias("hour"),
    )


def _time_notes(told: pl.DataFrame) -> pl.DataFrame:
    """TEST, hours_untold: whose hours are not told, in words; of tests in which others' are."""
    arms = pl.col("arm").unique().sort().str.join(", ")
    return (
        told.filter("hour_untold")
        .group_by(TEST)
        .agg(pl.format("not every row of {} tells its hour", arms).alias("hours_untold"))
    )


def _parts_off(told: pl.DataFrame, part: str) -> pl.DataFrame:
    """How many parts of a test have shares that are not as planned, of how many; tests with several parts."""
    name = {"segment": "segments", "period_start": "periods"}[part]
    several = told.filter(pl.col(part).n_unique().over(TEST) > 1)
    off = pl.col("sample_ratio_q") <= FALSE_DISCOVERIES
    return (
        sample_ratio(several, [part])
        .group_by(TEST)
        .agg(off.fill_null(False).sum().cast(pl.Int64).alias(f"{name}_off"), pl.len().alias(name))
    )


def _in_broken_window(found: pl.DataFrame) -> pl.Expr:
    """Whether a test began in weeks in which its account's randomisation was broken."""
    inside = [pl.lit(False)]
    for account, tests in found.group_by("platform", "account_id", maintain_order=True):
        windows = broken_windows(tests.select("week", "sample_ratio_p"))
        own = (pl.col("platform") == account[0]) & (pl.col("account_id") == account[1])
        inside += [
            own & pl.col("week").is_between(first, last)
            for first, last in windows.select("first", "last").iter_rows()
        ]
    return pl.any_horizontal(inside)


def _reasons() -> pl.Expr:
    """What speaks against a test, in words; empty for a valid one."""
    units = pl.col("units").cast(pl.Int64)
    gap = (100 * pl.col("share_gap")).round(2)
    grounds = [
        (pl.col("arms") < 2, pl.format("it has {} arm: there is nothing to compare", "arms")),
        (
            pl.col("smallest_arm") < SMALLEST_ARM,
            pl.format(
                "its smallest arm has {} {}; {} are needed",
                pl.col("smallest_arm").cast(pl.Int64), "unit", pl.lit(SMALLEST_ARM),
            ),
        ),
        (pl.col("planned_shares") > 1, pl.lit("the planned share of an arm changed while it ran")),
        (
            pl.col("sample_ratio_q") <= FALSE_DISCOVERIES,
            pl.format("shares of {} {} are {} points from the plan", units, "unit", gap),
        ),
        (
            pl.col("segments_off") > 0,
            pl.format("shares are not as planned in {} of {} segments", "segments_off", "segments"),
        ),
        (
            pl.col("periods_off") > 0,
            pl.format("shares are not as planned in {} of {} periods", "periods_off", "periods"),
        ),
        (
            (pl.col("time_q") <= FALSE_DISCOVERIES) & (pl.col("time_imbalance") >= TIME_IMBALANCE),
            pl.format("arms did not run at the same times: {}", "time_cell"),
        ),
        (
            pl.col("broken_window"),
            pl.lit("it ran in weeks in which randomisation was broken: too many tests' shares are off"),
        ),
    ]  # fmt: skip
    return pl.concat_list(
        [pl.when(ground).then(words.cast(pl.String)) for ground, words in grounds]
    ).list.drop_nulls()
