"""What became of the files people dropped, printed in the terminal.

Here: reading `ops.file_landings` and `ops.quarantine` and printing them. Not here: reading the files
(`resources.files`), and what was decided (`summary`).
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import polars as pl
from rich.console import Console

from resources.creative_images import still_set_aside
from resources.warehouse.interface import Warehouse
from resources.warehouse.schema import Table
from resources.warehouse.tables import FILE_LANDINGS, QUARANTINE

_SHOWN_FILES = 12
_MINIMUM_WIDTH = 110
# In the order a person should read them.
_URGENCY = {"refused": 0, "landed": 1, "unsettled": 2, "unrecognised": 3}


def terminal() -> Console:
    """The terminal, printing names as they are: a `[` in a file or lever name is no markup."""
    console = Console(markup=False, emoji=False, highlight=False)
    if console.is_terminal:
        return console
    return Console(markup=False, emoji=False, highlight=False, width=_MINIMUM_WIDTH)


def read_landings(warehouse: Warehouse) -> pl.DataFrame:
    """Every row of `ops.file_landings`; no rows where nothing was ever landed."""
    return _read(warehouse, FILE_LANDINGS)


def rows_added(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """The rows of `after` that `before` had not, each as often as it was added.

    By whole rows, not by `landed_at`: where the clock stands still, two landings share their moment.
    """
    added = Counter(after.rows()) - Counter(before.rows())
    return pl.DataFrame(list(added.elements()), schema=after.schema, orient="row")


def newest_landing(landings: pl.DataFrame) -> pl.DataFrame:
    """What the last landing that met files said, each file once."""
    return landings.filter(pl.col("landed_at") == pl.col("landed_at").max()).unique(maintain_order=True)


def print_landing(console: Console, warehouse: Warehouse, landing: pl.DataFrame) -> None:
    """One landing: counts, then every table that was not loaded whole, with the reason in full."""
    if landing.is_empty():
        console.print("Files: none in the drop folder, nothing was landed.")
        return
    counts = landing.group_by("status").len().sort("status").iter_rows()
    refused, flagged = landing["refused_rows"].sum(), landing["flagged_rows"].sum()
    aside = f"{refused:,} refused and {flagged:,} flagged" + (
        ", each with its reason: `aelp quarantine`" if refused or flagged else ""
    )
    console.print(
        f"Files: {', '.join(f'{count} {status}' for status, count in counts)} · "
        f"{landing['rows'].sum():,} rows appended · {aside}",
        soft_wrap=True,
    )
    # Only tables are set aside in the quarantine; notes and images are merely listed.
    tables = _read(warehouse, QUARANTINE).filter(pl.col("line").is_null())["file"].unique().to_list()
    other = (pl.col("status") == "unrecognised") & ~pl.col("file").is_in(tables)
    spoken = (pl.col("status") != "unchanged") & (
        (pl.col("status") != "landed") | (pl.col("refused_rows") > 0)
    )
    near = pl.col("reason").str.starts_with("nearest known format").fill_null(value=False)
    told = landing.filter(spoken & ~other).sort(
        pl.col("status").replace_strict(_URGENCY), near, "file", descending=[False, True, False]
    )
    for row in told.head(_SHOWN_FILES).iter_rows(named=True):
        status = f"{row['refused_rows']:,} rows refused" if row["status"] == "landed" else row["status"]
        console.print(f"  {status}: {row['file']}: {row['reason']}", style="dim", soft_wrap=True)
    if told.height > _SHOWN_FILES:
        console.print(f"  and {told.height - _SHOWN_FILES} more: `aelp files` lists all", style="dim")
    if others := landing.filter(other).height:
        console.print(
            f"  unrecognised: {others} that are no tables (images, notes): `aelp files`", style="dim"
        )


def print_files(console: Console, warehouse: Warehouse) -> None:
    """The last landing of every file ever met, with the whole reason."""
    landings = read_landings(warehouse)
    if landings.is_empty():
        console.print("No file has been landed yet.")
        return
    # An unchanged file is not read again: what was said of it when it was read still holds.
    said = (
        landings.sort("landed_at", pl.col("status") != "unchanged")
        .group_by("file")
        .agg(
            pl.all().sort_by(pl.col("status") != "unchanged", maintain_order=True).last(),
            seen_at=pl.col("landed_at").max(),
        )
    )
    for row in said.sort("file").iter_rows(named=True):
        kind = f" ({row['format']})" if row["format"] else ""
        counts = [
            f"{row[name]:,} {word}"
            for name, word in (("rows", "rows"), ("refused_rows", "refused"), ("flagged_rows", "flagged"))
            if row[name]
        ]
        again = f", unchanged at {_moment(row['seen_at'])}" if row["seen_at"] > row["landed_at"] else ""
        told = ", ".join([f"{row['status']} {_moment(row['landed_at'])}", *counts]) + again
        console.print(f"{row['file']}{kind}: {told}", soft_wrap=True)
        if row["reason"]:
            console.print(f"    {row['reason']}", style="dim", soft_wrap=True)


def print_quarantine(console: Console, warehouse: Warehouse, file: str | None, rows: int) -> None:
    """Rows and files that are set aside, newest first: line, reason and the record as it was read.

    Args:
        file: only this file, as `aelp files` writes it or its bare name; None: all.
        rows: at most so many.
    """
    aside = still_set_aside(_read(warehouse, QUARANTINE))
    if file is not None:
        path = pl.col("file")
        chosen = aside.filter((path == file) | path.str.ends_with(f"/{file}"))
        if chosen.is_empty():
            known = ", ".join(sorted(aside["file"].unique())) or "none"
            console.print(
                f"Nothing of {file} is set aside. Files with rows set aside: {known}", soft_wrap=True
            )
            return
        aside = chosen
    if aside.is_empty():
        console.print("Nothing is set aside.")
        return
    ordered = aside.sort("quarantined_at", "file", "line", descending=[True, False, False])
    for (name, moment), group in ordered.head(rows).group_by("file", "quarantined_at", maintain_order=True):
        console.print(f"{name}, set aside {_moment(moment)}", style="bold", soft_wrap=True)
        for row in group.iter_rows(named=True):
            where = "whole file" if row["line"] is None else f"line {row['line']}"
            console.print(f"  {where} {row['severity']}: {row['reason']}", soft_wrap=True)
            if row["record"]:
                console.print(f"    {row['record']}", style="dim", soft_wrap=True)
    if ordered.height > rows:
        console.print(f"and {ordered.height - rows:,} more in ops.quarantine: `--rows` shows more")


def _read(warehouse: Warehouse, table: Table) -> pl.DataFrame:
    if not warehouse.exists(table.name):
        return pl.DataFrame(schema=table.polars_schema)
    return table.conform(warehouse.read(table.name, columns=list(table.polars_schema)))


def _moment(value: object) -> str:
    assert isinstance(value, datetime)
    return f"{value:%Y-%m-%d %H:%M} UTC"
