"""Rankers judged by what creatives really do: simulated businesses, creatives they never saw.

Here: rank correlations with truth, what each block adds, bounds, choices. Not here: the businesses
(`creative_worlds`), holding back and scoring (`unseen_creatives`), real clicks (`upworthy_ranking`).

A score is compared within a track and placement with the creative's own part of the true rate: place,
audience, wear and the ad's luck are not its doing. Intervals resample clusters of near-duplicates, all
rankers on the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from benchmarks.accounts import scratch_folder
from benchmarks.record import Figure, Record
from benchmarks.unseen_creatives import (
    BOUND,
    OURS,
    RAN,
    RULES,
    SCORED,
    SHOWN,
    SIGNUPS,
    TOLD,
    Unseen,
    scored_world,
    together,
)
from resources.settings import PROJECT_ROOT, load_settings

FIELD, CHOSEN = 40, 8
_SEED = 9101
_FEWEST_RANKED = 10
_ABLATIONS = {
    "images": "texts alone",
    "texts": "images alone",
    "image vectors": "without image vectors",
    "image measures": "without image measures",
    "measured traits": "without traits",
}
_BOUND_HOLDS = 0.9
_RANDOM_RANKINGS = 400

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def creative_ranking(
    scale: str = "medium", worlds: int = 3, most_images: int = 720, resamples: int = 1_000
) -> Record:
    """Rank correlation with truth, what each block adds, bounds and choices, over unseen creatives."""
    settings = load_settings(PROJECT_ROOT / "aelp.yaml")
    folder = scratch_folder() / "creative_ranking"
    seeds = range(_SEED, _SEED + worlds)
    scored = [scored_world(scale, seed, most_images, folder / f"{scale}-{seed}", settings) for seed in seeds]
    parts, told = zip(*scored, strict=True)
    unseen = together(parts)
    rng = np.random.default_rng(_SEED)
    details: dict[str, object] = {
        "variance of the true log click rate, % by what tells it": {
            teller: 100 * float(np.mean([world.variance_shares[teller] for world in told]))
            for teller in told[0].variance_shares
        },
        "champions": [world.champions for world in told],
        "refused": [world.refused for world in told],
    }
    figures = (
        _click_figures(unseen, rng, resamples, details)
        + _conversion_figures(unseen, rng, resamples, details)
        + _bound_figures(unseen)
        + _choice_figures(unseen, rng, resamples, details)
    )
    for rate in ("ctr", "cvr"):
        may = sum(rate not in world.refused for world in told)
        figures.append(Figure(f"worlds whose {rate.upper()} the gate lets score", may, f"of {worlds}"))
    return Record(
        "creative_ranking",
        {"scale": scale, "worlds": worlds, "most_images": most_images},
        figures,
        note=f"{len(np.unique(unseen.creative)):,} unseen creatives of "
        f"{sum(world.creatives for world in told):,}, {len(unseen.group):,} arms of "
        f"{RULES.fewest_impressions} impressions or more in {len(np.unique(unseen.cluster)):,} clusters; "
        f"learnt from {sum(world.arms for world in told):,} arms. Rank correlations are Spearman's, within "
        "track and placement; ours is the kernel candidate, the morning's scores are the champion's. "
        "Intervals (95 %) are in the details.",
        details=details,
    )


class Correlations:
    """Rank correlations with a truth within groups, of several scores on the same resampled clusters.

    Args:
        scores: by name, shape (arms,); arms that any of them leaves unscored are left out.
        chosen: arms that count.
    """

    def __init__(
        self, unseen: Unseen, scores: Mapping[str, FloatArray], truth: str, chosen: npt.NDArray[np.bool_]
    ) -> None:
        columns = np.column_stack([*scores.values(), unseen.truth[truth]])
        kept = np.flatnonzero(chosen & np.isfinite(columns).all(axis=1))
        self._columns = columns[kept]
        self._cluster = np.unique(unseen.cluster[kept], return_inverse=True)[1]
        group = unseen.group[kept]
        self._groups = [np.flatnonzero(group == number) for number in np.unique(group)]
        self._names = list(scores)
        self.arms = len(kept)

    def observed(self) -> dict[str, float]:
        """Mean over groups by their arms; NaN where no group has enough."""
        return dict(zip(self._names, self._mean(np.ones(self.arms, dtype=np.int64)).tolist(), strict=True))

    def resampled(self, rng: np.random.Generator, resamples: int) -> dict[str, FloatArray]:
        """The same on clusters drawn with replacement, shape (resamples,) each."""
        clusters = int(self._cluster.max(initial=-1)) + 1
        drawn = [
            self._mean(np.bincount(rng.integers(clusters, size=clusters), minlength=clusters)[self._cluster])
            for _ in range(resamples)
        ]
        return dict(zip(self._names, np.array(drawn).T, strict=True))

    def _mean(self, times: IntArray) -> FloatArray:
        sums, arms = np.zeros(len(self._names)), 0
        for members in self._groups:
            rows = np.repeat(members, times[members])
            if np.count_nonzero(times[members]) < _FEWEST_RANKED:
                continue
            ranks = rankdata(self._columns[rows], axis=0)
            ranks = ranks - ranks.mean(axis=0)
            spread = np.sqrt((ranks * ranks).sum(axis=0))
            sums += len(rows) * (ranks[:, :-1].T @ ranks[:, -1]) / np.maximum(spread[:-1] * spread[-1], 1e-12)
            arms += len(rows)
        return sums / arms if arms else np.full(len(self._names), np.nan)


def _click_figures(
    unseen: Unseen, rng: np.random.Generator, resamples: int, details: dict[str, object]
) -> list[Figure]:
    """Who ranks click rates how well, and what ours has over baselines and over itself without a block."""
    named = {name: score for name, score in unseen.scores.items() if not _of_conversions(name)}
    compared = {name: score for name, score in named.items() if name not in (SCORED, BOUND)}
    everyone = np.ones(len(unseen.group), dtype=bool)
    correlations = Correlations(unseen, compared, "ctr", everyone)
    found, drawn = correlations.observed(), correlations.resampled(rng, resamples)
    details["rank correlation with the true CTR"] = {
        name: _with_interval(value, drawn[name]) for name, value in found.items()
    }
    shown = (OURS, "ridge", "trees", TOLD, SHOWN, RAN)
    figures = [Figure(f"rank correlation, {name}", found[name], "") for name in shown]
    figures.append(_by_chance(unseen, rng))
    rivals = {f"ours less {name}": name for name in ("ridge", "trees")}
    rivals |= {f"what {block} add": name for block, name in _ABLATIONS.items()}
    figures += _gains(rivals, found, drawn, details)
    for name, chosen in (("held-out clusters", ~unseen.later), ("later starters", unseen.later)):
        figures += [
            Figure(f"rank correlation on {name}, ours", part[OURS], "")
            for part in [Correlations(unseen, {OURS: named[OURS]}, "ctr", chosen).observed()]
        ]
    morning = Correlations(unseen, {name: named[name] for name in (SCORED, OURS)}, "ctr", everyone)
    if morning.arms:
        figures.append(Figure("rank correlation, the morning's scores", morning.observed()[SCORED], ""))
    return figures


def _by_chance(unseen: Unseen, rng: np.random.Generator) -> Figure:
    """What one in forty random rankings of the creatives comes to: their mean is 0."""
    creative = np.unique(unseen.creative, return_inverse=True)[1]
    scores = {str(each): rng.random(int(creative.max()) + 1)[creative] for each in range(_RANDOM_RANKINGS)}
    drawn = Correlations(unseen, scores, "ctr", np.ones(len(creative), dtype=bool)).observed()
    highest = float(np.quantile(list(drawn.values()), 0.975))
    return Figure("rank correlation, 97.5 % of random rankings lie below", highest, "")


def _conversion_figures(
    unseen: Unseen, rng: np.random.Generator, resamples: int, details: dict[str, object]
) -> list[Figure]:
    """The same for conversions by click, and for signups by impression."""
    everyone = np.ones(len(unseen.group), dtype=bool)
    figures = []
    rates = {name: score for name, score in unseen.scores.items() if name.startswith("CVR, ")}
    signups = {name: unseen.scores[name] for name in (SIGNUPS, f"{SIGNUPS}, {TOLD}", OURS)}
    for title, scores, truth in (("CVR", rates, "cvr"), (SIGNUPS, signups, "signups")):
        correlations = Correlations(unseen, scores, truth, everyone)
        found, drawn = correlations.observed(), correlations.resampled(rng, resamples)
        details[f"rank correlation with the truth, {title}"] = {
            name: _with_interval(value, drawn[name]) for name, value in found.items()
        }
        figures += [
            Figure(f"rank correlation, {name}", value, "") for name, value in found.items() if name != OURS
        ]
        rivals = (
            {"what images add to CVR": "CVR, texts alone"}
            if title == "CVR"
            else {f"{SIGNUPS} by both rates less by CTR alone": OURS}
        )
        best = f"CVR, {OURS}" if title == "CVR" else SIGNUPS
        figures += _gains(rivals, found, drawn, details, best)
    return figures


def _gains(
    rivals: Mapping[str, str],
    found: Mapping[str, float],
    drawn: Mapping[str, FloatArray],
    details: dict[str, object],
    best: str = OURS,
) -> list[Figure]:
    figures = []
    for title, rival in rivals.items():
        difference = drawn[best] - drawn[rival]
        low = float(np.nanquantile(difference, 0.025))
        gain = found[best] - found[rival]
        details[f"interval of {title}"] = _with_interval(gain, difference)
        figures.append(Figure(title, gain, "", "interval above 0", low > 0))
    return figures


def _bound_figures(unseen: Unseen) -> list[Figure]:
    """Share of unseen arms whose true rate lies above their bound, by the traffic they came to have."""
    bound, truth = unseen.scores[BOUND], unseen.truth["beyond average"]
    asked = np.isfinite(bound) & np.isfinite(truth)
    if not asked.any():
        return []
    traffic = unseen.impressions[asked]
    quartile = np.searchsorted(np.quantile(traffic, [0.25, 0.5, 0.75]), traffic, side="right")
    covered = (truth >= bound)[asked]
    shares = {f"traffic quartile {each + 1}": float(covered[quartile == each].mean()) for each in range(4)}
    shares = {"all": float(covered.mean())} | shares
    return [
        Figure(f"true CTR above the 90 % bound, {name}", 100 * share, "%", "≥ 90 %", share >= _BOUND_HOLDS)
        for name, share in shares.items()
    ]


def _choice_figures(
    unseen: Unseen, rng: np.random.Generator, resamples: int, details: dict[str, object]
) -> list[Figure]:
    """Mean true CTR of the eight chosen of a field of forty new creatives, as a share of the best eight's."""
    fields = _fields(unseen, rng)
    if not fields:
        return []
    rate = np.exp(unseen.truth["ctr"])
    choosers = (OURS, "ridge", "trees", "random", TOLD, SHOWN, BOUND)
    value = np.full((len(fields), len(choosers)), np.nan)
    for number, arms in enumerate(fields):
        best = np.sort(rate[arms])[-CHOSEN:].mean()
        for place, name in enumerate(choosers):
            if name == "random":
                value[number, place] = rate[arms].mean() / best
                continue
            score = unseen.scores[name][arms]
            if np.isfinite(score).all():
                value[number, place] = rate[arms][np.argsort(-score, kind="stable")[:CHOSEN]].mean() / best
    times = rng.integers(len(fields), size=(resamples, len(fields)))
    figures = []
    for place, name in enumerate(choosers):
        if np.isnan(value[:, place]).all():
            continue
        mean = float(np.nanmean(value[:, place]))
        details[f"interval of true CTR of the chosen {CHOSEN} of {FIELD}, {name}, % of the best {CHOSEN}"] = (
            _with_interval(100 * mean, 100 * np.nanmean(value[times, place], axis=1))
        )
        figures.append(
            Figure(f"true CTR of the {CHOSEN} chosen of {FIELD}, {name}", 100 * mean, "% of the best")
        )
    details["fields"] = len(fields)
    return figures


def _fields(unseen: Unseen, rng: np.random.Generator) -> list[IntArray]:
    """Unseen Meta creatives of one track, forty at a time, each with its most shown arm."""
    by_traffic = np.argsort(-unseen.impressions, kind="stable")
    on_meta = by_traffic[unseen.on_meta[by_traffic]]
    arms = on_meta[np.unique(unseen.creative[on_meta], return_index=True)[1]]
    fields: list[IntArray] = []
    for track in np.unique(unseen.track):
        shuffled = rng.permutation(arms[unseen.track[arms] == track])
        fields += [shuffled[start : start + FIELD] for start in range(0, len(shuffled) - FIELD + 1, FIELD)]
    return fields


def _of_conversions(name: str) -> bool:
    return name.startswith("CVR, ") or SIGNUPS in name


def _with_interval(value: float, drawn: FloatArray) -> str:
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
