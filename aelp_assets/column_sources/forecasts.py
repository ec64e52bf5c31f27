"""Sources of what is expected of placements, creatives, contexts and budgets.

Here: baselines, rates, forecasts, their backtest. Not here: what is decided on them (`decisions`).
"""

from aelp_assets.column_sources.notation import Maker, carried, computed, declared, made, rows_by

_PLACEMENTS = "intermediate.int_placement_daily"
_ACCOUNTS = "ops.decision_accounts"
_BASELINES = "gaelp_training.placement_baselines"
_BY_PLACEMENT = "intermediate.int_creative_placement_daily"
_SCORES = "gaelp_training.ad_scores"
_DAYS = "intermediate.int_lever_daily"
_TRACK_DAYS = "intermediate.int_track_daily"
_LEVERS = "gaelp_training.budget_levers"
_TRAITS = "intermediate.int_lever_traits"
_DELAY = "gaelp_training.conversion_delay"
_AGES = "intermediate.int_conversion_ages"
_BACKEND = "gaelp_training.platform_vs_backend"
_CLUSTERS = "gaelp_training.lever_clusters"
_CURVES = "gaelp_training.response_curves"
_ARM_LEVERS = "intermediate.int_arm_levers"

_OF_DAYS = {_PLACEMENTS: "date conversions_click conversions_view", _ACCOUNTS: "maturity_days"}
PLACEMENT_BASELINES = declared(
    _BASELINES,
    made("as_of_date", Maker.MORNING),
    made("window_days weighting outlier_days", Maker.SETTINGS),
    carried(_PLACEMENTS, "track placement impressions clicks cost"),
    computed("days outlier_days", {_PLACEMENTS: "date impressions clicks cost"}),
    computed("conversions", _OF_DAYS),
    made("conversions", Maker.SETTINGS),
    computed("cpm*", {_PLACEMENTS: "date cost impressions"}),
    computed("ctr*", {_PLACEMENTS: "date clicks impressions"}),
    computed("cvr*", {_PLACEMENTS: "date clicks"}, _OF_DAYS),
    computed("parent_weight", {_PLACEMENTS: "date cost impressions clicks"}, _OF_DAYS),
    rows_by(
        {_PLACEMENTS: "date platform account_id track placement", _ACCOUNTS: "platform account_id eligible"}
    ),
)
_MATURED = {_BY_PLACEMENT: "date conversions_click conversions_view", _ACCOUNTS: "maturity_days"}
CREATIVE_RATES = declared(
    "gaelp_training.creative_rates",
    made("as_of_date", Maker.MORNING),
    carried(_BY_PLACEMENT, "track platform account_id creative_id placement impressions clicks"),
    carried(_SCORES, "track platform account_id creative_id placement"),
    computed("conversions", _MATURED),
    made("conversions", Maker.SETTINGS),
    computed("cpm*", {_BY_PLACEMENT: "cost impressions", _BASELINES: "cpm_p10 cpm_p50 cpm_p90"}),
    computed(
        "ctr*",
        {
            _BY_PLACEMENT: "clicks impressions",
            _BASELINES: "ctr_p10 ctr_p50 ctr_p90",
            _SCORES: "ctr_multiplier",
        },
    ),
    computed(
        "cvr*",
        {_BY_PLACEMENT: "clicks", _BASELINES: "cvr_p10 cvr_p50 cvr_p90", _SCORES: "cvr_multiplier"},
        _MATURED,
    ),
    computed("score_multiplier", {_SCORES: "ctr_multiplier cvr_multiplier delivered_impressions"}),
    computed(
        "own_weight",
        _MATURED,
        {
            _BY_PLACEMENT: "cost impressions clicks",
            _BASELINES: "cpm_p10 cpm_p50 cpm_p90 ctr_p10 ctr_p50 ctr_p90 cvr_p10 cvr_p50 cvr_p90",
        },
    ),
    rows_by(
        {
            _BY_PLACEMENT: "date platform account_id track creative_id placement",
            _ACCOUNTS: "platform account_id eligible",
            _BASELINES: "track placement weighting",
            _SCORES: "as_of_date track platform account_id creative_id placement delivered_impressions",
        }
    ),
)
_SPEND = {_DAYS: "date cost", _LEVERS: "date current_budget status budget_type"}
_ANSWER = {_CLUSTERS: "cluster", _CURVES: "cluster may_rise elasticity_mean elasticity_sd"}
_CLICKS = (_SPEND, _ANSWER, {_DAYS: "clicks impressions", _TRACK_DAYS: "date impressions clicks cost"})
_SIGNUPS = (
    *_CLICKS,
    {
        _DAYS: "conversions_click conversions_view",
        _TRACK_DAYS: "conversions_click conversions_view",
        _ACCOUNTS: "maturity_days",
        _DELAY: "age conversions_known conversions_known_before",
        _AGES: "date age",
        _SCORES: "ctr_multiplier cvr_multiplier delivered_impressions",
        _ARM_LEVERS: "lever_id creative_id",
    },
)
_OF_EVERY_FORECAST = rows_by(
    {
        _DAYS: "date platform account_id track lever_id",
        _LEVERS: "date platform account_id track lever_id entity_name status lever_level lever_source "
        "is_shared learning_state budget_type currency minimum_budget budget_increment last_edited_at",
        _ACCOUNTS: "platform account_id eligible",
        _TRACK_DAYS: "date platform account_id track",
        _DELAY: "platform account_id",
        _AGES: "platform account_id",
        _BASELINES: "track placement weighting cpm ctr cvr",  # held against the forecast
        _BACKEND: "date track",
        _CLUSTERS: "platform account_id track lever_id",
        _SCORES: "as_of_date track platform account_id creative_id placement",
        _ARM_LEVERS: "platform account_id track lever_id ad_id creative_id",
    }
)
FORECAST_RESULTS = declared(
    "gaelp_training.forecast_results",
    made("as_of_date target_date", Maker.MORNING),
    carried(_LEVERS, "platform account_id track lever_id"),
    computed("budget is_current_budget", {_LEVERS: "current_budget"}),
    made("budget draws", Maker.SETTINGS),
    computed("spend_*", _SPEND),
    computed("impressions_* clicks_*", *_CLICKS),
    computed("signups_* cac_* p_cac_within_cap platform_cac_* incremental_cac_*", *_SIGNUPS),
    computed("backend_cac_*", *_SIGNUPS, {_BACKEND: "backend_new_customer_orders"}),
    computed("backend_cac_*", {_BACKEND: "platform_conversions_click platform_conversions_view"}),
    computed("contribution_margin_*", *_SIGNUPS),
    computed("score_multiplier", {_SCORES: "ctr_multiplier cvr_multiplier", _ARM_LEVERS: "lever_id"}),
    made("spend_* impressions_* clicks_* signups_* *cac_p*", Maker.SEED),
    made("p_cac_within_cap contribution_margin_*", Maker.SETTINGS, Maker.SEED),
    _OF_EVERY_FORECAST,
)
FORECAST_OUTLOOK = declared(
    "gaelp_training.forecast_outlook",
    made("as_of_date target_date horizon", Maker.MORNING, Maker.SETTINGS),
    carried(_LEVERS, "track"),
    computed("spend_*", _SPEND),
    computed("signups_* cac_* p_cac_within_cap p_meets_minimum", *_SIGNUPS),
    made("spend_* signups_* cac_* p_*", Maker.SEED),
    made("p_cac_within_cap p_meets_minimum", Maker.SETTINGS),
    _OF_EVERY_FORECAST,
)
_CONTEXT_DAYS = "gaelp_training.context_daily"
_OF_CONTEXT = {
    _CONTEXT_DAYS: "date cost impressions clicks conversions_click conversions_view",
    _ACCOUNTS: "maturity_days",
}
CONTEXT_RATES = declared(
    "gaelp_training.context_rates",
    made("as_of_date", Maker.MORNING),
    carried(_CONTEXT_DAYS, "platform account_id track lever_id dimension breakdown value"),
    carried(_CONTEXT_DAYS, "cost impressions clicks"),
    computed("signups", {_CONTEXT_DAYS: "conversions_click conversions_view"}),
    computed("share", {_CONTEXT_DAYS: "date cost"}),
    computed("cost impressions clicks signups share", {_ACCOUNTS: "maturity_days"}),
    computed("basis relative_* p_worse p_best cac_* p_cac_above_cap own_weight dispersion", _OF_CONTEXT),
    made("signups basis relative_* p_worse p_best cac_* p_cac_above_cap", Maker.SETTINGS),
    made("p_worse p_best relative_*", Maker.SEED),
    rows_by({_CONTEXT_DAYS: "date", _ACCOUNTS: "platform account_id eligible"}),
)
FORECAST_ACCURACY = declared(
    "gaelp_training.forecast_accuracy",
    made("as_of_date", Maker.MORNING),
    carried(_DAYS, "platform account_id"),
    made("metric horizon_days method origins", Maker.CODE, Maker.SETTINGS),
    computed(
        "origins forecasts coverage* pinball* crps* width*",
        {
            _DAYS: "date cost impressions clicks conversions_click conversions_view",
            _LEVERS: "date current_budget status budget_type lever_source learning_state",
            _TRAITS: "trait value",
            _ACCOUNTS: "maturity_days",
        },
    ),
    made("coverage* pinball* crps* width*", Maker.SEED),
    rows_by(
        {
            _DAYS: "platform account_id track lever_id",
            _LEVERS: "platform account_id track lever_id currency",
            _TRAITS: "platform account_id lever_id trait",
            _ACCOUNTS: "platform account_id eligible",
        }
    ),
)
