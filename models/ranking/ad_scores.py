"""What ads may be expected to do before they run: CTR and CVR by placement, and a bound below the CTR.

Here: from deliveries and creatives' blocks to scores on the placements' scale. Not here: the candidates
(`candidates`), who is promoted (`promotion`), what a score does to a forecast.

A group is a campaign's ads in one placement, or a split test's arms of one image. A score is relative: the
log-odds a creative has beyond the average ad of its placement; with the placement's own rate it becomes a
CTR. Nothing scores that the gate of `promotion` refused, nor where too little ran to judge by: the reason is
given instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from models.ranking.candidates import CANDIDATES, Fit, Ranker
from models.ranking.conformal import ConformalBound
from models.ranking.evaluation import fold_rankers, scores_by
from models.ranking.kernels import Values
from models.ranking.multipliers import kept_share
from models.ranking.one_click import (
    BinaryFigures,
    fit_one_click,
    held_out,
    judge_one_click,
)
from models.ranking.placements import PLACE, placement_levels, rate_multiplier, rated
from models.ranking.populations import (
    ADS,
    OF_TESTS,
    TESTS,
    WITH_TESTS,
    Population,
    further_teachers,
    population_of,
    taught_too,
    too_few,
)
from models.ranking.promotion import Promotion, bound_of, promote
from models.ranking.splits import cluster_folds, earlier_and_later

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_GROUP = ["platform", "account_id", "track", "campaign_id", "placement"]
_RATED = ("score", "lower_bound", "p_above", "multiplier")
_ALL = -1
"""Number of the ranker that learnt from every arm: it scores what no arm, and nothing like one, was."""

AD_SCORES_SCHEMA = pl.Schema(
    {
        **dict.fromkeys(("track", "platform", "placement"), pl.String()),
        "creative": pl.Int64(),
        **dict.fromkeys(
            (
                *("ctr_score", "ctr_lower_bound", "cvr_score", "p_above_placement"),
                *("ctr_multiplier", "cvr_multiplier", "p_one_click"),
            ),
            pl.Float64(),
        ),
    }
)


@dataclass(frozen=True)
class ScoringRules:
    """When there is enough to learn a ranking from, and what a bound is for.

    Attributes:
        fewest_impressions, fewest_clicks: of an arm that teaches CTR, and (matured) CVR.
        fewest_creatives: of all arms, below which nothing is learnt.
        later_share: of arms, by their first day, that candidates are judged on.
        folds: of the earlier arms, for calibration and bounds.
        screening_impressions: traffic that a new ad's lower bound holds at, and that p_one_click is of.
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

    def scores(self, values: Mapping[str, Values]) -> dict[int, FloatArray]:
        """Of every creative by each ranker, shape (creatives,); only their own places may be compared."""
        return {name: ranker.scores(values).mean for name, ranker in self.rankers.items()}


@dataclass(frozen=True)
class RateRanking:
    """Who ranks by one rate.

    Attributes:
        ranker: None where nothing may score.
        bound: of its held-out scores; None without a ranker.
        promotion: how the candidates did; None where there was too little to judge them by.
        reasons: why nothing scores; empty where it may.
        judged_on: ADS or TESTS; None where there was too little.
        arms, creatives: how many the ranker learnt from.
        learnt_through: the last day of what it learnt from; None without a ranker.
        levels: of `placement_levels`; None without a ranker.
        unseen: for multipliers; None where split tests judged: what they promise of ads nobody has seen kept.
    """

    ranker: Ranker | None
    bound: ConformalBound | None
    promotion: Promotion | None
    reasons: tuple[str, ...]
    judged_on: str | None = None
    arms: int = 0
    creatives: int = 0
    learnt_through: date | None = None
    levels: pl.DataFrame | None = None
    unseen: Unseen | None = None


@dataclass(frozen=True)
class AdScores:
    """Scores of every creative on every placement of its track where ads ran, and who gave them.

    Attributes:
        scores: AD_SCORES_SCHEMA; null where nothing may score.
        click, conversion: rankings by CTR and by CVR.
        rules: they were learnt by.
        one_click: how p_one_click did on sparse arms; None where it is told of nothing.
    """

    scores: pl.DataFrame
    click: RateRanking
    conversion: RateRanking
    rules: ScoringRules
    one_click: BinaryFigures | None


