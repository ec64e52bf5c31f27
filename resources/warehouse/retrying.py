"""A held warehouse file is waited for by the run itself.

Here: turning `WarehouseLocked` into Dagster's request to try the step again. Not here: the seconds a single
call waits (`duckdb.py`), and runs that fail for good (the sensors ask again, a bounded number of times).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import dagster as dg

from resources.warehouse.interface import WarehouseLocked

Result = TypeVar("Result")

LOCK_RETRIES = 3
LOCK_WAIT_SECONDS = 60.0


@contextmanager
def tried_again_while_locked() -> Iterator[None]:
    """Inside a step: a lock held by another process ends this attempt, not the step.

    Raises:
        RetryRequested: the file was held; the step runs again, at most `LOCK_RETRIES` times. Any other error
            passes through: a wrong row is not mended by waiting.
    """
    try:
        yield
    except WarehouseLocked as held:
        raise dg.RetryRequested(max_retries=LOCK_RETRIES, seconds_to_wait=LOCK_WAIT_SECONDS) from held


def waited_for(work: Callable[[], Result], sleep: Callable[[float], None] = time.sleep) -> Result:
    """The same patience within one attempt, for a step that must not start over.

    Raises:
        WarehouseLocked: still held after the last wait.
    """
    for _ in range(LOCK_RETRIES):
        try:
            return work()
        except WarehouseLocked:
            sleep(LOCK_WAIT_SECONDS)
    return work()
