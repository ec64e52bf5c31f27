"""What was changed in the Google account: each budget's last edit, the log of the last 30 days.

Here: change_status and change_event. Not here: the entities themselves (`tables`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from resources.sandbox.backend_frames import google_budget_id
from resources.sandbox.servers.google_ads.tables import Tables, name_of
from resources.sandbox.servers.google_ads.writes import Written

_VALUE = {"CAMPAIGN_BUDGET": "amount", "CAMPAIGN": "status"}


class History:
    """Changes the account's manager made, and those made through the API (`written`, oldest first)."""

    def __init__(self, tables: Tables, written: Sequence[Written]) -> None:
        self._tables = tables
        self._written = written

    def table(self, resource: str) -> pl.DataFrame | None:
        """A log with what may be selected beside it; None where there is no such resource."""
        logs = {"change_status": self.change_status, "change_event": self.change_events}
        return logs[resource]() if resource in logs else None

    def change_status(self) -> pl.DataFrame:
        """Each budget's last edit, as old as Google remembers."""
        edits = {w.campaign_id: w.moment for w in self._written if w.resource_type == "CAMPAIGN_BUDGET"}
        return (
            self._tables.levers_lately(1)
            .select(
                pl.col("campaign_id").cast(pl.Int64).alias("campaign.id"),
                pl.col("last_edited_at")
                .map_elements(_account_time, return_dtype=pl.String)
                .alias("change_status.last_change_date_time"),
                pl.lit("CAMPAIGN_BUDGET").alias("change_status.resource_type"),
                pl.lit("CHANGED").alias("change_status.resource_status"),
            )
            .with_columns(
                google_budget_id(pl.col("campaign.id")).alias("budget"),
                pl.coalesce(
                    pl.col("campaign.id").replace_strict(edits, default=None, return_dtype=pl.String),
                    "change_status.last_change_date_time",
                ).alias("change_status.last_change_date_time"),
            )
            .with_columns(
                name_of("campaignBudgets", "budget").alias("change_status.campaign_budget"),
                name_of("changeStatus", "budget").alias("change_status.resource_name"),
            )
        )

    def change_events(self) -> pl.DataFrame:
        """Budget edits of the last 30 days, and what was changed through the API."""
        cents = (pl.col("budget") * 100).round(0).cast(pl.Int64).mul(10_000)
        simulated = (
            self._tables.levers_lately(30)
            .sort("lever_id", "snapshot_date")
            .with_columns(new_amount=cents)
            .with_columns(old_amount=pl.col("new_amount").shift(1).over("lever_id"))
            .filter(pl.col("new_amount") != pl.col("old_amount"))
            .select(
                pl.col("campaign_id").cast(pl.Int64).alias("campaign.id"),
                pl.col("last_edited_at").map_elements(_account_time, return_dtype=pl.String).alias("moment"),
                pl.lit("CAMPAIGN_BUDGET").alias("type"),
                pl.lit("GOOGLE_ADS_WEB_CLIENT").alias("client"),
                "old_amount",
                "new_amount",
                *(pl.lit(None, dtype=pl.String).alias(f"{when}_status") for when in ("old", "new")),
            )
        )
        event = "change_event"
        return (
            pl.concat([simulated, self._written_events(simulated.schema)])
            .with_columns(google_budget_id(pl.col("campaign.id")).alias("budget"))
            .with_columns(
                pl.when(pl.col("type") == "CAMPAIGN")
                .then(name_of("campaigns", "campaign.id"))
                .otherwise(name_of("campaignBudgets", "budget"))
                .alias(f"{event}.change_resource_name"),
                pl.col("moment").str.replace_all(r"\D", "").alias("digits"),
                pl.int_range(pl.len()).alias("nth"),
            )
            .select(
                "campaign.id",
                pl.col("moment").alias(f"{event}.change_date_time"),
                pl.lit("UPDATE").alias(f"{event}.resource_change_operation"),
                pl.col("type").alias(f"{event}.change_resource_type"),
                pl.col("client").alias(f"{event}.client_type"),
                pl.lit("media@northstar.example").alias(f"{event}.user_email"),
                pl.when(pl.col("type") == "CAMPAIGN")
                .then(pl.lit("status"))
                .otherwise(pl.lit("amount_micros"))
                .alias(f"{event}.changed_fields"),
                *(
                    pl.col(f"{when}_{kind}").alias(f"{event}.{when}_resource.{path}")
                    for when in ("old", "new")
                    for kind, path in (
                        ("amount", "campaign_budget.amount_micros"),
                        ("status", "campaign.status"),
                    )
                ),
                pl.lit(None, dtype=pl.String).alias(f"{event}.ad_group"),
                name_of("campaigns", "campaign.id").alias(f"{event}.campaign"),
                f"{event}.change_resource_name",
                name_of("changeEvents", "digits", "nth").alias(f"{event}.resource_name"),
            )
        )

    def _written_events(self, schema: pl.Schema) -> pl.DataFrame:
        rows = [
            {
                "campaign.id": change.campaign_id,
                "moment": change.moment,
                "type": change.resource_type,
                "client": "GOOGLE_ADS_API",
                f"old_{_VALUE[change.resource_type]}": change.old,
                f"new_{_VALUE[change.resource_type]}": change.new,
            }
            for change in self._written
        ]
        return pl.DataFrame(rows, schema=schema)


def _account_time(text: str) -> str:
    """Google's spelling: the account's clock, microseconds, no zone."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S.%f")
