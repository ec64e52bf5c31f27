"""How long a morning's decision takes with a thousand levers, beside sampling and beside a bandit library.

Here: timing `models.bandits` and `models.rewards` on a random account. Not here: whether decisions are good
(`bandit_study`, `tests/models/test_bandits_study.py`).
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
from mabwiser.mab import MAB, LearningPolicy

from benchmarks.forecast_draws import best_of
from benchmarks.record import Figure, Record
from models.bandits import decide
from models.guardrails import GuardrailLimits, TrackLimits
from models.rewards import RewardDefinition, draw_signups_per_dollar, probability_cac_above

MORNING = date(2026, 6, 30)
_MONEY = pl.Decimal(38, 9)
_REWARD = RewardDefinition("click1_view025_v1")


def bandit_decisions(levers: int = 1000, draws: int = 4000) -> Record:
    """Posteriors, Thompson requests and guarded decisions of one morning, as the asset calls them."""
    history, days, accounts = _account(levers)
    curves = _curves(history)
    limits = GuardrailLimits(
        tracks={
            name: TrackLimits(Decimal(levers * 60), Decimal(240), Decimal(6000))
            for name in ("security", "balance")
        },
        total_daily_cap=Decimal(levers * 120),
    )

    def one_morning() -> None:
        decide(
            lever_history=history,
            lever_days=days,
            accounts=accounts,
            as_of_date=MORNING,
            now=datetime(2026, 6, 30, 13, tzinfo=UTC),
            limits=limits,
            contribution_per_signup={"security": 308.0, "balance": 234.0},
            window_days=28,
            prior_conversions=2.0,
            elasticity=0.7,
            reward=_REWARD,
            draws=draws,
            rng=np.random.default_rng(1),
            curves=curves,
        )

    seconds = best_of(one_morning)
    busy = best_of(one_morning, clock=time.process_time)
    return Record(
        "bandit_decisions",
        {"levers": levers, "draws": draws},
        [
            Figure("one morning's decision", seconds, "s"),
            Figure("one morning's decision, CPU time", busy, "s", *_aim_at_full_size(levers, draws, busy)),
            Figure("per lever", seconds / levers * 1e3, "ms"),
            Figure("posterior draws", levers * draws / seconds / 1e6, "million/s"),
        ],
        note="From snapshots and evidence to guarded decisions, without storing them.",
    )


def closed_form_tails(arms: int = 1000, draws: int = 4000) -> Record:
    """P(CAC > cap) of many arms in closed form, beside sampling the same posterior.

    Sampling is the usual way; its answer moves from run to run, and a stop rule reads it near 0.9.
    """
    rng = np.random.default_rng(1)
    spend = rng.gamma(4.0, 500.0, arms)
    clicks = rng.poisson(spend / rng.gamma(12.0, 20.0, arms)).astype(float)
    views = rng.poisson(clicks * 0.4).astype(float)
    prior = np.full(arms, 2.0), np.full(arms, 480.0)
    cap = 240.0
    exact = probability_cac_above(cap, spend, clicks, views, *prior, _REWARD)

    def sampled() -> np.ndarray:
        rates = draw_signups_per_dollar(
            spend, clicks, views, *prior, _REWARD, draws, np.random.default_rng(2)
        )
        answer: np.ndarray = (rates < 1.0 / cap).mean(axis=0)
        return answer

    closed = best_of(lambda: probability_cac_above(cap, spend, clicks, views, *prior, _REWARD))
    drawn = best_of(sampled)
    off = np.abs(sampled() - exact)
    return Record(
        "closed_form_tails",
        {"arms": arms, "draws": draws},
        [
            Figure(
                "closed form, all arms",
                closed * 1e3,
                "ms",
                *(("≤ 20 ms", closed <= 0.020) if arms == 1000 else ()),
            ),
            Figure("sampled, all arms", drawn * 1e3, "ms"),
            Figure("time, closed form / sampled", closed / drawn, "×"),
            Figure("largest error of sampling", float(off.max()), "probability"),
        ],
    )


def _aim_at_full_size(levers: int, draws: int, seconds: float) -> tuple[str, bool] | tuple[()]:
    return ("≤ 1.5 s", seconds <= 1.5) if (levers, draws) == (1000, 4000) else ()


def thompson_choices(arms: int = 1000, draws: int = 4000, pulls: int = 100_000) -> Record:
    """Thompson decisions a second: each draws every arm's rate and takes the best.

    MABWiser draws exact Betas one decision at a time; numpy the same Betas in one batch, the limit of it;
    ours the gamma posteriors with uncertain incrementality behind `p_best`, in a batch as the morning does.
    """
    rng = np.random.default_rng(1)
    trials = rng.multinomial(pulls, np.full(arms, 1 / arms))
    wins = rng.binomial(trials, rng.uniform(0.02, 0.08, arms))
    bandit = MAB(list(range(arms)), LearningPolicy.ThompsonSampling(), seed=1)
    bandit.fit(
        np.repeat(np.arange(arms), trials),
        np.concatenate([np.arange(tried) < won for tried, won in zip(trials, wins, strict=True)]).astype(int),
    )
    one_by_one = max(1, draws // 20)

    def mabwiser() -> None:
        for _ in range(one_by_one):
            bandit.predict()

    def ours() -> None:
        rates = draw_signups_per_dollar(
            trials.astype(float), wins, np.zeros(arms), 2.0, 40.0, _REWARD, draws, np.random.default_rng(2)
        )
        rates.argmax(axis=1)

    def batch() -> None:
        np.random.default_rng(2).beta(1 + wins, 1 + trials - wins, (draws, arms)).argmax(axis=1)

    library = one_by_one / best_of(mabwiser)
    aelp, limit = draws / best_of(ours), draws / best_of(batch)
    return Record(
        "thompson_choices",
        {"arms": arms, "draws": draws},
        [
            Figure("aelp, gamma posteriors", aelp, "decisions/s"),
            Figure("numpy, exact Betas in a batch (limit)", limit, "decisions/s"),
            Figure("MABWiser, exact Betas one by one", library, "decisions/s"),
            Figure("aelp / MABWiser", aelp / library, "×"),
        ],
    )


def _curves(history: pl.DataFrame) -> pl.DataFrame:
    """A curve for each of twenty clusters, all uncertain."""
    levers = history.select("platform", "account_id", "lever_id").unique().sort("lever_id")
    cluster = np.arange(levers.height) % 20
    mean = np.random.default_rng(2).normal(0.65, 0.1, 20).clip(0.3, 0.9)
    return levers.with_columns(
        cluster=pl.Series([f"c{each:02d}" for each in cluster]),
        elasticity_mean=pl.Series(mean[cluster]),
        elasticity_sd=pl.lit(0.12),
        may_rise=pl.lit(value=True),
    )


def _account(levers: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(1)
    budgets = np.round(rng.gamma(4.0, 7.5, levers) + 5.0, 2)
    each = pl.DataFrame(
        {
            "platform": ["meta"] * levers,
            "account_id": ["a1"] * levers,
            "lever_id": [f"l{index:05d}" for index in range(levers)],
            "track": ["security" if index % 2 else "balance" for index in range(levers)],
        }
    )
    snapshot = each.with_columns(
        lever_level=pl.lit("adset"),
        lever_source=pl.lit("platform"),
        budget_type=pl.lit("daily"),
        currency=pl.lit("USD"),
        current_budget=pl.Series(budgets).cast(_MONEY),
        minimum_budget=pl.lit(1).cast(_MONEY),
        budget_increment=pl.lit(Decimal("0.01")).cast(_MONEY),
        is_shared=pl.lit(value=False),
        learning_state=pl.lit("active"),
        last_edited_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")),
        status=pl.lit("active"),
    )
    cac = rng.gamma(12.0, 12.5, levers)
    spend = budgets * 10
    history = [snapshot.with_columns(date=MORNING - timedelta(days=age)) for age in range(10)]
    days = [
        each.with_columns(
            date=MORNING - timedelta(days=age),
            cost=pl.Series(spend).cast(_MONEY),
            conversions_click=pl.Series(rng.poisson(spend / cac)).cast(_MONEY),
            conversions_view=pl.Series(rng.poisson(spend / cac / 2)).cast(_MONEY),
            is_matured=pl.lit(value=True),
        )
        for age in range(15, 43)
    ]
    accounts = pl.DataFrame(
        {"platform": ["meta"], "account_id": ["a1"], "maturity_days": [14], "eligible": [True]}
    )
    return pl.concat(history), pl.concat(days), accounts
