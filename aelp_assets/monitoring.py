"""The morning review: why numbers moved, how right forecasts were, what may be trusted, whom to tell.

Here: reading marts and earlier mornings, calling `models.monitoring`, telling people. Not here: the
mathematics, thresholds (settings), the ways to tell people (`resources.notifier`).
"""

import os
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.bandits import cac_caps
from aelp_assets.forecasts import lever_inputs
from aelp_assets.governance import mirror, open_governance
from aelp_assets.metadata import FRAME, asset_key, check, markdown_table, result, table_metadata, table_out
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, MARKETING_SCIENCE, REVIEW_FRESHNESS
from aelp_assets.partitions import (
    HISTORY_DAYS,
    LEVER_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
    same_morning,
    seeded_rng,
)
from models import forecasting
from models.eligibility import maturity_by_account
from models.monitoring import arrival, changes, readiness, reconciliation, reviews, safety
from models.quantiles import NAMES
from resources.clock import Clock
from resources.code_version import module_hash
from resources.control.records import FAILED, Record
from resources.control.store import control_url, open_control_store
from resources.notifier import LogChannel, Message, Notifier, open_channels
from resources.settings import Environment, Settings, SettingsError
from resources.warehouse import tables
from resources.warehouse.schema import Table

# What a morning compares with: a week back, and the days around it that restatements may have touched.
KNOWN_DAYS = 9
# Mornings that fidelity is judged on where live ones are missing: weekly, so that their days differ.
HINDCAST_WEEKS = 5
HINDCAST_DRAWS = 1000
HINDCAST_HISTORY = 28
BACKTEST_DAYS = 14
SPEND_DAYS = 7
_ACCOUNT = ["platform", "account_id"]


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
_CODE = module_hash("models.monitoring")

_LEVER_DAYS = dg.AssetIn(key=["intermediate", "int_lever_daily"], partition_mapping=days_before(LEVER_DAYS))
_VERDICTS = dg.AssetIn(
    # The newest verdict of each account: at seven this morning's audit may not have run.
    key=["ops", "decision_accounts"],
    partition_mapping=days_before(3, and_the_morning=True),
)
_ACCURACY = dg.AssetIn(
    key=["gaelp_training", "forecast_accuracy"],
    partition_mapping=days_before(BACKTEST_DAYS, and_the_morning=True),
)


def _this_morning(name: str) -> dg.AssetIn:
    return dg.AssetIn(key=["gaelp_training", name], partition_mapping=same_morning)