def ad_scores(
    creatives: pl.DataFrame,
    values: Mapping[str, Values],
    cluster: IntArray,
    deliveries: pl.DataFrame,
    tests: pl.DataFrame,
    *,
    champions: Mapping[str, str | None],
    rules: ScoringRules,
    generator: np.random.Generator,
    candidates: Mapping[str, Fit] = CANDIDATES,
) -> AdScores:
    """Scores of creatives from what ads with other creatives did.

    Args:
        creatives: track, platform; row i is creative i.
        values: blocks of the creatives, one row each, and below them of what split tests showed.
        cluster: rows of the blocks that may not be parted (`near_duplicate_clusters`), shape (rows,).
        deliveries: creative (row number), track, platform, account_id, campaign_id, placement, first_day,
            last_day, impressions, clicks, last_matured_day (null: none is), matured_clicks, conversions (of
            those, may be fractional); one row per creative, campaign and placement.
        tests: creative (row of the blocks), part (arms of one part compete), first_day, last_day,
            impressions, clicks.
        champions: candidate that scored so far by "ctr" and "cvr"; None at first.
    """
    deliveries = deliveries.sort(
        *PLACE, "account_id", "campaign_id", "creative"
    )  # sums must not follow the input's order
    paid = pl.col("conversions").clip(0, pl.col("matured_clicks"))
    shown = deliveries.filter(pl.col("impressions") >= rules.fewest_impressions).with_columns(
        trials=pl.col("impressions"), successes=pl.min_horizontal("clicks", "impressions")
    )
    # Clicks whose conversions may still come are no failures.
    clicked = deliveries.filter(pl.col("matured_clicks") >= rules.fewest_clicks).with_columns(
        trials=pl.col("matured_clicks"), successes=paid, last_day=pl.col("last_matured_day")
    )
    tested = tests.filter(pl.col("impressions") >= rules.fewest_impressions).select(
        *("creative", "part", "first_day", "last_day"),
        placement=pl.lit(TESTS),
        trials="impressions",
        successes="clicks",
    )
    delivered = np.unique(cluster[deliveries["creative"].to_numpy()])
    click, conversion = (
        _ranking_by(
            population_of(ADS, rows, _GROUP, cluster),
            population_of(TESTS, of_tests, ["part"], cluster),
            values,
            champions.get(name),
            cluster,
            delivered,
            rules,
            generator,
            candidates,
        )
        for name, rows, of_tests in (("ctr", shown, tested), ("cvr", clicked, tested.clear()))
    )
    asked = (
        deliveries.select(PLACE)
        .unique()
        .join(creatives.with_row_index("creative").cast({"creative": pl.Int64}), on=["track", "platform"])
        .sort(*PLACE, "creative")
    )
    by_unseen = {} if click.unseen is None else click.unseen.scores(values)
    click, clicks = _rated(asked, shown, values, click, by_unseen, rules)
    paid_by = {} if conversion.unseen is None else conversion.unseen.scores(values)
    conversion, paid_for = _rated(asked, clicked, values, conversion, paid_by, rules)
    p_one_click, one_click = _one_click(asked, deliveries, click.unseen, by_unseen, rules)
    return AdScores(
        asked.select(*PLACE, "creative")
        .with_columns(
            ctr_score=clicks["score"],
            ctr_lower_bound=clicks["lower_bound"],
            cvr_score=paid_for["score"],
            p_above_placement=clicks["p_above"],
            ctr_multiplier=clicks["multiplier"],
            cvr_multiplier=paid_for["multiplier"],
            p_one_click=p_one_click,
        )
        .cast(AD_SCORES_SCHEMA),
        click,
        conversion,
        rules,
        one_click,
    )


