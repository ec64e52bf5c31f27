"""Files that somebody made to do harm cost a message, and neither memory, other files nor the run."""

from __future__ import annotations

import errno
import io
import json
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import fsspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from resources.files.mapping import MappingError
from resources.files.names import told
from resources.files.opening import Limits, UnreadableFile, head_text, inspect, parquet_columns
from resources.files.workbooks import read_workbook

STREAM = "file_ad_performance"
SHEET = "xl/worksheets/sheet1.xml"
LOCAL = fsspec.filesystem("file")


@pytest.fixture
def sheet(exports) -> bytes:
    """A workbook with one good row."""
    row = exports.generic_row()
    return exports.workbook({"Data": [list(row), list(row.values())]})


def rewritten(workbook: bytes, member: str, change: Callable[[bytes], bytes]) -> bytes:
    """The workbook with one of its members changed."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook)) as read,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in read.namelist():
            new.writestr(name, change(read.read(name)) if name == member else read.read(name))
    return out.getvalue()


def far_cell(text: bytes) -> bytes:
    """A second cell at the far corner of the sheet: 17 billion cells laid out, 550 GB."""
    return text.replace(b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>')


def long_texts(text: bytes, times: int = 100_000) -> bytes:
    """So many cells that show one text of 64 kB; 100,000 are 7 MB of XML, 6 GB of cells."""
    cells = "".join(f'<row r="{r}"><c r="A{r}" t="s"><v>0</v></c></row>' for r in range(3, times + 3))
    return text.replace(b"</sheetData>", cells.encode() + b"</sheetData>")


def with_long_text(workbook: bytes) -> bytes:
    """The workbook with a table of shared texts."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
    link = f'<Relationship Id="rIdS" Type="{kind}" Target="sharedStrings.xml"/></Relationships>'
    workbook = rewritten(
        workbook,
        "xl/_rels/workbook.xml.rels",
        lambda text: text.replace(b"</Relationships>", link.encode()),
    )
    out = io.BytesIO(workbook)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{main}"><si><t>{"x" * 65_536}</t></si></sst>')
    return out.getvalue()


@pytest.mark.parametrize("hostile", ["far apart", "shared texts"])
def test_a_workbook_that_asks_for_more_memory_than_it_may_have_is_refused(bench, exports, sheet, hostile):
    bench.limits = replace(Limits(), workbook_memory=1 << 30)
    changed = rewritten(sheet, SHEET, far_cell if hostile == "far apart" else long_texts)
    bench.put("b.xlsx", changed if hostile == "far apart" else with_long_text(changed))
    bench.put("good.xlsx", sheet)
    report = bench.land()
    assert "cannot be read within 1 GiB of memory" in report.unrecognised[0].reason
    assert report.rows_written == {STREAM: 1}


def test_cells_that_the_reader_can_hold_and_the_landing_cannot_are_refused(bench, sheet):
    bench.limits = replace(Limits(), workbook_memory=2 << 30)
    bench.put("b.xlsx", with_long_text(rewritten(sheet, SHEET, lambda text: long_texts(text, 9_000))))
    assert "its cells take more than 536,870,912 bytes" in bench.land().unrecognised[0].reason


def test_a_workbook_of_a_million_members_is_refused(bench, sheet):
    bench.limits = replace(Limits(), workbook_memory=1 << 29)
    bench.put("good.xlsx", sheet)
    members = (b"PK\x01\x02" + bytes(24) + b"\x01\x00" + bytes(16) + b"a") * 1_000_000
    end = b"PK\x05\x06" + bytes(8) + struct.pack("<II", len(members), 4) + bytes(2)
    bench.put("b.xlsx", b"PK\x03\x04" + members + end)
    report = bench.land()
    assert "cannot be read within 0.5 GiB of memory" in report.unrecognised[0].reason
    assert report.rows_written == {STREAM: 1}


