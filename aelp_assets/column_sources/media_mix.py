"""Sources of the media mix: fits, curves, channels, envelopes, tests.

Here: what follows from weeks and draws. The draws themselves are an artifact; what a fit gives comes through
`draws_hash`, so curves and envelopes are traced to the fit and from there to the weeks.
"""

from aelp_assets.column_sources.notation import Maker, carried, computed, declared, made, rows_by

_WEEKS = "gaelp_training.mmm_input_weekly"
_DAYS = "intermediate.int_lever_daily"
_LEVERS = "gaelp_training.budget_levers"
_TRAITS = "intermediate.int_lever_traits"
_CHANNELS = "intermediate.int_campaign_channels"
_ACCOUNTS = "ops.decision_accounts"
_FITS = "gaelp_training.mmm_fit_diagnostics"

_LEVER = "platform account_id track lever_id"
_FITTED = {
    _WEEKS: "week channel told_by spend conversions new_customers revenue event_share promotion_share "
    "freeze_share trend",
}
# Randomised holds of approved raises, which the fit counts as lift tests.
_RANDOMISED = {
    _DAYS: "date cost conversions_click conversions_view",
    _LEVERS: "date campaign_id track",
    _TRAITS: "trait value",
    _CHANNELS: "channel",
    _ACCOUNTS: "maturity_days",
}
MMM_FIT_DIAGNOSTICS = declared(
    _FITS,
    made("as_of_date", Maker.MORNING),
    carried(_WEEKS, "track"),
    made("track", Maker.SETTINGS),
    computed("model outcome reasons warnings passed", _FITTED, _RANDOMISED),
    computed("weeks first_week last_week", {_WEEKS: "week is_complete"}),
    computed("channels parameters", {_WEEKS: "channel spend"}),
    computed("lift_tests", _RANDOMISED),
    computed("max_rhat min_ess_* divergences bfmi p_sd p_autocorrelation p_max", _FITTED, _RANDOMISED),
    computed("weeks_in_interval r_squared memory elpd worst_pareto_k", _FITTED, _RANDOMISED),
    computed("disagreeing draws_hash", _FITTED, _RANDOMISED),
    made("model outcome max_rhat min_ess_* divergences bfmi disagreeing", Maker.SETTINGS, Maker.SEED),
    made("draws_hash", Maker.ARTIFACT),
    rows_by(
        {
            _WEEKS: "track is_complete",
            _DAYS: "platform account_id lever_id",
            _LEVERS: f"{_LEVER} campaign_id currency",
            _TRAITS: "platform account_id lever_id trait value",
            _CHANNELS: "platform account_id campaign_id track",
            _ACCOUNTS: "as_of_date platform account_id eligible",
        }
    ),
)
_DRAWS = {_FITS: "draws_hash"}
_OF_EVERY_MIX = (
    made("as_of_date", Maker.MORNING),
    carried(_FITS, "track model"),
    computed("channel", _DRAWS),
    made("channel", Maker.ARTIFACT),
    rows_by(
        {
            _FITS: "passed draws_hash outcome weeks first_week last_week",
            _LEVERS: f"date {_LEVER} campaign_id status",
            _CHANNELS: "platform account_id campaign_id channel",
        }
    ),
)
MMM_CURVES = declared(
    "gaelp_training.mmm_curves",
    *_OF_EVERY_MIX,
    computed("spend conversions_* revenue_p50 roas_* marginal_* extrapolated", _DRAWS),
    made("spend conversions_* revenue_p50 roas_* marginal_* extrapolated", Maker.ARTIFACT),
)
MMM_CHANNELS = declared(
    "gaelp_training.mmm_channels",
    *_OF_EVERY_MIX,
    computed("spend contribution* roas_* carry_over_* saturation_* contraction", _DRAWS),
    computed("other_roas_p50 disagrees", _DRAWS),
    made("spend contribution* roas_* carry_over_* saturation_*", Maker.ARTIFACT),
)
_IN_FORCE = {_LEVERS: "current_budget status", _CHANNELS: "channel"}
MMM_ALLOCATIONS = declared(
    "gaelp_training.mmm_allocations",
    *_OF_EVERY_MIX,
    computed("current_spend proposed_spend low high binding conversions_* marginal_cac_*", _DRAWS),
    computed("probability_within_cap p_better feasible gap regret reason envelope", _DRAWS),
    computed("budget_in_force", _IN_FORCE),
    computed("proposed_spend low high binding envelope reason", _IN_FORCE),
    computed("envelope", {_LEVERS: "budget_increment minimum_budget"}),
    made("proposed_spend low high binding probability_within_cap envelope reason", Maker.SETTINGS),
    made("current_spend conversions_* marginal_cac_*", Maker.ARTIFACT),
)
MMM_TESTS = declared(
    "gaelp_training.mmm_tests",
    *_OF_EVERY_MIX,
    computed("rank change weeks error power* cost expected_* value_per_dollar worth_it", _DRAWS),
    computed("duration_weeks first_week design", _DRAWS),
    made("design change weeks duration_weeks first_week worth_it", Maker.SETTINGS),
    made("error power* cost expected_*", Maker.ARTIFACT, Maker.SEED),
)
