"""What placements and contexts bring: rates with their ranges.

Here: figures alone. Not here: numbers that are not already in the frame, what figures share (`drawing`).
"""

from __future__ import annotations

import polars as pl
from matplotlib.figure import Figure

from aelp_assets.plots import drawing
from aelp_assets.plots.drawing import MUTED, SHOWN_LEVERS


def baseline_ranges(baselines: pl.DataFrame) -> Figure:
    """p10–p90 of CPM, CTR and CVR by track and placement, medians as dots; days weigh the same."""
    rows = baselines.filter(pl.col("weighting") == "equal").sort("track", "placement")
    if rows.is_empty():
        return drawing.nothing("Baselines by placement", "no placement of a configured track delivered")
    names = rows.select("track", "placement").iter_rows()
    labels = [f"{track} · {drawing.placement(placement)}" for track, placement in names]
    figure, axes = drawing.panels(3, rows.height)
    metrics = [
        ("cpm", "CPM", "account currency per 1,000 impressions", 1),
        ("ctr", "CTR", "clicks, % of impressions", 100),
        ("cvr", "CVR", "signups, % of clicks", 100),
    ]
    for axis, (metric, title, unit, factor) in zip(axes, metrics, strict=True):
        scaled = rows.select(pl.col(f"^{metric}_p(10|50|90)$") * factor)
        drawing.intervals(axis, scaled, metric, labels if axis is axes[0] else None)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel(unit, fontsize=7)
    return figure


def context_rates(rates: pl.DataFrame) -> Figure:
    """p10–p90 of what a dollar earns by value beside its lever, the likeliest worse first."""
    if rates.is_empty():
        return drawing.nothing(
            "Contexts beside their lever", "no placement, segment or hour of a configured track"
        )
    ordered = rates.sort("p_worse", "cost", descending=True, maintain_order=True)
    rows = ordered.head(SHOWN_LEVERS).with_columns(
        pl.when(pl.col("basis") == "signups")
        .then(pl.col(f"relative_signups_per_dollar_p{level}"))
        .otherwise(pl.col(f"relative_clicks_per_dollar_p{level}"))
        .alias(f"relative_p{level}")
        for level in (10, 50, 90)
    )
    names = rows.select("lever_id", "breakdown", "value", "basis").iter_rows()
    labels = [
        f"{lever} · {breakdown} {drawing.placement(value)} ({basis})"
        for lever, breakdown, value, basis in names
    ]
    figure, (axis,) = drawing.panels(1, rows.height, width=8.0)
    drawing.intervals(axis, rows, "relative", labels)
    axis.axvline(1.0, color=MUTED, linewidth=0.8)
    left_out = rates.height - rows.height
    axis.set_title(
        "Per dollar, beside the lever" + (f" ({left_out} more not drawn)" if left_out else ""), fontsize=9
    )
    axis.set_xlabel(
        "1 is the lever's own; what was delivered where, not what delivering there does", fontsize=7
    )
    return figure
