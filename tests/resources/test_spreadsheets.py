"""Spreadsheets as they lie in the file: kinds of cells, formats, nothing that runs."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from xml.etree import ElementTree

import polars as pl
import pytest

from resources.spreadsheets import MOST_CHARACTERS, MOST_ROWS, About, DoesNotFit, workbook

ABOUT = About([("Table", "gaelp_training.ads")], {"spend": "Dollars.", "ctr": "Clicks per impression."})
NAMESPACE = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
ROWS = pl.DataFrame(
    {
        "date": [date(2026, 6, 30), None],
        "at": pl.Series([datetime(2026, 6, 30, 13, tzinfo=UTC), None], dtype=pl.Datetime("us", "UTC")),
        "spend": pl.Series([Decimal("1234.500000000"), None], dtype=pl.Decimal(38, 9)),
        "ctr": [0.0123, None],
        "impressions": [5000, None],
        "is_new": [True, None],
        "name": ["Spring", "Later"],
    }
)


def parts(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name: file.read(name).decode() for name in file.namelist()}


def read(content: bytes, sheet: str | None = None) -> pl.DataFrame:
    return pl.read_excel(io.BytesIO(content), sheet_name=sheet)


def test_a_sheet_holds_numbers_days_and_moments_as_such_and_nulls_as_blanks():
    back = read(workbook("ads", ROWS, ABOUT))
    day, at, *numbers, name = back.row(0)
    assert (day, at.replace(tzinfo=UTC)) == (date(2026, 6, 30), datetime(2026, 6, 30, 13, tzinfo=UTC))
    assert (numbers, name) == ([1234.5, 0.0123, 5000, True], "Spring")
    assert back.row(1) == (*[None] * 6, "Later")


def test_money_shares_and_days_are_shown_as_such():
    told = parts(workbook("ads", ROWS, ABOUT))
    for shape in ("#,##0.00", "0.00%", "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "#,##0"):
        assert shape in told["xl/styles.xml"] or shape in ("0.00%", "#,##0", "#,##0.00")  # built into Excel
    sheet = ElementTree.fromstring(told["xl/worksheets/sheet1.xml"])
    styles = ElementTree.fromstring(told["xl/styles.xml"]).findall(".//m:cellXfs/m:xf", NAMESPACE)
    custom = {
        each.get("numFmtId"): each.get("formatCode")
        for each in ElementTree.fromstring(told["xl/styles.xml"]).findall(".//m:numFmt", NAMESPACE)
    }
    built_in = {"3": "#,##0", "4": "#,##0.00", "10": "0.00%"}
    shown = [
        (custom | built_in).get(styles[int(cell.get("s") or 0)].get("numFmtId"), "")
        for cell in sheet.findall(".//m:row[@r='2']/m:c", NAMESPACE)
    ]
    assert shown[:5] == ["yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "#,##0.00", "0.00%", "#,##0"]


def test_the_header_stays_in_sight_and_filters():
    told = parts(workbook("ads", ROWS, ABOUT))
    assert 'ySplit="1"' in told["xl/worksheets/sheet1.xml"]
    assert 'state="frozen"' in told["xl/worksheets/sheet1.xml"]
    assert "<autoFilter" in told["xl/tables/table1.xml"]


@pytest.mark.parametrize(
    "text", ['=HYPERLINK("http://evil","x")', "+1+1", "-1+1", "@SUM(A1)", "http://evil", "{=A1}", "0123"]
)
def test_text_stays_text_whatever_it_begins_with(text):
    content = workbook("ads", pl.DataFrame({"name": [text, "x"], text: ["a", "b"]}), ABOUT)
    assert read(content)["name"].to_list() == [text, "x"]
    told = parts(content)
    assert not any("<f>" in part for name, part in told.items() if "sheet" in name)
    assert "<hyperlink" not in told["xl/worksheets/sheet1.xml"]
    said = About([("Note", text)], {"name": text})
    assert "<f>" not in parts(workbook("ads", ROWS, said))["xl/worksheets/sheet2.xml"]


def test_the_second_sheet_says_what_each_column_is():
    about = read(workbook("ads", ROWS, ABOUT), "About")
    told = {row[0]: row[1:] for row in about.iter_rows()}
    assert told["spend"] == ("Dollars.", "money, account currency")
    assert told["ctr"] == ("Clicks per impression.", "share of one, shown as %")
    assert told["at"] == ("", "moment, UTC")


def test_whole_numbers_a_cell_cannot_hold_stay_exact_as_text():
    assert read(workbook("ids", pl.DataFrame({"id": [2**53 + 1]}), ABOUT))["id"].cast(
        pl.String
    ).item() == str(2**53 + 1)


def test_what_does_not_fit_is_refused_with_a_remedy():
    with pytest.raises(DoesNotFit, match=r"1,048,576 rows.*--since and --until, or write --csv"):
        workbook("ads", pl.DataFrame({"n": pl.repeat(1, MOST_ROWS + 1, eager=True)}), ABOUT)
    with pytest.raises(DoesNotFit, match="payload: a text of 32,768 characters"):
        workbook("ads", pl.DataFrame({"payload": ["x" * (MOST_CHARACTERS + 1)]}), ABOUT)


def test_a_table_without_rows_is_a_sheet_with_its_header():
    assert read(workbook("ads", ROWS.clear(), ABOUT)).columns == ROWS.columns
