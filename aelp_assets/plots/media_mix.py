"""The media mix: responses to spend, returns and allocations of channels.

Here: figures alone. Not here: numbers that are not already in the frame, what figures share (`drawing`).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from aelp_assets.plots import drawing
from aelp_assets.plots.drawing import BAD, BAND, GOOD, INK, MUTED, SHOWN_LEVERS


def response_curves(curves: pl.DataFrame) -> Figure:
    """p10–p90 of each cluster's elasticity, median as a dot, what was believed beforehand in red."""
    rows = curves.sort("usual_spend", descending=True, maintain_order=True).head(SHOWN_LEVERS)
    if rows.is_empty():
        return drawing.nothing("Response curves", "no lever is in a track")
    figure, (axis,) = drawing.panels(1, rows.height, width=8.0)
    drawing.intervals(axis, rows, "elasticity", rows["cluster"].to_list(), rows["prior_mean"].to_list())
    axis.set_title("Elasticity of signups on spend, the prior's mean in red", fontsize=9)
    axis.set_xlabel("p10–p90" + drawing.left_out(curves, rows, "clusters"), fontsize=7)
    return figure


def media_mix_curves(curves: pl.DataFrame, recent: Mapping[tuple[str, str], float]) -> Figure:
    """Conversions a week by constant spend, p10–p90, a panel per channel; dotted where nobody ever spent.

    Args:
        recent: dollars a week that each (track, channel) spends now.
    """
    title = "What a channel's spend brings"
    if curves.is_empty():
        return drawing.nothing(title, "no track's weeks carry a media-mix model that may be believed")
    channels = curves.select("track", "channel").unique().sort("track", "channel").rows()
    across = min(4, len(channels))
    down = -(-len(channels) // across)
    figure = Figure(figsize=(3.2 * across, 2.4 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).reshape(-1)
    for axis in axes[len(channels) :]:
        axis.set_axis_off()
    for axis, (track, channel) in zip(axes, channels, strict=False):
        own = curves.filter(pl.col("track") == track, pl.col("channel") == channel).sort("spend")
        axis.fill_between(own["spend"], own["conversions_p10"], own["conversions_p90"], color=BAND, alpha=0.6)
        for beyond, line in ((False, "-"), (True, ":")):
            part = own.filter(pl.col("extrapolated") == beyond)
            axis.plot(part["spend"], part["conversions_p50"], line, color=INK)
        if (now := recent.get((track, channel))) is not None:
            axis.axvline(now, color=BAD, linewidth=0.8)
        axis.set_title(f"{track}: {channel}", fontsize=9)
        axis.tick_params(labelsize=7)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:,.3g}k"))
    figure.supxlabel("dollars a week; red: now, dotted: beyond what was ever spent", fontsize=7)
    figure.supylabel("incremental conversions a week", fontsize=7)
    return figure


def channel_returns(channels: pl.DataFrame) -> Figure:
    """p10–p90 of each channel's ROAS over the fitted weeks, the independent estimate in red."""
    if channels.is_empty():
        return drawing.nothing(
            "ROAS by channel", "no track's weeks carry a media-mix model that may be believed"
        )
    rows = channels.sort("track", "roas_p50", descending=[False, True])
    figure, (axis,) = drawing.panels(1, rows.height, width=7.0)
    labels = [f"{track} · {channel}" for track, channel in rows.select("track", "channel").iter_rows()]
    drawing.intervals(axis, rows, "roas", labels, rows["other_roas_p50"].to_list())
    axis.set_title("ROAS by channel, an independent estimate in red", fontsize=9)
    axis.set_xlabel("revenue over the planning horizon per dollar, p10–p90", fontsize=7)
    return figure


def channel_allocations(allocations: pl.DataFrame) -> Figure:
    """Each channel's spend now and proposed, in the interval its rules allow."""
    if allocations.is_empty():
        return drawing.nothing("Allocation", "no track's weeks carry a media-mix model that may be believed")
    rows = allocations.sort("track", "current_spend", descending=[False, True])
    figure, (axis,) = drawing.panels(1, rows.height, width=7.0)
    places = list(range(rows.height))
    now = rows["current_spend"].clip(lower_bound=1e-9)
    low, high, then = (rows[name] / now for name in ("low", "high", "proposed_spend"))
    axis.hlines(places, low, high, color=BAND, linewidth=5)
    axis.axvline(1, color=INK, linewidth=0.8)
    colours = [GOOD if share > 1 else BAD if share < 1 else MUTED for share in then.round(9)]
    axis.scatter(then, places, c=colours, s=16, zorder=3)
    labels = [f"{track} · {channel}" for track, channel in rows.select("track", "channel").iter_rows()]
    drawing.label_rows(axis, labels, rows.height)
    axis.set_title("Proposed spend by channel, and how far its rules let it move", fontsize=9)
    axis.set_xlabel("share of what it spends now", fontsize=7)
    return figure
