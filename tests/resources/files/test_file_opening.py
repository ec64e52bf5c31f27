"""Encodings, compression, workbooks and Parquet, through a landing; and files that try to cost too much."""

from __future__ import annotations

import errno
import gzip
import io
import json
import resource
import subprocess
import sys
import zipfile
from datetime import date

import fsspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

from resources.files import fetching, workbook_process
from resources.files.landing import fetch_landing, plan_landing, publish_landing
from resources.files.opening import Limits, OutOfReach, UnreadableFile, expand
from resources.files.workbooks import read_workbook
from resources.landing.pages import Stamp

NAME = "Größe für naïve señores"


def landed_names(bench) -> list[str]:
    return [payload["campaign_name"] for payload in bench.payloads("file_ad_performance")]


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8"),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: text.encode("cp1252"),
        lambda text: text.encode("latin-1"),
        lambda text: text.encode().replace(b"\n", b"\r\n"),
        lambda text: text.encode().replace(b"\n", b"\r"),
        lambda text: b"sep=,\r\n" + text.encode("cp1252").replace(b"\n", b"\r\n"),
    ],
    ids=["utf-8", "bom", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1", "crlf", "cr", "sep line"],
)
def test_names_arrive_whatever_the_encoding(bench, exports, encode):
    bench.put("june.csv", encode(exports.csv_text([exports.generic_row(campaign=NAME)])))
    report = bench.land()
    assert [file.outcome for file in report.files] == ["loaded"], report.lines()
    assert landed_names(bench) == [NAME]


def test_cyrillic_is_told_from_western_text(bench, exports):
    name = "Летняя распродажа обуви"
    bench.put("june.csv", exports.csv_text([exports.generic_row(campaign=name)]).encode("cp1251"))
    bench.land()
    assert landed_names(bench) == [name]


def test_an_odd_byte_far_below_an_ascii_head_is_still_understood(bench, exports):
    rows = [exports.generic_row(campaign=f"plain {n}", impressions=n) for n in range(12_000)]
    rows.append(exports.generic_row(campaign="café"))
    content = exports.csv_text(rows).encode("cp1252")
    assert content.index("é".encode("cp1252")) > 1 << 19
    bench.put("june.csv", content)
    bench.land()
    assert "café" in landed_names(bench)


def test_a_mapping_may_name_the_encoding(bench, exports):
    bench.put(
        "_mappings/czech.yaml",
        """
name: czech
title: Czech export
encoding: cp1250
stream: file_ad_performance
source: {constant: czech}
account_id: {constant: a}
currency: {constant: CZK}
date: {column: Den, formats: ["%d.%m.%Y"]}
keys: {campaign_id: Kampan}
fields: {campaign_name: Kampan, impressions: Zobrazeni, clicks: Kliky, cost: Cena}
""",
    )
    text = "Den;Kampan;Zobrazeni;Kliky;Cena\n30.06.2026;Příští týden ňuf;1 000;10;1.234,56 Kč\n"
    bench.put("june.csv", text.replace(" Kč", "").encode("cp1250"))
    bench.land()
    payload = bench.payloads("file_ad_performance")[0]
    assert payload["campaign_name"] == "Příští týden ňuf"
    assert (payload["impressions"], payload["cost"]) == ("1000", "1234.56")


