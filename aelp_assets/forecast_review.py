"""Forecasts beside what happened: who was outside, how far off each horizon is, and whether it drifts.

Here: reading forecasts, days and levers, forecasting anew where no forecast was made, drawing. Not here: the
mathematics (`models.monitoring.reviews`, `models.forecasting`), the weekly backtest (`backtests`).
"""

from datetime import date, timedelta

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.forecasts import forecast_morning
from aelp_assets.metadata import asset_key, check, markdown_table, numbers, result, table_out
from aelp_assets.monitoring import with_signups
from aelp_assets.ownership import MARKETING_SCIENCE, REVIEW_FRESHNESS
from aelp_assets.partitions import (
    EVENT_DAYS,
    HISTORY_DAYS,
    LEVER_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
)
from aelp_assets.response import past_curves
from models.maturity import last_matured_day
from models.monitoring import reviews
from models.quantiles import NAMES
from resources.code_version import module_hash, used_by
from resources.settings import Settings
from resources.warehouse import tables
from resources.warehouse.schema import Table

# Mornings that fidelity is judged on where live ones are missing: weekly, so that their days differ.
HINDCAST_WEEKS = 5
HINDCAST_DRAWS = 1000
HINDCAST_HISTORY = 28
_ACCOUNT = ["platform", "account_id"]
_CODE = module_hash(*used_by(__name__), "models.overlap")


def _read_of(table: Table, keys: list[str], metrics: list[str]) -> pl.Schema:
    wanted = [*keys, *(f"{metric}_{name}" for metric in metrics for name in NAMES)]
    return pl.Schema({name: table.polars_schema[name] for name in wanted})


_LEVERS_READ = _read_of(
    tables.FORECAST_RESULTS,
    ["as_of_date", "target_date", *_ACCOUNT, "track", "lever_id"],
    ["spend", "clicks", "signups", "cac"],
)
_DAYS_READ = _read_of(
    tables.FORECAST_OUTLOOK, ["as_of_date", "target_date", "track"], ["spend", "signups", "cac"]
)


# The newest verdict of each account: at seven this morning's audit may not have run.
_VERDICTS = dg.AssetIn(
    key=["ops", "decision_accounts"], partition_mapping=days_before(3, and_the_morning=True)
)


def newest_verdicts(verdicts: pl.DataFrame) -> pl.DataFrame:
    """`decision_accounts` with the newest row of each account."""
    return (
        verdicts.sort("as_of_date", *_ACCOUNT)
        .group_by(_ACCOUNT, maintain_order=True)
        .last()
        .select(verdicts.columns)
    )


