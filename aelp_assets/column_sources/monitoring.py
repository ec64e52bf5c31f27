"""Sources of reviews, drift, readiness, events, and of what overrides and applied raises were worth.

Here: what came of decisions and changes. Not here: the changes themselves (`governance`).
"""

from aelp_assets.column_sources.notation import Maker, carried, computed, declared, made, rows_by

_DAYS = "intermediate.int_lever_daily"
_TRACK_DAYS = "intermediate.int_track_daily"
_TRAITS = "intermediate.int_lever_traits"
_LEVERS = "gaelp_training.budget_levers"
_ACCOUNTS = "ops.decision_accounts"
_KNOWN_ACCOUNTS = "ops.accounts"
_DELAY = "gaelp_training.conversion_delay"
_AS_KNOWN = "intermediate.int_conversions_as_known"
_RESULTS = "gaelp_training.forecast_results"
_OUTLOOK = "gaelp_training.forecast_outlook"
_BACKEND = "gaelp_training.platform_vs_backend"
_BACKTEST = "gaelp_training.forecast_accuracy"
_DRIFT = "gaelp_training.forecast_drift"
_RECONCILED = "gaelp_training.reconciliations"
_LIFT = "gaelp_training.apply_hold_lift"
_DECISIONS = "gaelp_training.bandit_decisions"
_STATES = "ops.lever_states"
_ALARMS = "ops.spend_alarms"
_PACING = "ops.pacing"
_EVENTS = "gaelp_training.safety_events"
_CREATIVE_DRIFT = "gaelp_training.creative_drift"
_PROPOSALS = "ops.proposals"
_APPROVALS = "ops.approvals"
_CHANGES = "ops.canary_changes"
_SNAPSHOT = "ops.canary_budgets_snapshot"
_OUTSIDE = "ops.external_edits"
_POSTERIORS = "gaelp_training.bandit_posteriors"
_REWARD = "gaelp_training.reward_daily"
_DRAWN = "ops.apply_hold_assignments"

