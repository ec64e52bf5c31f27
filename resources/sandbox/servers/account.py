"""What the sandbox servers serve: an account as it is known at a moment.

Here: what a server may ask of an account (`Served`), and a simulated business that answers it. Not here: any
platform's shape, accounts replayed from public exports (`resources.sandbox.replay`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from resources.sandbox import copywriting
from resources.sandbox.backend_frames import creatives_frame, levers_frame
from resources.sandbox.build import Simulated
from resources.sandbox.catalogue import META, PLATFORMS
from resources.sandbox.frames import Reports, Window
from resources.sandbox.laws import IntArray

ACCOUNT_ZONE = "America/New_York"

Report = Callable[[Reports, Window], pl.DataFrame]
"""Names a report, such as `Reports.meta`, and with it the columns of its rows; the first is the day."""


@dataclass(frozen=True)
class BudgetEdit:
    """A daily budget somebody changed; dollars."""

    moment: datetime
    level: str
    entity_id: str
    entity_name: str
    old: float
    new: float


class Served(Protocol):
    """An account behind a server, with everything known of it last night."""

    def now(self) -> datetime:
        """The server's present moment, with its zone. Days after yesterday (account-local) are unknown."""
        ...

    @property
    def today(self) -> date: ...

    @property
    def start(self) -> date:
        """The first day it has numbers of."""
        ...

    @property
    def known(self) -> date:
        """The last day it has numbers of, yesterday at the latest."""
        ...

    def account_name(self, platform: int) -> str: ...

    def rows(self, report: Report, first: date, last: date) -> pl.DataFrame:
        """Rows of a report for these days, as known last night; perhaps none."""
        ...

    def rows_today(self, report: Report) -> pl.DataFrame:
        """Today's rows as they will stand tonight; perhaps none."""
        ...

    def ads(self, platform: int) -> pl.DataFrame:
        """A row per ad of everything launched: ids and names of `Reports.labels`, and lever_id, format,
        channel (SEARCH or DISPLAY), first_day and last_day (exclusive; null: still running)."""
        ...

    def levers(self, platform: int, first: date, last: date) -> pl.DataFrame:
        """What carries a budget at the close of each of these days, in the columns of `levers_frame`."""
        ...

    def creatives(self, platform: int) -> pl.DataFrame:
        """Creatives shown so far, in the columns of `creatives_frame`."""
        ...

    def images(self, platform: int) -> Mapping[str, bytes]:
        """Images of its creatives by the platform's own hash of them."""
        ...

    def budget_edits(self, platform: int) -> Sequence[BudgetEdit]: ...

    def take_write(self, entity_id: str, *, budget: Decimal | None, runs: bool | None) -> None:
        """A budget (dollars a day) or a switch that a server accepted, of an ad too; None: not written."""
        ...


