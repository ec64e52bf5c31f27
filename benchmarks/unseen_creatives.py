"""Creatives that no ranker saw: what is held back of a simulated business, and how everyone scores it.

Here: holding back, scores of the morning's own path and of its parts, beside the truth. Not here: the
businesses (`creative_worlds`), figures (`creative_ranking`).

Held back are whole clusters of near-duplicates with all they delivered, and what starts after the morning of
the ranking and repeats nothing that was seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import logit

from aelp_assets.ad_scores import rank_creatives
from aelp_assets.ranking_evidence import REWORDED
from benchmarks.creative_worlds import CreativeWorld, Reading, draw_world, read_creatives
from models.creatives.contents import CREATIVE
from models.ranking.ad_scores import ScoringRules
from models.ranking.blocks import Vectors, creative_blocks
from models.ranking.candidates import CANDIDATES, IMAGE, TEXT, TRAITS, WORDS, Fit
from models.ranking.evidence import Arms
from models.ranking.kernels import Values, chosen_rows
from models.ranking.promotion import relative_log_odds
from models.ranking.split_tests import TEACHING_ARMS_SCHEMA
from models.ranking.splits import cluster_folds, near_duplicate_clusters
from resources.creative_assets import FOLDER, AssetStore
from resources.sandbox.catalogue import META, PLATFORMS
from resources.settings import Settings

LATER_SHARE = 0.2
"""Of the history's days: the morning of the ranking lies before them."""
FOLDS = 5
"""One of them is held back."""
_GROUP = ["platform", "account_id", "track", "campaign_id", "placement"]
RULES = ScoringRules()

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
OURS, SCORED, BOUND, SIGNUPS = "ours", "the morning's score", "lower bound", "expected signups"
TOLD, SHOWN, RAN = "told what was chosen", "all that a creative shows", "their own clicks"


@dataclass(frozen=True)
class Unseen:
    """Arms of creatives that no ranker saw, each a creative in a campaign and placement.

    Attributes:
        group: track and placement, cluster: near-duplicates, creative: each numbered over all worlds.
        later: started after the ranking; the others are held-out clusters that ran before it.
        on_meta: of each arm.
        scores: by ranker, NaN where it gives none; the lower bound is log-odds beyond the placement's rate.
        truth: `ctr`, `cvr` and `signups`, logs of the creative's part; `beyond average`, the first less
            that of the placement's average ad, which its rate is of.
    """

    group: IntArray
    cluster: IntArray
    creative: IntArray
    later: BoolArray
    on_meta: BoolArray
    track: IntArray
    impressions: FloatArray
    scores: Mapping[str, FloatArray]
    truth: Mapping[str, FloatArray]


@dataclass
class Told:
    """What there is to tell of one world, besides scores.

    Attributes:
        creatives, arms: that ran, and that were learnt from.
        variance_shares: see `CreativeWorld`.
        champions, refused: by rate, who was promoted, and why it may not score.
    """

    creatives: int
    arms: int
    variance_shares: dict[str, float]
    champions: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def scored_world(
    scale: str, seed: int, most_images: int, home: Path, settings: Settings
) -> tuple[Unseen, Told]:
    """One business from its draw to its unseen arms; `home` keeps what was read of its creatives."""
    world = draw_world(scale, seed, AssetStore(home / FOLDER), most_images)
    reading = read_creatives(world.creatives, home, settings)
    blocks = views(world.creatives, reading)
    cluster = near_duplicate_clusters(
        np.asarray(blocks[OURS][TEXT]),
        [world.creatives["content_sha256"].rank("dense").to_numpy().astype(np.int64)],
        likeness=REWORDED,
    )
    generator = np.random.default_rng(seed)
    morning = int(world.simulated.business.days * (1 - LATER_SHARE))
    known, held, later = held_back(cluster, world.creatives["first_day"].to_numpy(), morning, generator)
    days = world.days(morning).join(_named(world, known), on=CREATIVE, how="semi")
    evaluations, scores, _ = rank_creatives(
        world.creatives,
        blocks[OURS],
        days,
        pl.DataFrame(schema=TEACHING_ARMS_SCHEMA),
        world.date_of(morning),
        champions={},
        maturity_days=settings.attribution.maturity_days,
        embedders="benchmark",
        generator=generator,
    )
    mature = world.date_of(morning - settings.attribution.maturity_days)
    learnt = _numbered(world, days)
    ripe = _numbered(world, days.filter(pl.col("date") < mature))
    of_click = fitted_scores(
        blocks | {TOLD: {TRAITS: world.choices}}, *competing(learnt, "impressions", "clicks"), generator
    )
    of_click[SHOWN] = world.shown_log_ctr
    of_conversion = fitted_scores(
        {name: blocks[name] for name in (OURS, "texts alone")} | {TOLD: {TRAITS: world.choices}},
        *competing(ripe, "clicks", "conversions_click"),
        generator,
    )
    told = Told(world.creatives.height, learnt.height, world.variance_shares())
    for row in evaluations.filter("is_champion").to_dicts():
        told.champions[row["rate"]] = row["candidate"]
        if not row["may_score"]:
            told.refused[row["rate"]] = str(row["reasons"])
    unseen = _arms_of_unseen(world, cluster, held | later, later, learnt, scores, of_click, of_conversion)
    return unseen, told


