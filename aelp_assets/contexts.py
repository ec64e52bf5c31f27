"""Context asset: placements, segments and dayparts of each lever beside the lever as a whole.

Here: reading the platforms' breakdowns, calling `models.bandits.contexts`, drawing. Not here: the pooling,
and what is advised from it (`arms`).
"""

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.bandits import cac_caps, reward_definition
from aelp_assets.metadata import FRAME, asset_key, check, result, table_metadata
from aelp_assets.ownership import DECISION_FRESHNESS, MARKETING_SCIENCE
from aelp_assets.partitions import (
    LEVER_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
    same_morning,
    seeded_rng,
)
from models.bandits import contexts
from models.eligibility import of_eligible
from models.quantiles import out_of_order
from resources.code_version import module_hash, used_by
from resources.settings import Settings

_DRAWS = 1000  # advice is read at 90 %, not in the tails
_TABLE = "gaelp_training.context_rates"
_METRICS = ["relative_signups_per_dollar", "relative_clicks_per_dollar", "relative_ctr", "cac"]
_SHOWN = [
    *("track", "lever_id", "breakdown", "value", "cost", "signups", "basis"),
    *("relative_signups_per_dollar_p50", "relative_clicks_per_dollar_p50", "p_worse"),
]
# Breakdowns of one lever are pulled minutes apart; Performance Max has no demographics.
_TOLERANCE = 0.02
_IN_PARTS = ("age", "gender")


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "context_rates"],
    ins={
        "context_daily": dg.AssetIn(
            key=["gaelp_training", "context_daily"], partition_mapping=days_before(LEVER_DAYS)
        ),
        "decision_accounts": dg.AssetIn(key=["ops", "decision_accounts"], partition_mapping=same_morning),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "quantiles_in_order",
            asset=asset_key(_TABLE),
            description="p10 <= p50 <= p90 of every rate and CAC.",
        ),
        dg.AssetCheckSpec(
            "breakdowns_add_up",
            asset=asset_key(_TABLE),
            description="Each breakdown of a lever holds the same spend. Days of one that were not pulled "
            "yet are missing from it; its rates then rest on fewer days.",
        ),
    ],
    group_name="baselines",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    partitions_def=decision_days,
    freshness_policy=DECISION_FRESHNESS,
    metadata=table_metadata(_TABLE),
    code_version=module_hash(*used_by(__name__)),
    pool=WAREHOUSE_POOL,
)
def context_rates(
    context: dg.AssetExecutionContext,
    context_daily: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Signups and clicks per dollar and CTR by placement, segment and daypart, relative to the lever."""
    rows = contexts.context_rates(
        context_daily,
        of_eligible(decision_accounts.select("platform", "account_id"), decision_accounts),
        as_of_date=morning_of(context),
        window_days=settings.bandit.window_days,
        prior_conversions=settings.bandit.prior_conversions,
        caps=cac_caps(settings),
        reward=reward_definition(settings),
        rules=contexts.ContextRules(settings.contexts.worse_by, settings.contexts.fewest_signups),
        draws=min(settings.bandit.draws, _DRAWS),
        rng=seeded_rng(settings.seed, "context_rates", morning_of(context)),
    )
    wrong, apart = out_of_order(rows, _METRICS), uneven_levers(rows)
    return result(
        rows.sort("p_worse", descending=True, maintain_order=True),
        plots.context_rates(rows),
        [
            check("quantiles_in_order", wrong == 0, f"{wrong} rows break p10 <= p50 <= p90.", _TABLE),
            check(
                "breakdowns_add_up",
                apart.is_empty(),
                f"{apart.height} breakdowns hold less spend than another of their lever: "
                f"{', '.join(sorted(apart['breakdown'].unique()))}.",
                _TABLE,
                severity=dg.AssetCheckSeverity.WARN,
            ),
        ],
        _SHOWN,
        values=rows.height,
        judged_by_signups=rows.filter(pl.col("basis") == "signups").height,
    )


def uneven_levers(rates: pl.DataFrame) -> pl.DataFrame:
    """Breakdowns whose spend falls short of the lever's largest by more than 2 %, one row each."""
    spent = rates.group_by("platform", "account_id", "lever_id", "breakdown").agg(
        pl.col("cost").cast(pl.Float64).sum()
    )
    largest = pl.col("cost").max().over("platform", "account_id", "lever_id")
    return spent.filter(
        pl.col("cost") < largest * (1 - _TOLERANCE), ~pl.col("breakdown").is_in(_IN_PARTS)
    ).sort("platform", "account_id", "lever_id", "breakdown")
