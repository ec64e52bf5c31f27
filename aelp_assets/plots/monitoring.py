"""Why a day differs from another.

Here: figures alone. Not here: numbers that are not already in the frame, what figures share (`drawing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aelp_assets.plots import drawing
from aelp_assets.plots.drawing import BAD, GOOD, INK, MUTED


def change_waterfall(changes: pl.DataFrame) -> Figure:
    """Yesterday beside the day before: each part of the change in signups and CAC, a column per track.

    Args:
        changes: `performance_changes` of one morning.
    """
    totals = changes.filter((pl.col("comparison") == "day_before") & (pl.col("platform") == "all"))
    drawn = totals.drop_nulls("change")
    tracks = sorted(drawn["track"].unique())
    if not tracks:
        return drawing.nothing("Why yesterday changed", "no track has two days to compare")
    figure = Figure(figsize=(4.4 * len(tracks), 5.4), layout="constrained")
    axes = figure.subplots(2, len(tracks), squeeze=False)
    for row, metric in enumerate(("signups", "cac")):
        for axis, track in zip(axes[row], tracks, strict=True):
            shown = drawn.filter((pl.col("track") == track) & (pl.col("metric") == metric))
            if shown.is_empty():
                axis.set_axis_off()
                axis.text(0.5, 0.5, "No CAC: a day without signups", ha="center", fontsize=8, color=MUTED)
                continue
            _waterfall(axis, shown.row(0, named=True), is_good_up=metric == "signups")
            name = "signups" if metric == "signups" else "CAC"
            axis.set_title(f"{track}: {name}, {shown['base_day'][0]} → {shown['day'][0]}", fontsize=9)
            if axis is axes[row][0]:
                axis.set_ylabel(
                    f"{name if metric == 'signups' else 'account currency per signup'}; axis cut below",
                    fontsize=7,
                )
    return figure


def _waterfall(axis: Axes, change: Mapping[str, Any], *, is_good_up: bool) -> None:
    parts = ["spend", "mix", "cpm", "ctr", "cvr", "delay", "restatement", "without_clicks"]
    moved = [name for name in parts if change[name]]
    level, ends = float(change["before"]), [float(change["before"]), float(change["after"])]
    axis.bar(0, level, color=INK)
    for place, name in enumerate(moved, start=1):
        step = float(change[name])
        axis.bar(place, step, bottom=level, color=GOOD if (step > 0) == is_good_up else BAD)
        level += step
        ends.append(level)
    axis.bar(len(moved) + 1, float(change["after"]), color=INK)
    labels = ["before", *(name.replace("_", " ") for name in moved), "after"]
    axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right", fontsize=7)
    axis.tick_params(axis="y", labelsize=7)
    low, high = min(ends), max(ends)
    room = max(high - low, 0.1 * high, 1.0)
    axis.set_ylim(max(0.0, low - room), high + 0.3 * room)
