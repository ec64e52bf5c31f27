from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.files.batches import text_batches
from resources.files.opening import UnreadableFile
from resources.files.recognition import Header

HEADER = Header(("a", "b", "c"), ",", 1)


def read(path: Path, header: Header = HEADER, block: int = 1 << 20) -> tuple[dict[int, list[str]], list[int]]:
    rows: dict[int, list[str]] = {}
    ragged = []
    for batch in text_batches(path, header, [0, 1, 2], has_quotes=True, block_bytes=block):
        cells = batch.cells.rows()
        rows |= {line: list(row) for line, row in zip(batch.lines.to_list(), cells, strict=True)}
        ragged += [row.line for row in batch.ragged]
    return rows, ragged


cell = st.text(alphabet=st.sampled_from(list('ab1 ,\n"é')), max_size=6)
row = st.lists(cell, min_size=1, max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(row, min_size=1, max_size=30))
def test_every_row_comes_with_its_own_line_whatever_the_rows_above_hold(tmp_path, rows):
    # A last cell keeps a row of empty cells apart from a blank line.
    rows = [[*cells, "x"] for cells in rows]
    path = tmp_path / "t.csv"
    out = io.StringIO()
    expected, expected_ragged = {}, []
    line = 2
    for cells in rows:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(cells)
        (expected.__setitem__(line, cells) if len(cells) == 3 else expected_ragged.append(line))
        line += text.getvalue().count("\n")
        out.write(text.getvalue())
    path.write_text("a,b,c\n" + out.getvalue(), newline="")
    assert read(path) == (expected, expected_ragged)


def test_lines_go_on_across_blocks(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f'{n},"x\ny",{"z" * 50}' for n in range(500)]
    path.write_text("a,b,c\n" + "\n".join(rows) + "\n")
    found, _ = read(path, block=2048)
    assert list(found) == list(range(2, 1002, 2))
    assert [int(cells[0]) for cells in found.values()] == list(range(500))


def test_lines_count_a_preamble_and_blank_lines(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Title\nRange\na,b,c\n1,2,3\n\n4,5,6\n")
    found, ragged = read(path, Header(("a", "b", "c"), ",", 3))
    assert found[4] == ["1", "2", "3"]
    assert found[6] == ["4", "5", "6"]
    assert ragged == []


def test_a_file_of_only_a_header_has_no_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n")
    assert read(path) == ({}, [])


def test_a_row_larger_than_a_block_is_an_error_that_names_the_cause(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b,c\n1,"' + "x\n" * 10_000 + "\n")
    with pytest.raises(UnreadableFile, match="Is a quote never closed"):
        read(path, block=1024)
