"""Sources of what a morning decides about levers and arms.

Here: states, response, beliefs, decisions. Not here: launches (`launches`), what people sign (`governance`).
"""

from aelp_assets.column_sources.notation import Maker, carried, computed, declared, made, rows_by

_REWARD = "gaelp_training.reward_daily"
_LEVERS = "gaelp_training.budget_levers"
_ACCOUNTS = "ops.decision_accounts"
_CLUSTERS = "gaelp_training.lever_clusters"
_CURVES = "gaelp_training.response_curves"
_ALLOCATIONS = "gaelp_training.mmm_allocations"
_CHANNELS = "intermediate.int_campaign_channels"
_DAYS = "intermediate.int_lever_daily"
_TRAITS = "intermediate.int_lever_traits"
_CONTEXTS = "gaelp_training.context_rates"
_ARMS = "intermediate.int_arms"
_ARM_DAYS = "intermediate.int_arm_daily"
_TEST_LANE = "intermediate.int_test_lane_daily"

_KEY = "platform account_id lever_id track"
_CLICKS = {_REWARD: "date conversions_click completion completion_sd is_matured", _ACCOUNTS: "maturity_days"}
_VIEWS = {_REWARD: "date conversions_view completion completion_sd is_matured", _ACCOUNTS: "maturity_days"}
_SPEND = {_REWARD: "date cost completion completion_sd is_matured", _ACCOUNTS: "maturity_days"}
_CURVE = {_CLUSTERS: "cluster", _CURVES: "cluster may_rise elasticity_mean elasticity_sd"}
_ENVELOPE = {_ALLOCATIONS: "envelope", _CHANNELS: "channel"}
_REQUEST = (_CLICKS, _VIEWS, _SPEND, _CURVE, _ENVELOPE, {_LEVERS: "current_budget"})
# What the guardrails make of a request.
_GUARDED = (
    *_REQUEST,
    {
        _LEVERS: "minimum_budget budget_increment is_shared learning_state last_edited_at status "
        "lever_source budget_type",
        _ACCOUNTS: "eligible",
    },
)
_OF_EVERY_MORNING = rows_by(
    {
        _REWARD: f"date {_KEY}",
        _LEVERS: f"date campaign_id entity_name status budget_type {_KEY}",
        _ACCOUNTS: "platform account_id eligible",
        _CLUSTERS: _KEY,
        _ALLOCATIONS: "as_of_date track channel",
        _CHANNELS: "platform account_id campaign_id",
    }
)

