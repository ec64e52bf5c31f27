"""What raises applied or held by a coin say of a channel's return, as evidence for the media mix.

Here: outcomes of the windows, the return on the randomised dollars, turning it into a lift test. Not here:
the draw (`resources.control.holds`), the lift of AELP's own raises (`models.experiments.lift`), the
likelihood.

The coin pushes a lever's budget by z = (A - p) Δ over its window: A = 1 where the raise Δ was applied, p its
probability. Given the past z has mean nil, and nothing chose it, least of all how the lever sold. So with s
and y what spend and conversions gained on the weeks before (b: spend then, z' = z less its projection on b),

    E[z (y - β s - γ b) | past] = 0,    β = Σ z' y / Σ z' s,

an instrumental variable: all it takes is that the coin works through spend. Windows count with 1 / b, for
counts are the noisier the more of them there are. A window is judged as it was drawn, whatever became of the
call. The error leaves each window out of its own residual (HC3) and is widened as Student's interval is, for
as many windows as bear the estimate; pushes are independent, so noise that windows share does no harm.

s and y are those of the lever's whole market: all levers of its channel that compete for the same people
(`models.overlap`). Lever by lever, what the raised one takes from its neighbours would count as won.

**What it is a return of.** Conversions as platforms credit them to the day of the click or view, matured, in
units of the reward definition: carry-over within the attribution window is in them, beyond it is not. A mix
fitted on such conversions takes the reading as it is. For one that the stores' new customers judge it is a
translation by the reward definition, and the error takes in what that leaves open: the definition's own
uncertainty, and how far credit errs from channel to channel (CREDIT_SD); no number of draws makes it surer.
Orders themselves cannot be read lever by lever, and week by week they are what the mix is fitted on already.
A channel that meets demand others made must not be read so: credit does not tell what came anyway.

The fitted weeks hold these dollars, too. Both estimates share noise as far as the coin's pushes correlate
with weekly spend, which steps of a few per cent hardly do.

It is the return of levers that AELP would raise, where a channel's next dollar goes, not of its average one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import stdtrit

from models.eligibility import of_eligible
from models.mmm.evidence import LiftTest
from models.mmm.weeks import MediaWeeks
from models.rewards import RewardDefinition

FloatArray = npt.NDArray[np.float64]

WEEKS_BEFORE = 4
"""Weeks whose mean a window is held against."""
LEAST_WINDOWS = 20
"""Of each arm; with fewer, the error of the error is too large to be told as one."""
LEAST_STRENGTH = 10.0
"""F of spend on the coin. Below it the budgets hardly moved the spend, and a ratio to it may be anything."""
CREDIT_SD = 0.45
"""Sd of incremental over credited conversions from channel to channel, as a share.

