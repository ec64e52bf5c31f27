"""Which channel to test next, how, and when: regret removed per dollar of test.

Here: tests ranked, raises frozen until tested, a calendar without conflicts. Not here: designs and their
errors (`experiment_designs`), the value of a reading (`information_value`), readings as evidence
(`evidence`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import polars as pl

from models.mmm.channel_draws import ChannelDraws
from models.mmm.experiment_designs import (
    Design,
    Regions,
    Standing,
    expected_loss,
    lift_error,
    lifts,
    power,
)
from models.mmm.information_value import (
    Stakes,
    decision,
    expected_shrinkage,
    readings,
    value_of_certainty,
    value_of_test,
)
from models.mmm.response import FloatArray
from models.mmm.spend_bounds import probability_within_cap
from models.quantiles import quantile_rows

UNDECIDED = (0.1, 0.9)
"""A channel with P(marginal CAC <= cap) between these may be good or bad: it takes a test to say."""
WIDE = 1.0
"""Relative width (p90 - p10) / p50 of the marginal response from which on a channel counts as uncertain."""

TEST_SCHEMA = pl.Schema(
    {
        "rank": pl.Int64(),
        "channel": pl.String(),
        "design": pl.String(),
        "change": pl.Float64(),
        "weeks": pl.Int64(),
        "duration_weeks": pl.Int64(),
        "share": pl.Float64(),
        "error": pl.Float64(),
        "power": pl.Float64(),
        "power_break_even": pl.Float64(),
        "cost": pl.Float64(),
        "expected_value": pl.Float64(),
        "value_per_dollar": pl.Float64(),
        "expected_shrinkage": pl.Float64(),
        "worth_it": pl.Boolean(),
    }
)
CALENDAR_SCHEMA = pl.Schema(
    {
        "channel": pl.String(),
        "design": pl.String(),
        "change": pl.Float64(),
        "weeks": pl.Int64(),
        "share": pl.Float64(),
        "first_week": pl.Int64(),
        "last_week": pl.Int64(),
        "rank": pl.Int64(),
    }
)


def ranked_tests(
    standing: Standing, designs: Sequence[Design], stakes: Stakes, regions: Regions | None = None
) -> pl.DataFrame:
    """Every design with what it is worth, the most regret removed per dollar first.

    Returns:
        rank, channel, design (weeks, regions), change (share of spend), weeks (changed), duration_weeks,
        share (of the market), error (of the lift, outcome a week), power (P(its 90 % interval leaves 0 out)),
        power_break_even (P(it leaves out the lift at which the change just pays)), cost (dollars:
        contribution expected to be lost, at least 0, and overhead), expected_value (regret removed, dollars
        over the horizon), value_per_dollar, expected_shrinkage (of the standard deviation of the channel's
        marginal conversions), worth_it (expected_value above cost).
    """
    choice = decision(standing.draws, standing.current, stakes)
    _, marginal = standing.draws.at(standing.current)
    rows: list[tuple[float, dict[str, object]]] = []
    for design in designs:
        lift, change = lifts(standing, design)
        error = lift_error(standing, design, regions)
        told = readings(lift, error)
        cost = stakes.overhead + max(expected_loss(lift, change, stakes.value, design), 0.0)
        worth = value_of_test(choice, design.channel, lift, told, stakes.horizon_weeks)
        row = {
            "channel": standing.draws.channels[design.channel],
            "design": design.kind,
            "change": design.change,
            "weeks": design.weeks,
            "duration_weeks": design.duration,
            "share": design.share,
            "error": error,
            "power": power(lift, error),
            "power_break_even": power(lift, error, change / stakes.value),
            "cost": cost,
            "expected_value": worth,
            "value_per_dollar": worth / cost,
            "expected_shrinkage": expected_shrinkage(marginal[:, design.channel], told),
            "worth_it": worth > cost,
        }
        rows.append((worth / cost, row))
    rows.sort(key=lambda each: -each[0])  # stable: equal ones stay in the order given
    ordered = [{"rank": rank, **row} for rank, (_, row) in enumerate(rows, start=1)]
    return pl.DataFrame(ordered, schema=TEST_SCHEMA)


def expected_regret(standing: Standing, stakes: Stakes) -> float:
    """Dollars over the horizon that not knowing the curves is expected to cost; no test removes more."""
    return value_of_certainty(decision(standing.draws, standing.current, stakes), stakes.horizon_weeks)


def raises_frozen(
    draws: ChannelDraws, current: FloatArray, cap: float, untested: Collection[str] = ()
) -> dict[str, str]:
    """Channels that may not rise until a test has told more, with the reason; for `SpendRules.may_not_rise`.

    Args:
        current: dollars a week, (channels,).
        cap: dollars per further conversion.
        untested: channels that need an experiment of their own before they rise, such as brand search.
    Raises:
        ValueError: an unknown channel.
    """
    if strangers := sorted(set(untested) - set(draws.channels)):
        raise ValueError(f"unknown channels {strangers}; known are {list(draws.channels)}")
    within = probability_within_cap(draws, current, cap)
    low, middle, high = quantile_rows(draws.at(current)[1].T).T
    width = (high - low) / np.where(middle > 0, middle, np.nan)
    found = {}
    for at, name in enumerate(draws.channels):
        if name in untested:
            found[name] = "no experiment has shown what it adds"
        elif UNDECIDED[0] < within[at] < UNDECIDED[1] and not width[at] < WIDE:
            found[name] = (
                f"its marginal CAC is within {cap:,.2f} with probability {within[at]:.0%}, and its response "
                "is too uncertain to act on"
            )
    return found


def calendar(
    tests: pl.DataFrame,
    *,
    weeks: int,
    parallel: int,
    demand: Mapping[str, str] | None = None,
    rest_weeks: int = 0,
    first: Collection[str] = (),
) -> pl.DataFrame:
    """Each channel's best test that is worth it, as early as nothing stands against it.

    One test a channel: what comes after is planned on what it told. Tests of one demand never run at once,
    nor more than `parallel`.

    Args:
        tests: of `ranked_tests`.
        weeks: of the calendar; tests that do not end in it are left out.
        parallel: tests at once, at most.
        demand: what a channel's customers look for; None or absent: nobody else's.
        rest_weeks: after a test, until its carry-over is over: for its channel and demand.
        first: channels whose test is queued before the others', such as those whose raises are frozen.
    Returns:
        channel, design, change, weeks, share, first_week, last_week (from 0, usual weeks included), rank.
    Raises:
        ValueError: parallel below 1.
    """
    if parallel < 1:
        raise ValueError("at least one test must be allowed at once")
    groups = demand or {}
    best = tests.filter(pl.col("worth_it")).sort("rank").unique("channel", keep="first", maintain_order=True)
    ordered = sorted(best.to_dicts(), key=lambda row: (row["channel"] not in first, row["rank"]))
    running, closed_until = np.zeros(weeks + 1, dtype=int), dict[str, int]()
    rows = []
    for row in ordered:
        group = _group(row["channel"], groups)
        length = row["duration_weeks"]
        for start in range(closed_until.get(group, 0), weeks - length + 1):
            if (running[start : start + length] < parallel).all():
                running[start : start + length] += 1
                closed_until[group] = start + length + rest_weeks
                rows.append(row | {"first_week": start, "last_week": start + length - 1})
                break
    kept = [{name: row[name] for name in CALENDAR_SCHEMA} for row in rows]
    return pl.DataFrame(kept, schema=CALENDAR_SCHEMA).sort("first_week", "rank")


def calendar_conflicts(
    plan: pl.DataFrame, *, parallel: int, demand: Mapping[str, str] | None = None
) -> list[str]:
    """What is wrong with a calendar, in words; empty where nothing is."""
    found = []
    rows = plan.to_dicts()
    for at, one in enumerate(rows):
        for other in rows[at + 1 :]:
            together = one["first_week"] <= other["last_week"] and other["first_week"] <= one["last_week"]
            if together and _group(one["channel"], demand or {}) == _group(other["channel"], demand or {}):
                found.append(f"{one['channel']} and {other['channel']} are tested at once on one demand")
    for week in sorted({row["first_week"] for row in rows}):
        running = [row for row in rows if row["first_week"] <= week <= row["last_week"]]
        if len(running) > parallel:
            found.append(f"week {week}: {len(running)} tests at once, {parallel} are allowed")
    return found


def _group(channel: str, demand: Mapping[str, str]) -> str:
    # A channel without a demand is one of its own, whatever demands are called.
    return f"demand {demand[channel]}" if channel in demand else f"channel {channel}"