def test_a_text_without_the_mark_that_its_encoding_asks_for_stops_no_other_file(bench, exports):
    bench.put(
        "_mappings/marked.yaml",
        """
name: marked
title: Export with a byte order mark
encoding: utf-16
stream: file_ad_performance
source: {constant: marked}
account_id: {constant: a}
currency: {constant: EUR}
date: {column: Datum, formats: ["%Y-%m-%d"]}
keys: {campaign_id: Kampagne}
fields: {impressions: Impressionen}
""",
    )
    bench.put("odd.csv", "Datum,Kampagne,Impressionen\n2026-06-30,a,1\n")
    bench.put("good.csv", [exports.generic_row()])
    report = bench.land()
    assert [(file.path, file.outcome) for file in report.files] == [
        ("good.csv", "loaded"),
        ("odd.csv", "refused"),
    ]
    assert report.files[1].fault == (
        "The text (UTF-16 stream does not start with BOM) does not fit the encoding utf-16; export as UTF-8, "
        "or name the encoding in a mapping file."
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("zipped", [False, True])
def test_any_delimiter_zipped_or_not_lands_the_same_rows(bench, exports, delimiter, zipped):
    content = exports.csv_text(
        [exports.generic_row(), exports.generic_row(campaign="b")], delimiter=delimiter
    )
    raw = content.encode()
    bench.put("june", gzip.compress(raw) if zipped else raw)
    assert bench.land().rows_written == {"file_ad_performance": 2}
    assert bench.payloads("file_ad_performance")[0]["cost"] == "5.5"


def test_gzip_of_several_members_is_read_to_its_end(bench, exports):
    head, tail = exports.csv_text([exports.generic_row(), exports.generic_row(campaign="b")]).rsplit("\n", 2)[
        :2
    ]
    bench.put(
        "june.csv.gz", gzip.compress(f"{head}\n".encode()) + gzip.compress(f"{tail}\n".encode()) + b"\0" * 8
    )
    assert bench.land().rows_written == {"file_ad_performance": 2}


def test_a_cut_off_gzip_is_refused_whole(bench, exports):
    rows = [exports.generic_row(impressions=n * 7919 % 10_007, campaign=str(n)) for n in range(50_000)]
    bench.put("june.csv.gz", gzip.compress(exports.csv_text(rows).encode())[:-2000])
    report = bench.land()
    assert "ends early" in report.unrecognised[0].reason
    assert bench.rows("file_ad_performance").is_empty()


def test_a_decompression_bomb_stops_at_the_limit():
    bomb = gzip.compress(b"0" * (1 << 27))
    pieces = []
    with pytest.raises(UnreadableFile, match="decompression bomb"):
        pieces.extend(len(piece) for piece in expand(iter([bomb]), Limits()))
    assert sum(pieces) < 1 << 26


def test_a_gzip_of_members_with_nothing_in_them_is_refused_and_stops_no_other_file(bench, exports):
    bench.put("odd.csv.gz", gzip.compress(b"") * 20_000)
    bench.put("good.csv", [exports.generic_row()])
    report = bench.land()
    assert report.unrecognised[0].reason == (
        "holds 10,001 gzip members with 0 bytes in all, next to nothing in each: unpack it, and pack it anew "
        "as one"
    )
    assert report.rows_written == {"file_ad_performance": 1}


def test_nor_do_members_with_nothing_in_them_pass_below_a_good_head():
    stream = gzip.compress(b"2026-06-30,newsletter\n" * 5_000) + gzip.compress(b"") * 20_000
    with pytest.raises(UnreadableFile, match="holds 11,001 gzip members with 110,000 bytes in all"):
        list(expand(iter([stream]), Limits()))


def test_a_gzip_with_a_member_for_each_row_is_read():
    rows = [b"2026-06-30,%d\n" % n for n in range(10_500)]
    assert b"".join(expand(iter([b"".join(map(gzip.compress, rows))]), Limits())) == b"".join(rows)


def test_the_zeros_below_a_gzip_may_go_on_for_blocks():
    blocks = [gzip.compress(b"a") + bytes(1 << 17), bytes(1 << 17), gzip.compress(b"b")]
    assert b"".join(expand(iter(blocks), Limits())) == b"ab"


def test_a_bomb_in_the_folder_costs_the_other_files_nothing(bench, exports):
    header = exports.csv_text([exports.generic_row()]).splitlines()[0]
    line = b"2026-06-30,newsletter,n1,brand,EUR,1000,10,5.50,1\n"
    bench.put("bomb.csv.gz", gzip.compress(header.encode() + b"\n" + line * 2_000_000))
    bench.put("good.csv", [exports.generic_row()])
    report = bench.land()
    assert report.rows_written == {"file_ad_performance": 1}
    assert "decompression bomb" in report.unrecognised[0].reason


def test_parquet_lands_as_the_same_rows_as_csv(bench, exports):
    rows = [exports.generic_row(), exports.generic_row(campaign="b", cost="0.1")]
    bench.put("a.csv", rows)
    bench.land()
    frame = pl.DataFrame(rows).with_columns(
        pl.col("date").str.to_date(), pl.col("cost").cast(pl.Float64), pl.col("impressions").cast(pl.Int32)
    )
    out = io.BytesIO()
    frame.write_parquet(out)
    bench.put("b.parquet", out.getvalue())
    report = bench.land()
    assert [(file.path, file.outcome) for file in report.files] == [
        ("a.csv", "known"),
        ("b.parquet", "unchanged"),
    ]


def parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


@pytest.mark.parametrize("stored", [pl.Float64, pl.Float32, pl.Decimal(12, 2), pl.Int64])
def test_whole_ids_stored_as_numbers_are_the_ids_of_every_other_export(bench, exports, stored):
    rows = [exports.generic_row(campaign_id="456", ad_id=ad) for ad in ("12", "13", "")]
    bench.put("a.csv", rows)
    bench.land()
    numbers = pl.Series("ad_id", [12, 13, None]).cast(stored)
    frame = pl.DataFrame(rows).with_columns(numbers, campaign_id=pl.Series([456] * 3).cast(stored))
    bench.put("b.parquet", parquet(frame))
    assert bench.land().files[1].outcome == "unchanged"
    assert sorted(bench.rows("file_ad_performance")["ad_id"]) == ["12", "13", "__none__"]


def test_ids_too_long_for_the_floats_that_hold_them_refuse_the_file(bench, exports):
    frame = pl.DataFrame([exports.generic_row(ad_id=120208000000000123.0)])
    bench.put("b.parquet", parquet(frame))
    fault = bench.land().files[0].fault
    assert "Ad_id is stored as floating-point numbers" in fault
    assert "the ids are rounded" in fault


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (pa.array([5], pa.decimal256(50, 2)), "decimal256(50, 2)"),
        (pa.array([5], pa.duration("us")), "duration[us]"),
        (pa.array([[5]]), "list<element: int64>"),
        (pa.array([{"a": 5}]), "struct<a: int64>"),
        (pa.array([b"5"]), "binary"),
    ],
    ids=["decimal256", "duration", "list", "struct", "binary"],
)
@pytest.mark.parametrize("column", ["cost", "account_id"])
def test_a_parquet_column_of_a_type_that_is_not_read_is_named_and_stops_no_other_file(
    bench, exports, column, stored, told
):
    row = exports.generic_row()
    out = io.BytesIO()
    pq.write_table(pa.table({name: [value] for name, value in row.items()} | {column: stored}), out)
    bench.put("odd.parquet", out.getvalue())
    bench.put("good.csv", [row])
    report = bench.land()
    assert f"Column '{column}' is stored as {told}, which is not read" in report.files[1].fault
    assert report.rows_written == {"file_ad_performance": 1}


