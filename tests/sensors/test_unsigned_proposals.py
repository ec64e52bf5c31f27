"""Proposals nobody signs, over a real control store: told at half time, before a stop ends, and after."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from resources.clock import FixedClock
from resources.control.store import NOTIFICATIONS, PROPOSALS, control_url, open_control_store
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from sensors.approvals import unsigned_proposals
from tests.resources.control.proposing import NINE, governing, lever, proposed

SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.delenv("AELP_CONTROL_URL", raising=False)
    return open_control_store(control_url(tmp_path, {}))


@pytest.fixture
def told(tmp_path, store):
    """Tick at so many hours after nine; returns the sentences told by then, and the cursor."""

    def ticked(hours, cursor=None):
        resources = {
            "environment": read_environment({"AELP_HOME": str(tmp_path)}),
            "settings": SETTINGS,
            "clock": FixedClock(NINE + timedelta(hours=hours)),
        }
        with (
            dg.DagsterInstance.ephemeral() as instance,
            dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context,
        ):
            result = unsigned_proposals(context)
        with store.begin() as connection:
            order = sa.literal_column("rowid")
            rows = connection.execute(
                sa.select(NOTIFICATIONS.c.severity, NOTIFICATIONS.c.sentence).order_by(order)
            )
            return [tuple(row) for row in rows], result.cursor

    return ticked


def put(store, *types):
    """A proposal of each type, made at nine, valid for a day."""
    names = [f"l{number}" for number in range(len(types))]
    proposed(governing(store), *map(lever, names))
    with store.begin() as connection:
        for name, kind in zip(names, types, strict=True):
            here = PROPOSALS.c.lever_id == name
            connection.execute(sa.update(PROPOSALS).where(here).values(type=kind))


def test_what_waits_less_than_half_its_time_is_left_alone(store, told):
    assert told(0)[0] == [], "nothing is proposed"
    put(store, "raise", "stop")
    assert told(11.9)[0] == []


def test_at_half_time_stops_and_the_rest_are_told_apart_once(store, told):
    put(store, "raise", "stop", "cut", "raise", "raise")
    sentences, cursor = told(12.1)
    assert [severity for severity, _ in sentences] == ["critical", "warning"]
    assert "1 stop of 2026-06-30 have waited" in sentences[0][1]
    assert "stop Ad set l1 (meta)" in sentences[0][1]
    assert "4 proposals of 2026-06-30 have waited half their time" in sentences[1][1]
    assert "and 1 more" in sentences[1][1]
    assert "01 Jul 09:00" in sentences[1][1]
    assert told(12.2, cursor) == (sentences, cursor), "no change"
    assert told(12.2)[0] == sentences, "a tick repeated with the old cursor"


@pytest.mark.parametrize("cursor", ["not json", "[]", "null", '{"told": 7}', '"text"'])
def test_an_unreadable_cursor_tells_nothing_twice(store, told, cursor):
    put(store, "raise")
    first = told(12.1)
    assert told(12.2, cursor) == first


def test_a_stop_is_called_out_once_more_before_it_ends_and_all_ends_are_told(store, told):
    put(store, "raise", "stop")
    _, cursor = told(12.1)
    sentences, cursor = told(22.5, cursor)
    assert len(sentences) == 3
    assert "run out at 01 Jul 09:00 and nobody has signed" in sentences[-1][1]
    sentences, cursor = told(24.1, cursor)
    assert [severity for severity, _ in sentences[3:]] == ["critical", "warning"]
    assert all("ran out unsigned at 01 Jul 09:00" in sentence for _, sentence in sentences[3:])
    assert told(26, cursor)[0] == sentences
    assert told(60)[0] == sentences, "an end of long ago is no news to a new cursor"


def test_signed_and_rejected_ones_are_not_told_and_a_second_signature_is_asked_for(store, told):
    put(store, "raise", "raise", "raise")
    governance = governing(store)
    of = {row["lever_id"]: row["proposal_id"] for row in governance.proposals(NINE)}
    governance.approve(of["l0"], "sam", "it pays", NINE)
    governance.reject(of["l1"], "sam", "not now", NINE)
    with store.begin() as connection:
        connection.execute(
            sa.update(PROPOSALS).where(PROPOSALS.c.lever_id == "l2").values(status="awaiting_second")
        )
    ((_, sentence),), _ = told(13)
    assert "1 proposal of 2026-06-30" in sentence
    assert "Ad set l2 (meta, one signature is missing)" in sentence
