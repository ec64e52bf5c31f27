"""dbt's sources.yml, as `resources.warehouse.tables` says it must be.

Here: the rendering, so that a changed table is one command away from its YAML
(`python -m tests.dbt.sources_yaml`). The test beside it fails while the two disagree.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from resources.warehouse.schema import Table
from resources.warehouse.tables import MODEL_TABLES, OPS_TABLES, RAW_TABLES

SOURCES_YAML = Path(__file__).resolve().parents[2] / "dbt_project" / "models" / "sources.yml"

HEADER = """\
# Rendered from resources/warehouse/tables by `python -m tests.dbt.sources_yaml`; a test compares them.
"""

# `dbt source freshness` warns on daily streams without a new row for this long; it never fails, because a
# business may lack a platform. Snapshots land when something changes and have no limit.
STALE_HOURS = 30
DAILY_STREAMS = {
    "meta_ads_insights",
    "meta_ads_insights_by_placement",
    "google_ads_ad_performance",
    "tiktok_ads_report",
    "linkedin_ad_analytics",
    "orders",
}

# Written by Python for Python alone: which days the marts have followed.
NOT_READ = {"transformed_days"}

SOURCES = (
    ("raw", "raw", "Immutable landed rows; `ops.ingest_slices` says which of them count.", RAW_TABLES),
    ("ops", "ops", "The ledger, what was refused, and what is known of each account.", OPS_TABLES),
    ("models", "gaelp_training", "Model outputs, read back by the reporting marts.", MODEL_TABLES),
)


def expected_sources() -> dict[str, Any]:
    return {
        "version": 2,
        "sources": [
            {
                "name": name,
                "description": description,
                "schema": "{{ env_var('AELP_DATASET_PREFIX', '') }}" + schema,
                "tables": [_table(table) for table in tables if table.name.table not in NOT_READ],
            }
            for name, schema, description, tables in SOURCES
        ],
    }


def _table(table: Table) -> dict[str, Any]:
    config: dict[str, Any] = {
        "meta": {"dagster": {"asset_key": [table.name.schema, table.name.table]}},
    }
    if table.name.schema == "raw":
        config["loaded_at_field"] = "_ingested_at"
    if table.name.table in DAILY_STREAMS:
        config["freshness"] = {"warn_after": {"count": STALE_HOURS, "period": "hour"}}
    return {
        "name": table.name.table,
        "description": table.description,
        "config": config,
        "columns": [
            {"name": column.name, "data_type": column.type, "description": column.description}
            for column in table.columns
        ],
    }


def render() -> str:
    return HEADER + yaml.safe_dump(expected_sources(), sort_keys=False, width=118, allow_unicode=True)


if __name__ == "__main__":
    SOURCES_YAML.write_text(render(), encoding="utf-8")
