"""The control store under several processes at once, and what it keeps over restarts."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from resources.control.ingestion import IngestionControl, Waiting
from resources.control.store import open_control_store
from resources.settings import PROJECT_ROOT

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
KEY = ("meta", "meta_ads_insights", "none", "1", date(2026, 6, 29))

TAKE_CALLS = """
import sys
from datetime import UTC, datetime
from resources.control.ingestion import IngestionControl
from resources.control.store import open_control_store
control = IngestionControl(open_control_store(sys.argv[1]))
moment = datetime(2026, 6, 30, 12, tzinfo=UTC)
print(sum(control.take_call("meta", "1", 1000.0, moment) == 0 for _ in range(80)))
"""


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/control.sqlite"


def test_processes_share_one_budget_and_none_spends_more_than_its_part(url):
    open_control_store(url)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKE_CALLS, url], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    free = sum(int(worker.communicate(timeout=60)[0]) for worker in workers)
    assert free == 100, "160 calls at one moment, of which a tenth of an hour's 1,000 may go at once"


def test_a_waiting_slice_is_there_after_a_restart_until_it_is_settled(url):
    why = Waiting(3, "THROTTLE", "slow down", NOW + timedelta(minutes=5))
    IngestionControl(open_control_store(url)).settle([], [(KEY, why)], NOW)
    again = IngestionControl(open_control_store(url))
    assert again.waiting("meta", "1") == {KEY: why}
    assert again.waiting("meta", "2") == {}
    again.settle([KEY], [], NOW)
    assert again.waiting("meta", "1") == {}


def test_starting_a_slice_again_keeps_what_is_known_of_its_failures(url):
    control = IngestionControl(open_control_store(url))
    why = Waiting(2, "TRANSIENT", "502", None)
    control.settle([], [(KEY, why)], NOW)
    control.start([KEY], NOW)
    assert control.queue_sizes() == {"meta": {"running": 1}}
    assert control.waiting("meta", "1") == {KEY: why}


def test_a_block_is_never_shortened(url):
    control = IngestionControl(open_control_store(url))
    control.block("meta", "1", 600, NOW)
    control.block("meta", "1", 60, NOW)
    assert control.take_call("meta", "1", 1000.0, NOW) == pytest.approx(600)
    assert control.take_call("meta", "2", 1000.0, NOW) == 0


def test_a_budget_refills_steadily_and_only_so_far(url):
    control = IngestionControl(open_control_store(url))
    assert [control.take_call("meta", "1", 20.0, NOW) > 0 for _ in range(3)] == [False, False, True]
    later = NOW + timedelta(hours=5)
    assert [control.take_call("meta", "1", 20.0, later) > 0 for _ in range(3)] == [False, False, True]
