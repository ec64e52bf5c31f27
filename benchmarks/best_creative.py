"""How many impressions it takes to know the best of ten creatives, by who gets them.

Here: fields of creatives whose truth is known, the launch money divided anew each morning. Not here: running
levers, whose budgets may hardly move in a day (`bandit_study`). The beliefs are `models.rewards`'; the fields
are numpy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks.ad_worlds import FloatArray
from benchmarks.bandit_study import SURE, ratio_of_sums
from benchmarks.record import Figure, Record
from models.rewards import RewardDefinition, draw_signups_per_dollar

CREATIVES = 10
CAP = 240.0
DOLLARS_A_DAY = 2_000.0
IMPRESSIONS_A_DOLLAR = 100.0
_A_DAY = DOLLARS_A_DAY * IMPRESSIONS_A_DOLLAR
_PRIOR = 2.0
_REWARD = RewardDefinition("click1_view025_v1")


def _top_two(best: FloatArray) -> FloatArray:
    """Half to the winner of a draw, half to the winner of the next draw that another wins (Russo, 2016)."""
    known = np.clip(best, 1e-6, 1 - 1e-6)
    pairs = known[:, :, None] / (1 - known[:, :, None]) * known[:, None, :]
    places = np.arange(best.shape[1])
    pairs[:, places, places] = 0
    second = pairs.sum(axis=1)
    return np.asarray(0.5 * best + 0.5 * second / second.sum(axis=1, keepdims=True), dtype=np.float64)


# Shares of tomorrow's impressions by P(best), (fields, creatives).
DIVISIONS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "evenly": lambda best: np.full_like(best, 1 / best.shape[1]),
    "by P(best)": lambda best: best,
    "top two": _top_two,
    "half evenly, half by P(best)": lambda best: 0.5 / best.shape[1] + 0.5 * best,
}


def days_until_sure(
    rates: FloatArray, divide: Callable[[FloatArray], FloatArray], days: int, draws: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Days until some creative has P(best) >= 0.95, and whether it is the best, both (fields,).

    Args:
        rates: true signups per dollar, (fields, creatives).
        divide: P(best) to shares of the next day.
        days: at most; a field not sure by then counts them all, and as not right.
        draws: joint draws behind P(best).
        seed: of the fields' luck and of the draws.
    """
    rng = np.random.default_rng(seed)
    spend, signups = np.zeros(rates.shape), np.zeros(rates.shape)
    taken, right = np.full(len(rates), float(days)), np.zeros(len(rates))
    shares = np.full(rates.shape, 1 / rates.shape[1])
    still = np.arange(len(rates))
    for day in range(1, days + 1):
        spend[still] += DOLLARS_A_DAY * shares[still]
        signups[still] += rng.poisson(DOLLARS_A_DAY * shares[still] * rates[still])
        best = _p_best(spend[still], signups[still], draws, rng)
        shares[still] = divide(best)
        sure = best.max(axis=1) >= SURE
        taken[still[sure]] = day
        right[still[sure]] = best[sure].argmax(axis=1) == rates[still[sure]].argmax(axis=1)
        still = still[~sure]
        if not len(still):
            break
    return taken, right


def _p_best(spend: FloatArray, signups: FloatArray, draws: int, rng: np.random.Generator) -> FloatArray:
    arms = spend.size
    drawn = draw_signups_per_dollar(
        spend.ravel(), signups.ravel(), np.zeros(arms), _PRIOR, _PRIOR * CAP, _REWARD, draws, rng
    )
    winners = drawn.reshape(draws, *spend.shape).argmax(axis=2)
    return np.stack([(winners == place).mean(axis=0) for place in range(spend.shape[1])], axis=1)


def best_creative(fields: int = 1000, days: int = 240, draws: int = 384) -> Record:
    """Impressions to P(best) >= 0.95 under four divisions of the same daily money."""
    rates = 1 / (CAP * np.random.default_rng(1).lognormal(-0.2, 0.35, (fields, CREATIVES)))
    found = {name: days_until_sure(rates, divide, days, draws, 2) for name, divide in DIVISIONS.items()}
    evenly = found["evenly"][0]
    figures = []
    for name, (taken, right) in found.items():
        done = taken < days
        figures += [
            Figure(f"{name}: impressions until sure, mean", float(taken.mean()) * _A_DAY / 1e6, "million"),
            Figure(f"{name}: fields decided within {days} days", float(done.mean()), "×"),
            Figure(f"{name}: decided for the true best", float(right[done].mean()), "×"),
        ]
        if name != "evenly":
            middle, low, high = ratio_of_sums(taken, evenly)
            figures.append(
                Figure(
                    f"{name}: impressions, share of an even division's",
                    middle,
                    f"× [{low:.3g}, {high:.3g}]",
                    "≤ 0.5",
                    middle <= 0.5,
                )
            )
    return Record(
        "best_creative",
        {"fields": fields, "creatives": CREATIVES},
        figures,
        note=f"Undecided fields count all {days} days. Slates launch half evenly, half by P(best).",
    )
