"""Every blocking check is fed what it exists to stop, and nothing after it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import dagster as dg
import polars as pl
import pytest

from aelp_assets import bandits as bandit_assets
from aelp_assets.definitions import build_defs
from aelp_assets.metadata import asset_key
from models import arms, baselines, forecasting, launches, plausibility, policy, response_curves, slates
from resources.warehouse.tables import GOVERNANCE_TABLES
from tests.e2e.homes import TODAY, Home

pytestmark = [pytest.mark.e2e]

# The steps of a morning in order; the tables each writes.
MORNING = {
    "pacing": ["ops.pacing", "ops.spend_alarms"],
    "ops__external_edits": ["ops.external_edits"],
    "ops__account_audits": ["ops.account_audits"],
    "ops__decision_accounts": ["ops.decision_accounts"],
    "gaelp_training__placement_baselines": ["gaelp_training.placement_baselines"],
    "response": ["gaelp_training.lever_clusters", "gaelp_training.response_curves"],
    "forecast": ["gaelp_training.forecast_results", "gaelp_training.forecast_outlook"],
    "bandit": [
        "gaelp_training.bandit_posteriors",
        "ops.lever_states",
        "gaelp_training.bandit_decisions",
        "gaelp_training.policy_runs",
    ],
    "governance__submission": ["governance.submission"],
    "governance_mirror": [str(table.name) for table in GOVERNANCE_TABLES],
    "gaelp_training__apply_hold_lift": ["gaelp_training.apply_hold_lift"],
    "governance__urgent_stops": ["governance.urgent_stops"],
    "gaelp_training__slates": ["gaelp_training.slates"],
    "gaelp_training__policy_reviews": ["gaelp_training.policy_reviews"],
    "gaelp_training__launch_plans": ["gaelp_training.launch_plans"],
    "governance__launch_submission": ["governance.launch_submission"],
    "gaelp_training__arm_decisions": ["gaelp_training.arm_decisions"],
    "governance__arm_submission": ["governance.arm_submission"],
    "reporting": [
        "gaelp_training.decision_summary",
        "gaelp_training.slate_summary",
        "gaelp_training.launch_summary",
        "gaelp_training.arm_summary",
    ],
    "published__analyst_copy": ["published.analyst_copy"],
}

# What rests on levers alone goes on without baselines.
BESIDE = {"gaelp_training__placement_baselines": {"response"}}


@dataclass(frozen=True)
class Case:
    """A check, the step it guards, and how its data go wrong."""

    check: str
    table: str
    breaks: Callable[[Home, pytest.MonkeyPatch], None]
    starts_at: str | None = None  # the step that first reads the bad data; None: the step it guards

    @property
    def step(self) -> str:
        return next(step for step, tables in MORNING.items() if self.table in tables)


def altered(target: object, name: str, change: Callable):
    """The computation as it is, its result spoilt."""

    def apply(_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        honest = getattr(target, name)
        monkeypatch.setattr(target, name, lambda *args, **named: change(honest(*args, **named)))

    return apply


def decisions_altered(**changes: Callable[[pl.DataFrame], pl.DataFrame]):
    def apply(_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        honest = bandit_assets.run_decision

        def spoilt(*args, **named):
            day = honest(*args, **named)
            return replace(day, **{part: change(getattr(day, part)) for part, change in changes.items()})

        monkeypatch.setattr(bandit_assets, "run_decision", spoilt)

    return apply


def statement(sql: str):
    return lambda home, _monkeypatch: home.sql(sql)


def swapped(metric: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    low, high = pl.col(f"{metric}_p10"), pl.col(f"{metric}_p90")
    return lambda rows: rows.with_columns(high.alias(f"{metric}_p10"), low.alias(f"{metric}_p90"))


def tripled(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns((pl.col("current_budget") * 3).cast(pl.Decimal(38, 9)).alias("proposed_budget"))


def awake(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.lit("active").alias("status"))


CASES = [
    Case(
        "every_account_is_audited",
        "ops.account_audits",
        altered(plausibility, "audit_accounts", lambda rows: rows.filter(pl.col("source") != "tiktok")),
    ),
    # spend that has nothing to do with delivery, in every account
    Case(
        "someone_may_be_decided_on",
        "ops.decision_accounts",
        statement("update gaelp_training.ads_ad_daily set cost = hash(ad_id || date) % 1000"),
        starts_at="ops__account_audits",
    ),
    Case(
        "quantiles_in_order",
        "gaelp_training.placement_baselines",
        altered(baselines, "placement_baselines", swapped("ctr")),
    ),
    Case(
        "returns_diminish",
        "gaelp_training.response_curves",
        altered(
            response_curves, "response_curves", lambda rows: rows.with_columns(elasticity_p50=pl.lit(1.2))
        ),
    ),
    Case(
        "quantiles_in_order",
        "gaelp_training.forecast_results",
        altered(forecasting, "forecast_levers", swapped("signups")),
    ),
    # dollars read as cents on one of the two chains, whichever
    *(
        Case(
            "cac_identity",
            "gaelp_training.forecast_outlook",
            statement(f"update gaelp_training.placement_baselines set cpm = cpm * {factor}"),
        )
        for factor in (100, 0.01)
    ),
    Case(
        "p_best_sums_to_one",
        "gaelp_training.bandit_posteriors",
        decisions_altered(posteriors=lambda rows: rows.with_columns(pl.col("p_best") * 0.99)),
    ),
    Case(
        "lever_states_grain",
        "ops.lever_states",
        decisions_altered(states=lambda rows: pl.concat([rows, rows.head(1)])),
    ),
    Case("money_invariants_hold", "gaelp_training.bandit_decisions", decisions_altered(decisions=tripled)),
    Case(
        "budgets_within_launch_share",
        "gaelp_training.slates",
        altered(slates, "build_slates", awake),
    ),
    Case(
        "every_slated_creative_is_reviewed",
        "gaelp_training.policy_reviews",
        altered(policy, "review_creatives", lambda rows: rows.head(rows.height - 1)),
    ),
    Case(
        "only_reviewed_creatives_launch_paused_and_on_budget",
        "gaelp_training.launch_plans",
        altered(launches, "plan_launches", lambda made: (awake(made[0]), made[1])),
    ),
    Case(
        "arms_are_switched_or_tested_only",
        "gaelp_training.arm_decisions",
        altered(arms, "decide_arms", lambda rows: rows.with_columns(pl.lit("pause").alias("type"))),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.table.split('.')[1]}-{case.check}")
def test_bad_data_stop_everything_after_the_check(home, monkeypatch, case):
    case.breaks(home, monkeypatch)
    steps = list(MORNING)
    start = steps.index(case.starts_at or case.step)
    # What comes before is as the finished morning left it.
    selection = [asset_key(table) for step in steps[start:] for table in MORNING[step]]
    outcome = home.execute("decide", TODAY, {"dagster/partition": TODAY.isoformat()}, selection=selection)
    verdicts = {
        (result.asset_key.to_user_string().replace("/", "."), result.check_name): result.passed
        for result in outcome.get_asset_check_evaluations()
    }
    assert verdicts[case.table, case.check] is False
    ran = {event.step_key for event in outcome.all_events if event.is_step_success}
    after = set(steps[steps.index(case.step) + 1 :]) - BESIDE.get(case.step, set())
    assert not after & ran
    assert not outcome.success


def test_refused_decisions_are_not_stored_and_the_earlier_ones_are_gone(home, monkeypatch):
    count = "select count(*) as n from gaelp_training.bandit_decisions"
    assert home.sql(count)["n"][0] > 0
    decisions_altered(decisions=tripled)(home, monkeypatch)
    selection = [asset_key(table) for table in MORNING["bandit"]]
    outcome = home.execute("decide", TODAY, {"dagster/partition": TODAY.isoformat()}, selection=selection)
    assert not outcome.success
    assert home.sql(count)["n"][0] == 0
    assert home.sql("select count(*) as n from gaelp_training.decision_summary")["n"][0] == 0


def test_no_blocking_check_is_left_out_above():
    defs = build_defs()
    of_assets = [
        spec
        for asset in defs.assets
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
        if "dagster_dbt/unique_id" not in (spec.metadata or {})  # dbt stops by itself
    ]
    alone = [spec for check in defs.asset_checks for spec in check.check_specs]
    blocking = {
        (spec.asset_key.to_user_string().replace("/", "."), spec.name)
        for spec in [*of_assets, *alone]
        if spec.blocking
    }
    of_the_mix = {("gaelp_training.mmm_fit_diagnostics", "every_fit_may_be_believed")}  # see test_media_mix
    assert blocking == of_the_mix | {(case.table, case.check) for case in CASES}
