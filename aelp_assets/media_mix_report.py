"""What another spend by channel would bring, asked at a terminal.

Here: reading a person's spends, the newest stored fit, a table. Not here: the numbers
(`models.mmm.budget_scenarios`), keeping fits (`media_mix_fit`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table as Grid

from aelp_assets.media_mix_fit import TrackFit, stored_fit
from aelp_assets.media_mix_plan import recent_spend
from models.mmm.budget_scenarios import what_if
from models.mmm.response import FloatArray
from resources.settings import Settings
from resources.warehouse.interface import Warehouse
from resources.warehouse.tables import MMM_FIT_DIAGNOSTICS

_ASKED = re.compile(
    r"(?P<channel>[a-z][a-z0-9_]*)=(?P<sign>[+-]?)(?P<amount>[0-9][0-9,]*(\.[0-9]+)?)(?P<share>%?)"
)


def newest_fit(warehouse: Warehouse, artifacts: Path, track: str) -> tuple[date, TrackFit]:
    """The morning of a track's newest fit that may be believed, and the fit.

    Raises:
        LookupError: there is none, with what stands against it.
    """
    rows = warehouse.read(MMM_FIT_DIAGNOSTICS.name).filter(pl.col("track") == track).sort("as_of_date")
    believed = rows.filter("passed", pl.col("draws_hash").is_not_null())
    if believed.is_empty():
        why = rows["reasons"].drop_nulls().to_list()[-1:] or [
            "nothing was fitted yet: run `aelp demo` or the job fit_media_mix"
        ]
        raise LookupError(f"{track} has no media mix that may be believed: {why[0]}")
    newest = believed.row(-1, named=True)
    return newest["as_of_date"], stored_fit(artifacts, newest["draws_hash"])


def asked_spend(asked: Sequence[str], channels: Sequence[str], current: FloatArray) -> FloatArray:
    """Dollars a week by channel: `tiktok=12000`, `tiktok=+10%` or `tiktok=-500`; the others stay.

    Raises:
        ValueError: what cannot be read, an unknown channel, a channel named twice, spend below 0.
    """
    spend = current.copy()
    seen = set()
    for text in asked:
        told = _ASKED.fullmatch(text.strip())
        if told is None:
            raise ValueError(
                f"{text!r}: write CHANNEL=DOLLARS, CHANNEL=+10% or CHANNEL=-500 (dollars a week)"
            )
        channel, amount = told["channel"], float(told["amount"].replace(",", ""))
        if channel not in channels:
            raise ValueError(f"{channel}: no channel of this fit; there are {', '.join(channels)}")
        if channel in seen:
            raise ValueError(f"{channel}: named twice")
        seen.add(channel)
        at = list(channels).index(channel)
        change = current[at] * amount / 100 if told["share"] else amount
        if told["share"] and not told["sign"]:
            raise ValueError(f"{text!r}: a share needs its sign, +{amount:g}% or -{amount:g}%")
        spend[at] = {"": change, "+": current[at] + change, "-": current[at] - change}[told["sign"]]
        if spend[at] < 0:
            raise ValueError(f"{text!r}: {channel} spends {current[at]:,.0f} a week, it cannot go below 0")
    return spend


def print_what_if(
    console: Console, morning: date, found: TrackFit, settings: Settings, asked: Sequence[str]
) -> None:
    """The asked spends beside the current ones, joint across channels.

    Raises:
        ValueError: as `asked_spend`.
    """
    assert found.weeks is not None
    track = settings.tracks[found.track]
    draws, current = found.curves, recent_spend(found.weeks)
    spend = asked_spend(asked, draws.channels, current)
    rows = what_if(draws, current, spend, float(track.aov) * track.expected_orders)
    console.print(
        f"{found.track}: {found.model} media mix of {morning}, {found.weeks.number} weeks to "
        f"{found.weeks.days[-1]}; dollars and incremental {found.outcome} a week, p10 – p50 – p90"
    )
    spends = Grid(box=None, header_style="dim")
    for name in ("channel", "now", "asked", "ever at most"):
        spends.add_column(name, justify="left" if name == "channel" else "right")
    top = found.weeks.spend.max(axis=0)
    for channel, now, then, most in zip(draws.channels, current, spend, top, strict=True):
        if then != now:
            beyond = " (extrapolated)" if then > most else ""
            spends.add_row(channel, f"{now:,.0f}", f"{then:,.0f}{beyond}", f"{most:,.0f}")
    console.print(spends)
    grid = Grid(box=None, header_style="dim")
    for name in ("", "spend", "conversions", "CAC", "ROAS"):
        grid.add_column(name, justify="left" if not name else "right")
    for row in rows.iter_rows(named=True):
        grid.add_row(
            row["scenario"],
            f"{row['spend']:,.0f}",
            _range(row, "conversions", ",.0f"),
            _range(row, "cac", ",.0f"),
            _range(row, "roas", ",.2f"),
        )
    console.print(grid)
    more = rows.filter(pl.col("scenario") == "change")["p_more"].item()
    if more is not None and not np.array_equal(spend, current):
        console.print(
            f"More conversions than now in {more:.0%} of the draws. Nothing was proposed or changed."
        )


def _range(row: dict[str, object], metric: str, form: str) -> str:
    values = (row[f"{metric}_{name}"] for name in ("p10", "p50", "p90"))
    return " – ".join("∞" if value is None else format(value, form) for value in values)
