"""Figures for asset metadata.

Here: matplotlib figures from result frames. Not here: numbers that are not already in the frame.
"""

from __future__ import annotations

import matplotlib as mpl
import polars as pl
from matplotlib.figure import Figure

mpl.use("Agg")

_INK, _BAND, _BAD, _GOOD = "#1f3b57", "#9dbcd4", "#c0504d", "#4f8a5b"


def _figure(panels: int, height: float = 3.2) -> Figure:
    figure = Figure(figsize=(4.6 * panels, height), layout="constrained")
    figure.subplots(1, panels)
    return figure


def baseline_ranges(baselines: pl.DataFrame) -> Figure:
    """p10–p90 of CPM, CTR and CVR by track and placement, medians as dots."""
    rows = baselines.filter(pl.col("weighting") == "equal").sort("track", "placement", descending=True)
    labels = [f"{track} · {placement}" for track, placement in rows.select("track", "placement").iter_rows()]
    figure = _figure(3, height=0.6 + 0.3 * max(len(labels), 4))
    for axis, (metric, title, factor) in zip(
        figure.axes, [("cpm", "CPM, $", 1), ("ctr", "CTR, %", 100), ("cvr", "CVR, %", 100)], strict=True
    ):
        low, mid, high = ((rows[f"{metric}_p{q}"] * factor).to_list() for q in (10, 50, 90))
        for row, (a, b) in enumerate(zip(low, high, strict=True)):
            if a is not None and b is not None:
                axis.plot([a, b], [row, row], color=_BAND, linewidth=6, solid_capstyle="round")
        axis.plot(mid, range(len(labels)), "o", color=_INK, markersize=4)
        axis.set_title(title, fontsize=9)
        axis.set_xscale("log")  # search costs twenty times what stories cost
        axis.tick_params(labelsize=7)
        axis.set_yticks(range(len(labels)), labels if axis is figure.axes[0] else [""] * len(labels))
    return figure


def outlook_fan(outlook: pl.DataFrame, caps: dict[str, float]) -> Figure:
    """Signups and CAC a day over the outlook, median and p10–p90, one column per track."""
    tracks = sorted(outlook["track"].unique())
    figure = Figure(figsize=(4.2 * len(tracks), 5), layout="constrained")
    axes = figure.subplots(2, len(tracks), squeeze=False)
    for column, track in enumerate(tracks):
        days = outlook.filter((pl.col("track") == track) & (pl.col("horizon") == "day")).sort("target_date")
        for row, metric in enumerate(("signups", "cac")):
            axis = axes[row][column]
            drawn = days.drop_nulls([f"{metric}_p10", f"{metric}_p90"])
            axis.fill_between(
                drawn["target_date"], drawn[f"{metric}_p10"], drawn[f"{metric}_p90"], color=_BAND, alpha=0.6
            )
            axis.plot(drawn["target_date"], drawn[f"{metric}_p50"], color=_INK)
            axis.set_title(f"{track}: {metric}", fontsize=9)
            axis.tick_params(labelsize=7, axis="x", rotation=45)
            if metric == "cac" and track in caps:
                axis.axhline(caps[track], color=_BAD, linestyle="--", linewidth=1)
    return figure


def cac_by_lever(posteriors: pl.DataFrame, caps: dict[str, float]) -> Figure:
    """Posterior CAC of each lever, p10–p90, beside its track's cap."""
    tracks = sorted(posteriors["track"].unique())
    figure = Figure(figsize=(5 * max(len(tracks), 1), 4), layout="constrained")
    axes = figure.subplots(1, max(len(tracks), 1), squeeze=False)[0]
    for axis, track in zip(axes, tracks, strict=False):
        rows = posteriors.filter((pl.col("track") == track) & pl.col("cac_p50").is_not_null())
        rows = rows.sort("cac_p50", descending=True).tail(25)
        labels = rows["lever_id"].to_list()
        high = rows["cac_p90"].fill_null(rows["cac_p50"].max())
        axis.hlines(range(len(labels)), rows["cac_p10"], high, color=_BAND, linewidth=5)
        axis.plot(rows["cac_p50"], range(len(labels)), "o", color=_INK, markersize=4)
        axis.axvline(caps.get(track, 0.0), color=_BAD, linestyle="--", linewidth=1)
        axis.set_yticks(range(len(labels)), labels, fontsize=6)
        axis.set_title(f"{track}: CAC by lever, cap dashed", fontsize=9)
    return figure


def budget_moves(decisions: pl.DataFrame) -> Figure:
    """Current against proposed budget, one arrow per lever that moves."""
    rows = decisions.filter(pl.col("type").is_in(["raise", "cut", "stop"])).sort("track", "lever_id").tail(40)
    figure = _figure(1, height=0.8 + 0.24 * max(rows.height, 4))
    axis = figure.axes[0]
    for row, (now, then) in enumerate(
        zip(rows["current_budget"].cast(pl.Float64), rows["proposed_budget"].cast(pl.Float64), strict=True)
    ):
        axis.annotate(
            "",
            xy=(then, row),
            xytext=(now, row),
            arrowprops={"arrowstyle": "->", "color": _GOOD if then > now else _BAD},
        )
        axis.plot([now, then], [row, row], alpha=0)  # annotate alone does not widen the axes
    axis.set_yticks(range(rows.height), rows["lever_id"].to_list(), fontsize=7)
    axis.set_title("Daily budget, now → proposed", fontsize=9)
    return figure


def coverage_intervals(accuracy: pl.DataFrame) -> Figure:
    """Share of actuals inside p10–p90 with its bootstrap interval, beside the promised 80 %."""
    rows = accuracy.drop_nulls("coverage").sort("method", "metric", "horizon_days", descending=True)
    labels = [
        f"{m} · {metric} · {h} d"
        for m, metric, h in rows.select("method", "metric", "horizon_days").iter_rows()
    ]
    figure = _figure(1, height=0.8 + 0.26 * max(len(labels), 4))
    axis = figure.axes[0]
    axis.hlines(range(len(labels)), rows["coverage_low"], rows["coverage_high"], color=_BAND, linewidth=5)
    axis.plot(rows["coverage"], range(len(labels)), "o", color=_INK, markersize=4)
    axis.axvline(0.8, color=_BAD, linestyle="--", linewidth=1)
    axis.set_yticks(range(len(labels)), labels, fontsize=7)
    axis.set_xlim(0, 1)
    axis.set_title("Coverage of the 80 % interval", fontsize=9)
    return figure