_LEVER = "platform account_id track lever_id"
_SIGNUPS = {_DAYS: "conversions_click conversions_view"}
_MOVED = {_DAYS: "date cost impressions clicks conversions_click conversions_view"}
_ARRIVED = {
    _DELAY: "age share_arrived conversions_known conversions_known_before",
    _AS_KNOWN: "date age conversions",
    _KNOWN_ACCOUNTS: "maturity_days",
}
PERFORMANCE_CHANGES = declared(
    "gaelp_training.performance_changes",
    made("as_of_date day base_day comparison metric", Maker.MORNING, Maker.CODE),
    carried(_DAYS, "track platform"),
    computed("before after change", {_DAYS: "date cost"}, _SIGNUPS),
    computed("spend mix cpm ctr cvr without_clicks", _MOVED, _ARRIVED),
    computed("delay restatement sentence", _MOVED, _ARRIVED),
    made("before after change", Maker.SETTINGS),
    rows_by(
        {
            _DAYS: f"date {_LEVER}",
            _DELAY: "platform account_id",
            _AS_KNOWN: "platform account_id stream breakdown_set",
            _KNOWN_ACCOUNTS: "source account_id",
        }
    ),
)
_ACTUAL = {
    _DAYS: "date cost clicks impressions conversions_click conversions_view",
    _ACCOUNTS: "maturity_days",
}
# Mornings without a forecast are forecast now, as they would have been then.
_HINDCAST = (
    _ACTUAL,
    {
        _LEVERS: "date current_budget status budget_type lever_source learning_state",
        _TRAITS: "trait value",
        _TRACK_DAYS: "date cost clicks impressions conversions_click conversions_view",
    },
)
_FORECAST = {
    _RESULTS: " ".join(
        f"{metric}_p{level}" for metric in ("spend", "clicks", "signups", "cac") for level in (10, 50, 90)
    )
}
_FORETOLD = {
    _OUTLOOK: " ".join(
        f"{metric}_p{level}" for metric in ("spend", "signups", "cac") for level in (10, 50, 90)
    )
}
_OF_EVERY_REVIEW = rows_by(
    {
        _RESULTS: f"as_of_date target_date {_LEVER} budget is_current_budget",
        _OUTLOOK: "as_of_date target_date track horizon",
        _DAYS: f"date {_LEVER}",
        _LEVERS: f"date {_LEVER} currency lever_level is_shared minimum_budget budget_increment "
        "last_edited_at",
        _TRAITS: "platform account_id lever_id trait",
        _TRACK_DAYS: "date platform account_id track",
        _ACCOUNTS: "as_of_date platform account_id eligible",
    }
)
FORECAST_REVIEWS = declared(
    "gaelp_training.forecast_reviews",
    made("as_of_date made_on metric basis", Maker.MORNING, Maker.CODE),
    carried(_RESULTS, f"target_date {_LEVER}"),
    computed("made_on basis", {_RESULTS: "as_of_date"}),
    computed("p10 p50 p90 inside", _FORECAST, *_HINDCAST),
    computed("actual inside", _ACTUAL),
    made("p10 p50 p90", Maker.SEED),
    _OF_EVERY_REVIEW,
)
FORECAST_DRIFT = declared(
    _DRIFT,
    made("as_of_date basis", Maker.MORNING, Maker.CODE),
    carried(_RESULTS, "track"),
    computed("days coverage e_value", _FORECAST, *_HINDCAST),
    made("coverage e_value", Maker.SEED),
    _OF_EVERY_REVIEW,
)
FIDELITY_EVALUATIONS = declared(
    "gaelp_training.fidelity_evaluations",
    made("as_of_date horizon_days basis", Maker.MORNING, Maker.CODE),
    carried(_OUTLOOK, "track"),
    computed("first_target_date last_target_date mornings forecasts", {_OUTLOOK: "as_of_date target_date"}),
    computed("mape_cac mape_roas ks_distance coverage", _FORETOLD, *_HINDCAST),
    made("mape_roas", Maker.SETTINGS),
    _OF_EVERY_REVIEW,
)
_CLAIMED = {_BACKEND: "date platform_conversions_click platform_conversions_view"}
_ORDERED = {_BACKEND: "date backend_new_customer_orders"}
RECONCILIATIONS = declared(
    _RECONCILED,
    made("as_of_date first_date last_date", Maker.MORNING, Maker.SETTINGS),
    carried(_BACKEND, "track"),
    made("track", Maker.SETTINGS),
    computed("platform_signups", _CLAIMED),
    computed("backend_orders", _ORDERED),
    computed("claimed_per_order claimed_per_order_before status detail", _CLAIMED, _ORDERED),
    made("platform_signups claimed_per_order* status", Maker.SETTINGS),
)
READINESS = declared(
    "gaelp_training.readiness",
    made("as_of_date", Maker.MORNING),
    made("track criterion requirement threshold", Maker.SETTINGS, Maker.CODE),
    computed(
        "value passed detail",
        {
            _ACCOUNTS: "eligible reason last_report_date maturity_days",
            _BACKTEST: "metric horizon_days method coverage coverage_low coverage_high crps_difference "
            "crps_difference_low crps_difference_high origins forecasts",
            _DRIFT: "basis days coverage e_value",
            _RECONCILED: "claimed_per_order status detail backend_orders platform_signups",
            _LIFT: "comparison metric lift lift_low lift_high verdict windows_applied windows_held",
        },
        _SIGNUPS,
        {_DAYS: "date cost"},
    ),
    made("value", Maker.CONTROL),
    rows_by(
        {
            _DAYS: _LEVER,
            _ACCOUNTS: "platform account_id",
            _BACKTEST: "as_of_date platform account_id pinball_difference pinball_difference_low "
            "pinball_difference_high",
            _DRIFT: "as_of_date track",
            _RECONCILED: "as_of_date track",
            _LIFT: "as_of_date confidence",
        }
    ),
)
SAFETY_EVENTS = declared(
    _EVENTS,
    made("as_of_date", Maker.MORNING),
    made("kind severity remedy", Maker.CODE),
    computed("event_id subject", {_DECISIONS: f"decision_id {_LEVER}", _ALARMS: f"alarm_id {_LEVER}"}),
    computed("event_id subject", {_STATES: _LEVER, _PACING: "platform account_id", _DAYS: _LEVER}),
    computed("event_id subject", {_ACCOUNTS: "platform account_id"}),
    computed("event_id subject", {_DRIFT: "track basis", _RECONCILED: "track", _BACKTEST: "metric"}),
    computed("happened_on", {_DECISIONS: "as_of_date", _ALARMS: "date", _PACING: "date", _DAYS: "date"}),
    computed("event_id happened_on", {_CREATIVE_DRIFT: "as_of_date", _ACCOUNTS: "as_of_date"}),
    computed("track", {_DECISIONS: "track", _ALARMS: "track", _DAYS: "track", _DRIFT: "track"}),
    computed(
        "sentence",
        {
            _DECISIONS: "type reason current_budget",
            _ALARMS: "kind reason",
            _PACING: "reading reading_reason",
            _ACCOUNTS: "reason",
            _DRIFT: "coverage e_value days",
            _RECONCILED: "status detail",
            _BACKTEST: "coverage coverage_low coverage_high",
            _CREATIVE_DRIFT: "kind name value drift_limit",
            _DAYS: "cost",
            _LEVERS: "current_budget",
        },
    ),
    made("event_id happened_on subject sentence", Maker.CONTROL),
    rows_by(
        {
            _DECISIONS: "as_of_date advisory binding_rules",
            _STATES: "as_of_date decision_eligible thompson_budget status",
            _ACCOUNTS: "as_of_date eligible",
            _DAYS: "conversions_click conversions_view",
            _LEVERS: "date platform account_id lever_id budget_id lever_source budget_type",
            _PACING: "hour",
            _ALARMS: "spend worst_case hour",
            _DRIFT: "as_of_date",
            _CREATIVE_DRIFT: "is_drift",
            _RECONCILED: "as_of_date",
            _BACKTEST: "as_of_date platform account_id horizon_days method",
        }
    ),
)
NOTIFICATIONS = declared(
    "ops.notifications",
    carried(_EVENTS, "event_id severity sentence"),
    made("channel", Maker.SETTINGS),
    made("status attempts message created_at sent_at", Maker.CONTROL),
    rows_by({_EVENTS: "kind subject remedy track happened_on"}),
)
_CHOICE = {
    _PROPOSALS: "proposal_id type status current_budget proposed_budget as_of_date proposed_by",
    _APPROVALS: "proposal_id verdict decided_at reason",
    _CHANGES: "change_id proposal_id kind undoes status created_at finished_at reason mode",
    _SNAPSHOT: "change_id moment budget status",
    _OUTSIDE: "edited_at field value_before value_after",
}
_BELIEF = {_POSTERIORS: "posterior_shape posterior_rate"}
_CAME = {_REWARD: "date cost conversions_click conversions_view reward is_matured"}
_QUANTILES = "chosen_*_p* proposed_*_p*"
OVERRIDE_OUTCOMES = declared(
    "gaelp_training.override_outcomes",
    made("as_of_date", Maker.MORNING),
    carried(_PROPOSALS, f"proposal_id {_LEVER} current_budget proposed_budget"),
    computed("kind made_on chosen_on chosen_budget reason", _CHOICE),
    computed("first_day last_day days", _CHOICE, {_REWARD: "date is_matured"}),
    made("first_day last_day days", Maker.SETTINGS),
    computed(_QUANTILES, _CHOICE, _BELIEF),
    computed("realised_*", _CAME),
    computed("difference_* p_ahead", _CHOICE, _BELIEF, _CAME),
    made(f"{_QUANTILES} difference_* p_ahead", Maker.SETTINGS, Maker.SEED),
    rows_by(
        {
            _PROPOSALS: "decision_id reason created_at expires_at",
            _APPROVALS: "approver",
            _CHANGES: f"sequence {_LEVER}".replace(" track", " person"),
            _SNAPSHOT: f"proposal_id {_LEVER}".replace(" track", ""),
            _OUTSIDE: _LEVER.replace(" track", " person"),
            _POSTERIORS: f"as_of_date {_LEVER}",
            _REWARD: _LEVER,
            _LEVERS: f"date {_LEVER} current_budget status",
        }
    ),
)
OVERRIDE_LEARNINGS = declared(
    "gaelp_training.override_learnings",
    made("as_of_date", Maker.MORNING),
    made("kind is_enough", Maker.CODE),
    computed("overrides mornings is_enough", _CHOICE),
    computed("difference* sentence", _CHOICE, _BELIEF, _CAME),
    made("difference*", Maker.SEED),
)
_OF_WINDOWS = {_DRAWN: "as_of_date arm mode window_days hold_probability"}
APPLY_HOLD_LIFT = declared(
    _LIFT,
    made("as_of_date metric", Maker.MORNING, Maker.CODE),
    computed("comparison", {_DRAWN: "mode"}),
    made("comparison", Maker.CODE),
    computed("windows_applied windows_held first_window last_window", _OF_WINDOWS),
    computed("windows_applied windows_held first_window last_window", {_ACCOUNTS: "maturity_days"}),
    computed("lift* verdict", _OF_WINDOWS, _SIGNUPS, {_DAYS: "date cost", _ACCOUNTS: "maturity_days"}),
    made("lift* verdict", Maker.SETTINGS),
    made("confidence", Maker.CODE),
    rows_by({_DRAWN: _LEVER, _DAYS: f"date {_LEVER}", _ACCOUNTS: "platform account_id eligible"}),
)
