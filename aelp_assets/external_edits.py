"""Edits people made on the platforms: read from their change histories, and what they overtake.

Here: from landed logs to edits of levers, the table, withdrawing overtaken proposals. Not here: which edits
are ours (`resources.control.external_edits`), landing the logs (`ingest`).
"""

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import dagster as dg
import polars as pl

from aelp_assets.governance import control_engine, open_governance
from aelp_assets.metadata import FRAME, asset_key, check, result, table_metadata
from aelp_assets.ownership import CAMPAIGN_MANAGEMENT, DECISION_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL
from resources.clock import Clock
from resources.code_version import module_hash
from resources.connectors.errors import PlatformError
from resources.connectors.meta.texts import offset
from resources.control.external_edits import (
    ExternalEdit,
    known_in_force,
    made_outside,
    withdraw_overtaken,
)
from resources.control.payloads import LeverValue, money
from resources.control.records import LEVER, LeverKey, Record, key_of
from resources.settings import Environment, Settings
from resources.warehouse.tables import EXTERNAL_EDITS

_NAME = str(EXTERNAL_EDITS.name)
_BY_ENTITY = ["platform", "account_id", "entity_id"]
_SCHEMA = {"edited_at": pl.Datetime("us", "UTC")}
_COLUMNS = (*LEVER, "edited_at", "field", "value_before", "value_after", "person")


