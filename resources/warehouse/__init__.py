"""The warehouse, on DuckDB or BigQuery, behind one interface.

Here: opening the one this process is configured for. Not here: either engine; they are imported only
when used, so that a DuckDB user never loads the BigQuery client.
"""

from __future__ import annotations

from pathlib import Path

from resources.settings import Environment
from resources.warehouse.interface import Warehouse

_PATIENCE = 1.0  # seconds a person who only looks waits for a run


def open_warehouse(environment: Environment) -> Warehouse:
    """The warehouse `environment` names. Nothing is opened or contacted until its first use."""
    if environment.warehouse == "duckdb":
        from resources.warehouse.duckdb import DuckDBWarehouse  # noqa: PLC0415

        return DuckDBWarehouse.from_environment(environment)
    from resources.warehouse.bigquery import BigQueryWarehouse  # noqa: PLC0415

    return BigQueryWarehouse.from_environment(environment)


def publish_analyst_copy(environment: Environment) -> Path:
    """Put a read-only copy of the DuckDB file at `$AELP_HOME/analyst/warehouse.duckdb`; returns that path.

    The copy appears whole or not at all; readers of the former copy keep it until they reopen.

    Raises:
        WarehouseLocked: another process held the warehouse too long; the former copy is still there.
        ValueError: the warehouse is BigQuery, which serves analysts itself.
    """
    if environment.warehouse != "duckdb":
        raise ValueError("only DuckDB needs an analyst copy; on BigQuery analysts read the datasets")
    from resources.warehouse.duckdb import DuckDBWarehouse  # noqa: PLC0415

    target = _analyst_copy(environment)
    return DuckDBWarehouse.from_environment(environment).publish(target)


def warehouses_to_look_into(environment: Environment) -> list[Warehouse]:
    """Where a person's question may be answered while a run writes, to be asked in turn, for reading only.

    On DuckDB the analyst copy, where there is one, which nothing holds; then the file itself, which raises
    `WarehouseLocked` after a second.
    """
    if environment.warehouse != "duckdb":
        return [open_warehouse(environment)]
    from resources.warehouse.duckdb import DuckDBWarehouse  # noqa: PLC0415

    return [
        DuckDBWarehouse(
            path,
            temporary=environment.home / "temporary" / "duckdb",
            schema_prefix=environment.dataset_prefix,
            lock_timeout=_PATIENCE,
        )
        for path in (_analyst_copy(environment), environment.duckdb_path)
        if path.exists()
    ]


def _analyst_copy(environment: Environment) -> Path:
    return environment.home / "analyst" / "warehouse.duckdb"