def with_signups(days: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Days of configured tracks with float cost and `signups`: reward-weighted at the mean incrementality."""
    reward = settings.reward
    return (
        days.filter(pl.col("track").is_in(list(settings.tracks)))
        .sort("date", *_ACCOUNT, "track", "lever_id")  # sums of floats depend on the order
        .with_columns(
            pl.col("cost").cast(pl.Float64),
            signups=pl.col("conversions_click").cast(pl.Float64) * reward.click_incrementality_mean
            + pl.col("conversions_view").cast(pl.Float64) * reward.view_incrementality_mean,
        )
    )


def newest_verdicts(verdicts: pl.DataFrame) -> pl.DataFrame:
    """`decision_accounts` with the newest row of each account."""
    return verdicts.sort("as_of_date").group_by(_ACCOUNT, maintain_order=True).last().select(verdicts.columns)


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "performance_changes"],
    ins={
        "int_lever_daily": _LEVER_DAYS,
        "int_conversions_as_known": dg.AssetIn(
            key=["intermediate", "int_conversions_as_known"], partition_mapping=days_before(KNOWN_DAYS)
        ),
        "conversion_delay": dg.AssetIn(key=["gaelp_training", "conversion_delay"]),
        "accounts": dg.AssetIn(key=["ops", "accounts"]),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "parts_add_up",
            asset=asset_key("gaelp_training.performance_changes"),
            description="The eight parts of every change sum to it, to the cent.",
        )
    ],
    group_name="monitoring",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    partitions_def=decision_days,
    freshness_policy=REVIEW_FRESHNESS,
    metadata=table_metadata("gaelp_training.performance_changes"),
    code_version=_CODE,
    pool=WAREHOUSE_POOL,
)
def performance_changes(
    context: dg.AssetExecutionContext,
    int_lever_daily: pl.DataFrame,
    int_conversions_as_known: pl.DataFrame,
    conversion_delay: pl.DataFrame,
    accounts: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Why yesterday differs from the day before and from a week before, by track and platform."""
    morning = morning_of(context)
    yesterday = morning - timedelta(days=1)
    days = with_signups(int_lever_daily, settings)
    maturities = accounts.select(
        pl.col("source").alias("platform"),
        "account_id",
        pl.col("maturity_days").fill_null(settings.attribution.maturity_days),
    )
    shares = arrival.arrival_shares(days, conversion_delay, maturities, as_of_date=morning)
    rows = changes.explain_changes(
        days,
        arrival.restated(int_conversions_as_known, shares, as_of_date=morning, days=KNOWN_DAYS),
        comparisons={
            "day_before": (yesterday, yesterday - timedelta(days=1)),
            "week_before": (yesterday, yesterday - timedelta(days=7)),
        },
    ).select(pl.lit(morning).alias("as_of_date"), pl.all())
    apart = rows.filter(pl.sum_horizontal(changes.PARTS) != pl.col("change"))
    told = rows.filter(pl.col("platform") == "all")["sentence"].to_list()
    return result(
        rows,
        plots.change_waterfall(rows),
        [
            check(
                "parts_add_up",
                apart.is_empty(),
                f"{apart.height} of {rows.height} changes are not the sum of their parts.",
                "gaelp_training.performance_changes",
            )
        ],
        ["comparison", "track", "platform", "metric", "before", "after", "change", "cvr", "delay", "mix"],
        sentences=dg.MetadataValue.md("\n".join(f"- {line}" for line in told) or "No two days to compare."),
        arrival=markdown_table(shares.filter(pl.col("age") <= 2), rows=40),
    )


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "reconciliations"],
    ins={"platform_vs_backend": dg.AssetIn(key=["gaelp_training", "platform_vs_backend"])},
    check_specs=[
        dg.AssetCheckSpec(
            "platforms_agree_with_the_backend",
            asset=asset_key("gaelp_training.reconciliations"),
            description="What platforms claim per order of a new customer is in range and steady.",
        )
    ],
    group_name="monitoring",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    partitions_def=decision_days,
    freshness_policy=REVIEW_FRESHNESS,
    metadata=table_metadata("gaelp_training.reconciliations"),
    code_version=_CODE,
    pool=WAREHOUSE_POOL,
)
def reconciliations(
    context: dg.AssetExecutionContext,
    platform_vs_backend: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Platform signups beside backend orders of new customers, per track over matured days."""
    reward, limits = settings.reward, settings.monitoring
    daily = platform_vs_backend.sort("track", "date").select(
        "date",
        "track",
        platform_signups=pl.col("platform_conversions_click").cast(pl.Float64)
        * reward.click_incrementality_mean
        + pl.col("platform_conversions_view").cast(pl.Float64) * reward.view_incrementality_mean,
        backend_orders=pl.col("backend_new_customer_orders"),
    )
    rows = reconciliation.reconcile(
        daily,
        list(settings.tracks),
        as_of_date=morning_of(context),
        maturity_days=settings.attribution.maturity_days,
        window_days=limits.reconciliation_days,
        lowest=limits.lowest,
        highest=limits.highest,
        largest_change=limits.largest_change,
    )
    broken = rows.filter(pl.col("status").is_in(["out_of_range", "changed"]))
    return result(
        rows,
        None,
        [
            check(
                "platforms_agree_with_the_backend",
                broken.is_empty(),
                " ".join(f"{track}: {said}" for track, said in broken["track", "detail"].iter_rows()),
                "gaelp_training.reconciliations",
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        ["track", "platform_signups", "backend_orders", "claimed_per_order", "status", "detail"],
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
    settings: dg.ResourceParam[Settings],
) -> tuple[dg.MaterializeResult, dg.MaterializeResult, dg.MaterializeResult]:
    """Actuals beside forecasts; mornings without one are forecast now from what lay before them."""
    morning = morning_of(context)
    accounts = newest_verdicts(decision_accounts).filter("eligible")
    of_levers = [_dated(forecast_results.filter("is_current_budget"), _LEVERS_READ, "live")]
    of_tracks = [_dated(forecast_outlook.filter(pl.col("horizon") == "day"), _DAYS_READ, "live")]
    first_day = int_lever_daily["date"].min()
    for missing in hindcast_mornings(morning, accounts, set(forecast_results["as_of_date"]), first_day):
        levers, outlook = hindcast(int_lever_daily, budget_levers, accounts, settings, missing)
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
    matured = morning - timedelta(days=1 + max(accounts["maturity_days"]))
    weekly = [matured - timedelta(days=7 * weeks) for weeks in range(HINDCAST_WEEKS)]
    earliest = first_day + timedelta(days=HINDCAST_HISTORY)
    return sorted(day for day in {morning - timedelta(days=1), *weekly} - decided if day >= earliest)


def hindcast(
    lever_days: pl.DataFrame,
    budget_levers: pl.DataFrame,
    accounts: pl.DataFrame,
    settings: Settings,
    morning: date,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What the forecaster of today says of a past morning, from the days and levers before it.

    Returns:
        FORECAST_RESULTS at current budgets and the days of FORECAST_OUTLOOK, with `made_on` and `basis`.
    """
    before = pl.col("date") < morning
    days, levers, delivery = lever_inputs(
        lever_days.filter(before), budget_levers.filter(before), accounts, settings, morning
    )
    model = forecasting.fit_rates(
        forecasting.build_panel(days, morning, levers=levers),
        maturity_days=maturity_by_account(accounts),
        elasticity=settings.bandit.elasticity,
    )
    shared: dict[str, Any] = {
        "cac_caps": cac_caps(settings),
        "delivery_mean": settings.forecast.delivery_mean,
        "delivery_strength": settings.forecast.delivery_strength,
        "draws": HINDCAST_DRAWS,
    }
    of_levers = forecasting.forecast_levers(
        model,
        levers,
        delivery,
        morning,
        budget_multipliers=(1.0,),
        horizon_days=settings.forecast.horizon_days,
        rng=seeded_rng(settings.seed, "forecast", morning),
        **shared,
    )
    outlook = forecasting.forecast_outlook(
        model,
        levers,
        delivery,
        morning,
        minimum_daily_signups={name: track.minimum_daily_signups for name, track in settings.tracks.items()},
        outlook_days=max(reviews.HORIZONS),
        rng=seeded_rng(settings.seed, "forecast", morning),
        **shared,
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
    )


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "readiness"],
    ins={
        "decision_accounts": dg.AssetIn(key=["ops", "decision_accounts"], partition_mapping=same_morning),
        "int_lever_daily": _LEVER_DAYS,
        "forecast_accuracy": _ACCURACY,
        "forecast_drift": _this_morning("forecast_drift"),
        "reconciliations": _this_morning("reconciliations"),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "ready_only_with_every_criterion",
            asset=asset_key("gaelp_training.readiness"),
            description="A track is ready exactly where every criterion is met.",
        )
    ],
    group_name="monitoring",
    kinds={"polars"},
    owners=CAMPAIGN_MANAGEMENT,
    partitions_def=decision_days,
    freshness_policy=REVIEW_FRESHNESS,
    metadata=table_metadata("gaelp_training.readiness"),
    code_version=_CODE,
    pool=WAREHOUSE_POOL,
)
def track_readiness(
    context: dg.AssetExecutionContext,
    decision_accounts: pl.DataFrame,
    int_lever_daily: pl.DataFrame,
    forecast_accuracy: pl.DataFrame,
    forecast_drift: pl.DataFrame,
    reconciliations: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """May each track's automation be trusted this morning: a row per criterion, none passed by default."""
    morning = morning_of(context)
    days = with_signups(int_lever_daily, settings)
    maturity = settings.attribution.maturity_days
    last = morning - timedelta(days=maturity + 1)
    window = pl.col("date").is_between(last - timedelta(days=settings.bandit.window_days - 1), last)
    evidence = readiness.Evidence(
        verdicts=decision_accounts,
        recent=days.filter(pl.col("date") >= morning - timedelta(days=SPEND_DAYS))
        .group_by(*_ACCOUNT, "track")
        .agg(pl.col("cost", "signups").sum()),
        matured=days.filter(window).group_by("track").agg(pl.col("signups").sum()),
        accuracy=newest_backtest(forecast_accuracy),
        drift=forecast_drift,
        reconciliations=reconciliations,
        applied=applied_changes(environment, settings, clock),
    )
    thresholds = readiness.Thresholds(
        max_data_age_days=settings.max_data_age_days,
        matured_signups=settings.monitoring.matured_signups,
        applied_changes=settings.monitoring.applied_changes,
    )
    rows = readiness.readiness(list(settings.tracks), evidence, thresholds, as_of_date=morning)
    is_total = pl.col("criterion") == readiness.ALL
    every = rows.filter(~is_total).group_by("track").agg(pl.col("passed").all().alias("every"))
    wrong = rows.filter(is_total).join(every, on="track").filter(pl.col("passed") != pl.col("every"))
    return result(
        rows,
        None,
        [
            check(
                "ready_only_with_every_criterion",
                wrong.is_empty(),
                f"The verdict on {', '.join(wrong['track'])} is not that of its criteria.",
                "gaelp_training.readiness",
            )
        ],
        ["track", "criterion", "value", "requirement", "threshold", "passed", "detail"],
        criteria=markdown_table(rows, rows=60),
    )


def newest_backtest(accuracy: pl.DataFrame) -> pl.DataFrame:
    """The newest `forecast_accuracy` there is, empty where none was made."""
    return accuracy.filter(pl.col("as_of_date") == pl.col("as_of_date").max())


def applied_changes(environment: Environment, settings: Settings, clock: Clock) -> dict[str, int]:
    """Approved changes that took place in the settings' mode, by track."""
    governance = open_governance(environment, settings)
    track_of = {row["proposal_id"]: row["track"] for row in governance.proposals(clock.now())}
    counts: dict[str, int] = {}
    for change in governance.changes():
        if change["kind"] == "apply" and change["status"] == "applied":
            track = track_of[change["proposal_id"]]
            counts[track] = counts.get(track, 0) + 1
    return counts


_RECENT = days_before(1, and_the_morning=True)


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "safety_events"],
    ins={
        # Yesterday's decisions too: the review at seven comes before this morning's.
        "bandit_decisions": dg.AssetIn(key=["gaelp_training", "bandit_decisions"], partition_mapping=_RECENT),
        "lever_states": dg.AssetIn(key=["ops", "lever_states"], partition_mapping=_RECENT),
        "int_lever_daily": dg.AssetIn(
            key=["intermediate", "int_lever_daily"], partition_mapping=days_before(2)
        ),
        "budget_levers": dg.AssetIn(
            key=["gaelp_training", "budget_levers"], partition_mapping=days_before(2)
        ),
        "forecast_accuracy": _ACCURACY,
        "forecast_drift": _this_morning("forecast_drift"),
        "reconciliations": _this_morning("reconciliations"),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "nothing_critical",
            asset=asset_key("gaelp_training.safety_events"),
            description="Nothing happened that a person must act on today.",
        )
    ],
    group_name="monitoring",
    kinds={"polars"},
    owners=CAMPAIGN_MANAGEMENT,
    partitions_def=decision_days,
    freshness_policy=REVIEW_FRESHNESS,
    metadata=table_metadata("gaelp_training.safety_events"),
    code_version=_CODE,
    pool=WAREHOUSE_POOL,
)
def safety_events(
    context: dg.AssetExecutionContext,
    bandit_decisions: pl.DataFrame,
    lever_states: pl.DataFrame,
    int_lever_daily: pl.DataFrame,
    budget_levers: pl.DataFrame,
    forecast_accuracy: pl.DataFrame,
    forecast_drift: pl.DataFrame,
    reconciliations: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
) -> dg.MaterializeResult:
    """What a person must hear of this morning: stops, refusals, drift, money beyond its limits."""
    morning = morning_of(context)
    governance = open_governance(environment, settings)
    spent = with_signups(int_lever_daily, settings).select("date", *_ACCOUNT, "track", "lever_id", "cost")
    # A declared budget is the mean of recent spend: no limit that a day could break.
    is_limit = (pl.col("lever_source") == "platform") & (pl.col("budget_type") == "daily")
    budgets = budget_levers.filter(is_limit).select(
        "date", *_ACCOUNT, "lever_id", pl.col("current_budget").cast(pl.Float64)
    )
    rows = safety.collect(
        [
            *safety.stops_proposed(bandit_decisions),
            *safety.kill_switch_pulled(_pulls(governance.kill_switch_log(), morning, settings)),
            *safety.decisions_refused(lever_states, bandit_decisions),
            *safety.changes_failed(_failures(governance.changes(), morning, settings)),
            *safety.drift_alarms(forecast_drift, as_of_date=morning),
            *safety.reconciliations_broken(reconciliations, as_of_date=morning),
            *safety.coverage_broken(newest_backtest(forecast_accuracy)),
            *safety.overspent(
                spent.join(budgets, on=["date", *_ACCOUNT, "lever_id"]),
                overdelivery=settings.guardrails.overdelivery,
            ),
        ],
        as_of_date=morning,
    )
    critical = rows.filter(pl.col("severity") == "critical")
    return result(
        rows,
        None,
        [
            check(
                "nothing_critical",
                critical.is_empty(),
                f"{critical.height} critical events; the first: {critical['sentence'].head(1).to_list()}",
                "gaelp_training.safety_events",
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        ["severity", "kind", "track", "sentence", "remedy"],
    )


def _is_recent(seconds: float, morning: date, settings: Settings) -> date | None:
    """The business day of a moment, if it is this morning's or the one before."""
    day = datetime.fromtimestamp(seconds, UTC).astimezone(settings.timezone).date()
    return day if morning - timedelta(days=1) <= day <= morning else None


def _pulls(log: Iterable[Record], morning: date, settings: Settings) -> list[tuple[date, str, str]]:
    """Recent pulls of the kill switch: day, moment, and who did it why."""
    found = []
    for row in log:
        if row["is_on"] and (day := _is_recent(row["at"], morning, settings)) is not None:
            said = f"{row['person']} stopped everything: {row['reason']}"
            found.append((day, f"{row['at']:.0f}", said))
    return found


def _failures(
    feed: Iterable[Record], morning: date, settings: Settings
) -> list[tuple[date, str, str, str, str]]:
    """Recent changes that a platform or a rule refused; those a person took back are no event."""
    found = []
    for row in feed:
        if row["status"] not in FAILED or row["status"] == "withdrawn" or row["finished_at"] is None:
            continue
        if (day := _is_recent(row["finished_at"], morning, settings)) is not None:
            subject = f"{row['platform']}/{row['account_id']}/{row['lever_id']}"
            found.append((day, row["change_id"], subject, row["status"], row["message"] or "no reason given"))
    return found


@dg.asset(
    dagster_type=FRAME,
    key=["ops", "notifications"],
    ins={"safety_events": _this_morning("safety_events")},
    check_specs=[
        dg.AssetCheckSpec(
            "everybody_was_told",
            asset=asset_key("ops.notifications"),
            description="No event waits for a channel that did not take it.",
        )
    ],
    group_name="monitoring",
    kinds={"polars"},
    owners=CAMPAIGN_MANAGEMENT,
    partitions_def=decision_days,
    freshness_policy=REVIEW_FRESHNESS,
    metadata=table_metadata("ops.notifications"),
    code_version=module_hash("resources.notifier"),
    pool=WAREHOUSE_POOL,
)
def notifications(
    context: dg.AssetExecutionContext,
    safety_events: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """This morning's events told once through every channel, and what waits from before tried again."""
    engine = open_control_store(control_url(environment.home, os.environ))
    faults = []
    try:
        channels = open_channels(os.environ, context.log)
    except SettingsError as fault:  # a misspelt address must not end the run, nor silence the log
        channels = [LogChannel(context.log)]
        faults.append(str(fault))
    notifier = Notifier(engine, channels, clock.now)
    is_past = morning_of(context) < clock.now().astimezone(settings.timezone).date()
    if not is_past:  # a review repeated for an old morning is told to nobody
        notifier.announce([Message(**row) for row in safety_events.select(_MESSAGE).iter_rows(named=True)])
    told = notifier.deliver()
    rows = mirror(tables.NOTIFICATIONS, notifier.told())  # all of them: the store knows no morning
    waiting = rows.filter(pl.col("status") != "sent")
    faults += sorted(set(waiting["message"].drop_nulls()))
    return result(
        rows,
        None,
        [
            check(
                "everybody_was_told",
                waiting.is_empty() and not faults,
                f"{waiting.height} notifications wait for the next round. {'; '.join(faults)}",
                "ops.notifications",
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        ["channel", "severity", "sentence", "status", "attempts", "message"],
        told_now=told,
    )


_MESSAGE = ["event_id", "severity", "sentence", "remedy"]
