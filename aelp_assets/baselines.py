"""Baseline asset: what a thousand impressions, a click and a signup usually cost, by placement.

Here: reading placement-days of eligible accounts, calling `models.baselines`, drawing. Not here: the
quantiles and the shrinkage.
"""

from datetime import date, timedelta

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.metadata import FRAME, asset_key, check, result, table_metadata
from aelp_assets.ownership import DECISION_FRESHNESS, MARKETING_SCIENCE
from aelp_assets.partitions import (
    BASELINE_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
    same_morning,
)
from models import baselines
from models.eligibility import maturity_by_account, of_eligible
from models.quantiles import out_of_order
from resources.code_version import module_hash, used_by
from resources.settings import Settings

_SHOWN = [
    *("track", "placement", "weighting", "cost"),
    *("cpm_p50", "ctr_p10", "ctr_p50", "ctr_p90", "cvr_p50", "parent_weight"),
]


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "placement_baselines"],
    ins={
        "int_placement_daily": dg.AssetIn(
            key=["intermediate", "int_placement_daily"], partition_mapping=days_before(BASELINE_DAYS)
        ),
        "decision_accounts": dg.AssetIn(key=["ops", "decision_accounts"], partition_mapping=same_morning),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "quantiles_in_order",
            asset=asset_key("gaelp_training.placement_baselines"),
            blocking=True,
            description="p10 <= p50 <= p90 of every rate.",
        )
    ],
    group_name="baselines",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    partitions_def=decision_days,
    freshness_policy=DECISION_FRESHNESS,
    metadata=table_metadata("gaelp_training.placement_baselines"),
    code_version=module_hash(*used_by(__name__)),
    pool=WAREHOUSE_POOL,
)
def placement_baselines(
    context: dg.AssetExecutionContext,
    int_placement_daily: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """CPM, CTR and CVR by track and placement: p10, p50, p90 of days, equal and spend-weighted."""
    days = of_eligible(int_placement_daily, decision_accounts)
    rows = baselines.placement_baselines(
        days.filter(pl.col("track").is_in(list(settings.tracks))),
        as_of_date=morning_of(context),
        window_days=settings.baselines.window_days,
        maturity_days=maturity_by_account(decision_accounts),
        outlier_mad=settings.baselines.outlier_mad,
        click_incrementality=settings.reward.click_incrementality_mean,
        view_incrementality=settings.reward.view_incrementality_mean,
        event_days=event_days(settings, morning_of(context)),
    )
    wrong = out_of_order(rows, ["cpm", "ctr", "cvr"])
    return result(
        rows,
        plots.baseline_ranges(rows),
        [
            check(
                "quantiles_in_order",
                wrong == 0,
                f"{wrong} rows break p10 <= p50 <= p90.",
                "gaelp_training.placement_baselines",
            )
        ],
        _SHOWN,
        placements=rows["placement"].n_unique(),
    )


def event_days(settings: Settings, morning: date) -> list[tuple[date, str | None]]:
    """Days of the settings' events in the window, with the track each concerns."""
    window = [morning - timedelta(days=age) for age in range(1, settings.baselines.window_days + 1)]
    return [
        (day, event.track)
        for event in settings.events
        for first, last in event.occurrences(window[-1], window[0])
        for day in window
        if first <= day <= last
    ]
