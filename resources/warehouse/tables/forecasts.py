"""What is to be expected: of placements, creatives and contexts, and of what a budget buys.

Here: baselines, pooled rates, forecasts and their backtest. Not here: how a forecast fared on the days that
came (`monitoring.py`), what follows from it (`decisions.py`).
"""

from __future__ import annotations

from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import AS_OF, LEVER, columns, quantiles

PLACEMENT_BASELINES = Table(
    name=TableName("gaelp_training", "placement_baselines"),
    description="p10/p50/p90 of CPM, CTR and CVR by track and placement over the window before as_of_date.",
    columns=columns(
        AS_OF,
        ("track", "STRING", "Track.", True),
        ("placement", "STRING", "Placement; `all` is the track over all placements.", True),
        ("window_days", "INT64", "Days before as_of_date.", True),
        ("weighting", "STRING", "equal (each day counts once) or spend (by dollars).", True),
        ("days", "INT64", "Days with delivery.", True),
        ("outlier_days", "INT64", "Days set aside by the outlier rule.", True),
        ("impressions", "INT64", "Sum over the window.", True),
        ("clicks", "INT64", "Sum over the window.", True),
        ("conversions", "FLOAT64", "Reward-weighted conversions, sum over matured days.", True),
        ("cost", "NUMERIC", "Sum over the window.", True),
        ("cpm", "FLOAT64", "Ratio of sums, dollars per 1,000 impressions."),
        ("ctr", "FLOAT64", "Ratio of sums, clicks per impression."),
        ("cvr", "FLOAT64", "Ratio of sums over matured days, conversions per click."),
        *quantiles("cpm", "Dollars per 1,000 impressions"),
        *quantiles("ctr", "Clicks per impression"),
        *quantiles("cvr", "Conversions per click"),
        ("parent_weight", "FLOAT64", "Share of the estimate taken from the track as a whole.", True),
    ),
    grain=("as_of_date", "track", "placement", "weighting"),
    partition="as_of_date",
)
CREATIVE_RATES = Table(
    name=TableName("gaelp_training", "creative_rates"),
    description="CPM, CTR and CVR to expect of each creative on each placement of its platform, pooled to "
    "the placement; where it has not run they are the placement's, moved by its score if it has one.",
    columns=columns(
        AS_OF,
        ("track", "STRING", "Track.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("creative_id", "STRING", "Creative, or the ad where no creative is known.", True),
        ("placement", "STRING", "Placement on which the creative's platform delivered in the window.", True),
        ("impressions", "INT64", "Of the creative on the placement, over the window.", True),
        ("clicks", "INT64", "Of the creative on the placement, over the window.", True),
        ("conversions", "FLOAT64", "Reward-weighted conversions, matured days.", True),
        *quantiles("cpm", "Dollars per 1,000 impressions"),
        *quantiles("ctr", "Clicks per impression"),
        *quantiles("cvr", "Conversions per click"),
        (
            "score_multiplier",
            "FLOAT64",
            "CTR times CVR that its score expects before it runs, over the placement's; 1: not scored.",
            True,
        ),
        ("own_weight", "FLOAT64", "Mean share of the estimates that is the creative's own.", True),
    ),
    grain=("as_of_date", "track", "platform", "account_id", "creative_id", "placement"),
    partition="as_of_date",
)
CONTEXT_RATES = Table(
    name=TableName("gaelp_training", "context_rates"),
    description="What a dollar earned in each placement, segment and daypart of a lever, beside the lever as "
    "a whole, pooled to its account and track. Correlational: the platform chose who saw what.",
    columns=columns(
        AS_OF,
        *LEVER,
        ("dimension", "STRING", "placement, segment or daypart.", True),
        ("breakdown", "STRING", "placement, device, age_gender, age, gender or hour.", True),
        ("value", "STRING", "Value of the breakdown; hours as four-hour dayparts such as 08-11.", True),
        ("cost", "NUMERIC", "Matured spend in the window, account currency.", True),
        ("impressions", "INT64", "Of the same days.", True),
        ("clicks", "INT64", "Link clicks of the same days.", True),
        ("signups", "FLOAT64", "Reward-weighted conversions; NULL where the platform tells none."),
        ("share", "FLOAT64", "Of the lever's spend in this breakdown.", True),
        (
            "basis",
            "STRING",
            "What p_worse and p_best judge per dollar: signups, or clicks where those are few.",
            True,
        ),
        *quantiles("relative_signups_per_dollar", "1 is the lever's own; NULL where none are told"),
        *quantiles("relative_clicks_per_dollar", "1 is the lever's own: what a click costs, turned round"),
        *quantiles("relative_ctr", "1 is the lever's own"),
        ("p_worse", "FLOAT64", "P(below the lever by more than contexts.worse_by).", True),
        ("p_best", "FLOAT64", "P(best of the lever's values); sums to 1 over a breakdown.", True),
        *quantiles("cac", "Account currency per signup; NULL when infinite or not told"),
        ("p_cac_above_cap", "FLOAT64", "P(CAC > cap); NULL where no signups are told."),
        ("own_weight", "FLOAT64", "Share of the estimate that is the value's own at this lever.", True),
        ("dispersion", "FLOAT64", "Variance of daily counts beside Poisson's, at least 1.", True),
    ),
    grain=("as_of_date", "platform", "account_id", "track", "lever_id", "dimension", "breakdown", "value"),
    partition="as_of_date",
)
FORECAST_RESULTS = Table(
    name=TableName("gaelp_training", "forecast_results"),
    description="What a lever's budget buys on a day: signups and CAC with their uncertainty.",
    columns=columns(
        AS_OF,
        ("target_date", "DATE", "Day forecast.", True),
        *LEVER,
        ("budget", "NUMERIC", "Daily budget supposed, account currency.", True),
        ("is_current_budget", "BOOL", "Whether this is the budget in force.", True),
        *quantiles("spend", "Account currency"),
        *quantiles("impressions", "Impressions"),
        *quantiles("clicks", "Clicks"),
        *quantiles("signups", "Reward-weighted conversions once matured"),
        *quantiles("cac", "Account currency per signup; NULL when infinite"),
        ("p_cac_within_cap", "FLOAT64", "P(CAC <= cap); a draw without signups counts as above.", True),
        *quantiles("platform_cac", "Account currency per conversion platforms claim; NULL when infinite"),
        *quantiles(
            "backend_cac",
            "Account currency per new-customer order of the store, the track's orders spread over its levers "
            "by claims; NULL when infinite or without orders",
        ),
        *quantiles("incremental_cac", "Account currency per signup caused; NULL when infinite"),
        *quantiles("contribution_margin", "Signups x contribution per signup - spend, account currency"),
        (
            "score_multiplier",
            "FLOAT64",
            "What its creatives' scores move signups per dollar by before it has run; 1: nothing.",
            True,
        ),
        ("draws", "INT64", "Joint draws behind the quantiles.", True),
    ),
    grain=("as_of_date", "target_date", "platform", "account_id", "lever_id", "budget"),
    partition="as_of_date",
)
FORECAST_OUTLOOK = Table(
    name=TableName("gaelp_training", "forecast_outlook"),
    description="The next 30 days by track and combined at the budgets in force, from joint draws.",
    columns=columns(
        AS_OF,
        ("track", "STRING", "Track, or `combined`.", True),
        ("horizon", "STRING", "day, or total over all days.", True),
        ("target_date", "DATE", "Day forecast; the last day for totals.", True),
        *quantiles("spend", "Dollars"),
        *quantiles("signups", "Reward-weighted conversions once matured"),
        *quantiles("cac", "Dollars per signup; NULL when infinite"),
        ("spend_mean", "FLOAT64", "Mean over draws: means of parts add up exactly.", True),
        ("signups_mean", "FLOAT64", "Mean over draws: means of parts add up exactly.", True),
        ("p_cac_within_cap", "FLOAT64", "P(CAC <= cap); NULL for combined, which has no cap."),
        ("p_meets_minimum", "FLOAT64", "P(signups >= the track's minimum); NULL for combined."),
    ),
    grain=("as_of_date", "track", "horizon", "target_date"),
    partition="as_of_date",
)
FORECAST_ACCURACY = Table(
    name=TableName("gaelp_training", "forecast_accuracy"),
    description="Rolling-origin backtest: coverage, pinball loss, CRPS and width beside the classic "
    "triangular method, last week and the seasonal mean.",
    columns=columns(
        AS_OF,
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("metric", "STRING", "clicks, conversions or spend.", True),
        ("horizon_days", "INT64", "Days ahead, summed.", True),
        ("method", "STRING", "aelp, triangular, last_week or seasonal_mean.", True),
        ("origins", "INT64", "Forecast origins scored.", True),
        ("forecasts", "INT64", "Forecasts scored (origin x series).", True),
        ("coverage", "FLOAT64", "Share of actuals inside p10-p90."),
        ("coverage_low", "FLOAT64", "2.5 % of the block bootstrap."),
        ("coverage_high", "FLOAT64", "97.5 % of the block bootstrap."),
        ("pinball", "FLOAT64", "Mean pinball loss over p10, p50, p90, as a share of the mean actual."),
        ("pinball_difference", "FLOAT64", "This method minus aelp; positive: aelp is better."),
        ("pinball_difference_low", "FLOAT64", "2.5 % of the paired block bootstrap."),
        ("pinball_difference_high", "FLOAT64", "97.5 % of the paired block bootstrap."),
        ("crps", "FLOAT64", "Mean CRPS of all draws, as a share of the mean actual."),
        ("crps_difference", "FLOAT64", "This method minus aelp; positive: aelp is better."),
        ("crps_difference_low", "FLOAT64", "2.5 % of the paired block bootstrap."),
        ("crps_difference_high", "FLOAT64", "97.5 % of the paired block bootstrap."),
        ("width", "FLOAT64", "Mean p90 - p10 as a share of the mean actual."),
        ("width_difference", "FLOAT64", "This method minus aelp; positive: aelp's intervals are narrower."),
        ("width_difference_low", "FLOAT64", "2.5 % of the paired block bootstrap."),
        ("width_difference_high", "FLOAT64", "97.5 % of the paired block bootstrap."),
        *(
            (
                f"coverage_traffic_q{quartile}",
                "FLOAT64",
                "Coverage in this quartile of the forecasts by clicks of the 28 days before; 1 the fewest.",
            )
            for quartile in (1, 2, 3, 4)
        ),
    ),
    grain=("as_of_date", "platform", "account_id", "metric", "horizon_days", "method"),
    partition="as_of_date",
)
