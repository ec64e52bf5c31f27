"""Rankers of headlines on the Upworthy archive's real split tests, in folds that do not leak.

Here: arms of one test and one image, our candidates beside named baselines, calibration, bounds by traffic.
Not here: the rankers (`models.ranking`). The archive is read from AELP_SHARED_DATA and is not in the project
(Matias et al. 2021, The Upworthy Research Archive, CC BY 4.0): editorial headlines of 2013 and 2014, no ads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.record import Figure, Record
from models.creatives.text_features import TEXT_FEATURES, TextLexicons, text_features
from models.ranking.calibration import expected_calibration_error, pairwise_calibration
from models.ranking.candidates import CANDIDATES, TEXT, TRAITS, WORDS, Fit, fit_ridge_of
from models.ranking.conformal import TRAFFIC_STRATA
from models.ranking.evaluation import (
    Ranking,
    better_by,
    chosen_values,
    held_out_scores,
    precision_at,
    ranking,
)
from models.ranking.evidence import Arms, pairs_that_differ
from models.ranking.kernels import Values
from models.ranking.promotion import bound_of, expected_successes, relative_log_odds, relative_score
from models.ranking.roster import ROSTER
from models.ranking.splits import cluster_folds, earlier_and_later, near_duplicate_clusters
from resources.embedders import open_text_embedder
from resources.settings import PROJECT_ROOT
from resources.settings.creative_texts import CreativeTexts
from resources.settings.policy import Policy

ARCHIVE = "upworthy/upworthy_tests_to_201452.parquet"
FEWEST_IMPRESSIONS = 500
PAIRS_AIM, SIGNIFICANT_AIM, TOP_AIM = 0.62, 0.72, 0.39
FOLDS = 5
LATER_SHARE = 0.2
_SEED = 9001
_EVERYWHERE = "archive"

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Headlines:
    """Arms that differ in their headline alone, what they are, and when they ran (year and week)."""

    arms: Arms
    values: Mapping[str, Values]
    cluster: IntArray
    week: IntArray


def upworthy_ranking(folds: int = FOLDS, most_arms: int = 20_000) -> Record:
    """Shares of pairs ranked right by arms' headlines, ours and the baselines' on the same folds."""
    path = Path(os.environ.get("AELP_SHARED_DATA") or PROJECT_ROOT.parent / "shared" / "data") / ARCHIVE
    config = {"folds": folds, "most_arms": most_arms}
    if not path.exists():
        note = f"Skipped: no {path}; set AELP_SHARED_DATA to a folder with {ARCHIVE}."
        return Record("upworthy_ranking", config, [], note=note)
    headlines = read_headlines(pl.read_parquet(path), most_arms)
    arms = headlines.arms
    rng = np.random.default_rng(_SEED)
    fold = cluster_folds(headlines.cluster, folds, rng)
    rankers: dict[str, Fit] = {
        "ours": CANDIDATES["kernel"],
        "ridge on MiniLM": fit_ridge_of(1.0),
        "tuned ridge on MiniLM": CANDIDATES["ridge"],
        "trees": CANDIDATES["trees"],
    }
    if find_spec("torch") is not None:
        rankers["towers"] = ROSTER["towers"]
    scores = {
        name: held_out_scores(fit, headlines.values, arms, fold, np.random.default_rng(_SEED)).mean
        for name, fit in rankers.items()
    }
    scores["longer headline"] = np.array([len(text) for text in headlines.values[WORDS]], dtype=float)
    scores["random"] = rng.random(len(arms))
    figures = _ranked(ranking(scores["ours"], arms))
    details: dict[str, object] = {}
    for name, score in scores.items():
        found = ranking(score, arms)
        details[name] = (
            f"pairs {found.pairs:.3f} · significant {found.significant_pairs:.3f} · AUC "
            f"{found.area_under_curve:.3f} · top-1 {found.top_one:.3f} · gain {found.gain:+.1%} · "
            f"precision@5 {precision_at(score, arms, 5):.2f} @10 {precision_at(score, arms, 10):.2f}"
        )
    for rival in ("ridge on MiniLM", "tuned ridge on MiniLM"):
        gain = better_by(scores["ours"], scores[rival], arms, headlines.cluster, rng)
        for name, what in (("significant_pairs", "significant pairs"), ("pairs", "all pairs")):
            value, low, high = gain[name]
            figures.append(
                Figure(f"{what}, ours less {rival}", 100 * value, "points", "interval above 0", low > 0)
            )
            details[f"interval of {what}, ours less {rival}"] = f"{100 * low:.2f} to {100 * high:.2f}"
    figures += _calibrated(scores["ours"], arms, fold) + _bounded(scores["ours"], arms, fold)
    figures += _later(headlines, details)
    return Record(
        "upworthy_ranking",
        config,
        figures,
        note=f"{len(arms):,} arms of {FEWEST_IMPRESSIONS} impressions or more in "
        f"{len(np.unique(arms.group)):,} groups of one test and image; tests with near-duplicate headlines "
        "share a fold. Ridge on MiniLM has the usual penalty of 1, tuned ridge the best of 1, 3, 10 and 30 "
        "on these folds. Intervals resample clusters of tests, both rankers on the same ones.",
        details=details,
    )


def read_headlines(archive: pl.DataFrame, most_arms: int) -> Headlines:
    """Arms of groups with two headlines or more, whole groups until `most_arms`."""
    group = ["clickability_test_id", "eyecatcher_id"]
    arms = (
        archive.filter(pl.col("headline").is_not_null(), pl.col("impressions") >= FEWEST_IMPRESSIONS)
        .group_by(*group, "test_week", "headline", maintain_order=True)
        .agg(pl.col("impressions", "clicks").sum())
        .filter(pl.len().over(group) > 1)
        .with_columns(
            pl.struct(group).rank("dense").cast(pl.Int64).alias("group"),
            pl.col("clickability_test_id").rank("dense").cast(pl.Int64).alias("test"),
        )
        .sort("group", "headline")
    )
    last = arms["group"].head(most_arms).max()
    arms = arms.filter(pl.col("group") <= last)
    texts = arms["headline"].to_list()
    vectors = open_text_embedder().embed(texts)
    policy = Policy()
    lexicons = TextLexicons(CreativeTexts().model_dump(), policy.regulated_terms, policy.text_limits)
    traits = text_features(texts, lexicons).select(pl.col(TEXT_FEATURES).cast(pl.Float64)).to_numpy()
    return Headlines(
        Arms(
            arms["group"].to_numpy(),
            arms["impressions"].to_numpy().astype(float),
            arms["clicks"].to_numpy().astype(float),
        ),
        {TEXT: vectors.astype(float), TRAITS: traits, WORDS: texts},
        near_duplicate_clusters(vectors, [arms["test"].to_numpy()]),
        arms["test_week"].to_numpy(),
    )


def _ranked(found: Ranking) -> list[Figure]:
    return [
        _aimed("significant pairs ranked right", found.significant_pairs, SIGNIFICANT_AIM),
        _aimed("all pairs ranked right", found.pairs, PAIRS_AIM),
        _aimed("best arm scored highest", found.top_one, TOP_AIM),
    ]


def _aimed(name: str, value: float, aim: float) -> Figure:
    return Figure(name, 100 * value, "%", f"≥ {100 * aim:g} %", value >= aim)


def _calibrated(score: FloatArray, arms: Arms, fold: IntArray) -> list[Figure]:
    """Calibration error of P(better), each fold read against the others' held-out scores."""
    left, right, z = pairs_that_differ(arms)
    difference = score[left] - score[right]
    probability = np.empty(len(difference))
    for number in np.unique(fold):
        inside = fold[left] == number
        calibration = pairwise_calibration(difference[~inside], z[~inside] > 0)
        probability[inside] = calibration.probability(difference[inside])
    error = expected_calibration_error(
        np.concatenate([probability, 1.0 - probability]), np.concatenate([z > 0, z < 0])
    )
    return [Figure("calibration error of P(better)", error, "", "≤ 0.01", error <= 0.01)]


