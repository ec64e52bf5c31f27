"""Score cards: what a person reads of each creative beside its score.

Here: reading scores, creatives, vectors and deliveries, calling `models.ranking`, policy's words on texts.
Not here: the mathematics, the page (`desk.creatives`), the scores (`ad_scores`).
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from aelp_assets.launches import policy_profiles
from aelp_assets.metadata import asset_key, check, result, table_out
from aelp_assets.ownership import MARKETING_SCIENCE, WEEKLY_FRESHNESS
from aelp_assets.partitions import (
    RANKING_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
    same_morning,
    seeded_rng,
)
from models.creatives.contents import CREATIVE
from models.maturity import last_matured_day
from models.policy import TEXTS, PolicyProfile, review_texts
from models.ranking.blocks import Vectors, creative_blocks, measured_traits
from models.ranking.score_cards import CARD, ScoreCards, score_cards
from resources.code_version import module_hash, used_by
from resources.creative_vectors import VectorSpace, read_vectors, space_of
from resources.settings import Settings
from resources.warehouse.interface import Warehouse
from resources.warehouse.tables import AD_LOOK_ALIKES, AD_SCORE_DRIVERS, SCORE_CARDS

_CARDS, _DRIVERS, _ALIKE = (str(table.name) for table in (SCORE_CARDS, AD_SCORE_DRIVERS, AD_LOOK_ALIKES))
_CARDS_SHOWN = [
    *("track", "creative_id", "lead", "lead_rank", "rivals", "texts_pass", "impressions", "ctr_index"),
    *("p_fatigues", "not_scored"),
]
_DRIVERS_SHOWN = ["track", "creative_id", "kind", "driver", "contribution", "value", "average"]
_ALIKE_SHOWN = [
    *("track", "creative_id", "space", "rank", "cosine", "alike_creative_id", "impressions", "ctr", "cvr"),
    "cac",
]
_LEXICONS = ("text_trigger_", "text_regulated_density", "text_over_")
_NO_RATE = "No placement of its track delivered enough to know its rate."


@dg.multi_asset(
    name="cards",
    ins={
        "creative_objects": dg.AssetIn(
            key=["gaelp_training", "creative_objects"],
            metadata={"columns": [*CREATIVE, *TEXTS, "content_hash", "content_sha256"]},
        ),
        "int_creative_placement_daily": dg.AssetIn(
            key=["intermediate", "int_creative_placement_daily"], partition_mapping=days_before(RANKING_DAYS)
        ),
        "ad_scores": dg.AssetIn(key=["gaelp_training", "ad_scores"], partition_mapping=same_morning),
        "ranker_evaluations": dg.AssetIn(
            key=["gaelp_training", "ranker_evaluations"], partition_mapping=same_morning
        ),
    },
    outs={
        table.name.table: table_out(
            str(table.name),
            MARKETING_SCIENCE,
            WEEKLY_FRESHNESS,
            module_hash(*used_by(__name__)),
        )
        for table in (SCORE_CARDS, AD_SCORE_DRIVERS, AD_LOOK_ALIKES)
    },
    deps=[asset_key("gaelp_training.creative_embeddings"), asset_key("gaelp_training.creative_features")],
    check_specs=[
        dg.AssetCheckSpec(
            "every_score_has_a_card",
            asset=asset_key(_CARDS),
            description="One card per creative and track of ad_scores, with a lead or the reason for none.",
        ),
        dg.AssetCheckSpec(
            "drivers_are_of_scored_creatives",
            asset=asset_key(_DRIVERS),
            description="Only creatives with a lead have drivers, each inside its interval.",
        ),
        dg.AssetCheckSpec(
            "look_alikes_ran_and_are_others",
            asset=asset_key(_ALIKE),
            description="A look-alike is another creative of the track that had impressions.",
        ),
    ],
    group_name="ranking",
    partitions_def=decision_days,
    pool=WAREHOUSE_POOL,
)
def cards(
    context: dg.AssetExecutionContext,
    creative_objects: pl.DataFrame,
    int_creative_placement_daily: pl.DataFrame,
    ad_scores: pl.DataFrame,
    ranker_evaluations: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.MaterializeResult]:
    """A card per creative and track, what goes with its score, and the creatives it is most like."""
    from resources.creative_measures import lexicons_of, read_features  # noqa: PLC0415 - OpenCV

    morning = morning_of(context)
    spaces = {
        "text": space_of("text", settings.creatives.text_embedder),
        "image": space_of("image", settings.creatives.image_embedder),
    }
    vectors = {name: Vectors(*read_vectors(warehouse, space)) for name, space in spaces.items()}
    made, drivers, look_alikes = cards_of(
        creative_objects,
        vectors,
        read_features(warehouse, lexicons_of(settings)),
        int_creative_placement_daily,
        ad_scores,
        ranker_evaluations,
        policy_profiles(settings),
        morning,
        maturity_days=settings.attribution.maturity_days,
        embedders={name: _short(space) for name, space in spaces.items()},
        seed=settings.seed,
    )
    missed = ad_scores.select(CARD).unique().join(made, on=CARD, how="anti").height
    unsaid = made.filter(pl.col("lead").is_null() & pl.col("not_scored").is_null()).height
    yield result(
        made,
        checks=[
            check(
                "every_score_has_a_card",
                not missed + unsaid,
                f"{missed} creatives of ad_scores have no card, {unsaid} neither a lead nor a reason.",
                _CARDS,
            )
        ],
        columns=_CARDS_SHOWN,
        key=_CARDS,
        scored=int(made["lead"].is_not_null().sum()),
    )
    unscored = drivers.join(made.filter(pl.col("lead").is_not_null()), on=CARD, how="anti").height
    outside = drivers.filter(
        ~pl.col("contribution").is_between("contribution_low", "contribution_high")
    ).height
    yield result(
        drivers,
        checks=[
            check(
                "drivers_are_of_scored_creatives",
                not unscored + outside,
                f"{unscored} drivers are of creatives without a score, {outside} lie outside their interval.",
                _DRIVERS,
            )
        ],
        columns=_DRIVERS_SHOWN,
        key=_DRIVERS,
    )
    own = [pl.col(name) == pl.col(f"alike_{name}") for name in CREATIVE]
    wrong = look_alikes.filter(pl.all_horizontal(own) | (pl.col("impressions") <= 0)).height
    yield result(
        look_alikes,
        checks=[
            check(
                "look_alikes_ran_and_are_others",
                not wrong,
                f"{wrong} look-alikes never ran or are the creative itself.",
                _ALIKE,
            )
        ],
        columns=_ALIKE_SHOWN,
        key=_ALIKE,
    )


def _short(space: VectorSpace) -> str:
    return f"{space.embedder}@{space.weights_sha256[:8]}"


def cards_of(
    creatives: pl.DataFrame,
    vectors: Mapping[str, Vectors],
    features: pl.DataFrame,
    days: pl.DataFrame,
    scores: pl.DataFrame,
    evaluations: pl.DataFrame,
    profiles: Mapping[str, PolicyProfile],
    morning: date,
    *,
    maturity_days: int,
    embedders: Mapping[str, str],
    seed: int,
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """SCORE_CARDS, AD_SCORE_DRIVERS and AD_LOOK_ALIKES of a morning.

    Args:
        creatives: keys, texts and hashes.
        vectors: by space, text and image.
        days: int_creative_placement_daily before the morning.
        scores, evaluations: AD_SCORES and RANKER_EVALUATIONS of the morning.
        profiles: by track.
        embedders: what the spaces are called.
    """
    judged = evaluations.filter("is_champion", rate="ctr").to_dicts()
    champion = judged[0]["candidate"] if judged and judged[0]["may_score"] else None
    why = None if champion else (judged[0]["reasons"] if judged else "No ranker was judged that morning.")
    found: ScoreCards = score_cards(
        scores,
        creatives,
        creative_blocks(creatives, vectors["text"], vectors["image"], features),
        measured_traits(features.schema),
        days.filter(pl.col("track").is_in(scores["track"].unique().implode())),
        champion=champion,
        matured_through=last_matured_day(morning, maturity_days),
        generator=seeded_rng(seed, "cards", morning),
    )
    as_of = pl.lit(morning).alias("as_of_date")
    texts = found.cards.select(CARD).join(
        creatives.select(*CREATIVE, *TEXTS, "content_hash", "content_sha256"), on=CREATIVE
    )
    about = texts.join(
        _lexicon_hits(features), on=["content_hash", "content_sha256"], how="left", nulls_equal=True
    )
    made = (
        found.cards.join(review_texts(texts, profiles), on=CARD)
        .join(about.select(*CARD, "content_sha256", "lexicon_hits"), on=CARD)
        .with_columns(
            as_of,
            not_scored=pl.when(pl.col("lead").is_null()).then(pl.lit(why or _NO_RATE)),
            no_fatigue=pl.when(pl.col("fatigue_placement").is_null())
            .then(pl.lit("It did not run in the window."))
            .otherwise("no_fatigue"),
        )
    )
    named = pl.col("space").replace_strict(dict(embedders), return_dtype=pl.String).alias("embedder")
    tables = (
        (SCORE_CARDS, made),
        (AD_SCORE_DRIVERS, found.drivers.with_columns(as_of)),
        (AD_LOOK_ALIKES, found.look_alikes.with_columns(as_of, named)),
    )
    conformed = [table.conform(rows.select(table.column_names).sort(table.grain)) for table, rows in tables]
    return conformed[0], conformed[1], conformed[2]


def _lexicon_hits(features: pl.DataFrame) -> pl.DataFrame:
    """What lists of words and limits found in each pair, as JSON."""
    columns = [name for name in features.columns if name.startswith(_LEXICONS)]

    def said(row: Mapping[str, Any]) -> str:
        hits = {name.removeprefix("text_"): round(row[name], 4) for name in columns if row[name]}
        return json.dumps(hits, sort_keys=True)

    hits = [said(row) for row in features.iter_rows(named=True)]
    return features.select("content_hash", "content_sha256").with_columns(
        lexicon_hits=pl.Series(hits, dtype=pl.String)
    )
