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
# Rendered from resources/warehouse/tables.py by `python -m tests.dbt.sources_yaml`; a test compares them.
"""

# Hours without a new row before `dbt source freshness` warns, and before it fails. Streams a business may
# lack, and snapshots taken when something changes, have no limit.
FRESHNESS_HOURS = {
    "meta_ads_insights": (30, 54),
    "meta_ads_insights_by_placement": (30, 54),
    "google_ads_ad_performance": (30, 54),
    "tiktok_ads_report": (30, 54),
    "linkedin_ad_analytics": (30, 54),
    "orders": (30, 54),
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
    if limits := FRESHNESS_HOURS.get(table.name.table):
        warn, error = limits
        config["freshness"] = {
            "warn_after": {"count": warn, "period": "hour"},
            "error_after": {"count": error, "period": "hour"},
        }
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
