"""The whole graph, assembled in one place.

Here: assets + checks + jobs + sensors + resources → `Definitions`. Not here: anything else; tests inject
their own resources through `build_defs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from aelp_assets import bandits, baselines, forecasts, planning, publishing
from aelp_assets.audits import account_audits, decision_accounts
from aelp_assets.checks import CHECKS
from aelp_assets.ingest import file_drop as landing
from aelp_assets.jobs import JOBS
from aelp_assets.transform import dbt_resource, reporting, transform
from resources.clock import clock_from_environment
from resources.settings import load_settings, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.io_manager import WarehouseIOManager
from sensors.automation import CONDITIONS, model_refresh
from sensors.file_drop import dropped_files
from sensors.restated_days import restated_days
from sensors.schedules import SCHEDULES

ASSETS: list[dg.AssetsDefinition] = [
    landing.file_landings,
    transform,
    account_audits,
    decision_accounts,
    baselines.placement_baselines,
    forecasts.forecast,
    forecasts.forecast_accuracy,
    bandits.bandit,
    planning.slates,
    reporting,
    publishing.analyst_copy,
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
        "warehouse": warehouse,
        "io_manager": WarehouseIOManager(warehouse),
        "step_io_manager": dg.FilesystemIOManager(base_dir=str(environment.home / "work" / "steps")),
        "dbt": dbt_resource(environment),
    }


def build_defs(resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The code location; `resources` override the environment's by name."""
    conditioned = [
        asset.map_asset_specs(
            lambda spec: (
                spec.replace_attributes(automation_condition=CONDITIONS[spec.key])
                if spec.key in CONDITIONS
                else spec
            )
        )
        for asset in ASSETS
    ]
    return dg.Definitions(
        assets=[*conditioned, *landing.RAW_SPECS],
        asset_checks=CHECKS,
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=[dropped_files, restated_days, model_refresh],
        resources={**default_resources(), **(resources or {})},
        executor=dg.in_process_executor,
    )


defs = build_defs()