Predictions from simple proxies such as credited conversions missed what 1,009 experiments measured by 30 to
60 % (Gordon, Moakler, Zettelmeyer 2021, Close Enough?)."""
_LEVEL = 0.9  # of the interval whose width the error is to give
_KEY = ["platform", "account_id", "lever_id"]
_DRAWN = ["as_of_date", "window_days", "arm", "hold_probability", "current_budget", "proposed_budget"]
_COUNTED = ["cost", "conversions_click", "conversions_view"]
_MARKET = ["track", "channel", "cluster"]
_WINDOW = ["track", "channel", "as_of_date", "last_day", "arm"]


@dataclass(frozen=True)
class Reading:
    """What the coin says of one channel.

    Attributes:
        applied, held: matured windows of each arm.
        first_day, last_day: of the windows.
        raised: dollars a week that a raise adds, on average.
        per_dollar: conversions in reward units that a further dollar brings; None: the draws do not say.
        error: its standard error by the draw alone.
        credit_error: what the translation into new customers leaves open, as a standard error.
        reason: why there is no reading; None: there is one.
    """

    channel: str
    applied: int
    held: int
    first_day: date
    last_day: date
    raised: float
    per_dollar: float | None = None
    error: float | None = None
    credit_error: float | None = None
    reason: str | None = None


def raise_windows(
    draws: pl.DataFrame,
    lever_days: pl.DataFrame,
    markets: pl.DataFrame,
    accounts: pl.DataFrame,
    *,
    as_of_date: date,
) -> pl.DataFrame:
    """What spend and conversions of each matured window's market gained on the weeks before.

    A window's days are the full ones inside it, as_of + 1 to as_of + window - 1. Before: the same weekdays of
    the four weeks that end before its morning, those in which the market spent and had not only just begun.

    Args:
        draws: platform, account_id, lever_id, as_of_date, window_days, arm (apply or hold), hold_probability,
            current_budget and proposed_budget (dollars a day).
        lever_days: date, platform, account_id, lever_id, cost (dollars), conversions_click, conversions_view.
        markets: platform, account_id, lever_id (unique), track, channel, cluster (who competes with whom).
        accounts: platform, account_id, maturity_days, eligible; levers of others are left out.
        as_of_date: the morning of the look.

    Returns:
        track, channel, as_of_date, last_day, arm, push (z, dollars over the window), raised (dollars a week),
        spend_before (dollars of a window's days), spend, clicks and views (gained); windows of levers without
        a market, or whose market spent nothing before, are left out.
    """
    levers = of_eligible(markets, accounts).with_columns(
        pl.col("maturity_days").max().over(_MARKET).alias("maturity_days")
    )
    last_day = pl.col("as_of_date") + pl.duration(days=pl.col("window_days") - 1)
    windows = (
        draws.select(*_KEY, *_DRAWN)
        .join(levers, on=_KEY)
        .with_columns(last_day.alias("last_day"))
        .filter(pl.col("last_day") < as_of_date - pl.duration(days=pl.col("maturity_days")))
        .sort("as_of_date", *_KEY)
        .with_row_index("window")
    )
    by_day = (
        lever_days.select("date", *_KEY, *_COUNTED)
        .join(levers, on=_KEY)
        .group_by(*_MARKET, "date")
        .agg(pl.col(_COUNTED).cast(pl.Float64).sum())
    )
    sums = pl.concat([_sums(windows, by_day, back) for back in range(WEEKS_BEFORE + 1)])
    before = (
        sums.filter(pl.col("back") > 0, pl.col("spend") > 0, pl.col("is_whole"))
        .group_by("window")
        .agg(pl.col("spend", "clicks", "views").mean())
    )
    gained = [(pl.col(name) - pl.col(f"{name}_before")).alias(name) for name in ("spend", "clicks", "views")]
    added = (pl.col("proposed_budget") - pl.col("current_budget")).cast(pl.Float64)
    applied = (pl.col("arm") == "apply").cast(pl.Float64)
    return (
        windows.join(sums.filter(pl.col("back") == 0).drop("back", "is_whole"), on="window")
        .join(before, on="window", suffix="_before")
        .sort("window")
        .select(
            *_WINDOW,
            ((applied - 1 + pl.col("hold_probability")) * added * (pl.col("window_days") - 1)).alias("push"),
            (7 * added).alias("raised"),
            "spend_before",
            *gained,
        )
    )


def _sums(windows: pl.DataFrame, by_day: pl.DataFrame, back: int) -> pl.DataFrame:
    """Spend and conversions of each window's market on its days, or on those weekdays `back` weeks before."""
    earlier = pl.lit(0) if back == 0 else (pl.col("window_days") + 6) // 7 + (back - 1)
    weeks = pl.duration(weeks=earlier)
    first = pl.col("as_of_date") + pl.duration(days=1)
    begun = by_day.filter(pl.col("cost") > 0).group_by(_MARKET).agg(pl.col("date").min().alias("begun"))
    days = windows.join(begun, on=_MARKET).select(
        "window",
        *_MARKET,
        (first - weeks >= pl.col("begun")).alias("is_whole"),
        pl.date_ranges(first - weeks, pl.col("last_day") - weeks).alias("date"),
    )
    return (
        days.explode("date")
        .join(by_day, on=[*_MARKET, "date"], how="left")
        .group_by("window")
        .agg(
            pl.col("cost").sum().alias("spend"),
            pl.col("conversions_click").sum().alias("clicks"),
            pl.col("conversions_view").sum().alias("views"),
            pl.col("is_whole").first(),
        )
        .with_columns(pl.lit(back).alias("back"))
    )


def channel_reading(windows: pl.DataFrame, reward: RewardDefinition, against: str | None = None) -> Reading:
    """The return of one channel's randomised dollars, or why the draws do not tell it.

    Args:
        windows: rows of `raise_windows` of one track and channel, at least one.
        against: why they must not be read, whatever they say.
    """
    arms = windows["arm"]
    found = Reading(
        channel=windows["channel"][0],
        applied=int((arms == "apply").sum()),
        held=int((arms == "hold").sum()),
        first_day=windows.select(pl.col("as_of_date").min()).item(),
        last_day=windows.select(pl.col("last_day").max()).item(),
        raised=float(windows.select(pl.col("raised").mean()).item()),
    )
    if against is not None:
        return replace(found, reason=against)
    if min(found.applied, found.held) < LEAST_WINDOWS:
        few = f"{found.applied} applied and {found.held} held windows are matured; "
        return replace(found, reason=f"{few}{LEAST_WINDOWS} of each are needed.")
    size = np.sqrt(windows["spend_before"].to_numpy())
    push, spend, clicks, views = (
        _less_projection(windows[name].to_numpy() / size, size)
        for name in ("push", "spend", "clicks", "views")
    )
    moved, moved_error = _ratio(push, push, spend, size)
    strength = (moved / moved_error) ** 2
    if moved <= 0 or strength < LEAST_STRENGTH:
        why = f"F {strength:.1f}, {LEAST_STRENGTH:.0f} needed"
        return replace(found, reason=f"Spend hardly followed what the coin moved of the budgets ({why}).")
    per_dollar, plain_error = _ratio(push, spend, reward.mean_reward(clicks, views), size)
    error = plain_error * _few(push)
    of_clicks, of_views = (_ratio(push, spend, each, size)[0] for each in (clicks, views))
    believed = reward.rewards([of_clicks], [of_views])
    return replace(
        found,
        per_dollar=per_dollar,
        error=error,
        # The draw's error is in it, or a reading that is low by chance would seem surer than a high one.
        credit_error=float(np.hypot(believed.std(), CREDIT_SD * np.hypot(per_dollar, error))),
    )


def reading_as_lift_test(reading: Reading, weeks: MediaWeeks, *, of_orders: bool) -> LiftTest | str:
    """A reading as a likelihood term: one more raise on what the channel spent while the windows ran.

    Args:
        weeks: that are to be fitted.
        of_orders: whether their outcome is what the stores booked, not conversions as platforms credit them.

    Returns:
        the test, or why there is none.
    Raises:
        ValueError: the weeks do not know the channel.
    """
    if reading.per_dollar is None or reading.error is None or reading.credit_error is None:
        return reading.reason or "The draws do not say."
    days = np.array(weeks.days, dtype="datetime64[D]")
    ran = (days + 7 > np.datetime64(reading.first_day)) & (days <= np.datetime64(reading.last_day))
    if not ran.any():
        return "Its windows lie outside the fitted weeks."
    spend = float(weeks.spend[ran, weeks.channels.index(reading.channel)].mean())
    error = float(np.hypot(reading.error, reading.credit_error)) if of_orders else reading.error
    raised = reading.raised
    return LiftTest(reading.channel, spend, raised, reading.per_dollar * raised, error * raised)


def _less_projection(values: FloatArray, on: FloatArray) -> FloatArray:
    return np.asarray(values - on * float(on @ values) / float(on @ on), dtype=np.float64)


def _ratio(push: FloatArray, mover: FloatArray, outcome: FloatArray, size: FloatArray) -> tuple[float, float]:
    """Σ push outcome / Σ push mover, and its error; each residual as if its window had had no say in it."""
    moved = float(push @ mover)
    ratio = float(push @ outcome) / moved
    own = push**2 / float(push @ push) + size**2 / float(size @ size)
    residual = (outcome - ratio * mover) / (1 - np.minimum(own, 0.5))
    return ratio, float(np.sqrt(((push * residual) ** 2).sum())) / abs(moved)


def _few(push: FloatArray) -> float:
    """How much wider than a normal's Student's interval is, with as many windows as bear the estimate."""
    share = push**2 / float(push @ push)
    tail = 0.5 + _LEVEL / 2
    freedom = max(1.0 / float(share @ share) - 1.0, 1.0)
    return float(stdtrit(freedom, tail)) / NormalDist().inv_cdf(tail)
