"""Raises applied or held by a coin as the media mix's evidence: which draws count, and for which channel.

Here: reading draws, lever days and levers, leaving out what the settings' tests have measured already. Not
here: the mathematics (`models.mmm.randomised_evidence`), fitting (`media_mix_fit`), the report of AELP's own
lift (`apply_hold`).
"""

from __future__ import annotations

from datetime import date

import dagster as dg
import polars as pl

from aelp_assets.bandits import reward_definition
from aelp_assets.governance import control_engine, mirror
from aelp_assets.partitions import days_before
from aelp_assets.response import lever_clusters
from models.mmm.randomised_evidence import Reading, channel_reading, raise_windows
from resources.control.holds import assignments
from resources.settings import Environment, Settings
from resources.warehouse.tables import APPLY_HOLD_ASSIGNMENTS

_DAYS = 730  # a window older than two years no longer counts
_KEY = ["platform", "account_id", "lever_id"]
_RECENT_DAYS = 7  # the fit begins before the morning's own audit

RANDOMISED_INPUTS = {
    "int_lever_daily": dg.AssetIn(
        key=["intermediate", "int_lever_daily"],
        partition_mapping=days_before(_DAYS),
        metadata={"columns": ["date", *_KEY, "cost", "conversions_click", "conversions_view"]},
    ),
    "budget_levers": dg.AssetIn(
        key=["gaelp_training", "budget_levers"],
        partition_mapping=days_before(_DAYS, and_the_morning=True),
        metadata={"columns": ["date", *_KEY, "track", "currency", "campaign_id"]},
    ),
    "int_lever_traits": dg.AssetIn(key=["intermediate", "int_lever_traits"]),
    "int_campaign_channels": dg.AssetIn(key=["intermediate", "int_campaign_channels"]),
    "decision_accounts": dg.AssetIn(
        key=["ops", "decision_accounts"],
        partition_mapping=days_before(_RECENT_DAYS, and_the_morning=True),
    ),
}


def kept_draws(environment: Environment) -> pl.DataFrame:
    """Every draw as `apply_hold_assignments` has it, out of the control store itself.

    Draws follow from envelopes and these from the fit: as a dependency the mirror would close a ring.
    """
    with control_engine(environment).begin() as connection:
        return mirror(APPLY_HOLD_ASSIGNMENTS, assignments(connection))


def randomised_readings(
    draws: pl.DataFrame,
    lever_days: pl.DataFrame,
    budget_levers: pl.DataFrame,
    traits: pl.DataFrame,
    channels: pl.DataFrame,
    accounts: pl.DataFrame,
    settings: Settings,
    morning: date,
) -> dict[str, list[Reading]]:
    """What the coin says of each channel with matured windows, by track.

    Args:
        draws: of `kept_draws`.
        lever_days: `int_lever_daily`.
        budget_levers: its snapshots; they say which campaign a lever was last in.
        traits: `int_lever_traits`.
        channels: `int_campaign_channels`.
        accounts: `decision_accounts` of some mornings; each account's newest row counts.
    """
    windows = raise_windows(
        sent(draws, settings),
        lever_days,
        lever_markets(budget_levers, traits, channels, settings, morning),
        accounts.sort("as_of_date").unique(_KEY[:2], keep="last", maintain_order=True),
        as_of_date=morning,
    )
    reward = reward_definition(settings)
    found: dict[str, list[Reading]] = {}
    for rows in windows.sort("track", "channel", maintain_order=True).partition_by("track", "channel"):
        left, against = not_measured_elsewhere(rows, settings)
        found.setdefault(rows["track"][0], []).append(channel_reading(left, reward, against))
    return found


def sent(draws: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Draws whose applied arm reached the platform that the days are read from."""
    return draws.filter(pl.col("mode") == ("sandbox" if settings.governance.mode == "sandbox" else "live"))


def lever_markets(
    budget_levers: pl.DataFrame,
    traits: pl.DataFrame,
    channels: pl.DataFrame,
    settings: Settings,
    morning: date,
) -> pl.DataFrame:
    """platform, account_id, lever_id, track, channel, cluster of every lever ever seen in these snapshots.

    Levers that are gone count as well: which of them go depends on how they sold. A lever of several
    campaigns has no channel.
    """
    campaign = [*_KEY[:2], "campaign_id"]
    seen = budget_levers.filter(pl.col("date") <= morning).sort("date")
    last = seen.group_by(_KEY).agg(pl.col("campaign_id").last())
    placed = last.join(channels.select(*campaign, "channel"), on=campaign).drop("campaign_id")
    clusters = lever_clusters(budget_levers, traits, settings, morning)
    return clusters.select(*_KEY, "track", "cluster").join(placed, on=_KEY)


def not_measured_elsewhere(windows: pl.DataFrame, settings: Settings) -> tuple[pl.DataFrame, str | None]:
    """One channel's windows outside the days of the settings' tests of it, and why none of them may count."""
    track, channel = windows.select("track", "channel").row(0)
    mix = settings.media_mix
    if channel in mix.harvesting:
        return windows, "It meets demand others made: credited conversions do not tell what came anyway."
    left = windows
    for test in mix.lift_tests:
        if (test.track, test.channel) != (track, channel):
            continue
        if test.first_day is None or test.last_day is None:
            undated = "media_mix.lift_tests has a test of it without first_day and last_day"
            return windows, f"{undated}: the same dollars might count twice."
        left = left.filter((pl.col("last_day") < test.first_day) | (pl.col("as_of_date") > test.last_day))
    if left.is_empty():
        return windows, "All its windows lie in the days of its tests in media_mix.lift_tests."
    return left, None