def test_what_else_of_a_parquet_file_cannot_be_made_text_stops_no_other_file(bench, exports):
    row = exports.generic_row()
    out = io.BytesIO()
    day = pa.array([0], pa.timestamp("us", "Mars/Base"))
    pq.write_table(pa.table({name: [value] for name, value in row.items()} | {"date": day}), out)
    bench.put("odd.parquet", out.getvalue())
    bench.put("good.csv", [row])
    report = bench.land()
    assert "unable to parse time zone: 'Mars/Base'" in report.files[1].fault
    assert report.rows_written == {"file_ad_performance": 1}


def test_a_parquet_column_whose_name_is_no_text_stops_no_other_file(bench, exports):
    out = io.BytesIO()
    pq.write_table(pa.table({"costcost": [1]}), out, store_schema=False)
    bench.put("odd.parquet", out.getvalue().replace(b"costcost", b"cost\xff\xfest"))
    bench.put("good.csv", [exports.generic_row()])
    report = bench.land()
    assert "broken Parquet file" in report.unrecognised[0].reason
    assert report.rows_written == {"file_ad_performance": 1}


def test_a_workbook_lands_as_the_same_rows_as_csv(bench, exports):
    rows = [exports.generic_row(), exports.generic_row(campaign="b & <b>", cost="0.1")]
    bench.put("a.csv", rows)
    bench.land()
    cells = [list(rows[0])]
    for row in rows:
        typed = row | {"date": date.fromisoformat(row["date"]), "cost": float(row["cost"])}
        cells.append(list(typed.values()))
    sheets = {"Notes": [["made", "by hand"]], "Data": [["Report", None], [], *cells]}
    bench.put("b.xlsx", exports.workbook(sheets))
    report = bench.land()
    assert [(file.path, file.outcome) for file in report.files] == [
        ("a.csv", "known"),
        ("b.xlsx", "unchanged"),
    ]


