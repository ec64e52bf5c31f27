"""Today's slate beside the launches of earlier mornings that still stand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa

from aelp_assets.planning import committed_budgets, running_levers, slates
from resources.clock import FixedClock
from resources.control.governance import Approver, Governance
from resources.control.store import OUTBOX, control_url, open_control_store
from resources.settings import PROJECT_ROOT, Environment, Settings, load_settings, read_environment
from resources.warehouse.tables import AD_SCORES
from tests.resources.control.proposing import (
    LAUNCH,
    MORNING,
    NINE,
    TEN,
    governing,
    lever,
    put_launches,
    states_of,
)

NO_SCORES = pl.DataFrame(schema=AD_SCORES.polars_schema)
NO_CREATIVES = pl.DataFrame(
    schema=dict.fromkeys(("platform", "account_id", "creative_id"), pl.String)
    | dict.fromkeys(("created_on", "first_seen"), pl.Date)
)
TODAY, AT_NINE = MORNING + timedelta(days=1), NINE + timedelta(days=1)
MONEY = pl.Decimal(38, 9)
COUNTED = ("cost", "conversions_click", "conversions_view")
DECIDED = {
    **dict.fromkeys(("platform", "account_id", "lever_id", "track"), pl.String),
    **dict.fromkeys(("current_budget", "proposed_budget"), MONEY),
}


@pytest.fixture
def environment(tmp_path) -> Environment:
    environment = read_environment({"AELP_HOME": str(tmp_path / "home")})
    environment.home.mkdir()
    return environment


@pytest.fixture
def engine(environment) -> sa.Engine:
    return open_control_store(control_url(environment.home, {}))


def settings_in(mode: str) -> Settings:
    settings = load_settings(PROJECT_ROOT / "aelp.yaml")
    return settings.model_copy(update={"governance": settings.governance.model_copy(update={"mode": mode})})


def creative_days() -> pl.DataFrame:
    """Creatives c1 to c4 of one account, equally good, over six weeks."""
    counted = dict(zip(COUNTED, map(Decimal, (300, 2, 0)), strict=True))
    rows = [
        {
            "date": TODAY - timedelta(days=age),
            "platform": "meta",
            "account_id": "a1",
            "track": "security",
            "creative_id": f"c{number}",
            "impressions": 30_000,
            "clicks": 300,
            "is_matured": True,
            **counted,
        }
        for age in range(1, 43)
        for number in range(1, 5)
    ]
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(COUNTED, MONEY))


def decided(*levers: tuple[str, int]) -> pl.DataFrame:
    """The morning's decisions: levers held at these budgets."""
    rows = [("meta", "a1", name, "security", Decimal(budget), Decimal(budget)) for name, budget in levers]
    return pl.DataFrame(rows, schema=DECIDED, orient="row")


def in_force(*levers: tuple[str, int], **changes) -> pl.DataFrame:
    """The morning's states of levers at these budgets."""
    return states_of(*(lever(name, current_budget=Decimal(budget), **changes) for name, budget in levers))


def slate_of(
    environment: Environment,
    decisions: pl.DataFrame,
    *,
    states: pl.DataFrame | None = None,
    mode: str = "sandbox",
    day: date = TODAY,
    at: datetime = AT_NINE,
    scores: pl.DataFrame = NO_SCORES,
    known: pl.DataFrame = NO_CREATIVES,
) -> dg.MaterializeResult:
    eligible = {"platform": "meta", "account_id": "a1", "maturity_days": 14, "eligible": True}
    return slates(
        context=dg.build_asset_context(partition_key=day.isoformat()),
        int_creative_daily=creative_days(),
        decision_accounts=pl.DataFrame([eligible | {"as_of_date": day}]),
        lever_states=in_force(*decisions.select("lever_id", "current_budget").iter_rows())
        if states is None
        else states,
        bandit_decisions=decisions,
        ad_scores=scores,
        creative_objects=known,
        settings=settings_in(mode),
        environment=environment,
        clock=FixedClock(at),
    )


def creatives(result: dg.MaterializeResult) -> set[str]:
    return set(result.value["creative_id"])


