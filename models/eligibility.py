"""Which accounts a morning's decision may rest on.

Here: the verdict from the plausibility audit and the age of the data. Not here: the audit's own
statistics (`plausibility`) and what is then decided.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl


def decision_accounts(
    account_days: pl.DataFrame,
    audits: pl.DataFrame,
    accounts: pl.DataFrame,
    *,
    as_of_date: date,
    max_data_age_days: int,
    maturity_days: int,
) -> pl.DataFrame:
    """One verdict per account: eligible only if it passed its audit and its data are fresh.

    Stale inputs are worse than none: an account whose newest day is older than `max_data_age_days` before
    `as_of_date` keeps its budgets.

    Args:
        account_days: date, platform, account_id (one row per account and report day before `as_of_date`).
        audits: source, account_id, check_name, status, detail, decision_eligible.
        accounts: source, account_id, maturity_days (null: `maturity_days`).
        as_of_date: the morning of the decision, account-local.
        max_data_age_days: newest report day must be at least `as_of_date` minus this.
        maturity_days: the default age at which a cohort is judged.

    Returns:
        as_of_date, platform, account_id, last_report_date, maturity_days, eligible, reason; sorted.
    """
    newest = account_days.group_by("platform", "account_id").agg(
        pl.col("date").max().alias("last_report_date")
    )
    verdicts = audits.group_by(pl.col("source").alias("platform"), "account_id").agg(
        pl.col("decision_eligible").all().alias("passed_audit"),
        pl.col("check_name").filter(pl.col("status") == "failed").sort().str.join(", ").alias("failed"),
    )
    oldest_allowed = as_of_date - timedelta(days=max_data_age_days)
    fresh = pl.col("last_report_date") >= oldest_allowed
    reason = (
        pl.when(pl.col("last_report_date").is_null())
        .then(pl.lit("no daily data before this morning"))
        .when(pl.col("passed_audit").is_null())
        .then(pl.lit("not audited yet"))
        .when(~pl.col("passed_audit"))
        .then(pl.format("plausibility audit failed: {}", pl.col("failed")))
        .when(~fresh)
        .then(
            pl.format(
                "stale: newest report day {} is older than {}",
                "last_report_date",
                pl.lit(str(oldest_allowed)),
            )
        )
        .otherwise(pl.lit("audit passed, data fresh"))
    )
    return (
        accounts.select(
            pl.col("source").alias("platform"),
            "account_id",
            pl.col("maturity_days").fill_null(maturity_days).cast(pl.Int64),
        )
        .join(newest, on=["platform", "account_id"], how="left")
        .join(verdicts, on=["platform", "account_id"], how="left")
        .select(
            pl.lit(as_of_date).alias("as_of_date"),
            "platform",
            "account_id",
            "last_report_date",
            "maturity_days",
            eligible=(pl.col("passed_audit") & fresh).fill_null(value=False),
            reason=reason,
        )
        .sort("platform", "account_id")
    )


def of_eligible(rows: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    """Rows of eligible accounts, with that account's `maturity_days` joined on.

    Args:
        rows: any frame with platform and account_id.
        accounts: what `decision_accounts` returned.
    """
    keep = accounts.filter("eligible").select("platform", "account_id", "maturity_days")
    return rows.join(keep, on=["platform", "account_id"], how="inner")


def maturity_by_account(accounts: pl.DataFrame) -> dict[tuple[str, str], int]:
    """Days until a cohort is judged, by (platform, account_id)."""
    rows = accounts.select("platform", "account_id", "maturity_days").iter_rows()
    return {(platform, account_id): days for platform, account_id, days in rows}
