"""What Dagster's own tags and statuses say of a run, spelt once.

Here: names, and the mornings or days a run is about. Not here: why one failed (`run_failures`), starting them
(`runner`).
"""

from __future__ import annotations

import dagster as dg

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def is_range(run: dg.DagsterRun) -> bool:
    """Whether the run is about days from one to another."""
    return RANGE_START_TAG in run.tags


def oldest_part(run: dg.DagsterRun) -> str:
    """The oldest morning or day a run is about; empty where it is about none."""
    return run.tags.get(PARTITION_TAG) or run.tags.get(RANGE_START_TAG) or ""


def newest_part(run: dg.DagsterRun) -> str:
    """The newest morning or day a run is about; empty where it is about none."""
    return run.tags.get(PARTITION_TAG) or run.tags.get(RANGE_END_TAG) or ""
