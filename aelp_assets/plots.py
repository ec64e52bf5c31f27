"""Figures for asset metadata.

Here: matplotlib figures from result frames. Not here: numbers that are not already in the frame.

Every figure can be drawn from an empty frame: a morning without an eligible account still has its plots,
and they say that there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

mpl.use("Agg")

_INK, _BAND, _BAD, _GOOD, _MUTED = "#1f3b57", "#9dbcd4", "#c0504d", "#4f8a5b", "#8a8a8a"
_ROW = 0.24  # inches a row
_LONGEST_LABEL = 60
_SHOWN_LEVERS = 25
_SHOWN_MOVES = 40
# Below this ratio of the ends a logarithmic axis has no round number to label.
_LOG_FROM = 3.0
_LEVER_KEYS = ["platform", "account_id", "lever_id"]


def baseline_ranges(baselines: pl.DataFrame) -> Figure:
    """p10–p90 of CPM, CTR and CVR by track and placement, medians as dots; days weigh the same."""
    rows = baselines.filter(pl.col("weighting") == "equal").sort("track", "placement")
    if rows.is_empty():
        return _nothing("Baselines by placement", "no placement of a configured track delivered")
    names = rows.select("track", "placement").iter_rows()
    labels = [f"{track} · {_placement(placement)}" for track, placement in names]
    figure, axes = _panels(3, rows.height)
    metrics = [
        ("cpm", "CPM", "account currency per 1,000 impressions", 1),
        ("ctr", "CTR", "clicks, % of impressions", 100),
        ("cvr", "CVR", "signups, % of clicks", 100),
    ]
    for axis, (metric, title, unit, factor) in zip(axes, metrics, strict=True):
        scaled = rows.select(pl.col(f"^{metric}_p(10|50|90)$") * factor)
        _intervals(axis, scaled, metric, labels if axis is axes[0] else None)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel(unit, fontsize=7)
    return figure


def creative_rates(rates: pl.DataFrame) -> Figure:
    """p10–p90 of CTR and CVR by creative and placement, medians as dots; the most shown ones."""
    if rates.is_empty():
        return _nothing("Creatives by placement", "no creative of a configured track delivered")
    rows = rates.sort("impressions", descending=True, maintain_order=True).head(_SHOWN_LEVERS)
    names = rows.select("track", "creative_id", "placement").iter_rows()
    labels = [f"{track} · {creative} · {_placement(placement)}" for track, creative, placement in names]
    figure, axes = _panels(2, rows.height)
    for axis, (metric, title, unit) in zip(
        axes,
        (("ctr", "CTR", "clicks, % of impressions"), ("cvr", "CVR", "signups, % of clicks")),
        strict=True,
    ):
        scaled = rows.select(pl.col(f"^{metric}_p(10|50|90)$") * 100)
        _intervals(axis, scaled, metric, labels if axis is axes[0] else None)
        left_out = rates.height - rows.height
        axis.set_title(f"{title} ({left_out} less shown not drawn)" if left_out else title, fontsize=9)
        axis.set_xlabel(unit, fontsize=7)
    return figure


def context_rates(rates: pl.DataFrame) -> Figure:
    """p10–p90 of what a dollar earns by value beside its lever, the likeliest worse first."""
    if rates.is_empty():
        return _nothing("Contexts beside their lever", "no placement, segment or hour of a configured track")
    ordered = rates.sort("p_worse", "cost", descending=True, maintain_order=True)
    rows = ordered.head(_SHOWN_LEVERS).with_columns(
        pl.when(pl.col("basis") == "signups")
        .then(pl.col(f"relative_signups_per_dollar_p{level}"))
        .otherwise(pl.col(f"relative_clicks_per_dollar_p{level}"))
        .alias(f"relative_p{level}")
        for level in (10, 50, 90)
    )
    names = rows.select("lever_id", "breakdown", "value", "basis").iter_rows()
    labels = [
        f"{lever} · {breakdown} {_placement(value)} ({basis})" for lever, breakdown, value, basis in names
    ]
    figure, (axis,) = _panels(1, rows.height, width=8.0)
    _intervals(axis, rows, "relative", labels)
    axis.axvline(1.0, color=_MUTED, linewidth=0.8)
    left_out = rates.height - rows.height
    axis.set_title(
        "Per dollar, beside the lever" + (f" ({left_out} more not drawn)" if left_out else ""), fontsize=9
    )
    axis.set_xlabel(
        "1 is the lever's own; what was delivered where, not what delivering there does", fontsize=7
    )
    return figure


def response_curves(curves: pl.DataFrame) -> Figure:
    """p10–p90 of each cluster's elasticity, median as a dot, what was believed beforehand in red."""
    rows = curves.sort("usual_spend", descending=True, maintain_order=True).head(_SHOWN_LEVERS)
    if rows.is_empty():
        return _nothing("Response curves", "no lever is in a track")
    figure, (axis,) = _panels(1, rows.height, width=8.0)
    _intervals(axis, rows, "elasticity", rows["cluster"].to_list(), rows["prior_mean"].to_list())
    axis.set_title("Elasticity of signups on spend, the prior's mean in red", fontsize=9)
    axis.set_xlabel("p10–p90" + _left_out(curves, rows, "clusters"), fontsize=7)
    return figure