def _ranking_by(
    own: Population,
    tests: Population,
    values: Mapping[str, Values],
    champion: str | None,
    cluster: IntArray,
    delivered: IntArray,
    rules: ScoringRules,
    generator: np.random.Generator,
    candidates: Mapping[str, Fit],
) -> RateRanking:
    """Judged on own ads; on split tests where own ads are too few and tests are not."""
    ads_lack, tests_lack = (
        too_few(
            population,
            fewest_creatives=rules.fewest_creatives,
            folds=rules.folds,
            later_share=rules.later_share,
        )
        for population in (own, tests)
    )
    if ads_lack and tests_lack:
        return RateRanking(None, None, None, ads_lack + (tests_lack if len(tests.arms) else ()))
    judged = tests if ads_lack else own
    earlier, later = earlier_and_later(judged.period, judged.cluster, later_share=rules.later_share)
    rivals = _rivals(candidates, judged, tests, delivered, values, before=int(judged.period[later].min()))
    of_arms = judged.values(values)
    promotion = promote(
        rivals,
        of_arms,
        judged.arms,
        judged.placement,
        judged.cluster,
        earlier,
        later,
        champion=champion,
        folds=rules.folds,
        generator=generator,
        # Upworthy's tests took more from sandbox accounts' rankings than they gave.
        doubted=[name for name in rivals if name.endswith(WITH_TESTS)],
    )
    if promotion.refusals:
        return RateRanking(None, None, promotion, promotion.refusals, judged.name)
    fit = _rivals(candidates, judged, tests, delivered, values, before=None)[promotion.champion]
    fold = cluster_folds(judged.cluster, rules.folds, generator)
    rankers = fold_rankers(fit, of_arms, judged.arms, fold, generator)
    held_out = scores_by(rankers, of_arms, fold).mean
    rate = float(judged.arms.successes.sum() / judged.arms.trials.sum())
    ranker = fit(of_arms, judged.arms, generator)
    unseen = None
    if judged.name == ADS:
        fold_of_cluster = dict(zip(judged.cluster.tolist(), fold.tolist(), strict=True))
        number = np.array([fold_of_cluster.get(kind, _ALL) for kind in cluster.tolist()], dtype=np.int64)
        unseen = Unseen({**rankers, _ALL: ranker}, number, kept_share(held_out, judged.arms))
    return RateRanking(
        ranker,
        bound_of(held_out, judged.arms, judged.placement, rate),
        promotion,
        (),
        judged.name,
        len(judged.arms),
        len(np.unique(judged.creative)),
        _learnt_through(promotion.champion, judged, tests, delivered),
        unseen=unseen,
    )


def _rivals(
    candidates: Mapping[str, Fit],
    judged: Population,
    tests: Population,
    delivered: IntArray,
    values: Mapping[str, Values],
    *,
    before: int | None,
) -> dict[str, Fit]:
    """Candidates by what they learn from: ads with and without split tests, or split tests alone."""
    if judged.name == TESTS:
        return {f"{name}{OF_TESTS}": fit for name, fit in candidates.items()}
    further = further_teachers(tests, delivered, before=before)
    if before is not None and not len(further.arms):
        return dict(candidates)
    taught = {f"{name}{WITH_TESTS}": taught_too(fit, values, further) for name, fit in candidates.items()}
    return {**candidates, **taught}


def _learnt_through(champion: str, judged: Population, tests: Population, delivered: IntArray) -> date:
    """The last day of what the champion learns from once it scores."""
    days = judged.last_day
    if champion.endswith(WITH_TESTS):
        days = np.concatenate([days, further_teachers(tests, delivered, before=None).last_day])
    return date(1970, 1, 1) + timedelta(days=int(days.max()))


def _rated(
    asked: pl.DataFrame,
    rows: pl.DataFrame,
    values: Mapping[str, Values],
    found: RateRanking,
    by_unseen: Mapping[int, FloatArray],
    rules: ScoringRules,
) -> tuple[RateRanking, dict[str, FloatArray]]:
    """The ranking with its placements' levels, and what it says of each row of `asked`."""
    if found.ranker is None or found.bound is None:
        return found, {name: np.full(asked.height, np.nan) for name in _RATED}
    scored = found.ranker.scores(values)
    levels = placement_levels(scored.mean, rows)
    said = rated(asked, scored, levels, found.bound, screening_impressions=rules.screening_impressions)
    # NaN where nothing may be promised.
    multiplier = np.full(asked.height, np.nan)
    if found.unseen is not None:
        number = found.unseen.number[asked["creative"].to_numpy()]
        for name, score in by_unseen.items():
            inside = number == name
            multiplier[inside] = rate_multiplier(
                asked.filter(inside), score, placement_levels(score, rows), kept=found.unseen.kept
            )
    return replace(found, levels=levels), said | {"multiplier": multiplier}


def _one_click(
    asked: pl.DataFrame,
    deliveries: pl.DataFrame,
    unseen: Unseen | None,
    by_unseen: Mapping[int, FloatArray],
    rules: ScoringRules,
) -> tuple[FloatArray, BinaryFigures | None]:
    """P(at least one click) in the screening impressions for each row of `asked`, and how such words held."""
    if unseen is None:
        return np.full(asked.height, np.nan), None
    arms = deliveries.filter(pl.col("impressions") > 0).with_columns(
        clicks=pl.min_horizontal("clicks", "impressions")
    )
    teachers = arms.filter(pl.col("impressions") >= rules.fewest_impressions)
    beside, new = (
        held_out(rows, teachers, by_unseen, unseen.number, kept=unseen.kept) for rows in (arms, asked)
    )
    head = fit_one_click(beside.filter(pl.col("impressions") >= rules.fewest_impressions))
    return (
        head.probability(new.with_columns(impressions=pl.lit(rules.screening_impressions))),
        judge_one_click(beside, fewest_impressions=rules.fewest_impressions),
    )
