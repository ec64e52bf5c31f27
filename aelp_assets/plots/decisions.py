"""Decisions of a morning: CAC by lever, budgets that move, slates.

Here: figures alone. Not here: numbers that are not already in the frame, what figures share (`drawing`).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from aelp_assets.plots import drawing
from aelp_assets.plots.drawing import BAD, BAND, GOOD, INK, SHOWN_LEVERS, SHOWN_MOVES


def cac_by_lever(posteriors: pl.DataFrame, caps: Mapping[str, float], levers: pl.DataFrame) -> Figure:
    """Posterior CAC of each lever, p10–p90, beside its track's cap; likeliest above it first.

    Args:
        posteriors: `bandit_posteriors` of one morning.
        caps: CAC cap by track.
        levers: snapshots of `budget_levers`, for the names.
    """
    tracks = sorted(posteriors["track"].unique())
    if not tracks:
        return drawing.nothing("CAC by lever", "no lever of an eligible account has matured evidence")
    # A lever without signups has an infinite CAC: among equals above the cap it comes first.
    worst = posteriors.sort(
        "p_cac_above_cap", "cac_p50", "lever_id", descending=[True, True, False], nulls_last=False
    )
    named = drawing.named(worst, levers)
    by_track = {track: named.filter(pl.col("track") == track) for track in tracks}
    tallest = max(min(rows.height, SHOWN_LEVERS) for rows in by_track.values())
    figure, axes = drawing.panels(len(tracks), tallest, width=5.6)
    for axis, (track, rows) in zip(axes, by_track.items(), strict=True):
        shown = rows.head(SHOWN_LEVERS)
        drawing.intervals(axis, shown, "cac", shown["label"].to_list(), [caps.get(track)] * shown.height)
        axis.set_title(f"{track}: CAC, likeliest above its cap first", fontsize=9)
        left_out = drawing.left_out(rows, shown, "levers less likely above the cap")
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
        return drawing.nothing("Daily budgets, now → proposed", "no lever moves")
    largest = moved.sort((pl.col("proposed") - pl.col("current")).abs(), "lever_id", descending=[True, False])
    shown = drawing.named(largest.head(SHOWN_MOVES), levers).sort("track", maintain_order=True)
    figure, (axis,) = drawing.panels(1, shown.height, width=7.2)
    for row, (now, then) in enumerate(shown["current", "proposed"].iter_rows()):
        percent = 100 * (then / now - 1) if now else 100.0
        axis.barh(row, percent, height=0.6, color=GOOD if then > now else BAD)
        axis.text(
            1.01,
            row,
            f"{now:,.2f} → {then:,.2f} ({percent:+.1f} %)",
            transform=axis.get_yaxis_transform(),
            fontsize=7,
            va="center",
        )
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.set_xscale("symlog", linthresh=1)
    axis.set_xlim(-130, max(10.0, 1.3 * axis.get_xlim()[1]))
    axis.xaxis.set_major_locator(FixedLocator([-100, -25, -5, -1, 0, 1, 5, 25, 100]))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.0f}" if value else "0"))
    axis.xaxis.set_minor_locator(NullLocator())
    drawing.label_rows(axis, [f"{t} · {n}" for t, n in shown["track", "label"].iter_rows()], shown.height)
    axis.set_title("Daily budget, now → proposed", fontsize=9)
    left_out = drawing.left_out(largest, shown, "smaller moves")
    axis.set_xlabel(f"change of the daily budget, % (logarithmic beyond ±1){left_out}", fontsize=7)
    return figure


def slate_budgets(slates: pl.DataFrame, caps: Mapping[str, float]) -> Figure:
    """Launch budget and CAC of each track's slate, in its order.

    Args:
        slates: `slates` of one morning.
        caps: CAC cap by track.
    """
    if slates.is_empty():
        return drawing.nothing("Slates", "no creative of an eligible account has been seen")
    rows = slates.sort("track", "rank")
    labels = [f"{track} {rank} · {name}" for track, rank, name in rows["track", "rank", "creative_id"].rows()]
    figure, (budget, cac) = drawing.panels(2, rows.height, width=4.4)
    amounts = rows["budget"].cast(pl.Float64)
    colours = [GOOD if role == "exploit" else BAND for role in rows["role"]]
    budget.barh(range(rows.height), amounts, height=0.6, color=colours)
    drawing.label_rows(budget, labels, rows.height)
    budget.set_title("Launch budget a day, launched paused", fontsize=9)
    budget.set_xlabel("account currency; exploit green, explore blue", fontsize=7)
    drawing.intervals(cac, rows, "cac", None, [caps.get(track) for track in rows["track"]])
    cac.set_title("CAC at this budget, its cap in red", fontsize=9)
    cac.set_xlabel("account currency per signup, p10–p90", fontsize=7)
    return figure
