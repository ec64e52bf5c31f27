"""The job that sends: only what its request allows, in the settings' mode, and off by default."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from aelp_assets import governance
from aelp_assets.sending import send_approved
from resources.control.store import control_url, open_control_store
from resources.settings import PROJECT_ROOT, Approver, Settings, load_settings
from sensors.sending import approved_changes
from tests.resources.control.paper_platform import PaperPlatform, running
from tests.resources.control.proposing import KEYS, NINE, TEN, governing, lever, proposed

SOON = TEN + timedelta(minutes=5)
CLOCK = SimpleNamespace(now=lambda: SOON)


def settings_in(mode: str) -> Settings:
    known = load_settings(PROJECT_ROOT / "aelp.yaml")
    approvers = (Approver(name="jo", daily_limit=Decimal(30)), Approver(name="sam"))
    decided = known.governance.model_copy(update={"mode": mode, "approvers": approvers})
    return known.model_copy(update={"governance": decided})


class Sending:
    """A home with two approved raises, and a platform in memory that takes them."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        self.platform = PaperPlatform(id_l1=running("500"), id_l2=running("500"))
        engine = open_control_store(control_url(environment.home, {}))
        self.governance = governing(engine, mode="sandbox")
        self.proposals = proposed(self.governance, lever("l1"), lever("l2"))
        for proposal in self.proposals:
            self.governance.approve(proposal, "sam", "it pays", TEN)

    def run(self, mode: str = "sandbox", **request: Any) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            return send_approved.execute_in_process(
                instance=instance,
                run_config={"ops": {"send": {"config": {"mode": "sandbox", **request}}}},
                resources={
                    "settings": settings_in(mode),
                    "environment": self.environment,
                    "sources": SimpleNamespace(clock=CLOCK),
                },
                raise_on_error=False,
            )

    def said(self, result: dg.ExecuteInProcessResult) -> str:
        (failed,) = [event for event in result.all_events if event.is_step_failure]
        return str(failed.step_failure_data.error)

    def statuses(self) -> list[str]:
        return sorted(row["status"] for row in self.governance.changes())


@pytest.fixture
def sending(tmp_environment, monkeypatch) -> Sending:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    tmp_environment.home.mkdir(exist_ok=True)
    made = Sending(tmp_environment)

    @contextmanager
    def writers(*_: Any, **__: Any) -> Iterator[PaperPlatform]:
        yield made.platform

    monkeypatch.setattr(governance, "PlatformWriters", writers)
    return made


def test_by_default_a_run_only_tells_what_it_would_send(sending):
    result = sending.run()
    assert result.success
    assert (sending.platform.reads, sending.platform.writes) == (0, [])
    assert sending.statuses() == ["prepared", "prepared"]
    (told,) = [event.step_output_data.metadata["changes"].value for event in result.all_events
               if event.is_successful_output]  # fmt: skip
    assert told.count("| prepared | – |") == 2
    assert "| 500.00 | 525.00 |" in told


def test_a_dry_run_names_what_would_hold_a_change_back(sending):
    sending.governance.kill(is_on=True, person="jo", reason="spend explodes", now=SOON)
    result = sending.run()
    shown = [event for event in result.all_events if event.is_successful_output]
    assert shown[0].step_output_data.metadata["changes"].value.count("jo stopped everything") == 2


def test_a_run_sends_at_most_what_it_is_allowed_and_the_rest_next_time(sending):
    assert sending.run(dry_run=False, max_changes=1).success
    assert sending.statuses() == ["applied", "prepared"]
    assert sending.run(dry_run=False).success
    assert sending.statuses() == ["applied", "applied"]
    assert len(sending.platform.writes) == 2


def test_only_the_proposals_asked_for_are_sent(sending):
    asked = sending.proposals[1]
    assert sending.run(dry_run=False, proposal_ids=[asked[:10]]).success
    applied = [row["proposal_id"] for row in sending.governance.changes() if row["status"] == "applied"]
    assert applied == [asked]


def test_a_blank_proposal_id_asks_for_nothing(sending):
    result = sending.run(dry_run=False, proposal_ids=[""])
    assert "An empty proposal id" in sending.said(result)
    assert sending.platform.reads == 0


def test_a_later_change_of_a_lever_waits_for_an_earlier_one_that_was_not_asked_for(sending):
    tomorrow = NINE + timedelta(days=1)
    (later,) = proposed(sending.governance, lever("l1"), at=tomorrow)
    sending.governance.approve(later, "sam", "it still pays", tomorrow)
    result = sending.run(dry_run=False, proposal_ids=[later])
    assert "before it was not asked for" in sending.said(result)
    assert sending.platform.reads == 0


@pytest.mark.parametrize("mode", ["shadow", "live"])
def test_a_request_for_another_mode_than_the_settings_is_refused(sending, mode):
    result = sending.run(mode, dry_run=False)
    assert not result.success
    assert f"This run is for mode 'sandbox', the settings say '{mode}'" in sending.said(result)
    assert sending.platform.reads == 0


def test_a_change_that_does_not_take_place_fails_the_run(sending):
    sending.platform.values["id-l1"] = running("777")
    result = sending.run(dry_run=False)
    assert not result.success
    assert "1 of 2 changes did not take place" in sending.said(result)
    assert "somebody else changed it" in sending.said(result)
    assert sending.statuses() == ["applied", "conflict"]


def tick(sending: Sending, mode: str = "sandbox") -> dg.SensorResult:
    with dg.DagsterInstance.ephemeral() as instance:
        given = {"environment": sending.environment, "settings": settings_in(mode), "clock": CLOCK}
        return approved_changes(dg.build_sensor_context(instance=instance, resources=given))


def test_the_sensor_is_off_by_default_and_asks_once_per_state_and_hour(sending):
    assert approved_changes.default_status is dg.DefaultSensorStatus.STOPPED
    ((first,), (again,)) = tick(sending).run_requests, tick(sending).run_requests
    assert first.run_key == again.run_key
    assert first.run_config["ops"]["send"]["config"] == {"mode": "sandbox", "dry_run": False}
    sending.governance.reject(proposed(sending.governance, lever("l3"))[0], "jo", "no", TEN)
    assert tick(sending).run_requests[0].run_key != first.run_key


def test_the_sensor_asks_for_nothing_in_shadow_while_killed_or_when_all_is_sent(sending):
    assert "shadow" in tick(sending, "shadow").skip_reason.skip_message
    sending.governance.kill(is_on=True, person="jo", reason="spend explodes", now=NINE)
    assert "jo stopped everything" in tick(sending).skip_reason.skip_message
    sending.governance.kill(is_on=False, person="jo", reason="over", now=NINE)
    assert sending.run(dry_run=False).success
    assert tick(sending).skip_reason.skip_message == "nothing is waiting to be sent"
