"""Ranking assets: which new ads deserve a try, and how far whoever says so may be trusted.

Here: reading creatives with their vectors, measures and deliveries, calling `models.ranking`, drawing. Not
here: the mathematics, what creatives are like (`creative_features`, `creative_embeddings`), what split tests
teach and who ranked before (`ranking_evidence`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from math import isfinite

import dagster as dg
import numpy as np
import polars as pl

from aelp_assets import plots
from aelp_assets.metadata import asset_key, check, result, table_out
from aelp_assets.ownership import MARKETING_SCIENCE, WEEKLY_FRESHNESS
from aelp_assets.partitions import (
    JUDGED_DAYS,
    RANKING_DAYS,
    WAREHOUSE_POOL,
    days_before,
    decision_days,
    morning_of,
    seeded_rng,
)
from aelp_assets.ranker_models import keep_rankers, models_result, reading_of
from aelp_assets.ranking_evidence import (
    clusters,
    everything_read,
    newest_teaching_arms,
    previous_champions,
)
from models.creatives.contents import CREATIVE
from models.maturity import is_matured
from models.policy import TEXTS
from models.ranking.ad_scores import AdScores, RateRanking, ScoringRules, ad_scores
from models.ranking.blocks import Vectors, creative_blocks
from models.ranking.candidates import CANDIDATES, TEXT, Fit
from models.ranking.kernels import Values, chosen_rows
from models.ranking.one_click import BinaryFigures
from models.ranking.populations import ADS, OF_TESTS, TESTS, WITH_TESTS
from models.ranking.roster import chosen_candidates
from resources.code_version import module_hash, used_by
from resources.creative_vectors import read_vectors, space_of
from resources.ranker_models import remove_rankers
from resources.settings import Environment, Settings
from resources.warehouse.interface import Warehouse
from resources.warehouse.tables import AD_SCORES, RANKER_EVALUATIONS, RANKER_MODELS

_SCORES, _EVALUATIONS = str(AD_SCORES.name), str(RANKER_EVALUATIONS.name)
_SHOWN = [
    *("track", "creative_id", "placement", "ctr_score", "ctr_lower_bound", "cvr_score"),
    *("p_above_placement", "delivered_impressions"),
]
_EVALUATIONS_SHOWN = [
    *("rate", "candidate", "judged_on", "is_champion", "may_score", "significant_pairs_right", "top_one"),
    *("calibration_error", "chance_calibration_error", "lowest_coverage", "reasons"),
]
_FILES = ["as_of_date", "rate", "artifact"]
_DELIVERY = [*CREATIVE, "track", "campaign_id", "placement"]


@dg.multi_asset(
    name="ranking",
    ins={
        "creative_objects": dg.AssetIn(
            key=["gaelp_training", "creative_objects"],
            metadata={"columns": [*CREATIVE, *TEXTS, "content_hash", "content_sha256"]},
        ),
        "int_creative_placement_daily": dg.AssetIn(
            key=["intermediate", "int_creative_placement_daily"], partition_mapping=days_before(RANKING_DAYS)
        ),
        "ab_experiments": dg.AssetIn(
            key=["gaelp_training", "ab_experiments"],
            partition_mapping=days_before(JUDGED_DAYS, and_the_morning=True),
        ),
        "int_experiment_cells": dg.AssetIn(key=["intermediate", "int_experiment_cells"]),
        "int_experiment_arms": dg.AssetIn(key=["intermediate", "int_experiment_arms"]),
    },
    outs={
        table.name.table: table_out(
            str(table.name),
            MARKETING_SCIENCE,
            WEEKLY_FRESHNESS,
            module_hash(*used_by(__name__, "aelp_assets.ranker_models", "aelp_assets.ranking_evidence")),
        )
        for table in (RANKER_EVALUATIONS, RANKER_MODELS, AD_SCORES)
    },
    deps=[asset_key("gaelp_training.creative_embeddings"), asset_key("gaelp_training.creative_features")],
    check_specs=[
        dg.AssetCheckSpec(
            "a_ranker_may_score",
            asset=asset_key(_EVALUATIONS),
            description="CTR and CVR each have a ranker that the gate lets score.",
        ),
        dg.AssetCheckSpec(
            "kept_rankers_are_whole",
            asset=asset_key(str(RANKER_MODELS.name)),
            description="Each ranker's file stands, has its hash and can be read back.",
        ),
        dg.AssetCheckSpec(
            "bounds_lie_below_scores",
            asset=asset_key(_SCORES),
            description="0 <= ctr_lower_bound <= ctr_score <= 1, and cvr_score and p_one_click in [0, 1].",
        ),
    ],
    group_name="ranking",
    partitions_def=decision_days,
    pool=WAREHOUSE_POOL,
)
def ranking(
    context: dg.AssetExecutionContext,
    creative_objects: pl.DataFrame,
    int_creative_placement_daily: pl.DataFrame,
    ab_experiments: pl.DataFrame,
    int_experiment_cells: pl.DataFrame,
    int_experiment_arms: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    warehouse: dg.ResourceParam[Warehouse],
) -> Iterator[dg.MaterializeResult]:
    """Candidates judged on later ads, the champion kept, and its scores of every creative and placement."""
    # OpenCV
    from resources.creative_measures import lexicons_of, present_versions, read_features  # noqa: PLC0415

    candidates = chosen_candidates(settings.creatives.candidates)
    morning = morning_of(context)
    spaces = {
        "text": space_of("text", settings.creatives.text_embedder),
        "image": space_of("image", settings.creatives.image_embedder),
    }
    vectors = {name: Vectors(*read_vectors(warehouse, space)) for name, space in spaces.items()}
    tests = newest_teaching_arms(ab_experiments, int_experiment_cells, int_experiment_arms)
    blocks = creative_blocks(
        everything_read(creative_objects, tests),
        vectors["text"],
        vectors["image"],
        read_features(warehouse, lexicons_of(settings)),
    )
    embedders = "+".join(f"{space.embedder}@{space.weights_sha256[:8]}" for space in spaces.values())
    days = int_creative_placement_daily.filter(pl.col("track").is_in(list(settings.tracks)))
    evaluations, scores, scored = rank_creatives(
        creative_objects,
        blocks,
        days,
        tests,
        morning,
        champions=previous_champions(warehouse, morning),
        maturity_days=settings.attribution.maturity_days,
        embedders=embedders,
        generator=seeded_rng(settings.seed, "ranking", morning),
        candidates=candidates,
    )
    refused = evaluations.filter(pl.col("is_champion") & ~pl.col("may_score"))
    yield result(
        evaluations,
        checks=[
            check(
                "a_ranker_may_score",
                refused.is_empty(),
                "; ".join(f"{row['rate']}: {row['reasons']}" for row in refused.to_dicts()),
                _EVALUATIONS,
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        columns=_EVALUATIONS_SHOWN,
        key=_EVALUATIONS,
        by_placement={
            rate: found.promotion.slices.to_dicts()
            for rate, found in (("ctr", scored.click), ("cvr", scored.conversion))
            if found.promotion is not None
        },
        one_click=_told(scored.one_click),
    )
    models = keep_rankers(
        environment.artifacts,
        scored,
        blocks,
        reading_of(spaces["text"], spaces["image"], present_versions(lexicons_of(settings))),
        morning,
        model_version=_model_version(scored, embedders),
    )
    files = warehouse.read(RANKER_MODELS.name, _FILES)
    yield models_result(models, environment.artifacts, evaluations)
    # The rows are written by now: no file goes that one in force names.
    now = warehouse.read(RANKER_MODELS.name, _FILES)
    for artifact in remove_rankers(environment.artifacts, files, now, morning):
        context.log.info(f"{artifact}: removed, a ranker out of force.")
    wrong = scores.filter(
        ~pl.col("ctr_lower_bound").is_between(0, pl.col("ctr_score"))
        | ~pl.col("ctr_score").is_between(0, 1)
        | ~pl.col("cvr_score").is_between(0, 1)
        | ~pl.col("p_one_click").is_between(0, 1)
    ).height
    yield result(
        scores,
        plots.ad_scores(scores),
        [check("bounds_lie_below_scores", wrong == 0, f"{wrong} rows break their bounds.", _SCORES)],
        _SHOWN,
        _SCORES,
        creatives=scores["creative_id"].n_unique(),
        scored=int(scores["ctr_score"].is_not_null().sum()),
    )


def rank_creatives(
    creatives: pl.DataFrame,
    blocks: dict[str, Values],
    days: pl.DataFrame,
    tests: pl.DataFrame,
    morning: date,
    *,
    champions: Mapping[str, str | None],
    maturity_days: int,
    embedders: str,
    generator: np.random.Generator,
    candidates: Mapping[str, Fit] = CANDIDATES,
) -> tuple[pl.DataFrame, pl.DataFrame, AdScores]:
    """RANKER_EVALUATIONS and AD_SCORES of a morning, and the rankers behind them.

    Args:
        creatives: keys, texts and hashes; row i is row i of the blocks, in which the tests' arms follow.
        days: int_creative_placement_daily before the morning. Clicks and conversions of days that are not
            matured (`models.maturity`) are left out of CVR.
        tests: `teaching_arms` of the morning.
        champions: who scored so far, by rate.
        embedders: noted in model_version.
        candidates: who competes.
    """
    mature = is_matured(pl.col("date"), morning, maturity_days)
    sums = days.group_by(_DELIVERY).agg(
        first_day=pl.col("date").min().cast(pl.Date),
        last_day=pl.col("date").max().cast(pl.Date),
        last_matured_day=pl.col("date").filter(mature).max().cast(pl.Date),
        impressions=pl.col("impressions").sum().cast(pl.Int64),
        clicks=pl.col("clicks").sum().cast(pl.Int64),
        matured_clicks=pl.col("clicks").filter(mature).sum().cast(pl.Int64),
        conversions=pl.col("conversions_click").filter(mature).sum().cast(pl.Float64),
    )
    ran = sums.select(*CREATIVE, "track").unique()
    # A creative that never ran is scored for every track its account advertises.
    tracks = sums.select("platform", "account_id", "track").unique()
    numbered = creatives.select(CREATIVE).with_row_index("row")
    never_ran = numbered.join(ran, on=CREATIVE, how="anti").join(tracks, on=["platform", "account_id"])
    asked = (
        pl.concat([numbered.join(ran, on=CREATIVE), never_ran], how="diagonal")
        .sort("track", *CREATIVE)
        .with_row_index("creative")
        .cast({"creative": pl.Int64})
    )
    creative = asked["row"].to_numpy().astype(np.int64)
    rows = np.concatenate([creative, creatives.height + np.arange(tests.height)])
    values = {name: chosen_rows(of_block, rows) for name, of_block in blocks.items()}
    text = values.get(TEXT, np.zeros((len(rows), 1)))
    hashes = pl.concat([creatives["content_sha256"], tests["content_sha256"]])
    image = hashes.rank("dense").fill_null(-1).to_numpy().astype(np.int64)[rows]
    scored = ad_scores(
        asked.select("track", "platform"),
        values,
        clusters(np.asarray(text), image, creative, tests),
        sums.join(asked.select("creative", "track", *CREATIVE), on=[*CREATIVE, "track"]),
        tests.with_columns(creative=len(creative) + pl.int_range(pl.len(), dtype=pl.Int64)),
        champions=champions,
        rules=ScoringRules(),
        generator=generator,
        candidates=candidates,
    )
    return _evaluations(scored, morning), _scores(scored, asked, sums, morning, embedders), scored


def _scores(
    scored: AdScores, asked: pl.DataFrame, sums: pl.DataFrame, morning: date, embedders: str
) -> pl.DataFrame:
    shown = sums.group_by(*CREATIVE, "track", "placement").agg(
        delivered_impressions=pl.col("impressions").sum()
    )
    return AD_SCORES.conform(
        scored.scores.join(asked.select("creative", *CREATIVE), on=["creative", "platform"])
        .join(shown, on=[*CREATIVE, "track", "placement"], how="left")
        .with_columns(
            pl.col("^(ctr|cvr)_.*$", "^p_.*$").fill_nan(None),
            pl.col("delivered_impressions").fill_null(0),
            as_of_date=pl.lit(morning),
            model_version=pl.lit(_model_version(scored, embedders)),
        )
        .sort(AD_SCORES.grain)
        .select(AD_SCORES.column_names)
    )


def _told(figures: BinaryFigures | None) -> dict[str, float | int | None] | None:
    """How P(at least one click) did on sparse arms, as metadata takes it."""
    if figures is None:
        return None
    return {name: value if isfinite(value) else None for name, value in asdict(figures).items()}


def _model_version(scored: AdScores, embedders: str) -> str:
    rankers = "+".join(_named(found) for found in (scored.click, scored.conversion))
    return f"{rankers}|{embedders}"


def _named(found: RateRanking) -> str:
    return found.promotion.champion if found.ranker is not None and found.promotion is not None else "none"


def _learnt_from(candidate: str) -> str:
    if candidate.endswith(OF_TESTS):
        return TESTS
    return f"{ADS}+{TESTS}" if candidate.endswith(WITH_TESTS) else ADS


def _evaluations(scored: AdScores, morning: date) -> pl.DataFrame:
    rows = []
    for rate, found in (("ctr", scored.click), ("cvr", scored.conversion)):
        reasons = "; ".join(found.reasons) or None
        common = {"as_of_date": morning, "rate": rate}
        if found.promotion is None:
            rows.append(
                common | {"candidate": "none", "is_champion": True, "may_score": False, "reasons": reasons}
            )
            continue
        for name, judged in found.promotion.judged.items():
            champion = name == found.promotion.champion
            rows.append(
                common
                | {
                    "candidate": name,
                    "is_champion": champion,
                    "may_score": champion and not found.reasons,
                    "judged_on": found.judged_on,
                    "judged_arms": sum(judged.arms_in_stratum),
                    "learnt_from": _learnt_from(name),
                    "reasons": reasons if champion else None,
                    "pairs_right": judged.figures.pairs,
                    "significant_pairs_right": judged.figures.significant_pairs,
                    "area_under_curve": judged.figures.area_under_curve,
                    "top_one": judged.figures.top_one,
                    "precision_at_5": judged.precision_at_5,
                    "precision_at_10": judged.precision_at_10,
                    "calibration_error": judged.calibration_error,
                    "chance_calibration_error": judged.chance_error,
                    "lowest_coverage": min(filter(isfinite, judged.coverage), default=None),
                }
            )
    frame = pl.DataFrame(rows, schema=RANKER_EVALUATIONS.polars_schema)
    return RANKER_EVALUATIONS.conform(
        frame.with_columns(pl.selectors.float().fill_nan(None)).sort(RANKER_EVALUATIONS.grain)
    )
