"""Today's landed spend by lever, and the stop that is put before people where it runs away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
import sqlalchemy as sa

from aelp_assets.pacing import (
    described,
    hours_that_are_over,
    of_levers,
    running_levers,
    stops_for,
    with_day_totals,
    with_own_changes,
)
from models.guardrails import STATE_SCHEMA
from models.pacing import overspends, pacing_plan
from resources.control.external_edits import known_in_force
from resources.control.governance import Governance
from resources.control.payloads import LeverTarget
from resources.control.records import LEVER, Refused
from resources.control.store import PROPOSALS, open_control_store
from resources.control.writer import Writer
from tests.resources.control.paper_platform import PaperPlatform, paused, running
from tests.resources.control.proposing import (
    MORNING,
    NINE,
    TEN,
    governing,
    lever,
    proposed,
    states_of,
    status_of,
    targets_of,
)

NOON = NINE + timedelta(hours=4)
ACCOUNTS = pl.DataFrame({"platform": ["meta"], "account_id": ["a1"], "timezone": ["America/New_York"]})


@pytest.fixture
def engine(tmp_path) -> Iterator[sa.Engine]:
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    yield engine
    engine.dispose()


def hourly(*rows: tuple[date, str, str, int, str], read_at: datetime) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "platform": "meta",
                "account_id": "a1",
                "date": day,
                "campaign_id": campaign,
                "adset_id": adset,
                "hour": hour,
                "spend": Decimal(spend),
                "_ingested_at": read_at,
            }
            for day, campaign, adset, hour, spend in rows
        ]
    )


def budget_levers(*names: str, **changes: object) -> pl.DataFrame:
    rows = [
        {
            "date": MORNING,
            **{name: lever("l")[name] for name in ("platform", "account_id", "track", "current_budget")},
            "lever_id": name,
            "lever_level": "adset",
            "lever_source": "platform",
            "campaign_id": "c1",
            "entity_id": f"id-{name}",
            "status": "active",
            "budget_type": "daily",
            **changes,
        }
        for name in names
    ]
    return pl.DataFrame(rows, schema_overrides={"current_budget": pl.Decimal(38, 9)})


def test_the_hour_of_the_reading_is_not_over_and_a_past_day_is():
    rows = [(MORNING, "c1", "x", hour, "10") for hour in range(10)]
    read = hourly(*rows, read_at=NINE)  # nine in New York: the hours up to eight are over
    found = hours_that_are_over(read, ACCOUNTS)
    assert sorted(found["hour"]) == list(range(9))
    assert found["hours_over"].unique().to_list() == [9]
    next_day = hours_that_are_over(hourly(*rows, read_at=NINE + timedelta(days=1)), ACCOUNTS)
    assert next_day.height == 10
    assert next_day["hours_over"].unique().to_list() == [24]


def test_a_campaign_s_budget_is_spent_by_all_its_ad_sets_and_an_ad_set_s_by_itself():
    rows = [(MORNING, "c1", "id-l1", 0, "10"), (MORNING, "c1", "id-l2", 0, "5"), (MORNING, "c2", "z", 0, "2")]
    over = hours_that_are_over(hourly(*rows, read_at=NINE), ACCOUNTS)
    of_sets = of_levers(over, budget_levers("l1", "l2"))
    assert dict(of_sets.select("lever_id", "spend").iter_rows()) == {"l1": 10.0, "l2": 5.0}
    of_campaign = of_levers(over, budget_levers("campaign_c1", lever_level="campaign"))
    assert dict(of_campaign.select("lever_id", "spend").iter_rows()) == {"campaign_c1": 15.0}


def test_a_past_day_is_held_against_what_the_daily_report_tells_of_all_of_it():
    yesterday = MORNING - timedelta(days=1)
    over = hours_that_are_over(hourly((yesterday, "c1", "x", 3, "10"), read_at=NINE), ACCOUNTS)
    daily = pl.DataFrame(
        {
            "platform": "meta",
            "account_id": "a1",
            "date": [yesterday, yesterday],
            "cost": [Decimal(30), Decimal(12)],
        }
    )
    assert with_day_totals(over, daily).select("hour", "spend", "day_spend").rows() == [(3, 10.0, 42.0)]


def test_only_levers_that_spend_a_daily_budget_of_the_platform_are_paced():
    rows = [
        budget_levers("l1"),
        budget_levers("l2", status="paused"),
        budget_levers("l3", budget_type="lifetime"),
    ]
    rows += [budget_levers("l4", lever_source="declared"), budget_levers("l5", current_budget=Decimal(0))]
    rows += [budget_levers("l6", date=MORNING - timedelta(days=1))]
    assert running_levers(pl.concat(rows))["lever_id"].to_list() == ["l1"]


# --- the urgent stop ----------------------------------------------------------------------------------


def alarms(spent: float = 700.0, name: str = "l1") -> pl.DataFrame:
    """Of a lever at 500 a day that spent so much by noon."""
    levers = budget_levers(name).select(*LEVER, "track", pl.col("current_budget").alias("budget"))
    today = pl.DataFrame(
        [
            {
                "platform": "meta",
                "account_id": "a1",
                "lever_id": name,
                "hour": 11,
                "spend": spent,
                "hours_over": 12,
            }
        ]
    )
    history = pl.DataFrame(
        schema={"platform": pl.String, "account_id": pl.String, "date": pl.Date, "hour": pl.Int64,
                "spend": pl.Float64, "day_spend": pl.Float64, "hours_over": pl.Int64}
    )  # fmt: skip
    options = {"overdelivery": {"meta": 0.75}, "other_overdelivery": 0.25, "delivery_mean": 0.85}
    plan = pacing_plan(levers, today, history, day=MORNING, **options)
    return described(overspends(plan, 0.9), MORNING)


def put_forward(
    governance: Governance, found: pl.DataFrame, *levers: dict, in_force: pl.DataFrame | None = None
):
    lever_states = states_of(*levers).with_columns(pl.lit(MORNING).alias("as_of_date"))
    names = [row["lever_id"] for row in levers]
    states, stops = stops_for(found, lever_states, budget_levers(*names) if in_force is None else in_force)
    targets: dict[tuple[str, str, str], LeverTarget] = targets_of(states.select(STATE_SCHEMA.names()))
    return governance.propose(stops, states, targets, as_of_date=MORNING, settings_hash="s", now=NOON)


def test_an_alarm_says_when_how_much_and_why():
    (sure,) = alarms(900.0).iter_rows(named=True)
    assert sure["kind"] == "spend_above_worst_case"
    assert sure["reason"].startswith("900.00 were spent by 12:00, above 875.00, the most")
    (likely,) = alarms(700.0).iter_rows(named=True)
    assert likely["kind"] == "day_end_above_worst_case"
    assert likely["p_above_worst_case"] > 0.9
    assert alarms(350.0).is_empty()


def test_a_runaway_lever_s_stop_takes_the_place_of_its_raise_and_waits_for_a_person(engine):
    governance = governing(engine, mode="sandbox")
    (raised,) = proposed(governance, lever("l1"))
    (stop,) = put_forward(governance, alarms(), lever("l1")).new
    assert status_of(governance, raised, NOON) == "superseded"
    assert status_of(governance, stop, NOON) == "pending"
    (row,) = [each for each in governance.proposals(NOON) if each["proposal_id"] == stop]
    assert (row["type"], row["proposed_by"]) == ("stop", "aelp")
    assert row["reason"].startswith("Stop, now at 500.00 a day: after 700.00 by 12:00 it ends at about")
    assert put_forward(governance, alarms(), lever("l1")).known == [stop]
    platform = PaperPlatform(id_l1=running("500"))
    writer = Writer(engine, governance, platform, lambda: NOON)
    assert writer.apply() == []
    governance.approve(stop, "jo", "it runs away", NOON)
    assert [outcome.status for outcome in writer.apply()] == ["applied"]
    assert platform.values["id-l1"] == paused("500")


def test_a_raise_approved_this_morning_does_not_keep_the_stop_from_people(engine):
    governance = governing(engine, mode="sandbox")
    (raised,) = proposed(governance, lever("l1"))
    governance.approve(raised, "sam", "it pays", TEN)
    risen = budget_levers("l1", current_budget=Decimal(525))
    (stop,) = put_forward(governance, alarms(), lever("l1"), in_force=risen).new
    assert governance.approve(stop, "sam", "it runs away", NOON) == "approved"


def test_while_a_lever_runs_away_its_raise_is_not_sent(engine):
    governance = governing(engine, mode="sandbox")
    (raised,) = proposed(governance, lever("l1"))
    governance.approve(raised, "sam", "it pays", TEN)
    put_forward(governance, alarms(), lever("l1"))
    platform = PaperPlatform(id_l1=running("500"))
    (outcome,) = Writer(engine, governance, platform, lambda: NOON).apply()
    assert (outcome.status, platform.writes) == ("blocked", [])
    assert "today's spend" in str(outcome.message)


def test_a_signed_urgent_stop_is_sent_although_the_morning_was_decided_since(engine):
    governance = governing(engine, mode="sandbox")
    (stop,) = put_forward(governance, alarms(), lever("l1")).new
    later = NOON + timedelta(minutes=1)
    proposed(governance, lever("l1", thompson_budget=500.0), lever("l2"), at=later)
    governance.approve(stop, "sam", "it runs away", later)
    platform = PaperPlatform(id_l1=running("500"))
    (outcome,) = Writer(engine, governance, platform, lambda: later).apply()
    assert (outcome.status, outcome.message) == ("applied", None)


def test_a_signed_stop_ends_the_raise_that_is_not_sent_yet(engine):
    governance = governing(engine, mode="sandbox")
    (raised,) = proposed(governance, lever("l1"))
    governance.approve(raised, "sam", "it pays", TEN)
    (stop,) = put_forward(governance, alarms(), lever("l1")).new
    governance.approve(stop, "sam", "it runs away", NOON)
    proposed(governance, lever("l1", thompson_budget=500.0), lever("l2"), at=NOON + timedelta(minutes=1))
    platform = PaperPlatform(id_l1=running("500"))
    Writer(engine, governance, platform, lambda: NOON).apply()
    assert platform.values["id-l1"] == paused("500")
    assert [row["status"] for row in governance.changes()] == ["applied", "blocked"]


def test_an_urgent_stop_is_of_its_day(engine):
    governance = governing(engine, mode="sandbox")
    midnight = datetime(2026, 7, 1, tzinfo=UTC)
    l1, l2 = (
        put_forward(governance, alarms(name=name), lever("l1"), lever("l2")).new for name in ("l1", "l2")
    )
    governance.approve(*l1, "sam", "it runs away", NOON)
    assert status_of(governance, *l2, midnight - timedelta(seconds=1)) == "pending"
    assert status_of(governance, *l2, midnight) == "expired"
    platform = PaperPlatform(id_l1=running("500"))
    (late,) = Writer(engine, governance, platform, lambda: midnight).apply()
    assert (late.status, platform.writes) == ("blocked", [])
    assert "a stop without its evidence" in str(late.message)


@pytest.mark.parametrize("gone", ["expired", "withdrawn"])
def test_a_stop_nobody_answered_is_put_before_people_again_and_a_rejected_one_is_not(engine, gone):
    governance = governing(engine)
    (stop,) = put_forward(governance, alarms(), lever("l1")).new
    with engine.begin() as connection:
        connection.execute(sa.update(PROPOSALS).values(status=gone))
    assert put_forward(governance, alarms(), lever("l1")).new == [stop]
    governance.reject(stop, "sam", "a launch", NOON)
    assert put_forward(governance, alarms(), lever("l1")).new == []


def test_a_stop_starts_from_what_our_own_raise_left_where_the_snapshot_is_older(engine):
    governance = governing(engine, mode="sandbox")
    (raised,) = proposed(governance, lever("l1"))
    governance.approve(raised, "sam", "it pays", TEN)
    platform = PaperPlatform(id_l1=running("500"), id_l2=running("500"))
    Writer(engine, governance, platform, lambda: TEN).apply()
    key = ("meta", "a1", "l1")
    in_force = known_in_force({key: running("500")}, {key: NINE}, governance.changes())
    levers = with_own_changes(budget_levers("l1", "l2"), in_force)
    assert levers["current_budget"].to_list() == [Decimal(525), Decimal(500)]
    (stop,) = put_forward(governance, alarms(), lever("l1"), in_force=levers).new
    governance.approve(stop, "sam", "it runs away", NOON)
    (outcome,) = Writer(engine, governance, platform, lambda: NOON).apply()
    assert (outcome.status, platform.values["id-l1"]) == ("applied", paused("525"))
    stopped = known_in_force({key: running("500")}, {key: NINE}, governance.changes())
    assert with_own_changes(budget_levers("l1", "l2"), stopped)["lever_id"].to_list() == ["l2"]


def test_a_stop_needs_no_room_under_the_exploration_floor(engine):
    """An explorer that runs away is stopped although a raise beside it then thins the floor."""
    governance = governing(engine)
    exploring = lever("l1", matured_spend=Decimal(100), thompson_budget=None)
    (raised,) = proposed(governance, exploring, lever("l2"))
    governance.approve(raised, "sam", "it pays", TEN)
    (stop,) = put_forward(governance, alarms(), exploring, lever("l2")).new
    assert governance.approve(stop, "jo", "it runs away", NOON) == "approved"


def test_without_an_alarm_a_stop_is_refused_as_ever(engine):
    governance = governing(engine)
    quiet = alarms().with_columns(pl.lit("l2").alias("lever_id"))
    states, stops = stops_for(
        quiet, states_of(lever("l1"), lever("l2")).with_columns(pl.lit(MORNING).alias("as_of_date")),
        budget_levers("l1", "l2"),
    )  # fmt: skip
    forged = stops.with_columns(pl.lit("l1").alias("lever_id"))
    with pytest.raises(Refused, match="a stop without its evidence"):
        governance.propose(
            forged, states, targets_of(states), as_of_date=MORNING, settings_hash="s", now=NOON
        )


def test_a_lever_paused_since_is_not_stopped_again(engine):
    outcome = put_forward(governing(engine), alarms(), lever("l1"), in_force=budget_levers("l1").clear())
    assert outcome.new == []
