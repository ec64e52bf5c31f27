"""Fault scripts: which call to a sandbox server goes wrong, how, and how often.

Here: the script and the order it is played in. Not here: what a fault looks like on a platform (each server
plays the kinds it knows, in its platform's own shape).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class FaultKind(StrEnum):
    """What a server can do wrong."""

    THROTTLE = "throttle"  # refused, with the wait the platform would name
    DAILY_QUOTA = "daily_quota"  # refused until the next quota window
    TOO_MUCH = "too_much"  # "reduce the amount of data you are asking for"
    SERVER_ERROR = "server_error"  # 500 in the platform's own shape
    HTML_ERROR = "html_error"  # 502 with an HTML body
    STALL = "stall"  # no answer until the client gives up
    TRUNCATED = "truncated"  # the body ends amid a row
    EMPTY_MIDDLE = "empty_middle"  # an empty page that has a next one
    DUPLICATE_PAGE = "duplicate_page"  # a page served twice
    CURSOR_LOOP = "cursor_loop"  # the next cursor points back
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - a kind of fault
    JOB_FAILED = "job_failed"  # an asynchronous job ends as failed
    STREAM_BREAK = "stream_break"  # a stream ends with an error after its first batch
    UNKNOWN_FIELD = "unknown_field"  # rows carry a field nobody asked for
    MISSING_FIELD = "missing_field"  # rows lack an optional field


@dataclass(frozen=True)
class Fault:
    """The `nth` … `nth + times - 1` call (from 1) whose endpoint contains `endpoint` goes wrong."""

    kind: FaultKind
    endpoint: str = ""
    nth: int = 1
    times: int = 1


class FaultScript:
    """Decides, call by call, what goes wrong; safe to share between server threads."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = tuple(faults)
        self._calls: Counter[int] = Counter()
        self._lock = threading.Lock()
        self.played: Counter[FaultKind] = Counter()

    def due(self, endpoint: str, able: Sequence[FaultKind]) -> FaultKind | None:
        """The fault this call meets, if any: the first in the script that fits and the caller can play.

        Every fault counts the calls that match it, whether or not another one is played.
        """
        with self._lock:
            due = None
            for position, fault in enumerate(self._faults):
                if fault.endpoint not in endpoint or fault.kind not in able:
                    continue
                self._calls[position] += 1
                if due is None and fault.nth <= self._calls[position] < fault.nth + fault.times:
                    due = fault.kind
            if due is not None:
                self.played[due] += 1
            return due


def random_script(
    rng: np.random.Generator, kinds: Sequence[FaultKind], endpoints: Sequence[str], faults: int
) -> list[Fault]:
    """A script of `faults` random faults among the first twenty calls, each once to three times in a row."""
    return [
        Fault(
            kind=kinds[int(rng.integers(len(kinds)))],
            endpoint=endpoints[int(rng.integers(len(endpoints)))],
            nth=int(rng.integers(1, 21)),
            times=int(rng.integers(1, 4)),
        )
        for _ in range(faults)
    ]
