"""What the sandbox servers serve: one simulated business as it was known at a moment.

Here: turning days and the present into windows of the simulated reports, and into last night's levers. Not
here: any platform's shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from resources.sandbox.backend_frames import levers_frame
from resources.sandbox.build import Simulated
from resources.sandbox.frames import Reports, Window

ACCOUNT_ZONE = "America/New_York"


@dataclass
class ServedAccount:
    """A simulated business behind the servers.

    Attributes:
        simulated: the business and everything that happened in it.
        now: the servers' present moment, with its zone. Days after yesterday (account-local) are unknown.
    """

    simulated: Simulated
    now: Callable[[], datetime]
    _levers: dict[int, list[dict[str, Any]]] = field(default_factory=dict, init=False, repr=False)

    @property
    def today(self) -> date:
        return self.now().astimezone(ZoneInfo(ACCOUNT_ZONE)).date()

    @cached_property
    def reports(self) -> Reports:
        return Reports(self.simulated.business, self.simulated.ledger)

    def window(self, first: date, last: date) -> Window | None:
        """The window of these days as known last night; None where nothing of it has happened."""
        business = self.simulated.business
        known = business.day_of(self.today) - 1
        earliest, latest = max(0, business.day_of(first)), min(business.day_of(last), known)
        latest = min(latest, self.simulated.ledger.days - 1)
        return Window(earliest, latest, known) if earliest <= latest else None

    def rows(
        self, report: Callable[[Reports, Window], pl.DataFrame], first: date, last: date
    ) -> pl.DataFrame:
        """Rows of a report (such as `Reports.tiktok`) for these days, as known last night; perhaps none."""
        window = self.window(first, last)
        if window is None:
            return report(self.reports, Window(0, 0, 0)).clear()
        return report(self.reports, window)

    def levers(self, source: str) -> list[dict[str, Any]]:
        """A platform's budget levers as they stood at the end of yesterday; not to be changed."""
        business, ledger = self.simulated.business, self.simulated.ledger
        known = min(business.day_of(self.today) - 1, ledger.days - 1)
        if known not in self._levers:
            self._levers = {known: levers_frame(business, ledger, Window(known, known, known)).to_dicts()}
        return [lever for lever in self._levers[known] if lever["source"] == source]