def test_rows_of_a_workbook_are_named_by_their_own_row_number(bench, exports):
    good, bad = exports.generic_row(), exports.generic_row(campaign="b", cost=-1)
    cells = [["Title", "x"], [], [], list(good), list(good.values()), list(bad.values())]
    bench.put("b.xlsx", exports.workbook({"Data": cells}))
    bench.land()
    assert [row["line"] for row in bench.quarantine()] == [6]


def test_ids_a_spreadsheet_has_rounded_are_not_landed(bench, exports):
    row = exports.meta_row() | {"Ad ID": 120210001234567890}
    bench.put("b.xlsx", exports.workbook({"Data": [list(row), list(row.values())]}))
    report = bench.land()
    assert "keeps only 15 digits" in report.files[0].fault
    text = exports.meta_row() | {"Ad ID": "120210001234567890"}
    bench.put("b.xlsx", exports.workbook({"Data": [list(text), list(text.values())]}))
    bench.land()
    assert bench.rows("meta_ads_insights")["ad_id"].to_list() == ["120210001234567890"]


def test_ids_written_with_an_exponent_are_refused_rows(bench, exports):
    bench.put("a.csv", [exports.meta_row(), exports.meta_row(ad="1.20208E+17")])
    bench.land()
    assert "a spreadsheet has rounded it" in bench.quarantine()[0]["reason"]
    assert bench.rows("meta_ads_insights").height == 1


def test_two_sheets_of_exports_are_not_chosen_between(bench, exports):
    row = exports.generic_row()
    cells = [list(row), list(row.values())]
    bench.put("b.xlsx", exports.workbook({"May": cells, "June": cells}))
    assert "May, June all hold exports" in bench.land().unrecognised[0].reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", "binary content"),
        (b"just some words\n", "no table"),
        (b"PAR1 but not really", "broken Parquet"),
        (b"PK\x03\x04 but not really", "broken workbook"),
        (b"\x1f\x8b but not really", "broken gzip"),
    ],
    ids=["empty", "image", "prose", "parquet", "workbook", "gzip"],
)
def test_what_is_no_table_is_listed_with_its_reason_and_stops_nothing(bench, exports, content, reason):
    bench.put("odd", content)
    bench.put("good.csv", [exports.generic_row()])
    report = bench.land()
    assert [file.path for file in report.unrecognised] == ["odd"]
    assert reason in report.unrecognised[0].reason
    assert report.rows_written == {"file_ad_performance": 1}


def test_a_zip_of_files_is_named_as_one(bench):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("june.csv", "a,b\n1,2\n")
    bench.put("june.zip", out.getvalue())
    assert "unpack it" in bench.land().unrecognised[0].reason


def test_a_file_that_changes_between_the_two_reads_is_left_for_the_next_landing(bench, exports):
    path = bench.put("june.csv", [exports.generic_row()])
    drop = bench.drop()
    file = drop.scan().recognised[0]
    inspection = drop.inspect(file, drop.seen())
    path.write_text(exports.csv_text([exports.generic_row(cost="9.99")]))
    fetched = drop.fetch(file, inspection, Stamp("batch", bench.now, "generic_long", "hash"))
    assert "changed while it was read" in fetched.fault
    assert fetched.pages == []


def sheet_of(exports, swapped: bool = False, name: str = "Data") -> bytes:
    row = exports.generic_row()
    order = list(row)
    if swapped:
        place, other = order.index("impressions"), order.index("clicks")
        order[place], order[other] = order[other], order[place]
    return exports.workbook({name: [order, [row[column] for column in order]]})


@pytest.mark.parametrize("change", [{"swapped": True}, {"name": "June"}], ids=["columns swapped", "renamed"])
def test_a_workbook_written_again_between_plan_and_fetch_is_left_for_the_next_landing(bench, exports, change):
    path = bench.put("june.xlsx", sheet_of(exports))
    bench.put("good.csv", [exports.generic_row(campaign="other")])
    drop = bench.drop()
    plan = plan_landing(drop, bench.warehouse)
    path.write_bytes(sheet_of(exports, **change))
    good, june = sorted(fetch_landing(drop, plan), key=lambda fetched: fetched.file.path)
    assert "The file changed while it was read" in june.fault
    assert june.pages == []
    assert good.fault is None
    assert sorted(bench.work.rglob("*")) == sorted({good.folder, june.folder, *good.pages})


