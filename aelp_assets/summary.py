"""The decision summary people read in the terminal after a run.

Here: reading finished tables and printing them. Not here: any number that is not in a table.
"""

from __future__ import annotations

from datetime import date

import polars as pl
from rich.console import Console
from rich.table import Table as Grid

from resources.settings import Environment
from resources.warehouse.interface import Warehouse
from resources.warehouse.schema import TableName

_SHOWN_LEVERS = 14


def print_summary(warehouse: Warehouse, environment: Environment) -> None:
    """Print the newest landing, then each morning's accounts, outlook, allocation and slates."""
    console = Console(highlight=False)
    _landing(console, warehouse)
    _audits(console, warehouse)
    decisions = _read(warehouse, "gaelp_training.bandit_decisions")
    mornings = sorted(decisions["as_of_date"].unique()) if decisions.height else []
    if not mornings:
        console.print("No decision: no eligible account has a campaign in a configured track.")
    for morning in mornings[-3:]:
        console.rule(f"Morning of {morning}")
        _outlook(console, warehouse, morning)
        _allocation(console, decisions.filter(pl.col("as_of_date") == morning))
        _slates(console, warehouse, morning)
    _accuracy(console, warehouse)
    console.print(
        f"Everything is in {environment.home}. `make ui` opens the graph with its plots and checks."
    )


def _read(warehouse: Warehouse, dotted: str, morning: date | None = None) -> pl.DataFrame:
    partition = "as_of_date" if morning else None
    return warehouse.read(TableName.parse(dotted), partition=partition, first=morning, last=morning)


def _grid(title: str, *columns: str) -> Grid:
    grid = Grid(title=title, title_justify="left", title_style="bold", header_style="dim", box=None)
    for position, column in enumerate(columns):
        grid.add_column(
            column, justify="left" if position < 2 else "right", overflow="ellipsis", no_wrap=True
        )
    return grid


def _landing(console: Console, warehouse: Warehouse) -> None:
    files = _read(warehouse, "ops.file_landings")
    if files.is_empty():
        return
    newest = files.filter(pl.col("landed_at") == pl.col("landed_at").max())
    counts = dict(newest.group_by("status").len().sort("status").iter_rows())
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    console.print(
        f"Files: {told} · {newest['rows'].sum():,} rows appended · "
        f"{newest['refused_rows'].sum():,} refused, {newest['flagged_rows'].sum():,} flagged (ops.quarantine)"
    )
    for row in newest.filter(pl.col("status").is_in(["refused", "unrecognised"])).iter_rows(named=True):
        console.print(f"  {row['status']}: {row['file']}: {row['reason']}", style="dim")


def _audits(console: Console, warehouse: Warehouse) -> None:
    audits = _read(warehouse, "ops.account_audits")
    if audits.is_empty():
        return
    newest = audits.filter(pl.col("as_of_date") == pl.col("as_of_date").max())
    for (source, account), checks in newest.group_by("source", "account_id", maintain_order=True):
        told = " ".join(
            f"{name} {status}" for name, status in checks.select("check_name", "status").iter_rows()
        )
        verdict = "eligible" if checks["decision_eligible"].all() else "decision_eligible = false"
        console.print(f"Audit {source}/{account}: {verdict} ({told})", style="dim")


def _outlook(console: Console, warehouse: Warehouse, morning: date) -> None:
    totals = _read(warehouse, "gaelp_training.forecast_outlook", morning).filter(pl.col("horizon") == "total")
    grid = _grid(
        "Outlook at today's budgets, all days",
        "track",
        "",
        "spend p50",
        "signups p10",
        "p50",
        "p90",
        "CAC good end",
        "p50",
        "bad end",
        "P(CAC ≤ cap)",
    )
    for row in totals.sort("track").iter_rows(named=True):
        grid.add_row(
            row["track"],
            "",
            *(
                _amount(row[name])
                for name in (
                    "spend_p50",
                    "signups_p10",
                    "signups_p50",
                    "signups_p90",
                    "cac_p10",
                    "cac_p50",
                    "cac_p90",
                )
            ),
            _share(row["p_cac_within_cap"]),
        )
    console.print(grid)


