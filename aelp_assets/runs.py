"""What Dagster's own tags and statuses say of a run, spelt once.

Here: names, and the mornings or days a run is about. Not here: why one failed (`run_failures`), starting them
(`runner`).
"""

from __future__ import annotations

from typing import NamedTuple

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


class Part(NamedTuple):
    """What a run is about: one morning, twice, or the days from one to another; empty where it is neither."""

    first: str
    last: str
    is_range: bool = False


def part_of(run: dg.DagsterRun) -> Part:
    """The morning or days a run is about."""
    if RANGE_START_TAG in run.tags:
        return Part(run.tags[RANGE_START_TAG], run.tags[RANGE_END_TAG], is_range=True)
    morning = run.tags.get(PARTITION_TAG, "")
    return Part(morning, morning)
