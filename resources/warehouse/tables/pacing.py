"""Spend within the day, hour by hour.

Here: each lever's day and its alarms. Not here: the hourly rows platforms report (`raw.py`), events people
are told of (`monitoring.py`).
"""

from __future__ import annotations

from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import AS_OF, columns

PACING = Table(
    name=TableName("ops", "pacing"),
    description="Each lever's day hour by hour: what is expected, what was spent, where the day will end.",
    columns=columns(
        AS_OF,
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("track", "STRING", "Track.", True),
        ("lever_id", "STRING", "Lever in budget_levers.", True),
        ("date", "DATE", "The account's own day.", True),
        ("hour", "INT64", "Account-local hour, 0 to 23.", True),
        ("budget", "NUMERIC", "Daily budget in force, account currency.", True),
        ("worst_case", "FLOAT64", "What the platform may spend on one day by its own rules.", True),
        ("expected_share", "FLOAT64", "Share of the day's spend by the hour's end.", True),
        ("expected_spend", "FLOAT64", "By the hour's end.", True),
        ("spend", "FLOAT64", "By the hour's end; NULL: not settled at the reading, or not read."),
        ("spend_reported", "FLOAT64", "What was told of it, hours not settled yet too: at least so much."),
        ("day_end_p10", "FLOAT64", "The day's spend as that hour foretold it; P(value <= this) = 10 %."),
        ("day_end_p50", "FLOAT64", "P(value <= this) = 50 %."),
        ("day_end_p90", "FLOAT64", "P(value <= this) = 90 %."),
        ("p_above_worst_case", "FLOAT64", "P(the day ends above worst_case)."),
        ("reading", "STRING", "Of the account's day: read, late, too_early or not_readable.", True),
        ("reading_reason", "STRING", "Why it is not simply read, and what to do; NULL where it is."),
        ("read_at", "TIMESTAMP", "When the day's spend was read last; NULL: never."),
        ("reporting_delay_hours", "FLOAT64", "How late its platform may report what is spent.", True),
    ),
    grain=("as_of_date", "platform", "account_id", "lever_id", "hour"),
    partition="as_of_date",
)
SPEND_ALARMS = Table(
    name=TableName("ops", "spend_alarms"),
    description="Levers that passed today, or will pass, what their platform may spend at worst.",
    columns=columns(
        AS_OF,
        ("alarm_id", "STRING", "Names day, lever and kind.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("track", "STRING", "Track.", True),
        ("lever_id", "STRING", "Lever in budget_levers.", True),
        ("kind", "STRING", "spend_above_worst_case or day_end_above_worst_case.", True),
        ("date", "DATE", "The account's own day.", True),
        ("hour", "INT64", "First account-local hour at whose end it was so.", True),
        ("budget", "NUMERIC", "Daily budget in force.", True),
        ("worst_case", "FLOAT64", "What the platform may spend on one day.", True),
        ("spend", "FLOAT64", "By the end of that hour, as far as it was told.", True),
        ("day_end_p50", "FLOAT64", "Where the day would end; NULL: the hour was not settled yet."),
        ("p_above_worst_case", "FLOAT64", "P(the day ends above worst_case).", True),
        ("read_at", "TIMESTAMP", "When that was read.", True),
        ("reporting_delay_hours", "FLOAT64", "How late the platform may report what is spent.", True),
        ("reason", "STRING", "One sentence for a person.", True),
    ),
    grain=("as_of_date", "platform", "account_id", "lever_id", "kind"),
    partition="as_of_date",
)