def views(creatives: pl.DataFrame, reading: Reading) -> dict[str, dict[str, Values]]:
    """All blocks, and what is left of them without images, without texts, without measured traits."""
    none = Vectors(pl.Series(dtype=pl.String), np.empty((0, 0), dtype=np.float32))
    of_image = [name for name in reading.features.columns if name.startswith("image_")]
    of_text = [name for name in reading.features.columns if name.startswith("text_")]
    whole = creative_blocks(creatives, reading.text, reading.image, reading.features)
    pictures = creative_blocks(creatives, none, reading.image, reading.features.drop(of_text))
    return {
        OURS: whole,
        "texts alone": creative_blocks(creatives, reading.text, none, reading.features.drop(of_image)),
        "images alone": {name: values for name, values in pictures.items() if name != WORDS},
        "without image vectors": {name: values for name, values in whole.items() if name != IMAGE},
        "without image measures": creative_blocks(
            creatives, reading.text, reading.image, reading.features.drop(of_image)
        ),
        "without traits": {name: values for name, values in whole.items() if name != TRAITS},
    }


def fitted_scores(
    blocks: Mapping[str, Mapping[str, Values]],
    arms: Arms,
    creative: IntArray,
    generator: np.random.Generator,
) -> dict[str, FloatArray]:
    """Scores of every creative: our ranker on each set of blocks, the other candidates on all of them."""
    rankers: list[tuple[str, Fit, Mapping[str, Values]]] = [
        (name, CANDIDATES["kernel"], values) for name, values in blocks.items()
    ]
    rankers += [(name, fit, blocks[OURS]) for name, fit in CANDIDATES.items() if name != "kernel"]
    found = {}
    for name, fit, values in rankers:
        known = {block: chosen_rows(of_block, creative) for block, of_block in values.items()}
        found[name] = fit(known, arms, generator).scores(values).mean
    return found


def competing(rows: pl.DataFrame, trials: str, successes: str) -> tuple[Arms, IntArray]:
    """Arms that teach, as the morning's ranking takes them, and their creatives' row numbers."""
    fewest = RULES.fewest_impressions if trials == "impressions" else RULES.fewest_clicks
    rivals = (
        rows.filter(pl.col(trials) >= fewest)
        .filter(pl.col("creative").n_unique().over(_GROUP) > 1)
        .sort(*_GROUP, "creative")
    )
    group = rivals.select(pl.struct(_GROUP).rank("dense")).to_series().to_numpy().astype(np.int64)
    counted = rivals[trials].to_numpy().astype(np.float64)
    return (
        Arms(group, counted, np.minimum(rivals[successes].to_numpy().astype(np.float64), counted)),
        rivals["creative"].to_numpy(),
    )


def held_back(
    cluster: IntArray, first_day: IntArray, morning: int, generator: np.random.Generator
) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Creatives that teach, those held out with their cluster, and later ones that repeat nothing seen.

    Args:
        cluster, first_day: of each creative, shape (creatives,).
        morning: day of the ranking.
    """
    in_fold = cluster_folds(cluster, FOLDS, generator) == 0
    starts_later = first_day >= morning
    known = ~in_fold & ~starts_later
    return known, in_fold & ~starts_later, starts_later & ~np.isin(cluster, cluster[known])


def _named(world: CreativeWorld, chosen: BoolArray) -> pl.DataFrame:
    return world.creatives.filter(pl.Series(chosen)).select(CREATIVE)


def _numbered(world: CreativeWorld, days: pl.DataFrame) -> pl.DataFrame:
    """Sums of arms with their creative's row number; a row per creative, campaign and placement."""
    numbers = world.creatives.select(*CREATIVE).with_columns(creative=pl.int_range(pl.len(), dtype=pl.Int64))
    sums = days.group_by(*_GROUP, "creative_id").agg(
        pl.col("impressions", "clicks", "conversions_click").sum()
    )
    return sums.join(numbers, on=CREATIVE).sort(*_GROUP, "creative")


