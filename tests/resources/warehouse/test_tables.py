"""Every table written from Python, as BigQuery bills it: by day, and within it by whom a reader asks for."""

from __future__ import annotations

import pytest

from resources.warehouse.schema import Column, Table, TableName
from resources.warehouse.tables import GOVERNANCE_TABLES, PYTHON_TABLES

# Small, or read whole each time; a partition less would scan nothing less.
WHOLE = {
    "ops.ingest_slices": "the newest attempt of every slice counts, of whatever day",
    "ops.media_weeks": "replaced whole",
    "ops.source_pulls": "a row per pull, judged over all days",
    **{str(table.name): "mirrors the control store whole" for table in GOVERNANCE_TABLES},
}


@pytest.mark.parametrize("table", PYTHON_TABLES.values(), ids=str)
def test_a_table_by_day_is_partitioned_by_it_and_clustered_within(table: Table) -> None:
    types = {column.name: column.type for column in table.columns}
    days = [name for name in table.grain if types[name] == "DATE"]
    if str(table.name) in WHOLE:
        assert table.partition is None
        return
    assert table.partition == (days[0] if days else None)
    if days and len(table.grain) > 1:
        assert 1 <= len(table.clustering) <= 4
        assert {types[name] for name in table.clustering} == {"STRING"}


def test_a_number_is_nothing_to_cluster_by() -> None:
    columns = [Column("day", "DATE", "d"), Column("spend", "FLOAT64", "s"), Column("channel", "STRING", "c")]
    table = Table(TableName("ops", "t"), "A table.", tuple(columns), ("day", "spend", "channel"), "day")
    assert table.clustering == ("channel",)
