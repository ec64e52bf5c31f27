"""Sources of audits and of their verdict: which accounts a morning may decide on.

Here: the two tables every decision is gated by. Not here: what is known of accounts as they land (`landing`).
"""

from aelp_assets.column_sources.notation import Maker, carried, computed, declared, made, rows_by

_DAYS = "intermediate.int_account_days"
_PERIODS = "gaelp_training.ads_period_performance"
_AUDITS = "ops.account_audits"
_ACCOUNTS = "ops.accounts"

_MEASURED = {
    _DAYS: "date cost impressions clicks conversions_click conversions_view "
    + " ".join(f"cost_digit_{digit}" for digit in range(1, 10)),
    _PERIODS: "cost impressions clicks",
}
ACCOUNT_AUDITS = declared(
    _AUDITS,
    made("as_of_date", Maker.MORNING),
    computed("source", {_DAYS: "platform", _PERIODS: "platform"}),
    carried(_DAYS, "account_id"),
    carried(_PERIODS, "account_id"),
    made("check_name threshold", Maker.CODE),
    computed("status statistic detail decision_eligible", _MEASURED),
)
DECISION_ACCOUNTS = declared(
    "ops.decision_accounts",
    made("as_of_date", Maker.MORNING),
    computed("platform", {_ACCOUNTS: "source"}),
    carried(_ACCOUNTS, "account_id maturity_days"),
    made("maturity_days", Maker.SETTINGS),
    computed("last_report_date", {_DAYS: "date"}),
    computed("eligible reason", {_DAYS: "date", _AUDITS: "decision_eligible check_name status"}),
    made("eligible reason", Maker.SETTINGS),
    rows_by({_DAYS: "platform account_id", _AUDITS: "source account_id", _ACCOUNTS: "source"}),
)
