"""Which share of a day's conversions has arrived when the day is so many days old.

Here: shares learnt from restatements where there are any, else from how conversion rates rise with age. Not
here: the restatements (`conversion_delay`), and what a share is used for.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
from scipy.optimize import isotonic_regression

from models.forecasting.panel import FloatArray

# Worth of the account's peers, in expected conversions: one day of a small account says little by itself.
PEERS_WORTH = 20.0
REFERENCE_DAYS = 28
SCHEMA = pl.Schema(
    {"platform": pl.String, "account_id": pl.String, "age": pl.Int64, "share": pl.Float64, "basis": pl.String}
)
_ACCOUNT = ["platform", "account_id"]


def arrival_shares(
    days: pl.DataFrame, delay: pl.DataFrame, accounts: pl.DataFrame, *, as_of_date: date
) -> pl.DataFrame:
    """Share of an account's final conversions known at each age (SCHEMA), above 0 and at most 1.

    Basis `ages`: conversions per click of each young day over those of the `REFERENCE_DAYS` matured ones
    before, drawn to the accounts' common share with the weight of `PEERS_WORTH` conversions (the posterior
    mean of a gamma-Poisson model) and made monotone by isotonic regression. It takes a fall in conversion
    rates of the last days for lateness. Basis `restatements`, up to the oldest age that days were followed
    to: the growth that `conversion_delay` saw with age, from the share (by ages) at that oldest one. Ages
    without a row are complete.

    Args:
        days: date, platform, account_id, clicks, signups; rows before `as_of_date`.
        delay: `conversion_delay`: platform, account_id, age, share_arrived (null where unknown,
            0 before the first conversions came).
        accounts: platform, account_id, maturity_days: from this age on a day is complete.
    """
    by_age = _by_age(days, accounts, as_of_date)
    followed = (
        delay.filter(pl.col("share_arrived") > 0)  # 0: nothing was known yet, which no rate is divided by
        .join(accounts, on=_ACCOUNT)
        .with_columns(oldest=pl.min_horizontal(pl.col("age").max().over(_ACCOUNT), "maturity_days"))
    )
    at_oldest = by_age.select(*_ACCOUNT, pl.col("age").alias("oldest"), pl.col("share").alias("reached"))
    learnt = (
        followed.filter(pl.col("age") < pl.col("maturity_days"))
        .join(at_oldest, on=[*_ACCOUNT, "oldest"], how="left")
        .with_columns(pl.col("share_arrived") * pl.col("reached").fill_null(1.0))
        .select(*_ACCOUNT, "age", pl.col("share_arrived").clip(0.01, 1.0).alias("share"))
        .with_columns(basis=pl.lit("restatements"))
        .cast(SCHEMA)
    )
    rest = by_age.join(learnt, on=[*_ACCOUNT, "age"], how="anti")
    return pl.concat([learnt, rest]).sort(*_ACCOUNT, "age")


def _by_age(days: pl.DataFrame, accounts: pl.DataFrame, as_of_date: date) -> pl.DataFrame:
    aged = days.join(accounts, on=_ACCOUNT, maintain_order="left").with_columns(
        age=(pl.lit(as_of_date) - pl.col("date")).dt.total_days()
    )
    young = pl.col("age") < pl.col("maturity_days")
    reference = (
        aged.filter(~young & (pl.col("age") < pl.col("maturity_days") + REFERENCE_DAYS))
        .group_by(_ACCOUNT)
        .agg(rate=pl.col("signups").sum() / pl.col("clicks").sum())
        .filter(pl.col("rate").is_finite() & (pl.col("rate") > 0))
    )
    by_age = (
        aged.filter(young & (pl.col("age") > 0))
        .join(reference, on=_ACCOUNT, maintain_order="left")
        .group_by(*_ACCOUNT, "age")
        .agg(arrived=pl.col("signups").sum(), expected=(pl.col("clicks") * pl.col("rate")).sum())
        .sort(*_ACCOUNT, "age")
    )
    if by_age.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    pooled = by_age.group_by("age").agg(
        peers=(pl.col("arrived").sum() + PEERS_WORTH) / (pl.col("expected").sum() + PEERS_WORTH)
    )
    believed = by_age.join(pooled, on="age", maintain_order="left").with_columns(
        weight=pl.col("expected") + PEERS_WORTH,
        share=(pl.col("arrived") + PEERS_WORTH * pl.col("peers")) / (pl.col("expected") + PEERS_WORTH),
    )
    rows = []
    for key, own in believed.sort("age").group_by(_ACCOUNT, maintain_order=True):
        share = _never_falling(own["share"].to_numpy(), own["weight"].to_numpy())
        rows.append(
            own.select("age").with_columns(
                platform=pl.lit(key[0]), account_id=pl.lit(key[1]), share=share, basis=pl.lit("ages")
            )
        )
    return pl.concat(rows).select(SCHEMA.names()).cast(SCHEMA)


def _never_falling(share: FloatArray, weight: FloatArray) -> pl.Series:
    fitted = isotonic_regression(share, weights=weight, increasing=True).x
    return pl.Series(np.minimum(fitted, 1.0))


def restated(known: pl.DataFrame, shares: pl.DataFrame, *, as_of_date: date, days: int) -> pl.DataFrame:
    """Age of each recent account-day, and its conversions over what its first telling promised for that age.

    A factor of 1: it grew exactly as conversions arrive; 0.9: a tenth was taken back. Days told once, or
    without a conversion then or now, have 1.

    Args:
        known: `int_conversions_as_known`: date, platform, account_id, age, conversions.
        shares: from `arrival_shares`.
        days: how many days before `as_of_date`.
    Returns:
        date, platform, account_id, age (days, at the last telling or today), share, restatement.
    """
    first_day = as_of_date - timedelta(days=days)
    told = (
        known.filter((pl.col("date") >= first_day) & (pl.col("date") < as_of_date))
        .group_by("date", *_ACCOUNT, "age")
        .agg(pl.col("conversions").cast(pl.Float64).sum())
        .sort("age")
        .group_by("date", *_ACCOUNT, maintain_order=True)
        .agg(
            told_age=pl.col("age").first(),
            newest_age=pl.col("age").last(),
            told=pl.col("conversions").first(),
            now=pl.col("conversions").last(),
        )
        .with_columns(
            age=pl.max_horizontal("newest_age", (pl.lit(as_of_date) - pl.col("date")).dt.total_days())
        )
    )
    at = shares.select(*_ACCOUNT, "age", "share")
    joined = (
        told.join(at, on=[*_ACCOUNT, "age"], how="left")
        .join(at.rename({"age": "told_age", "share": "told_share"}), on=[*_ACCOUNT, "told_age"], how="left")
        .with_columns(pl.col("share", "told_share").fill_null(1.0))
    )
    comparable = (pl.col("told") > 0) & (pl.col("now") > 0) & (pl.col("newest_age") > pl.col("told_age"))
    promised = pl.col("told") * pl.col("share") / pl.col("told_share")
    return joined.select(
        "date",
        *_ACCOUNT,
        pl.col("age").cast(pl.Int64),
        "share",
        restatement=pl.when(comparable).then(pl.col("now") / promised).otherwise(1.0),
    )
