"""Forecast assets: what budgets buy, and what the month brings.

Here: reading levers and their days, calling `models.forecasting`, drawing. Not here: the mathematics, how
right we were before (`backtests`), and what may be spent.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.bandits import cac_caps, contributions, reward_definition
from aelp_assets.metadata import (
    asset_key,
    check,
    markdown_table,
    numbers,
    picture,
    table_out,
)
from aelp_assets.ownership import DECISION_FRESHNESS, MARKETING_SCIENCE
from aelp_assets.partitions import (
    EVENT_DAYS,
    HISTORY_DAYS,
    SCORE_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
    same_morning,
    seeded_rng,
)
from models import forecasting
from models.bandits import levers_today
from models.eligibility import maturity_by_account, of_eligible
from models.forecasting.delivery import days_of_known_budget
from models.forecasting.panel import Panel
from models.quantiles import out_of_order
from models.ranking.multipliers import lever_multipliers, multipliers_in_force
from models.response_curves import curves_of_levers
from resources.code_version import module_hash, used_by
from resources.settings import Settings

# Baselines average a month, forecasts look a month ahead with trend and mix: twice, or half, is a broken
# chain. Both ways: a forecast of a hundredth of the CAC is a gap of only -99 %.
CAC_IDENTITY_FACTOR = 2.0

LEVER_INPUTS = {
    "int_lever_daily": dg.AssetIn(
        key=["intermediate", "int_lever_daily"], partition_mapping=days_before(HISTORY_DAYS)
    ),
    "budget_levers": dg.AssetIn(
        key=["gaelp_training", "budget_levers"],
        partition_mapping=days_before(HISTORY_DAYS, and_the_morning=True),
    ),
    "decision_accounts": dg.AssetIn(key=["ops", "decision_accounts"], partition_mapping=same_morning),
}
_BY_LEVER_SHOWN = [
    *("target_date", "track", "lever_id", "budget", "spend_p50"),
    *("signups_p10", "signups_p50", "signups_p90", "cac_p50", "p_cac_within_cap"),
]
_BY_TRACK_SHOWN = [
    *("track", "target_date", "spend_p50", "signups_p10", "signups_p50", "signups_p90"),
    *("cac_p10", "cac_p50", "cac_p90", "p_cac_within_cap"),
]
_CODE = module_hash(*used_by(__name__))


@dg.multi_asset(
    name="forecast",
    ins={
        **LEVER_INPUTS,
        "int_track_daily": dg.AssetIn(
            key=["intermediate", "int_track_daily"], partition_mapping=days_before(EVENT_DAYS)
        ),
        "conversion_delay": dg.AssetIn(key=["gaelp_training", "conversion_delay"]),
        "int_conversion_ages": dg.AssetIn(
            key=["intermediate", "int_conversion_ages"], partition_mapping=days_before(HISTORY_DAYS)
        ),
        "placement_baselines": dg.AssetIn(
            key=["gaelp_training", "placement_baselines"], partition_mapping=same_morning
        ),
        "platform_vs_backend": dg.AssetIn(key=["gaelp_training", "platform_vs_backend"]),
        **{
            name: dg.AssetIn(key=["gaelp_training", name], partition_mapping=same_morning)
            for name in ("lever_clusters", "response_curves")
        },
        "ad_scores": dg.AssetIn(
            key=["gaelp_training", "ad_scores"],
            partition_mapping=days_before(SCORE_DAYS, and_the_morning=True),
        ),
        "int_arm_levers": dg.AssetIn(key=["intermediate", "int_arm_levers"]),
    },
    outs={
        "forecast_results": table_out(
            "gaelp_training.forecast_results", MARKETING_SCIENCE, DECISION_FRESHNESS, _CODE
        ),
        "forecast_outlook": table_out(
            "gaelp_training.forecast_outlook", MARKETING_SCIENCE, DECISION_FRESHNESS, _CODE
        ),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "quantiles_in_order",
            asset=asset_key("gaelp_training.forecast_results"),
            blocking=True,
            description="p10 <= p50 <= p90 of signups and CAC.",
        ),
        dg.AssetCheckSpec(
            "cac_identity",
            asset=asset_key("gaelp_training.forecast_outlook"),
            blocking=True,
            description="CPM / (1,000 · CTR · CVR) of the baselines and the forecast CAC are of one size.",
        ),
    ],
    group_name="forecasts",
    partitions_def=decision_days,
    pool=WAREHOUSE_POOL,
)
def forecast(
    context: dg.AssetExecutionContext,
    int_lever_daily: pl.DataFrame,
    budget_levers: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    int_track_daily: pl.DataFrame,
    conversion_delay: pl.DataFrame,
    int_conversion_ages: pl.DataFrame,
    placement_baselines: pl.DataFrame,
    platform_vs_backend: pl.DataFrame,
    lever_clusters: pl.DataFrame,
    response_curves: pl.DataFrame,
    ad_scores: pl.DataFrame,
    int_arm_levers: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> tuple[dg.MaterializeResult, dg.MaterializeResult]:
    """Forecast per lever and the outlook, from the same fitted rates and the same joint draws."""
    morning = morning_of(context)
    results, outlook = forecast_morning(
        int_lever_daily,
        budget_levers,
        decision_accounts,
        int_track_daily,
        settings,
        morning,
        delay=conversion_delay,
        ages=int_conversion_ages,
        backend=platform_vs_backend,
        curves=curves_of_levers(lever_clusters, response_curves),
        multipliers=lever_multipliers(multipliers_in_force(ad_scores), int_arm_levers),
    )
    caps = cac_caps(settings)
    identity = forecasting.cac_identity(placement_baselines, outlook)
    return by_lever(results, caps, budget_levers), by_track(outlook, caps, identity)


def forecast_morning(
    lever_days: pl.DataFrame,
    budget_levers: pl.DataFrame,
    accounts: pl.DataFrame,
    track_days: pl.DataFrame,
    settings: Settings,
    morning: date,
    *,
    delay: pl.DataFrame | None = None,
    ages: pl.DataFrame | None = None,
    backend: pl.DataFrame | None = None,
    curves: pl.DataFrame | None = None,
    multipliers: pl.DataFrame | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """FORECAST_RESULTS and FORECAST_OUTLOOK of a morning, from one fit and the same joint draws.

    Args:
        lever_days, budget_levers, accounts, track_days: what was known that morning.
        delay, ages: `conversion_delay` and `int_conversion_ages`; None: only matured days say how rates are.
        backend: `platform_vs_backend`; None: CAC as platforms claim it, alone.
        curves: of `curves_of_levers`; None: each account's days alone say how it answers to spend.
        multipliers: of `lever_multipliers`; None: nothing is scored.
    """
    days, levers, delivery = lever_inputs(lever_days, budget_levers, accounts, settings, morning)
    panel = forecasting.build_panel(days, morning, levers=levers)
    maturity = maturity_by_account(accounts)
    rules = settings.forecast
    model = forecasting.fit_rates(
        panel,
        maturity_days=maturity,
        elasticity=settings.bandit.elasticity,
        completion=forecasting.completion_so_far(panel, maturity, delay=delay, ages=ages),
        events=calendar(settings, track_days, morning + timedelta(days=rules.outlook_days)),
        history=track_history(track_days, accounts, settings, morning),
        curves=curves,
        multipliers=multipliers,
    )
    shared: dict[str, Any] = {
        "cac_caps": cac_caps(settings),
        "delivery_mean": rules.delivery_mean,
        "delivery_strength": rules.delivery_strength,
        "draws": rules.draws,
    }
    economics = None
    if backend is not None:
        economics = forecasting.fit_economics(
            days,
            backend,
            levers,
            morning,
            maturity_days=settings.attribution.maturity_days,
            reward=reward_definition(settings),
            contribution_per_signup=contributions(settings),
        )
    results = forecasting.forecast_levers(
        model,
        levers,
        delivery,
        morning,
        budget_multipliers=rules.budget_multipliers,
        horizon_days=rules.horizon_days,
        rng=seeded_rng(settings.seed, "forecast", morning),
        economics=economics,
        **shared,
    )
    outlook = forecasting.forecast_outlook(
        model,
        levers,
        delivery,
        morning,
        minimum_daily_signups={name: track.minimum_daily_signups for name, track in settings.tracks.items()},
        outlook_days=rules.outlook_days,
        rng=seeded_rng(settings.seed, "forecast", morning),
        **shared,
    )
    return results, outlook


def by_lever(
    results: pl.DataFrame, caps: Mapping[str, float], budget_levers: pl.DataFrame
) -> dg.MaterializeResult:
    """`forecast_results` with what it shows and its check."""
    current = results.filter("is_current_budget").sort("target_date", maintain_order=True)
    wrong = out_of_order(results, forecasting.METRICS)
    return dg.MaterializeResult(
        asset_key=asset_key("gaelp_training.forecast_results"),
        value=results,
        metadata={
            "preview": markdown_table(current, columns=_BY_LEVER_SHOWN),
            "plot": picture(plots.forecast_by_lever(results, caps, budget_levers)),
            "levers": current.select("platform", "account_id", "lever_id").n_unique(),
        },
        check_results=[
            check(
                "quantiles_in_order",
                wrong == 0,
                f"{wrong} rows break p10 <= p50 <= p90.",
                "gaelp_training.forecast_results",
            )
        ],
    )


def by_track(
    outlook: pl.DataFrame, caps: Mapping[str, float], identity: pl.DataFrame
) -> dg.MaterializeResult:
    """`forecast_outlook` with what it shows and its check against the baselines' CAC."""
    ratio = pl.col("relative_gap") + 1
    apart = identity.select(pl.max_horizontal(ratio, 1 / ratio).max()).item()
    totals = outlook.filter(pl.col("horizon") == "total")
    return dg.MaterializeResult(
        asset_key=asset_key("gaelp_training.forecast_outlook"),
        value=outlook,
        metadata={
            "preview": markdown_table(totals, columns=_BY_TRACK_SHOWN),
            "plot": picture(plots.outlook_fan(outlook, caps)),
            **_of_all_tracks(totals.filter(pl.col("track") == "combined")),
        },
        check_results=[
            check(
                "cac_identity",
                apart is None or apart <= CAC_IDENTITY_FACTOR,
                "The CAC the baselines imply and the CAC forecast are more than a factor of "
                f"{CAC_IDENTITY_FACTOR:g} apart: one of the two chains is broken.",
                "gaelp_training.forecast_outlook",
                {"identity": markdown_table(identity)},
            )
        ],
    )


