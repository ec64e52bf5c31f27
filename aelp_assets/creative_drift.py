"""Drift asset: are new ads like those the scorer learnt from, and do scores from before them rank them?

Here: choosing rows of earlier mornings, calling `models.ranking.drift`, warnings. Not here: the measures,
who scores (`ad_scores`). Scores of the morning itself are no input: what had been seen cannot be foretold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta

import dagster as dg
import numpy as np
import numpy.typing as npt
import polars as pl

from aelp_assets.metadata import FRAME, asset_key, check, result, table_metadata
from aelp_assets.ownership import MARKETING_SCIENCE, WEEKLY_FRESHNESS
from aelp_assets.partitions import (
    HISTORY_DAYS,
    RANKING_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
    seeded_rng,
)
from models.creatives.contents import CREATIVE, joined_text
from models.policy import TEXTS
from models.ranking.ad_scores import ScoringRules
from models.ranking.blocks import Vectors, creative_blocks, measured_traits
from models.ranking.candidates import IMAGE, TEXT, TRAITS
from models.ranking.drift import Drift, bounds_since, novelty, ranking_since, trait_shifts
from models.ranking.evidence import Arms
from models.ranking.kernels import Values
from resources.code_version import module_hash, used_by
from resources.creative_vectors import read_vectors, space_of
from resources.settings import Settings
from resources.warehouse.interface import Warehouse
from resources.warehouse.tables import CREATIVE_DRIFT

_NAME = str(CREATIVE_DRIFT.name)
_SHOWN = ["kind", "name", "value", "value_low", "value_high", "drift_limit", "since", "is_drift", "not_told"]
DRIFT_DAYS = 56  # of stored scores: eight weekly ones
_NEW_DAYS = 28  # a week brings too few new creatives to tell anything from
_REMEDIES = {
    "novelty": "Scores of such ads rest on little: give them exploration budget, and raise or drop none "
    "by its score before it has delivered.",
    "trait": "The new ads differ in these traits from those learnt from: read their scores beside their look-"
    "alikes until the weekly ranking has learnt from their delivery.",
    "ranking": "Scores rank what ran since worse than they promised: decide by delivered results, and look "
    "at ranker_evaluations whether another candidate does better.",
    "bounds": "Lower bounds fail too often: take them for no promise, and look whether a placement's level "
    "(season, auction) fell since.",
}
_GROUP = ("as_of_date", "platform", "account_id", "track", "campaign_id", "placement")


@dg.asset(
    dagster_type=FRAME,
    key=asset_key(_NAME),
    ins={
        "creative_objects": dg.AssetIn(
            key=["gaelp_training", "creative_objects"],
            metadata={"columns": [*CREATIVE, *TEXTS, "content_hash", "content_sha256", "first_seen"]},
        ),
        "int_creative_placement_daily": dg.AssetIn(
            key=["intermediate", "int_creative_placement_daily"], partition_mapping=days_before(HISTORY_DAYS)
        ),
        "ad_scores": dg.AssetIn(
            key=["gaelp_training", "ad_scores"], partition_mapping=days_before(DRIFT_DAYS)
        ),
        "ranker_evaluations": dg.AssetIn(
            key=["gaelp_training", "ranker_evaluations"], partition_mapping=days_before(DRIFT_DAYS)
        ),
    },
    deps=[asset_key("gaelp_training.creative_embeddings"), asset_key("gaelp_training.creative_features")],
    check_specs=[
        dg.AssetCheckSpec(
            "new_creatives_are_like_those_learnt_from",
            asset=asset_key(_NAME),
            description="Vectors and traits of new creatives lie where the scorer has learnt.",
        ),
        dg.AssetCheckSpec(
            "scores_hold_on_what_ran_since",
            asset=asset_key(_NAME),
            description="Scores and bounds stored before ads started hold for what these delivered.",
        ),
    ],
    group_name="ranking",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    partitions_def=decision_days,
    freshness_policy=WEEKLY_FRESHNESS,
    metadata=table_metadata(_NAME),
    description=CREATIVE_DRIFT.description,
    code_version=module_hash(*used_by(__name__)),
    pool=WAREHOUSE_POOL,
)
def creative_drift(
    context: dg.AssetExecutionContext,
    creative_objects: pl.DataFrame,
    int_creative_placement_daily: pl.DataFrame,
    ad_scores: pl.DataFrame,
    ranker_evaluations: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.MaterializeResult:
    """New creatives beside those learnt from, and earlier scores beside what was delivered after them."""
    from resources.creative_measures import lexicons_of, read_features  # noqa: PLC0415 - OpenCV

    morning = morning_of(context)
    text = Vectors(*read_vectors(warehouse, space_of("text", settings.creatives.text_embedder)))
    image = Vectors(*read_vectors(warehouse, space_of("image", settings.creatives.image_embedder)))
    features = read_features(warehouse, lexicons_of(settings))
    rows = drift_of(
        creative_objects,
        creative_blocks(creative_objects, text, image, features),
        measured_traits(features.schema),
        int_creative_placement_daily,
        ad_scores,
        ranker_evaluations,
        morning,
        generator=seeded_rng(settings.seed, "creative_drift", morning),
    )
    return result(
        rows,
        checks=[
            _held("new_creatives_are_like_those_learnt_from", rows, ("novelty", "trait")),
            _held("scores_hold_on_what_ran_since", rows, ("ranking", "bounds")),
        ],
        columns=_SHOWN,
    )


def _held(name: str, rows: pl.DataFrame, kinds: Sequence[str]) -> dg.AssetCheckResult:
    found = rows.filter(pl.col("kind").is_in(kinds), "is_drift")
    said = [
        f"{row['kind']} of {row['name']} is {row['value']:.2f}, {row['drift_limit']:.2f} is the limit."
        for row in found.sort("kind", "value", descending=[False, True]).head(5).to_dicts()
    ]
    remedies = [_REMEDIES[kind] for kind in kinds if kind in found["kind"]]
    more = [f"{found.height - len(said)} more in creative_drift."] if found.height > len(said) else []
    return check(
        name,
        found.is_empty(),
        " ".join([*said, *more, *remedies]),
        _NAME,
        severity=dg.AssetCheckSeverity.WARN,
    )


def drift_of(
    creatives: pl.DataFrame,
    blocks: Mapping[str, Values],
    trait_names: Sequence[str],
    days: pl.DataFrame,
    scores: pl.DataFrame,
    evaluations: pl.DataFrame,
    morning: date,
    *,
    generator: np.random.Generator,
) -> pl.DataFrame:
    """CREATIVE_DRIFT of a morning; no row where no earlier morning scored.

    Args:
        creatives: keys, texts, hashes, first_seen; row i is row i of the blocks.
        trait_names: of the block of traits.
        days: int_creative_placement_daily before the morning.
        scores, evaluations: AD_SCORES and RANKER_EVALUATIONS of earlier mornings.
    """
    stored = scores.filter((pl.col("as_of_date") < morning) & pl.col("ctr_score").is_not_null())
    mornings = sorted(stored["as_of_date"].unique())
    if not mornings:
        return CREATIVE_DRIFT.polars_schema.to_frame()
    # Old enough for new creatives to have gathered since; while none is, the oldest.
    learnt_on = max(
        (day for day in mornings if day <= morning - timedelta(days=_NEW_DAYS)), default=mornings[0]
    )
    days = days.with_columns(
        pl.col("date").cast(pl.Date), pl.col("impressions", "clicks").cast(pl.Float64)
    ).filter(pl.col("date") < morning)
    found = [
        *_inputs(creatives, blocks, trait_names, days, learnt_on, generator),
        *_outcomes(stored, evaluations, days, generator),
    ]
    return _table(found, morning, learnt_on)


def _table(found: Iterable[Drift], morning: date, learnt_on: date) -> pl.DataFrame:
    rows = pl.DataFrame([asdict(drift) for drift in found], infer_schema_length=None).rename(
        {"low": "value_low", "high": "value_high", "limit": "drift_limit"}
    )
    return CREATIVE_DRIFT.conform(
        rows.with_columns(
            pl.col("value", "value_low", "value_high").fill_nan(None),
            as_of_date=pl.lit(morning),
            scored_on=pl.when(pl.col("learnt") > 0).then(pl.lit(learnt_on)),
        )
        .select(CREATIVE_DRIFT.column_names)
        .sort(CREATIVE_DRIFT.grain)
    )


def _inputs(
    creatives: pl.DataFrame,
    blocks: Mapping[str, Values],
    trait_names: Sequence[str],
    days: pl.DataFrame,
    learnt_on: date,
    generator: np.random.Generator,
) -> list[Drift]:
    """Creatives since a morning beside those that the scorer of that morning learnt from."""
    before = days.filter(
        pl.col("date").is_between(learnt_on - timedelta(days=RANKING_DAYS), learnt_on, "left")
    )
    taught = (
        before.group_by(CREATIVE)
        .agg(pl.col("impressions").sum())
        .filter(pl.col("impressions") >= ScoringRules().fewest_impressions)
    )
    numbered = creatives.with_row_index("row").with_columns(text=joined_text())
    learnt = numbered.join(taught, on=CREATIVE, how="semi")
    ran_before = days.filter(pl.col("date") < learnt_on).select(CREATIVE).unique()
    ran_since = days.filter(pl.col("date") >= learnt_on).select(CREATIVE).unique().with_columns(ran=True)
    since = (
        numbered.join(ran_before, on=CREATIVE, how="anti")
        .join(ran_since, on=CREATIVE, how="left")
        .filter(pl.col("ran") | (pl.col("first_seen") >= learnt_on))
    )
    found = []
    for space, content in ((TEXT, "text"), (IMAGE, "content_sha256")):
        if space in blocks:
            vectors = np.asarray(blocks[space], dtype=np.float64)
            found.append(novelty(space, *(_distinct(vectors, rows, content) for rows in (learnt, since))))
    if TRAITS in blocks:
        traits = np.asarray(blocks[TRAITS], dtype=np.float64)
        old, new = (traits[rows["row"].to_numpy()] for rows in (learnt, since))
        found += trait_shifts(trait_names, old, new, generator)
    return found


def _distinct(vectors: npt.NDArray[np.float64], rows: pl.DataFrame, content: str) -> npt.NDArray[np.float64]:
    """The vector of each content once; contents without one are left out."""
    chosen = vectors[rows.unique(content, keep="first", maintain_order=True)["row"].to_numpy()]
    return np.asarray(chosen[np.isfinite(chosen).all(axis=1)])


def _outcomes(
    stored: pl.DataFrame, evaluations: pl.DataFrame, days: pl.DataFrame, generator: np.random.Generator
) -> list[Drift]:
    """Scores stored on a morning beside what ads that first ran on it or later delivered."""
    first = days.group_by(*CREATIVE, "track").agg(first_day=pl.col("date").min())
    # The newest scores given before it ran, on a morning when it had not run at all.
    given = (
        stored.filter(pl.col("delivered_impressions") == 0)
        .join(first, on=[*CREATIVE, "track"])
        .filter(pl.col("as_of_date") <= pl.col("first_day"))
        .filter(pl.col("as_of_date") == pl.col("as_of_date").max().over(*CREATIVE, "track"))
    )
    delivered = days.group_by(*CREATIVE, "track", "campaign_id", "placement").agg(
        pl.col("impressions", "clicks").sum()
    )
    rules = ScoringRules()
    cases = (
        given.join(delivered, on=[*CREATIVE, "track", "placement"])
        .filter(pl.col("impressions") >= rules.fewest_impressions)
        .sort(*_GROUP, "creative_id")
    )
    creative = cases.select(pl.struct(CREATIVE).rank("dense")).to_series().to_numpy().astype(np.int64)
    groups = cases.select(pl.struct(_GROUP).rank("dense")).to_series().to_numpy().astype(np.int64)
    clicks = cases.select(pl.min_horizontal("clicks", "impressions")).to_series()
    arms = Arms(groups, cases["impressions"].to_numpy(), clicks.to_numpy())
    ranked = ranking_since(
        "ctr",
        cases["ctr_score"].to_numpy(),
        arms,
        creative,
        expected=_promised(cases, evaluations),
        generator=generator,
    )
    # A bound is told for screening traffic: with less, luck takes more than it allows.
    traffic = arms.trials >= rules.screening_impressions
    return [
        ranked,
        bounds_since(
            "ctr",
            cases["ctr_lower_bound"].to_numpy()[traffic],
            arms.rate[traffic],
            creative[traffic],
            generator,
        ),
    ]


def _promised(cases: pl.DataFrame, evaluations: pl.DataFrame) -> float:
    """Share of significant pairs that the champions of those mornings were judged to rank right."""
    judged = evaluations.filter("is_champion", rate="ctr").select("as_of_date", "significant_pairs_right")
    found = cases.select("as_of_date").join(judged, on="as_of_date")["significant_pairs_right"].mean()
    return float(found) if isinstance(found, float) else 0.5
