"""kill -9 between every two steps of a change: the next writer finishes it, in one call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from resources.control.records import Refused
from resources.control.writer import Outcome
from resources.settings import PROJECT_ROOT
from tests.faults.killed_writer import POINTS
from tests.resources.connectors.test_budget_writes import TOKEN
from tests.resources.platform_writers.loopback import SOON
from tests.resources.platform_writers.written_lever import Account, account

# Where a step is half written, or the platform and the store disagree, on the server too.
ON_BOTH = ("amid_noting_it", "before_the_call", "after_the_call", "amid_settling")
CASES = [("sqlite", point) for point in POINTS] + [("postgresql", point) for point in ON_BOTH]


@pytest.fixture(params=CASES, ids="-".join)
def killed_at(request, tmp_path) -> tuple[str, str]:
    """The control store's URL and the point."""
    kind, point = request.param
    if kind == "sqlite":
        return f"sqlite:///{tmp_path / 'control.sqlite'}", point
    return request.getfixturevalue("postgresql").new_database(), point


def die(here: Account, url: str, point: str) -> None:
    command = [sys.executable, "-m", "tests.faults.killed_writer", point, url, here.server.url]
    variables = os.environ | {"AELP_TIKTOK_ACCESS_TOKEN": TOKEN}
    died = subprocess.run(
        command, cwd=PROJECT_ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr


def once_the_dead_are_noticed(apply: Callable[[], list[Outcome]]) -> list[Outcome]:
    """A server gives the lock back when it reads the end of the dead writer's connection, a moment later."""
    for _ in range(100):
        with suppress(Refused):
            return apply()
        time.sleep(0.05)
    return apply()


def finish(here: Account) -> None:
    """A fresh writer, twice: what is done stays done."""
    for _ in range(2):
        outcomes = once_the_dead_are_noticed(here.writer().apply)
        assert [each.status for each in outcomes] in ([], ["applied"])
    assert here.governance.changes()[0]["status"] == "applied"


def test_a_killed_change_and_a_killed_rollback_are_finished_by_the_next_writer(killed_at, served, tmp_path):
    url, point = killed_at
    with account("tiktok", served, tmp_path, url=url) as here:
        before = here.shown()
        here.propose()
        die(here, url, point)
        finish(here)
        (change,) = here.governance.changes()
        assert here.shown()[0] > before[0]
        assert here.calls() == 1
        here.governance.roll_back(change["change_id"], "jo", "it did not pay", SOON)
        die(here, url, point)
        finish(here)
        assert here.shown() == before
        assert here.calls() == 2


@pytest.mark.parametrize("point", ["before_the_call", "after_the_call"])
def test_a_kill_switch_pulled_while_no_writer_ran_lets_no_call_out(point, served, tmp_path):
    url = f"sqlite:///{tmp_path / 'control.sqlite'}"
    with account("tiktok", served, tmp_path, url=url) as here:
        here.propose()
        die(here, url, point)
        here.governance.kill(is_on=True, person="eve", reason="spend explodes", now=SOON)
        outcome = here.write()
        if point == "before_the_call":
            assert (outcome.status, here.calls()) == ("sending", 0)
        else:
            assert (outcome.status, here.calls()) == ("applied", 1)
