"""Mornings on nothing but the declared columns: what shows that a declaration leaves nothing out.

Here: the IO manager of such a morning. Not here: the declarations (`aelp_assets.column_sources`).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import dagster as dg
import polars as pl

from aelp_assets.column_sources import COLUMN_SOURCES
from aelp_assets.metadata import asset_key
from resources.warehouse.io_manager import WarehouseIOManager, table_of
from resources.warehouse.tables import GOVERNANCE_TABLES

_TABLES = {asset_key(table): table for table in COLUMN_SOURCES}
_MIRRORED = [str(table.name) for table in GOVERNANCE_TABLES]


def declared_reads(written: AbstractSet[dg.AssetKey], table: str) -> set[str]:
    """Columns of `table` that the declarations of the tables written name.

    What is put before people has no table of its own: its rows show in the mirror of the control store.
    """
    tables = [_TABLES[key] for key in written if key in _TABLES] or _MIRRORED
    return {column for name in tables for read, column in COLUMN_SOURCES[name].read if read == table}


class DeclaredColumnsOnly(WarehouseIOManager):
    """Inputs as ever, without the columns that no declaration of the step's tables names."""

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        rows = super().load_input(context)
        step = context.step_context
        assets = step.job_def.asset_layer.get_assets_def_for_node(step.node_handle)
        assert assets is not None
        declared = declared_reads(assets.keys, str(table_of(context.asset_key)))
        return rows.select(name for name in rows.columns if name in declared)
