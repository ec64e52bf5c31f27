"""The media mix: channels, weeks, the fitted model, and where it would move money between channels.

Here: what the settings say of channels and weeks, and every `mmm_*` table. Not here: history of weeks as it
was delivered (`raw.py`), budgets of single levers (`decisions.py`).
"""

from __future__ import annotations

from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import AS_OF, Row, columns, quantiles

CHANNEL_RULES = Table(
    name=TableName("ops", "channel_rules"),
    description="Which campaign belongs to which channel of the media mix: the settings' LIKE patterns.",
    columns=columns(
        ("rule_order", "INT64", "First match wins.", True),
        ("channel", "STRING", "Channel.", True),
        ("platform_pattern", "STRING", "LIKE pattern on platform.", True),
        ("account_pattern", "STRING", "LIKE pattern on account_id.", True),
        ("campaign_pattern", "STRING", "LIKE pattern on campaign name.", True),
    ),
    grain=("rule_order",),
)
MEDIA_WEEKS = Table(
    name=TableName("ops", "media_weeks"),
    description="Weeks of the media mix since history_start, and what the settings' calendar says of each.",
    columns=columns(
        ("week", "DATE", "First day of the week.", True),
        ("track", "STRING", "Track; `*` for those the settings do not have.", True),
        ("event_share", "FLOAT64", "Share of its days inside an event of the track.", True),
        ("promotion_share", "FLOAT64", "Share of its days inside a promotion of the track.", True),
        ("freeze_share", "FLOAT64", "Share of its days on which nothing may rise.", True),
    ),
    grain=("week", "track"),
)
_OF_CHANNEL: tuple[Row, ...] = (
    AS_OF,
    ("track", "STRING", "Track.", True),
    ("channel", "STRING", "Channel of the media mix (`media_mix.channels` in the settings).", True),
    ("model", "STRING", "bayesian, or bootstrap where the weeks do not carry it.", True),
)
MMM_FIT_DIAGNOSTICS = Table(
    name=TableName("gaelp_training", "mmm_fit_diagnostics"),
    description="The media-mix model of each track: what was fitted, and whether it may be believed.",
    columns=columns(
        AS_OF,
        ("track", "STRING", "Track.", True),
        ("model", "STRING", "bayesian, bootstrap where the weeks do not carry it, or none.", True),
        ("outcome", "STRING", "new_customers of the stores, or conversions as platforms claim them.", True),
        ("weeks", "INT64", "Weeks fitted.", True),
        ("first_week", "DATE", "First day of the first of them."),
        ("last_week", "DATE", "First day of the last of them."),
        ("channels", "INT64", "Channels that spent.", True),
        ("parameters", "INT64", "Numbers the Bayesian model estimates.", True),
        ("lift_tests", "INT64", "Experiments that the fit counts as evidence.", True),
        ("max_rhat", "FLOAT64", "Worst rank-normalised split R-hat; at most 1.01 passes."),
        ("min_ess_bulk", "FLOAT64", "Fewest effective draws of anything sampled; 400 pass."),
        ("min_ess_tail", "FLOAT64", "The same in the tails."),
        ("divergences", "INT64", "Divergent transitions; none passes."),
        ("bfmi", "FLOAT64", "Lowest Bayesian fraction of missing information; 0.3 passes."),
        ("p_sd", "FLOAT64", "P(replicated weeks spread at least as the observed ones)."),
        ("p_autocorrelation", "FLOAT64", "P(residuals echo the week before at least as observed)."),
        ("p_max", "FLOAT64", "P(the largest replicated week is at least the observed one)."),
        ("weeks_in_interval", "FLOAT64", "Share of fitted weeks inside their central 80 %."),
        ("r_squared", "FLOAT64", "Median share of variance explained."),
        ("memory", "FLOAT64", "Correlation of what is left of a week with the week before."),
        ("elpd", "FLOAT64", "Leave-one-out expected log density of the weeks."),
        ("worst_pareto_k", "FLOAT64", "Above 0.7 one week weighs too much."),
        ("passed", "BOOL", "Whether curves and allocations may come of it.", True),
        ("reasons", "STRING", "Why it may not, or why the Bayesian model was refused; NULL: nothing."),
        ("warnings", "STRING", "What a scientist should look at; NULL: nothing."),
        ("disagreeing", "STRING", "Channels whose return the independent estimate contradicts; NULL: none."),
        ("draws_hash", "STRING", "Artifact of weeks and draws; NULL where nothing was fitted."),
    ),
    grain=("as_of_date", "track"),
    partition="as_of_date",
)
MMM_CURVES = Table(
    name=TableName("gaelp_training", "mmm_curves"),
    description="What a constant weekly spend of a channel brings, and what its next dollar would.",
    columns=columns(
        *_OF_CHANNEL,
        ("spend", "FLOAT64", "Dollars a week.", True),
        *quantiles("conversions", "Incremental conversions a week"),
        ("revenue_p50", "FLOAT64", "Dollars of revenue they bring over the planning horizon."),
        *quantiles("roas", "Revenue per dollar"),
        *quantiles("marginal_roas", "Revenue of the next dollar"),
        *quantiles("marginal_cac", "Dollars per further conversion, NULL where infinite"),
        ("extrapolated", "BOOL", "Beyond the largest spend ever seen.", True),
    ),
    grain=("as_of_date", "track", "channel", "spend"),
    partition="as_of_date",
)
MMM_CHANNELS = Table(
    name=TableName("gaelp_training", "mmm_channels"),
    description="Each channel over the fitted weeks: what it brought, how long it works, how sure that is.",
    columns=columns(
        *_OF_CHANNEL,
        ("spend", "FLOAT64", "Dollars over the fitted weeks.", True),
        *quantiles("contribution", "Conversions it brought over the fitted weeks"),
        ("contribution_share_p50", "FLOAT64", "Share of all conversions."),
        *quantiles("roas", "Revenue per dollar"),
        *quantiles("carry_over_weeks", "Weeks until half of a week's spend has worked"),
        ("saturation_spend_p50", "FLOAT64", "Dollars a week at 90 % of its largest response; NULL: beyond."),
        ("contraction", "FLOAT64", "1 - variance of its return / that of the prior; 0: the prior's answer."),
        ("other_roas_p50", "FLOAT64", "Revenue per dollar by the independent estimate; NULL: none."),
        ("disagrees", "BOOL", "Whether the two contradict each other."),
    ),
    grain=("as_of_date", "track", "channel"),
    partition="as_of_date",
)
MMM_ALLOCATIONS = Table(
    name=TableName("gaelp_training", "mmm_allocations"),
    description="Where the next dollars go by channel, under every rule; envelopes of the bandits' levers.",
    columns=columns(
        *_OF_CHANNEL,
        ("current_spend", "FLOAT64", "Dollars a week, mean of the last four weeks.", True),
        (
            "proposed_spend",
            "FLOAT64",
            "Dollars a week; the current spend where no rule lets any other.",
            True,
        ),
        ("low", "FLOAT64", "Least it may be.", True),
        ("high", "FLOAT64", "Most it may be.", True),
        ("binding", "STRING", "The rule that holds it; NULL: none."),
        *quantiles("conversions", "Incremental conversions a week at the proposed spend"),
        *quantiles("conversions_change", "The same beside the current spend"),
        ("marginal_cac_p50", "FLOAT64", "Dollars per further conversion; NULL where infinite."),
        ("marginal_cac_p90", "FLOAT64", "The same at its bad end."),
        ("probability_within_cap", "FLOAT64", "P(marginal CAC is within the track's cap)."),
        ("p_better", "FLOAT64", "Share of draws in which the change pays; NULL: no change."),
        ("feasible", "BOOL", "Whether any spend keeps all rules.", True),
        ("gap", "FLOAT64", "Dollars a week another spend could gain at most; NULL: infeasible."),
        ("regret", "FLOAT64", "Dollars a week that staying put is expected to cost the track."),
        ("budget_in_force", "NUMERIC", "Dollars a day of its levers on as_of_date."),
        ("envelope", "NUMERIC", "Dollars a day they may rise to together; NULL: it has no lever."),
        ("reason", "STRING", "One sentence for a person.", True),
    ),
    grain=("as_of_date", "track", "channel"),
    partition="as_of_date",
)
MMM_TESTS = Table(
    name=TableName("gaelp_training", "mmm_tests"),
    description="Tests worth running: what each would tell, what it costs, the most regret removed first.",
    columns=columns(
        *_OF_CHANNEL,
        ("rank", "INT64", "1: the most regret removed per dollar, within the track.", True),
        ("design", "STRING", "weeks (changed spend in turns) or regions.", True),
        ("change", "FLOAT64", "Of spend while the test runs; -1 is off.", True),
        ("weeks", "INT64", "Changed weeks.", True),
        ("duration_weeks", "INT64", "Weeks from its first to its last.", True),
        ("error", "FLOAT64", "Standard error of the lift it would read, conversions a week.", True),
        ("power", "FLOAT64", "P(its 90 % interval leaves out 0).", True),
        ("power_break_even", "FLOAT64", "P(it leaves out the lift at which the change just pays).", True),
        ("cost", "FLOAT64", "Dollars of contribution it is expected to lose.", True),
        ("expected_value", "FLOAT64", "Dollars of regret it is expected to remove over the horizon.", True),
        ("value_per_dollar", "FLOAT64", "Value by cost.", True),
        (
            "expected_shrinkage",
            "FLOAT64",
            "Of the standard deviation of the channel's marginal response.",
            True,
        ),
        ("worth_it", "BOOL", "Value above cost.", True),
        (
            "first_week",
            "INT64",
            "Weeks from now until it may start without a conflict; NULL: not in the calendar.",
        ),
    ),
    grain=("as_of_date", "track", "rank"),
    partition="as_of_date",
)
