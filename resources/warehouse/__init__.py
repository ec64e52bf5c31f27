"""The warehouse, on DuckDB or BigQuery, behind one interface.

Here: opening the one this process is configured for. Not here: either engine; they are imported only
when used, so that a DuckDB user never loads the BigQuery client.
"""

from __future__ import annotations

from pathlib import Path

from resources.settings import Environment
from resources.warehouse.interface import Warehouse


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

    target = environment.home / "analyst" / "warehouse.duckdb"
    return DuckDBWarehouse.from_environment(environment).publish(target)