def _of_all_tracks(combined: pl.DataFrame) -> dict[str, float | int]:
    wanted = ("spend_p50", "signups_p50", "cac_p50")
    return (
        numbers(**dict(zip(wanted, combined.select(wanted).row(0), strict=True))) if combined.height else {}
    )


def calendar(settings: Settings, days: pl.DataFrame, last: date) -> list[forecasting.Event]:
    """Occurrences of the settings' events from the first of these days to the last one that is forecast."""
    first = days["date"].min()
    if not isinstance(first, date):
        return []
    return [
        forecasting.Event(event.name, *occurrence, event.track)
        for event in settings.events
        for occurrence in event.occurrences(first, last)
    ]


def weighted(settings: Settings) -> pl.Expr:
    """Conversions at the reward's mean incrementality."""
    return (
        pl.col("conversions_click").cast(pl.Float64) * settings.reward.click_incrementality_mean
        + pl.col("conversions_view").cast(pl.Float64) * settings.reward.view_incrementality_mean
    )


def track_history(
    track_days: pl.DataFrame, accounts: pl.DataFrame, settings: Settings, morning: date
) -> Panel:
    """Whole tracks of eligible accounts as series: long enough to hold what comes once a year."""
    days = of_eligible(track_days.filter(pl.col("track").is_in(list(settings.tracks))), accounts)
    return forecasting.build_panel(
        days.with_columns(conversions=weighted(settings), lever_id=pl.col("track")), morning
    )


def lever_inputs(
    lever_days: pl.DataFrame,
    budget_levers: pl.DataFrame,
    accounts: pl.DataFrame,
    settings: Settings,
    morning: date,
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Days, levers in force and delivery history of eligible accounts in configured tracks."""
    in_track = pl.col("track").is_in(list(settings.tracks))
    days = of_eligible(lever_days.filter(in_track), accounts).with_columns(conversions=weighted(settings))
    snapshots = of_eligible(budget_levers.filter(in_track), accounts)
    active = levers_today(snapshots, morning).filter(pl.col("status") == "active")
    keys = ["platform", "account_id", "track", "lever_id"]
    delivery = days_of_known_budget(snapshots, days)
    return days, active.select(*keys, "lever_source", "current_budget"), delivery
