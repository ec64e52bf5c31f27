"""Late tables over a real instance: a group is told once when it falls late, and when all of it is fresh."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from aelp_assets.alerts import event_id, tell
from aelp_assets.ingest.file_drop import file_landings
from aelp_assets.lateness import due_after, late_tables
from resources.clock import FixedClock
from resources.control.store import NOTIFICATIONS, control_url, open_control_store
from resources.notifier import Message
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from sensors.freshness import GROUPS_APART, late_groups

SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")
DAILY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=48), warn_window=timedelta(hours=26))
AT_TEN = dg.FreshnessPolicy.cron("0 10 * * *", timedelta(hours=6), timezone="America/New_York")


def table(name, group, policy=DAILY):
    @dg.asset(name=name, key_prefix="gaelp_training", group_name=group, freshness_policy=policy)
    def made() -> None: ...

    return made


GROUPS = ["forecasts", "bandits", "ranking", "marts"]
FIRST, SECOND = table("forecast_results", "forecasts"), table("forecast_outlook", "forecasts")
ALL = [FIRST, SECOND, *(table(f"of_{group}", group) for group in GROUPS[1:])]
PULLS = table("pull_of_meta", "ingest"), table("pull_of_orders", "ingest")
DEFS = dg.Definitions([*ALL, *PULLS])


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def now():
    return datetime.now(UTC)


@pytest.fixture
def told(tmp_path, monkeypatch, instance, now):
    """Tick so many hours from now; returns the sentences told by then, and the cursor."""
    monkeypatch.delenv("AELP_CONTROL_URL", raising=False)

    def ticked(hours, cursor=None):
        resources = {
            "environment": read_environment({"AELP_HOME": str(tmp_path)}),
            "settings": SETTINGS,
            "clock": FixedClock(now + timedelta(hours=hours)),
        }
        with dg.build_sensor_context(
            instance=instance, cursor=cursor, resources=resources, definitions=DEFS
        ) as context:
            result = late_groups(context)
        with open_control_store(control_url(tmp_path, {})).begin() as connection:
            order = sa.literal_column("rowid")
            rows = connection.execute(sa.select(NOTIFICATIONS.c.sentence).order_by(order)).scalars()
            return list(rows), result.cursor

    return ticked


def make(instance, *assets):
    assert dg.materialize(list(assets), instance=instance).success


def test_what_was_never_made_is_not_late_and_what_is_fresh_is_not_told(instance, told):
    assert told(1000)[0] == []
    make(instance, FIRST, SECOND)
    assert told(47)[0] == []


def test_a_late_group_is_told_once_and_again_when_all_of_it_is_fresh(instance, told):
    make(instance, FIRST, SECOND)
    sentences, cursor = told(49)
    assert len(sentences) == 1
    assert sentences[0].startswith(
        "Group forecasts: 2 tables are later than promised: gaelp_training.forecast_"
    )
    assert told(50, cursor) == (sentences, cursor), "no change"
    assert told(50) == (sentences, cursor), "a tick repeated with the old cursor"
    make(instance, FIRST)
    make(instance, SECOND)
    sentences, cursor = told(1, cursor)
    assert sentences[1:] == ["Fresh again: forecasts."]
    assert told(2, cursor)[0] == sentences


def test_a_pull_that_stands_still_is_told_of_beside_one_that_has_long_done_so(instance, told):
    make(instance, PULLS[0])
    (first,), cursor = told(49)
    assert first.startswith("Group ingest: a table is later than promised: gaelp_training.pull_of_meta (")
    make(instance, PULLS[1])
    sentences, cursor = told(49, cursor)
    assert "gaelp_training.pull_of_orders (" in sentences[1]
    assert "pull_of_meta" not in sentences[1]
    assert told(50, cursor) == (sentences, cursor)
    make(instance, *PULLS)
    sentences, _ = told(1, cursor)
    assert sentences[2:] == ["Fresh again: gaelp_training.pull_of_meta, gaelp_training.pull_of_orders."]


def test_what_lands_is_told_anew_by_its_table_where_it_was_told_of_as_a_group(instance, told, tmp_path, now):
    make(instance, PULLS[0])
    (late,) = late_tables(DEFS.resolve_asset_graph(), instance, now + timedelta(hours=49))
    due = late.due.isoformat()
    before = Message(event_id("late", "ingest", due), "warning", "Group ingest: a table is late.", "")
    tell(read_environment({"AELP_HOME": str(tmp_path)}), logging.getLogger(__name__), [before])
    (_, *sentences), cursor = told(49, json.dumps({"late": {"ingest": due}}))
    (sentence,) = sentences
    assert "gaelp_training.pull_of_meta (" in sentence, "and nothing is fresh again"
    make(instance, PULLS[0])
    assert told(1, cursor)[0][2:] == ["Fresh again: gaelp_training.pull_of_meta."]


@pytest.mark.parametrize("cursor", ["not json", "[]", "null", '{"late": 7}', '"text"'])
def test_an_unreadable_cursor_tells_nothing_twice(instance, told, cursor):
    make(instance, FIRST)
    first = told(49)
    assert told(49, cursor) == first


def test_many_groups_at_once_are_one_message(instance, told):
    assert len(GROUPS) > GROUPS_APART
    make(instance, *ALL)
    (sentence,), cursor = told(49)
    assert sentence.startswith(
        "5 tables of 4 groups are later than promised (bandits, forecasts, marts, ranking)"
    )
    assert told(60, cursor)[0] == [sentence]


def test_a_deadline_counts_what_was_made_within_its_lead():
    def due(made):
        return due_after(AT_TEN, datetime.fromisoformat(made).timestamp()).isoformat()

    assert due("2026-06-30T09:00:00-04:00") == "2026-07-01T14:00:00+00:00"
    assert due("2026-06-30T03:59:00-04:00") == "2026-06-30T14:00:00+00:00", "yesterday's belief made at night"
    assert due("2026-06-30T10:30:00-04:00") == "2026-07-01T14:00:00+00:00"
    assert due("2026-10-31T09:00:00-04:00") == "2026-11-01T15:00:00+00:00", "the clocks go back"


def test_a_home_whose_drop_folder_rests_lands_once_a_week_and_is_not_late():
    (spec,) = file_landings.specs
    assert due_after(spec.freshness_policy, 0.0) > datetime.fromtimestamp(0, UTC) + timedelta(days=7, hours=1)


def test_lateness_needs_no_freshness_daemon(instance, now):
    make(instance, FIRST)
    graph = DEFS.resolve_asset_graph()
    (late,) = late_tables(graph, instance, now + timedelta(days=3))
    assert (late.group, late.name) == ("forecasts", "gaelp_training.forecast_results")
    assert abs(late.due - late.made - timedelta(hours=48)) < timedelta(seconds=1)
