"""The register of experiments: split tests, media-mix tests, draws of apply or hold, and when each runs.

Here: reading what knows of experiments, settings as closed days, the check and the picture. Not here: rows
and placing (`models.experiments`), judging split tests (`experiments`), planning tests (`media_mix`, `arms`).
It plans and tells: the desk names what goes on beside a proposal, and nothing is refused for it.
"""

from datetime import date, timedelta

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.bandits import SNAPSHOT_DAYS, freeze_windows
from aelp_assets.channel_envelopes import channel_levers
from aelp_assets.metadata import FRAME, asset_key, check, markdown_table, result, table_metadata
from aelp_assets.ownership import MARKETING_SCIENCE, WEEKLY_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, days_before, decision_days, morning_of, same_morning
from aelp_assets.randomised_evidence import sent
from models.experiments.calendar import (
    Calendar,
    ClosedDays,
    calendar_faults,
    frozen_days,
    plan_calendar,
    week_starts,
)
from models.experiments.registry import (
    Experiment,
    LeverPlaces,
    MeasuredTest,
    apply_hold_draws,
    landed_split_tests,
    measured_media_mix_tests,
    planned_media_mix_tests,
    proposed_split_tests,
    registry_frame,
)
from resources.code_version import module_hash, used_by
from resources.settings import Settings
from resources.warehouse.tables import EXPERIMENTS

CALENDAR_WEEKS = 52  # what comes once a year is among them
_PLAN_DAYS = 8  # the weekly plan of media-mix tests, and the morning's
_EXPERIMENTS = str(EXPERIMENTS.name)
_SHOWN = [
    *("kind", "status", "compared", "metric", "track", "first_day", "last_day", "verdict", "power", "price"),
    *("value_per_dollar", "conflicts"),
]


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "experiments"],
    ins={
        "ab_experiments": dg.AssetIn(
            key=["gaelp_training", "ab_experiments"], partition_mapping=same_morning
        ),
        "mmm_tests": dg.AssetIn(
            key=["gaelp_training", "mmm_tests"],
            partition_mapping=days_before(_PLAN_DAYS, and_the_morning=True),
        ),
        "arm_decisions": dg.AssetIn(
            key=["gaelp_training", "arm_decisions"],
            partition_mapping=days_before(_PLAN_DAYS, and_the_morning=True),
        ),
        "apply_hold_assignments": dg.AssetIn(key=["ops", "apply_hold_assignments"]),
        "budget_levers": dg.AssetIn(
            key=["gaelp_training", "budget_levers"],
            partition_mapping=days_before(SNAPSHOT_DAYS, and_the_morning=True),
        ),
        "int_campaign_channels": dg.AssetIn(key=["intermediate", "int_campaign_channels"]),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "planned_experiments_disturb_nothing",
            asset=asset_key(_EXPERIMENTS),
            description="No planned experiment touches what another planned or running one touches at the "
            "same time, runs into closed days, or is one too many of its kind.",
        ),
        dg.AssetCheckSpec(
            "every_planned_experiment_has_its_days",
            asset=asset_key(_EXPERIMENTS),
            description="Each planned experiment can run within a year; what stands in its way is named.",
        ),
    ],
    group_name="experiments",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    partitions_def=decision_days,
    freshness_policy=WEEKLY_FRESHNESS,
    metadata=table_metadata(_EXPERIMENTS),
    code_version=module_hash(
        *used_by(__name__, "aelp_assets.channel_envelopes", "aelp_assets.randomised_evidence")
    ),
    pool=WAREHOUSE_POOL,
)
def experiment_registry(
    context: dg.AssetExecutionContext,
    ab_experiments: pl.DataFrame,
    mmm_tests: pl.DataFrame,
    arm_decisions: pl.DataFrame,
    apply_hold_assignments: pl.DataFrame,
    budget_levers: pl.DataFrame,
    int_campaign_channels: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Every experiment of any kind, and planned ones in the first weeks in which nothing disturbs them."""
    morning = morning_of(context)
    places = LeverPlaces(channel_levers(budget_levers, int_campaign_channels, morning))
    known = [
        *landed_split_tests(ab_experiments, morning),
        *proposed_split_tests(arm_decisions, places),
        *planned_media_mix_tests(mmm_tests, places),
        *measured_media_mix_tests(measured_tests(settings), places, morning),
        *apply_hold_draws(
            apply_hold_assignments.filter(pl.col("as_of_date") <= morning),
            places,
            morning,
            sent=sent(apply_hold_assignments, settings)["mode"].unique().to_list(),
        ),
    ]
    return registered(planned_on(known, settings, morning), settings, morning)


def measured_tests(settings: Settings) -> list[MeasuredTest]:
    """The lift tests of the settings."""
    return [
        MeasuredTest(
            *(test.track, test.channel, float(test.change), test.lift, test.error),
            test.first_day,
            test.last_day,
        )
        for test in settings.media_mix.lift_tests
    ]


def planned_on(known: list[Experiment], settings: Settings, morning: date) -> Calendar:
    """The calendar of a year from a morning under the settings' freeze windows, events and limits."""
    starts = week_starts(morning, weekday=settings.media_mix.first_weekday, weeks=CALENDAR_WEEKS)
    return plan_calendar(
        known,
        morning=morning,
        starts=starts,
        closed=closed_days(settings, morning),
        at_once=_at_once(settings),
    )


def registered(calendar: Calendar, settings: Settings, morning: date) -> dg.MaterializeResult:
    """The table of a calendar with its checks and picture."""
    frame = registry_frame(calendar.experiments, calendar.conflicts_in_words())
    rows = EXPERIMENTS.conform(frame.with_columns(pl.lit(morning).alias("as_of_date")))
    faults = calendar_faults(
        calendar.experiments,
        morning=morning,
        closed=closed_days(settings, morning),
        at_once=_at_once(settings),
    )
    waiting = rows.filter(pl.col("status") == "planned", pl.col("first_day").is_null())
    counts = rows.group_by("kind", "status").len().sort("kind", "status")
    return result(
        rows,
        plots.experiment_calendar(rows),
        [
            check(
                "planned_experiments_disturb_nothing",
                not faults,
                f"{len(faults)} faults: {'; '.join(faults[:5])}. Move what was given days by hand.",
                _EXPERIMENTS,
                severity=dg.AssetCheckSeverity.WARN,
            ),
            check(
                "every_planned_experiment_has_its_days",
                waiting.is_empty(),
                f"{waiting.height} planned experiments have no free week within {CALENDAR_WEEKS}; their "
                "conflicts say what stands in the way. End it, or shorten the test.",
                _EXPERIMENTS,
                metadata={"waiting": markdown_table(waiting.select("kind", "compared", "conflicts"))},
                severity=dg.AssetCheckSeverity.WARN,
            ),
        ],
        _SHOWN,
        counts=markdown_table(counts, rows=counts.height),
    )


def closed_days(settings: Settings, morning: date) -> list[ClosedDays]:
    """Freeze windows, events and the business's own promotions of the calendar's weeks."""
    last = morning + timedelta(weeks=2 * CALENDAR_WEEKS)  # what begins in the last week has to end as well
    frozen = [span for window in freeze_windows(settings) for span in frozen_days(window, morning, last)]
    events = [
        ClosedDays(event.name, *days, event.track)
        for event in (*settings.events, *settings.media_mix.promotions)
        for days in event.occurrences(morning, last)
    ]
    return [*frozen, *events]


def _at_once(settings: Settings) -> dict[str, int]:
    return {"media_mix": settings.media_mix.tests_at_once}
