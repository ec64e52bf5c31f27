"""Creatives and ads: their rates, what tires, what scores say before they run.

Here: figures alone. Not here: numbers that are not already in the frame, what figures share (`drawing`).
"""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from aelp_assets.plots import drawing
from aelp_assets.plots.drawing import BAD, BAND, GOOD, INK, MUTED, SHOWN_LEVERS


def creative_rates(rates: pl.DataFrame) -> Figure:
    """p10–p90 of CTR and CVR by creative and placement, medians as dots; the most shown ones."""
    if rates.is_empty():
        return drawing.nothing("Creatives by placement", "no creative of a configured track delivered")
    rows = rates.sort("impressions", descending=True, maintain_order=True).head(SHOWN_LEVERS)
    names = rows.select("track", "creative_id", "placement").iter_rows()
    labels = [
        f"{track} · {creative} · {drawing.placement(placement)}" for track, creative, placement in names
    ]
    figure, axes = drawing.panels(2, rows.height)
    for axis, (metric, title, unit) in zip(
        axes,
        (("ctr", "CTR", "clicks, % of impressions"), ("cvr", "CVR", "signups, % of clicks")),
        strict=True,
    ):
        scaled = rows.select(pl.col(f"^{metric}_p(10|50|90)$") * 100)
        drawing.intervals(axis, scaled, metric, labels if axis is axes[0] else None)
        left_out = rates.height - rows.height
        axis.set_title(f"{title} ({left_out} less shown not drawn)" if left_out else title, fontsize=9)
        axis.set_xlabel(unit, fontsize=7)
    return figure


def ad_scores(scores: pl.DataFrame) -> Figure:
    """Score and lower bound of the creatives expected to click best, on the placement with most of them.

    Args:
        scores: `ad_scores` of a morning.
    """
    told = scores.filter(pl.col("ctr_score").is_not_null())
    if told.is_empty():
        return drawing.nothing("Scores of creatives", "nobody may score yet: see ranker_evaluations")
    track, placement = told.group_by("track", "placement").len().sort("len", "track", "placement").row(-1)[:2]
    there = told.filter(track=track, placement=placement)
    rows = there.sort("ctr_score", "creative_id", descending=[True, False]).head(SHOWN_LEVERS)
    figure, (axis,) = drawing.panels(1, rows.height, width=7.0)
    for place, row in enumerate(rows.iter_rows(named=True)):
        ends = [100 * row["ctr_lower_bound"], 100 * row["ctr_score"]]
        axis.plot(ends, [place, place], color=BAND, linewidth=5)
        axis.plot(ends[1], place, "o", color=INK if row["delivered_impressions"] else GOOD, markersize=5)
    drawing.label_rows(axis, rows["creative_id"].to_list(), rows.height)
    axis.set_xlabel(
        f"expected CTR and its lower bound, %; green never ran there"
        f"{drawing.left_out(there, rows, 'creatives')}",
        fontsize=7,
    )
    axis.set_title(f"Scores of creatives: {track}, {placement}", fontsize=9)
    return figure


def creative_fatigue(fatigue: pl.DataFrame) -> Figure:
    """Weekly change of the fitted click rate, p10–p90, of what tires likeliest, beside all ads there.

    Args:
        fatigue: `creative_fatigue` of a morning; rows by days, a slope per time seen is no weekly one.
    """
    told = fatigue.filter(pl.col("slope_p50").is_not_null() & (pl.col("basis") == "days"))
    if told.is_empty():
        return drawing.nothing("Fatigue of creatives", "no creative ran for enough days with enough clicks")
    ordered = told.sort("p_fatigues", "clicks", descending=True, maintain_order=True)
    rows = ordered.head(SHOWN_LEVERS)
    figure, (axis,) = drawing.panels(1, rows.height, width=7.0)
    weekly = [f"{what}_p{level}" for what in ("slope", "season_slope") for level in (10, 50, 90)]
    changes = rows.with_columns(((pl.col(weekly) * 7).exp() - 1) * 100)
    for place, row in enumerate(changes.iter_rows(named=True)):
        axis.plot([row["slope_p10"], row["slope_p90"]], [place, place], color=BAND, linewidth=5)
        axis.plot(row["slope_p50"], place, "o", color=INK, markersize=4)
        if row["season_slope_p50"] is not None:
            axis.plot(row["season_slope_p50"], place, "|", color=BAD, markersize=9)
    axis.axvline(0, color=MUTED, linewidth=0.8)
    names = rows.select("track", "creative_id", "placement").iter_rows()
    labels = [
        f"{track} · {creative} · {drawing.placement(placement)}" for track, creative, placement in names
    ]
    drawing.label_rows(axis, labels, rows.height)
    axis.set_xlabel(
        f"change of the odds of a click a week, %; red: all ads there{drawing.left_out(told, rows, 'rows')}",
        fontsize=7,
    )
    axis.set_title("Fatigue of creatives, the likeliest first", fontsize=9)
    return figure
