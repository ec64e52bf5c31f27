"""What is known of each account, and whether its data may drive a decision.

Here: names, zones, tracks of campaigns, what a signup is worth counting as, audits and their verdict. Not
here: budgets of its levers (`decisions.py`), channels of the media mix (`media_mix.py`).
"""

from __future__ import annotations

from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import AS_OF, columns

ACCOUNTS = Table(
    name=TableName("ops", "accounts"),
    description="What is known of each account from its exports and mappings.",
    columns=columns(
        ("source", "STRING", "Platform or file label.", True),
        ("account_id", "STRING", "Account.", True),
        ("account_name", "STRING", "Name shown to people.", True),
        ("currency", "STRING", "ISO 4217 code, XXX where unknown.", True),
        ("timezone", "STRING", "IANA zone of report_date.", True),
        (
            "declared_lever",
            "STRING",
            "What a mapping declares as lever: campaign, adgroup or ad.",
        ),
        ("maturity_days", "INT64", "Days until a cohort is judged; NULL: as in settings."),
        ("last_landed_at", "TIMESTAMP", "Last landing that named this account.", True),
    ),
    grain=("source", "account_id"),
)
TRACK_RULES = Table(
    name=TableName("ops", "track_rules"),
    description="Which campaign belongs to which track: settings first, then mappings. LIKE patterns.",
    columns=columns(
        ("rule_order", "INT64", "First match wins.", True),
        ("track", "STRING", "Track.", True),
        ("source_pattern", "STRING", "LIKE pattern on source.", True),
        ("account_pattern", "STRING", "LIKE pattern on account_id.", True),
        ("campaign_pattern", "STRING", "LIKE pattern on campaign name.", True),
    ),
    grain=("rule_order",),
)
REWARD_DEFINITIONS = Table(
    name=TableName("ops", "reward_definitions"),
    description="The reward definition in force: what the settings say a signup caused by advertising is.",
    columns=columns(
        ("version", "STRING", "Its name.", True),
        ("click_incrementality_mean", "FLOAT64", "Expected signups caused by a click conversion.", True),
        ("view_incrementality_mean", "FLOAT64", "Expected signups caused by a view conversion.", True),
        ("maturity_days", "INT64", "Age at which a cohort is judged, where its account has none.", True),
    ),
    grain=("version",),
)
ACCOUNT_AUDITS = Table(
    name=TableName("ops", "account_audits"),
    description="Plausibility audit per account; decides whether its data may drive a decision.",
    columns=columns(
        AS_OF,
        ("source", "STRING", "Platform or file label.", True),
        ("account_id", "STRING", "Account.", True),
        ("check_name", "STRING", "Which plausibility check.", True),
        ("status", "STRING", "passed, failed or skipped.", True),
        ("statistic", "FLOAT64", "The measured value; NULL when skipped."),
        ("threshold", "FLOAT64", "What it was held against; NULL when skipped."),
        ("detail", "STRING", "In words, with the reason of a skip.", True),
        ("decision_eligible", "BOOL", "The account's verdict over all checks.", True),
    ),
    grain=("as_of_date", "source", "account_id", "check_name"),
    partition="as_of_date",
)
DECISION_ACCOUNTS = Table(
    name=TableName("ops", "decision_accounts"),
    description="Which accounts a morning's decision may use, and why the others are left out.",
    columns=columns(
        AS_OF,
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("last_report_date", "DATE", "Newest report day known that morning."),
        ("maturity_days", "INT64", "Days until a cohort is judged.", True),
        ("eligible", "BOOL", "Whether decisions may use it.", True),
        ("reason", "STRING", "In words.", True),
    ),
    grain=("as_of_date", "platform", "account_id"),
    partition="as_of_date",
)
