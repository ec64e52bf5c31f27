"""Today's landed spend by lever, and the stop that is put before people where it runs away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa

from aelp_assets.pacing import (
    described,
    of_levers,
    of_the_day,
    pacing,
    running_levers,
    spend_within_days,
    stops_for,
    with_day_totals,
    with_own_changes,
)
from models import spend_readings
from models.guardrails import STATE_SCHEMA
from models.pacing import overspends, pacing_plan
from resources.clock import FixedClock
from resources.connectors.errors import ErrorClass
from resources.control.external_edits import known_in_force
from resources.control.governance import Governance
from resources.control.payloads import LeverTarget
from resources.control.records import LEVER, Refused
from resources.control.store import PROPOSALS, open_control_store
from resources.control.writer import Writer
from resources.settings import PROJECT_ROOT, load_settings
from resources.warehouse import tables
from tests.resources.control.paper_platform import PaperPlatform, failure, paused, running
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


@pytest.fixture
def engine(tmp_path) -> Iterator[sa.Engine]:
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    yield engine
    engine.dispose()


META_SPEND = {
    "platform": pl.String,
    "account_id": pl.String,
    "date": pl.Date,
    "campaign_id": pl.String,
    "adset_id": pl.String,
    "hour": pl.String,
    "spend": pl.Decimal(38, 9),
}
OTHERS_SPEND = {"adgroup_id" if name == "adset_id" else name: kind for name, kind in META_SPEND.items()}


def spend(*rows: tuple[date, str, str, str, str | None], platform: str = "meta") -> pl.DataFrame:
    """Landed spend of one account, of Meta or of another platform, as the asset takes it up."""
    full = [(platform, "a1", *row[:4], None if row[4] is None else Decimal(row[4])) for row in rows]
    is_meta = platform == "meta"
    return spend_within_days(
        pl.DataFrame(full if is_meta else [], schema=META_SPEND, orient="row"),
        pl.DataFrame([] if is_meta else full, schema=OTHERS_SPEND, orient="row"),
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
            "budget_id": None,
            "status": "active",
            "budget_type": "daily",
            "currency": "USD",
            **changes,
        }
        for name in names
    ]
    typed = {"current_budget": pl.Decimal(38, 9), "budget_id": pl.String}
    return pl.DataFrame(rows, schema_overrides=typed)


def test_a_campaign_s_budget_is_spent_by_all_its_ad_sets_and_an_ad_set_s_by_itself():
    rows = [
        (MORNING, "c1", "id-l1", "00", "10"),
        (MORNING, "c1", "id-l2", "00", "5"),
        (MORNING, "c2", "z", "00", "2"),
    ]
    of_sets = of_levers(spend(*rows), budget_levers("l1", "l2"))
    assert dict(of_sets.select("lever_id", "spend").iter_rows()) == {"l1": 10.0, "l2": 5.0}
    of_campaign = of_levers(spend(*rows), budget_levers("campaign_c1", lever_level="campaign"))
    assert dict(of_campaign.select("lever_id", "spend").iter_rows()) == {"campaign_c1": 15.0}


@pytest.mark.parametrize(
    ("platform", "row", "level", "found"),
    [
        ("google_ads", ("c1", "__none__", "7", "3.25"), "campaign", (7, 3.25)),
        ("tiktok", ("c1", "id-l1", "23", "3"), "adgroup", (23, 3.0)),
        ("linkedin", ("c1", "id-l1", "__none__", "12.5"), "adgroup", (None, 12.5)),
    ],
)
def test_every_platform_s_spend_finds_the_lever_that_spends_it(platform, row, level, found):
    levers = budget_levers("l1", platform=platform, lever_level=level)
    of_day = of_levers(spend((MORNING, *row), platform=platform), levers)
    assert of_day.select("hour", "spend").rows() == [found]


def test_a_past_day_is_held_against_what_the_daily_report_tells_of_all_of_it():
    yesterday = MORNING - timedelta(days=1)
    hours = spend((yesterday, "c1", "x", "03", "10")).with_columns(hours_over=pl.lit(24))
    daily = pl.DataFrame(
        {
            "platform": "meta",
            "account_id": "a1",
            "date": [yesterday, yesterday],
            "cost": [Decimal(30), Decimal(12)],
        }
    )
    assert with_day_totals(hours, daily).select("hour", "spend", "day_spend").rows() == [(3, 10.0, 42.0)]


def test_spend_of_an_account_that_cannot_be_read_reaches_no_lever():
    told = pl.DataFrame(
        [("meta", "a1", MORNING, "not_readable"), ("google_ads", "a1", MORNING, "read")],
        schema=["platform", "account_id", "date", "reading"],
        orient="row",
    )
    bad = spend((MORNING, "c1", "x", "xx", "1"), (MORNING, "c1", "x", "1", None))
    assert bad["hour"].to_list() == [-1, 1]
    assert of_the_day(bad, told).is_empty()
    good = spend((MORNING, "c1", "__none__", "1", "5"), platform="google_ads")
    earlier = good.with_columns(pl.col("date") - timedelta(days=1))
    assert of_the_day(pl.concat([bad, good, earlier]), told).equals(good)


def test_only_levers_that_spend_a_daily_budget_of_the_platform_are_paced():
    rows = [
        budget_levers("l1"),
        budget_levers("l2", status="paused"),
        budget_levers("l3", budget_type="lifetime"),
    ]
    rows += [budget_levers("l4", lever_source="declared"), budget_levers("l5", current_budget=Decimal(0))]
    rows += [budget_levers("l6", date=MORNING - timedelta(days=1))]
    assert running_levers(pl.concat(rows))["lever_id"].to_list() == ["l1"]


PULLS = {
    "platform": pl.String,
    "account_id": pl.String,
    "date": pl.Date,
    "read_at": pl.Datetime("us", "UTC"),
    "asked_at": pl.Datetime("us", "UTC"),
    "error_class": pl.String,
    "message": pl.String,
}


def looked(at, zones, levers, meta=(), others=(), *down):
    """The hourly look half an hour after every platform was read, but those that were `down`."""
    failed = {row[0] for row in down}
    read = [(name, "a1", MORNING, at, at, None, None) for name in zones if name not in failed]
    return pacing(
        context=dg.build_asset_context(partition_key=MORNING.isoformat()),
        stg_meta__hourly_spend=pl.DataFrame(meta, schema=META_SPEND, orient="row"),
        stg_platforms__intraday_spend=pl.DataFrame(others, schema=OTHERS_SPEND, orient="row"),
        stg_ops__spend_pulls=pl.DataFrame([*down, *read], schema=PULLS, orient="row"),
        stg_ops__accounts=pl.DataFrame(
            [(name, "a1", zone) for name, zone in zones.items()],
            schema=["platform", "account_id", "timezone"],
            orient="row",
        ),
        ads_campaign_daily=pl.DataFrame(
            schema={
                "platform": pl.String,
                "account_id": pl.String,
                "date": pl.Date,
                "cost": pl.Decimal(38, 9),
            }
        ),
        budget_levers=levers,
        settings=load_settings(PROJECT_ROOT / "aelp.yaml"),
        clock=FixedClock(at + timedelta(minutes=30)),
    )


@pytest.mark.parametrize("second", ["active", "paused"])
def test_campaigns_on_one_budget_are_judged_by_what_they_spend_of_it_together(engine, second):
    """1,200 by eleven of a budget of 500 that two share; a third has as much to itself and spends 600."""
    google = {"platform": "google_ads", "lever_level": "campaign"}
    levers = pl.concat(
        budget_levers(name, **google, entity_id=name, budget_id=budget, status=status)
        for name, budget, status in (("c1", "77", "active"), ("c2", "77", second), ("c3", "78", "active"))
    )
    others = [
        ("google_ads", "a1", MORNING, name, "__none__", str(hour), Decimal(60))
        for name in ("c1", "c2", "c3")
        for hour in range(10)
    ]
    at = NINE + timedelta(hours=5)
    planned, alarmed = looked(at, {"google_ads": "America/New_York"}, levers, others=others)
    nine = tables.PACING.conform(planned.value).filter(pl.col("hour") == 9)
    sharing = ["c1", "c2"] if second == "active" else ["c1"]
    assert dict(nine.select("lever_id", "spend").iter_rows()) == {
        **dict.fromkeys(sharing, 1200.0),
        "c3": 600.0,
    }
    assert dict(nine.select("lever_id", "worst_case").iter_rows()) == dict.fromkeys((*sharing, "c3"), 1000.0)
    sure = alarmed.value.filter(pl.col("kind") == "spend_above_worst_case")
    assert sorted(sure["lever_id"]) == sharing
    assert "at a budget of 500.00 that 2 levers share (" in sure["reason"][0]
    assert "share (" not in "".join(alarmed.value.filter(pl.col("lever_id") == "c3")["reason"])
    running_away = [lever(name, platform="google_ads", lever_level="campaign") for name in sharing]
    stops = put_forward(governing(engine), sure, *running_away, in_force=running_levers(levers)).new
    assert len(stops) == len(sharing), "one pause leaves the budget to the other"


def test_every_platform_is_paced_on_its_own_terms_and_one_that_is_down_hides_no_other():
    """At noon in New York: Google Ads runs away, TikTok cannot be read, LinkedIn counts its days in UTC."""
    platforms = dict.fromkeys(("meta", "google_ads", "tiktok"), "America/New_York") | {"linkedin": "UTC"}
    levels = {"meta": "adset", "google_ads": "campaign", "tiktok": "adgroup", "linkedin": "adgroup"}
    at = NINE + timedelta(hours=3)
    down = ("tiktok", "a1", MORNING, None, at, "TRANSIENT", "HTTP 502")
    meta = [("meta", "a1", MORNING, "c1", "id-l1", f"{hour:02d}", Decimal(10)) for hour in range(11)]
    others = [("google_ads", "a1", MORNING, "c1", "__none__", str(hour), Decimal(150)) for hour in range(9)]
    others += [("linkedin", "a1", MORNING, "c1", "id-l1", "__none__", Decimal(200))]
    levers = pl.concat(
        budget_levers("l1", platform=name, lever_level=level) for name, level in levels.items()
    )
    planned, alarmed = looked(at, platforms, levers, meta, others, down)
    rows = tables.PACING.conform(planned.value)
    known = rows.filter(pl.col("spend").is_not_null()).group_by("platform").agg(pl.col("hour").max())
    assert dict(known.iter_rows()) == {"meta": 10, "google_ads": 8, "linkedin": 14}
    assert dict(rows.select("platform", "reading").unique().iter_rows()) == {
        "meta": "read",
        "google_ads": "read",
        "tiktok": "not_readable",
        "linkedin": "read",
    }
    alarms_found = tables.SPEND_ALARMS.conform(alarmed.value)
    assert set(alarms_found["platform"]) == {"google_ads"}
    checks = {each.check_name: each for each in (*planned.check_results, *alarmed.check_results)}
    assert {name: each.passed for name, each in checks.items()} == {
        "every_day_is_whole": True,
        "todays_spend_is_readable": False,
        "nothing_overspends": False,
    }
    unread = checks["todays_spend_is_readable"]
    assert "tiktok account a1" in unread.description
    assert "failed (TRANSIENT): HTTP 502" in unread.description
    assert "`aelp connect tiktok`" in unread.description
    assert unread.severity == dg.AssetCheckSeverity.WARN
    for name in ("todays_spend_is_readable", "nothing_overspends"):
        assert checks[name].metadata["platforms_covered"].value == [
            "meta",
            "google_ads",
            "tiktok",
            "linkedin",
        ]


# --- the urgent stop ----------------------------------------------------------------------------------


def alarms(
    spent: float = 700.0, name: str = "l1", *, settled: int = 12, platform: str = "meta", delay: float = 0.25
) -> pl.DataFrame:
    """Of a lever at 500 a day that spent so much by noon; `settled` hours of it are certain."""
    levers = budget_levers(name, platform=platform)
    told = {
        "platform": platform,
        "account_id": "a1",
        "date": MORNING,
        "by_hour": True,
        "hours_over": settled,
        "hours_begun": 12,
        "reading": "read",
        "read_at": NOON,
        "reporting_delay_hours": delay,
    }
    today = [(platform, "a1", name, min(11, settled - 1), spent)]
    history = pl.DataFrame(
        schema={"platform": pl.String, "account_id": pl.String, "date": pl.Date, "hour": pl.Int64,
                "spend": pl.Float64, "day_spend": pl.Float64, "hours_over": pl.Int64}
    )  # fmt: skip
    plan = pacing_plan(
        levers.select(*LEVER, "track", pl.col("current_budget").alias("budget")),
        pl.DataFrame(today, schema=[*LEVER, "hour", "spend"], orient="row"),
        pl.DataFrame([told], schema=spend_readings.SCHEMA),
        history,
        overdelivery={"meta": 0.75, "google_ads": 1.0},
        other_overdelivery=0.25,
        delivery_mean=0.85,
    )
    return described(overspends(plan, 0.9), MORNING, levers)


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


def test_an_alarm_says_when_it_was_read_and_how_late_its_platform_reports():
    (late,) = alarms(700.0, platform="google_ads", settled=9, delay=3.0).iter_rows(named=True)
    assert late["hour"] == 8
    assert late["reason"].startswith("after 700.00 by 9:00 it ends at about")
    assert "google_ads reports up to 3 h late: by now it may be more" in late["reason"]
    assert (late["read_at"], late["reporting_delay_hours"]) == (NOON, 3.0)


def test_an_alarm_names_its_account_s_own_day_so_that_two_mornings_tell_of_one_thing():
    (row,) = alarms().iter_rows(named=True)
    assert row["date"] == row["as_of_date"] == MORNING
    plan_row = alarms().drop("alarm_id", "reason", "as_of_date").with_columns(spend_reported=pl.col("spend"))
    again = described(plan_row, MORNING + timedelta(days=1), budget_levers("l1"))
    assert again["alarm_id"].to_list() == [row["alarm_id"]]


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


@pytest.mark.parametrize("mode", ["shadow", "sandbox"])
def test_a_stop_on_google_ads_is_signed_and_rendered_like_meta_s(engine, mode):
    governance = governing(engine, mode=mode)
    found = alarms(1_100.0, platform="google_ads", settled=9, delay=3.0)
    running_away = lever("l1", platform="google_ads", lever_level="campaign")
    in_force = budget_levers("l1", platform="google_ads")
    (stop,) = put_forward(governance, found, running_away, in_force=in_force).new
    assert status_of(governance, stop, NOON) == "pending"
    governance.approve(stop, "jo", "it runs away", NOON)
    (change,) = governance.changes()
    call = json.loads(change["request"])
    assert (call["service"], call["method"]) == ("CampaignService", "MutateCampaigns")
    assert call["operations"][0]["update"]["status"] == "PAUSED"
    assert change["status"] == ("shadow" if mode == "shadow" else "prepared")


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


def test_a_stop_for_today_s_spend_is_asked_for_after_the_morning_s_was_rejected(engine):
    governance = governing(engine)
    losing = lever("l1", p_cac_above_cap=0.95, thompson_budget=None)
    (morning_s,) = proposed(governance, losing)
    governance.reject(morning_s, "sam", "tracking was broken", TEN)
    (urgent,) = put_forward(governance, alarms(), losing).new
    assert put_forward(governance, alarms(), losing).known == [urgent]
    governance.reject(urgent, "sam", "a launch", NOON)
    assert put_forward(governance, alarms(), losing).new == []


def test_a_stop_is_sent_whatever_the_budget_is_by_now_and_asked_for_again_where_it_came_to_nothing(engine):
    governance = governing(engine, mode="sandbox")
    (stop,) = put_forward(governance, alarms(), lever("l1")).new
    governance.approve(stop, "sam", "it runs away", NOON)
    platform = PaperPlatform(id_l1=running("400"), id_l2=running("500"))
    platform.faulty_sends = [failure(ErrorClass.PERMANENT)]
    (refused,) = Writer(engine, governance, platform, lambda: NOON).apply()
    assert refused.status == "refused"
    (again,) = put_forward(governance, alarms(), lever("l1")).new
    assert put_forward(governance, alarms(), lever("l1")).known == [again]
    governance.approve(again, "sam", "it runs away", NOON)
    (sent,) = Writer(engine, governance, platform, lambda: NOON).apply()
    assert (sent.status, platform.values["id-l1"]) == ("applied", paused("400"))
    assert put_forward(governance, alarms(), lever("l1")).left_out == ["l1: already decided this morning"]


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


@pytest.mark.parametrize("known", [[lever("l1", status="paused")], []], ids=["paused", "unknown"])
def test_a_lever_switched_on_since_the_morning_was_decided_is_stopped_too(engine, known):
    governance = governing(engine, mode="sandbox")
    states, stops = stops_for(
        alarms(),
        states_of(*known, lever("l2")).with_columns(pl.lit(MORNING).alias("as_of_date")),
        budget_levers("l1", "l2"),
    )
    (stop,) = governance.propose(
        stops, states, targets_of(states), as_of_date=MORNING, settings_hash="s", now=NOON
    ).new
    governance.approve(stop, "sam", "it runs away", NOON)
    (outcome,) = Writer(engine, governance, PaperPlatform(id_l1=running("500")), lambda: NOON).apply()
    assert outcome.status == "applied", outcome


def test_a_lever_paused_since_is_not_stopped_again(engine):
    outcome = put_forward(governing(engine), alarms(), lever("l1"), in_force=budget_levers("l1").clear())
    assert outcome.new == []
