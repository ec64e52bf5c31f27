"""Split tests and what was judged of them; experiments of every kind and when planned ones may run.

Here: the tables of the weekly judgement. Not here: raw arms (`raw`), AELP's own randomised holds
(`monitoring`).
"""

from __future__ import annotations

from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import AS_OF, Row, columns

_TEST: tuple[Row, ...] = (
    AS_OF,
    ("platform", "STRING", "Source of the test.", True),
    ("account_id", "STRING", "Account.", True),
    ("test_id", "STRING", "Test.", True),
)
AB_EXPERIMENTS = Table(
    name=TableName("gaelp_training", "ab_experiments"),
    description="Split tests: whether each was split as planned, and who won. An invalid test has no winner.",
    columns=columns(
        *_TEST,
        ("test_name", "STRING", "Its name; NULL where not told."),
        ("kind", "STRING", "Such as creative, landing_page, holdout; NULL where not told."),
        ("track", "STRING", "Track; NULL where not told."),
        ("metric", "STRING", "What it is judged by; NULL where its arms tell no metric."),
        ("first_day", "DATE", "First day of its first period.", True),
        ("last_day", "DATE", "Last day of its last period before as_of_date.", True),
        ("arms", "INT64", "Arms with rows.", True),
        ("control_arm", "STRING", "The arm others are held against; NULL without a metric."),
        ("unit", "STRING", "What was split: users, or impressions where users are not told.", True),
        ("units", "INT64", "Of all arms.", True),
        ("smallest_arm", "INT64", "Units of the smallest arm.", True),
        ("share_gap", "FLOAT64", "Largest difference of an arm's share from the plan; NULL without units."),
        ("sample_ratio_p", "FLOAT64", "P(shares so far from the plan) if split as planned; NULL: too few."),
        ("sample_ratio_q", "FLOAT64", "The same over all tests of the morning: false discovery rate."),
        ("segments_off", "INT64", "Segments whose shares are not as planned.", True),
        ("periods_off", "INT64", "Periods whose shares are not as planned.", True),
        ("time_imbalance", "FLOAT64", "Cramér's V of arm and time; NULL: not available."),
        (
            "time_p",
            "FLOAT64",
            "P(times so different) if arms ran at the same; NULL: not available (a single time, few units).",
        ),
        ("broken_window", "BOOL", "It began in weeks in which too many of the account's tests fail.", True),
        ("is_valid", "BOOL", "Nothing speaks against judging it.", True),
        ("verdict", "STRING", "winner, no_difference, too_little_data or invalid.", True),
        ("winner", "STRING", "The arm shown to be best; NULL without one."),
        (
            "winner_lift",
            "FLOAT64",
            "Its lift over the control to be expected, luck of winning taken off; NULL: the control won.",
        ),
        ("reasons", "STRING", "What speaks against the test, or is missing, in words."),
    ),
    grain=("as_of_date", "platform", "account_id", "test_id"),
    partition="as_of_date",
)
AB_RESULTS = Table(
    name=TableName("gaelp_training", "ab_results"),
    description="What each arm of a split test did by metric, and its lift over the control with an interval "
    "that holds at every look.",
    columns=columns(
        *_TEST,
        ("metric", "STRING", "The rate: outcomes by exposures.", True),
        ("arm", "STRING", "Arm.", True),
        ("is_control", "BOOL", "Whether the others are held against it.", True),
        ("is_primary", "BOOL", "Whether the test is judged by this metric.", True),
        ("is_valid", "BOOL", "Nothing speaks against judging the test.", True),
        ("days", "INT64", "Days told.", True),
        ("outcomes", "FLOAT64", "Clicks, orders, conversions or positive answers.", True),
        ("exposures", "FLOAT64", "Impressions, users or answers.", True),
        ("rate", "FLOAT64", "Outcomes by exposures.", True),
        ("rate_low", "FLOAT64", "Lower end, held at every look; NULL: too few outcomes or days."),
        ("rate_high", "FLOAT64", "Upper end."),
        ("lift", "FLOAT64", "Rate by the control's, less 1; NULL for the control, and with too few."),
        ("lift_low", "FLOAT64", "Lower end, held at every look and for all arms of the test together."),
        ("lift_high", "FLOAT64", "Upper end."),
        (
            "expected_lift",
            "FLOAT64",
            "The lift pulled to where lifts of the metric lie: what is left when the luck of being picked "
            "is taken off; NULL for an invalid test.",
        ),
        ("dispersion", "FLOAT64", "Variance shown by days, by that of counts; NULL: too few periods."),
        ("p_value", "FLOAT64", "Of no lift, valid at every look."),
        ("p_adjusted", "FLOAT64", "The same for all arms together (Holm)."),
        ("confidence", "FLOAT64", "Probability that no lift interval of test and metric ever fails.", True),
    ),
    grain=("as_of_date", "platform", "account_id", "test_id", "metric", "arm"),
    partition="as_of_date",
)
EXPERIMENTS = Table(
    name=TableName("gaelp_training", "experiments"),
    description="Every experiment: split tests, media-mix tests, draws of apply or hold. Planned ones have "
    "the first days on which nothing disturbs them.",
    columns=columns(
        AS_OF,
        ("experiment_id", "STRING", "Names it among all kinds, the same every morning.", True),
        ("kind", "STRING", "split_test, media_mix or apply_hold.", True),
        ("status", "STRING", "planned, running, finished or invalid.", True),
        ("compared", "STRING", "What is held against what, in words.", True),
        ("unit", "STRING", "What is split or changed, such as users, weeks, lever windows.", True),
        ("metric", "STRING", "What it is judged by; NULL where not told."),
        ("track", "STRING", "Track; NULL: several, or not told."),
        ("first_day", "DATE", "First day; NULL: planned but no week is free, or never told."),
        ("last_day", "DATE", "Last day; NULL without a first day, and while it goes on with no end told."),
        ("verdict", "STRING", "What it showed so far; NULL: nothing yet, or see reference."),
        ("reference", "STRING", "Where its numbers stand."),
        ("power", "FLOAT64", "P(it shows what it looks for), as planned; NULL: not known."),
        ("price", "FLOAT64", "Dollars it is expected to cost; NULL: not known."),
        (
            "value_per_dollar",
            "FLOAT64",
            "Dollars of regret removed per dollar of price; NULL: not valued.",
        ),
        (
            "occupies",
            "STRING",
            "JSON list of places: platform, account_id, track, channel, lever_id; a part left out is all of "
            "it. No two experiments share a place at once.",
            True,
        ),
        ("conflicts", "STRING", "What kept a planned one from an earlier week, and from when it could run."),
    ),
    grain=("as_of_date", "experiment_id"),
    partition="as_of_date",
)
