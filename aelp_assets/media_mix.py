"""Media-mix assets: the weekly causal layer, from weeks by channel to envelopes for the bandits.

Here: reading weeks and levers, checks, pictures. Not here: which model a track's weeks carry
(`media_mix_fit`), what a believed fit says (`media_mix_plan`), how levers share an envelope (`bandits`).

`mmm_fit` keeps its draws; curves, tests and envelopes are made of them in one step. A fit that failed its
diagnostics stops there, by its check and by what the step reads.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.bandits import SNAPSHOT_DAYS, guardrail_limits
from aelp_assets.channel_envelopes import channel_levers
from aelp_assets.media_mix_fit import (
    Fitter,
    TrackFit,
    evidence_rows,
    keep_fit,
    specification_of,
    stored_fit,
)
from aelp_assets.media_mix_plan import TrackMix, track_mix
from aelp_assets.metadata import (
    FRAME,
    asset_key,
    check,
    markdown_table,
    numbers,
    result,
    table_metadata,
    table_out,
)
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, MARKETING_SCIENCE, WEEKLY_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, days_before, decision_days, morning_of, same_morning
from aelp_assets.randomised_evidence import RANDOMISED_INPUTS, kept_draws, randomised_readings
from models.mmm.planner import calendar_conflicts
from models.quantiles import out_of_order
from resources.code_version import module_hash, used_by
from resources.settings import Environment, Settings
from resources.warehouse import tables
from resources.warehouse.schema import Table

_CODE = module_hash(
    *used_by(
        __name__,
        "aelp_assets.channel_envelopes",
        "aelp_assets.media_mix_fit",
        "aelp_assets.media_mix_plan",
        "aelp_assets.randomised_evidence",
    ),
    "models.overlap",
)
_FITS_SHOWN = [
    *("track", "model", "outcome", "weeks", "channels", "max_rhat", "min_ess_bulk", "divergences"),
    *("weeks_in_interval", "passed", "reasons", "warnings", "disagreeing"),
]
_CHANNELS_SHOWN = [
    *("track", "channel", "model", "roas_p10", "roas_p50", "roas_p90", "contribution_share_p50"),
    *("carry_over_weeks_p50", "contraction", "other_roas_p50", "disagrees"),
]
_ALLOCATIONS_SHOWN = [
    *("track", "channel", "current_spend", "proposed_spend", "conversions_change_p50", "marginal_cac_p50"),
    *("probability_within_cap", "p_better", "envelope", "reason"),
]
_TESTS_SHOWN = [
    *("track", "rank", "channel", "design", "change", "weeks", "power", "cost", "expected_value"),
    *("value_per_dollar", "first_week"),
]


def _out(name: str, owners: Sequence[str]) -> dg.AssetOut:
    return table_out(f"gaelp_training.{name}", owners, WEEKLY_FRESHNESS, _CODE)


@dg.asset(
    dagster_type=FRAME,
    key=["gaelp_training", "mmm_fit_diagnostics"],
    ins={
        "mmm_input_weekly": dg.AssetIn(key=["gaelp_training", "mmm_input_weekly"]),
        **RANDOMISED_INPUTS,
    },
    check_specs=[
        dg.AssetCheckSpec(
            "every_fit_may_be_believed",
            asset=asset_key("gaelp_training.mmm_fit_diagnostics"),
            blocking=True,
            description="No fitted model failed its diagnostics: chains agree, enough effective draws, no "
            "divergence. A track whose weeks carry no model has none, which is no failure.",
        ),
        dg.AssetCheckSpec(
            "a_second_estimate_agrees",
            asset=asset_key("gaelp_training.mmm_fit_diagnostics"),
            description="The independent log–log estimate contradicts no channel's return.",
        ),
    ],
    group_name="media_mix",
    kinds={"polars", "pymc"},
    owners=MARKETING_SCIENCE,
    partitions_def=decision_days,
    freshness_policy=WEEKLY_FRESHNESS,
    metadata=table_metadata("gaelp_training.mmm_fit_diagnostics"),
    code_version=_CODE,
    pool=WAREHOUSE_POOL,
)
def mmm_fit(
    context: dg.AssetExecutionContext,
    mmm_input_weekly: pl.DataFrame,
    int_lever_daily: pl.DataFrame,
    budget_levers: pl.DataFrame,
    int_lever_traits: pl.DataFrame,
    int_campaign_channels: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
) -> dg.MaterializeResult:
    """Fit each track's weeks and keep the draws; what stands for and against each fit."""
    morning = morning_of(context)
    readings = randomised_readings(
        kept_draws(environment),
        int_lever_daily,
        budget_levers,
        int_lever_traits,
        int_campaign_channels,
        decision_accounts,
        settings,
        morning,
    )
    fitter = Fitter(settings, morning, readings, context.log.info)
    rows, evidence = [], []
    for track in settings.tracks:
        context.log.info(f"{track}: fitting its media mix")
        found = fitter.fit(track, mmm_input_weekly.filter(pl.col("track") == track))
        rows.append(fit_row(found, settings, keep_fit(environment.artifacts, found, settings, morning)))
        evidence.append(evidence_rows(found))
        said = rows[-1].row(0, named=True)
        context.log.info(f"{track}: {found.model} of {said['weeks']} weeks; {said['reasons'] or 'passed'}")
    return by_fit(rows_of(tables.MMM_FIT_DIAGNOSTICS, rows, morning), pl.concat(evidence))