@pytest.mark.parametrize("most", [1 << 20, 1 << 30], ids=["too large", "no workbook"])
def test_a_large_archive_is_refused_without_being_held_in_memory(tmp_path, most):
    with zipfile.ZipFile(tmp_path / "exports.zip", "w") as archive:
        archive.writestr("june.csv", bytes(64 << 20))
    tracemalloc.start()
    with pytest.raises(UnreadableFile, match="unpack it into the folder"):
        read_workbook(LOCAL, str(tmp_path / "exports.zip"), replace(Limits(), workbook_bytes=most))
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def marked(workbook: bytes, local: int, central: int, value: int) -> bytes:
    """The workbook with a byte of every member's local and central header changed."""
    changed = bytearray(workbook)
    for signature, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        place = changed.find(signature)
        while place >= 0:
            changed[place + offset] = value
            place = changed.find(signature, place + 4)
    return bytes(changed)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda content: marked(content, 6, 8, 1), "encrypted"),
        (lambda content: marked(content, 8, 10, 99), "compression method"),
        (lambda content: content[:60] + b"\xff" * 20 + content[80:], "broken workbook"),
        (lambda content: rewritten(content, SHEET, lambda _: b"<"), "not a readable workbook"),
        (
            lambda content: rewritten(content, SHEET, lambda text: text.replace(b"newsletter", b"&b;")),
            "entity",
        ),
    ],
    ids=["locked", "packed otherwise", "damaged", "no sheet", "an entity"],
)
def test_a_workbook_nobody_can_open_stops_nothing(bench, exports, sheet, spoil, reason):
    bench.put("b.xlsx", spoil(sheet))
    bench.put("good.csv", [exports.generic_row()])
    report = bench.land()
    assert reason in report.unrecognised[0].reason
    assert report.rows_written == {STREAM: 1}


def repeated(row: Mapping[str, Any], times: int, groups: int = 1) -> bytes:
    """A Parquet file in which every value stands once and is said to be repeated."""
    columns = {
        name: pa.DictionaryArray.from_arrays(np.zeros(times, np.int32), pa.array([str(value)]))
        for name, value in row.items()
    }
    out = io.BytesIO()
    table = pa.table(columns)
    with pq.ParquetWriter(out, table.schema, compression="zstd", store_schema=False) as writer:
        for _ in range(groups):
            writer.write_table(table)
    return out.getvalue()


def test_a_long_text_repeated_in_parquet_is_refused_before_it_is_written_out(bench, exports):
    row = exports.generic_row(campaign="x" * 1_000_000)
    bench.put("b.parquet", repeated(row, 20_000))
    bench.put("good.csv", [exports.generic_row()])
    report = bench.land()
    assert "holds 20,000,000,000 bytes in 20,000 rows" in report.files[0].fault
    assert report.rows_written == {STREAM: 1}


def test_more_rows_than_a_parquet_file_of_its_size_can_hold_are_refused_unread(bench, exports):
    content = repeated(exports.generic_row(), 1_000_000, groups=4)
    assert len(content) < 140_000
    bench.put("b.parquet", content)
    assert "holds 4,000,000 rows of 9 columns" in bench.land().files[0].fault.lower()


def test_texts_of_parquet_are_the_same_whether_stored_once_or_each_time(bench, exports):
    rows = [exports.generic_row(campaign=name) for name in ("é", "b", "b")]
    frame = pl.DataFrame([row | {"ad_id": number} for number, row in enumerate(rows)])
    for name, options in {"a": {"use_dictionary": True}, "b": {"use_dictionary": False}}.items():
        out = io.BytesIO()
        pq.write_table(frame.to_arrow(), out, **options)
        bench.put(f"{name}.parquet", out.getvalue())
    assert [file.outcome for file in bench.land().files] == ["loaded", "unchanged"]


FILES = fsspec.filesystem("memory")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6)), max_size=6), kept=st.floats(0.1, 1))
@pytest.mark.parametrize("kind", ["text", "parquet"])
def test_whatever_bytes_a_file_holds_it_is_read_or_refused_by_name(exports, kind, edits, kept):
    content = exports.csv_text([exports.generic_row()]).encode()
    if kind == "parquet":
        content = repeated(exports.generic_row(), 5)
    changed = bytearray(content[: int(len(content) * kept)])
    for place, inserted in edits:
        start = int(place * len(changed))
        changed[start : start + len(inserted)] = inserted
    FILES.pipe_file("/hostile", bytes(changed))
    for read in (
        lambda: head_text(FILES, "/hostile", Limits()),
        lambda: inspect(FILES, "/hostile", Limits()),
        lambda: parquet_columns(FILES, "/hostile"),
        lambda: read_workbook(FILES, "/hostile", Limits()),
    ):
        with suppress(UnreadableFile):
            read()