@dg.asset(
    dagster_type=FRAME,
    key=asset_key(_NAME),
    ins={
        name: dg.AssetIn(key=["staging", name])
        for name in ("stg_meta__activities", "stg_google_ads__changes", "stg_levers__levers")
    },
    check_specs=[
        dg.AssetCheckSpec(
            "external_edits_grain",
            asset=asset_key(_NAME),
            description=f"One row per {', '.join(EXTERNAL_EDITS.grain)}.",
        )
    ],
    group_name="governance",
    kinds={"polars"},
    owners=CAMPAIGN_MANAGEMENT,
    freshness_policy=DECISION_FRESHNESS,
    metadata=table_metadata(_NAME),
    code_version=module_hash("resources.control.external_edits"),
    description=EXTERNAL_EDITS.description,
    pool=WAREHOUSE_POOL,
)
def external_edits(
    stg_meta__activities: pl.DataFrame,
    stg_google_ads__changes: pl.DataFrame,
    stg_levers__levers: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """Budget and status edits made on the platforms; open proposals they overtake are withdrawn."""
    changes = open_governance(environment, settings).changes()
    told = [
        *edits_on_meta(stg_meta__activities, stg_levers__levers),
        *edits_on_google(stg_google_ads__changes, stg_levers__levers),
    ]
    outside = made_outside(told, changes)
    in_force = values_in_force(stg_levers__levers, changes)
    overtaken = withdraw_overtaken(control_engine(environment), outside, in_force, clock.now())
    rows = as_table(outside)
    twice = rows.filter(rows.select(EXTERNAL_EDITS.grain).is_duplicated())
    return result(
        rows.sort("edited_at", descending=True),
        checks=[
            check(
                "external_edits_grain",
                twice.is_empty(),
                f"{twice.height} edits share {', '.join(EXTERNAL_EDITS.grain)}.",
                _NAME,
            )
        ],
        withdrawn=dg.MetadataValue.md("\n".join(f"- {i}: {s}" for i, s in overtaken.items()) or "none"),
        made_by_us=len(told) - len(outside),
    )


def edits_on_meta(activities: pl.DataFrame, levers: pl.DataFrame) -> Iterator[ExternalEdit]:
    """Budget and run status edits of the activity log, of entities that are levers."""
    known = _newest(levers).select(*_BY_ENTITY, "lever_id", "currency").unique(_BY_ENTITY)
    fields = {"budget": "budget", "run_status": "status"}
    found = activities.join(known, left_on=["platform", "account_id", "object_id"], right_on=_BY_ENTITY)
    for row in found.sort("event_at", "activity_id").iter_rows(named=True):
        field = next((name for part, name in fields.items() if part in (row["event_type"] or "")), None)
        if field is None:
            continue
        before, after = (
            _meta_value(row["extra_data"], key, row["currency"], is_money=field == "budget")
            for key in ("old_value", "new_value")
        )
        yield ExternalEdit(
            (row["platform"], row["account_id"], row["lever_id"]),
            row["event_at"],
            "budget" if field == "budget" else "status",
            before,
            after,
            row["actor_name"],
        )


def _meta_value(extra: str | None, key: str, currency: str, *, is_money: bool) -> str | None:
    """A value of an activity's extra data, where it is told as one; budgets come in the smallest unit."""
    try:
        document = json.loads(extra or "")
        value = document.get(key) if isinstance(document, dict) else None
        if value is None or isinstance(value, dict | list):
            return None
        return money(Decimal(str(value)) / offset(currency)) if is_money else str(value).lower()
    except (ValueError, InvalidOperation, PlatformError):
        return None


def edits_on_google(changes: pl.DataFrame, levers: pl.DataFrame) -> Iterator[ExternalEdit]:
    """Edits of campaigns' budgets and statuses in change events; a shared budget is a lever per campaign."""
    known = (
        _newest(levers).filter(pl.col("platform") == "google_ads").select(*LEVER, "campaign_id", "budget_id")
    )
    accounts = ["platform", "account_id"]
    budget_id = pl.col("resource_name").str.split("/").list.last()
    budgets = changes.filter(pl.col("new_budget").is_not_null(), pl.col("operation") == "UPDATE")
    statuses = changes.filter(pl.col("new_status").is_not_null(), pl.col("operation") == "UPDATE")
    named = [
        budgets.with_columns(budget_id.alias("budget_id"), pl.lit("budget").alias("field")).join(
            known.drop("campaign_id"), on=[*accounts, "budget_id"]
        ),
        statuses.with_columns(pl.lit("status").alias("field")).join(
            known.drop("budget_id"), on=[*accounts, "campaign_id"]
        ),
    ]
    for rows in named:
        for row in rows.sort("changed_at", "change_id", "lever_id").iter_rows(named=True):
            is_budget = row["field"] == "budget"
            if is_budget:
                values = [None if row[c] is None else money(row[c]) for c in ("old_budget", "new_budget")]
            else:
                values = [row[c] and row[c].lower() for c in ("old_status", "new_status")]
            yield ExternalEdit(
                (row["platform"], row["account_id"], row["lever_id"]),
                row["changed_at"],
                "budget" if is_budget else "status",
                values[0],
                values[1],
                row["user_email"],
            )


def values_in_force(levers: pl.DataFrame, changes: Sequence[Record]) -> dict[LeverKey, LeverValue]:
    """Budget and status of each lever in its account's newest snapshot, with what we changed since.

    Args:
        levers: rows of `stg_levers__levers`.
        changes: the change feed.
    """
    rows = list(_newest(levers).drop_nulls("budget").iter_rows(named=True))
    values = {
        key_of(row): LeverValue(row["budget"], "active" if row["status"] == "active" else "paused")
        for row in rows
    }
    return known_in_force(values, {key_of(row): row["_ingested_at"] for row in rows}, changes)


def _newest(levers: pl.DataFrame) -> pl.DataFrame:
    return levers.filter(pl.col("date") == pl.col("date").max().over("platform", "account_id"))


def as_table(edits: list[ExternalEdit]) -> pl.DataFrame:
    """Edits in the columns of `ops.external_edits`; one told twice in the same words counts once."""
    rows: list[tuple[Any, ...]] = [
        (*edit.lever, edit.edited_at, edit.field, edit.before, edit.after, edit.person) for edit in edits
    ]
    kinds = {name: _SCHEMA.get(name, pl.String()) for name in _COLUMNS}
    table = pl.DataFrame(rows, schema=kinds, orient="row")
    return table.unique(list(EXTERNAL_EDITS.grain), keep="last", maintain_order=True)
