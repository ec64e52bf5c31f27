"""Dagster's IO manager over the warehouse: asset keys are tables, frames go in and out.

Here: which rows an asset's output replaces and which rows its inputs see. Not here: how a warehouse
stores them, and what any table means.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

import dagster as dg
import polars as pl

from resources.warehouse.content import content_version
from resources.warehouse.interface import ReplacePartitions, ReplaceTable, Warehouse, Write
from resources.warehouse.metering import Usage, spent
from resources.warehouse.retrying import tried_again_while_locked
from resources.warehouse.schema import TableName
from resources.warehouse.tables import PYTHON_TABLES


def table_of(key: dg.AssetKey) -> TableName:
    """The table an asset key names: its last two parts are schema and table."""
    schema, table = key.path[-2:]
    return TableName(schema, table)


def partition_column(table: TableName) -> str | None:
    """The DATE column a table's partitions are cut by: dbt's marts all call it `date`."""
    declared = PYTHON_TABLES.get(str(table))
    return declared.partition if declared else "date"


class WarehouseIOManager(dg.IOManager):
    """Outputs replace exactly the run's partitions; inputs see the partitions their mapping names.

    A window such as "the 30 days before this morning" is therefore said once, in the asset's partition
    mapping, and both lineage and the read follow it. Input metadata `columns` narrows the read.

    Inputs come sorted by all their columns: BigQuery gives rows back in any order, and sums of floats and
    ties would follow it (0.8 s per million rows of 14 columns).

    What is written gets its content as data version: Dagster calls a table changed when its rows are.
    """

    def __init__(
        self, warehouse: Warehouse, momentary: Mapping[str, Collection[str]] = MappingProxyType({})
    ) -> None:
        """Over `warehouse`; `momentary` names, by table, columns that are no content: who wrote it, when."""
        self._warehouse = warehouse
        self._momentary = momentary
        self._metered: tuple[str, Usage] | None = None  # the step that runs, and what was spent before it

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write the frame an asset returned; None means the asset published its tables itself."""
        if obj is None:
            return
        table = PYTHON_TABLES[str(table_of(context.asset_key))]
        write: Write
        if table.partition is None:
            write = ReplaceTable(table, obj)
        else:
            write = ReplacePartitions(table, obj, *_span(context))
        with tried_again_while_locked():
            rows = self._warehouse.write(write)[str(table.name)]
        context.add_output_metadata({"dagster/row_count": rows, **self._cost(context)})
        # What `AssetExecutionContext.set_data_version` does, which an IO manager is not given.
        version = content_version(table.conform(obj), self._momentary.get(str(table.name), ()))
        context.step_context.set_data_version(context.asset_key, dg.DataVersion(version))

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        """Rows of the upstream table, cut to the mapped partitions."""
        step = _step(context)
        if step is not None and (self._metered is None or self._metered[0] != step):
            self._metered = step, spent()
        table = table_of(context.asset_key)
        columns = (context.definition_metadata or {}).get("columns")
        window: dict[str, Any] = {}
        if context.has_asset_partitions:
            first, last = _span(context)
            window = {"partition": partition_column(table), "first": first, "last": last}
        with tried_again_while_locked():
            rows = self._warehouse.read(table, columns=columns, **window)
        return rows.sort(rows.columns)

    def _cost(self, context: dg.OutputContext) -> dict[str, float | int]:
        """What the step asked of the warehouse since it began to read, or since its last output.

        Of a step that reads nothing through here the beginning is not known, and nothing is told.
        """
        step, now = _step(context), spent()
        if step is None or self._metered is None or self._metered[0] != step:
            return {}
        cost = now - self._metered[1]
        self._metered = step, now
        return cost.as_metadata()


def _step(context: dg.InputContext | dg.OutputContext) -> str | None:
    """The step that reads or writes; None outside a run."""
    try:
        step = context.step_context
    except dg.DagsterInvariantViolationError:
        return None
    return f"{step.run_id}/{step.step.key}"


def _span(context: dg.InputContext | dg.OutputContext) -> tuple[date, date]:
    span = context.asset_partition_key_range
    return date.fromisoformat(span.start), date.fromisoformat(span.end)