@dg.multi_asset(
    name="media_mix",
    ins={
        "mmm_fit_diagnostics": dg.AssetIn(
            key=["gaelp_training", "mmm_fit_diagnostics"], partition_mapping=same_morning
        ),
        "budget_levers": dg.AssetIn(
            key=["gaelp_training", "budget_levers"],
            partition_mapping=days_before(SNAPSHOT_DAYS, and_the_morning=True),
        ),
        "int_campaign_channels": dg.AssetIn(key=["intermediate", "int_campaign_channels"]),
    },
    outs={name: _out(name, MARKETING_SCIENCE) for name in ("mmm_curves", "mmm_channels", "mmm_tests")}
    | {"mmm_allocations": _out("mmm_allocations", CAMPAIGN_MANAGEMENT)},
    check_specs=[
        dg.AssetCheckSpec(
            "returns_diminish",
            asset=asset_key("gaelp_training.mmm_curves"),
            description="Conversions rise and their marginal return falls with spend, quantiles in order.",
        ),
        dg.AssetCheckSpec(
            "media_brought_no_more_than_came",
            asset=asset_key("gaelp_training.mmm_channels"),
            description="Contributions of all channels add up to no more than the conversions there were.",
        ),
        dg.AssetCheckSpec(
            "tests_do_not_disturb_each_other",
            asset=asset_key("gaelp_training.mmm_tests"),
            description="The calendar has one test a channel, and no more at once than the settings allow.",
        ),
        dg.AssetCheckSpec(
            "envelopes_keep_the_rules",
            asset=asset_key("gaelp_training.mmm_allocations"),
            description="Of believed fits alone, each spend inside its bounds, no envelope above a step. An "
            "allocation that breaks a rule is not kept: decisions of later mornings read the table.",
        ),
    ],
    group_name="media_mix",
    partitions_def=decision_days,
    pool=WAREHOUSE_POOL,
)
def media_mix(
    context: dg.AssetExecutionContext,
    mmm_fit_diagnostics: pl.DataFrame,
    budget_levers: pl.DataFrame,
    int_campaign_channels: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
) -> tuple[dg.MaterializeResult, dg.MaterializeResult, dg.MaterializeResult, dg.MaterializeResult]:
    """Curves, channels, tests worth running and channel envelopes, from the morning's kept draws."""
    morning = morning_of(context)
    levers = channel_levers(budget_levers, int_campaign_channels, morning)
    believed = mmm_fit_diagnostics.filter("passed", pl.col("draws_hash").is_not_null()).sort("track")
    mixes = [
        track_mix(stored_fit(environment.artifacts, sha256), settings, levers)
        for sha256 in believed["draws_hash"]
    ]
    return (
        by_spend(rows_of(tables.MMM_CURVES, [mix.curves for mix in mixes], morning), mixes),
        by_channel(rows_of(tables.MMM_CHANNELS, [mix.channels for mix in mixes], morning)),
        worth_testing(rows_of(tables.MMM_TESTS, [mix.tests for mix in mixes], morning), settings),
        by_envelope(
            rows_of(tables.MMM_ALLOCATIONS, [mix.allocation for mix in mixes], morning), believed, settings
        ),
    )


