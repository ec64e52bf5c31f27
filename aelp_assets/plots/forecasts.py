"""Forecasts: the outlook, what levers buy, and how forecasts did.

Here: figures alone. Not here: numbers that are not already in the frame, what figures share (`drawing`).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from aelp_assets.plots import drawing
from aelp_assets.plots.drawing import BAD, BAND, GOOD, INK, SHOWN_MOVES


def outlook_fan(outlook: pl.DataFrame, caps: Mapping[str, float]) -> Figure:
    """Signups and CAC a day over the outlook, median and p10–p90, one column per track."""
    tracks = sorted(outlook["track"].unique())
    if not tracks:
        return drawing.nothing("Outlook", "no lever of an eligible account is active")
    figure = Figure(figsize=(4.2 * len(tracks), 5), layout="constrained")
    axes = figure.subplots(2, len(tracks), squeeze=False)
    for column, track in enumerate(tracks):
        days = outlook.filter((pl.col("track") == track) & (pl.col("horizon") == "day")).sort("target_date")
        for axis, metric in zip(axes[:, column], ("signups", "cac"), strict=True):
            drawn = days.drop_nulls([f"{metric}_p10", f"{metric}_p50", f"{metric}_p90"])
            axis.fill_between(
                drawn["target_date"], drawn[f"{metric}_p10"], drawn[f"{metric}_p90"], color=BAND, alpha=0.6
            )
            axis.plot(drawn["target_date"], drawn[f"{metric}_p50"], color=INK)
            left_out = days.height - drawn.height
            said = f" ({left_out} days with an infinite end not drawn)" if left_out else ""
            axis.set_title(f"{track}: {metric if metric == 'signups' else 'CAC'}{said}", fontsize=9)
            axis.tick_params(labelsize=7)
            dates = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]
            axis.xaxis.set_major_locator(dates)
            axis.xaxis.set_major_formatter(ConciseDateFormatter(dates))  # type: ignore[no-untyped-call]
            if column == 0:
                unit = "signups a day" if metric == "signups" else "account currency per signup"
                axis.set_ylabel(f"{unit}, p10–p90", fontsize=7)
            if metric == "cac" and track in caps:
                axis.axhline(caps[track], color=BAD, linestyle="--", linewidth=1)
    return figure


def forecast_by_lever(results: pl.DataFrame, caps: Mapping[str, float], levers: pl.DataFrame) -> Figure:
    """What each lever buys on the first day forecast: signups and CAC at the budget in force.

    Args:
        results: `forecast_results` of one morning.
        levers: snapshots of `budget_levers`, for the names.
    """
    first = results.filter(pl.col("target_date") == pl.col("target_date").min())
    rows = first.filter("is_current_budget").sort("track", "signups_p50", descending=[False, True])
    if rows.is_empty():
        return drawing.nothing("Forecast by lever", "no lever of an eligible account is active")
    shown = drawing.named(rows, levers).head(SHOWN_MOVES)
    figure, (signups, cac) = drawing.panels(2, shown.height, width=4.2)
    labels = [f"{track} · {name}" for track, name in shown["track", "label"].iter_rows()]
    drawing.intervals(signups, shown, "signups", labels, from_zero=True)
    drawing.intervals(cac, shown, "cac", None, [caps.get(track) for track in shown["track"]])
    signups.set_title(f"Signups on {rows['target_date'][0]}, budgets as they are", fontsize=9)
    signups.set_xlabel("signups once matured, p10–p90" + drawing.left_out(rows, shown, "levers"), fontsize=7)
    cac.set_title("CAC, its cap in red", fontsize=9)
    cac.set_xlabel("account currency per signup, p10–p90", fontsize=7)
    return figure


def coverage_intervals(accuracy: pl.DataFrame) -> Figure:
    """Share of actuals inside p10–p90 with its bootstrap interval, beside the promised 80 %."""
    rows = accuracy.drop_nulls("coverage").sort("method", "metric", "horizon_days")
    if rows.is_empty():
        return drawing.nothing("Coverage of the 80 % interval", "no account has days enough to score")
    names = rows.select("method", "metric", "horizon_days").iter_rows()
    labels = [f"{method} · {metric} · {days} d" for method, metric, days in names]
    figure, (axis,) = drawing.panels(1, rows.height)
    places = range(rows.height)
    axis.hlines(places, rows["coverage_low"], rows["coverage_high"], color=BAND, linewidth=5)
    axis.plot(rows["coverage"], places, "o", color=INK, markersize=4)
    axis.axvline(0.8, color=BAD, linestyle="--", linewidth=1)
    axis.set_xlim(0, 1)
    drawing.label_rows(axis, labels, rows.height)
    axis.set_title("Coverage of the 80 % interval", fontsize=9)
    axis.set_xlabel("share of actuals inside p10–p90, 95 % bootstrap interval", fontsize=7)
    return figure


def forecast_review(reviews: pl.DataFrame) -> Figure:
    """Yesterday's clicks by lever beside what was forecast, as a share of the median; those outside in red.

    Args:
        reviews: `forecast_reviews` of one morning.
    """
    rows = reviews.filter((pl.col("metric") == "clicks") & (pl.col("p50") > 0)).drop_nulls("inside")
    if rows.is_empty():
        return drawing.nothing("Clicks beside their forecast", "no forecast has met its day")
    shown = rows.sort("track", "platform", "lever_id").head(SHOWN_MOVES)
    figure, (axis,) = drawing.panels(1, shown.height, width=6.0)
    places = list(range(shown.height))
    low, high, actual = (shown[name] / shown["p50"] for name in ("p10", "p90", "actual"))
    axis.hlines(places, low, high, color=BAND, linewidth=5)
    colours = [GOOD if inside else BAD for inside in shown["inside"]]
    axis.scatter(actual, places, c=colours, s=16, zorder=3)
    axis.axvline(1, color=INK, linewidth=0.8)
    drawing.label_rows(
        axis, [f"{t} · {p} · {n}" for t, p, n in shown["track", "platform", "lever_id"].rows()], len(places)
    )
    axis.set_title(
        f"Clicks of {shown['target_date'][0]} beside their forecast ({shown['basis'][0]})", fontsize=9
    )
    axis.set_xlabel("clicks / forecast median, p10–p90" + drawing.left_out(rows, shown, "levers"), fontsize=7)
    return figure
