"""Checks that belong to no single computation: is a morning's input complete and fit to decide on.

Here: checks over finished tables. Not here: checks computed with their asset (they stand beside it).
"""

import dagster as dg
import polars as pl

from aelp_assets.metadata import asset_key, markdown_table
from aelp_assets.partitions import decision_days
from resources.settings import Settings
from resources.warehouse.interface import Warehouse
from resources.warehouse.schema import TableName


@dg.asset_check(
    asset=asset_key("ops.file_landings"),
    description="No file of the newest landing was refused as a whole.",
)
def no_file_was_refused(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Warns with each refused file and its reason; the other files are loaded."""
    refused = warehouse.query(
        """
        select file, reason
        from ops.file_landings
        where status = 'refused' and landed_at = (select max(landed_at) from ops.file_landings)
        """
    )
    return dg.AssetCheckResult(
        passed=refused.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"refused": markdown_table(refused), "count": refused.height},
    )


@dg.asset_check(
    asset=asset_key("ops.account_audits"),
    blocking=True,
    partitions_def=decision_days,
    description="Every account that was landed has an audit verdict this morning.",
)
def every_account_is_audited(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """An account without a verdict would be decided on by accident or left out in silence."""
    missing = warehouse.query(
        """
        select accounts.source, accounts.account_id
        from ops.accounts as accounts
        inner join intermediate.int_account_days as days
            on days.platform = accounts.source and days.account_id = accounts.account_id
        left join ops.account_audits as audits
            on audits.source = accounts.source and audits.account_id = accounts.account_id
            and audits.as_of_date = $morning
        where audits.account_id is null and days.date < $morning
        group by accounts.source, accounts.account_id
        """,
        {"morning": context.partition_key},
    )
    return dg.AssetCheckResult(
        passed=missing.is_empty(), metadata={"without_verdict": markdown_table(missing)}
    )


@dg.asset_check(
    asset=asset_key("ops.decision_accounts"),
    blocking=True,
    partitions_def=decision_days,
    description="At least one account is fresh and plausible: nothing is allocated on doubtful data.",
)
def someone_may_be_decided_on(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Blocks the morning when every account is stale, implausible or empty."""
    accounts = warehouse.query(
        """
        select platform, account_id, eligible, reason
        from ops.decision_accounts
        where as_of_date = $morning
        """,
        {"morning": context.partition_key},
    )
    return dg.AssetCheckResult(
        passed=bool(accounts["eligible"].any()), metadata={"accounts": markdown_table(accounts, rows=50)}
    )


@dg.asset_check(
    asset=["gaelp_training", "ads_ad_daily"],
    description="Campaigns without a track are shown, and never allocated to.",
)
def every_campaign_has_a_track(
    warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Warns of money spent outside every configured track."""
    tracks = warehouse.read(TableName("intermediate", "int_campaign_tracks"))
    outside = tracks.filter(~pl.col("track").is_in(list(settings.tracks)))
    return dg.AssetCheckResult(
        passed=outside.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"campaigns": markdown_table(outside), "count": outside.height},
    )


CHECKS = [
    no_file_was_refused,
    every_account_is_audited,
    someone_may_be_decided_on,
    every_campaign_has_a_track,
]
