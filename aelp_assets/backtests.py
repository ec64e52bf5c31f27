"""Backtest asset: how right the forecaster would have been, had it forecast the past.

Here: reading levers and their days, the response curves each past morning would have had, calling
`models.accuracy`. Not here: live forecasts (`forecasts`), how those that were made did (`forecast_review`).
"""

from datetime import date
from functools import cache

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.forecasts import LEVER_INPUTS, calendar, weighted
from aelp_assets.metadata import FRAME, asset_key, check, markdown_table, numbers, result, table_metadata
from aelp_assets.ownership import MARKETING_SCIENCE, WEEKLY_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, decision_days, morning_of, seeded_rng
from aelp_assets.response import past_curves
from models import accuracy
from models.eligibility import maturity_by_account, of_eligible
from resources.code_version import module_hash, used_by
from resources.settings import Settings

_ACCURACY_SHOWN = [
    *("account_id", "metric", "horizon_days", "method", "origins"),
    *("coverage", "coverage_low", "coverage_high", "pinball", "pinball_difference"),
    *("crps", "crps_difference", "width"),
]


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "forecast_accuracy"],
    ins={**LEVER_INPUTS, "int_lever_traits": dg.AssetIn(key=["intermediate", "int_lever_traits"])},
    check_specs=[
        dg.AssetCheckSpec(
            "covers_what_it_promises",
            asset=asset_key("gaelp_training.forecast_accuracy"),
            description="The coverage interval of clicks and conversions includes 80 %.",
        )
    ],
    group_name="forecasts",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    partitions_def=decision_days,
    freshness_policy=WEEKLY_FRESHNESS,
    metadata=table_metadata("gaelp_training.forecast_accuracy"),
    code_version=module_hash(*used_by(__name__), "models.overlap"),
    pool=WAREHOUSE_POOL,
)
def forecast_accuracy(
    context: dg.AssetExecutionContext,
    int_lever_daily: pl.DataFrame,
    budget_levers: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    int_lever_traits: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Rolling-origin backtest beside the classic method, last week and the seasonal mean."""
    rows = accuracy_rows(
        int_lever_daily, budget_levers, decision_accounts, int_lever_traits, settings, morning_of(context)
    )
    ours = rows.filter((pl.col("method") == "aelp") & pl.col("metric").is_in(["clicks", "conversions"]))
    missed = ours.filter((pl.col("coverage_low") > 0.8) | (pl.col("coverage_high") < 0.8))
    return result(
        rows,
        plots.coverage_intervals(rows),
        [
            check(
                "covers_what_it_promises",
                missed.is_empty(),
                f"{missed.height} of {ours.height} coverage intervals exclude 80 %.",
                "gaelp_training.forecast_accuracy",
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        _ACCURACY_SHOWN,
        table=markdown_table(rows, rows=60),
        **numbers(
            **{
                f"{name}_of_{metric}": ours.filter(pl.col("metric") == metric)[column].mean()
                for metric in ("clicks", "conversions")
                for name, column in (("coverage", "coverage"), ("loss", "pinball"))
            }
        ),
    )


def accuracy_rows(
    lever_days: pl.DataFrame,
    budget_levers: pl.DataFrame,
    accounts: pl.DataFrame,
    traits: pl.DataFrame,
    settings: Settings,
    morning: date,
) -> pl.DataFrame:
    """FORECAST_ACCURACY of the eligible accounts' levers."""
    days = of_eligible(lever_days.filter(pl.col("track").is_in(list(settings.tracks))), accounts)

    @cache  # accounts share their mornings
    def curves_on(past: date) -> pl.DataFrame:
        return past_curves(lever_days, budget_levers, accounts, traits, settings, past)

    return accuracy.forecast_accuracy(
        days.with_columns(conversions=weighted(settings)),
        morning,
        maturity_days=maturity_by_account(accounts),
        elasticity=settings.bandit.elasticity,
        curves=curves_on,
        events=calendar(settings, days, morning),
        rng=seeded_rng(settings.seed, "forecast_accuracy", morning),
    )
