"""Sources of each lever's day and its alarms.

Here: spend within the day. Not here: stops that follow from an alarm (`governance`).
"""

from aelp_assets.column_sources.notation import Maker, carried, computed, declared, made, rows_by

_CAMPAIGNS = "gaelp_training.ads_campaign_daily"
_LEVERS = "gaelp_training.budget_levers"
_META = "staging.stg_meta__hourly_spend"
_OTHERS = "staging.stg_platforms__intraday_spend"
_ACCOUNTS = "staging.stg_ops__accounts"
_PULLS = "staging.stg_ops__spend_pulls"

_LEVER = "platform account_id track lever_id"
_TOLD = {
    _META: "date hour spend campaign_id adset_id",
    _OTHERS: "date hour spend campaign_id adgroup_id",
    _LEVERS: "lever_level entity_id budget_id campaign_id",
    _ACCOUNTS: "timezone",
    _PULLS: "read_at",
}
_WORST = {_LEVERS: "current_budget budget_type"}
_EXPECTED = (_WORST, {_META: "hour spend", _OTHERS: "hour spend", _CAMPAIGNS: "date cost"})
_OF_EVERY_DAY = rows_by(
    {
        _CAMPAIGNS: "date platform account_id",
        _LEVERS: f"date {_LEVER} campaign_id status budget_type lever_source",
        _META: "platform account_id breakdown_set",
        _OTHERS: "platform account_id breakdown_set",
        _ACCOUNTS: "platform account_id",
        _PULLS: "platform account_id date",
    }
)
PACING = declared(
    "ops.pacing",
    made("as_of_date hour", Maker.MORNING, Maker.CODE),
    carried(_LEVERS, _LEVER),
    computed("date", {_ACCOUNTS: "timezone"}),
    made("date", Maker.CLOCK),
    computed("budget", {_LEVERS: "current_budget"}),
    computed("worst_case", _WORST),
    computed("expected_share expected_spend", *_EXPECTED),
    computed("spend spend_reported", _TOLD),
    computed("day_end_p10 day_end_p50 day_end_p90 p_above_worst_case", _TOLD, *_EXPECTED),
    computed("reading reading_reason", {_PULLS: "read_at asked_at error_class message"}, _TOLD),
    made("reading reading_reason", Maker.CLOCK),
    computed("read_at", {_PULLS: "read_at"}),
    made("reporting_delay_hours", Maker.SETTINGS),
    _OF_EVERY_DAY,
)
SPEND_ALARMS = declared(
    "ops.spend_alarms",
    made("as_of_date hour", Maker.MORNING, Maker.CODE),
    carried(_LEVERS, _LEVER),
    computed("alarm_id", {_LEVERS: _LEVER}),
    computed("date", {_ACCOUNTS: "timezone"}),
    made("date", Maker.CLOCK),
    computed("kind spend day_end_p50 p_above_worst_case reason", _TOLD, *_EXPECTED),
    computed("budget", {_LEVERS: "current_budget"}),
    computed("worst_case", _WORST),
    computed("read_at", {_PULLS: "read_at"}),
    made("reporting_delay_hours", Maker.SETTINGS),
    _OF_EVERY_DAY,
)
