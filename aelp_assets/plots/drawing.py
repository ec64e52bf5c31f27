"""What figures of every subject share: colours, panels, intervals, labels.

Here: drawing. Not here: any figure.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

mpl.use("Agg")

INK, BAND, BAD, GOOD, MUTED = "#1f3b57", "#9dbcd4", "#c0504d", "#4f8a5b", "#8a8a8a"
_ROW = 0.24  # inches a row
_LONGEST_LABEL = 60
SHOWN_LEVERS = 25
SHOWN_MOVES = 40
# Below this ratio of the ends a logarithmic axis has no round number to label.
_LOG_FROM = 3.0
_LEVER_KEYS = ["platform", "account_id", "lever_id"]


def panels(count: int, rows: int, width: float = 4.6) -> tuple[Figure, list[Axes]]:
    """A row of panels tall enough for `rows` lines."""
    figure = Figure(figsize=(width * count, 1.0 + _ROW * max(rows, 4)), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def nothing(title: str, why: str) -> Figure:
    """A figure that says why it is empty."""
    figure = Figure(figsize=(4.6, 1.2), layout="constrained")
    axis = figure.subplots()
    axis.set_axis_off()
    axis.set_title(title, fontsize=9)
    axis.text(0.5, 0.5, f"Nothing to draw: {why}.", ha="center", va="center", fontsize=8, color=MUTED)
    return figure


def intervals(
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
        axis.plot([begin, edge if p90 is None else p90], [row, row], color=BAND, linewidth=5)
        if p90 is None and metric == "cac":
            axis.plot(edge, row, ">", color=BAD, markersize=6, clip_on=False)
        if p50 is not None and p50 >= start:
            axis.plot(p50, row, "o", color=INK, markersize=4)
        if cap is not None:
            axis.plot([cap, cap], [row - 0.45, row + 0.45], color=BAD, linewidth=1.2)
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
    label_rows(axis, labels, rows.height)


def label_rows(axis: Axes, labels: Sequence[str] | None, rows: int) -> None:
    """A line a row, the first on top; None: another panel tells their names."""
    axis.set_yticks(range(rows), [""] * rows if labels is None else [_short(label) for label in labels])
    axis.set_ylim(rows - 0.4, -0.6)  # the first row on top
    axis.tick_params(labelsize=7)
    axis.grid(axis="x", color="#e6e6e6", linewidth=0.6)
    axis.set_axisbelow(True)


def named(rows: pl.DataFrame, levers: pl.DataFrame) -> pl.DataFrame:
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


def left_out(rows: pl.DataFrame, shown: pl.DataFrame, what: str) -> str:
    """What a cut figure owes its reader."""
    missing = rows.height - shown.height
    return f"; {missing:,} more {what}, not shown" if missing else ""


def placement(name: str) -> str:
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
