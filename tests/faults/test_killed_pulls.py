"""kill -9 at five points of a pull: the next one's tables equal an undisturbed pull's, the queue is empty."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from resources.control.ingestion import IngestionControl
from resources.control.store import open_control_store
from resources.sandbox.build import simulate_account
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.tiktok import TikTokServer
from resources.settings import PROJECT_ROOT
from tests.e2e.homes import SETTINGS, TODAY, TOMORROW, VOLATILE, Home, assert_same_tables
from tests.faults.killed_pull import POINTS, pull

pytestmark = pytest.mark.faults

ACCOUNT = "7194406226318590977"
TOKEN = "sandbox-token-of-tiktok"
# The pull that makes good begins 40 minutes after the one that died: today's spend is not asked for anew yet.
TIMES = {"started_at", "finished_at", "next_attempt_at"}


def nine(day: date, hours: float = 0.0) -> datetime:
    return datetime(day.year, day.month, day.day, 9, tzinfo=SETTINGS.timezone) + timedelta(hours=hours)


class Platform:
    """TikTok as the sandbox serves it, and homes that pull from it."""

    def __init__(self, folder: Path) -> None:
        self.now = nine(TODAY)
        served = ServedAccount(
            simulate_account("tiny", SETTINGS.seed, TODAY, further_days=3), lambda: self.now
        )
        self.server = TikTokServer(served, TOKEN)
        self.settings = folder / "aelp.yaml"
        written = yaml.safe_load((PROJECT_ROOT / "aelp.yaml").read_text())
        written["sources"] = {
            "tiktok": {"accounts": [ACCOUNT], "backfill_days": 45, "calls_per_hour": 100_000}
        }
        self.settings.write_text(yaml.safe_dump(written))

    def variables(self, home: Home, moment: datetime) -> dict[str, str]:
        return {
            "AELP_HOME": str(home.path),
            "AELP_CLOCK": moment.isoformat(),
            "AELP_SETTINGS": str(self.settings),
            "AELP_TIKTOK_ACCESS_TOKEN": TOKEN,
            "AELP_TIKTOK_ENDPOINT": self.server.url,
        }

    def pull(self, home: Home, moment: datetime) -> None:
        variables = self.variables(home, moment)
        with home.entered(TODAY, **variables):
            assert pull().success

    def kill(self, home: Home, moment: datetime, point: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.faults.killed_pull", point],
            cwd=PROJECT_ROOT,
            env={**os.environ, **self.variables(home, moment)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def control(home: Home) -> IngestionControl:
    return IngestionControl(open_control_store(f"sqlite:///{home.path}/control.sqlite"))


def pages(home: Home) -> list[Path]:
    folder = home.path / "work" / "pulls"
    return list(folder.iterdir()) if folder.exists() else []


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = Platform(tmp_path_factory.mktemp("platform"))
    with platform.server:
        yield platform


@pytest.fixture(scope="module")
def yesterday(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that pulled yesterday morning; since then the platform has a new day and restated others."""
    home = Home(tmp_path_factory.mktemp("yesterday"))
    platform.pull(home, nine(TODAY))
    platform.now = nine(TOMORROW)
    return home


@pytest.fixture(scope="module")
def undisturbed(platform: Platform, yesterday: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = yesterday.copy(tmp_path_factory.mktemp("undisturbed") / "home")
    platform.pull(home, nine(TOMORROW))
    return home


@pytest.mark.parametrize("point", POINTS)
def test_a_pull_killed_anywhere_is_made_good_by_the_next(point, platform, yesterday, undisturbed, tmp_path):
    home = yesterday.copy(tmp_path / "home")
    killed = platform.kill(home, nine(TOMORROW), point)
    assert killed.returncode == -signal.SIGKILL, killed.stdout[-2000:] + killed.stderr[-2000:]
    is_committed = point == "before_settle"
    begun = control(home).queue_sizes().get("tiktok", {})
    assert bool(begun) is (point != "after_plan"), "what was begun is noted"
    known = (yesterday, undisturbed)[is_committed]
    assert home.sql("select count(*) as n from ops.ingest_slices").equals(
        known.sql("select count(*) as n from ops.ingest_slices")
    ), "all or nothing"

    platform.pull(home, nine(TOMORROW, hours=2 / 3))
    assert_same_tables(undisturbed.tables(drop=VOLATILE | TIMES), home.tables(drop=VOLATILE | TIMES))
    assert control(home).queue_sizes() == {}

    # What the killed pull left is not touched while it might be another run's, and gone a day later.
    left = pages(home)
    assert len(left) == (point in {"amid_fetch", "before_publish", "amid_publish", "before_settle"})
    for folder in left:
        os.utime(folder, (time.time() - 90_000,) * 2)
    platform.pull(home, nine(TOMORROW, hours=6))
    assert pages(home) == []
