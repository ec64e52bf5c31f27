"""Creative asset: what each creative may be expected to cost and yield on each placement.

Here: reading creative-days by placement and the morning's baselines, calling `models.forecasting.creatives`,
drawing. Not here: the pooling, and which creatives to run (`planning`).
"""

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.metadata import FRAME, asset_key, check, result, table_metadata
from aelp_assets.ownership import DECISION_FRESHNESS, MARKETING_SCIENCE
from aelp_assets.partitions import (
    BASELINE_DAYS,
    SCORE_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
    same_morning,
)
from models.eligibility import maturity_by_account, of_eligible
from models.forecasting import creatives
from models.quantiles import out_of_order
from models.ranking.multipliers import multipliers_in_force
from resources.code_version import module_hash, used_by
from resources.settings import Settings

_SHOWN = [
    *("track", "creative_id", "placement", "impressions"),
    *("cpm_p50", "ctr_p10", "ctr_p50", "ctr_p90", "cvr_p50", "score_multiplier", "own_weight"),
]


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "creative_rates"],
    ins={
        "int_creative_placement_daily": dg.AssetIn(
            key=["intermediate", "int_creative_placement_daily"], partition_mapping=days_before(BASELINE_DAYS)
        ),
        "decision_accounts": dg.AssetIn(key=["ops", "decision_accounts"], partition_mapping=same_morning),
        "placement_baselines": dg.AssetIn(
            key=["gaelp_training", "placement_baselines"], partition_mapping=same_morning
        ),
        "ad_scores": dg.AssetIn(
            key=["gaelp_training", "ad_scores"],
            partition_mapping=days_before(SCORE_DAYS, and_the_morning=True),
        ),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "quantiles_in_order",
            asset=asset_key("gaelp_training.creative_rates"),
            description="p10 <= p50 <= p90 of every rate.",
        )
    ],
    group_name="baselines",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    partitions_def=decision_days,
    freshness_policy=DECISION_FRESHNESS,
    metadata=table_metadata("gaelp_training.creative_rates"),
    code_version=module_hash(*used_by(__name__)),
    pool=WAREHOUSE_POOL,
)
def creative_rates(
    context: dg.AssetExecutionContext,
    int_creative_placement_daily: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    placement_baselines: pl.DataFrame,
    ad_scores: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """CPM, CTR and CVR per creative and placement: p10, p50, p90, pooled to the placement."""
    days = of_eligible(int_creative_placement_daily, decision_accounts)
    rows = creatives.creative_rates(
        days.filter(pl.col("track").is_in(list(settings.tracks))),
        placement_baselines,
        morning_of(context),
        window_days=settings.baselines.window_days,
        maturity_days=maturity_by_account(decision_accounts),
        click_incrementality=settings.reward.click_incrementality_mean,
        view_incrementality=settings.reward.view_incrementality_mean,
        multipliers=multipliers_in_force(ad_scores),
    )
    wrong = out_of_order(rows, ["cpm", "ctr", "cvr"])
    return result(
        rows,
        plots.creative_rates(rows),
        [
            check(
                "quantiles_in_order",
                wrong == 0,
                f"{wrong} rows break p10 <= p50 <= p90.",
                "gaelp_training.creative_rates",
            )
        ],
        _SHOWN,
        creatives=rows["creative_id"].n_unique(),
        scored=int((rows["score_multiplier"] != 1.0).sum()),
    )
