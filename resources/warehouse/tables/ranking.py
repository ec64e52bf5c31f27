"""Scores of ads before they run, how well those who score do, and how ads wear out.

Here: the tables of the weekly ranking. Not here: what creatives are like (`creatives`), slates (`launches`).
"""

from __future__ import annotations

from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import AS_OF, columns

AD_SCORES = Table(
    name=TableName("gaelp_training", "ad_scores"),
    description="What each creative may be expected to do on each placement of its track, from what it is, "
    "not from what it did. NULL where nothing may score; ranker_evaluations says why.",
    columns=columns(
        AS_OF,
        ("track", "STRING", "Track.", True),
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("creative_id", "STRING", "Creative in creative_objects.", True),
        ("placement", "STRING", "Placement where the track's ads ran.", True),
        ("ctr_score", "FLOAT64", "Expected link clicks per impression, a fraction."),
        (
            "ctr_lower_bound",
            "FLOAT64",
            "Below the observed CTR of nine such ads in ten, at screening traffic.",
        ),
        ("cvr_score", "FLOAT64", "Expected platform conversions by click per link click, a fraction."),
        ("p_above_placement", "FLOAT64", "P(CTR above the placement's average ad); NULL: not told."),
        (
            "ctr_multiplier",
            "FLOAT64",
            "Expected CTR over that of the placement's average ad, by rankers that did not learn from this "
            "creative or one like it: what forecasts and slates may multiply by.",
        ),
        ("cvr_multiplier", "FLOAT64", "The same of the CVR."),
        (
            "p_one_click",
            "FLOAT64",
            "P(at least one link click in the 10,000 impressions of screening), by the same rankers, over "
            "all that is unknown of its CTR; NULL where they may promise nothing.",
        ),
        (
            "delivered_impressions",
            "INT64",
            "Of the creative there in the window: with many, look at its own rates.",
            True,
        ),
        (
            "model_version",
            "STRING",
            "Rankers and vectors behind the row: CTR's, CVR's, text and image embedder.",
            True,
        ),
    ),
    grain=("as_of_date", "track", "platform", "account_id", "creative_id", "placement"),
    partition="as_of_date",
)
RANKER_EVALUATIONS = Table(
    name=TableName("gaelp_training", "ranker_evaluations"),
    description="Candidates for scoring ads, each judged on what began after all that it learnt from: the "
    "account's own ads, or split tests where own ads are too few.",
    columns=columns(
        AS_OF,
        ("rate", "STRING", "ctr or cvr.", True),
        (
            "candidate",
            "STRING",
            "Its name, ending in _with_tests or _of_tests where they taught it; none: too little to judge.",
            True,
        ),
        ("is_champion", "BOOL", "The one that scores, or would if it might.", True),
        ("may_score", "BOOL", "The gate lets it score.", True),
        ("reasons", "STRING", "Why nothing scores; NULL where it may."),
        (
            "judged_on",
            "STRING",
            "ads: the account's own later ads; split_tests: later split tests; NULL: neither are enough.",
        ),
        ("judged_arms", "INT64", "How many later arms it was judged on."),
        ("learnt_from", "STRING", "ads, split_tests or both: ads+split_tests."),
        ("pairs_right", "FLOAT64", "Share of pairs of a campaign and placement that are ranked right."),
        ("significant_pairs_right", "FLOAT64", "Of those that differ by more than chance."),
        ("area_under_curve", "FLOAT64", "Of the score difference for the better of a significant pair."),
        ("top_one", "FLOAT64", "Share of groups whose best ad was scored highest."),
        ("precision_at_5", "FLOAT64", "Of the five ads leading their group most, the share above its mean."),
        ("precision_at_10", "FLOAT64", "The same of ten."),
        ("calibration_error", "FLOAT64", "Mean gap between P(better) and how often it was."),
        (
            "chance_calibration_error",
            "FLOAT64",
            "What perfect probabilities would show of it on as few arms; the gate takes it off.",
        ),
        ("lowest_coverage", "FLOAT64", "Of 90 % lower bounds, in the traffic stratum where they hold least."),
    ),
    grain=("as_of_date", "rate", "candidate"),
    partition="as_of_date",
)
RANKER_MODELS = Table(
    name=TableName("gaelp_training", "ranker_models"),
    description="Rankers that the gate let score, each in a file of the artifacts' folder that is read only "
    "while its hash is this one. Files of rankers long out of force are removed, their rows stay.",
    columns=columns(
        AS_OF,
        ("rate", "STRING", "ctr or cvr.", True),
        ("candidate", "STRING", "Its name in ranker_evaluations.", True),
        ("model_version", "STRING", "That of the rows of ad_scores it gave.", True),
        ("artifact", "STRING", "Path below the artifacts' folder.", True),
        ("sha256", "STRING", "Of the file's bytes.", True),
        ("bytes", "INT64", "Size of the file.", True),
        ("text_embedder", "STRING", "Of the text vectors it learnt from.", True),
        ("text_weights_sha256", "STRING", "Of that embedder's files.", True),
        ("image_embedder", "STRING", "Of the image vectors it learnt from.", True),
        ("image_weights_sha256", "STRING", "Of that embedder's files.", True),
        ("text_version", "STRING", "Of the measures of texts: formulas and lists.", True),
        ("image_version", "STRING", "Of the measures of images: formulas, detectors, weights.", True),
        ("arms", "INT64", "Creatives in campaigns and placements that it learnt from.", True),
        ("creatives", "INT64", "Distinct ones among them.", True),
        ("learnt_through", "DATE", "Last report day of what it learnt from.", True),
        ("format_version", "INT64", "Of the file.", True),
        ("code_version", "STRING", "Of what fitted it.", True),
    ),
    grain=("as_of_date", "rate"),
    partition="as_of_date",
)
_QUANTILES = {"p10": "10th percentile", "p50": "Median", "p90": "90th percentile"}
CREATIVE_FATIGUE = Table(
    name=TableName("gaelp_training", "creative_fatigue"),
    description="How fast the click rate of each creative falls on each placement as people see it again. It "
    "describes how the rate fell, not why. NULL where not_enough_data gives the reason.",
    columns=columns(
        AS_OF,
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account.", True),
        ("track", "STRING", "Track.", True),
        ("placement", "STRING", "Placement, as in creative_rates.", True),
        ("creative_id", "STRING", "Creative; the ad where its creative is unknown.", True),
        ("basis", "STRING", "What the slope is by: frequency, or days where reach to date is unknown.", True),
        ("days", "INT64", "Days with impressions in the window.", True),
        ("impressions", "INT64", "Of these days.", True),
        ("clicks", "INT64", "On links.", True),
        ("exposure", "FLOAT64", "Times seen by each, or days, from the first day to the last.", True),
        *(
            (f"slope_{name}", "FLOAT64", f"{said}: change of log-odds CTR per unit of the basis.")
            for name, said in _QUANTILES.items()
        ),
        ("p_fatigues", "FLOAT64", "P(slope below 0)."),
        ("ctr_at_start", "FLOAT64", "Fitted CTR of the first day, a fraction."),
        *(
            (
                f"days_to_half_{name}",
                "FLOAT64",
                f"Days until half of it, at the slope's {name}; NULL: never.",
            )
            for name in _QUANTILES
        ),
        ("placement_slope", "FLOAT64", "Mean slope of the placement's creatives of the same basis."),
        *(
            (f"season_slope_{name}", "FLOAT64", f"{said}: slope a day of all ads there together.")
            for name, said in _QUANTILES.items()
        ),
        ("not_enough_data", "STRING", "Why nothing is said; NULL where something is."),
        ("method_version", "STRING", "Formula behind the row.", True),
    ),
    grain=("as_of_date", "platform", "account_id", "track", "placement", "creative_id"),
    partition="as_of_date",
)
