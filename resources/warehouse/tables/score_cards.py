"""What people read of a scored creative, and whether scores still hold.

Here: tables of cards and of drift. Not here: the scores themselves (`ranking`).
"""

from __future__ import annotations

from resources.warehouse.schema import ColumnType, Table, TableName
from resources.warehouse.tables.columns import AS_OF, Row, columns

_CREATIVE: tuple[Row, ...] = (
    AS_OF,
    ("track", "STRING", "Track.", True),
    ("platform", "STRING", "Source of the account.", True),
    ("account_id", "STRING", "Account.", True),
    ("creative_id", "STRING", "Creative in creative_objects.", True),
)
_GRAIN = ("as_of_date", "track", "platform", "account_id", "creative_id")


def _with_ends(name: str, said: str) -> tuple[tuple[str, ColumnType, str], ...]:
    return (
        (name, "FLOAT64", f"{said}; NULL where it cannot be told."),
        (f"{name}_low", "FLOAT64", "Low end of its 95 % interval, counting luck alone."),
        (f"{name}_high", "FLOAT64", "High end; NULL: none."),
    )


_RESULTS: tuple[Row, ...] = (
    ("impressions", "INT64", "In the window, in the track, over all placements.", True),
    ("clicks", "INT64", "Link clicks of them.", True),
    ("expected_clicks", "FLOAT64", "Impressions at the rates of their placements in the track.", True),
    ("matured_clicks", "INT64", "Clicks of days old enough to judge conversions.", True),
    ("matured_cost", "FLOAT64", "Cost of those days, account currency.", True),
    ("conversions", "FLOAT64", "Platform conversions by click of those days.", True),
    *_with_ends("ctr", "Link clicks per impression"),
    *_with_ends("cvr", "Conversions per matured click"),
    *_with_ends("cac", "Matured cost per platform conversion by click"),
    *_with_ends("ctr_index", "Clicks per expected click: 1 is what its placements bring"),
)

SCORE_CARDS = Table(
    name=TableName("gaelp_training", "score_cards"),
    description="Each creative and track of ad_scores as a person reads it: where it stands among its "
    "rivals, what it delivered, how its click rate falls and, apart from that, what policy says of it.",
    columns=columns(
        *_CREATIVE,
        ("lead", "FLOAT64", "Log-odds of the CTR score above its rivals' average; NULL: not scored."),
        ("lead_rank", "INT64", "1 leads most of the track's creatives on the platform."),
        ("rivals", "INT64", "Creatives of the track on the platform that are scored.", True),
        ("not_scored", "STRING", "Why there is no CTR score; NULL: there is one."),
        (
            "drivers_tell",
            "FLOAT64",
            "Share of scores' differences that the blocks of ad_score_drivers tell of creatives left out.",
        ),
        ("policy_profile", "STRING", "Profile of the track that texts are held to.", True),
        ("texts_pass", "BOOL", "No rule about texts blocks; says nothing of performance.", True),
        ("text_flags", "STRING", "JSON list of objections to the texts: rule, severity, text, remedy.", True),
        (
            "lexicon_hits",
            "STRING",
            "JSON object: matches per word of each list of words and characters over limits, where there are "
            "any; NULL: not measured.",
        ),
        ("content_sha256", "STRING", "Of the image's bytes; NULL: none is kept."),
        *_RESULTS,
        ("fatigue_placement", "STRING", "Placement of most impressions, which the slope is of."),
        ("slope_p10", "FLOAT64", "Change of log-odds CTR per day there; P(slope <= this) = 10 %."),
        ("slope_p50", "FLOAT64", "Its median."),
        ("slope_p90", "FLOAT64", "P(slope <= this) = 90 %."),
        ("p_fatigues", "FLOAT64", "P(slope < 0)."),
        ("ctr_at_start", "FLOAT64", "Fitted CTR there on the first day of the window."),
        ("no_fatigue", "STRING", "Why no slope is told; NULL: one is."),
    ),
    grain=_GRAIN,
    partition="as_of_date",
)
AD_SCORE_DRIVERS = Table(
    name=TableName("gaelp_training", "ad_score_drivers"),
    description="What goes with a creative's lead over its rivals: parts of it by block, which add up, and "
    "measured traits, each alone, which do not. Correlational: a trait that is added need not bring it.",
    columns=columns(
        *_CREATIVE,
        ("kind", "STRING", "block or trait.", True),
        ("driver", "STRING", "text, image, traits or words; or a column of creative_features.", True),
        ("contribution", "FLOAT64", "Log-odds of the CTR score above the rivals' average.", True),
        ("contribution_low", "FLOAT64", "Low end of a trait's 95 % interval."),
        ("contribution_high", "FLOAT64", "High end."),
        ("value", "FLOAT64", "The trait of this creative; NULL: a block."),
        ("average", "FLOAT64", "The trait's mean over its rivals; NULL: a block."),
    ),
    grain=(*_GRAIN, "kind", "driver"),
    partition="as_of_date",
)
AD_LOOK_ALIKES = Table(
    name=TableName("gaelp_training", "ad_look_alikes"),
    description="The creatives of the track that ran and are most like each one, by text and by image apart, "
    "with what they delivered.",
    columns=columns(
        *_CREATIVE,
        ("space", "STRING", "text or image: vectors of one are never compared with the other's.", True),
        ("rank", "INT64", "1 is the most alike.", True),
        ("embedder", "STRING", "Embedder and first characters of its weights' hash.", True),
        ("cosine", "FLOAT64", "Of the two vectors.", True),
        ("alike_platform", "STRING", "Source of the look-alike.", True),
        ("alike_account_id", "STRING", "Its account.", True),
        ("alike_creative_id", "STRING", "Its creative.", True),
        *_RESULTS,
    ),
    grain=(*_GRAIN, "space", "rank"),
    partition="as_of_date",
)
CREATIVE_DRIFT = Table(
    name=TableName("gaelp_training", "creative_drift"),
    description="Whether new creatives are like those that the scorer learnt from, and whether scores stored "
    "before ads started ranked what they then delivered. Empty while nothing has scored.",
    columns=columns(
        AS_OF,
        ("kind", "STRING", "novelty, trait, ranking or bounds.", True),
        ("name", "STRING", "Space of vectors, column of creative_features, or ctr.", True),
        (
            "scored_on",
            "DATE",
            "What ran before this morning was learnt from; NULL: scores of several mornings are judged.",
        ),
        (
            "value",
            "FLOAT64",
            "novelty: share of new creatives far from all learnt from. trait: population stability "
            "index. ranking: share of significant pairs right. bounds: share of bounds that held.",
        ),
        ("value_low", "FLOAT64", "Low end of its 95 % interval; NULL: it has none."),
        ("value_high", "FLOAT64", "High end."),
        (
            "drift_limit",
            "FLOAT64",
            "Above it (ranking, bounds: below it) by more than chance it is drift.",
            True,
        ),
        ("learnt", "INT64", "Creatives learnt from; 0: not compared.", True),
        ("since", "INT64", "Creatives since.", True),
        ("cases", "INT64", "What the value is a share of: creatives, pairs, ads on placements.", True),
        ("is_drift", "BOOL", "Beyond the limit.", True),
        ("not_told", "STRING", "Why there is no value; NULL: there is one."),
    ),
    grain=("as_of_date", "kind", "name"),
    partition="as_of_date",
)