def media_mix_curves(curves: pl.DataFrame, recent: Mapping[tuple[str, str], float]) -> Figure:
    """Conversions a week by constant spend, p10–p90, a panel per channel; dotted where nobody ever spent.

    Args:
        recent: dollars a week that each (track, channel) spends now.
    """
    title = "What a channel's spend brings"
    if curves.is_empty():
        return _nothing(title, "no track's weeks carry a media-mix model that may be believed")
    channels = curves.select("track", "channel").unique().sort("track", "channel").rows()
    across = min(4, len(channels))
    down = -(-len(channels) // across)
    figure = Figure(figsize=(3.2 * across, 2.4 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).reshape(-1)
    for axis in axes[len(channels) :]:
        axis.set_axis_off()
    for axis, (track, channel) in zip(axes, channels, strict=False):
        own = curves.filter(pl.col("track") == track, pl.col("channel") == channel).sort("spend")
        axis.fill_between(
            own["spend"], own["conversions_p10"], own["conversions_p90"], color=_BAND, alpha=0.6
        )
        for beyond, line in ((False, "-"), (True, ":")):
            part = own.filter(pl.col("extrapolated") == beyond)
            axis.plot(part["spend"], part["conversions_p50"], line, color=_INK)
        if (now := recent.get((track, channel))) is not None:
            axis.axvline(now, color=_BAD, linewidth=0.8)
        axis.set_title(f"{track}: {channel}", fontsize=9)
        axis.tick_params(labelsize=7)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:,.3g}k"))
    figure.supxlabel("dollars a week; red: now, dotted: beyond what was ever spent", fontsize=7)
    figure.supylabel("incremental conversions a week", fontsize=7)
    return figure


def channel_returns(channels: pl.DataFrame) -> Figure:
    """p10–p90 of each channel's ROAS over the fitted weeks, the independent estimate in red."""
    if channels.is_empty():
        return _nothing("ROAS by channel", "no track's weeks carry a media-mix model that may be believed")
    rows = channels.sort("track", "roas_p50", descending=[False, True])
    figure, (axis,) = _panels(1, rows.height, width=7.0)
    labels = [f"{track} · {channel}" for track, channel in rows.select("track", "channel").iter_rows()]
    _intervals(axis, rows, "roas", labels, rows["other_roas_p50"].to_list())
    axis.set_title("ROAS by channel, an independent estimate in red", fontsize=9)
    axis.set_xlabel("revenue over the planning horizon per dollar, p10–p90", fontsize=7)
    return figure


def channel_allocations(allocations: pl.DataFrame) -> Figure:
    """Each channel's spend now and proposed, in the interval its rules allow."""
    if allocations.is_empty():
        return _nothing("Allocation", "no track's weeks carry a media-mix model that may be believed")
    rows = allocations.sort("track", "current_spend", descending=[False, True])
    figure, (axis,) = _panels(1, rows.height, width=7.0)
    places = list(range(rows.height))
    now = rows["current_spend"].clip(lower_bound=1e-9)
    low, high, then = (rows[name] / now for name in ("low", "high", "proposed_spend"))
    axis.hlines(places, low, high, color=_BAND, linewidth=5)
    axis.axvline(1, color=_INK, linewidth=0.8)
    colours = [_GOOD if share > 1 else _BAD if share < 1 else _MUTED for share in then.round(9)]
    axis.scatter(then, places, c=colours, s=16, zorder=3)
    labels = [f"{track} · {channel}" for track, channel in rows.select("track", "channel").iter_rows()]
    _label_rows(axis, labels, rows.height)
    axis.set_title("Proposed spend by channel, and how far its rules let it move", fontsize=9)
    axis.set_xlabel("share of what it spends now", fontsize=7)
    return figure


def outlook_fan(outlook: pl.DataFrame, caps: Mapping[str, float]) -> Figure:
    """Signups and CAC a day over the outlook, median and p10–p90, one column per track."""
    tracks = sorted(outlook["track"].unique())
    if not tracks:
        return _nothing("Outlook", "no lever of an eligible account is active")
    figure = Figure(figsize=(4.2 * len(tracks), 5), layout="constrained")
    axes = figure.subplots(2, len(tracks), squeeze=False)
    for column, track in enumerate(tracks):
        days = outlook.filter((pl.col("track") == track) & (pl.col("horizon") == "day")).sort("target_date")
        for axis, metric in zip(axes[:, column], ("signups", "cac"), strict=True):
            drawn = days.drop_nulls([f"{metric}_p10", f"{metric}_p50", f"{metric}_p90"])
            axis.fill_between(
                drawn["target_date"], drawn[f"{metric}_p10"], drawn[f"{metric}_p90"], color=_BAND, alpha=0.6
            )
            axis.plot(drawn["target_date"], drawn[f"{metric}_p50"], color=_INK)
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
                axis.axhline(caps[track], color=_BAD, linestyle="--", linewidth=1)
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
        return _nothing("Forecast by lever", "no lever of an eligible account is active")
    shown = _named(rows, levers).head(_SHOWN_MOVES)
    figure, (signups, cac) = _panels(2, shown.height, width=4.2)
    labels = [f"{track} · {name}" for track, name in shown["track", "label"].iter_rows()]
    _intervals(signups, shown, "signups", labels, from_zero=True)
    _intervals(cac, shown, "cac", None, [caps.get(track) for track in shown["track"]])
    signups.set_title(f"Signups on {rows['target_date'][0]}, budgets as they are", fontsize=9)
    signups.set_xlabel("signups once matured, p10–p90" + _left_out(rows, shown, "levers"), fontsize=7)
    cac.set_title("CAC, its cap in red", fontsize=9)
    cac.set_xlabel("account currency per signup, p10–p90", fontsize=7)
    return figure


def cac_by_lever(posteriors: pl.DataFrame, caps: Mapping[str, float], levers: pl.DataFrame) -> Figure:
    """Posterior CAC of each lever, p10–p90, beside its track's cap; likeliest above it first.

    Args:
        posteriors: `bandit_posteriors` of one morning.
        caps: CAC cap by track.
        levers: snapshots of `budget_levers`, for the names.
    """
    tracks = sorted(posteriors["track"].unique())
    if not tracks:
        return _nothing("CAC by lever", "no lever of an eligible account has matured evidence")
    # A lever without signups has an infinite CAC: among equals above the cap it comes first.
    worst = posteriors.sort(
        "p_cac_above_cap", "cac_p50", "lever_id", descending=[True, True, False], nulls_last=False
    )
    named = _named(worst, levers)
    by_track = {track: named.filter(pl.col("track") == track) for track in tracks}
    tallest = max(min(rows.height, _SHOWN_LEVERS) for rows in by_track.values())
    figure, axes = _panels(len(tracks), tallest, width=5.6)
    for axis, (track, rows) in zip(axes, by_track.items(), strict=True):
        shown = rows.head(_SHOWN_LEVERS)
        _intervals(axis, shown, "cac", shown["label"].to_list(), [caps.get(track)] * shown.height)
        axis.set_title(f"{track}: CAC, likeliest above its cap first", fontsize=9)
        left_out = _left_out(rows, shown, "levers less likely above the cap")
        axis.set_xlabel(f"account currency per signup, p10–p90; the cap in red{left_out}", fontsize=7)
    return figure


def budget_moves(decisions: pl.DataFrame, levers: pl.DataFrame) -> Figure:
    """Change of each moving lever's budget in percent, with the amounts beside it; largest amounts first.

    Percent on a symmetric logarithmic axis: a raise of 5 % stays visible beside a stop.

    Args:
        decisions: `bandit_decisions` of one morning.
        levers: snapshots of `budget_levers`, for the names.
    """
    amounts = [pl.col(f"{name}_budget").cast(pl.Float64).alias(name) for name in ("current", "proposed")]
    moved = decisions.filter(pl.col("type").is_in(["raise", "cut", "stop"])).with_columns(amounts)
    if moved.is_empty():
        return _nothing("Daily budgets, now → proposed", "no lever moves")
    largest = moved.sort((pl.col("proposed") - pl.col("current")).abs(), "lever_id", descending=[True, False])
    shown = _named(largest.head(_SHOWN_MOVES), levers).sort("track", maintain_order=True)
    figure, (axis,) = _panels(1, shown.height, width=7.2)
    for row, (now, then) in enumerate(shown["current", "proposed"].iter_rows()):
        percent = 100 * (then / now - 1) if now else 100.0
        axis.barh(row, percent, height=0.6, color=_GOOD if then > now else _BAD)
        axis.text(
            1.01,
            row,
            f"{now:,.2f} → {then:,.2f} ({percent:+.1f} %)",
            transform=axis.get_yaxis_transform(),
            fontsize=7,
            va="center",
        )
    axis.axvline(0, color=_INK, linewidth=0.8)
    axis.set_xscale("symlog", linthresh=1)
    axis.set_xlim(-130, max(10.0, 1.3 * axis.get_xlim()[1]))
    axis.xaxis.set_major_locator(FixedLocator([-100, -25, -5, -1, 0, 1, 5, 25, 100]))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.0f}" if value else "0"))
    axis.xaxis.set_minor_locator(NullLocator())
    _label_rows(axis, [f"{t} · {n}" for t, n in shown["track", "label"].iter_rows()], shown.height)
    axis.set_title("Daily budget, now → proposed", fontsize=9)
    left_out = _left_out(largest, shown, "smaller moves")
    axis.set_xlabel(f"change of the daily budget, % (logarithmic beyond ±1){left_out}", fontsize=7)
    return figure