_HISTORY = {
    _DAYS: "date cost conversions_click conversions_view",
    _LEVERS: "date current_budget status learning_state lever_source",
    _ACCOUNTS: "maturity_days",
    _TRAITS: "trait value",
}
_OF_EVERY_CURVE = rows_by(
    {
        _DAYS: f"date {_KEY}",
        _LEVERS: f"date status lever_source {_KEY}",
        _ACCOUNTS: "platform account_id eligible maturity_days",
        _TRAITS: "platform account_id lever_id trait",
    }
)
LEVER_CLUSTERS = declared(
    "gaelp_training.lever_clusters",
    made("as_of_date", Maker.MORNING),
    carried(_LEVERS, _KEY),
    computed("cluster is_brand_search basis", {_LEVERS: "track currency", _TRAITS: "trait value"}),
    computed("country audience event landing_page", {_TRAITS: "trait value"}),
    made("is_brand_search", Maker.SETTINGS),
    _OF_EVERY_CURVE,
)
RESPONSE_CURVES = declared(
    "gaelp_training.response_curves",
    made("as_of_date", Maker.MORNING),
    # Its clusters are those of lever_clusters, made in the same step of the same rows.
    computed("cluster is_brand_search", {_LEVERS: "track currency", _TRAITS: "trait value"}),
    computed("levers", {_LEVERS: "lever_id", _TRAITS: "trait value"}),
    computed("may_rise", _HISTORY),
    computed("usual_spend", {_DAYS: "date cost", _ACCOUNTS: "maturity_days"}),
    computed("elasticity_* estimate estimate_sd prior_share basis evidence_days", _HISTORY),
    computed("prior_mean prior_sd", {_TRAITS: "trait value"}),
    made("may_rise elasticity_* prior_*", Maker.SETTINGS),
    _OF_EVERY_CURVE,
)
LEVER_STATES = declared(
    "ops.lever_states",
    made("as_of_date", Maker.MORNING),
    made("has_lever", Maker.CODE),
    carried(_LEVERS, _KEY),
    carried(_LEVERS, "lever_level lever_source is_shared status learning_state budget_type currency"),
    carried(_LEVERS, "current_budget minimum_budget budget_increment"),
    computed("midnight_budget budget_7_days_ago", {_LEVERS: "date current_budget"}),
    computed("budget_7_days_ago", {_LEVERS: "status"}),
    computed("last_edited_at", {_LEVERS: "last_edited_at current_budget status lever_source date"}),
    computed("decision_eligible", {_ACCOUNTS: "eligible"}),
    computed("thompson_budget", *_REQUEST),
    computed("matured_spend", _SPEND),
    computed("p_cac_above_cap track_p_cac_above_cap expected_loss_rate", _CLICKS, _VIEWS, _SPEND),
    made("p_cac_above_cap track_p_cac_above_cap expected_loss_rate", Maker.SETTINGS),
    computed("marginal_contribution", _CLICKS, _VIEWS, _SPEND, _CURVE),
    computed("track_contribution", _CLICKS, _VIEWS, _SPEND),
    made("thompson_budget", Maker.SEED),
    made("marginal_contribution track_contribution", Maker.SETTINGS),
    _OF_EVERY_MORNING,
)
BANDIT_POSTERIORS = declared(
    "gaelp_training.bandit_posteriors",
    made("as_of_date", Maker.MORNING),
    made("reward_version", Maker.SETTINGS),
    carried(_LEVERS, _KEY),
    computed("window_start window_end", {_ACCOUNTS: "maturity_days"}),
    made("window_start window_end", Maker.MORNING, Maker.SETTINGS),
    computed("spend exposure young_exposure young_exposure_sd young_spend", _SPEND),
    computed("click_conversions evidence_clicks", _CLICKS),
    computed("view_conversions evidence_views", _VIEWS),
    computed("reward_mean half_life_days evidence_reward posterior_shape", _CLICKS, _VIEWS),
    computed("half_life_days posterior_shape", _SPEND),
    computed("posterior_rate cac_* p_cac_above_cap p_best p_meets_cap", _CLICKS, _VIEWS, _SPEND),
    made("p_best", Maker.SEED),
    made("p_cac_above_cap p_meets_cap", Maker.SETTINGS),
    _OF_EVERY_MORNING,
)
BANDIT_DECISIONS = declared(
    "gaelp_training.bandit_decisions",
    made("as_of_date", Maker.MORNING),
    carried(_LEVERS, _KEY),
    carried(_LEVERS, "lever_level lever_source current_budget"),
    computed("decision_id", {_LEVERS: _KEY}),
    made("decision_id", Maker.ARTIFACT),
    computed("advisory", {_LEVERS: "lever_source"}),
    computed("thompson_budget p_raise p_cut p_hold", *_REQUEST),
    computed("type proposed_budget change_fraction binding_rules reason", *_GUARDED),
    computed("expected_signups_change expected_loss learning_cost", *_GUARDED),
    made("type proposed_budget change_fraction binding_rules reason", Maker.SETTINGS, Maker.CONTROL),
    computed("p_cac_above_cap track_p_cac_above_cap", _CLICKS, _VIEWS, _SPEND),
    computed("cluster", {_CLUSTERS: "cluster"}),
    computed("elasticity", _CURVE),
    made("seed", Maker.SEED),
    made("settings_hash", Maker.SETTINGS),
    made("code_version", Maker.CODE),
    made("input_hash", Maker.ARTIFACT),
    made("upstream_hash run_id", Maker.RUN),
    _OF_EVERY_MORNING,
)
POLICY_RUNS = declared(
    "gaelp_training.policy_runs",
    made("as_of_date", Maker.MORNING),
    made("policy", Maker.CODE),
    carried(_LEVERS, "track"),
    made("track reward_version draws", Maker.SETTINGS),
    computed("levers", {_LEVERS: "lever_id track", _ACCOUNTS: "eligible"}),
    computed("half_life_days log_score_gain scored_lever_days posterior_hash", _CLICKS, _VIEWS, _SPEND),
    made("seed", Maker.SEED),
    made("settings_hash", Maker.SETTINGS),
    made("code_version", Maker.CODE),
    made("input_hash", Maker.ARTIFACT),
    made("run_id", Maker.RUN),
    _OF_EVERY_MORNING,
)
_ARM_DAY = {
    _ARM_DAYS: "date cost clicks impressions conversions_click conversions_view is_matured",
    _ACCOUNTS: "maturity_days",
}
_CONTEXT = {_CONTEXTS: "basis share p_worse p_cac_above_cap p_best cac_p10 cac_p50 cac_p90"}
_SCREENED = {_TEST_LANE: "impressions unique_link_clicks"}
ARM_DECISIONS = declared(
    "gaelp_training.arm_decisions",
    made("as_of_date", Maker.MORNING),
    carried(_ARMS, "track platform account_id lever_id arm_kind arm_id arm_name status"),
    carried(_CONTEXTS, "track platform account_id lever_id"),
    computed("arm_kind", {_CONTEXTS: "dimension"}),
    computed("arm_id arm_name", {_CONTEXTS: "lever_id breakdown value"}),
    computed("advisory", {_ARMS: "lever_source"}),
    computed("type reason design", _ARM_DAY, _CONTEXT, _SCREENED, {_ARMS: "status"}),
    computed("spend", {_ARM_DAYS: "date cost is_matured", _ACCOUNTS: "maturity_days", _CONTEXTS: "cost"}),
    computed(
        "clicks", {_ARM_DAYS: "date clicks is_matured", _ACCOUNTS: "maturity_days", _CONTEXTS: "clicks"}
    ),
    computed("impressions", {_ARM_DAYS: "date impressions is_matured", _CONTEXTS: "impressions"}),
    computed("impressions", {_ACCOUNTS: "maturity_days"}),
    computed("reward_mean cac_* p_cac_above_cap p_best", _ARM_DAY),
    computed("reward_mean", {_CONTEXTS: "signups"}),
    computed("cac_* p_cac_above_cap p_best", _CONTEXT),
    computed("p_ctr_below", _SCREENED),
    made("type reason design p_ctr_below", Maker.SETTINGS),
    made("p_best", Maker.SEED),
    rows_by(
        {
            _ARMS: "arm_kind",
            _ARM_DAYS: "platform account_id arm_kind arm_id",
            _CONTEXTS: "dimension breakdown value",
            _ACCOUNTS: "platform account_id eligible",
            _TEST_LANE: "platform account_id ad_id placement",
        }
    ),
)
