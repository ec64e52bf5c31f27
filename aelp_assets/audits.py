"""Audit assets: is an account's data plausible, and may this morning's decision use it.

Here: reading account-days, calling `models.plausibility` and `models.eligibility`. Not here: the
statistics themselves.
"""

import dagster as dg
import polars as pl

from aelp_assets.metadata import FRAME, result, table_metadata
from aelp_assets.ownership import DATA_ENGINEERING, DECISION_FRESHNESS, MARKETING_SCIENCE
from aelp_assets.partitions import WAREHOUSE_POOL, days_before, decision_days, morning_of, same_morning
from models import eligibility, plausibility
from resources.code_version import source_hash
from resources.settings import Settings, SourceName

AUDIT_DAYS = 365
# Which days are read is decided here, so this module is part of both versions.
_THIS_MODULE = "aelp_assets/audits.py"
# Their accounts hold no budgets: there is nothing to decide on.
_WITHOUT_ADVERTISING: tuple[SourceName, ...] = ("impact", "ga4", "orders", "vendor_files", "ad_library")


@dg.asset(
    dagster_type=FRAME,
    key=["ops", "account_audits"],
    ins={
        "int_account_days": dg.AssetIn(
            key=["intermediate", "int_account_days"], partition_mapping=days_before(AUDIT_DAYS)
        ),
        "ads_period_performance": dg.AssetIn(key=["gaelp_training", "ads_period_performance"]),
    },
    group_name="audits",
    kinds={"polars"},
    owners=DATA_ENGINEERING,
    partitions_def=decision_days,
    freshness_policy=DECISION_FRESHNESS,
    metadata=table_metadata("ops.account_audits"),
    code_version=source_hash("models/plausibility.py", _THIS_MODULE),
    pool=WAREHOUSE_POOL,
)
def account_audits(
    context: dg.AssetExecutionContext,
    int_account_days: pl.DataFrame,
    ads_period_performance: pl.DataFrame,
) -> dg.MaterializeResult:
    """Plausibility checks per account; one that fails is kept and shown, and never decided on."""
    audits = plausibility.audit_accounts(int_account_days, ads_period_performance)
    rows = audits.select(pl.lit(morning_of(context)).alias("as_of_date"), pl.all())
    failed = rows.filter(pl.col("status") == "failed")
    return result(
        rows,
        accounts=rows.select("source", "account_id").n_unique(),
        failed=failed.select("source", "account_id").n_unique(),
    )


@dg.asset(
    dagster_type=FRAME,
    key=["ops", "decision_accounts"],
    ins={
        "int_account_days": dg.AssetIn(
            key=["intermediate", "int_account_days"],
            partition_mapping=days_before(AUDIT_DAYS),
            metadata={"columns": ["date", "platform", "account_id"]},
        ),
        "account_audits": dg.AssetIn(key=["ops", "account_audits"], partition_mapping=same_morning),
        "accounts": dg.AssetIn(key=["ops", "accounts"]),
    },
    group_name="audits",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    partitions_def=decision_days,
    freshness_policy=DECISION_FRESHNESS,
    metadata=table_metadata("ops.decision_accounts"),
    code_version=source_hash("models/eligibility.py", _THIS_MODULE),
    pool=WAREHOUSE_POOL,
)
def decision_accounts(
    context: dg.AssetExecutionContext,
    int_account_days: pl.DataFrame,
    account_audits: pl.DataFrame,
    accounts: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult:
    """Which accounts this morning may decide on: audit passed and data fresh.

    An account without a report day in the audited window is dormant: shown, never decided on. Accounts of
    sources that carry no advertising are left out.
    """
    verdicts = eligibility.decision_accounts(
        int_account_days,
        account_audits,
        accounts.filter(~pl.col("source").is_in(_WITHOUT_ADVERTISING)),
        as_of_date=morning_of(context),
        max_data_age_days=settings.max_data_age_days,
        maturity_days=settings.attribution.maturity_days,
    )
    # Only here is it known how far back was read: "no data" there is "no data in this window" to a person.
    dormant = f"dormant: no report day in the {AUDIT_DAYS} days before this morning"
    rows = verdicts.with_columns(
        reason=pl.when(pl.col("last_report_date").is_null()).then(pl.lit(dormant)).otherwise("reason")
    )
    return result(rows, eligible=int(rows["eligible"].sum()), left_out=int((~rows["eligible"]).sum()))