def room_of(result: dg.MaterializeResult) -> Decimal:
    """All four creatives exploit, so 80 % of a track's launch money is in its slate."""
    return Decimal(result.value["budget"].sum()) / Decimal("0.8")


def approved(engine: sa.Engine, *, mode: str = "sandbox", **changes) -> Governance:
    """Yesterday's launches of c1 (signed), c2 (waiting) and c3 (rejected)."""
    governance = governing(engine, mode=mode, approvers=[Approver("sam")])
    launches = [
        replace(LAUNCH, launch_id=f"launch_{name}", creative_id=name, **changes)
        for name in ("c1", "c2", "c3")
    ]
    put_launches(governance, *launches)
    by_creative = {row["lever_id"][-2:]: row["proposal_id"] for row in governance.proposals(NINE)}
    governance.approve(by_creative["c1"], "sam", "worth a try", TEN)
    governance.reject(by_creative["c3"], "sam", "no", TEN)
    return governance


# The track may launch what is free under its cap: what is committed leaves 1,000 a day at 25 % over-delivery.
ALL_BUT_1000 = decided(("l1", 23_000))


def test_a_launch_approved_yesterday_is_not_slated_again_and_its_budget_counts_once(environment, engine):
    governance = approved(engine, daily_budget=Decimal(400))
    found = slate_of(environment, ALL_BUT_1000)
    assert creatives(found) == {"c2", "c3", "c4"}, "what waits is planned anew, what was rejected is free"
    assert room_of(found) == Decimal(600)
    assert found.metadata["creatives_left_out"] == 1
    assert found.metadata["budget_held"] == {"security": 400.0}
    assert "launch_c1" in found.metadata["earlier_launches"].value
    put_launches(governance, replace(LAUNCH, launch_id="today_c2", creative_id="c2"), at=AT_NINE)
    waiting = [row["lever_id"] for row in governance.proposals(AT_NINE) if row["status"] == "pending"]
    assert waiting == ["today_c2"]


def test_once_its_ad_set_is_a_lever_its_budget_is_the_lever_s_and_its_copy_is_no_new_creative(
    environment, engine
):
    approved(engine, daily_budget=Decimal(400))
    with engine.begin() as connection:  # as its writer notes it
        made = {
            "adset": {"id": "12", "begun_at": TEN.isoformat()},
            "creative": {"id": "c4", "begun_at": TEN.isoformat()},
        }
        connection.execute(sa.update(OUTBOX).values(made=json.dumps(made)))
    assert creatives(slate_of(environment, ALL_BUT_1000)) == {"c2", "c3"}
    seen = slate_of(environment, decided(("l1", 23_000), ("adset_12", 400)))
    assert creatives(seen) == {"c2", "c3"}
    assert room_of(seen) == Decimal(600)
    assert seen.metadata["budget_held"] == {}


def test_an_ad_set_that_is_made_and_still_paused_is_held_by_its_launch(environment, engine):
    approved(engine, daily_budget=Decimal(400))
    with engine.begin() as connection:  # as its writer notes it
        made = {"adset": {"id": "12", "begun_at": TEN.isoformat()}}
        connection.execute(sa.update(OUTBOX).values(made=json.dumps(made)))
    states = in_force(("l1", 23_000)).vstack(in_force(("adset_12", 400), status="paused"))
    found = slate_of(environment, decided(("l1", 23_000), ("adset_12", 400)), states=states)
    assert room_of(found) == Decimal(600)
    assert found.metadata["budget_held"] == {"security": 400.0}


def test_paused_levers_leave_their_budgets_to_launches(environment):
    idle = [(f"idle_{number}", 50) for number in range(100)]
    states = in_force(("l1", 23_000)).vstack(in_force(*idle, status="paused"))
    assert room_of(slate_of(environment, decided(("l1", 23_000), *idle), states=states)) == Decimal(1_000)


