"""`aelp as-of` and `aelp export`: a table as it was known at a moment, and as a spreadsheet.

Here: their words, options and files. Not here: what was known (`aelp_assets.as_of`), how a sheet is made
(`resources.spreadsheets`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from aelp_assets.commands.days import parse_day
from resources.settings import Environment, Settings, SettingsError, read_environment

if TYPE_CHECKING:
    import polars as pl

    from aelp_assets.as_of import Known
    from aelp_assets.catalogue import Catalogue, Described

_WIDEST_CELL = 38
_WORD = 12  # letters of a status, a track, a platform


_Table = Annotated[
    str, typer.Argument(help="Such as ads_ad_daily or ops.proposals; the schema where two are called so.")
]
_Since = Annotated[
    date | None,
    typer.Option(parser=parse_day, metavar="YYYY-MM-DD", help="From this day on, by its day column."),
]
_Until = Annotated[date | None, typer.Option(parser=parse_day, metavar="YYYY-MM-DD", help="Up to this day.")]
_Csv = Annotated[
    Path | None,
    typer.Option(
        help="Write all rows here, exact; moments in UTC. Names from outside may begin with =, a formula to "
        "spreadsheets: open it there with --xlsx instead."
    ),
]
_Xlsx = Annotated[Path | None, typer.Option(help="Write all rows into a spreadsheet here.")]
_Replace = Annotated[bool, typer.Option("--replace", help="Write over a file that is there.")]
_Rules = Annotated[
    Literal["then", "now"],
    typer.Option(help="Marts by the settings' rules of then, refused where these are gone, or by today's."),
]


def as_of(
    table: _Table,
    moment: Annotated[
        str, typer.Argument(help="A day, for its end, or ISO 8601 with its zone: 2026-06-30T09:00:00-04:00.")
    ],
    since: _Since = None,
    until: _Until = None,
    limit: Annotated[int, typer.Option(min=0, help="Print at most so many rows, newest days first.")] = 50,
    columns: Annotated[str | None, typer.Option(help="Print these columns, such as date,ad_id,cost.")] = None,
    csv: _Csv = None,
    xlsx: _Xlsx = None,
    rules: _Rules = "then",
    replace: _Replace = False,
) -> None:
    """Show a table as it was known at a moment; says so where that is no longer kept. Changes nothing."""
    asked = _Asked.read(since, until)
    _require_writable(csv, xlsx, replace)
    described, known, at = _known(asked, table, moment, rules)
    _print(described, known, f"as known at {_in_zone(at, asked.zone)}", limit, columns)
    _write(asked, described, known, f"as known at {_in_zone(at, asked.zone)}", csv, xlsx)


def export(
    table: _Table,
    xlsx: _Xlsx = None,
    csv: _Csv = None,
    since: _Since = None,
    until: _Until = None,
    as_of: Annotated[
        str | None, typer.Option(help="As it was known then: a day, or a moment with its zone.")
    ] = None,
    rules: _Rules = "then",
    replace: _Replace = False,
) -> None:
    """Write a table into a spreadsheet, with what each column means on a second sheet, or into a CSV file."""
    from aelp_assets.as_of import Known
    from aelp_assets.catalogue import Catalogue, day_column
    from resources.warehouse import open_warehouse

    if csv is None and xlsx is None:
        raise SettingsError("Say where to: --xlsx FILE, or --csv FILE.")
    asked = _Asked.read(since, until)
    _require_writable(csv, xlsx, replace)
    if as_of is not None:
        described, known, at = _known(asked, table, as_of, rules)
        _write(asked, described, known, f"as known at {_in_zone(at, asked.zone)}", csv, xlsx)
        return
    described = Catalogue(asked.environment).find(table)
    warehouse = open_warehouse(asked.environment)
    columns = warehouse.columns(described.name)
    if not columns:
        raise SettingsError(f"{described.name} is not built yet: `aelp run` builds what data there is for.")
    days: dict[str, Any] = {}
    if since is not None or until is not None:
        days = {"partition": day_column(columns), "first": since, "last": until}
        if days["partition"] is None:
            raise SettingsError(
                f"{described.name}: no column says which day a row is of; leave out --since and --until"
            )
    _write(asked, described, Known(warehouse.read(described.name, **days)), "as it is now", csv, xlsx)


@dataclass(frozen=True)
class _Asked:
    """Where and when a command runs, and the days it was asked for."""

    environment: Environment
    settings: Settings
    now: datetime
    first: date | None
    last: date | None

    @classmethod
    def read(cls, first: date | None, last: date | None) -> _Asked:
        from aelp_assets.cli import settings_of
        from resources.clock import clock_from_environment
        from resources.home import recall_context

        if first is not None and last is not None and first > last:
            raise SettingsError(f"--since {first} is after --until {last}")
        recall_context(read_environment())  # a simulated home has its own now
        environment = read_environment()
        return cls(environment, settings_of(environment), clock_from_environment().now(), first, last)

    @property
    def zone(self) -> ZoneInfo:
        return self.settings.timezone


def _known(
    asked: _Asked, table: str, moment: str, rules: Literal["then", "now"]
) -> tuple[Described, Known, datetime]:
    from aelp_assets.as_of import Past
    from aelp_assets.catalogue import Catalogue
    from resources.history.moments import read_moment

    at = read_moment(moment, asked.zone, asked.now)
    catalogue: Catalogue = Catalogue(asked.environment)
    described = catalogue.find(table)
    past = Past(asked.environment, catalogue, at, asked.zone, rules)
    return described, past.known(described, asked.first, asked.last), at


def _print(described: Described, known: Known, when: str, limit: int, asked_for: str | None) -> None:
    from rich.table import Table

    from aelp_assets.file_report import terminal

    console = terminal()
    console.print(f"{described.name} {when}: {known.rows.height:,} rows", style="bold", soft_wrap=True)
    newest = _ordered(known.rows, described, newest_first=True).head(limit)
    wanted = _telling(newest, described) if asked_for is None else _chosen(newest, described, asked_for)
    cells = [[_cell(value) for value in row] for row in newest.select(wanted).rows()]
    if cells:
        widths = [2 + max(map(len, column)) for column in zip(wanted, *cells, strict=True)]
        fit = max(1, sum(1 for place in range(len(wanted)) if sum(widths[: place + 1]) <= console.width))
        grid = Table(box=None, pad_edge=False)
        for column in wanted[:fit]:
            grid.add_column(
                column, justify="right" if newest[column].dtype.is_numeric() else "left", no_wrap=True
            )
        for row in cells:
            grid.add_row(*row[:fit])
        console.print(grid)
        if known.rows.height > newest.height:
            more = known.rows.height - newest.height
            console.print(f"and {more:,} more rows: --limit shows more, --csv and --xlsx have all")
        if fit < len(wanted):
            left = ", ".join(wanted[fit:])
            console.print(f"Not shown here (--columns a,b chooses): {left}", soft_wrap=True)
    for note in known.notes:
        console.print(note, soft_wrap=True)


def _chosen(rows: pl.DataFrame, described: Described, asked_for: str) -> list[str]:
    chosen = [name.strip() for name in asked_for.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in rows.columns]
    if unknown or not chosen:
        raise SettingsError(
            f"{described.name}: no column {', '.join(unknown)}; it has {', '.join(rows.columns)}"
        )
    return chosen


def _telling(rows: pl.DataFrame, described: Described) -> list[str]:
    """The columns in the order a person looks for them: day, grain, words that differ, figures, the rest."""
    import polars as pl

    from aelp_assets.catalogue import day_column

    day = day_column(rows.columns)

    def place(column: str) -> int:
        values = rows[column]
        if column == day:
            return 0
        if column in described.grain:
            return 1
        if values.n_unique() == 1 and rows.height > 1:
            return 4
        if not isinstance(values.dtype, pl.String):
            return 3
        longest = values.str.len_chars().max() or 0
        return 4 if column.endswith(("_id", "_hash")) or longest > _WORD else 2  # type: ignore[operator]

    return sorted(rows.columns, key=place)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return f"{value:,f}".rstrip("0").rstrip(".") if isinstance(value, Decimal) else f"{value:,}"
    text = " ".join(str(value).split())
    return text if len(text) <= _WIDEST_CELL else f"{text[: _WIDEST_CELL - 1]}…"


def _ordered(rows: pl.DataFrame, described: Described, *, newest_first: bool) -> pl.DataFrame:
    from aelp_assets.catalogue import day_column

    day = day_column(rows.columns)
    first = [] if day is None else [day]
    keys = [*first, *(name for name in described.grain if name in rows.columns and name != day)]
    if not keys:
        return rows
    return rows.sort(keys, descending=[newest_first and key == day for key in keys], maintain_order=True)


def _require_writable(csv: Path | None, xlsx: Path | None, replace: bool) -> None:
    """Said before anything is built."""
    for path in (csv, xlsx):
        if path is None:
            continue
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise SettingsError(f"{path}: must be a file in a folder that exists")
        if path.exists() and not replace:
            raise SettingsError(f"{path} is there already; name another file, or say --replace")
    if xlsx is not None and xlsx.suffix.lower() != ".xlsx":
        raise SettingsError(f"{xlsx}: a spreadsheet's name ends in .xlsx, or no program opens it")


def _write(
    asked: _Asked, described: Described, known: Known, when: str, csv: Path | None, xlsx: Path | None
) -> None:
    from resources.spreadsheets import About, DoesNotFit, workbook
    from resources.whole_files import write_whole

    rows = _ordered(known.rows, described, newest_first=False)
    days = [f"{word} {day}" for word, day in (("from", asked.first), ("up to", asked.last)) if day]
    about = About(
        [
            ("Table", str(described.name)),
            ("What it is", described.description),
            ("One row per", ", ".join(described.grain) or "not said"),
            ("State", when),
            ("Days", " ".join(days) or "all"),
            ("Rows", f"{rows.height:,}"),
            ("Exported", f"{_in_zone(datetime.now(UTC), asked.zone)}"),
            *(("Note", note) for note in known.notes),
        ],
        described.columns,
    )
    for path in (csv, xlsx):
        if path is None:
            continue
        try:
            content = (
                rows.write_csv().encode() if path is csv else workbook(described.name.table, rows, about)
            )
            write_whole(path.absolute(), content)
        except DoesNotFit as fault:
            raise SettingsError(f"{described.name}: {fault}") from None
        except OSError as fault:
            raise SettingsError(f"{path}: cannot be written ({fault.strerror})") from None
        typer.echo(f"{described.name} {when}, {rows.height:,} rows: {path}")


def _in_zone(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