def slate_budgets(slates: pl.DataFrame, caps: Mapping[str, float]) -> Figure:
    """Launch budget and CAC of each track's slate, in its order.

    Args:
        slates: `slates` of one morning.
        caps: CAC cap by track.
    """
    if slates.is_empty():
        return _nothing("Slates", "no creative of an eligible account has been seen")
    rows = slates.sort("track", "rank")
    labels = [f"{track} {rank} · {name}" for track, rank, name in rows["track", "rank", "creative_id"].rows()]
    figure, (budget, cac) = _panels(2, rows.height, width=4.4)
    amounts = rows["budget"].cast(pl.Float64)
    colours = [_GOOD if role == "exploit" else _BAND for role in rows["role"]]
    budget.barh(range(rows.height), amounts, height=0.6, color=colours)
    _label_rows(budget, labels, rows.height)
    budget.set_title("Launch budget a day, launched paused", fontsize=9)
    budget.set_xlabel("account currency; exploit green, explore blue", fontsize=7)
    _intervals(cac, rows, "cac", None, [caps.get(track) for track in rows["track"]])
    cac.set_title("CAC at this budget, its cap in red", fontsize=9)
    cac.set_xlabel("account currency per signup, p10–p90", fontsize=7)
    return figure


def coverage_intervals(accuracy: pl.DataFrame) -> Figure:
    """Share of actuals inside p10–p90 with its bootstrap interval, beside the promised 80 %."""
    rows = accuracy.drop_nulls("coverage").sort("method", "metric", "horizon_days")
    if rows.is_empty():
        return _nothing("Coverage of the 80 % interval", "no account has days enough to score")
    names = rows.select("method", "metric", "horizon_days").iter_rows()
    labels = [f"{method} · {metric} · {days} d" for method, metric, days in names]
    figure, (axis,) = _panels(1, rows.height)
    places = range(rows.height)
    axis.hlines(places, rows["coverage_low"], rows["coverage_high"], color=_BAND, linewidth=5)
    axis.plot(rows["coverage"], places, "o", color=_INK, markersize=4)
    axis.axvline(0.8, color=_BAD, linestyle="--", linewidth=1)
    axis.set_xlim(0, 1)
    _label_rows(axis, labels, rows.height)
    axis.set_title("Coverage of the 80 % interval", fontsize=9)
    axis.set_xlabel("share of actuals inside p10–p90, 95 % bootstrap interval", fontsize=7)
    return figure


