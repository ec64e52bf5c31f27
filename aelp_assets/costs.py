"""What each table cost to make: the metadata of its materialisations, summed.

Here: reading and printing the sums. Not here: measuring (`resources.warehouse.metering`, dbt's own results).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import dagster as dg
from rich.console import Console
from rich.table import Table

from resources.warehouse.metering import BYTES, SECONDS

_AT_ONCE = 1000


@dataclass(frozen=True)
class Cost:
    """A table's cost since a moment. `times`: materialisations that told any."""

    table: str
    times: int
    seconds: float
    bytes_billed: int


def read_costs(instance: dg.DagsterInstance, since: datetime) -> list[Cost]:
    """Every table that told a cost, the dearest first."""
    return sorted(
        filter(None, (_cost(instance, key, since) for key in instance.get_asset_keys())),
        key=lambda cost: (-cost.bytes_billed, -cost.seconds, cost.table),
    )


def _cost(instance: dg.DagsterInstance, key: dg.AssetKey, since: datetime) -> Cost | None:
    wanted = dg.AssetRecordsFilter(asset_key=key, after_timestamp=since.timestamp())
    times, seconds, billed = 0, 0.0, 0
    for record in _materializations(instance, wanted):
        told = record.asset_materialization.metadata if record.asset_materialization else {}
        one, other = (_number(told, name) for name in (SECONDS, BYTES))
        times += one > 0 or other > 0
        seconds, billed = seconds + one, billed + int(other)
    return Cost(".".join(key.path), times, seconds, billed) if times else None


def _materializations(
    instance: dg.DagsterInstance, wanted: dg.AssetRecordsFilter
) -> Iterator[dg.EventLogRecord]:
    cursor, has_more = None, True
    while has_more:
        found = instance.fetch_materializations(wanted, limit=_AT_ONCE, cursor=cursor)
        yield from found.records
        cursor, has_more = found.cursor, found.has_more


def _number(metadata: object, name: str) -> float:
    value = metadata.get(name) if isinstance(metadata, dict) else None
    return float(value.value or 0) if isinstance(value, dg.FloatMetadataValue | dg.IntMetadataValue) else 0.0


def print_costs(console: Console, costs: Iterable[Cost], shown: int) -> None:
    """The dearest tables, and the sum of all."""
    known = list(costs)
    if not known:
        console.print("No table that was made in these days told what it cost.")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("table", no_wrap=True)
    for column in ("times", "seconds", "bytes billed"):
        table.add_column(column, justify="right", no_wrap=True)
    rest = known[shown:]
    rows = [*known[:shown], *([_sum(f"{len(rest)} more", rest)] if rest else []), _sum("all", known)]
    for cost in rows:
        table.add_row(
            cost.table,
            f"{cost.times:,}",
            f"{cost.seconds:,.1f}" if cost.seconds else "–",
            f"{cost.bytes_billed:,}" if cost.bytes_billed else "–",
        )
    console.print(table)


def _sum(name: str, costs: list[Cost]) -> Cost:
    return Cost(
        name,
        sum(cost.times for cost in costs),
        sum(cost.seconds for cost in costs),
        sum(cost.bytes_billed for cost in costs),
    )
