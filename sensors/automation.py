"""Upstream changes wake the models: latched conditions for today's baselines, rates, curves and forecasts.

Here: which assets refresh by themselves, why never more than once for one change, and never behind a gate
that failed. Not here: decisions, which wait for 09:00, and history, which is a backfill.
"""

from typing import Any

import dagster as dg

from aelp_assets.jobs import GATES, MODELS
from aelp_assets.metadata import asset_key
from resources.warehouse.tables import CREATIVE_TABLES


def refresh_once_per_change() -> dg.AutomationCondition[Any]:
    """Ask for today's partition when an input changed since it was last asked for.

    The change is latched until then. Only a request lifts the latch: were it lifted by the asset's own
    update too (Dagster's `since_last_handled`), a change that lands while a run is in flight would be lost
    when that run ends. A request and the next change may be seen on one tick; then the change stays. A
    failed run is not asked for again before the next change (a bare `execution_failed` once cost 368,000
    runs).

    Behind a gate that failed, nothing is asked for either: the change stays latched until the gate has
    passed, or is asked for again on the same tick (then the run itself stops behind it).
    """
    condition = dg.AutomationCondition
    changed = condition.any_deps_updated() | condition.missing().newly_true()
    handled = condition.newly_requested() & ~condition.any_deps_updated()
    # Only the gates: the marts' own checks stop their own run, and know nothing of mornings.
    gates_hold = condition.all_deps_blocking_checks_passed().allow(dg.AssetSelection.assets(*GATES))
    return (
        condition.in_latest_time_window()
        & changed.since(handled)
        & gates_hold
        & ~condition.any_deps_in_progress()
        & ~condition.in_progress()
    ).with_label("refresh once per change")


CONDITIONS = dict.fromkeys(MODELS, refresh_once_per_change())

_CREATIVES = [asset_key(str(table.name)) for table in CREATIVE_TABLES]
UNDATED_CONDITIONS = dict.fromkeys(_CREATIVES, refresh_once_per_change())
"""Of assets without mornings: what a creative is like does not depend on the day."""

model_refresh = dg.AutomationConditionSensorDefinition(
    "model_refresh",
    # An asset's checks come with it; the gates ask to run whenever their asset does (`aelp_assets.checks`).
    target=dg.AssetSelection.assets(*MODELS),
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Refreshes today's audits, baselines, rates, curves and forecasts when the marts change.",
)

creative_refresh = dg.AutomationConditionSensorDefinition(
    "creative_refresh",
    target=dg.AssetSelection.assets(*_CREATIVES),
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reads what is new in creatives when their mart changes; nothing new costs seconds.",
)
