"""The tiny simulated account behind sandbox servers, as it was known on one morning."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from resources.sandbox.build import Simulated, simulate_account
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount

TODAY = date(2026, 6, 30)


@pytest.fixture(scope="session")
def simulated() -> Simulated:
    """The tiny business, with two weeks simulated beyond TODAY."""
    return simulate_account("tiny", 20261120, TODAY, further_days=14)


@pytest.fixture
def served(simulated: Simulated) -> ServedAccount:
    """That business at 8:00 of TODAY, account-local; tests may move `now`."""
    morning = datetime(2026, 6, 30, 8, tzinfo=ZoneInfo(ACCOUNT_ZONE))
    return ServedAccount(simulated, lambda: morning)
