"""Experiments: lifts of split tests and of applied raises, and the calendar.

Here: figures alone. Not here: numbers that are not already in the frame, what figures share (`drawing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import polars as pl
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from aelp_assets.plots import drawing
from aelp_assets.plots.drawing import BAD, BAND, GOOD, INK, MUTED, SHOWN_LEVERS, SHOWN_MOVES


def split_test_lifts(results: pl.DataFrame, experiments: pl.DataFrame) -> Figure:
    """Lifts over the control with the intervals that hold at every look, primary metric, newest tests on top.

    Args:
        results, experiments: `ab_results` and `ab_experiments` of a morning.
    """
    key = ["platform", "account_id", "test_id"]
    about = experiments.select(*key, "last_day", "winner", name=pl.coalesce("test_name", "test_id"))
    told = results.filter("is_primary", pl.col("lift").is_not_null()).join(about, on=key)
    if told.is_empty():
        return drawing.nothing("Lifts of split tests", "no test has enough outcomes in two arms")
    rows = told.sort("last_day", "test_id", "arm", descending=[True, False, False]).head(SHOWN_LEVERS)
    figure, (axis,) = drawing.panels(1, rows.height, width=7.0)
    for place, row in enumerate(rows.iter_rows(named=True)):
        colour = MUTED if not row["is_valid"] else GOOD if row["winner"] == row["arm"] else INK
        axis.plot([100 * row["lift_low"], 100 * row["lift_high"]], [place, place], color=BAND, linewidth=5)
        axis.plot(100 * row["lift"], place, "o" if row["is_valid"] else "x", color=colour, markersize=5)
    axis.axvline(0, color=MUTED, linewidth=1)
    drawing.label_rows(
        axis, [f"{row['name']} · {row['arm']}" for row in rows.iter_rows(named=True)], rows.height
    )
    axis.set_xscale("symlog", linthresh=20)
    axis.xaxis.set_major_formatter("{x:+.0f}")
    axis.set_xlabel(
        f"lift over the control, %; green won, × invalid{drawing.left_out(told, rows, 'arms')}", fontsize=7
    )
    axis.set_title("Lifts of split tests", fontsize=9)
    return figure


def experiment_calendar(experiments: pl.DataFrame) -> Figure:
    """Days of the experiments that go on and of those that are planned, a bar each, what begins first on top.

    Args:
        experiments: `experiments` of a morning.
    """
    is_open = pl.col("status").is_in(["running", "planned"]) | (
        (pl.col("status") == "invalid") & pl.col("last_day").is_null()
    )
    told = experiments.filter(is_open, pl.col("first_day").is_not_null())
    if told.is_empty():
        return drawing.nothing("Experiments", "none goes on, and none has a week to begin in")
    rows = told.sort("first_day", "experiment_id").head(SHOWN_MOVES)
    morning = rows["as_of_date"][0]
    figure, (axis,) = drawing.panels(1, rows.height, width=7.0)
    for place, row in enumerate(rows.iter_rows(named=True)):
        last = row["last_day"] or max(morning, row["first_day"])
        colour = {"running": INK, "planned": BAND}.get(row["status"], MUTED)
        ends = last + timedelta(days=1)
        axis.plot([row["first_day"], ends], [place, place], color=colour, linewidth=7, solid_capstyle="butt")
        if row["last_day"] is None:
            axis.plot(ends, place, ">", color=colour, markersize=8)
    axis.axvline(morning, color=BAD, linewidth=1)
    drawing.label_rows(axis, [_bar_name(row) for row in rows.iter_rows(named=True)], rows.height)
    locator = AutoDateLocator(maxticks=8)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    waiting = experiments.filter(pl.col("status") == "planned", pl.col("first_day").is_null()).height
    axis.set_xlabel(
        "dark: under way, light: planned, grey: invalid; an arrow: no end told"
        + (f"; {waiting} planned without a free week" if waiting else "")
        + drawing.left_out(told, rows, "experiments"),
        fontsize=7,
    )
    axis.set_title("Experiments", fontsize=9)
    return figure


def _bar_name(row: Mapping[str, Any]) -> str:
    price = "" if row["price"] is None else f" · {row['price']:,.0f} dollars"
    power = "" if row["power"] is None else f" · power {row['power']:.0%}"
    return f"{row['kind']} · {row['track'] or 'all tracks'}: {row['compared']}{power}{price}"


def lift_sequences(sequences: Mapping[tuple[str, str], pl.DataFrame]) -> Figure:
    """The lift after each window with the interval that holds at all of them, a panel per comparison.

    Args:
        sequences: of `lift_sequence` by comparison and metric; those without a window are named, not drawn.
    """
    drawn = {key: rows for key, rows in sequences.items() if rows.height}
    if not drawn:
        return drawing.nothing("Lift of applied raises", "no window of a drawn raise is matured yet")
    figure = Figure(figsize=(4.2 * len(drawn), 3.2), layout="constrained")
    panels = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axis, ((comparison, metric), rows) in zip(panels, drawn.items(), strict=True):
        count = range(1, rows.height + 1)
        axis.fill_between(count, rows["lift_low"], rows["lift_high"], color=BAND, alpha=0.6)
        axis.plot(count, rows["lift"], color=INK)
        axis.axhline(0, color=MUTED, linewidth=1)
        axis.set_title(f"{comparison}: {metric}, {rows.height} windows", fontsize=9)
        axis.set_xlabel("windows judged", fontsize=7)
        axis.set_ylabel("dollars gained per dollar spent before", fontsize=7)
        axis.tick_params(labelsize=7)
    without = sorted({comparison for comparison, _ in sequences.keys() - drawn.keys()})
    if without:
        figure.supxlabel(f"without a window yet: {', '.join(without)}", fontsize=7)
    return figure
