"""Upstream changes wake the models: latched conditions for today's baselines, rates, curves and forecasts.

Here: which assets refresh by themselves, why never more than once for one change, and never behind a gate
that failed. Not here: decisions, which wait for 09:00, and history, which is a backfill.
"""

from typing import Any

import dagster as dg

from aelp_assets.jobs import BRINGS_ALL_MODELS, GATES, MODELS
from aelp_assets.metadata import asset_key
from aelp_assets.transform import VERSIONED
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
    changed = an_input_changed() | condition.missing().newly_true()
    handled = condition.newly_requested() & ~an_input_changed()
    # Only the gates: the marts' own checks stop their own run, and know nothing of mornings.
    gates_hold = condition.all_deps_blocking_checks_passed().allow(dg.AssetSelection.assets(*GATES))
    return (
        condition.in_latest_time_window()
        & changed.since(handled)
        & gates_hold
        & ~condition.any_deps_in_progress()
        & ~condition.in_progress()
    ).with_label("refresh once per change")


def an_input_changed() -> dg.AutomationCondition[Any]:
    """An input was updated by a run that did not make this asset too, or will be on this tick.

    Tables that tell whether their rows are others are heard only then, whoever built them: each hour's landed
    spend builds them anew, and once woke every model for nothing (nine runs a day of the simulated month).
    Rows that change and change back between two ticks, a minute, are no change.

    Dagster's own `any_deps_updated` looks for the asset in the run's selection, and a run of a whole job has
    none: after each decision the models asked for themselves, one layer after the other (four runs; found by
    the simulated month).
    """
    condition = dg.AutomationCondition
    models, versioned = (dg.AssetSelection.assets(*keys) for keys in (MODELS, VERSIONED))
    by_another_run = (
        condition.newly_updated()
        & ~condition.executed_with_root_target()
        & ~condition.executed_with_tags(tag_values=BRINGS_ALL_MODELS)
    )
    return (
        condition.any_deps_updated().ignore(models | versioned)
        | condition.any_deps_match(condition.data_version_changed()).allow(versioned)
        | condition.any_deps_match(by_another_run | condition.will_be_requested()).allow(models)
    ).with_label("an input changed")


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
