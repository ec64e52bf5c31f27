"""Ranking asset: how fast each creative's click rate falls where it runs.

Here: reading creative-days by placement, calling `models.creatives.fatigue`, checks, drawing. Not here: the
mathematics, what replaces a tired creative.

Reach is reported by day, and people reached on two days cannot be told apart: how often each has seen a
creative to date is not available, and slopes are by days.
"""

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.metadata import FRAME, asset_key, check, result, table_metadata
from aelp_assets.ownership import MARKETING_SCIENCE, WEEKLY_FRESHNESS
from aelp_assets.partitions import RANKING_DAYS, WAREHOUSE_POOL, days_before, decision_days, morning_of
from models.creatives.fatigue import FATIGUE_VERSION, SEASON, WHERE, delivered_fatigue
from resources.code_version import module_hash, used_by
from resources.settings import Settings
from resources.warehouse.tables import CREATIVE_FATIGUE

_NAME = str(CREATIVE_FATIGUE.name)
_SHOWN = [
    *("track", "creative_id", "placement", "days", "clicks", "slope_p10", "slope_p50", "slope_p90"),
    *("p_fatigues", "days_to_half_p50", "season_slope_p50", "not_enough_data"),
]
_CHECKS = {
    "slopes_in_order": "p10 <= p50 <= p90 of every slope, and 0 <= p_fatigues <= 1.",
    "clicks_fit_impressions": "No creative-day has more link clicks than impressions.",
}


@dg.asset(
    dagster_type=FRAME,
    key=asset_key(_NAME),
    ins={
        "int_creative_placement_daily": dg.AssetIn(
            key=["intermediate", "int_creative_placement_daily"], partition_mapping=days_before(RANKING_DAYS)
        )
    },
    check_specs=[
        dg.AssetCheckSpec(name, asset=asset_key(_NAME), description=said) for name, said in _CHECKS.items()
    ],
    group_name="ranking",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    partitions_def=decision_days,
    freshness_policy=WEEKLY_FRESHNESS,
    metadata=table_metadata(_NAME),
    description=CREATIVE_FATIGUE.description,
    code_version=module_hash(*used_by(__name__)),
    pool=WAREHOUSE_POOL,
)
def creative_fatigue(
    context: dg.AssetExecutionContext,
    int_creative_placement_daily: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Slope of log-odds CTR per creative and placement with its interval, pooled to the placement."""
    days = int_creative_placement_daily.filter(pl.col("track").is_in(list(settings.tracks)))
    rows = delivered_fatigue(days).with_columns(
        as_of_date=pl.lit(morning_of(context)), method_version=pl.lit(FATIGUE_VERSION)
    )
    rows = rows.select(CREATIVE_FATIGUE.column_names)
    told = rows.filter(pl.col("not_enough_data").is_null())
    return result(
        rows,
        plots.creative_fatigue(rows),
        [_in_order(rows), _clicks_fit(days)],
        _SHOWN,
        creatives=rows["creative_id"].n_unique(),
        judged=told.height,
        probably_tired=told.filter(
            (pl.col("p_fatigues") > 0.9) & (pl.col("slope_p90") < pl.col(SEASON[0]))
        ).height,
    )


def _in_order(rows: pl.DataFrame) -> dg.AssetCheckResult:
    wrong = rows.filter(
        ~(pl.col("slope_p10") <= pl.col("slope_p50"))
        | ~(pl.col("slope_p50") <= pl.col("slope_p90"))
        | ~pl.col("p_fatigues").is_between(0, 1)
    ).height
    return check("slopes_in_order", wrong == 0, f"{wrong} rows break their order.", _NAME)


def _clicks_fit(days: pl.DataFrame) -> dg.AssetCheckResult:
    summed = days.group_by(*WHERE, "creative_id", "date").agg(pl.col("impressions", "clicks").sum())
    wrong = summed.filter(pl.col("clicks") > pl.col("impressions")).sort(*WHERE, "creative_id", "date")
    first = wrong.row(0, named=True) if wrong.height else {}
    return check(
        "clicks_fit_impressions",
        wrong.is_empty(),
        f"{wrong.height} creative-days are left out: such as {first.get('creative_id')} on "
        f"{first.get('date')}, {first.get('clicks')} clicks of {first.get('impressions')} impressions.",
        _NAME,
        severity=dg.AssetCheckSeverity.WARN,
    )