def change_waterfall(changes: pl.DataFrame) -> Figure:
    """Yesterday beside the day before: each part of the change in signups and CAC, a column per track.

    Args:
        changes: `performance_changes` of one morning.
    """
    totals = changes.filter((pl.col("comparison") == "day_before") & (pl.col("platform") == "all"))
    drawn = totals.drop_nulls("change")
    tracks = sorted(drawn["track"].unique())
    if not tracks:
        return _nothing("Why yesterday changed", "no track has two days to compare")
    figure = Figure(figsize=(4.4 * len(tracks), 5.4), layout="constrained")
    axes = figure.subplots(2, len(tracks), squeeze=False)
    for row, metric in enumerate(("signups", "cac")):
        for axis, track in zip(axes[row], tracks, strict=True):
            shown = drawn.filter((pl.col("track") == track) & (pl.col("metric") == metric))
            if shown.is_empty():
                axis.set_axis_off()
                axis.text(0.5, 0.5, "No CAC: a day without signups", ha="center", fontsize=8, color=_MUTED)
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
    axis.bar(0, level, color=_INK)
    for place, name in enumerate(moved, start=1):
        step = float(change[name])
        axis.bar(place, step, bottom=level, color=_GOOD if (step > 0) == is_good_up else _BAD)
        level += step
        ends.append(level)
    axis.bar(len(moved) + 1, float(change["after"]), color=_INK)
    labels = ["before", *(name.replace("_", " ") for name in moved), "after"]
    axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right", fontsize=7)
    axis.tick_params(axis="y", labelsize=7)
    low, high = min(ends), max(ends)
    room = max(high - low, 0.1 * high, 1.0)
    axis.set_ylim(max(0.0, low - room), high + 0.3 * room)


