"""Does an 80 % interval hold 80 %, and who loses less? The backtest on many simulated businesses.

Here: businesses of many seeds through the backtest, and what they come to together. Not here: the backtest
(`models.accuracy`), the simulation (`resources.sandbox`), whose laws the model does not know.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl

from benchmarks.accounts import TODAY, scratch_folder
from benchmarks.record import Figure, Record, code_hash
from models.accuracy import METHODS, QUARTILES, backtest_forecasts, score_forecasts
from models.rewards import RewardDefinition
from resources.sandbox.build import Simulated, simulate_account
from resources.sandbox.catalogue import PLATFORMS, TRACKS
from resources.sandbox.ledger import observe

ELASTICITY = 0.7
MATURITY_DAYS = 14
_RESTATED_DAYS = 35
_RESAMPLES = 2000
_COUNTED = ("clicks", "conversions")
_FIRST_SEED = 7001
"""Far from the seeds of tests and demos."""


def forecast_coverage(worlds: int = 40, scale: str = "demo", draws: int = 1000) -> Record:
    """Backtest that many businesses of 30 levers and 100 days; intervals resample whole businesses.

    Scores are kept as they come, so that a study cut off goes on where it was.
    """
    kept = scratch_folder() / f"forecast_coverage-{scale}-{draws}-{code_hash()}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    scored = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    known = {row["seed"] for row in scored}
    with kept.open("a") as file:
        for seed in range(_FIRST_SEED, _FIRST_SEED + worlds):
            if seed not in known:
                scores = {"seed": seed, "scores": score_world(seed, scale, draws).to_dicts()}
                file.write(json.dumps(scores) + "\n")
                file.flush()
                scored.append(scores)
    wanted = range(_FIRST_SEED, _FIRST_SEED + worlds)
    rows = pl.concat(
        pl.DataFrame(world["scores"]).with_columns(world=pl.lit(world["seed"]))
        for world in sorted(scored, key=lambda world: int(world["seed"]))
        if world["seed"] in wanted
    )
    return summarise(rows, {"worlds": worlds, "scale": scale, "draws": draws})


def score_world(seed: int, scale: str, draws: int) -> pl.DataFrame:
    """Scores of all accounts of one business together: metric, horizon_days, method and their measures."""
    simulated = simulate_account(scale, seed, TODAY, further_days=_RESTATED_DAYS)
    forecasts = backtest_forecasts(
        lever_days(simulated),
        TODAY,
        maturity_days=MATURITY_DAYS,
        elasticity=ELASTICITY,
        rng=np.random.default_rng(seed),
        draws=draws,
    ).with_columns(platform=pl.lit("sandbox"), account_id=pl.lit("all"))
    scores = score_forecasts(forecasts, TODAY, rng=np.random.default_rng(seed), resamples=1)
    return scores.select(
        *("metric", "horizon_days", "method", "forecasts", "coverage", "pinball", "crps", "width"),
        pl.col("^coverage_traffic_q[0-9]$"),
    )


def lever_days(simulated: Simulated) -> pl.DataFrame:
    """Daily sums by lever once nothing is restated any more, as a morning reads them from the marts."""
    business, ledger = simulated.business, simulated.ledger
    seen = observe(ledger, 0, business.days - 1, ledger.days - 1)
    delivery, levers = ledger.delivery, business.levers
    lever = business.adsets.lever[business.ads.adset[business.cells.ad[delivery.cell[seen.rows]]]]
    reward = RewardDefinition("sandbox")
    conversions = (seen.click_credit * reward.click_mean + seen.view_credit * reward.view_mean) / 100.0
    keys = pl.DataFrame(
        {
            "lever": range(len(levers.id)),
            "lever_id": levers.id,
            "platform": [PLATFORMS[place].name for place in levers.platform],
            "account_id": [PLATFORMS[place].account_id for place in levers.platform],
            "track": [TRACKS[place].name for place in levers.track],
        }
    )
    rows = pl.DataFrame(
        {
            "lever": lever,
            "day": delivery.day[seen.rows],
            "cost": delivery.cents[seen.rows] / 100.0,
            "impressions": delivery.impressions[seen.rows].astype(float),
            "clicks": delivery.link_clicks[seen.rows].astype(float),
            "conversions": conversions,
        }
    )
    dates = pl.DataFrame(
        {"day": range(business.days), "date": [business.date_of(day) for day in range(business.days)]},
        schema={"day": rows.schema["day"], "date": pl.Date},
    )
    return (
        rows.group_by("lever", "day")
        .agg(pl.all().sum())
        .join(keys.cast({"lever": rows.schema["lever"]}), on="lever")
        .join(dates, on="day")
        .drop("lever", "day")
        .sort("lever_id", "date")
    )


def summarise(rows: pl.DataFrame, config: dict[str, Any]) -> Record:
    """Coverage of clicks and conversions, of each traffic quartile, and losses beside each rival's.

    Args:
        rows: `score_world` of several worlds with `world`, the same cells in each.
    """
    resample = _Resampling(rows["world"].n_unique())
    ours = rows.filter((pl.col("method") == "aelp") & pl.col("metric").is_in(_COUNTED))
    figures, intervals = [], {}
    quartiles = [f"coverage_traffic_q{place + 1}" for place in range(QUARTILES)]
    for name, column, low, high in (
        ("coverage of clicks and conversions", "coverage", 78, 82),
        *((f"of it, traffic quartile {column[-1]}", column, 75, 85) for column in quartiles),
    ):
        share, interval = resample.mean(ours, column)
        figures.append(Figure(name, 100 * share, "%", f"{low}–{high} %", low <= 100 * share <= high))
        intervals[name] = [round(100 * end, 1) for end in interval]
    for metric in (*_COUNTED, "spend"):
        for method in METHODS[1:]:
            own = rows.filter((pl.col("metric") == metric) & (pl.col("method") == "aelp"))
            other = rows.filter((pl.col("metric") == metric) & (pl.col("method") == method))
            for score, aim in (("pinball", "< 1"), ("crps", "< 1"), ("width", None)):
                if not (_by_world(other, score) > 0).all():
                    continue  # the classic method gives spend as one number, which has no width
                name = f"{metric}: {score}, ours / {method}"
                ratio, interval = resample.ratio(own, other, score)
                figures.append(Figure(name, ratio, "×", aim, interval[1] < 1 if aim else None))
                intervals[name] = [round(end, 3) for end in interval]
    cells = (
        ours.group_by("metric", "horizon_days").agg(pl.col("coverage").mean()).sort("metric", "horizon_days")
    )
    spend = rows.filter((pl.col("method") == "aelp") & (pl.col("metric") == "spend"))
    return Record(
        "forecast_coverage",
        config,
        figures,
        note="Given actual spend, horizons of 7 and 14 days. A business counts once; 95 % intervals (in "
        "spine.json) resample businesses. A ratio meets its aim where its whole interval is below 1. Pinball "
        "is over p10, p50, p90, CRPS over all draws, width of p10-p90 (the price of coverage, no aim); "
        "triangular is the classic method. Levers answer by the prior: daily sums tell no targeting.",
        details={
            "95 % intervals": intervals,
            "coverage by cell, %": {
                f"{metric}, {days} days": round(100 * share, 1) for metric, days, share in cells.iter_rows()
            }
            | {"spend": round(100 * float(spend.select(pl.col("coverage").mean()).item()), 1)},
        },
    )


class _Resampling:
    """The same resamples of whole worlds for every figure, so that ratios are paired."""

    def __init__(self, worlds: int) -> None:
        self.picks = np.random.default_rng(1).integers(0, worlds, size=(_RESAMPLES, worlds))

    def mean(self, rows: pl.DataFrame, column: str) -> tuple[float, tuple[float, float]]:
        """Mean over worlds of a world's mean, and its interval."""
        worlds = _by_world(rows, column)
        return float(worlds.mean()), self._interval(worlds[self.picks].mean(axis=1))

    def ratio(
        self, above: pl.DataFrame, below: pl.DataFrame, column: str
    ) -> tuple[float, tuple[float, float]]:
        """Ratio of the two means over worlds, and its interval."""
        over, under = _by_world(above, column), _by_world(below, column)
        resampled = over[self.picks].mean(axis=1) / under[self.picks].mean(axis=1)
        return float(over.mean() / under.mean()), self._interval(resampled)

    @staticmethod
    def _interval(values: np.ndarray) -> tuple[float, float]:
        low, high = np.quantile(values, (0.025, 0.975))
        return float(low), float(high)


def _by_world(rows: pl.DataFrame, column: str) -> np.ndarray:
    """A column's mean over the cells of each world, shape (worlds,)."""
    return rows.group_by("world").agg(pl.col(column).mean()).sort("world")[column].to_numpy()
