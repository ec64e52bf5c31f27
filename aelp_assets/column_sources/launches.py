"""Sources of slates, their policy pre-flight and launch plans.

Here: what a track should run next. Not here: what a launch made on its platform (`governance`).
"""

from aelp_assets.column_sources.notation import Maker, carried, computed, declared, made, rows_by

_DAYS = "intermediate.int_creative_daily"
_SCORES = "gaelp_training.ad_scores"
_STATES = "ops.lever_states"
_DECISIONS = "gaelp_training.bandit_decisions"
_CREATIVES = "gaelp_training.creative_objects"
_ACCOUNTS = "ops.decision_accounts"
_SLATES = "gaelp_training.slates"
_LEVERS = "gaelp_training.budget_levers"
_REVIEWS = "gaelp_training.policy_reviews"

_CREATIVE = "platform account_id creative_id"
_BELIEF = {
    _DAYS: "date cost clicks impressions conversions_click conversions_view is_matured",
    _ACCOUNTS: "maturity_days",
    _SCORES: "ctr_multiplier cvr_multiplier delivered_impressions",
}
_BUDGET = {_STATES: "current_budget", _DECISIONS: "proposed_budget", _DAYS: "cost"}
SLATES = declared(
    _SLATES,
    made("as_of_date", Maker.MORNING),
    made("status", Maker.CODE),
    carried(_DAYS, f"track {_CREATIVE}"),
    carried(_CREATIVES, _CREATIVE),
    computed("rank role", _BELIEF, _BUDGET, {_CREATIVES: "created_on first_seen"}),
    computed("budget", _BELIEF, _BUDGET),
    computed("p_best p_meets_cap signups_* cac_*", _BELIEF, _BUDGET),
    computed("p_one_click", _BELIEF),
    computed("score_multiplier", {_SCORES: "ctr_multiplier cvr_multiplier delivered_impressions"}),
    made("signups_per_click_conversion signups_per_view_conversion", Maker.SETTINGS),
    made("rank role budget p_best p_meets_cap signups_p* cac_*", Maker.SETTINGS, Maker.SEED),
    rows_by(
        {
            _DAYS: f"date track {_CREATIVE}",
            _SCORES: f"as_of_date track {_CREATIVE} placement",
            _STATES: "platform account_id lever_id track has_lever status",
            _DECISIONS: "platform account_id lever_id",
            _CREATIVES: _CREATIVE,
            _ACCOUNTS: "platform account_id eligible",
        }
    ),
)
_PLACE = {_LEVERS: "date campaign_id lever_level current_budget status"}
_OF_EVERY_LAUNCH = rows_by(
    {
        _SLATES: f"as_of_date track {_CREATIVE}",
        _LEVERS: "date platform account_id track campaign_id lever_source status current_budget",
        _CREATIVES: _CREATIVE,
    }
)
POLICY_REVIEWS = declared(
    _REVIEWS,
    made("as_of_date", Maker.MORNING),
    carried(_SLATES, f"track {_CREATIVE}"),
    made("policy_profile", Maker.SETTINGS),
    computed("passed blocking_flags flags", {_CREATIVES: "headline body call_to_action link_url"}),
    made("passed blocking_flags flags", Maker.SETTINGS),
    computed("link", {_CREATIVES: "link_url"}, _PLACE),
    computed("passed blocking_flags flags link", {_CREATIVES: "creative_name theme"}),
    _OF_EVERY_LAUNCH,
)
LAUNCH_PLANS = declared(
    "gaelp_training.launch_plans",
    made("as_of_date", Maker.MORNING),
    carried(_SLATES, f"track {_CREATIVE} rank role status p_best p_meets_cap p_one_click"),
    carried(_CREATIVES, "creative_name theme"),
    computed("launch_id", {_SLATES: f"track {_CREATIVE}"}),
    computed("lane lane_reason", {_SLATES: "role p_meets_cap p_one_click"}),
    computed("lever_level", {_LEVERS: "lever_level"}),
    computed("parent_campaign_id utm_campaign", _PLACE),
    computed("entity_name utm_content", {_SLATES: "track creative_id", _CREATIVES: "creative_name theme"}),
    computed("currency", _PLACE, {_LEVERS: "currency"}),
    computed("advisory", _PLACE, {_LEVERS: "lever_source"}),
    computed("daily_budget daily_budget_cents", {_SLATES: "budget"}, _PLACE),
    computed("daily_budget daily_budget_cents", {_LEVERS: "budget_increment minimum_budget"}),
    computed("minimum_budget", _PLACE, {_LEVERS: "minimum_budget"}),
    computed("link", {_CREATIVES: "link_url creative_name theme"}, _PLACE),
    made("frequency_cap frequency_days placements utm_* starts_at lane lane_reason link", Maker.SETTINGS),
    made("starts_at", Maker.MORNING),
    rows_by({_REVIEWS: f"track {_CREATIVE} passed", _CREATIVES: "headline body call_to_action"}),
    _OF_EVERY_LAUNCH,
)
