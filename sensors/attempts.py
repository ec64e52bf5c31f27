"""How often a sensor asks again for work whose run failed.

Here: the bound, and what the newest run of a job says. Not here: what the work is (each sensor).
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from aelp_assets.runs import UNFINISHED

MAX_ATTEMPTS = 3
RUN_KEY_TAG = "dagster/run_key"


def is_under_way(instance: dg.DagsterInstance, job: str) -> bool:
    """Whether a run of the job is queued or running, whoever started it."""
    return bool(instance.get_runs(filters=dg.RunsFilter(job_name=job, statuses=list(UNFINISHED)), limit=1))


def newest_run(
    instance: dg.DagsterInstance, job: str, tags: Mapping[str, str] | None = None
) -> dg.DagsterRun | None:
    """The newest run of the job with these tags."""
    runs = instance.get_runs(filters=dg.RunsFilter(job_name=job, tags=dict(tags or {})), limit=1)
    return runs[0] if runs else None


def attempt_key(work: str, attempt: int) -> str:
    """The run key of one attempt: the same work and attempt never run twice."""
    return f"{work}#{attempt}"


def what_became_of(run: dg.DagsterRun | None) -> str:
    """The end of a sentence about a run: "failed (run 1a2b3c4d)"."""
    if run is None:
        return "was never started"
    words = {
        dg.DagsterRunStatus.FAILURE: "failed",
        dg.DagsterRunStatus.CANCELED: "was canceled",
        dg.DagsterRunStatus.SUCCESS: "succeeded without bringing them up to date",
    }
    return f"{words.get(run.status, run.status.value.lower())} (run {run.run_id[:8]})"
