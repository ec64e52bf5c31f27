"""How the days that came compare with what was said of them, and who was told of it.

Here: reviews, drift, reconciliation, readiness, events, notifications, what overrides and applied raises
were worth. Not here: forecasts themselves and their backtest (`forecasts.py`).
"""

from __future__ import annotations

from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import AS_OF, LEVER, columns, quantiles

PERFORMANCE_CHANGES = Table(
    name=TableName("gaelp_training", "performance_changes"),
    description="Why signups and CAC moved against the day before and a week before: parts that add up.",
    columns=columns(
        AS_OF,
        ("comparison", "STRING", "day_before or week_before.", True),
        ("day", "DATE", "The day explained: the last one before as_of_date.", True),
        ("base_day", "DATE", "The day it is compared with.", True),
        ("track", "STRING", "Track.", True),
        ("platform", "STRING", "Source of the accounts; all: the whole track.", True),
        ("metric", "STRING", "signups (reward-weighted, as known now) or cac.", True),
        ("before", "NUMERIC", "On base_day, to the cent; NULL: a day without signups has no CAC."),
        ("after", "NUMERIC", "On day."),
        ("change", "NUMERIC", "after - before: the sum of the eight parts."),
        ("spend", "NUMERIC", "Part of the spend of the whole group."),
        ("mix", "NUMERIC", "Part of how spend is shared between levers."),
        ("cpm", "NUMERIC", "Part of impressions per dollar."),
        ("ctr", "NUMERIC", "Part of clicks per impression."),
        ("cvr", "NUMERIC", "Part of conversions per click, once all have arrived."),
        ("delay", "NUMERIC", "Part of what has arrived of each day so far."),
        ("restatement", "NUMERIC", "Part of what the platform told anew beyond late arrivals."),
        ("without_clicks", "NUMERIC", "Signups no paid click reached: of views, or of free clicks."),
        ("sentence", "STRING", "The same in words, largest part first.", True),
    ),
    grain=("as_of_date", "comparison", "track", "platform", "metric"),
    partition="as_of_date",
)
FORECAST_REVIEWS = Table(
    name=TableName("gaelp_training", "forecast_reviews"),
    description="Days judged this morning beside their forecasts: yesterday's clicks and spend, matured CAC.",
    columns=columns(
        AS_OF,
        ("made_on", "DATE", "Morning of the forecast.", True),
        ("target_date", "DATE", "Day forecast.", True),
        ("basis", "STRING", "live, or hindcast: made today as of made_on, where none was made then.", True),
        *LEVER,
        ("metric", "STRING", "spend, clicks, signups or cac.", True),
        *(
            (f"p{level}", "FLOAT64", f"P(value <= this) = {level} %; NULL: infinite CAC, or unknown.")
            for level in (10, 50, 90)
        ),
        ("actual", "FLOAT64", "As known this morning; NULL: CAC of a day without signups."),
        ("inside", "BOOL", "Whether p10 <= actual <= p90; NULL where nothing was forecast."),
    ),
    grain=("as_of_date", "made_on", "target_date", "platform", "account_id", "lever_id", "metric"),
    partition="as_of_date",
)
FORECAST_DRIFT = Table(
    name=TableName("gaelp_training", "forecast_drift"),
    description="Running coverage of same-day click forecasts, with the evidence that it is too low.",
    columns=columns(
        AS_OF,
        ("track", "STRING", "Track.", True),
        ("basis", "STRING", "live or hindcast.", True),
        ("days", "INT64", "Days judged.", True),
        ("coverage", "FLOAT64", "Mean share of levers inside p10-p90.", True),
        ("e_value", "FLOAT64", "Of the e-process against 80 %; 20 is the alarm.", True),
    ),
    grain=("as_of_date", "track", "basis"),
    partition="as_of_date",
)
FIDELITY_EVALUATIONS = Table(
    name=TableName("gaelp_training", "fidelity_evaluations"),
    description="How far the outlook of each track was from matured days, by horizon.",
    columns=columns(
        AS_OF,
        ("track", "STRING", "Track.", True),
        ("horizon_days", "INT64", "Days ahead at most, above the next shorter horizon; 1: that day.", True),
        ("basis", "STRING", "live or hindcast.", True),
        ("first_target_date", "DATE", "Window: first day judged.", True),
        ("last_target_date", "DATE", "Window: last day judged.", True),
        ("mornings", "INT64", "Mornings whose forecasts were judged; their days are not independent.", True),
        ("forecasts", "INT64", "Days judged.", True),
        ("mape_cac", "FLOAT64", "Mean |p50 - actual| / actual of CAC; NULL where no day had a signup."),
        ("mape_roas", "FLOAT64", "The same of signups x value / spend."),
        ("ks_distance", "FLOAT64", "Largest |share of actual signups <= quantile - its level| over p10-p90."),
        ("coverage", "FLOAT64", "Share of actual signups inside p10-p90."),
    ),
    grain=("as_of_date", "track", "horizon_days", "basis"),
    partition="as_of_date",
)
RECONCILIATIONS = Table(
    name=TableName("gaelp_training", "reconciliations"),
    description="Signups the platforms claim beside orders of new customers, over matured days.",
    columns=columns(
        AS_OF,
        ("track", "STRING", "Track.", True),
        ("first_date", "DATE", "Window: first day.", True),
        ("last_date", "DATE", "Window: last day.", True),
        ("platform_signups", "FLOAT64", "Reward-weighted conversions claimed.", True),
        ("backend_orders", "INT64", "Orders of new customers.", True),
        ("claimed_per_order", "FLOAT64", "platform_signups / backend_orders; NULL without orders."),
        ("claimed_per_order_before", "FLOAT64", "The same over the window before."),
        ("status", "STRING", "in_range, out_of_range, changed or no_orders.", True),
        ("detail", "STRING", "In words.", True),
    ),
    grain=("as_of_date", "track"),
    partition="as_of_date",
)
READINESS = Table(
    name=TableName("gaelp_training", "readiness"),
    description="Whether a track's automation may be trusted this morning, criterion by criterion.",
    columns=columns(
        AS_OF,
        ("track", "STRING", "Track.", True),
        ("criterion", "STRING", "What is asked; all_criteria: every other one.", True),
        ("value", "FLOAT64", "What was measured; NULL: no evidence yet."),
        ("requirement", "STRING", "at least, at most, includes or in range.", True),
        ("threshold", "FLOAT64", "What it is held against; NULL where detail says it."),
        ("passed", "BOOL", "Never true without evidence.", True),
        ("detail", "STRING", "In words.", True),
    ),
    grain=("as_of_date", "track", "criterion"),
    partition="as_of_date",
)
SAFETY_EVENTS = Table(
    name=TableName("gaelp_training", "safety_events"),
    description="What a person must hear of, seen this morning: what happened, and what to do.",
    columns=columns(
        AS_OF,
        ("event_id", "STRING", "The same for the same event on every morning that sees it.", True),
        ("happened_on", "DATE", "Day of the event; of what lasts, the Monday of its week.", True),
        (
            "kind",
            "STRING",
            "stop_proposed, kill_switch_on, guardrail_refused, change_failed, drift_alarm, "
            "reconciliation_broken, coverage_broken, spend_over_worst_case, spend_alarm, spend_unread, "
            "account_set_aside, change_rolled_back or proposal_overtaken.",
            True,
        ),
        ("severity", "STRING", "critical or warning.", True),
        ("track", "STRING", "Track; NULL where it concerns all."),
        ("subject", "STRING", "What it is about.", True),
        ("sentence", "STRING", "What happened.", True),
        ("remedy", "STRING", "What a person can do.", True),
    ),
    grain=("as_of_date", "event_id"),
    partition="as_of_date",
)
NOTIFICATIONS = Table(
    name=TableName("ops", "notifications"),
    description="Who was told of which event, through which channel, as the control store has it.",
    columns=columns(
        ("event_id", "STRING", "Event in safety_events.", True),
        ("channel", "STRING", "log, webhook or email.", True),
        ("severity", "STRING", "Of the event.", True),
        ("sentence", "STRING", "What was told.", True),
        ("status", "STRING", "waiting, refused (tried for three days), given_up, sending or sent.", True),
        ("attempts", "INT64", "Tries so far.", True),
        ("message", "STRING", "Why the last try failed, or who did not get it; NULL where all was well."),
        ("created_at", "TIMESTAMP", "When it was first to be told.", True),
        ("sent_at", "TIMESTAMP", "When the channel took it; NULL until then."),
    ),
    grain=("event_id", "channel"),
)
OVERRIDE_OUTCOMES = Table(
    name=TableName("gaelp_training", "override_outcomes"),
    description="What people chose in the place of a proposal, judged once matured: both forecasts, what "
    "came, and what the choice was worth beside the proposal. No person is named.",
    columns=columns(
        AS_OF,
        ("proposal_id", "STRING", "The proposal that was decided otherwise, or the one by hand.", True),
        ("kind", "STRING", "rejected, another_number, rolled_back or edited_outside.", True),
        ("made_on", "DATE", "Morning of the proposal.", True),
        ("chosen_on", "DATE", "Day of the choice.", True),
        *LEVER,
        ("current_budget", "NUMERIC", "In force that morning, dollars a day.", True),
        ("proposed_budget", "NUMERIC", "What AELP had proposed; a stop proposes 0.", True),
        ("chosen_budget", "NUMERIC", "What was in force instead; paused: 0.", True),
        ("reason", "STRING", "As it was given, without names; NULL: an edit on the platform gives none."),
        ("first_day", "DATE", "First whole day judged.", True),
        ("last_day", "DATE", "Last one: the choice stood, and all are matured.", True),
        ("days", "INT64", "Days judged, seven at most.", True),
        *(
            column
            for path, words in (("chosen", "the chosen budget"), ("proposed", "the proposed budget"))
            for column in (
                *quantiles(f"{path}_signups", f"Reward-weighted conversions forecast at {words}"),
                *quantiles(f"{path}_spend", f"Account currency forecast at {words}"),
                *quantiles(f"{path}_contribution", f"Contribution less spend forecast at {words}"),
            )
        ),
        ("realised_signups", "FLOAT64", "Matured reward of the days.", True),
        ("realised_spend", "FLOAT64", "Account currency.", True),
        ("realised_contribution", "FLOAT64", "Contribution less spend.", True),
        *quantiles(
            "difference",
            "Contribution less spend, chosen less proposed, both at the rate believed given what came",
        ),
        ("p_ahead", "FLOAT64", "P(difference > 0); the path not taken stays a forecast.", True),
    ),
    grain=("as_of_date", "proposal_id"),
    partition="as_of_date",
)
OVERRIDE_LEARNINGS = Table(
    name=TableName("gaelp_training", "override_learnings"),
    description="What overrides of each kind come to on average, once there are enough to say.",
    columns=columns(
        AS_OF,
        ("kind", "STRING", "rejected, another_number, rolled_back, edited_outside, or all.", True),
        ("overrides", "INT64", "Matured overrides of the last half year.", True),
        ("mornings", "INT64", "Mornings they answered.", True),
        ("is_enough", "BOOL", "Whether they are enough to say anything.", True),
        ("difference", "FLOAT64", "Account currency a day an override, chosen less proposed; NULL: too few."),
        ("difference_low", "FLOAT64", "2.5 % of posterior draws over reweighted mornings."),
        ("difference_high", "FLOAT64", "97.5 % of posterior draws over reweighted mornings."),
        ("sentence", "STRING", "In words.", True),
    ),
    grain=("as_of_date", "kind"),
    partition="as_of_date",
)
APPLY_HOLD_LIFT = Table(
    name=TableName("gaelp_training", "apply_hold_lift"),
    description="What applied raises did that held ones did not, with an interval that holds at every look.",
    columns=columns(
        AS_OF,
        (
            "comparison",
            "STRING",
            "live, sandbox or shadow, as the raises were drawn for; past: windows nothing was drawn for, by "
            "a coin. In shadow and past nothing is sent: their lift must be nil (A/A).",
            True,
        ),
        ("metric", "STRING", "net (contribution less spend) or signups (times the CAC cap).", True),
        ("windows_applied", "INT64", "Matured windows of levers whose raise was applied.", True),
        ("windows_held", "INT64", "Of levers whose raise was held.", True),
        ("first_window", "DATE", "Morning the first of them was decided."),
        ("last_window", "DATE", "Morning the last of them was decided."),
        ("lift", "FLOAT64", "Dollars gained per dollar spent before; NULL without a window."),
        ("lift_low", "FLOAT64", "Lower end of the confidence sequence; NULL: no end."),
        ("lift_high", "FLOAT64", "Upper end; NULL: no end."),
        ("confidence", "FLOAT64", "Probability that the sequence never leaves the lift out.", True),
        ("verdict", "STRING", "gain, loss, open (zero lies inside) or no window yet.", True),
    ),
    grain=("as_of_date", "comparison", "metric"),
    partition="as_of_date",
)
