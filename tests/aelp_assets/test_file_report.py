"""What the terminal says of dropped files: this landing's, whole reasons, names as they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from aelp_assets.file_report import (
    newest_landing,
    print_files,
    print_landing,
    print_quarantine,
    read_landings,
    rows_added,
    terminal,
)
from resources.warehouse.interface import Append, Warehouse
from resources.warehouse.tables import FILE_LANDINGS, QUARANTINE

MOMENT = datetime(2026, 6, 30, 13, tzinfo=UTC)


def landed(file: str, status: str = "landed", at: datetime = MOMENT, **values) -> dict:
    counts = dict.fromkeys(("rows", "changed_slices", "refused_rows", "flagged_rows"), 0)
    return {"file": file, "status": status, "landed_at": at, **counts, **values}


def frame(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=FILE_LANDINGS.polars_schema, orient="row")


def aside(file: str, line: int | None, reason: str, record: str | None = None) -> dict:
    known = {"file_hash": "h", "severity": "refused", "quarantined_at": MOMENT}
    return {**known, "file": file, "line": line, "reason": reason, "record": record}


@pytest.fixture
def warehouse(duckdb_warehouse) -> Warehouse:
    duckdb_warehouse.ensure_tables([FILE_LANDINGS, QUARANTINE])
    return duckdb_warehouse


def quarantine(warehouse: Warehouse, *rows: dict) -> None:
    schema = QUARANTINE.polars_schema
    warehouse.write(Append(QUARANTINE, pl.DataFrame(list(rows), schema=schema, orient="row")))


def test_only_this_landing_counts_even_where_two_share_their_moment():
    first = frame(landed("a.csv", rows=5), landed("b.csv", rows=6))
    again = frame(landed("a.csv", "unchanged"), landed("b.csv", "unchanged"))
    before = pl.concat([first, again])
    assert rows_added(before, pl.concat([before, again])).sort("file").equals(again)
    assert rows_added(before, before).is_empty()
    assert rows_added(frame(), first).sort("file").equals(first)


def test_the_newest_landing_tells_each_file_once():
    later = MOMENT + timedelta(hours=1)
    unchanged = frame(landed("a.csv", "unchanged", later))
    assert newest_landing(pl.concat([frame(landed("a.csv")), unchanged, unchanged])).equals(unchanged)


def test_an_empty_landing_is_not_the_one_before_it(warehouse, capsys):
    warehouse.write(Append(FILE_LANDINGS, frame(landed("a.csv", rows=5))))
    print_landing(terminal(), warehouse, frame())
    assert capsys.readouterr().out == "Files: none in the drop folder, nothing was landed.\n"


def test_brackets_in_names_and_reasons_are_printed_as_they_are(warehouse, capsys):
    rows = frame(landed("x [/q].csv", "refused", reason="[red] :smile: [/nothing] is no date"))
    quarantine(warehouse, aside("x [/q].csv", None, "[/b] whole", '{"a": "[/i]"}'))
    warehouse.write(Append(FILE_LANDINGS, rows))
    print_landing(terminal(), warehouse, rows)
    print_files(terminal(), warehouse)
    print_quarantine(terminal(), warehouse, None, 5)
    said = capsys.readouterr().out
    assert said.count("x [/q].csv") == 3
    assert "[red] :smile: [/nothing] is no date" in said
    assert '{"a": "[/i]"}' in said


def test_reasons_are_never_cropped(warehouse, capsys):
    reason = "spend is negative; " * 20 + "export it as an adjustment."
    print_landing(terminal(), warehouse, frame(landed("a.csv", "refused", reason=reason)))
    assert reason in capsys.readouterr().out


def test_a_near_miss_is_told_before_other_tables_and_images_are_only_counted(warehouse, capsys):
    images = [landed(f"a{n}.png", "unrecognised", reason="not a table: binary content") for n in range(40)]
    near = landed("z.csv", "unrecognised", reason="nearest known format is meta; missing columns: Day")
    other = landed("b.csv", "unrecognised", reason="not an advertising export known here")
    quarantine(warehouse, aside("z.csv", None, "Not loaded"), aside("b.csv", None, "Not loaded"))
    print_landing(terminal(), warehouse, frame(*images, near, other))
    said = capsys.readouterr().out
    assert said.index("z.csv") < said.index("b.csv")
    assert ".png" not in said
    assert "unrecognised: 40 that are no tables" in said


def test_a_loaded_file_with_refused_rows_tells_the_first_reason(warehouse, capsys):
    row = landed("june.csv", rows=90, refused_rows=2, reason="line 12: spend is -3. Negative spend.")
    print_landing(terminal(), warehouse, frame(row, landed("july.csv", rows=10)))
    said = capsys.readouterr().out
    assert "2 rows refused: june.csv: line 12: spend is -3. Negative spend." in said
    assert "july.csv" not in said


def test_every_file_is_listed_with_what_was_said_when_it_was_read(warehouse, capsys):
    later = MOMENT + timedelta(hours=2)
    part = landed("june.csv", rows=90, refused_rows=2, format="meta_ads", reason="line 12: spend is -3.")
    gone = landed("lost.csv", "refused", reason="two currencies")
    again = [landed("june.csv", "unchanged", later)] * 2
    warehouse.write(Append(FILE_LANDINGS, frame(part, gone, *again)))
    print_files(terminal(), warehouse)
    assert capsys.readouterr().out.splitlines() == [
        "june.csv (meta_ads): landed 2026-06-30 13:00 UTC, 90 rows, 2 refused, "
        "unchanged at 2026-06-30 15:00 UTC",
        "    line 12: spend is -3.",
        "lost.csv: refused 2026-06-30 13:00 UTC",
        "    two currencies",
    ]


def test_the_quarantine_is_read_by_file_with_line_reason_and_record(warehouse, capsys):
    quarantine(
        warehouse,
        aside("meta/june.csv", 12, "spend is -3.", '{"spend": "-3"}'),
        aside("meta/june.csv", 14, "no such day"),
        aside("other.csv", None, "Not loaded"),
    )
    print_quarantine(terminal(), warehouse, "june.csv", 1)
    assert capsys.readouterr().out.splitlines() == [
        "meta/june.csv, set aside 2026-06-30 13:00 UTC",
        "  line 12 refused: spend is -3.",
        '    {"spend": "-3"}',
        "and 1 more in ops.quarantine: `--rows` shows more",
    ]
    print_quarantine(terminal(), warehouse, "absent.csv", 5)
    assert "Files with rows set aside: meta/june.csv, other.csv" in capsys.readouterr().out


def test_a_home_without_a_warehouse_has_no_files(duckdb_warehouse, capsys):
    assert read_landings(duckdb_warehouse).is_empty()
    print_files(terminal(), duckdb_warehouse)
    print_quarantine(terminal(), duckdb_warehouse, None, 5)
    assert capsys.readouterr().out == "No file has been landed yet.\nNothing is set aside.\n"
