"""One account from credentials to pages: what a run does for it, whatever the source.

Here: opening, planning and fetching in order, and stopping a source whose credentials are refused. Not here:
the steps themselves, or the warehouse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from resources.clock import Clock
from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.fetching import LONGEST_FETCH, AccountFetcher, FetchedAccount
from resources.connectors.pacing import Pace
from resources.connectors.planning import Span, due_pulls, overtaken
from resources.connectors.scrubbing import Scrubber
from resources.connectors.source import API, Account, Pull, Source
from resources.control.ingestion import IngestionControl, QueueKey, Waiting
from resources.landing.accounts import spelt
from resources.landing.ledger import Ledger
from resources.settings.values import is_timezone
from resources.work_files import clear_left_over

OpenSource = Callable[[], Source]


@dataclass(frozen=True)
class Skipped:
    """Nothing was asked, and why: no credentials, refused credentials, nothing due."""

    reason: str


@dataclass(frozen=True)
class Puller:
    """Pulls accounts of one source.

    Attributes:
        open_source: raises MissingCredentials where there are none.
        credential_hash: of the credentials as they are now.
        folder: where pages go, a folder per pull.
        history_start: no earlier day is asked for.
    """

    source: str
    open_source: OpenSource
    credential_hash: Callable[[], str]
    control: IngestionControl
    clock: Clock
    pacing_clock: Clock
    sleep: Callable[[float], None]
    rng: np.random.Generator
    folder: Path
    calls_per_hour: float
    backfill_days: int
    history_start: date = date.min

    def pace(self, account_id: str) -> Pace:
        return Pace(
            self.source,
            spelt(self.source, account_id),
            self.control,
            self.calls_per_hour,
            self.clock,
            self.pacing_clock,
            self.sleep,
            self.rng,
        )

    def pull(
        self, account_id: str, ledger: Ledger, moment: datetime, span: Span | None = None
    ) -> FetchedAccount | Skipped:
        """Everything due of one account.

        Args:
            account_id: in any spelling its platform has for it.
            ledger: as it stands before the pull.
            moment: when the pull begins; its batches are ordered by it.
            span: exactly these days instead of what is due.
        """
        # Before they are read: a key replaced in between must not be stopped for the old one's sake.
        credentials = self.credential_hash()
        try:
            source = self.open_source()
        except MissingCredentials as missing:
            return Skipped(str(missing))
        account_id = spelt(self.source, account_id)
        stop = self.control.stopped(self.source, credentials)
        if stop is not None:
            return Skipped(
                f"stopped since {stop.stopped_at:%Y-%m-%d %H:%M} UTC: {stop.reason} Renew the credentials; "
                f"`aelp connect {self.source}` checks them and starts the source again."
            )
        self.control.forget_killed(self.source, account_id)
        zone = self.control.zone(self.source, account_id)
        if zone is not None:
            known = Account(account_id, account_id, "XXX", zone)
            if not self._due(source, known, ledger, moment, span):
                return Skipped("nothing is due")
        try:
            account = self._account(source, account_id)
        except PlatformError as error:
            reason = Scrubber(source.secrets)(str(error))
            if error.error_class is ErrorClass.AUTH:
                self.control.stop_source(self.source, credentials, reason, self.clock.now())
            else:
                self._note_unreadable(source, account_id, error, reason)
            return Skipped(f"{error.error_class}: {reason}")
        self.control.note_zone(self.source, account_id, account.timezone)
        pulls = self._due(source, account, ledger, moment, span)
        if not pulls:
            return Skipped("nothing is due")
        keys: list[QueueKey] = [
            (self.source, pull.report.stream.name, pull.report.breakdown_set, account_id, day)
            for pull in pulls
            for day in pull.days
        ]
        self.control.start(keys, self.clock.now())
        clear_left_over(self.folder)  # of killed pulls; a pull that ends removes its own
        folder = self.folder / f"{moment:%Y%m%dT%H%M%S%f}-{self.source}-{account_id}"
        # Days that a person asked for are not due: left out once, nobody would ask for them again.
        longest = LONGEST_FETCH if span is None else None
        fetched = AccountFetcher(source, account, self.pace(account_id), folder, moment).fetch(pulls, longest)
        fetched.was_asked_for = span is not None
        # What another place refuses waits in the queue: the source itself can still be read.
        refused = [f for f in fetched.failures if f.error_class is ErrorClass.AUTH and f.report.place == API]
        if refused:
            self.control.stop_source(self.source, credentials, refused[0].message, self.clock.now())
        return fetched

    def _note_unreadable(self, source: Source, account_id: str, error: PlatformError, reason: str) -> None:
        """Queue yesterday of every report: an account nobody can read is not one where nothing is due.

        Never for longer than it waits already, nor beyond the next planned pull where asking again is no
        use: that one asks for the account all the same, and once it can be read yesterday is read with it.
        """
        now = self.clock.now()
        yesterday = now.astimezone(UTC).date() - timedelta(days=1)
        waiting = self.control.waiting(self.source, account_id)
        attempts = 1 + max((why.attempts for why in waiting.values()), default=0)
        is_permanent = error.error_class is ErrorClass.PERMANENT
        until = None if is_permanent else self.pace(account_id).next_attempt(error, attempts)
        why = Waiting(attempts, error.error_class, reason, until)
        still = {key for key, was in waiting.items() if was.next_attempt_at and was.next_attempt_at > now}
        keys: list[QueueKey] = [
            (self.source, report.stream.name, report.breakdown_set, account_id, yesterday)
            for report in source.reports
            if not report.is_snapshot
        ]
        self.control.settle([], [(key, why) for key in keys if key not in still], now)

    def _due(
        self, source: Source, account: Account, ledger: Ledger, moment: datetime, span: Span | None
    ) -> list[Pull]:
        today = moment.astimezone(ZoneInfo(account.timezone)).date()
        waiting = self.control.waiting(self.source, account.account_id)
        if over := overtaken(source.reports, waiting, today, self.history_start):
            self.control.settle(over, [], self.clock.now())
        return due_pulls(
            self.source,
            account,
            source.reports,
            ledger,
            waiting,
            today,
            moment,
            backfill_days=self.backfill_days,
            span=span,
            first_day=self.history_start,
        )

    def _account(self, source: Source, account_id: str) -> Account:
        pace, tries = self.pace(account_id), 0
        while True:
            tries += 1
            try:
                pace.before_call()
                readable = {account.account_id: account for account in source.accounts()}
                break
            except PlatformError as error:
                pace.after_error(error, tries)
        if account_id not in readable:
            raise PlatformError(
                ErrorClass.PERMANENT,
                f"these credentials cannot read account {account_id}; they can read "
                f"{', '.join(sorted(readable)) or 'none'}. Grant access, or correct `sources.{self.source}."
                "accounts` in the settings.",
            )
        account = readable[account_id]
        if not is_timezone(account.timezone):
            raise PlatformError(
                ErrorClass.PERMANENT,
                f"account {account_id} keeps its days in {account.timezone!r}, a time zone unknown here.",
            )
        return account