def _bounded(score: FloatArray, arms: Arms, fold: IntArray) -> list[Figure]:
    """Coverage of 90 % bounds by traffic, margins from the other folds."""
    rate = float(arms.successes.sum() / arms.trials.sum())
    traffic = expected_successes(arms, rate)
    stratum = np.searchsorted(np.quantile(traffic, [0.25, 0.5, 0.75]), traffic, side="right")
    covered = np.zeros(len(arms), dtype=bool)
    for number in np.unique(fold):
        inside = fold == number
        known, asked = arms.subset(~inside), arms.subset(inside)
        bound = bound_of(score[~inside], known, [_EVERYWHERE] * len(known), rate)
        margin = bound.margin([_EVERYWHERE] * len(asked), traffic[inside])
        covered[inside] = relative_log_odds(asked) >= relative_score(score[inside], asked) - margin
    shares = [float(covered[stratum == number].mean()) for number in range(TRAFFIC_STRATA)]
    return [
        Figure(
            f"coverage of 90 % bounds, traffic quartile {number + 1}",
            100 * share,
            "%",
            "88–92 %",
            0.88 <= share <= 0.92,
        )
        for number, share in enumerate(shares)
    ]


def _later(headlines: Headlines, details: dict[str, object]) -> list[Figure]:
    """The last fifth of the weeks, by rankers that saw only earlier ones without their near duplicates."""
    earlier, later = earlier_and_later(headlines.week, headlines.cluster, later_share=LATER_SHARE)
    known = chosen_values(headlines.values, earlier)
    asked, arms = chosen_values(headlines.values, later), headlines.arms.subset(later)
    figures = []
    for name in ("kernel", "ridge"):
        ranker = CANDIDATES[name](known, headlines.arms.subset(earlier), np.random.default_rng(_SEED))
        found = ranking(ranker.scores(asked).mean, arms)
        details[f"{name}, last fifth of the weeks"] = (
            f"pairs {found.pairs:.3f} · significant {found.significant_pairs:.3f} · top-1 {found.top_one:.3f}"
        )
        if name == "kernel":
            figures.append(
                Figure("later weeks: significant pairs ranked right", 100 * found.significant_pairs, "%")
            )
    return figures
