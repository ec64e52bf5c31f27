"""Which creatives run next, and as what.

Here: slates, their policy pre-flight, launch plans. Not here: what a launch made on its platform
(`governance.py`), creatives as they were delivered (`raw.py`).
"""

from __future__ import annotations

from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import AS_OF, columns, quantiles

SLATES = Table(
    name=TableName("gaelp_training", "slates"),
    description="The creatives each track should run next: exploit and explore, launched paused.",
    columns=columns(
        AS_OF,
        ("track", "STRING", "Track.", True),
        ("rank", "INT64", "1 is best.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("creative_id", "STRING", "Creative, or the ad where no creative is known.", True),
        ("role", "STRING", "exploit or explore.", True),
        ("status", "STRING", "Always paused at launch.", True),
        ("budget", "NUMERIC", "Daily budget; budgets of a slate add up to the cent.", True),
        ("p_best", "FLOAT64", "P(lowest CAC of the track's creatives).", True),
        ("p_meets_cap", "FLOAT64", "P(CAC <= cap).", True),
        ("p_one_click", "FLOAT64", "P(at least one click in the screening impressions).", True),
        *quantiles("signups", "Per day at this budget, shrunk for selection"),
        *quantiles("cac", "Account currency per signup; NULL when infinite"),
        ("signups_per_click_conversion", "FLOAT64", "Mean incrementality these numbers count with."),
        ("signups_per_view_conversion", "FLOAT64", "Mean incrementality these numbers count with."),
        ("score_multiplier", "FLOAT64", "What its score moves the rate by that it starts from; 1: nothing."),
    ),
    grain=("as_of_date", "track", "rank"),
    partition="as_of_date",
)
POLICY_REVIEWS = Table(
    name=TableName("gaelp_training", "policy_reviews"),
    description="The policy pre-flight of each creative of a slate: what it says and where it would lead.",
    columns=columns(
        AS_OF,
        ("track", "STRING", "Track.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("creative_id", "STRING", "Creative.", True),
        ("policy_profile", "STRING", "standard or health.", True),
        ("passed", "BOOL", "Whether it may be launched: nothing blocks it.", True),
        ("blocking_flags", "INT64", "Flags that block it.", True),
        ("flags", "STRING", "JSON list: rule, severity (blocks, warns), the words, the remedy.", True),
        ("link", "STRING", "Landing page as it would be launched; NULL where unknown."),
    ),
    grain=("as_of_date", "track", "platform", "account_id", "creative_id"),
    partition="as_of_date",
)
LAUNCH_PLANS = Table(
    name=TableName("gaelp_training", "launch_plans"),
    description="What a slate becomes on its platforms: one paused lever per creative that passed.",
    columns=columns(
        AS_OF,
        ("launch_id", "STRING", "Names the launch and its new lever.", True),
        ("track", "STRING", "Track.", True),
        ("rank", "INT64", "Rank in the slate.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("creative_id", "STRING", "Creative.", True),
        ("creative_name", "STRING", "Name people gave it."),
        ("theme", "STRING", "Theme people gave it."),
        ("role", "STRING", "exploit or explore.", True),
        ("lane", "STRING", "main, or test: screened on its click rate alone.", True),
        ("lane_reason", "STRING", "Why that lane.", True),
        ("status", "STRING", "Always paused at launch.", True),
        ("lever_level", "STRING", "Level of the new lever: adset, adgroup or campaign.", True),
        ("parent_campaign_id", "STRING", "Campaign the new lever goes into; NULL: a new one."),
        ("entity_name", "STRING", "Name of the new lever.", True),
        ("currency", "STRING", "Account currency."),
        ("advisory", "BOOL", "True where the account has no real levers: never to be written.", True),
        ("daily_budget", "NUMERIC", "Daily budget, account currency.", True),
        ("daily_budget_cents", "INT64", "The same in cents.", True),
        ("minimum_budget", "NUMERIC", "The platform's smallest daily budget; NULL where unknown."),
        ("frequency_cap", "INT64", "Impressions a person may see in frequency_days.", True),
        ("frequency_days", "INT64", "Days the frequency cap counts over.", True),
        ("placements", "STRING", "JSON list; empty: the platform decides.", True),
        ("link", "STRING", "Landing page with its UTM parameters; NULL where unknown."),
        ("utm_source", "STRING", "UTM source.", True),
        ("utm_medium", "STRING", "UTM medium.", True),
        ("utm_campaign", "STRING", "UTM campaign: the parent's id.", True),
        ("utm_content", "STRING", "UTM content: the creative.", True),
        ("starts_at", "TIMESTAMP", "When it may start once a person has switched it on.", True),
        ("p_best", "FLOAT64", "P(lowest CAC of the track's creatives).", True),
        ("p_meets_cap", "FLOAT64", "P(CAC <= cap).", True),
        ("p_one_click", "FLOAT64", "P(at least one click in the screening impressions).", True),
    ),
    grain=("as_of_date", "launch_id"),
    partition="as_of_date",
)
