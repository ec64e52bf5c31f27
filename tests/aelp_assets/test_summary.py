"""The decision summary: one meaning per word, names as they are."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from aelp_assets.summary import print_summary
from resources.warehouse.interface import Append, Warehouse
from resources.warehouse.schema import Column, Table, TableName
from resources.warehouse.tables import (
    AB_EXPERIMENTS,
    ACCOUNT_AUDITS,
    AD_SCORES,
    BANDIT_DECISIONS,
    DECISION_ACCOUNTS,
    EXPERIMENTS,
    FORECAST_ACCURACY,
    MMM_ALLOCATIONS,
    MMM_FIT_DIAGNOSTICS,
    MMM_TESTS,
    OVERRIDE_LEARNINGS,
    PROPOSALS,
    PYTHON_TABLES,
    RANKER_EVALUATIONS,
)

DAY, NEXT = date(2026, 6, 30), date(2026, 7, 1)
LEVERS = Table(
    name=TableName("gaelp_training", "budget_levers"),
    description="Only what the summary reads.",
    columns=(
        Column("date", "DATE", "Day."),
        Column("platform", "STRING", "Platform."),
        Column("account_id", "STRING", "Account."),
        Column("lever_id", "STRING", "Lever."),
        Column("entity_name", "STRING", "Name."),
    ),
    grain=("date", "lever_id"),
)
_BLANK = {
    "TIMESTAMP": None,
    "STRING": "",
    "INT64": 0,
    "FLOAT64": 0.0,
    "BOOL": False,
    "NUMERIC": Decimal(0),
    "DATE": DAY,
}


def row(table: Table, **values: object) -> dict:
    """A row of a catalogued table; what is required and not given is blank."""
    return {column.name: _BLANK[column.type] for column in table.columns if column.required} | values


def write(warehouse: Warehouse, table: Table, *rows: dict) -> None:
    frame = pl.DataFrame(list(rows), schema=table.polars_schema, orient="row")
    warehouse.write(Append(table, frame))


def audit(account: str, check: str, status: str, plausible: bool, day: date = DAY) -> dict:
    known = {"as_of_date": day, "source": "meta", "account_id": account, "check_name": check}
    return row(ACCOUNT_AUDITS, **known, status=status, decision_eligible=plausible)


def verdict(account: str, eligible: bool, reason: str, day: date = DAY) -> dict:
    known = {"as_of_date": day, "platform": "meta", "account_id": account}
    return row(DECISION_ACCOUNTS, **known, eligible=eligible, reason=reason)


@pytest.fixture
def warehouse(duckdb_warehouse) -> Warehouse:
    duckdb_warehouse.ensure_tables([*PYTHON_TABLES.values(), LEVERS])
    return duckdb_warehouse


@pytest.fixture
def decided(warehouse) -> Warehouse:
    stop = {"platform": "meta", "account_id": "1", "track": "balance", "lever_id": "a", "type": "stop"}
    budgets = {"current_budget": Decimal(1160), "reason": "Stop: [/not markup] :smile:"}
    write(warehouse, BANDIT_DECISIONS, row(BANDIT_DECISIONS, **stop, **budgets, binding_rules="[]"))
    names = {"date": DAY, "platform": "meta", "account_id": "1", "lever_id": "a"}
    write(warehouse, LEVERS, {**names, "entity_name": "LAL [/1%] purchasers"})
    return warehouse


def test_lever_names_and_reasons_are_printed_as_they_are(decided, tmp_environment, capsys):
    print_summary(decided, tmp_environment)
    assert "meta · LAL [/1%] purchasers: Stop: [/not markup] :smile:" in capsys.readouterr().out


def test_eligible_is_the_morning_s_verdict_and_the_audit_s_own_is_called_plausible(
    decided, tmp_environment, capsys
):
    stale = "stale: newest report day 2026-06-01 is older than 2026-06-27"
    failed = "plausibility audit failed: spend_persists"
    write(
        decided,
        ACCOUNT_AUDITS,
        audit("stale", "spend_persists", "passed", plausible=True),
        audit("odd", "spend_persists", "failed", plausible=False),
        audit("odd", "totals", "passed", plausible=False),
    )
    write(decided, DECISION_ACCOUNTS, verdict("stale", False, stale), verdict("odd", False, failed))
    print_summary(decided, tmp_environment)
    said = capsys.readouterr().out.splitlines()
    assert f"Account meta/stale: decision_eligible = false ({stale}); plausible: 1 passed" in said
    assert f"Account meta/odd: decision_eligible = false ({failed}); implausible: 1 passed, 1 failed" in said


def test_the_media_mix_says_what_moves_what_to_test_or_why_there_is_none(decided, tmp_environment, capsys):
    day = {"as_of_date": DAY}
    fits = (
        row(MMM_FIT_DIAGNOSTICS, **day, track="balance", model="bootstrap", weeks=60, passed=True),
        row(MMM_FIT_DIAGNOSTICS, **day, track="security", model="none", reasons="12 weeks; 84 are needed."),
    )
    write(decided, MMM_FIT_DIAGNOSTICS, *fits)
    channel = day | {"track": "balance", "model": "bootstrap"}
    spends = (("meta", 100.0, 105.0), ("search", 50.0, 50.0), ("new", 0.0, 0.0))
    moves = (
        row(MMM_ALLOCATIONS, **channel, channel=name, current_spend=now, proposed_spend=then)
        for name, now, then in spends
    )
    write(decided, MMM_ALLOCATIONS, *moves)
    tests = (
        row(MMM_TESTS, **channel, channel=name, rank=rank, change=-1.0, weeks=4, first_week=first)
        for name, rank, first in (("meta", 1, None), ("search", 2, 0), ("new", 3, 8))
    )
    write(decided, MMM_TESTS, *tests)
    print_summary(decided, tmp_environment)
    said = capsys.readouterr().out
    mix = "Media mix of balance (bootstrap, 60 weeks): meta +5.0%; test first: search at -100% for 4 weeks."
    assert mix in said
    assert "Media mix of security: none. 12 weeks; 84 are needed." in said


def test_what_waits_for_a_person_is_counted_by_kind(decided, tmp_environment, capsys):
    at = datetime(2026, 6, 30, 13, tzinfo=UTC)
    told = {"created_at": at, "expires_at": at, "as_of_date": DAY}
    states = [("stop", "pending"), ("raise", "pending"), ("raise", "awaiting_second"), ("cut", "rejected")]
    write(
        decided,
        PROPOSALS,
        *(row(PROPOSALS, **told, proposal_id=str(n), type=k, status=s) for n, (k, s) in enumerate(states)),
    )
    print_summary(decided, tmp_environment)
    assert "waiting for a person: 3 (2 raise, 1 stop); `aelp proposals`" in capsys.readouterr().out


def test_a_morning_that_was_only_audited_says_that_nothing_was_decided(decided, tmp_environment, capsys):
    write(decided, ACCOUNT_AUDITS, audit("1", "spend_persists", "failed", plausible=False, day=NEXT))
    print_summary(decided, tmp_environment)
    last = capsys.readouterr().out.split(f"Morning of {NEXT}")[1].splitlines()
    assert last[1:3] == [
        "Account meta/1: implausible: 1 failed (failed: spend_persists)",
        "Nothing was decided.",
    ]


def test_a_backtest_shows_every_loss_beside_ours_and_none_where_nothing_happened(
    decided, tmp_environment, capsys
):
    cell = {"platform": "meta", "account_id": "1", "metric": "conversions", "horizon_days": 14}
    ends = {"": 0.0482, "_difference": 0.0231, "_difference_low": -0.011, "_difference_high": 0.0561}
    losses = {
        f"{loss}{end}": value + place
        for place, loss in enumerate(("pinball", "crps", "width"))
        for end, value in ends.items()
    }
    write(
        decided,
        FORECAST_ACCURACY,
        row(FORECAST_ACCURACY, **cell, method="seasonal_mean", **losses),
        row(FORECAST_ACCURACY, **cell, method="last_week"),
        row(FORECAST_ACCURACY, **cell, method="aelp", **losses),
    )
    print_summary(decided, tmp_environment)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    pinball, crps, width = (
        f"{place}.0482 +{place}.0231 {place - 0.011:+.4f} – +{place}.0561" for place in range(3)
    )
    for told in (
        f"conversions 14 seasonal_mean – – – – {pinball}",
        f"conversions 14 seasonal_mean {crps} {width}",
        "conversions 14 last_week – –",
        "conversions 14 aelp 1.0482 2.0482",
    ):
        assert told in lines


def test_what_came_of_other_choices_is_told_once_there_are_any(decided, tmp_environment, capsys):
    said = "Proposals not taken: 3 matured on 3 mornings; not yet enough to learn from (10 on 5)."
    none = row(OVERRIDE_LEARNINGS, kind="rolled_back", sentence="Changes taken back: 0")
    rejected = row(OVERRIDE_LEARNINGS, kind="rejected", overrides=3, sentence=said)
    write(decided, OVERRIDE_LEARNINGS, none, rejected)
    print_summary(decided, tmp_environment)
    told = capsys.readouterr().out
    assert "What came of other choices than the proposed ones" in told
    assert said in told
    assert "Changes taken back" not in told


def test_split_tests_are_told_as_they_were_last_judged(decided, tmp_environment, capsys):
    told = {"test_id": "t1", "verdict": "winner", "winner": "bold", "winner_lift": 0.12, "metric": "link_ctr"}
    write(
        decided,
        AB_EXPERIMENTS,
        row(AB_EXPERIMENTS, as_of_date=DAY, test_id="t0", verdict="no_difference"),
        row(AB_EXPERIMENTS, as_of_date=NEXT, **told),
        row(AB_EXPERIMENTS, as_of_date=NEXT, test_id="t2", verdict="invalid", reasons="shares are off"),
    )
    print_summary(decided, tmp_environment)
    said = capsys.readouterr().out
    assert "Split tests: 1 invalid, 1 winner." in said
    assert "t1: winner bold, +12% link_ctr to be expected" in said
    assert "t2: invalid: shares are off" in said
    assert "no difference" not in said


def test_ad_scores_say_how_many_creatives_have_one_by_whom_or_why_none(decided, tmp_environment, capsys):
    few = "22 creatives competed with enough delivery; 40 are needed."
    write(
        decided,
        RANKER_EVALUATIONS,
        row(
            RANKER_EVALUATIONS,
            as_of_date=DAY,
            rate="ctr",
            candidate="none",
            is_champion=True,
            reasons="earlier",
        ),
        row(
            RANKER_EVALUATIONS,
            **{
                "as_of_date": NEXT,
                "rate": "ctr",
                "candidate": "trees",
                "is_champion": True,
                "may_score": True,
            },
        ),
        row(RANKER_EVALUATIONS, as_of_date=NEXT, rate="ctr", candidate="ridge"),
        row(RANKER_EVALUATIONS, as_of_date=NEXT, rate="cvr", candidate="none", is_champion=True, reasons=few),
    )
    ads = [("c1", "feed", 0.01), ("c1", "story", 0.02), ("c2", "feed", 0.01), ("c3", "feed", None)]
    write(
        decided,
        AD_SCORES,
        row(AD_SCORES, as_of_date=DAY, creative_id="gone", ctr_score=0.01),
        *(
            row(AD_SCORES, as_of_date=NEXT, creative_id=creative, placement=placement, ctr_score=score)
            for creative, placement, score in ads
        ),
    )
    print_summary(decided, tmp_environment)
    said = capsys.readouterr().out.splitlines()
    assert "Ad scores (CTR): 2 of 3 creatives, by trees" in said
    assert f"Ad scores (CVR): 0 of 3 creatives. {few}" in said
    assert not any("earlier" in line for line in said)


def test_the_calendar_says_what_is_planned_when_and_at_what_price(decided, tmp_environment, capsys):
    def planned(name: str, first: date | None, price: float | None, **more: object) -> dict:
        told = {"experiment_id": name, "compared": name, "status": "planned", "first_day": first}
        return row(EXPERIMENTS, as_of_date=NEXT, **told, last_day=first, price=price, **more)

    write(
        decided,
        EXPERIMENTS,
        row(EXPERIMENTS, as_of_date=DAY, experiment_id="yesterday", compared="gone", status="planned"),
        row(EXPERIMENTS, as_of_date=NEXT, experiment_id="r", compared="headlines", status="running"),
        planned("pause search", date(2026, 7, 13), 1250.0),
        planned("raise meta", date(2026, 7, 6), 800.0),
        planned("two layouts", date(2026, 7, 6), None),
        planned("waits", None, None, conflicts="freeze window all year"),
    )
    print_summary(decided, tmp_environment)
    said = capsys.readouterr().out
    assert (
        "Experiments: 4 planned, 1 running; the planned cost 2,050 dollars as expected, 2 of them not priced."
        in said
    )
    assert said.index("raise meta: 2026-07-06 to 2026-07-06, 800 dollars") < said.index(
        "pause search: 2026-07-13"
    )
    assert "  two layouts: 2026-07-06 to 2026-07-06\n" in said
    assert "waits: no free week. freeze window all year" in said
    assert "gone" not in said


def test_a_home_without_scores_or_experiments_says_nothing_of_them(decided, tmp_environment, capsys):
    print_summary(decided, tmp_environment)
    said = capsys.readouterr().out
    assert "Ad scores" not in said
    assert "Experiments" not in said