@dataclass
class ServedAccount:
    """A simulated business behind the servers.

    Attributes:
        simulated: the business and everything that happened in it.
        now: the servers' present moment, with its zone.
    """

    simulated: Simulated
    now: Callable[[], datetime]

    @property
    def today(self) -> date:
        return account_day(self.now())

    @property
    def start(self) -> date:
        return self.simulated.business.start

    @property
    def known(self) -> date:
        return self.simulated.business.date_of(self._known)

    @property
    def _known(self) -> int:
        return min(self.simulated.business.day_of(self.today), self.simulated.ledger.days) - 1

    @cached_property
    def reports(self) -> Reports:
        return Reports(self.simulated.business, self.simulated.ledger)

    def account_name(self, platform: int) -> str:
        return PLATFORMS[platform].account_name

    def window(self, first: date, last: date) -> Window | None:
        """The window of these days as known last night; None where nothing of it has happened."""
        business = self.simulated.business
        known = business.day_of(self.today) - 1
        earliest, latest = max(0, business.day_of(first)), min(business.day_of(last), known)
        latest = min(latest, self.simulated.ledger.days - 1)
        return Window(earliest, latest, known) if earliest <= latest else None

    def rows(self, report: Report, first: date, last: date) -> pl.DataFrame:
        return self._report(report, self.window(first, last))

    def rows_today(self, report: Report) -> pl.DataFrame:
        today = self.simulated.business.day_of(self.today)
        happened = 0 <= today < self.simulated.ledger.days
        return self._report(report, Window(today, today, today) if happened else None)

    def _report(self, report: Report, window: Window | None) -> pl.DataFrame:
        if window is None:
            return report(self.reports, Window(0, 0, 0)).clear()
        return report(self.reports, window)

    def ads(self, platform: int) -> pl.DataFrame:
        business, ads = self.simulated.business, self.simulated.business.ads
        launched = self.levers(platform, self.known, self.known)["lever_id"]
        return self.reports.labels.with_columns(
            lever_id=pl.Series(business.levers.id).gather(business.adsets.lever[ads.adset]),
            format=pl.Series(copywriting.FORMATS).gather(business.creatives.format[ads.creative]),
            channel=pl.when(pl.col("campaign_name").str.contains("Display"))
            .then(pl.lit("DISPLAY"))
            .otherwise(pl.lit("SEARCH")),
            first_day=self._dates(ads.first_day),
            last_day=self._dates(ads.last_day),
        ).filter(
            pl.Series(self.reports.ad_platform == platform), pl.col("lever_id").is_in(launched.implode())
        )

    def levers(self, platform: int, first: date, last: date) -> pl.DataFrame:
        business, known = self.simulated.business, self._known
        window = Window(max(0, business.day_of(first)), min(business.day_of(last), known), known)
        frame = levers_frame(business, self.simulated.ledger, window)
        return frame.filter(pl.col("source") == PLATFORMS[platform].name)

    def creatives(self, platform: int) -> pl.DataFrame:
        # Only Meta's creatives name their image.
        hashes = self._image_hashes if platform == META else {}
        window = Window(0, self._known, self._known)
        frame = creatives_frame(self.simulated.business, window, hashes, "images")
        return frame.filter(pl.col("source") == PLATFORMS[platform].name)

    def images(self, platform: int) -> Mapping[str, bytes]:
        return self._images if platform == META else {}

    @cached_property
    def _images(self) -> dict[str, bytes]:
        return {self._image_hashes[index]: content for index, content in self._rendered.items()}

    @cached_property
    def _image_hashes(self) -> dict[int, str]:
        return {
            index: hashlib.md5(content, usedforsecurity=False).hexdigest()
            for index, content in self._rendered.items()
        }

    @cached_property
    def _rendered(self) -> dict[int, bytes]:
        business = self.simulated.business
        rendered = range(len(business.creatives)) if business.scale.render_images else range(0)
        return {index: copywriting.render(business.creatives, index) for index in rendered}

    def budget_edits(self, platform: int) -> Sequence[BudgetEdit]:
        business, states = self.simulated.business, self.simulated.ledger.levers
        levers, edits = business.levers, list[BudgetEdit]()
        for lever in np.flatnonzero(levers.platform == platform):
            second = 9 * 3600 + 60 * ((int(lever) * 37) % 480)
            for day in np.unique(states.last_edit[: self._known + 1, lever]):
                budgets = states.budget[:, lever]
                old, new = (float(budgets[max(0, int(day) - back)]) for back in (1, 0))
                edits.append(
                    BudgetEdit(
                        moment_of(business.date_of(day), second),
                        levers.level[lever],
                        levers.entity_id[lever],
                        levers.entity_name[lever],
                        old,
                        new,
                    )
                )
        return edits

    def take_write(self, entity_id: str, *, budget: Decimal | None, runs: bool | None) -> None:
        """Nothing: this history is over. A `LivingAccount` goes on at what was written."""

    def _dates(self, days: IntArray) -> pl.Series:
        return pl.Series(np.datetime64(self.start, "D") + days.astype("timedelta64[D]"))


def account_day(moment: datetime) -> date:
    """The account's day at a moment."""
    return moment.astimezone(ZoneInfo(ACCOUNT_ZONE)).date()


def moment_of(day: date, second: int) -> datetime:
    """So many seconds into an account-local day."""
    return (datetime.combine(day, time()) + timedelta(seconds=second)).replace(tzinfo=ZoneInfo(ACCOUNT_ZONE))
