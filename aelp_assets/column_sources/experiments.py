"""Sources of the weekly judgement of tests, and of the register of every experiment.

Here: split tests and the calendar. Not here: AELP's own holds (`governance`, `monitoring`).
"""

from aelp_assets.column_sources.notation import Maker, carried, computed, declared, made, rows_by

_CELLS = "intermediate.int_experiment_cells"
_TESTS = "gaelp_training.ab_experiments"
_MIX_TESTS = "gaelp_training.mmm_tests"
_ARMS = "gaelp_training.arm_decisions"
_DRAWN = "ops.apply_hold_assignments"
_LEVERS = "gaelp_training.budget_levers"
_CHANNELS = "intermediate.int_campaign_channels"

_TEST = "platform account_id test_id"
_SPLIT = {_CELLS: "arm users impressions planned_share period_start period_end hour segment cell"}
_COUNTED = {
    _CELLS: "arm users impressions link_clicks conversions_click conversions_view orders positive_answers "
    "answers is_control primary_metric period_start period_end cell"
}
_RATED = (
    "outcomes exposures rate rate_low rate_high lift lift_low lift_high expected_lift dispersion p_value "
    "p_adjusted"
)
AB_EXPERIMENTS = declared(
    _TESTS,
    made("as_of_date", Maker.MORNING),
    carried(_CELLS, f"{_TEST} test_name kind track"),
    computed("metric", {_CELLS: "primary_metric"}, _COUNTED),
    computed("first_day", {_CELLS: "period_start"}),
    computed("last_day", {_CELLS: "period_end"}),
    computed("arms", {_CELLS: "arm"}),
    computed("control_arm", {_CELLS: "arm is_control"}),
    computed("unit units smallest_arm", {_CELLS: "arm users impressions"}),
    computed("share_gap sample_ratio_* segments_off periods_off time_* broken_window", _SPLIT),
    computed("is_valid reasons", _SPLIT, _COUNTED),
    computed("verdict winner winner_lift", _SPLIT, _COUNTED),
    made("is_valid broken_window", Maker.SETTINGS),
)
AB_RESULTS = declared(
    "gaelp_training.ab_results",
    made("as_of_date", Maker.MORNING),
    carried(_CELLS, f"{_TEST} arm is_control"),
    made("metric", Maker.CODE),
    computed("is_primary", {_CELLS: "primary_metric"}, _COUNTED),
    computed("is_valid", _SPLIT, _COUNTED),
    computed("days", {_CELLS: "period_start period_end"}),
    computed(_RATED, _COUNTED),
    computed("expected_lift", _SPLIT),
    made("confidence", Maker.SETTINGS),
    rows_by({_CELLS: "spend kind track test_name"}),
)
_OF_TESTS = {
    _TESTS: f"{_TEST} test_name kind track metric first_day last_day arms control_arm unit is_valid verdict "
    "winner winner_lift"
}
_OF_MIX = {
    _MIX_TESTS: "track channel design change weeks duration_weeks first_week rank power cost "
    "value_per_dollar expected_value worth_it model"
}
_OF_ARMS = {_ARMS: "track platform account_id lever_id arm_kind arm_id arm_name type design"}
_OF_DRAWN = {
    _DRAWN: "track platform account_id lever_id as_of_date mode window_days hold_probability assigned_at "
    "window_ends_at arm assignment_id"
}
_PLACES = {_LEVERS: "platform account_id lever_id track campaign_id", _CHANNELS: "channel"}
_ALL = (_OF_TESTS, _OF_MIX, _OF_ARMS, _OF_DRAWN)
EXPERIMENTS = declared(
    "gaelp_training.experiments",
    made("as_of_date", Maker.MORNING),
    made("kind unit", Maker.CODE),
    computed("experiment_id status compared metric track verdict reference", *_ALL),
    computed("unit", _OF_TESTS),
    computed("first_day last_day occupies conflicts", *_ALL, _PLACES),
    computed("power price", _OF_MIX, _OF_ARMS),
    computed("value_per_dollar", _OF_MIX),
    made("first_day last_day conflicts", Maker.SETTINGS),
    rows_by(
        {
            _TESTS: "as_of_date reasons",
            _MIX_TESTS: "as_of_date",
            _ARMS: "as_of_date advisory",
            _DRAWN: "proposal_id change_id current_budget proposed_budget",
            _LEVERS: "date status current_budget",
            _CHANNELS: "platform account_id campaign_id track",
        }
    ),
)