# --- names and links ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"a\nb.csv", r"a\nb.csv"),
        (b"\x1b[2Jb.csv", r"\x1b[2Jb.csv"),
        (b"b\xff.csv", r"b\udcff.csv"),
        ("b\u2028.csv".encode(), r"b\u2028.csv"),
    ],
    ids=["line break", "terminal escape", "no text", "line separator"],
)
def test_a_name_that_cannot_be_told_is_refused_and_told_escaped(bench, exports, name, shown):
    path = os.fsencode(bench.folder) + b"/" + name
    with open(path, "wb") as file:
        file.write(exports.csv_text([exports.generic_row()]).encode())
    bench.put("good.csv", [exports.generic_row(cost="7")])
    report = bench.land()
    assert [file.path for file in report.unrecognised] == [shown]
    assert "rename it" in report.unrecognised[0].reason
    assert all(line.isprintable() for line in report.lines())
    assert report.rows_written == {STREAM: 1}


@given(st.text(max_size=30))
@example("Bildschirmfoto\u202f2026 — ağustos 日本 👩\u200d🚀.csv")
def test_a_told_name_is_one_line_and_ordinary_ones_are_as_they_are(name):
    assert len(told(name).splitlines()) <= 1
    told(name).encode()
    if name.isprintable():
        assert told(name) == name


def test_a_link_to_a_pipe_or_to_nothing_keeps_nobody_waiting(bench, exports):
    os.mkfifo(bench.folder / ".pipe")
    (bench.folder / "a.csv").symlink_to(bench.folder / ".pipe")
    (bench.folder / "b.csv").symlink_to(bench.folder / "absent")
    bench.put("good.csv", [exports.generic_row()])
    report = bench.land()
    assert {file.path: file.reason for file in report.unrecognised} == dict.fromkeys(
        ["a.csv", "b.csv"], "a link to no file"
    )
    assert report.rows_written == {STREAM: 1}


@pytest.mark.parametrize("linked", ["folder", "file"])
def test_mappings_are_never_read_from_outside_the_folder(bench, tmp_path, linked):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.yaml").write_text("password: hunter2\n")
    if linked == "folder":
        (bench.folder / "_mappings").symlink_to(outside)
    else:
        (bench.folder / "_mappings").mkdir()
        (bench.folder / "_mappings" / "x.yaml").symlink_to(outside / "x.yaml")
    with pytest.raises(MappingError, match=r"_mappings/x\.yaml: leads outside the drop folder") as caught:
        bench.land()
    assert "password" not in str(caught.value)


def test_a_mapping_file_larger_than_any_is_not_read(bench):
    bench.put("_mappings/x.yaml", b"a" * (2 << 20))
    with pytest.raises(MappingError, match="larger than"):
        bench.land()


def test_a_mapping_file_that_may_not_be_read_is_named(bench, monkeypatch):
    bench.put("_mappings/x.yaml", b"name: x\n")
    real = LocalFileSystem._open

    def forbidding(self, path, *rest, **named):
        # Whoever may read everything, as in a container, is not stopped by a file's mode.
        if path.endswith("x.yaml"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(self, path, *rest, **named)

    monkeypatch.setattr(LocalFileSystem, "_open", forbidding)
    with pytest.raises(MappingError, match=r"_mappings/x\.yaml: cannot be read \(Permission denied\): let"):
        bench.land()


HOSTILE = (
    "'; drop table raw.file_ad_performance; --",
    '"; delete from ops.ingest_slices; --',
    "x' or '1'='1",
    "$stream $1 ? %s :name @name",
    "{{ ref('ads_ad_daily') }} {% raw %}",
    "`raw`.`x` \\' \\",
    "/* */ -- # ;",
    "=cmd|' /C calc'!A0",
)


def test_whatever_names_a_file_holds_they_are_landed_as_texts(bench, exports):
    rows = [exports.generic_row(campaign=name, account_id=f"n{n}") for n, name in enumerate(HOSTILE)]
    bench.put("june.csv", [row | dict.fromkeys(HOSTILE, "1") for row in rows])
    bench.put("accounts.csv", [exports.generic_row(account_id=name) for name in HOSTILE])
    bench.put("'; drop table ops.quarantine; --.csv", [exports.generic_row(account_id="sane")])
    report = bench.land()
    assert report.rows_written == {STREAM: 2 * len(HOSTILE) + 1}
    landed = [json.loads(text) for text in bench.rows(STREAM)["payload"]]
    assert {row["campaign_name"] for row in landed} == {*HOSTILE, "brand"}
    assert set(bench.rows(STREAM)["account_id"]) == {*HOSTILE, "sane", *(row["account_id"] for row in rows)}
    assert {file.outcome for file in bench.land().files} == {"known"}