def forecast_review(reviews: pl.DataFrame) -> Figure:
    """Yesterday's clicks by lever beside what was forecast, as a share of the median; those outside in red.

    Args:
        reviews: `forecast_reviews` of one morning.
    """
    rows = reviews.filter((pl.col("metric") == "clicks") & (pl.col("p50") > 0)).drop_nulls("inside")
    if rows.is_empty():
        return _nothing("Clicks beside their forecast", "no forecast has met its day")
    shown = rows.sort("track", "platform", "lever_id").head(_SHOWN_MOVES)
    figure, (axis,) = _panels(1, shown.height, width=6.0)
    places = list(range(shown.height))
    low, high, actual = (shown[name] / shown["p50"] for name in ("p10", "p90", "actual"))
    axis.hlines(places, low, high, color=_BAND, linewidth=5)
    colours = [_GOOD if inside else _BAD for inside in shown["inside"]]
    axis.scatter(actual, places, c=colours, s=16, zorder=3)
    axis.axvline(1, color=_INK, linewidth=0.8)
    _label_rows(
        axis, [f"{t} · {p} · {n}" for t, p, n in shown["track", "platform", "lever_id"].rows()], len(places)
    )
    axis.set_title(
        f"Clicks of {shown['target_date'][0]} beside their forecast ({shown['basis'][0]})", fontsize=9
    )
    axis.set_xlabel("clicks / forecast median, p10–p90" + _left_out(rows, shown, "levers"), fontsize=7)
    return figure


