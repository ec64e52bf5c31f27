"""kill -9 of everything at once amid a run of the daemon: nothing is lost, nothing done twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.outages import Outages

pytestmark = pytest.mark.faults


@pytest.fixture
def outages(tmp_path: Path) -> Iterator[Outages]:
    outages = Outages(tmp_path / "home")
    yield outages
    outages.power_cut()


def test_after_a_power_cut_the_lost_run_is_failed_and_tried_again(outages):
    outages.want("a")
    outages.daemon()
    outages.until((outages.home / "begun").exists, "the run to begin")
    outages.power_cut()
    assert outages.statuses() == {"STARTED": 1}
    (outages.home / "go").touch()
    outages.daemon()
    outages.until(lambda: outages.statuses() == {"FAILURE": 1, "SUCCESS": 1}, "the second try")
    assert len(outages.rows()) == 1
    outages.until(lambda: not outages.slots_held(), "every slot to be given back")
