"""What a believed media-mix fit says for a track: curves, channels, an allocation, tests worth running.

Here: settings to rules and stakes, calling `models.mmm`, rows of the tables. Not here: fitting
(`media_mix_fit`), checks and pictures (`media_mix`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import polars as pl

from aelp_assets.bandits import contributions, guardrail_limits
from aelp_assets.media_mix_fit import TrackFit
from models.mmm.allocation import Allocation, Infeasible, Objective, allocate
from models.mmm.budget_scenarios import regret_of_staying
from models.mmm.curves import channel_summary, curves, saturation_spends
from models.mmm.experiment_designs import Standing, possible_designs, standing_of
from models.mmm.information_value import Stakes
from models.mmm.planner import calendar, raises_frozen, ranked_tests
from models.mmm.posterior import MediaPosterior
from models.mmm.response import FloatArray
from models.mmm.spend_bounds import SpendRules
from models.mmm.weeks import MediaWeeks
from resources.settings import Settings

RECENT_WEEKS = 4
"""Their mean is what a channel spends now."""
CALENDAR_WEEKS = 26
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class TrackMix:
    """Rows of the tables, less their date."""

    track: str
    weeks: MediaWeeks
    curves: pl.DataFrame
    channels: pl.DataFrame
    allocation: pl.DataFrame
    tests: pl.DataFrame

    def recent(self) -> dict[str, float]:
        """Dollars a week by channel that it spends now."""
        return dict(zip(self.weeks.channels, recent_spend(self.weeks).tolist(), strict=True))


def track_mix(found: TrackFit, settings: Settings, levers: pl.DataFrame) -> TrackMix:
    """All of a track's rows.

    Args:
        found: a fit that passed.
        levers: track, channel, in_force (dollars a day) of every lever.
    """
    fitted, weeks = found.fitted, found.weeks
    assert fitted is not None
    assert weeks is not None
    track = settings.tracks[found.track]
    value = float(track.aov) * track.expected_orders
    current = recent_spend(weeks)
    frozen = frozen_channels(found, settings, current)
    by_spend = curves(fitted, value) if isinstance(fitted, MediaPosterior) else fitted.curves(value)
    own = levers.filter(pl.col("track") == found.track)
    named = [pl.lit(found.track).alias("track"), pl.lit(found.model).alias("model")]
    return TrackMix(
        found.track,
        weeks,
        by_spend.with_columns(named),
        channel_rows(found, value).with_columns(named),
        allocation_rows(found, settings, current, frozen, own).with_columns(named),
        test_rows(found, settings, current, frozen).with_columns(named),
    )


def recent_spend(weeks: MediaWeeks) -> FloatArray:
    """Dollars a week that each channel spends now, (channels,)."""
    found: FloatArray = weeks.spend[-RECENT_WEEKS:].mean(axis=0)
    return found


def frozen_channels(found: TrackFit, settings: Settings, current: FloatArray) -> dict[str, str]:
    """Channels that may not rise, with the reason: untested brand search, and what is too uncertain."""
    tested = {test.channel for test in settings.media_mix.lift_tests if test.track == found.track}
    draws = found.curves
    untested = (settings.media_mix.harvesting - tested) & set(draws.channels)
    return raises_frozen(draws, current, float(settings.tracks[found.track].cac_cap), sorted(untested))


def spend_rules(settings: Settings, track: str, frozen: dict[str, str]) -> SpendRules:
    """The settings' limits of a track as rules of a week: steps, caps, what may not rise."""
    limits, cap = guardrail_limits(settings), float(settings.tracks[track].cac_cap)
    return SpendRules(
        budget=7 * float(limits.envelope(limits.tracks[track].daily_cap)),
        step=limits.edit_limit,
        day=limits.day_limit,
        marginal_cac_cap=cap,
        cap_probability=settings.media_mix.cap_probability,
        portfolio_cac_cap=cap,
        may_not_rise=frozen,
    )