@dg.multi_asset(
    name="forecast_review",
    ins={
        "forecast_results": dg.AssetIn(
            key=["gaelp_training", "forecast_results"], partition_mapping=days_before(LEVER_DAYS)
        ),
        "forecast_outlook": dg.AssetIn(
            key=["gaelp_training", "forecast_outlook"], partition_mapping=days_before(LEVER_DAYS)
        ),
        "int_lever_daily": dg.AssetIn(
            key=["intermediate", "int_lever_daily"], partition_mapping=days_before(HISTORY_DAYS)
        ),
        "budget_levers": dg.AssetIn(
            key=["gaelp_training", "budget_levers"], partition_mapping=days_before(HISTORY_DAYS)
        ),
        "decision_accounts": _VERDICTS,
        "int_track_daily": dg.AssetIn(
            key=["intermediate", "int_track_daily"], partition_mapping=days_before(EVENT_DAYS)
        ),
        "int_lever_traits": dg.AssetIn(key=["intermediate", "int_lever_traits"]),
    },
    outs={
        name: table_out(f"gaelp_training.{name}", MARKETING_SCIENCE, REVIEW_FRESHNESS, _CODE)
        for name in ("forecast_reviews", "fidelity_evaluations", "forecast_drift")
    },
    check_specs=[
        dg.AssetCheckSpec(
            "most_levers_were_inside",
            asset=asset_key("gaelp_training.forecast_reviews"),
            description="At least half of yesterday's clicks fell inside p10-p90.",
        ),
        dg.AssetCheckSpec(
            "fidelity_grain",
            asset=asset_key("gaelp_training.fidelity_evaluations"),
            description="One row per track, horizon and basis.",
        ),
        dg.AssetCheckSpec(
            "no_drift",
            asset=asset_key("gaelp_training.forecast_drift"),
            description="No track's live forecasts cover so little that luck cannot be it.",
        ),
    ],
    group_name="monitoring",
    partitions_def=decision_days,
    pool=WAREHOUSE_POOL,
)
def forecast_review(
    context: dg.AssetExecutionContext,
    forecast_results: pl.DataFrame,
    forecast_outlook: pl.DataFrame,
    int_lever_daily: pl.DataFrame,
    budget_levers: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    int_track_daily: pl.DataFrame,
    int_lever_traits: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> tuple[dg.MaterializeResult, dg.MaterializeResult, dg.MaterializeResult]:
    """Actuals beside forecasts; mornings without one are forecast now from what lay before them."""
    morning = morning_of(context)
    accounts = newest_verdicts(decision_accounts).filter("eligible")
    of_levers = [_dated(forecast_results.filter("is_current_budget"), _LEVERS_READ, "live")]
    of_tracks = [_dated(forecast_outlook.filter(pl.col("horizon") == "day"), _DAYS_READ, "live")]
    first_day = int_lever_daily["date"].min()
    for missing in hindcast_mornings(morning, accounts, set(forecast_results["as_of_date"]), first_day):
        levers, outlook = hindcast(
            *(int_lever_daily, budget_levers, accounts, int_track_daily, int_lever_traits),
            settings,
            missing,
        )
        of_levers.append(levers)
        of_tracks.append(outlook)
    forecasts, outlooks = (pl.concat(parts) for parts in (of_levers, of_tracks))
    days = with_signups(int_lever_daily, settings)
    maturities = accounts.select(*_ACCOUNT, "maturity_days")
    reviewed = reviews.judge_levers(forecasts, days, maturities, as_of_date=morning)
    slowest = max(maturities["maturity_days"], default=0)
    judged = reviews.judge_tracks(outlooks, forecasts, days, as_of_date=morning, maturity_days=slowest)
    value = {name: float(track.aov) * track.expected_orders for name, track in settings.tracks.items()}
    fidelity = reviews.fidelity(judged, value, as_of_date=morning)
    drift = reviews.drift(reviewed).select(pl.lit(morning).alias("as_of_date"), pl.all())
    return _reviewed(reviewed, maturities, morning), _faithful(fidelity), _drifted(drift)


def _dated(forecasts: pl.DataFrame, read: pl.Schema, basis: str) -> pl.DataFrame:
    """What a review reads of forecasts, with the morning they were made on."""
    return (
        forecasts.select(read.names())
        .cast(read)
        .rename({"as_of_date": "made_on"})
        .with_columns(basis=pl.lit(basis))
    )


def hindcast_mornings(
    morning: date, accounts: pl.DataFrame, decided: set[date], first_day: object
) -> list[date]:
    """Yesterday, the newest matured day and the weeks before it, where no forecast was made then.

    Args:
        first_day: of the history; None: there is none. A forecast wants `HINDCAST_HISTORY` days behind it.
    """
    if accounts.is_empty() or not isinstance(first_day, date):
        return []
    matured = last_matured_day(morning, max(accounts["maturity_days"]))
    weekly = [matured - timedelta(days=7 * weeks) for weeks in range(HINDCAST_WEEKS)]
    earliest = first_day + timedelta(days=HINDCAST_HISTORY)
    return sorted(day for day in {morning - timedelta(days=1), *weekly} - decided if day >= earliest)


def hindcast(
    lever_days: pl.DataFrame,
    budget_levers: pl.DataFrame,
    accounts: pl.DataFrame,
    track_days: pl.DataFrame,
    traits: pl.DataFrame,
    settings: Settings,
    morning: date,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What the forecaster of today says of a past morning, from days, levers and events before it.

    Days that were young then are left out: their counts have grown since, and what they were is not kept.

    Returns:
        FORECAST_RESULTS at current budgets and the days of FORECAST_OUTLOOK, with `made_on` and `basis`.
    """
    before = pl.col("date") < morning
    lighter = {"draws": HINDCAST_DRAWS, "budget_multipliers": (1.0,), "outlook_days": max(reviews.HORIZONS)}
    days, levers = lever_days.filter(before), budget_levers.filter(before)
    of_levers, outlook = forecast_morning(
        days,
        levers,
        accounts,
        track_days.filter(before),
        settings.model_copy(update={"forecast": settings.forecast.model_copy(update=lighter)}),
        morning,
        curves=past_curves(days, levers, accounts, traits, settings, morning),
    )
    of_days = outlook.filter((pl.col("horizon") == "day") & (pl.col("track") != "combined"))
    return (
        _dated(of_levers.filter("is_current_budget"), _LEVERS_READ, "hindcast"),
        _dated(of_days, _DAYS_READ, "hindcast"),
    )


def _reviewed(reviewed: pl.DataFrame, maturities: pl.DataFrame, morning: date) -> dg.MaterializeResult:
    """The days judged for the first time this morning, those outside their interval shown."""
    yesterday = morning - timedelta(days=1)
    matured = reviewed.join(maturities, on=_ACCOUNT).filter(
        pl.col("target_date") == pl.lit(yesterday) - pl.duration(days=pl.col("maturity_days"))
    )
    settled = reviewed.filter(
        (pl.col("target_date") == yesterday) & pl.col("metric").is_in(list(reviews.SETTLED))
    )
    rows = pl.concat(
        [settled, matured.filter(pl.col("metric").is_in(list(reviews.MATURING))).select(reviewed.columns)]
    )
    outside = rows.filter(~pl.col("inside"))
    clicks = settled.filter(pl.col("metric") == "clicks").drop_nulls("inside")
    share = clicks["inside"].mean()
    why = "Nothing was forecast for a day that has settled." if rows.is_empty() else "all were inside"
    return result(
        rows,
        plots.forecast_review(rows),
        [
            check(
                "most_levers_were_inside",
                clicks.is_empty() or float(clicks["inside"].sum()) >= clicks.height / 2,
                f"Only {clicks['inside'].sum()} of {clicks.height} levers had {yesterday}'s clicks inside "
                "p10-p90: look for a broken feed or a change nobody told the forecaster of.",
                "gaelp_training.forecast_reviews",
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        ["target_date", "basis", "track", "platform", "lever_id", "metric", "p10", "p90", "actual", "inside"],
        key="gaelp_training.forecast_reviews",
        outside=markdown_table(outside, rows=40) if outside.height else why,
        inside_share=float(share) if isinstance(share, float) else None,
    )


def _faithful(rows: pl.DataFrame) -> dg.MaterializeResult:
    twice = rows.filter(rows.select(tables.FIDELITY_EVALUATIONS.grain).is_duplicated())
    return result(
        rows,
        None,
        [
            check(
                "fidelity_grain",
                twice.is_empty(),
                f"{twice.height} rows share track, horizon and basis.",
                "gaelp_training.fidelity_evaluations",
            )
        ],
        ["track", "horizon_days", "basis", "mornings", "mape_cac", "mape_roas", "ks_distance", "coverage"],
        key="gaelp_training.fidelity_evaluations",
        **numbers(coverage=rows["coverage"].mean(), mape_cac=rows["mape_cac"].mean()),
    )


def _drifted(rows: pl.DataFrame) -> dg.MaterializeResult:
    alarmed = rows.filter((pl.col("e_value") >= reviews.DRIFT_ALARM) & (pl.col("basis") == "live"))
    return result(
        rows,
        None,
        [
            check(
                "no_drift",
                alarmed.is_empty(),
                f"Forecasts cover too little in {', '.join(alarmed['track'])}.",
                "gaelp_training.forecast_drift",
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        key="gaelp_training.forecast_drift",
        **numbers(coverage=rows["coverage"].mean(), largest_e_value=rows["e_value"].max()),
    )
