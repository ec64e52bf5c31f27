"""Rankers kept for later: a file each, its row in ranker_models, and the check that files are what rows say.

Here: which rankers of a morning are kept, with their provenance. Not here: fitting (`ad_scores`), the file's
format (`resources.ranker_models`), scoring by one (`creative_scoring`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from aelp_assets.metadata import check, result
from models.ranking.ad_scores import AdScores
from models.ranking.blocks import measured_traits
from models.ranking.kernels import Values
from models.ranking.storage import VERSION, RankerModel, Reading, widths_of
from resources.code_version import module_hash
from resources.creative_vectors import VectorSpace
from resources.ranker_models import RankerFileError, keep_ranker, load_ranker
from resources.warehouse.tables import CREATIVE_FEATURES, RANKER_MODELS

if TYPE_CHECKING:
    from resources.creative_measures import Versions

_NAME = str(RANKER_MODELS.name)
_CODE_VERSION = module_hash("models.ranking.ad_scores", "models.ranking.roster")
_SHOWN = ["rate", "candidate", "artifact", "sha256", "bytes", "arms", "learnt_through", "code_version"]


def reading_of(text: VectorSpace, image: VectorSpace, versions: Versions) -> Reading:
    """How creatives are read now."""
    return Reading(
        text.embedder,
        text.weights_sha256,
        image.embedder,
        image.weights_sha256,
        versions.text,
        versions.image,
        tuple(measured_traits(CREATIVE_FEATURES.polars_schema)),
    )


def keep_rankers(
    artifacts: Path,
    scored: AdScores,
    blocks: Mapping[str, Values],
    reading: Reading,
    morning: date,
    *,
    model_version: str,
) -> pl.DataFrame:
    """RANKER_MODELS of a morning: nothing is kept where nothing may score.

    Args:
        blocks: that the rankers learnt from.
        model_version: of the morning's scores.
    """
    rows = []
    for rate, found in (("ctr", scored.click), ("cvr", scored.conversion)):
        if found.ranker is None or found.bound is None or found.levels is None or found.promotion is None:
            continue
        assert found.learnt_through is not None  # every ranker learnt from something
        model = RankerModel(
            rate,
            found.promotion.champion,
            found.ranker,
            found.bound,
            found.levels,
            scored.rules.screening_impressions,
            widths_of(blocks),
            reading,
            morning,
            found.learnt_through,
            found.arms,
            found.creatives,
            _CODE_VERSION,
        )
        kept = keep_ranker(artifacts, model)
        rows.append(
            {
                "as_of_date": morning,
                "rate": rate,
                "candidate": model.candidate,
                "model_version": model_version,
                "artifact": kept.artifact,
                "sha256": kept.sha256,
                "bytes": kept.byte_count,
                "text_embedder": reading.text_embedder,
                "text_weights_sha256": reading.text_weights_sha256,
                "image_embedder": reading.image_embedder,
                "image_weights_sha256": reading.image_weights_sha256,
                "text_version": reading.text_version,
                "image_version": reading.image_version,
                "arms": model.arms,
                "creatives": model.creatives,
                "learnt_through": model.learnt_through,
                "format_version": VERSION,
                "code_version": model.code_version,
            }
        )
    return RANKER_MODELS.conform(pl.DataFrame(rows, schema=RANKER_MODELS.polars_schema))


def models_result(models: pl.DataFrame, artifacts: Path, evaluations: pl.DataFrame) -> dg.MaterializeResult:
    """The materialisation of RANKER_MODELS, with what was not kept and why, and its check."""
    broken = []
    for row in models.iter_rows(named=True):
        try:
            load_ranker(artifacts, row["artifact"], row["sha256"])
        except RankerFileError as fault:
            broken.append(str(fault))
    kept = models["rate"].to_list()
    refused = evaluations.filter("is_champion", ~pl.col("rate").is_in(kept))
    not_kept = {row["rate"]: row["reasons"] for row in refused.iter_rows(named=True)}
    whole = check("kept_rankers_are_whole", not broken, " ".join(broken), _NAME)
    return result(models, checks=[whole], columns=_SHOWN, key=_NAME, not_kept=not_kept)
