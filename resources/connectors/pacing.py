"""When the next call may be made: budgets, what the platform says, and backing off.

Here: waiting before calls and after errors, with clock, sleep and chance injected. Not here: which error is
which (`errors`, each connector), what is asked again (`fetching`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from resources.clock import Clock
from resources.connectors.errors import ErrorClass, PlatformError
from resources.control.ingestion import IngestionControl

LONGEST_WAIT = 3600.0
_FIRST_WAIT = 2.0
_MOST_TRIES = 6


@dataclass
class Pace:
    """The pace of calls to one account.

    Attributes:
        control: budgets shared with every other run that calls this account.
        calls_per_hour: what the account may be called.
        clock: the run's moment, which the queue goes by; it may stand still.
        pacing_clock: goes on while `sleep` sleeps; budgets go by it.
        patience_seconds: the longest single wait a run sits out; for more, the slices are put off.
    """

    source: str
    account_id: str
    control: IngestionControl
    calls_per_hour: float
    clock: Clock
    pacing_clock: Clock
    sleep: Callable[[float], None]
    rng: np.random.Generator
    patience_seconds: float = 120.0
    calls: int = 0
    waited_seconds: float = 0.0

    def before_call(self) -> None:
        """Wait for this call's turn.

        Raises:
            PlatformError: THROTTLE, when the turn is further away than a run's patience.
        """
        self.calls += 1
        now = self.pacing_clock.now()
        wait = self.control.take_call(self.source, self.account_id, self.calls_per_hour, now)
        if wait > self.patience_seconds:
            raise PlatformError(ErrorClass.THROTTLE, "The account's budget of calls is used up.", wait)
        self._wait(wait)

    def advised(self, seconds: float) -> None:
        """The platform's usage headers ask to slow down: hold every caller of the account."""
        if seconds > 0:
            now = self.pacing_clock.now()
            self.control.block(self.source, self.account_id, min(seconds, LONGEST_WAIT), now)

    def after_error(self, error: PlatformError, tries: int) -> None:
        """Wait before trying again, after `tries` failed tries of one call.

        Raises:
            PlatformError: `error` itself, where trying again is not for this run.
        """
        match error.error_class:
            case ErrorClass.THROTTLE | ErrorClass.TRANSIENT if tries < _MOST_TRIES:
                wait = self.backoff(tries) if error.wait_seconds is None else error.wait_seconds
            case ErrorClass.SHRINK if tries < 2:  # a hiccup often enough; then ask for less
                wait = self.backoff(tries)
            case _:
                raise error
        wait = min(wait, LONGEST_WAIT)
        if error.error_class is ErrorClass.THROTTLE:
            self.advised(wait)
        if wait > self.patience_seconds:
            raise error
        self._wait(wait)

    def backoff(self, tries: int) -> float:
        """Seconds to wait after so many tries: exponential, jittered over its upper half, an hour at most."""
        longest: float = min(LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(tries - 1, 20))
        return longest * (0.5 + 0.5 * float(self.rng.random()))

    def next_attempt(self, error: PlatformError, attempts: int) -> datetime | None:
        """When a slice that failed `attempts` times over is due again; None: when a person has seen to it.

        THROTTLE and TRANSIENT within the hour, DEFER when the platform's window opens, the rest in a day;
        AUTH where it names a wait, which is where it stops no source.
        """
        now = self.clock.now()
        match error.error_class:
            case ErrorClass.AUTH:
                return None if error.wait_seconds is None else now + timedelta(seconds=error.wait_seconds)
            case ErrorClass.DEFER:
                return now + timedelta(seconds=error.wait_seconds or LONGEST_WAIT)
            case ErrorClass.THROTTLE | ErrorClass.TRANSIENT:
                # A run backs off in seconds, the queue in minutes: a source that stays down is asked hourly.
                wait = self.backoff(attempts + 5) if error.wait_seconds is None else error.wait_seconds
                return now + timedelta(seconds=min(wait, LONGEST_WAIT))
            case _:
                return now + timedelta(days=1)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self.waited_seconds += seconds
            self.sleep(seconds)
