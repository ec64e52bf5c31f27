"""The copy analysts read: the warehouse as of the last finished morning, never the live file.

Here: one asset that publishes it. Not here: how a copy is made (`resources.warehouse`).
"""

import dagster as dg

from aelp_assets.ownership import DATA_ENGINEERING, DECISION_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL
from resources.code_version import module_hash
from resources.settings import Environment
from resources.warehouse import publish_analyst_copy
from resources.warehouse.retrying import tried_again_while_locked


@dg.asset(
    key=["published", "analyst_copy"],
    deps=[
        ["gaelp_training", name]
        for name in (
            "forecast_vs_actual",
            "decision_summary",
            "slate_summary",
            "launch_summary",
            "arm_summary",
            "score_cards",
        )
    ],
    group_name="reporting",
    kinds={"duckdb"},
    owners=DATA_ENGINEERING,
    freshness_policy=DECISION_FRESHNESS,
    code_version=module_hash("resources.warehouse"),
    pool=WAREHOUSE_POOL,
)
def analyst_copy(
    context: dg.AssetExecutionContext, environment: dg.ResourceParam[Environment]
) -> dg.MaterializeResult:
    """A read-only DuckDB file for Looker-like tools; on BigQuery analysts read the datasets themselves."""
    if environment.warehouse != "duckdb":
        return dg.MaterializeResult(metadata={"published": "BigQuery serves analysts directly"})
    with tried_again_while_locked():
        path = publish_analyst_copy(environment)
    return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(path), "bytes": path.stat().st_size})