def _arms_of_unseen(
    world: CreativeWorld,
    cluster: IntArray,
    asked: BoolArray,
    later: BoolArray,
    learnt: pl.DataFrame,
    morning_scores: pl.DataFrame,
    of_click: Mapping[str, FloatArray],
    of_conversion: Mapping[str, FloatArray],
) -> Unseen:
    """The arms that unseen creatives became over the whole history, with all scores and the truth."""
    place = ["platform", "track", "placement"]
    ran = _numbered(world, world.days(world.simulated.business.days)).filter(
        pl.col("impressions") >= RULES.fewest_impressions
    )
    numbers = ran.select(pl.struct(_GROUP).rank("dense")).to_series().to_numpy().astype(np.int64)
    clicks = ran["clicks"].to_numpy().astype(np.float64)
    observed = relative_log_odds(Arms(numbers, ran["impressions"].to_numpy().astype(np.float64), clicks))
    levels = _levels(world, learnt)
    arms = (
        ran.with_columns(observed=pl.Series(observed))
        .filter(pl.Series(asked[ran["creative"].to_numpy()]))
        .join(
            morning_scores.select(
                *CREATIVE, "track", "placement", "ctr_score", "ctr_lower_bound", "cvr_score"
            ),
            on=[*CREATIVE, "track", "placement"],
            how="left",
        )
        .join(levels, on=place, how="left")
        .sort(*_GROUP, "creative")
    )
    creative = arms["creative"].to_numpy()
    scores = {name: score[creative] for name, score in of_click.items()}
    scores |= {f"CVR, {name}": score[creative] for name, score in of_conversion.items()}
    scores |= {
        SCORED: _floats(arms["ctr_score"]),
        BOUND: logit(_floats(arms["ctr_lower_bound"])) - _floats(arms["level"]),
        RAN: _floats(arms["observed"]),
        f"the morning's {SIGNUPS}": _floats(arms["ctr_score"] * arms["cvr_score"]),
        SIGNUPS: of_click[OURS][creative] + of_conversion[OURS][creative],
        f"{SIGNUPS}, {TOLD}": of_click[TOLD][creative] + of_conversion[TOLD][creative],
    }
    true_ctr, true_cvr = world.log_ctr[creative], world.log_cvr[creative]
    return Unseen(
        arms.select(pl.struct(place).rank("dense")).to_series().to_numpy().astype(np.int64),
        cluster[creative],
        creative,
        later[creative],
        (arms["platform"] == PLATFORMS[META].name).to_numpy(),
        arms["track"].rank("dense").to_numpy().astype(np.int64),
        _floats(arms["impressions"]),
        scores,
        {
            "ctr": true_ctr,
            "cvr": true_cvr,
            "signups": true_ctr + true_cvr,
            "beyond average": true_ctr - _floats(arms["average"]),
        },
    )


def _levels(world: CreativeWorld, learnt: pl.DataFrame) -> pl.DataFrame:
    """Of each placement the log-odds of the rate that scores refer to, and its average ad's true effect."""
    shown = learnt.filter(pl.col("impressions") >= RULES.fewest_impressions)
    effect = pl.Series(world.log_ctr[shown["creative"].to_numpy()])
    sums = (
        shown.with_columns(effect=effect)
        .group_by("platform", "track", "placement")
        .agg(
            rate=(pl.col("clicks").sum() + 0.5) / (pl.col("impressions").sum() + 1.0),
            average=(pl.col("effect") * pl.col("impressions")).sum() / pl.col("impressions").sum(),
        )
    )
    return sums.with_columns(level=pl.Series(logit(sums["rate"].to_numpy())))


def _floats(series: pl.Series) -> FloatArray:
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()


def together(parts: Sequence[Unseen]) -> Unseen:
    """Arms of all worlds; groups, clusters and creatives of different worlds are different ones."""

    def numbered(name: str) -> IntArray:
        offset, found = 0, []
        for part in parts:
            numbers = getattr(part, name)
            found.append(numbers + offset)
            offset += int(numbers.max(initial=0)) + 1
        return np.concatenate(found)

    def joined(name: str) -> npt.NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])

    return Unseen(
        numbered("group"),
        numbered("cluster"),
        numbered("creative"),
        joined("later"),
        joined("on_meta"),
        numbered("track"),
        joined("impressions"),
        {name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores},
        {name: np.concatenate([part.truth[name] for part in parts]) for name in parts[0].truth},
    )
