"""Which tables are later than their freshness policy promises.

Here: the policies held against the last materialisations. Not here: the policies (`ownership`), telling
(`sensors.freshness`). Computed, not read from what Dagster's freshness daemon stored: a daemon that stands
still would say that all is fresh.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.freshness import CronFreshnessPolicy, TimeWindowFreshnessPolicy
from dagster._utils.schedules import cron_string_iterator


@dataclass(frozen=True, order=True)
class LateTable:
    """A table whose promise is broken. `due`: when it should have been made anew."""

    group: str
    due: datetime
    path: tuple[str, ...]
    made: datetime

    @property
    def name(self) -> str:
        return ".".join(self.path)


def late_tables(graph: BaseAssetGraph[Any], instance: dg.DagsterInstance, now: datetime) -> list[LateTable]:
    """Late tables by group, the longest overdue first; one that was never made is not late but missing."""
    policies = {
        node.key: (node.freshness_policy_or_from_metadata, node.group_name or "default")
        for node in graph.asset_nodes
        if node.freshness_policy_or_from_metadata is not None
    }
    late = []
    for record in instance.get_asset_records(list(policies)):
        made = record.asset_entry.last_materialization
        if made is None:
            continue
        policy, group = policies[record.asset_entry.asset_key]
        due = due_after(policy, made.timestamp)
        if due is not None and due <= now:
            path = tuple(record.asset_entry.asset_key.path)
            late.append(LateTable(group, due, path, datetime.fromtimestamp(made.timestamp, UTC)))
    return sorted(late)


def by_group(late: Iterable[LateTable]) -> dict[str, list[LateTable]]:
    """Late tables of each group, the longest overdue first."""
    return {group: list(tables) for group, tables in groupby(sorted(late), key=lambda table: table.group)}


def due_after(policy: dg.FreshnessPolicy | None, made: float) -> datetime | None:
    """When a table made at this moment (seconds) breaks its promise unless it is made again."""
    if isinstance(policy, TimeWindowFreshnessPolicy):
        return datetime.fromtimestamp(made, UTC) + policy.fail_window.to_timedelta()
    if isinstance(policy, CronFreshnessPolicy):
        lead = policy.lower_bound_delta.total_seconds()
        # At a deadline, what was made within its lead is fresh: the first one further away is the next due.
        for deadline in cron_string_iterator(made, policy.deadline_cron, policy.timezone):
            if deadline.timestamp() - lead > made:
                return deadline.astimezone(UTC)
    return None
