"""When a table, or a partition of it, was written: Dagster's event log says so, nothing else is asked.

Here: each materialisation with the moment it was known at, and which rows of now are those of then. Not here:
rows.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG, DataProvenance

from resources.warehouse.interface import WarehouseError

MOMENT_TAG = "aelp/moment"
"""The moment a run took for now, where its clock was not the system's."""
_PAGE = 1000


class NotKept(WarehouseError):
    """What was known then is no longer kept; says which table, since when, and why."""


@dataclass(frozen=True)
class Writing:
    """A table (partition None), or one of its partitions, was written.

    Attributes:
        known_at: from when on its rows were there.
        content: what its rows said, where the event says it of them alone (`resources.warehouse.content`).
    """

    partition: str | None
    known_at: datetime
    run_id: str
    content: str | None = None


@dataclass(frozen=True)
class Standing:
    """What the rows of now say of a moment, by partition.

    Attributes:
        same: last written by then, so that they are what was known.
        replaced: known then and written again since: the last writing of then, the first after it.
        later: first written after it.
    """

    same: dict[str | None, Writing] = field(default_factory=dict)
    replaced: dict[str | None, tuple[Writing, Writing]] = field(default_factory=dict)
    later: dict[str | None, Writing] = field(default_factory=dict)


def writings(instance: dg.DagsterInstance, key: dg.AssetKey) -> list[Writing]:
    """Every materialisation of an asset, oldest first.

    A clock may go back, what was written does not: a later writing was never known before an earlier one.

    Raises:
        NotKept: nothing says at which moment one was.
    """
    records: list[dg.EventLogRecord] = []
    cursor, has_more = None, True
    while has_more:
        page = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key), limit=_PAGE, cursor=cursor, ascending=True
        )
        records.extend(page.records)
        cursor, has_more = page.cursor, page.has_more
    clocks = _clocks(instance, {record.run_id for record in records})
    # A run of several days says the same of each: what all of them hold.
    days = Counter(run_id for run_id, _ in {(record.run_id, record.partition_key) for record in records})
    found: list[Writing] = []
    for record in records:
        known = clocks.get(record.run_id, datetime.fromtimestamp(record.timestamp, UTC))
        if found:
            known = max(known, found[-1].known_at)
        written = record.asset_materialization
        content = None
        if written is not None and written.tags is not None and days[record.run_id] == 1:
            content = _content(written.tags)
        found.append(Writing(record.partition_key, known, record.run_id, content))
    return found


def _content(tags: Mapping[str, str]) -> str | None:
    provenance = DataProvenance.from_tags(tags)
    if provenance is not None and not provenance.is_user_provided:
        return None  # Dagster's own: a hash of the code and of what was read
    return tags.get(DATA_VERSION_TAG)


def _clocks(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> dict[str, datetime]:
    """The moment each run that brought its own clock took for now.

    Raises:
        NotKept: the clock of this home is AELP_CLOCK's, and a run went by the machine's.
    """
    wanted = list(run_ids)
    found = {}
    for start in range(0, len(wanted), _PAGE):
        for run in instance.get_runs(dg.RunsFilter(run_ids=wanted[start : start + _PAGE])):
            if MOMENT_TAG in run.tags:
                found[run.run_id] = datetime.fromisoformat(run.tags[MOMENT_TAG]).astimezone(UTC)
            elif os.environ.get("AELP_CLOCK"):  # started by the daemon, in the UI or with `dg launch`
                raise NotKept(
                    f"Run {run.run_id[:8]} ({run.job_name}) wrote here, dated by the machine though "
                    "AELP_CLOCK says what time it is: nothing tells which moment it was. `aelp run` "
                    "notes it with its runs."
                )
    return found


def standing_at(written: Sequence[Writing], moment: datetime) -> Standing:
    """Which partitions still hold what they held at `moment`.

    Args:
        written: in the order of the event log, which is that of the writes, whatever the clocks said.
    """
    standing = Standing()
    by_partition: dict[str | None, list[Writing]] = {}
    for writing in written:
        by_partition.setdefault(writing.partition, []).append(writing)
    for partition, each in by_partition.items():
        by_then = [writing for writing in each if writing.known_at <= moment]
        if not by_then:
            standing.later[partition] = each[0]
        elif by_then[-1] is each[-1]:
            standing.same[partition] = each[-1]
        else:
            after = each[each.index(by_then[-1]) + 1]
            standing.replaced[partition] = (by_then[-1], after)
    return standing
