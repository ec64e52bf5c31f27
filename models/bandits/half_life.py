"""How long evidence lasts: a half-life per track, chosen by how well each would have predicted the past.

Here: the one-step-ahead score and the choice. Not here: what the chosen half-life weighs (`evidence`).

Each day of the last four matured weeks is predicted from the `window_days` before it: counts and exposure
weigh 2^(-age / half-life), the posterior is the gamma of `posteriors`, and a day's conversions given it are
negative binomial. Conversions are counted as they are, both windows together: incrementality is a factor that
every candidate shares. The log scores add up over a track's levers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import polars as pl
from scipy.special import gammaln

from models.bandits.evidence import LEVER_KEY, evidence_windows, matured_days
from models.rewards import FloatArray

SCORED_DAYS = 28
# A shorter half-life forgets; it must be better by a factor of e^2, or a quiet month would look like drift.
_BETTER_BY_NATS = 2.0


def choose_half_lives(
    lever_days: pl.DataFrame,
    accounts: pl.DataFrame,
    *,
    as_of_date: date,
    window_days: int,
    prior_conversions: float,
    caps: Mapping[str, float],
    candidates: Sequence[float | None],
) -> pl.DataFrame:
    """The half-life of each track's evidence.

    Args:
        lever_days: rows of `reward_daily` (date, platform, account_id, track, lever_id, cost,
            conversions_click, conversions_view), `window_days` and four weeks of matured days back.
        accounts: platform, account_id, maturity_days.
        as_of_date: the morning.
        window_days: days one prediction rests on.
        prior_conversions: the prior's worth, conversions.
        caps: account currency per signup, by track.
        candidates: days; None: nothing is forgotten.

    Returns:
        track, half_life_days (null: nothing is forgotten), log_score_gain (nats over forgetting least; 0
        where that was chosen), scored_lever_days; one row per key of `caps`, sorted.

    Raises:
        ValueError: no candidate, or one that is not positive.
    """
    if not candidates or any(days is not None and not days > 0 for days in candidates):
        raise ValueError("half-lives: give at least one, each positive (or None: nothing is forgotten)")
    longest_first = sorted(set(candidates), key=lambda days: -np.inf if days is None else -days)
    windows = evidence_windows(accounts, as_of_date, window_days + SCORED_DAYS)
    matured = matured_days(lever_days, windows, "lever_id").join(windows, on=["platform", "account_id"])
    chosen = []
    for track in sorted(caps):
        exposure, counts = _panel(matured.filter(pl.col("track") == track), window_days + SCORED_DAYS)
        scores = [
            _log_score(exposure, counts, days, window_days, prior_conversions, float(caps[track]))
            for days in longest_first
        ]
        best = 0
        for place in range(1, len(scores)):
            if scores[place] > scores[best] + _BETTER_BY_NATS:
                best = place
        scored = int((exposure[window_days:] > 0).sum())
        chosen.append((track, longest_first[best], scores[best] - scores[0], scored))
    schema = {
        "track": pl.String,
        "half_life_days": pl.Float64,
        "log_score_gain": pl.Float64,
        "scored_lever_days": pl.Int64,
    }
    return pl.DataFrame(chosen, schema=schema, orient="row")


def _panel(days: pl.DataFrame, length: int) -> tuple[FloatArray, FloatArray]:
    """Spend and conversions, each (days, levers), oldest first; an account's last row is its window's end."""
    rows = (
        days.group_by(*LEVER_KEY, "date", "window_end")
        .agg(
            pl.col("spend").sum(), (pl.col("click_conversions") + pl.col("view_conversions")).sum().alias("n")
        )
        .with_columns(age=(pl.col("window_end") - pl.col("date")).dt.total_days())
    )
    levers = rows.select(LEVER_KEY).unique().sort(LEVER_KEY).with_row_index("lever")
    placed = rows.join(levers, on=list(LEVER_KEY))
    at = length - 1 - placed["age"].to_numpy(), placed["lever"].to_numpy()
    exposure, counts = np.zeros((length, levers.height)), np.zeros((length, levers.height))
    exposure[at] = placed["spend"].cast(pl.Float64).to_numpy()
    counts[at] = placed["n"].cast(pl.Float64).to_numpy()
    return exposure, counts


def _log_score(
    exposure: FloatArray,
    counts: FloatArray,
    half_life: float | None,
    window_days: int,
    prior_conversions: float,
    cap: float,
) -> float:
    """Σ log P(day's conversions | the days before it), nats, over lever-days with spend."""
    keep = 1.0 if half_life is None else 2.0 ** (-1 / half_life)
    dollars, known = np.zeros(exposure.shape[1]), np.zeros(exposure.shape[1])
    total = 0.0
    for day, (spend, found) in enumerate(zip(exposure, counts, strict=True)):
        if day >= window_days:
            pooled = (prior_conversions + known.sum()) / (prior_conversions * cap + dollars.sum())
            spent = spend > 0
            total += _negative_binomial(
                found[spent],
                spend[spent],
                prior_conversions + known[spent],
                prior_conversions / pooled + dollars[spent],
            )
        dollars, known = keep * dollars + spend, keep * known + found
        if day >= window_days:
            gone = keep**window_days
            dollars = np.maximum(dollars - gone * exposure[day - window_days], 0.0)
            known = np.maximum(known - gone * counts[day - window_days], 0.0)
    return total


def _negative_binomial(found: FloatArray, spend: FloatArray, shape: FloatArray, rate: FloatArray) -> float:
    """Σ log of the gamma-Poisson predictive; counts may be fractional."""
    terms = gammaln(shape + found) - gammaln(shape) - gammaln(found + 1)
    terms += shape * np.log(rate / (rate + spend)) + found * np.log(spend / (rate + spend))
    return float(terms.sum())
