"""What ads may be expected to do before they run: CTR and CVR by placement, and a bound below the CTR.

Here: from deliveries and creatives' blocks to scores on the placements' scale. Not here: the candidates
(`candidates`), who is promoted (`promotion`), what a score does to a forecast.

A group is a campaign's ads in one placement. A score is relative: the log-odds a creative has beyond the
average ad of its placement; with the placement's own rate it becomes a CTR. Nothing scores that the gate of
`promotion` refused, nor where too little ran to judge by: the reason is given instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import expit, logit, ndtr

from models.ranking.candidates import CANDIDATES, Fit, Ranker
from models.ranking.conformal import ConformalBound
from models.ranking.evaluation import fold_rankers, scores_by
from models.ranking.evidence import Arms
from models.ranking.kernels import Values, chosen_rows
from models.ranking.multipliers import kept_share
from models.ranking.promotion import Promotion, bound_of, promote
from models.ranking.splits import cluster_folds, earlier_and_later

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_PLACE = ["track", "platform", "placement"]
_RATED = ("score", "lower_bound", "p_above", "multiplier")
_FEWEST_PAIRED = 2
_ALL = -1
"""Number of the ranker that learnt from every arm: it scores what no arm, and nothing like one, was."""

AD_SCORES_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("track", "platform", "placement"), pl.String()),
        "creative": pl.Int64(),
        **dict.fromkeys(
            (
                *("ctr_score", "ctr_lower_bound", "cvr_score", "p_above_placement"),
                *("ctr_multiplier", "cvr_multiplier"),
            ),
            pl.Float64(),
        ),
    }
)


@dataclass(frozen=True)
class ScoringRules:
    """When there is enough to learn a ranking from, and what a bound is for.

    Attributes:
        fewest_impressions, fewest_clicks: of an arm that teaches CTR, and CVR.
        fewest_creatives: of all arms, below which nothing is learnt.
        later_share: of arms, by their first day, that candidates are judged on.
        folds: of the earlier arms, for calibration and bounds.
        screening_impressions: traffic that a new ad's lower bound holds at.
    Raises:
        ValueError: a count below 1 or a share outside (0, 1).
    """

    fewest_impressions: int = 500
    fewest_clicks: int = 30
    fewest_creatives: int = 40
    later_share: float = 0.25
    folds: int = 5
    screening_impressions: int = 10_000

    def __post_init__(self) -> None:
        counts = (self.fewest_impressions, self.fewest_clicks, self.fewest_creatives, self.folds)
        if min(*counts, self.screening_impressions) < 1:
            raise ValueError("counts of the scoring rules must be 1 or more")
        if not 0 < self.later_share < 1:
            raise ValueError("later_share must lie between 0 and 1")


@dataclass(frozen=True)
class Unseen:
    """Scores that own no part of what they foretell: near-duplicates' results are left out too.

    Attributes:
        rankers: by fold of the creatives they did not learn from; _ALL learnt from every arm.
        number: which of them scores each creative, shape (creatives,).
        kept: see `kept_share`.
    """

    rankers: Mapping[int, Ranker]
    number: IntArray
    kept: float


@dataclass(frozen=True)
class RateRanking:
    """Who ranks by one rate.

    Attributes:
        ranker: None where nothing may score.
        bound: of its held-out scores; None without a ranker.
        promotion: how the candidates did; None where there was too little to judge them by.
        reasons: why nothing scores; empty where it may.
        unseen: for multipliers; None without a ranker.
    """

    ranker: Ranker | None
    bound: ConformalBound | None
    promotion: Promotion | None
    reasons: tuple[str, ...]
    unseen: Unseen | None = None


@dataclass(frozen=True)
class AdScores:
    """Scores of every creative on every placement of its track where ads ran, and who gave them.

    Attributes:
        scores: AD_SCORES_SCHEMA; null where nothing may score.
        click, conversion: rankings by CTR and by CVR.
    """

    scores: pl.DataFrame
    click: RateRanking
    conversion: RateRanking


def ad_scores(
    creatives: pl.DataFrame,
    values: Mapping[str, Values],
    cluster: IntArray,
    deliveries: pl.DataFrame,
    *,
    champions: Mapping[str, str | None],
    rules: ScoringRules,
    generator: np.random.Generator,
    candidates: Mapping[str, Fit] = CANDIDATES,
) -> AdScores:
    """Scores of creatives from what ads with other creatives did.

    Args:
        creatives: track, platform; row i is creative i.
        values: blocks of the creatives, one row each.
        cluster: creatives that may not be parted (`near_duplicate_clusters`), shape (creatives,).
        deliveries: creative (row number), track, platform, account_id, campaign_id, placement, first_day,
            impressions, clicks, conversions (matured, may be fractional); one row per creative, campaign and
            placement.
        champions: candidate that scored so far by "ctr" and "cvr"; None at first.
    """
    deliveries = deliveries.sort(
        *_PLACE, "account_id", "campaign_id", "creative"
    )  # sums must not follow the input's order
    paid = pl.col("conversions").clip(0, pl.col("clicks"))
    shown = deliveries.filter(pl.col("impressions") >= rules.fewest_impressions).with_columns(
        trials=pl.col("impressions"), successes=pl.min_horizontal("clicks", "impressions")
    )
    clicked = deliveries.filter(pl.col("clicks") >= rules.fewest_clicks).with_columns(
        trials=pl.col("clicks"), successes=paid
    )
    click, conversion = (
        _ranking_by(rows, values, cluster, champions.get(name), rules, generator, candidates)
        for name, rows in (("ctr", shown), ("cvr", clicked))
    )
    asked = (
        deliveries.select(_PLACE)
        .unique()
        .join(creatives.with_row_index("creative").cast({"creative": pl.Int64}), on=["track", "platform"])
        .sort(*_PLACE, "creative")
    )
    rated = _rated(asked, shown, values, click, rules)
    paid_for = _rated(asked, clicked, values, conversion, rules)
    return AdScores(
        asked.select(*_PLACE, "creative")
        .with_columns(
            ctr_score=rated["score"],
            ctr_lower_bound=rated["lower_bound"],
            cvr_score=paid_for["score"],
            p_above_placement=rated["p_above"],
            ctr_multiplier=rated["multiplier"],
            cvr_multiplier=paid_for["multiplier"],
        )
        .cast(AD_SCORES_SCHEMA),
        click,
        conversion,
    )


def _ranking_by(
    rows: pl.DataFrame,
    values: Mapping[str, Values],
    cluster: IntArray,
    champion: str | None,
    rules: ScoringRules,
    generator: np.random.Generator,
    candidates: Mapping[str, Fit],
) -> RateRanking:
    group = ["platform", "account_id", "track", "campaign_id", "placement"]
    rivals = rows.filter(pl.col("creative").n_unique().over(group) >= _FEWEST_PAIRED).sort(*group, "creative")
    count = rivals["creative"].n_unique()
    if count < rules.fewest_creatives:
        return RateRanking(
            None,
            None,
            None,
            (f"{count} creatives competed with enough delivery; {rules.fewest_creatives} are needed.",),
        )
    arms = _arms(rivals, group)
    creative = rivals["creative"].to_numpy()
    of_arms = {name: chosen_rows(of_block, creative) for name, of_block in values.items()}
    clusters, places = cluster[creative], rivals["placement"].to_list()
    period = rivals["first_day"].to_physical().to_numpy().astype(np.int64)
    earlier, later = earlier_and_later(period, clusters, later_share=rules.later_share)
    reasons = _too_few(arms, clusters, earlier, later, rules)
    if reasons:
        return RateRanking(None, None, None, reasons)
    promotion = promote(
        candidates,
        of_arms,
        arms,
        places,
        clusters,
        earlier,
        later,
        champion=champion,
        folds=rules.folds,
        generator=generator,
    )
    if promotion.refusals:
        return RateRanking(None, None, promotion, promotion.refusals)
    fit = candidates[promotion.champion]
    fold = cluster_folds(clusters, rules.folds, generator)
    rankers = fold_rankers(fit, of_arms, arms, fold, generator)
    held_out = scores_by(rankers, of_arms, fold).mean
    rate = float(arms.successes.sum() / arms.trials.sum())
    ranker = fit(of_arms, arms, generator)
    fold_of_cluster = dict(zip(clusters.tolist(), fold.tolist(), strict=True))
    number = np.array([fold_of_cluster.get(kind, _ALL) for kind in cluster.tolist()], dtype=np.int64)
    return RateRanking(
        ranker,
        bound_of(held_out, arms, places, rate),
        promotion,
        (),
        Unseen({**rankers, _ALL: ranker}, number, kept_share(held_out, arms)),
    )


def _too_few(
    arms: Arms,
    cluster: IntArray,
    earlier: npt.NDArray[np.bool_],
    later: npt.NDArray[np.bool_],
    rules: ScoringRules,
) -> tuple[str, ...]:
    """Why earlier arms cannot be learnt from, or later ones cannot judge."""
    if len(np.unique(cluster[earlier])) < rules.folds:
        return (f"The earlier ads are fewer than {rules.folds} kinds: most are rewordings of one another.",)
    for name, chosen in (("earlier", earlier), ("later", later)):
        if len(np.unique(arms.group[chosen])) == int(chosen.sum()):
            return (f"No two {name} ads competed in one campaign and placement.",)
    return ()


def _rated(
    asked: pl.DataFrame,
    rows: pl.DataFrame,
    values: Mapping[str, Values],
    found: RateRanking,
    rules: ScoringRules,
) -> dict[str, FloatArray]:
    """Rate, its bound, P(above the placement's average ad) and multiplier, for each row of `asked`."""
    if found.ranker is None or found.bound is None or found.unseen is None:
        return {name: np.full(asked.height, np.nan) for name in _RATED}
    scored = found.ranker.scores(values)
    rate, relative = _beside_the_average(asked, rows, scored.mean)
    creative = asked["creative"].to_numpy()
    traffic = np.nan_to_num(rate) * rules.screening_impressions
    margin = found.bound.margin(asked["placement"].to_list(), traffic)
    level = logit(rate)
    unseen = np.empty(asked.height)
    for number, ranker in found.unseen.rankers.items():
        mean = scored.mean if number == _ALL else ranker.scores(values).mean
        of_number = found.unseen.number[creative] == number
        unseen[of_number] = _beside_the_average(asked, rows, mean)[1][of_number]
    return {
        "score": expit(level + relative),
        "lower_bound": expit(level + relative - margin),
        "p_above": _above(relative, scored.variance[creative]),
        "multiplier": expit(level + found.unseen.kept * unseen) / rate,
    }


def _beside_the_average(
    asked: pl.DataFrame, rows: pl.DataFrame, score: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The placement's rate, and how far a creative's score lies above that of its average ad, by trials."""
    places = (
        rows.with_columns(score=pl.Series(score)[rows["creative"]])
        .group_by(_PLACE, maintain_order=True)
        .agg(
            average=(pl.col("score") * pl.col("trials")).sum() / pl.col("trials").sum(),
            successes=pl.col("successes").sum(),
            trials=pl.col("trials").sum(),
        )
    )
    at = asked.join(places, on=_PLACE, how="left", maintain_order="left")
    rate = ((at["successes"] + 0.5) / (at["trials"] + 1.0)).to_numpy().astype(np.float64)
    return rate, score[at["creative"].to_numpy()] - at["average"].to_numpy().astype(np.float64)


def _above(relative: FloatArray, variance: FloatArray) -> FloatArray:
    """P(log-odds above the average ad's) under a normal posterior; NaN where a ranker has none."""
    return np.asarray(ndtr(relative / np.sqrt(variance)), dtype=np.float64)


def _arms(rows: pl.DataFrame, group: list[str]) -> Arms:
    numbers = rows.select(pl.struct(group).rank("dense")).to_series().to_numpy().astype(np.int64)
    return Arms(
        numbers,
        rows["trials"].to_numpy().astype(np.float64),
        rows["successes"].to_numpy().astype(np.float64),
    )
