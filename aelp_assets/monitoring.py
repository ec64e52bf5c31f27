"""The morning review: why numbers moved, whether platforms and backend agree, what may be trusted.

Here: reading marts and evidence, calling `models.monitoring`. Not here: forecasts beside actuals
(`forecast_review`), events and telling people (`safety`), thresholds (settings).
"""

from datetime import timedelta

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.apply_hold import NOTHING_SENT
from aelp_assets.governance import open_governance
from aelp_assets.metadata import FRAME, asset_key, check, markdown_table, result, table_metadata
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, MARKETING_SCIENCE, REVIEW_FRESHNESS
from aelp_assets.partitions import (
    LEVER_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
    same_morning,
)
from models.maturity import last_matured_day
from models.monitoring import arrival, changes, readiness, reconciliation
from resources.clock import Clock
from resources.code_version import module_hash, used_by
from resources.control.arm_payloads import ARM_TYPES
from resources.settings import Environment, Settings

# What a morning compares with: a week back, and the days around it that restatements may have touched.
KNOWN_DAYS = 9
BACKTEST_DAYS = 14
SPEND_DAYS = 7
_ACCOUNT = ["platform", "account_id"]
_CODE = module_hash(*used_by(__name__))

_LEVER_DAYS = dg.AssetIn(key=["intermediate", "int_lever_daily"], partition_mapping=days_before(LEVER_DAYS))
NEWEST_BACKTEST = dg.AssetIn(
    key=["gaelp_training", "forecast_accuracy"],
    partition_mapping=days_before(BACKTEST_DAYS, and_the_morning=True),
)


def of_this_review(name: str) -> dg.AssetIn:
    """What the same review found."""
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


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "readiness"],
    ins={
        "decision_accounts": dg.AssetIn(key=["ops", "decision_accounts"], partition_mapping=same_morning),
        "int_lever_daily": _LEVER_DAYS,
        "forecast_accuracy": NEWEST_BACKTEST,
        "forecast_drift": of_this_review("forecast_drift"),
        "reconciliations": of_this_review("reconciliations"),
        # The newest: at seven this morning's lift is not measured yet.
        "apply_hold_lift": dg.AssetIn(
            key=["gaelp_training", "apply_hold_lift"],
            partition_mapping=days_before(BACKTEST_DAYS, and_the_morning=True),
        ),
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
    apply_hold_lift: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """May each track's automation be trusted this morning: a row per criterion, none passed by default."""
    morning = morning_of(context)
    days = with_signups(int_lever_daily, settings)
    maturity = settings.attribution.maturity_days
    last = last_matured_day(morning, maturity)
    window = pl.col("date").is_between(last - timedelta(days=settings.bandit.window_days - 1), last)
    lift, is_placebo = newest(apply_hold_lift), pl.col("comparison").is_in(NOTHING_SENT)
    evidence = readiness.Evidence(
        verdicts=decision_accounts,
        recent=days.filter(pl.col("date") >= morning - timedelta(days=SPEND_DAYS))
        .group_by(*_ACCOUNT, "track", maintain_order=True)
        .agg(pl.col("cost", "signups").sum()),
        matured=days.filter(window).group_by("track").agg(pl.col("signups").sum()),
        accuracy=newest(forecast_accuracy),
        drift=forecast_drift,
        reconciliations=reconciliations,
        applied=applied_changes(environment, settings, clock),
        placebos=lift.filter(is_placebo),
        lift=lift.filter(~is_placebo, pl.col("comparison") == settings.governance.mode),
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


def newest(rows: pl.DataFrame) -> pl.DataFrame:
    """Those of the newest morning there is, empty where there is none."""
    return rows.filter(pl.col("as_of_date") == pl.col("as_of_date").max())


def applied_changes(environment: Environment, settings: Settings, clock: Clock) -> dict[str, int]:
    """Approved edits of levers that took place in the settings' mode, by track; switches of arms apart."""
    governance = open_governance(environment, settings)
    known = governance.proposals(clock.now())
    track_of = {row["proposal_id"]: row["track"] for row in known if row["type"] not in ARM_TYPES}
    counts: dict[str, int] = {}
    for change in governance.changes():
        is_edit = change["proposal_id"] in track_of
        if is_edit and change["kind"] == "apply" and change["status"] == "applied":
            track = track_of[change["proposal_id"]]
            counts[track] = counts.get(track, 0) + 1
    return counts