def rows_of(table: Table, parts: Sequence[pl.DataFrame], morning: date) -> pl.DataFrame:
    """The parts as rows of a table; a column that none of them has is null."""
    schema = table.polars_schema
    rows = pl.concat([pl.DataFrame(schema=schema), *parts], how="diagonal_relaxed")
    return rows.with_columns(pl.lit(morning).alias("as_of_date")).select(list(schema)).cast(schema)


def fit_row(found: TrackFit, settings: Settings, draws_hash: str | None) -> pl.DataFrame:
    """The row of MMM_FIT_DIAGNOSTICS that a track's fit makes."""
    weeks, diagnosis = found.weeks, found.diagnosis
    said: dict[str, Any] = {} if diagnosis is None else diagnosis.frame().row(0, named=True)
    against = [*found.refused, *(() if diagnosis is None else diagnosis.problems)]
    disagreeing = [] if found.beside is None else found.beside.filter("disagrees")["channel"].to_list()
    row = said | {
        "track": found.track,
        "model": found.model,
        "outcome": found.outcome,
        "weeks": weeks.number if weeks else 0,
        "first_week": weeks.days[0] if weeks else None,
        "last_week": weeks.days[-1] if weeks else None,
        "channels": len(weeks.channels) if weeks else 0,
        "parameters": specification_of(settings).parameters(weeks) if weeks else 0,
        "lift_tests": sum(each.test is not None for each in found.evidence),
        "passed": found.passed,
        "reasons": " ".join(against) or None,
        "warnings": said.get("warnings") or None,
        "disagreeing": ", ".join(disagreeing) or None,
        "draws_hash": draws_hash,
    }
    wanted = {
        name: kind for name, kind in tables.MMM_FIT_DIAGNOSTICS.polars_schema.items() if name != "as_of_date"
    }
    return pl.DataFrame([{name: row.get(name) for name in wanted}], schema=wanted)


def by_fit(rows: pl.DataFrame, evidence: pl.DataFrame | None = None) -> dg.MaterializeResult:
    """`mmm_fit_diagnostics` with its checks, and the tracks' experiments where there are any.

    Args:
        evidence: of `evidence_rows`.
    """
    failed = rows.filter(~pl.col("passed"), pl.col("model") != "none")
    contradicted = rows.drop_nulls("disagreeing")
    said = [f"{row['track']}: {row['reasons']}" for row in failed.iter_rows(named=True)]
    apart = [f"{row['track']}: {row['disagreeing']}" for row in contradicted.iter_rows(named=True)]
    key = "gaelp_training.mmm_fit_diagnostics"
    return result(
        rows,
        None,
        [
            check("every_fit_may_be_believed", failed.is_empty(), " ".join(said), key),
            check(
                "a_second_estimate_agrees",
                contradicted.is_empty(),
                f"Two independent estimates contradict each other ({'; '.join(apart)}): a lift test decides.",
                key,
                severity=dg.AssetCheckSeverity.WARN,
            ),
        ],
        _FITS_SHOWN,
        key=key,
        **({} if evidence is None else {"lift_tests": markdown_table(evidence, rows=40)}),
        **numbers(
            max_rhat=rows["max_rhat"].max(),
            min_ess_bulk=rows["min_ess_bulk"].min(),
            divergences=rows["divergences"].sum(),
            passed=int(rows["passed"].sum()),
        ),
    )


