"""Checks that belong to no single computation: is a morning's input complete and fit to decide on.

Here: checks over finished tables. Not here: checks computed with their asset (they stand beside it).
"""

from datetime import date, timedelta

import dagster as dg
import polars as pl

from aelp_assets.audits import AUDIT_DAYS
from aelp_assets.metadata import asset_key, markdown_table
from aelp_assets.partitions import WAREHOUSE_POOL, decision_days
from resources.settings import Settings
from resources.warehouse.interface import Warehouse
from resources.warehouse.retrying import tried_again_while_locked
from resources.warehouse.schema import TableName

_NAMED = 5  # accounts spelt out in a check's one line; all of them are in its metadata

# Where a morning is refreshed by the daemon, its gates run in that same run, before what they gate.
WITH_ITS_ASSET = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.will_be_requested()).with_label(
    "with its asset"
)


@dg.asset_check(
    asset=asset_key("ops.file_landings"),
    pool=WAREHOUSE_POOL,
    description="No file of the newest landing was refused as a whole.",
)
def no_file_was_refused(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
    """Warns with each refused file and its reason; the other files are loaded."""
    refused = warehouse.query(
        """
        select file, reason
        from ops.file_landings
        where status = 'refused' and landed_at = (select max(landed_at) from ops.file_landings)
        order by file
        """
    )
    return dg.AssetCheckResult(
        passed=refused.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            "No file was refused."
            if refused.is_empty()
            else f"{refused.height} files refused, the others are loaded; the first: {refused['file'][0]}: "
            f"{refused['reason'][0]}"
        ),
        metadata={"refused": markdown_table(refused), "count": refused.height},
    )


@dg.asset_check(
    asset=asset_key("ops.account_audits"),
    blocking=True,
    pool=WAREHOUSE_POOL,
    partitions_def=decision_days,
    automation_condition=WITH_ITS_ASSET,
    description=f"Every account with a report day in the last {AUDIT_DAYS} has an audit verdict.",
)
def every_account_is_audited(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """An account without a verdict would be decided on by accident or left out in silence.

    The audit reads `AUDIT_DAYS`; an account without a day in them is dormant: no verdict is owed, and
    `ops.decision_accounts` leaves it out with that reason.
    """
    morning = date.fromisoformat(context.partition_key)
    with tried_again_while_locked():
        accounts = warehouse.query(
            """
            with reported as (
                select platform, account_id, max(date) as last_report_date
                from intermediate.int_account_days
                where date >= $first and date < $morning
                group by platform, account_id
            ),

            audited as (
                select distinct source, account_id
                from ops.account_audits
                where as_of_date = $morning
            )

            select
                accounts.source as platform,
                accounts.account_id,
                reported.last_report_date,
                audited.account_id is not null as audited
            from ops.accounts as accounts
            left join reported
                on reported.platform = accounts.source and reported.account_id = accounts.account_id
            left join audited
                on audited.source = accounts.source and audited.account_id = accounts.account_id
            order by accounts.source, accounts.account_id
            """,
            {"first": morning - timedelta(days=AUDIT_DAYS), "morning": morning},
        )
    awake, audited = pl.col("last_report_date").is_not_null(), pl.col("audited")
    missing = accounts.filter(awake & ~audited).drop("audited")
    dormant = accounts.filter(~awake & ~audited).select("platform", "account_id")
    owed = accounts.height - dormant.height
    return dg.AssetCheckResult(
        passed=missing.is_empty(),
        description=(
            f"{owed} accounts have a verdict; {dormant.height} are dormant."
            if missing.is_empty()
            else f"{missing.height} of {owed} accounts have no verdict for {morning}: {_named(missing)}. "
            "Materialise ops.account_audits for this morning again."
        ),
        metadata={"without_verdict": markdown_table(missing), "dormant": markdown_table(dormant)},
    )


@dg.asset_check(
    asset=asset_key("ops.decision_accounts"),
    blocking=True,
    pool=WAREHOUSE_POOL,
    partitions_def=decision_days,
    automation_condition=WITH_ITS_ASSET,
    description="At least one account is fresh and plausible: nothing is allocated on doubtful data.",
)
def someone_may_be_decided_on(
    context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.AssetCheckResult:
    """Blocks the morning when every account is stale, dormant or implausible."""
    with tried_again_while_locked():
        accounts = warehouse.query(
            """
            select platform, account_id, eligible, reason
            from ops.decision_accounts
            where as_of_date = $morning
            order by platform, account_id
            """,
            {"morning": date.fromisoformat(context.partition_key)},
        )
    eligible = int(accounts["eligible"].sum())
    return dg.AssetCheckResult(
        passed=eligible > 0,
        description=(
            f"{eligible} of {accounts.height} accounts may be decided on."
            if eligible
            else f"No account may be decided on the morning of {context.partition_key}: {_named(accounts)}. "
            "Land newer exports of a stale or dormant account; what a failed audit found stands in "
            "ops.account_audits."
        ),
        metadata={"accounts": markdown_table(accounts, rows=50)},
    )


def _named(accounts: pl.DataFrame) -> str:
    """`platform/account (reason)` of the first accounts, for one line of text."""
    reasons = accounts["reason"] if "reason" in accounts.columns else [None] * accounts.height
    named = [
        f"{platform}/{account}" + (f" ({reason})" if reason else "")
        for platform, account, reason in zip(
            accounts["platform"], accounts["account_id"], reasons, strict=True
        )
    ]
    more = [f"and {len(named) - _NAMED} more"] if len(named) > _NAMED else []
    return "; ".join([*named[:_NAMED], *more]) or "none has been landed"


@dg.asset_check(
    asset=["gaelp_training", "ads_ad_daily"],
    pool=WAREHOUSE_POOL,
    description="Campaigns without a track are shown, and never allocated to.",
)
def every_campaign_has_a_track(
    warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Warns of money spent outside every configured track."""
    tracks = warehouse.read(TableName("intermediate", "int_campaign_tracks"))
    outside = tracks.filter(~pl.col("track").is_in(list(settings.tracks))).sort("platform", "account_id")
    return dg.AssetCheckResult(
        passed=outside.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"All {tracks.height} campaigns have a track."
            if outside.is_empty()
            else f"{outside.height} of {tracks.height} campaigns are in no configured track and get no "
            f"budget, in {_named(outside.select('platform', 'account_id').unique(maintain_order=True))}. "
            "Add a track rule to the settings."
        ),
        metadata={"campaigns": markdown_table(outside), "count": outside.height},
    )


CHECKS = [
    no_file_was_refused,
    every_account_is_audited,
    someone_may_be_decided_on,
    every_campaign_has_a_track,
]
