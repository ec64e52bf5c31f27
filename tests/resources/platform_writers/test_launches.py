"""Approved launches on Meta's sandbox server: made paused, once each, wherever a writer dies, and removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from resources.control.governance import Governance
from resources.control.records import Refused
from resources.control.signing import canonical, content_hash
from resources.control.store import OUTBOX, open_control_store
from resources.control.writer import Writer
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import Fault, FaultKind
from resources.sandbox.servers.meta.created import CreatedObjects
from tests.resources.connectors.test_budget_writes import TOKEN
from tests.resources.control.proposing import NINE, governing, put_launches
from tests.resources.platform_writers.launched import (
    EDGES,
    LATER,
    Account,
    Paper,
    launching,
    paper_launch,
)
from tests.resources.platform_writers.loopback import SOON


@pytest.fixture(scope="module")
def account(simulated) -> ServedAccount:
    return ServedAccount(simulated, lambda: SOON)


@pytest.fixture(scope="module")
def one_server(account):
    with launching(account) as here:
        yield here


@pytest.fixture
def here(one_server, account):
    """The server with nothing made on it yet, and a control store of its own."""
    one_server.server.entities.created = CreatedObjects(account)
    fresh = replace(one_server, engine=open_control_store("sqlite:///:memory:"))
    yield fresh
    fresh.engine.dispose()


def by_hand(here: Account, path: str, **form: str) -> dict[str, Any]:
    """As a person does it in Ads Manager, where anything may be switched on."""
    reply = httpx.post(f"{here.server.url}/v26.0/{path}", data=form | {"access_token": TOKEN})
    assert reply.is_success, reply.text
    return reply.json()


@pytest.mark.parametrize("parent", [True, False], ids=["in_a_campaign", "in_a_campaign_of_its_own"])
def test_a_launch_is_made_paused_as_it_was_approved_and_removed_by_its_rollback(here, parent):
    launch = here.launch() if parent else here.launch(parent_campaign_id=None)
    here.approved(launch)
    done = here.write()
    assert (done.status, done.message) == ("applied", None)
    made = {edge: row for edge, (row,) in here.made().items()}
    assert set(made) == set(EDGES) - ({"campaigns"} if parent else set())
    adset, creative, ad = (made[edge] for edge in ("adsets", "adcreatives", "ads"))
    assert {row["status"] for edge, row in made.items() if edge != "adcreatives"} == {"PAUSED"}
    assert adset["daily_budget"] == "12001"
    assert adset["campaign_id"] == (launch.parent_campaign_id if parent else made["campaigns"]["id"])
    assert (ad["adset_id"], ad["creative"]["id"]) == (adset["id"], creative["id"])
    assert creative["object_story_spec"]["link_data"]["link"] == launch.link
    change = here.change()
    assert json.loads(change["before"])["budget"] == "0.00"
    assert {kind: note["id"] for kind, note in json.loads(change["made"]).items()} == {
        {"campaigns": "campaign", "adsets": "adset", "adcreatives": "creative", "ads": "ad"}[edge]: row["id"]
        for edge, row in made.items()
    }
    here.governance.roll_back(change["change_id"], "jo", "not now", SOON)
    assert here.write().status == "applied"
    assert here.made() == {}
    with pytest.raises(Refused, match="can no longer be decided on"):
        here.governance.approve(change["proposal_id"], "sam", "again", SOON)


def test_what_is_made_comes_back_as_a_paused_lever_and_the_creative_is_not_launched_again(here):
    here.approved(here.launch())
    assert here.write().status == "applied"
    tomorrow = NINE + timedelta(days=1)
    again = put_launches(here.governance, here.launch(launch_id="launch_c1_again"), at=tomorrow)
    assert "launched this creative already" in again.left_out[0]
    copy = here.made()["adcreatives"][0]["id"]
    of_the_copy = here.launch("copy", creative_id=copy)
    assert (
        "launched this creative already"
        in put_launches(here.governance, of_the_copy, at=tomorrow).left_out[0]
    )
    here.governance.roll_back(here.change()["change_id"], "jo", "not now", SOON)
    here.write()
    assert put_launches(here.governance, here.launch(launch_id="launch_c1_again"), at=tomorrow).new


# --- a writer that dies ------------------------------------------------------------------------------------


class Killed(BaseException):
    """As SIGKILL: nothing on the way out may run as if it were an answer."""


class Dying(Paper):
    """Paper at which a writer dies: before a call, after it, or after writing to the store, uncommitted."""

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__()
        self.left = 0
        self.only: tuple[str, ...] = ("write", "create", "send", "listed", "look")
        sa.event.listen(engine, "after_cursor_execute", self._wrote)

    def _wrote(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("UPDATE"):
            self._point("write")

    def _point(self, what: str) -> None:
        self.left -= what in self.only
        if what in self.only and self.left == 0:
            raise Killed

    def _around(self, what: str, call: Callable[[], Any]) -> Any:
        self._point(what)
        answer = call()
        self._point(what)
        return answer

    def create(self, request: Any) -> Any:
        return self._around("create", lambda: super(Dying, self).create(request))

    def send(self, request: Any) -> Any:
        return self._around("send", lambda: super(Dying, self).send(request))

    def listed(self, path: str) -> Any:
        return self._around("listed", lambda: super(Dying, self).listed(path))

    def look(self, *asked: Any) -> Any:
        return self._around("look", lambda: super(Dying, self).look(*asked))


@pytest.fixture
def mortal(tmp_path):
    # On disk: a connection that dies takes a store in memory with it.
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    yield Mortal(engine, Dying(engine))
    engine.dispose()


@dataclass
class Mortal:
    """A control store and a platform in memory, with writers that die."""

    engine: sa.Engine
    paper: Dying

    @property
    def governance(self) -> Governance:
        return governing(self.engine, mode="sandbox")

    def approve(self, name: str, **changes: Any) -> None:
        (proposal_id,) = put_launches(self.governance, paper_launch(name, **changes)).new
        self.governance.approve(proposal_id, "sam", "worth a try", NINE)

    def dies_at(self, point: int, at=SOON) -> bool:
        """Whether a writer met its death in this round."""
        self.paper.left = point
        try:
            self.write(at)
        except Killed:
            return True
        finally:
            self.paper.left = 0
        return False

    def write(self, at=LATER) -> list[str]:
        outcomes = Writer(self.engine, self.governance, lambda _: self.paper, lambda: at).apply()
        return [outcome.status for outcome in outcomes]

    def roll_back(self) -> None:
        newest = next(row for row in self.governance.changes() if row["kind"] == "apply")
        self.governance.roll_back(newest["change_id"], "jo", "not now", LATER)

    def made(self) -> dict[str, int]:
        return {edge: len(self.paper.living(edge)) for edge in EDGES}


def test_wherever_a_writer_dies_nothing_is_doubled_and_everything_is_removed(mortal):
    for point in range(1, 100):
        mortal.approve(f"c{point}", parent_campaign_id="77")
        died = mortal.dies_at(point)
        mortal.write()
        assert mortal.governance.changes()[0]["status"] == "applied"
        assert mortal.made() == dict.fromkeys(EDGES[1:], 1) | {"campaigns": 0}
        mortal.roll_back()
        died_removing = mortal.dies_at(point)
        mortal.write()
        assert mortal.governance.changes()[0]["status"] == "applied"
        assert mortal.made() == dict.fromkeys(EDGES, 0)
        if not died and not died_removing:
            break
    assert point > 20


def test_a_launch_that_is_taken_back_half_made_leaves_nothing_however_its_writer_died(mortal):
    mortal.paper.only = ("create",)
    for point in range(1, 10):  # before and after each of four objects, and not at all
        mortal.approve(f"c{point}")
        assert mortal.dies_at(point) == (point < 9)
        mortal.roll_back()
        mortal.write()
        assert mortal.made() == dict.fromkeys(EDGES, 0), point


@pytest.mark.parametrize("kind", EDGES)
def test_on_the_server_itself_an_object_whose_answer_is_lost_is_taken_over(here, kind, monkeypatch):
    here.approved(here.launch(parent_campaign_id=None))
    create = here.writer_of.create

    def dying(request: dict[str, Any]) -> str:
        entity_id = create(request)
        if request["path"].endswith(f"/{kind}"):
            raise Killed
        return entity_id

    monkeypatch.setattr(here.writer_of, "create", dying)
    with pytest.raises(Killed):
        here.write()
    monkeypatch.undo()
    assert here.write().status == "applied"
    assert {edge: len(rows) for edge, rows in here.made().items()} == dict.fromkeys(EDGES, 1)


# --- what else may happen -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "edge"),
    [
        (FaultKind.STALL, "campaigns"),
        (FaultKind.SERVER_ERROR, "adsets"),
        (FaultKind.TRUNCATED, "adcreatives"),
        (FaultKind.THROTTLE, "ads"),
    ],
)
def test_a_call_that_meets_a_fault_is_finished_by_a_later_round_and_made_once(account, kind, edge):
    nth = 2 if edge == "campaigns" else 1  # they are listed first
    path = f"/act_418802716650377/{edge}"
    with launching(account, Fault(kind, path, nth=nth), timeout_seconds=0.3) as here:
        here.approved(here.launch(parent_campaign_id=None))
        waits = here.write()
        assert waits.status == "sending"
        assert TOKEN not in waits.message
        at = SOON
        if kind in (FaultKind.STALL, FaultKind.SERVER_ERROR):  # nobody knows, and lists may lag
            soon = here.write()
            assert (soon.status, "Nobody knows" in soon.message) == ("sending", True)
            at = LATER
        assert here.write(at).status == "applied"
        assert {name: len(rows) for name, rows in here.made().items()} == dict.fromkeys(EDGES, 1)


def test_what_meta_refuses_ends_the_launch_names_what_was_made_and_is_removed_by_a_rollback(here):
    here.approved(here.launch(image_hash="beef"))
    outcome = here.write()
    assert outcome.status == "refused"
    assert "no image beef" in outcome.message
    assert f"Made so far, paused: adset {here.made()['adsets'][0]['id']}" in outcome.message
    here.governance.roll_back(here.change()["change_id"], "jo", "not now", SOON)
    assert here.write().status == "applied"
    assert here.made() == {}


def test_an_ad_set_that_a_person_made_by_hand_is_left_as_it_is(here):
    launch = here.launch()
    here.approved(launch)
    form = json.loads(here.change()["request"])["steps"][0]["form"]
    by_hand(here, f"act_{launch.account_id}/adsets", **form)
    outcome = here.write()
    assert (outcome.status, "made it by hand" in outcome.message) == ("conflict", True)
    assert set(here.made()) == {"adsets"}


@pytest.mark.parametrize(
    ("touch", "said"),
    [
        (lambda here, made: by_hand(here, made["adsets"][0]["id"], daily_budget="99900"), "999.00 paused"),
        (
            lambda here, made: by_hand(
                here,
                f"act_{made['ads'][0]['account_id']}/ads",
                name="mine",
                status="PAUSED",
                adset_id=made["adsets"][0]["id"],
                creative=json.dumps({"creative_id": made["adcreatives"][0]["id"]}),
            ),
            "Somebody added",
        ),
        (
            lambda here, made: here.server.entities.created._made[made["ads"][0]["id"]][1].update(
                status="ACTIVE"
            ),
            "active for its ad",
        ),
    ],
    ids=["budget", "another_ad", "switched_on"],
)
def test_a_rollback_leaves_what_a_person_took_over(here, touch, said):
    here.approved(here.launch())
    here.write()
    before = here.made()
    touch(here, before)
    here.governance.roll_back(here.change()["change_id"], "jo", "not now", SOON)
    outcome = here.write()
    assert (outcome.status, said in outcome.message) == ("conflict", True), outcome.message
    assert len(here.made()["adsets"]) == len(before["adsets"]) == 1


def test_the_kill_switch_between_two_objects_lets_no_further_call_out(here, monkeypatch):
    here.approved(here.launch())
    inner = here.writer_of
    create = inner.create

    def killing(request: dict[str, Any]) -> str:
        here.governance.kill(is_on=True, person="eve", reason="spend explodes", now=SOON)
        return create(request)

    monkeypatch.setattr(inner, "create", killing)
    outcome = here.write()
    assert (outcome.status, "eve stopped everything" in outcome.message) == ("sending", True)
    assert {edge: len(rows) for edge, rows in here.made().items()} == {"adsets": 1}
    here.governance.kill(is_on=False, person="sam", reason="fine again", now=SOON)
    monkeypatch.undo()
    assert here.write().status == "applied"
    assert {edge: len(rows) for edge, rows in here.made().items()} == dict.fromkeys(EDGES[1:], 1)


def test_an_approval_that_runs_out_before_it_is_sent_makes_nothing(here):
    here.approved(here.launch())
    outcome = here.write(NINE + timedelta(hours=25))
    assert (outcome.status, here.made()) == ("blocked", {})


def test_a_forged_budget_is_not_sent(here):
    here.approved(here.launch())
    forged = json.loads(here.change()["request"])
    forged["steps"][0]["form"]["daily_budget"] = "9990000"
    with here.engine.begin() as connection:
        connection.execute(
            sa.update(OUTBOX).values(request=canonical(forged), request_hash=content_hash(forged))
        )
    outcome = here.write()
    assert (outcome.status, "not the one that was proposed" in outcome.message) == ("blocked", True)
    assert here.made() == {}
