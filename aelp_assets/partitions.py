"""The days the graph is cut into.

Here: partition definitions and what a partition key means. Not here: which partitions to run
(`sensors/`, `runner`).
"""

from __future__ import annotations

import hashlib
from datetime import date

import dagster as dg
import numpy as np

from resources.settings import load_settings, read_environment

_settings = load_settings(read_environment().settings_path)

# A report day is the account's own calendar day: the label of a slice, never a moment.
report_days = dg.DailyPartitionsDefinition(
    start_date=_settings.history_start.isoformat(), timezone=_settings.business_timezone, end_offset=1
)

# A decision day is a morning: everything known before it, nothing after; today's exists from midnight on.
decision_days = report_days

WAREHOUSE_POOL = "warehouse"

# How far back each family of inputs looks, days.
HISTORY_DAYS = 180
EVENT_DAYS = 800  # two of what comes once a year
BASELINE_DAYS = _settings.baselines.window_days + _settings.attribution.maturity_days
RANKING_DAYS = 120  # of deliveries that ads are ranked by: taste moves, and a quarter has enough rivals
JUDGED_DAYS = 14  # split tests are judged weekly; a week without is bridged
LEVER_DAYS = _settings.attribution.maturity_days + _settings.bandit.window_days + 30

SCORE_DAYS = 13  # a weekly ranking may be missed once before its scores count no longer

same_morning = dg.IdentityPartitionMapping()


def days_before(days: int, *, and_the_morning: bool = False) -> dg.TimeWindowPartitionMapping:
    """A morning's inputs: the `days` report days before it; its own day is never evidence.

    Args:
        and_the_morning: also what was read on the morning itself, such as the budgets now in force.
    """
    return dg.TimeWindowPartitionMapping(
        start_offset=-days,
        end_offset=0 if and_the_morning else -1,
        allow_nonexistent_upstream_partitions=True,
    )


def morning_of(context: dg.AssetExecutionContext) -> date:
    """The decision day of the run."""
    return date.fromisoformat(context.partition_key)


def derived_seed(seed: int, purpose: str, morning: date) -> int:
    """The seed of one asset on one morning: same settings and day, same draws."""
    digest = hashlib.sha256(f"{seed}|{purpose}|{morning.isoformat()}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def seeded_rng(seed: int, purpose: str, morning: date) -> np.random.Generator:
    """The generator that belongs to `derived_seed`."""
    return np.random.default_rng(derived_seed(seed, purpose, morning))
