"""The whole graph, assembled in one place.

Here: assets + checks + jobs + sensors + resources → `Definitions`. Not here: anything else; tests inject
their own resources through `build_defs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, TypeVar

import dagster as dg

from aelp_assets import (
    ad_scores,
    apply_hold,
    arm_proposals,
    arms,
    backtests,
    bandits,
    baselines,
    contexts,
    creative_drift,
    creative_embeddings,
    creative_fatigue,
    creative_features,
    creative_rates,
    creative_videos,
    experiment_calendar,
    experiments,
    forecast_review,
    forecasts,
    governance,
    launches,
    media_mix,
    monitoring,
    override_review,
    pacing,
    planning,
    publishing,
    response,
    safety,
    score_cards,
)
from aelp_assets.audits import account_audits, decision_accounts
from aelp_assets.checks import CHECKS
from aelp_assets.column_sources import MOMENTARY_COLUMNS
from aelp_assets.external_edits import external_edits
from aelp_assets.ingest import connectors
from aelp_assets.ingest import file_drop as landing
from aelp_assets.jobs import JOBS, pull_sources
from aelp_assets.looker import outside_specs
from aelp_assets.sending import send_approved
from aelp_assets.transform import dbt_resource, reporting, transform
from resources.clock import Clock, SystemClock, clock_from_environment
from resources.connectors.registry import open_sources
from resources.settings import Settings, load_settings, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.io_manager import WarehouseIOManager
from resources.work_files import StepFiles
from sensors.approvals import unsigned_proposals
from sensors.automation import CONDITIONS, UNDATED_CONDITIONS, creative_refresh, model_refresh
from sensors.decisions import decided_proposals
from sensors.failing_ticks import failing_ticks
from sensors.file_drop import dropped_files
from sensors.freshness import late_groups
from sensors.late_decision import undecided_morning
from sensors.restated_days import restated_days
from sensors.run_outcomes import run_outcomes
from sensors.schedules import SCHEDULES, daily_refresh, pulls_every_hour, spend_every_hour
from sensors.sending import approved_changes
from sensors.slice_retries import retries_of
from sensors.unread_sources import unread_sources

ASSETS: list[dg.AssetsDefinition] = [
    landing.file_landings,
    transform,
    creative_embeddings.creative_embeddings,
    creative_features.creative_features,
    creative_videos.creative_video_features,
    account_audits,
    decision_accounts,
    baselines.placement_baselines,
    creative_rates.creative_rates,
    contexts.context_rates,
    forecasts.forecast,
    backtests.forecast_accuracy,
    media_mix.mmm_fit,
    media_mix.media_mix,
    experiments.split_tests,
    ad_scores.ranking,
    creative_fatigue.creative_fatigue,
    score_cards.cards,
    creative_drift.creative_drift,
    experiment_calendar.experiment_registry,
    response.response,
    bandits.bandit,
    planning.slates,
    pacing.pacing,
    external_edits,
    pacing.urgent_stops,
    launches.policy_reviews,
    launches.launch_plans,
    arms.arm_decisions,
    governance.submission,
    governance.launch_submission,
    arm_proposals.arm_submission,
    governance.governance_mirror,
    apply_hold.apply_hold_lift,
    reporting,
    publishing.analyst_copy,
    monitoring.performance_changes,
    monitoring.reconciliations,
    forecast_review.forecast_review,
    monitoring.track_readiness,
    override_review.override_review,
    safety.safety_events,
    safety.notifications,
]


def default_resources() -> dict[str, Any]:
    """Resources of this environment: `AELP_*` variables and the settings file, nothing else."""
    environment = read_environment()
    settings = load_settings(environment.settings_path)
    warehouse, clock = open_warehouse(environment), clock_from_environment()
    return {
        "environment": environment,
        "settings": settings,
        "clock": clock,
        "drop": landing.open_drop(environment, settings, clock),
        "sources": open_sources(environment, settings, clock),
        "warehouse": warehouse,
        "io_manager": WarehouseIOManager(warehouse, MOMENTARY_COLUMNS),
        "step_io_manager": StepFiles(base_dir=str(environment.home / "work" / "steps")),
        "dbt": dbt_resource(environment),
    }


def decides_today(clock: Clock, settings: Settings) -> bool:
    """Whether the calendar's today is a morning to decide.

    It is not under an injected clock, nor where each account is decided after its own last report date:
    Dagster's schedules and conditions go by the wall clock, and would decide a day without data.
    """
    return isinstance(clock, SystemClock) and settings.as_of == "wall"


Waking = TypeVar("Waking", bound=dg.ScheduleDefinition | dg.SensorDefinition)


def asleep(waking: Waking) -> Waking:
    """The same schedule or sensor, off until a person switches it on."""
    still = copy(waking)
    still._default_status = (  # no public way to copy one with another status
        dg.DefaultScheduleStatus.STOPPED
        if isinstance(waking, dg.ScheduleDefinition)
        else dg.DefaultSensorStatus.STOPPED
    )
    return still


def build_defs(resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The code location; `resources` override the environment's by name."""
    conditions = CONDITIONS | UNDATED_CONDITIONS
    conditioned = [
        asset.map_asset_specs(
            lambda spec: (
                spec.replace_attributes(automation_condition=conditions[spec.key])
                if spec.key in conditions
                else spec
            )
        )
        for asset in ASSETS
    ]
    used = {**default_resources(), **(resources or {})}
    follows_today = decides_today(used["clock"], used["settings"])
    settings = used["settings"]
    live = connectors.live_assets(settings)
    landed = [connectors.hung_on_pulls(spec, settings) for spec in landing.RAW_SPECS]
    pulling = [pull_sources(settings.source_names)] if live else []
    schedules = [*SCHEDULES, daily_refresh, spend_every_hour, *(pulls_every_hour(job) for job in pulling)]
    # What goes by the wall clock: a simulated account is late for ever, and its servers are gone.
    by_the_wall = [model_refresh, undecided_morning, late_groups, unread_sources, *map(retries_of, pulling)]
    return dg.Definitions(
        assets=[*conditioned, *live, *landed, *outside_specs()],
        asset_checks=[*CHECKS, *connectors.live_checks(settings)],
        jobs=[*JOBS, *pulling, send_approved],
        schedules=schedules if follows_today else [asleep(schedule) for schedule in schedules],
        sensors=[
            dropped_files,
            restated_days,
            decided_proposals,
            approved_changes,
            creative_refresh,
            run_outcomes,
            failing_ticks,
            unsigned_proposals,
            *(by_the_wall if follows_today else map(asleep, by_the_wall)),
        ],
        resources=used,
        executor=dg.in_process_executor,
    )


defs = build_defs()