def _allocation(console: Console, decisions: pl.DataFrame) -> None:
    for (track,), rows in decisions.group_by("track", maintain_order=True):
        kinds = dict(rows.group_by("type").len().sort("type").iter_rows())
        now, then = (float(rows[name].sum()) for name in ("current_budget", "proposed_budget"))
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        grid = _grid(
            f"Allocation {track}: {_amount(now)} → {_amount(then)} a day ({told})",
            "lever",
            "type",
            "now",
            "proposed",
            "change",
            "P(CAC>cap)",
            "why",
        )
        moved = rows.with_columns(
            weight=(pl.col("proposed_budget") - pl.col("current_budget")).cast(pl.Float64).abs()
        ).sort("weight", descending=True)
        for row in moved.head(_SHOWN_LEVERS).iter_rows(named=True):
            grid.add_row(
                row["lever_id"],
                row["type"],
                _amount(row["current_budget"]),
                _amount(row["proposed_budget"]),
                f"{row['change_fraction']:+.1%}",
                f"{row['p_cac_above_cap']:.2f}",
                row["reason"],
            )
        console.print(grid)
        if rows.height > _SHOWN_LEVERS:
            console.print(f"  and {rows.height - _SHOWN_LEVERS} more levers", style="dim")
        if rows["advisory"].all():
            console.print(
                "  advisory: these levers are declared by a mapping, nothing can be written", style="dim"
            )


def _slates(console: Console, warehouse: Warehouse, morning: date) -> None:
    slates = _read(warehouse, "gaelp_training.slates", morning)
    for (track,), rows in slates.sort("track", "rank").group_by("track", maintain_order=True):
        grid = _grid(
            f"Slate {track}: {_amount(float(rows['budget'].sum()))} a day, launched paused",
            "creative",
            "role",
            "budget",
            "p_best",
            "P(CAC≤cap)",
            "signups p50",
            "CAC p50",
        )
        for row in rows.iter_rows(named=True):
            grid.add_row(
                row["creative_id"],
                row["role"],
                _amount(row["budget"]),
                f"{row['p_best']:.2f}",
                f"{row['p_meets_cap']:.2f}",
                _amount(row["signups_p50"]),
                _amount(row["cac_p50"]),
            )
        console.print(grid)


def _accuracy(console: Console, warehouse: Warehouse) -> None:
    accuracy = _read(warehouse, "gaelp_training.forecast_accuracy")
    if accuracy.is_empty():
        return
    newest = accuracy.filter(
        pl.col("as_of_date") == pl.col("as_of_date").max().over("platform", "account_id")
    )
    grid = _grid(
        "Backtest: does the 80 % interval hold, and does it beat naive methods?",
        "account",
        "metric",
        "days",
        "method",
        "coverage",
        "interval",
        "pinball",
        "worse than aelp by",
    )
    for row in newest.sort("account_id", "metric", "horizon_days", "method").iter_rows(named=True):
        interval = f"{_share(row['coverage_low'])}–{_share(row['coverage_high'])}"
        against = (
            ""
            if row["method"] == "aelp"
            else (
                f"{_share(row['pinball_difference'])} "
                f"({_share(row['pinball_difference_low'])} to {_share(row['pinball_difference_high'])})"
            )
        )
        grid.add_row(
            row["account_id"],
            row["metric"],
            str(row["horizon_days"]),
            row["method"],
            _share(row["coverage"]),
            interval,
            _share(row["pinball"]),
            against,
        )
    console.print(grid)


def _amount(value: object) -> str:
    if value is None:
        return "–"
    number = float(str(value))
    return f"{number:,.2f}" if abs(number) < 100 else f"{number:,.0f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
