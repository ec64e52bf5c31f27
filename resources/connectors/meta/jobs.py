"""Insights jobs: long spans are computed by Meta in the background and read when done.

Here: starting one and waiting for it. Not here: what is asked (`insights`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.meta.errors import refusal
from resources.connectors.meta.graph import Graph

_FIRST_WAIT = 2.0
_LONGEST_WAIT = 30.0
_GIVEN_UP = ("Job Failed", "Job Skipped")
_WORKING = ("Job Not Started", "Job Started", "Job Running")


@dataclass
class InsightsJobs:
    """Runs insights jobs of one token.

    Attributes:
        sleep: waits between two looks at a job, seconds.
        patience_seconds: how long a job may take.
    """

    graph: Graph
    sleep: Callable[[float], None]
    patience_seconds: float
    rng: np.random.Generator = field(default_factory=np.random.default_rng)

    def finished(self, account_id: str, parameters: Mapping[str, Any]) -> str:
        """Start a job, wait for it, and say its id.

        Raises:
            PlatformError: SHRINK when Meta gives the job up; TRANSIENT when it does not end in time.
        """
        started = self.graph.call("POST", (f"act_{account_id}", "insights"), parameters)
        run_id = started.body.get("report_run_id")
        if not isinstance(run_id, str | int):
            raise PlatformError(ErrorClass.TRANSIENT, "Meta started an insights job without saying its id.")
        waited, wait = 0.0, _FIRST_WAIT
        asked = {"fields": "async_status,async_percent_completion,error_code,error_message,error_subcode"}
        while True:
            body = self.graph.call("GET", (str(run_id),), asked, new_object=True).body
            status, percent = body.get("async_status"), body.get("async_percent_completion")
            if status == "Job Completed" and percent == 100:
                return str(run_id)
            if status in _GIVEN_UP:
                raise _given_up(str(status), body)
            if status not in (*_WORKING, "Job Completed"):
                raise PlatformError(ErrorClass.TRANSIENT, f"Meta says {status!r} of an insights job.")
            if waited >= self.patience_seconds:
                raise PlatformError(
                    ErrorClass.TRANSIENT,
                    f"An insights job stands at {status!r}, {percent} %, after {waited:.0f} seconds.",
                )
            pause = wait * (0.75 + 0.5 * float(self.rng.random()))
            self.sleep(pause)
            waited += pause
            wait = min(wait * 1.5, _LONGEST_WAIT)


def _given_up(status: str, body: Mapping[str, Any]) -> PlatformError:
    if body.get("error_code"):
        told = {
            "code": body["error_code"],
            "error_subcode": body.get("error_subcode"),
            "message": body.get("error_message"),
        }
        refused = refusal(told, 200, {})
        if refused.error_class in (ErrorClass.THROTTLE, ErrorClass.AUTH):
            return refused
    return PlatformError(ErrorClass.SHRINK, f"Meta ended an insights job with {status!r}.")
