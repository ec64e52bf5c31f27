"""The runs people and sensors launch.

Here: which assets run together; a job's partitions are those of its assets. Not here: when (`sensors/`)
and in what order a whole morning goes (`runner`).
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from aelp_assets.governance import URGENT_STOPS
from aelp_assets.ingest.connectors import pull_key
from aelp_assets.metadata import asset_key
from aelp_assets.transform import transform
from resources.settings import SourceName
from resources.warehouse.tables import EXTERNAL_EDITS, GOVERNANCE_TABLES, PACING_TABLES

_WATCH = (asset_key("gaelp_training.safety_events"), asset_key("ops.notifications"))

land_files = dg.define_asset_job(
    "land_files",
    selection=dg.AssetSelection.assets(["ops", "file_landings"]),
    description="Read the drop folder: new files to raw.*, refused rows to ops.quarantine.",
)
transform_days = dg.define_asset_job(
    "transform_days",
    selection=dg.AssetSelection.assets(transform),
    description="Staging and marts for a range of report days, in one dbt run.",
)
read_creatives = dg.define_asset_job(
    "read_creatives",
    selection=dg.AssetSelection.groups("creatives"),
    description="What is new in texts, images and videos of creatives, read once.",
)
GATES = [asset_key("ops.account_audits"), asset_key("ops.decision_accounts")]
"""Their blocking checks decide whether a morning's inputs may be used at all."""

MODELS = [
    *GATES,
    asset_key("gaelp_training.placement_baselines"),
    asset_key("gaelp_training.creative_rates"),
    asset_key("gaelp_training.context_rates"),
    asset_key("gaelp_training.lever_clusters"),
    asset_key("gaelp_training.response_curves"),
    asset_key("gaelp_training.forecast_results"),
    asset_key("gaelp_training.forecast_outlook"),
]
"""What a morning believes before it decides; it follows the marts all day (`sensors.automation`)."""

BRINGS_ALL_MODELS = {"aelp/brings": "models"}
"""Tags of jobs that make all of them in one run: what one of them brings is no news to the next."""

decide = dg.define_asset_job(
    "decide",
    selection=dg.AssetSelection.groups(
        "audits", "baselines", "forecasts", "bandits", "planning", "pacing", "governance", "reporting"
    )
    - dg.AssetSelection.assets(["gaelp_training", "forecast_accuracy"]),
    tags=BRINGS_ALL_MODELS,
    description="One morning: audits, baselines, forecasts, guarded decisions, slates, proposals, views.",
)
refresh_models = dg.define_asset_job(
    "refresh_models",
    selection=dg.AssetSelection.assets(*MODELS),
    tags=BRINGS_ALL_MODELS,
    description="Today's audits, baselines, rates, curves and forecasts, without a decision.",
)
mirror_governance = dg.define_asset_job(
    "mirror_governance",
    selection=dg.AssetSelection.assets(*(asset_key(str(table.name)) for table in GOVERNANCE_TABLES)),
    description="Proposals, approvals and changes as the control store has them, into ops.",
)
guard_spend = dg.define_asset_job(
    "guard_spend",
    selection=dg.AssetSelection.assets(
        *(asset_key(str(table.name)) for table in (*PACING_TABLES, EXTERNAL_EDITS, *GOVERNANCE_TABLES)),
        URGENT_STOPS,
        *_WATCH,
    ),
    description="Today's landed spend beside its expected course; where it runs away, a stop is proposed and "
    "people are told. What people edited on the platforms withdraws the proposals it overtook.",
)
backtest = dg.define_asset_job(
    "backtest",
    selection=dg.AssetSelection.assets(["gaelp_training", "forecast_accuracy"]),
    description="Score the forecaster on the past: coverage and loss beside the classic and naive methods.",
)
fit_media_mix = dg.define_asset_job(
    "fit_media_mix",
    selection=dg.AssetSelection.groups("media_mix"),
    description="Weekly: fit each track's media mix: curves, channel envelopes, tests worth running.",
)
rank_creatives = dg.define_asset_job(
    "rank_creatives",
    # With the copy that people read, or cards would show a morning late.
    selection=dg.AssetSelection.groups("ranking") | dg.AssetSelection.assets(["published", "analyst_copy"]),
    description="Weekly: judge who ranks new ads best, and score every creative by the champion.",
)
judge_experiments = dg.define_asset_job(
    "judge_experiments",
    selection=dg.AssetSelection.groups("experiments"),
    description="Weekly: are split tests valid, who won; every experiment and when the next may run.",
)
test_creatives = dg.define_asset_job(
    "test_creatives",
    selection=dg.AssetSelection.assets(
        asset_key("gaelp_training.ab_experiments"), asset_key("gaelp_training.ab_results")
    ),
    description="Daily: how the running split tests stand; their intervals hold however often one looks.",
)
review = dg.define_asset_job(
    "review",
    selection=dg.AssetSelection.groups("monitoring"),
    description="Why yesterday changed, forecasts beside actuals, what may be trusted, whom to tell of what.",
)
watch = dg.define_asset_job(
    "watch",
    selection=dg.AssetSelection.assets(*_WATCH),
    description="Tell of what the morning's decisions bring; what was not told yet is tried again.",
)

audit = dg.define_asset_job(
    "audit",
    selection=dg.AssetSelection.assets(["ops", "account_audits"]),
    description="Only the plausibility audit: for data nothing can be decided on, such as undated exports.",
)


def pull_sources(sources: Sequence[SourceName]) -> UnresolvedAssetJobDefinition:
    """The job that pulls every configured live source."""
    return dg.define_asset_job(
        "pull_sources",
        selection=dg.AssetSelection.assets(*map(pull_key, sources)),
        description="Every due day of every account of every live source, into raw.*.",
    )


JOBS = [
    land_files,
    transform_days,
    read_creatives,
    decide,
    mirror_governance,
    guard_spend,
    backtest,
    fit_media_mix,
    judge_experiments,
    test_creatives,
    rank_creatives,
    refresh_models,
    review,
    watch,
    audit,
]