@pytest.mark.parametrize("name", ["june.csv", "june.xlsx"])
def test_a_file_written_again_before_its_digest_is_known_is_not_cut_by_its_old_header(bench, exports, name):
    path = bench.put(name, [exports.generic_row()] if name == "june.csv" else sheet_of(exports))
    drop = bench.drop()
    file = drop.scan().recognised[0]
    if name == "june.csv":
        row = exports.generic_row()
        path.write_text(exports.csv_text([row], header=list(row)[::-1]))
    else:
        path.write_bytes(sheet_of(exports, swapped=True))
    with pytest.raises(UnreadableFile, match="changed while it was read"):
        drop.inspect(file, drop.seen())


def test_a_file_that_goes_away_while_the_folder_is_read_stops_no_other_file(bench, exports):
    paths = [bench.put("a.csv", [exports.generic_row()]), bench.put("odd.csv", "no,table,known\n1,2,3\n")]
    drop = bench.drop()
    listing, plan = drop.scan(), plan_landing(drop, bench.warehouse)
    for path in paths:
        path.unlink()
    with pytest.raises(OutOfReach, match="was moved or deleted"):
        drop.inspect(listing.recognised[0], drop.seen())
    fetched = fetch_landing(drop, plan)
    assert fetched[0].fault == "Was moved or deleted while the folder was read."
    report = publish_landing(drop, plan, fetched, bench.warehouse)
    assert [file.path for file in report.unrecognised] == ["odd.csv"]
    assert [row["file"] for row in bench.quarantine()] == ["a.csv"]


@pytest.mark.parametrize("locked", ["locked.csv", "locked"], ids=["file", "folder"])
def test_what_may_not_be_read_is_told_and_stops_no_other_file(bench, exports, monkeypatch, locked):
    bench.put(locked if locked == "locked.csv" else "locked/june.csv", [exports.generic_row()])
    bench.put("good.csv", [exports.generic_row("2026-06-29")])
    method = "_open" if locked == "locked.csv" else "ls"
    real = getattr(LocalFileSystem, method)

    def forbidding(self, path, *rest, **named):
        # Whoever may read everything, as in a container, is not stopped by a file's mode.
        if path.endswith(locked):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(self, path, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFileSystem, method, forbidding)
        report = bench.land()
    assert [file.path for file in report.unrecognised] == [locked]
    assert "(Permission denied)" in report.unrecognised[0].reason
    assert report.rows_written == {"file_ad_performance": 1}
    assert bench.land().rows_written == {"file_ad_performance": 1}


def test_a_full_disk_is_no_fault_of_the_file(bench, exports, monkeypatch):
    bench.put("good.csv", [exports.generic_row()])

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching, "spool", full)
    with pytest.raises(OSError, match="No space left"):
        bench.land()


def test_payloads_are_canonical_json(bench, exports):
    awkward = 'He said "no"\\ and\tleft, \u00e9\u4e2d'
    rows = [exports.generic_row(campaign=awkward, campaign_id="1"), exports.generic_row(campaign_id="2")]
    bench.put("june.csv", rows)
    bench.land()
    rows = bench.rows("file_ad_performance")
    for text in rows["payload"]:
        assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert all(isinstance(value, str) for value in json.loads(text).values())
    assert awkward in landed_names(bench)


def test_a_workbook_is_read_where_the_machine_allows_less_than_its_limits(exports):
    def allow_less() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (600, 600))

    read = subprocess.run(
        [sys.executable, "-I", workbook_process.__file__, str(4 << 30), str(1 << 30)],
        input=exports.workbook({"Data": [["day", "cost"], ["2026-06-30", "1"]]}),
        capture_output=True,
        check=False,
        preexec_fn=allow_less,
    )
    assert read.returncode == 0, read.stderr
    assert read.stdout


def test_a_workbook_whose_reader_is_lost_says_its_last_words(exports, tmp_path):
    (tmp_path / "a.xlsx").write_bytes(exports.workbook({"Data": [["day"]]}))
    files, limits = fsspec.filesystem("file"), Limits(workbook_memory=1 << 20)
    with pytest.raises(UnreadableFile, match=r"Save the sheet as CSV \(.+\)"):
        read_workbook(files, str(tmp_path / "a.xlsx"), limits)
