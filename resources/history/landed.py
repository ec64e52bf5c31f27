"""What had been landed by a moment: raw rows, the ledger, and whatever else is only ever appended to.

Here: which rows those are, as SELECTs with the parameter `$moment`. Not here: running them.

The ledger is the truth: a raw row was known once an attempt at its slice that counts its batch was complete.
With no later attempt in the ledger, staging finds the latest complete batch of then by itself.
"""
# ruff: noqa: S608 - names of declared tables and columns, no input

from __future__ import annotations

from resources.warehouse.schema import TableName
from resources.warehouse.tables import (
    ACCOUNTS,
    CREATIVE_EMBEDDINGS,
    CREATIVE_FEATURES,
    CREATIVE_VIDEO_FEATURES,
    FILE_LANDINGS,
    INGEST_SLICES,
    QUARANTINE,
    RAW_TABLES,
    SOURCE_PULLS,
)

# Only appended to, and since when each row was there.
_APPENDED = {
    INGEST_SLICES: "completed_at",
    QUARANTINE: "quarantined_at",
    FILE_LANDINGS: "landed_at",
    SOURCE_PULLS: "finished_at",
    CREATIVE_EMBEDDINGS: "embedded_at",
    CREATIVE_FEATURES: "measured_at",
    CREATIVE_VIDEO_FEATURES: "measured_at",
}


def landed_by(table: TableName) -> str | None:
    """The SELECT of a table's rows that were there at `$moment`; None: it is not only appended to."""
    for appended, since in _APPENDED.items():
        if appended.name == table:
            return f"select * from {table} where {since} <= $moment"
    if table in {raw.name for raw in RAW_TABLES}:
        return f"""
            select landed.*
            from {table} as landed
            where landed._batch_id in (
                select known.data_batch_id
                from ops.ingest_slices as known
                where known.stream = '{table.table}'
                    and known.status = 'complete'
                    and known.completed_at <= $moment
            )
        """
    return None


def accounts_met_by() -> str:
    """The SELECT of accounts something had been attempted for by `$moment`, as they are described now.

    A landing describes its accounts anew, and no former description is kept.
    """
    return f"""
        select accounts.*
        from {ACCOUNTS.name} as accounts
        where accounts.last_landed_at <= $moment
            or exists (
                select 1
                from ops.ingest_slices as known
                where known.source = accounts.source
                    and known.account_id = accounts.account_id
                    and known.completed_at <= $moment
            )
    """