def by_spend(rows: pl.DataFrame, mixes: Sequence[TrackMix]) -> dg.MaterializeResult:
    """`mmm_curves` with its plot and check."""
    key = "gaelp_training.mmm_curves"
    over = ["track", "channel"]
    ordered = rows.sort(*over, "spend")
    middle = pl.col("conversions_p50")
    falls = (middle.diff() < -1e-9).over(over) | (pl.col("marginal_roas_p50").diff() > 1e-9).over(over)
    wrong = ordered.filter(falls).height + out_of_order(rows, ["conversions"])
    recent = {(mix.track, name): float(spend) for mix in mixes for name, spend in mix.recent().items()}
    return result(
        rows,
        plots.media_mix_curves(rows, recent),
        [check("returns_diminish", wrong == 0, f"{wrong} points of the curves break the rule.", key)],
        [
            "track",
            "channel",
            "spend",
            "conversions_p10",
            "conversions_p50",
            "conversions_p90",
            "marginal_cac_p50",
        ],
        key=key,
    )


def by_channel(rows: pl.DataFrame) -> dg.MaterializeResult:
    """`mmm_channels` with its plot and check."""
    key = "gaelp_training.mmm_channels"
    shares = rows.group_by("track").agg(pl.col("contribution_share_p50").sum()).sort("track")
    over = shares.filter(pl.col("contribution_share_p50") > 1)
    return result(
        rows,
        plots.channel_returns(rows),
        [
            check(
                "media_brought_no_more_than_came",
                over.is_empty(),
                f"Media is said to have brought more than all conversions of {over['track'].to_list()}: the "
                "baseline is missing something.",
                key,
                {"shares": markdown_table(shares)},
                dg.AssetCheckSeverity.WARN,
            )
        ],
        _CHANNELS_SHOWN,
        key=key,
    )


def worth_testing(rows: pl.DataFrame, settings: Settings) -> dg.MaterializeResult:
    """`mmm_tests` with its calendar and check."""
    key = "gaelp_training.mmm_tests"
    planned = rows.drop_nulls("first_week").sort("first_week", "track", "rank")
    dated = planned.with_columns((pl.col("first_week") + pl.col("duration_weeks") - 1).alias("last_week"))
    most = settings.media_mix.tests_at_once
    conflicts = [
        f"{track}: {conflict}"
        for (track,), own in dated.partition_by("track", as_dict=True).items()
        for conflict in calendar_conflicts(own, parallel=most)
    ]
    return result(
        rows,
        None,
        [check("tests_do_not_disturb_each_other", not conflicts, "; ".join(conflicts), key)],
        _TESTS_SHOWN,
        key=key,
        calendar=markdown_table(planned, rows=40, columns=_TESTS_SHOWN),
    )


def by_envelope(rows: pl.DataFrame, fits: pl.DataFrame, settings: Settings) -> dg.MaterializeResult:
    """`mmm_allocations` with its plot and check."""
    key = "gaelp_training.mmm_allocations"
    believed = rows.join(fits.filter("passed"), on="track", how="semi")
    step = 1 + guardrail_limits(settings).edit_limit
    spend, budget = pl.col("proposed_spend"), pl.col("envelope").cast(pl.Float64)
    outside = (spend > pl.max_horizontal("high", "current_spend") * (1 + 1e-9)) | (spend < 0)
    above = (spend > pl.col("current_spend") * step * (1 + 1e-9)) | (
        budget > pl.col("budget_in_force").cast(pl.Float64) * step + 0.01
    )
    wrong = rows.height - believed.height + believed.filter((outside | above).fill_null(value=False)).height
    kept = rows if wrong == 0 else rows.clear()  # the mornings to come read the table, not this check
    return result(
        kept,
        plots.channel_allocations(kept),
        [check("envelopes_keep_the_rules", wrong == 0, f"{wrong} channels break a rule: none is kept.", key)],
        _ALLOCATIONS_SHOWN,
        key=key,
        **numbers(current_spend=kept["current_spend"].sum(), proposed_spend=kept["proposed_spend"].sum()),
    )