@pytest.mark.parametrize(
    ("other", "money"),
    [
        (lever("l2", current_budget=Decimal(300), status=None), 700),
        (lever("l2", current_budget=Decimal(300), account_id="a2", decision_eligible=False), 700),
        # 400 of the 48,000 under the total cap are left, for which the other track has a room of 4,800
        (lever("l2", current_budget=Decimal(24_600), track="unassigned"), 68.96),
        (lever("l2", current_budget=Decimal(24_600), track="unassigned", status="paused"), 1_000),
    ],
    ids=["of no known status", "of an account that is not eligible", "of no track", "of no track and paused"],
)
def test_levers_that_nobody_decides_on_take_room_as_they_do_in_the_guardrails(environment, other, money):
    states = in_force(("l1", 23_000)).vstack(states_of(other))
    found = slate_of(environment, ALL_BUT_1000, states=states)
    assert found.metadata["launch_money"]["security"] == money


def test_of_each_lever_the_larger_of_in_force_and_proposed_is_spoken_for():
    states = in_force(("raised", 500), ("stopped", 300), ("held", 200), ("undecided", 100))
    proposed = {"raised": 525, "stopped": 0, "held": 200}
    decisions = decided(*proposed.items())
    held = {"balance": Decimal(7)}
    committed = committed_budgets(running_levers(states), decisions, held)
    assert committed == {"security": Decimal(1_125), "balance": Decimal(7)}


def test_nothing_is_launched_while_a_budget_in_force_is_unknown(environment):
    states = in_force(("l1", 20_000)).vstack(states_of(lever("l2", track="balance", current_budget=None)))
    found = slate_of(environment, decided(("l1", 20_000)), states=states)
    assert room_of(found) == 0
    assert "l2" in found.metadata["unknown_budgets"].value
    paused = in_force(("l1", 20_000)).vstack(states_of(lever("l2", current_budget=None, status="paused")))
    assert room_of(slate_of(environment, decided(("l1", 20_000)), states=paused)) == Decimal(4_000)


@pytest.mark.parametrize("end", ["rolled back", "run out", "shadow", "approved this morning", "not yet then"])
def test_what_no_longer_stands_or_did_not_yet_is_free(environment, engine, end):
    mode = "shadow" if end == "shadow" else "sandbox"
    governance = approved(engine, mode=mode, daily_budget=Decimal(400))
    if end == "rolled back":
        governance.roll_back(governance.changes()[0]["change_id"], "sam", "no", TEN)
    when = {
        "run out": {"at": TEN + timedelta(days=1)},
        "approved this morning": {"day": MORNING, "at": TEN},
        "not yet then": {"day": MORNING, "at": AT_NINE},
    }
    found = slate_of(environment, ALL_BUT_1000, mode=mode, **when.get(end, {}))
    assert creatives(found) == {"c1", "c2", "c3", "c4"}
    assert room_of(found) == Decimal(1_000)
    assert found.metadata["creatives_left_out"] == 0


def test_a_scored_creative_that_never_ran_is_slated_while_it_is_young(environment: Environment) -> None:
    score = {
        **dict.fromkeys(
            ("ctr_score", "ctr_lower_bound", "cvr_score", "p_above_placement", "p_one_click"), 0.01
        ),
        **{"as_of_date": TODAY, "track": "security", "platform": "meta", "account_id": "a1"},
        **{"placement": "feed", "ctr_multiplier": 1.8, "cvr_multiplier": None, "delivered_impressions": 0},
        "model_version": "kernel",
    }
    names = ["fresh", "stale", "tomorrow"]
    scores = pl.DataFrame([score | {"creative_id": name} for name in names], schema=AD_SCORES.polars_schema)
    known = NO_CREATIVES.vstack(
        pl.DataFrame(
            {
                "platform": "meta",
                "account_id": "a1",
                "creative_id": names,
                "created_on": [TODAY - timedelta(days=age) for age in (5, 400, -1)],
                "first_seen": TODAY,
            }
        ).cast(dict(NO_CREATIVES.schema))
    )
    slated = slate_of(environment, decided(), scores=scores, known=known)
    assert creatives(slated) - creatives(slate_of(environment, decided())) == {"fresh"}