def _panels(count: int, rows: int, width: float = 4.6) -> tuple[Figure, list[Axes]]:
    """A row of panels tall enough for `rows` lines."""
    figure = Figure(figsize=(width * count, 1.0 + _ROW * max(rows, 4)), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _nothing(title: str, why: str) -> Figure:
    """A figure that says why it is empty."""
    figure = Figure(figsize=(4.6, 1.2), layout="constrained")
    axis = figure.subplots()
    axis.set_axis_off()
    axis.set_title(title, fontsize=9)
    axis.text(0.5, 0.5, f"Nothing to draw: {why}.", ha="center", va="center", fontsize=8, color=_MUTED)
    return figure


def _intervals(
    axis: Axes,
    rows: pl.DataFrame,
    metric: str,
    labels: Sequence[str] | None,
    caps: Sequence[float | None] | None = None,
    from_zero: bool = False,
) -> None:
    """p10–p90 of a metric per row, the median as a dot, first row on top.

    A null quantile is infinite: what is infinite is drawn as an arrow to the edge of the axis.
    """
    limits = list(caps or [None] * rows.height)
    quantiles = [rows[f"{metric}_p{level}"].to_list() for level in (10, 50, 90)]
    finite = [value for values in (*quantiles, limits) for value in values if value is not None and value > 0]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    logarithmic = low > 0 and high / low >= _LOG_FROM and not from_zero
    edge = high * (high / low) ** 0.08 if logarithmic else high * 1.1
    start = low / (high / low) ** 0.05 if logarithmic else 0.0
    for row, (p10, p50, p90, cap) in enumerate(zip(*quantiles, limits, strict=True)):
        begin = edge if p10 is None else max(p10, start)
        axis.plot([begin, edge if p90 is None else p90], [row, row], color=_BAND, linewidth=5)
        if p90 is None and metric == "cac":
            axis.plot(edge, row, ">", color=_BAD, markersize=6, clip_on=False)
        if p50 is not None and p50 >= start:
            axis.plot(p50, row, "o", color=_INK, markersize=4)
        if cap is not None:
            axis.plot([cap, cap], [row - 0.45, row + 0.45], color=_BAD, linewidth=1.2)
    if logarithmic:
        axis.set_xscale("log")
        steps = (1.0,) if high / low > 300 else (1.0, 3.0) if high / low > 30 else (1.0, 2.0, 5.0)
        axis.xaxis.set_major_locator(LogLocator(subs=steps))
    elif from_zero:  # logarithmic from one on: a lever may well bring none
        axis.set_xscale("symlog", linthresh=1)
        steps = (1.0,) if high > 300 else (1.0, 3.0)
        axis.xaxis.set_major_locator(FixedLocator([0, *(s * 10**power for power in range(9) for s in steps)]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_xlim(-0.15 if from_zero else start, edge)
    _label_rows(axis, labels, rows.height)


def _label_rows(axis: Axes, labels: Sequence[str] | None, rows: int) -> None:
    axis.set_yticks(range(rows), [""] * rows if labels is None else [_short(label) for label in labels])
    axis.set_ylim(rows - 0.4, -0.6)  # the first row on top
    axis.tick_params(labelsize=7)
    axis.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axis.set_axisbelow(True)


def _named(rows: pl.DataFrame, levers: pl.DataFrame) -> pl.DataFrame:
    """`rows` with a `label`: platform and newest name of the lever, its id where it has none or shares it."""
    names = levers.sort("date").group_by(_LEVER_KEYS).agg(pl.col("entity_name").drop_nulls().last())
    name = pl.coalesce("entity_name", "lever_id")
    shared = pl.len().over("track", "platform", name) > pl.col("lever_id").len().over("track", *_LEVER_KEYS)
    return (
        rows.join(names, on=_LEVER_KEYS, how="left", maintain_order="left")
        .with_columns(
            label=pl.when(shared)
            .then(pl.format("{} · {} ({})", "platform", name, "lever_id"))
            .otherwise(pl.format("{} · {}", "platform", name))
        )
        .drop("entity_name")
    )


def _left_out(rows: pl.DataFrame, shown: pl.DataFrame, what: str) -> str:
    """What a cut figure owes its reader."""
    missing = rows.height - shown.height
    return f"; {missing:,} more {what}, not shown" if missing else ""


def _placement(name: str) -> str:
    """`facebook_facebook_reels` as people say it: facebook reels."""
    if name == "all":
        return "all placements"
    words = name.replace("_", " ").split()
    return " ".join(word for place, word in enumerate(words) if place == 0 or word != words[place - 1])


def _short(label: str) -> str:
    """Both ends of a long label: names differ as often in their last word as in their first."""
    half = _LONGEST_LABEL // 2
    cut = label if len(label) <= _LONGEST_LABEL else f"{label[:half]}…{label[1 - half :]}"
    return cut.replace("$", r"\$")  # a dollar sign would open mathematics in a matplotlib label


def ad_scores(scores: pl.DataFrame) -> Figure:
    """Score and lower bound of the creatives expected to click best, on the placement with most of them.

    Args:
        scores: `ad_scores` of a morning.
    """
    told = scores.filter(pl.col("ctr_score").is_not_null())
    if told.is_empty():
        return _nothing("Scores of creatives", "nobody may score yet: see ranker_evaluations")
    track, placement = told.group_by("track", "placement").len().sort("len", "track", "placement").row(-1)[:2]
    there = told.filter(track=track, placement=placement)
    rows = there.sort("ctr_score", "creative_id", descending=[True, False]).head(_SHOWN_LEVERS)
    figure, (axis,) = _panels(1, rows.height, width=7.0)
    for place, row in enumerate(rows.iter_rows(named=True)):
        ends = [100 * row["ctr_lower_bound"], 100 * row["ctr_score"]]
        axis.plot(ends, [place, place], color=_BAND, linewidth=5)
        axis.plot(ends[1], place, "o", color=_INK if row["delivered_impressions"] else _GOOD, markersize=5)
    _label_rows(axis, rows["creative_id"].to_list(), rows.height)
    axis.set_xlabel(
        f"expected CTR and its lower bound, %; green never ran there{_left_out(there, rows, 'creatives')}",
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
        return _nothing("Fatigue of creatives", "no creative ran for enough days with enough clicks")
    ordered = told.sort("p_fatigues", "clicks", descending=True, maintain_order=True)
    rows = ordered.head(_SHOWN_LEVERS)
    figure, (axis,) = _panels(1, rows.height, width=7.0)
    weekly = [f"{what}_p{level}" for what in ("slope", "season_slope") for level in (10, 50, 90)]
    changes = rows.with_columns(((pl.col(weekly) * 7).exp() - 1) * 100)
    for place, row in enumerate(changes.iter_rows(named=True)):
        axis.plot([row["slope_p10"], row["slope_p90"]], [place, place], color=_BAND, linewidth=5)
        axis.plot(row["slope_p50"], place, "o", color=_INK, markersize=4)
        if row["season_slope_p50"] is not None:
            axis.plot(row["season_slope_p50"], place, "|", color=_BAD, markersize=9)
    axis.axvline(0, color=_MUTED, linewidth=0.8)
    names = rows.select("track", "creative_id", "placement").iter_rows()
    labels = [f"{track} · {creative} · {_placement(placement)}" for track, creative, placement in names]
    _label_rows(axis, labels, rows.height)
    axis.set_xlabel(
        f"change of the odds of a click a week, %; red: all ads there{_left_out(told, rows, 'rows')}",
        fontsize=7,
    )
    axis.set_title("Fatigue of creatives, the likeliest first", fontsize=9)
    return figure


def split_test_lifts(results: pl.DataFrame, experiments: pl.DataFrame) -> Figure:
    """Lifts over the control with the intervals that hold at every look, primary metric, newest tests on top.

    Args:
        results, experiments: `ab_results` and `ab_experiments` of a morning.
    """
    key = ["platform", "account_id", "test_id"]
    about = experiments.select(*key, "last_day", "winner", name=pl.coalesce("test_name", "test_id"))
    told = results.filter("is_primary", pl.col("lift").is_not_null()).join(about, on=key)
    if told.is_empty():
        return _nothing("Lifts of split tests", "no test has enough outcomes in two arms")
    rows = told.sort("last_day", "test_id", "arm", descending=[True, False, False]).head(_SHOWN_LEVERS)
    figure, (axis,) = _panels(1, rows.height, width=7.0)
    for place, row in enumerate(rows.iter_rows(named=True)):
        colour = _MUTED if not row["is_valid"] else _GOOD if row["winner"] == row["arm"] else _INK
        axis.plot([100 * row["lift_low"], 100 * row["lift_high"]], [place, place], color=_BAND, linewidth=5)
        axis.plot(100 * row["lift"], place, "o" if row["is_valid"] else "x", color=colour, markersize=5)
    axis.axvline(0, color=_MUTED, linewidth=1)
    _label_rows(axis, [f"{row['name']} · {row['arm']}" for row in rows.iter_rows(named=True)], rows.height)
    axis.set_xscale("symlog", linthresh=20)
    axis.xaxis.set_major_formatter("{x:+.0f}")
    axis.set_xlabel(
        f"lift over the control, %; green won, × invalid{_left_out(told, rows, 'arms')}", fontsize=7
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
        return _nothing("Experiments", "none goes on, and none has a week to begin in")
    rows = told.sort("first_day", "experiment_id").head(_SHOWN_MOVES)
    morning = rows["as_of_date"][0]
    figure, (axis,) = _panels(1, rows.height, width=7.0)
    for place, row in enumerate(rows.iter_rows(named=True)):
        last = row["last_day"] or max(morning, row["first_day"])
        colour = {"running": _INK, "planned": _BAND}.get(row["status"], _MUTED)
        ends = last + timedelta(days=1)
        axis.plot([row["first_day"], ends], [place, place], color=colour, linewidth=7, solid_capstyle="butt")
        if row["last_day"] is None:
            axis.plot(ends, place, ">", color=colour, markersize=8)
    axis.axvline(morning, color=_BAD, linewidth=1)
    _label_rows(axis, [_bar_name(row) for row in rows.iter_rows(named=True)], rows.height)
    locator = AutoDateLocator(maxticks=8)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    waiting = experiments.filter(pl.col("status") == "planned", pl.col("first_day").is_null()).height
    axis.set_xlabel(
        "dark: under way, light: planned, grey: invalid; an arrow: no end told"
        + (f"; {waiting} planned without a free week" if waiting else "")
        + _left_out(told, rows, "experiments"),
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
        return _nothing("Lift of applied raises", "no window of a drawn raise is matured yet")
    figure = Figure(figsize=(4.2 * len(drawn), 3.2), layout="constrained")
    panels = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axis, ((comparison, metric), rows) in zip(panels, drawn.items(), strict=True):
        count = range(1, rows.height + 1)
        axis.fill_between(count, rows["lift_low"], rows["lift_high"], color=_BAND, alpha=0.6)
        axis.plot(count, rows["lift"], color=_INK)
        axis.axhline(0, color=_MUTED, linewidth=1)
        axis.set_title(f"{comparison}: {metric}, {rows.height} windows", fontsize=9)
        axis.set_xlabel("windows judged", fontsize=7)
        axis.set_ylabel("dollars gained per dollar spent before", fontsize=7)
        axis.tick_params(labelsize=7)
    without = sorted({comparison for comparison, _ in sequences.keys() - drawn.keys()})
    if without:
        figure.supxlabel(f"without a window yet: {', '.join(without)}", fontsize=7)
    return figure