def channel_rows(found: TrackFit, value: float) -> pl.DataFrame:
    """Rows of MMM_CHANNELS.

    Args:
        value: dollars of revenue per conversion.
    """
    assert found.fitted is not None
    rows = channel_summary(found.fitted, value)
    if isinstance(found.fitted, MediaPosterior):
        rows = rows.with_columns(
            pl.Series("saturation_spend_p50", saturation_spends(found.fitted), dtype=pl.Float64)
        )
    if found.contraction is not None:
        kept = dict(found.contraction)
        rows = rows.with_columns(pl.col("channel").replace_strict(kept).alias("contraction"))
    if found.beside is None:
        return rows
    other = found.beside.select("channel", (pl.col("other_p50") * value).alias("other_roas_p50"), "disagrees")
    return rows.join(other, on="channel", how="left", maintain_order="left")


def allocation_rows(
    found: TrackFit, settings: Settings, current: FloatArray, frozen: dict[str, str], levers: pl.DataFrame
) -> pl.DataFrame:
    """Rows of MMM_ALLOCATIONS: the best spend under the rules, and what it means for the levers' budgets.

    Where no spend keeps all rules, channels hold or go down towards the spend that breaks them least. An
    envelope is the levers' budgets in force times what the channel's spend changes by: budgets are not spent
    to the last dollar, and the mix knows spend alone.
    """
    rules = spend_rules(settings, found.track, frozen)
    objective = Objective(contributions(settings)[found.track], settings.media_mix.caution)
    best = allocate(found.curves, current, objective, rules)
    rows = _infeasible(found, best, current) if isinstance(best, Infeasible) else _feasible(found, best)
    in_force = levers.group_by("channel").agg(pl.col("in_force").sum().alias("budget_in_force"))
    joined = rows.join(in_force, on="channel", how="left", maintain_order="left")
    envelopes = [
        None if budget is None or now <= 0 else (budget * Decimal(str(then / now))).quantize(_CENT)
        for budget, now, then in joined.select(
            "budget_in_force", "current_spend", "proposed_spend"
        ).iter_rows()
    ]
    return joined.with_columns(pl.Series("envelope", envelopes, dtype=pl.Decimal(38, 9)))


def _feasible(found: TrackFit, best: Allocation) -> pl.DataFrame:
    regret = regret_of_staying(found.curves, best).expected
    return best.table.with_columns(
        pl.lit(value=True).alias("feasible"), pl.lit(best.gap).alias("gap"), pl.lit(regret).alias("regret")
    )


def _infeasible(found: TrackFit, none: Infeasible, current: FloatArray) -> pl.DataFrame:
    channels = found.curves.channels
    return pl.DataFrame(
        {
            "channel": list(channels),
            "current_spend": current,
            "proposed_spend": np.minimum(current, none.closest),
            "low": none.bounds.low,
            "high": none.bounds.high,
            "feasible": False,
            "reason": [f"No spend keeps all rules ({'; '.join(none.conflicts)}): hold or cut."]
            * len(channels),
        }
    )


def test_rows(
    found: TrackFit, settings: Settings, current: FloatArray, frozen: dict[str, str]
) -> pl.DataFrame:
    """Rows of MMM_TESTS: every design by the regret it removes per dollar, with its place in the calendar."""
    chosen, rules = settings.media_mix, spend_rules(settings, found.track, frozen)
    standing = _standing(found, current)
    worth = contributions(settings)[found.track]
    stakes = Stakes(worth, rules.budget, horizon_weeks=chosen.test_horizon_weeks)
    ranked = ranked_tests(standing, possible_designs(standing), stakes)
    planned = calendar(ranked, weeks=CALENDAR_WEEKS, parallel=chosen.tests_at_once, first=list(frozen))
    return ranked.join(planned.select("rank", "first_week"), on="rank", how="left", maintain_order="left")


def _standing(found: TrackFit, current: FloatArray) -> Standing:
    fitted = found.fitted
    if isinstance(fitted, MediaPosterior):
        return standing_of(fitted, current)
    assert fitted is not None
    noise = fitted.noise * float(fitted.weeks.outcome.mean())  # the fallback's is of the logarithm
    return Standing(found.curves, current, noise, fitted.carry_over().mean(axis=0))
