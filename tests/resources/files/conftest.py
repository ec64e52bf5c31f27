"""A drop folder with its warehouse, exports as text, and a minimal workbook writer, for these tests."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape

import polars as pl
import pytest

from resources.clock import FixedClock
from resources.files.drop import FileDrop
from resources.files.fetched import FetchedFile, Tolerance
from resources.files.landing import LandingReport, fetch_landing, land, plan_landing
from resources.files.opening import Limits
from resources.settings import TrackRule
from resources.warehouse.interface import Warehouse
from resources.warehouse.schema import TableName

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)

META_HEADER = [
    "Reporting starts", "Reporting ends", "Account ID", "Account name", "Campaign ID", "Campaign name",
    "Ad set ID", "Ad set name", "Ad ID", "Ad name", "Creative ID", "Currency", "Impressions", "Reach",
    "Clicks (all)", "Link clicks", "Unique link clicks", "Amount spent", "Purchases (7-day click)",
    "Purchases (1-day view)", "Purchases conversion value (7-day click)",
    "Purchases conversion value (1-day view)",
]  # fmt: skip
GENERIC_HEADER = [
    "date", "source", "account_id", "campaign_name", "currency",
    "impressions", "clicks", "cost", "conversions_click",
]  # fmt: skip


def meta_row(day: str = "2026-06-30", ad: str = "1", **changes: Any) -> dict[str, Any]:
    """One row of a Meta Ads Manager export; changes by header."""
    row: dict[str, Any] = {
        "Reporting starts": day, "Reporting ends": day, "Account ID": "120", "Account name": "Main",
        "Campaign ID": "c1", "Campaign name": "Security prospecting", "Ad set ID": "s1",
        "Ad set name": "Broad", "Ad ID": ad, "Ad name": f"Ad {ad}", "Creative ID": f"k{ad}",
        "Currency": "USD", "Impressions": 1000, "Reach": 800, "Clicks (all)": 30, "Link clicks": 20,
        "Unique link clicks": 19, "Amount spent": "12.40", "Purchases (7-day click)": 2,
        "Purchases (1-day view)": 1, "Purchases conversion value (7-day click)": "240.00",
        "Purchases conversion value (1-day view)": "120.00",
    }  # fmt: skip
    return row | changes


def generic_row(day: str = "2026-06-30", campaign: str = "brand", **changes: Any) -> dict[str, Any]:
    """One row of the generic long format."""
    row: dict[str, Any] = {
        "date": day, "source": "newsletter", "account_id": "n1", "campaign_name": campaign,
        "currency": "EUR", "impressions": 1000, "clicks": 10, "cost": "5.50", "conversions_click": 1,
    }  # fmt: skip
    return row | changes


def csv_text(
    rows: Sequence[Mapping[str, Any]], header: Sequence[str] | None = None, delimiter: str = ","
) -> str:
    out = io.StringIO()
    names = header or list(rows[0])
    writer = csv.DictWriter(out, names, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@dataclass
class Bench:
    """A drop folder, a warehouse, and a clock a test can move."""

    folder: Path
    warehouse: Warehouse
    work: Path
    now: datetime = NOW
    sleeps: list[float] = field(default_factory=list)
    on_sleep: Callable[[], None] | None = None
    tolerance: Tolerance = field(default_factory=Tolerance)
    limits: Limits = field(default_factory=Limits)
    puts: int = 0

    def put(
        self, name: str, content: str | bytes | Sequence[Mapping[str, Any]], age_hours: float | None = None
    ) -> Path:
        """Write a file; later puts are newer unless an age is given."""
        if not isinstance(content, str | bytes):
            content = csv_text(content)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.puts += 1
        age = 24 - self.puts / 60 if age_hours is None else age_hours
        moment = (self.now - timedelta(hours=age)).timestamp()
        os.utime(path, (moment, moment))
        return path

    def drop(self) -> FileDrop:
        def sleep(seconds: float) -> None:
            self.sleeps.append(seconds)
            if self.on_sleep is not None:
                self.on_sleep()

        return FileDrop(
            str(self.folder),
            self.work,
            FixedClock(self.now),
            date(2015, 1, 1),
            "America/New_York",
            settle_seconds=5.0,
            sleep=sleep,
            limits=self.limits,
            tolerance=self.tolerance,
        )

    def land(self, rules: Sequence[TrackRule] | None = ()) -> LandingReport:
        return land(self.drop(), self.warehouse, rules)

    def fetch(self) -> list[FetchedFile]:
        drop = self.drop()
        return fetch_landing(drop, plan_landing(drop, self.warehouse))

    def rows(self, stream: str) -> pl.DataFrame:
        """Rows that count by the load contract, written here apart from the code under test."""
        return self.warehouse.query(
            f"""
            with latest as (
                select *, row_number() over (
                    partition by source, stream, account_id, report_date, breakdown_set
                    order by completed_at desc, batch_id desc
                ) as place
                from ops.ingest_slices where status = 'complete' and stream = $stream
            )
            select r.* from raw.{stream} as r join latest as l
                on r.source = l.source and r.account_id = l.account_id
                and r.report_date is not distinct from l.report_date
                and r.breakdown_set = l.breakdown_set and r._batch_id = l.data_batch_id
            where l.place = 1
            order by r.report_date, r.payload_hash
            """,
            {"stream": stream},
        )

    def payloads(self, stream: str) -> list[dict[str, str]]:
        return [json.loads(text) for text in self.rows(stream)["payload"]]

    def table(self, name: str) -> pl.DataFrame:
        return self.warehouse.read(TableName.parse(name))

    def quarantine(self) -> list[dict[str, Any]]:
        return self.table("ops.quarantine").sort("file", "line", nulls_last=False).to_dicts()

    def snapshot(self) -> dict[str, int | None]:
        names = ["raw.meta_ads_insights", "raw.file_ad_performance", "ops.ingest_slices", "ops.quarantine"]
        return self.warehouse.row_counts([TableName.parse(name) for name in names])


def make_bench(home: Path, warehouse: Warehouse) -> Bench:
    folder = home / "drop"
    folder.mkdir()
    return Bench(folder, warehouse, home / "work")


@pytest.fixture
def bench(tmp_path: Path, duckdb_warehouse: Warehouse) -> Bench:
    return make_bench(tmp_path, duckdb_warehouse)


@pytest.fixture(scope="session")
def exports() -> SimpleNamespace:
    """Ways to write exports: conftest modules cannot be imported from."""
    return SimpleNamespace(
        meta_header=META_HEADER,
        meta_row=meta_row,
        generic_row=generic_row,
        csv_text=csv_text,
        workbook=workbook,
        bench=make_bench,
    )


def workbook(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    """An .xlsx file: text inline, numbers and days as spreadsheets store them."""
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet_type = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    numbers = range(1, len(sheets) + 1)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{sheet_type}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{sheet_type}.styles+xml"/>'
        + "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{sheet_type}.worksheet+xml"/>'
            for n in numbers
        )
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{kind}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{kind}"><sheets>'
        + "".join(
            f'<sheet name="{escape(name)}" sheetId="{n}" r:id="rId{n}"/>'
            for n, name in zip(numbers, sheets, strict=True)
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="rId{n}" Type="{kind}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in numbers
        )
        + f'<Relationship Id="rId0" Type="{kind}/styles" Target="styles.xml"/></Relationships>',
        # Style 1 is a date: the number alone does not say so.
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs count="2"><xf numFmtId="0"/>'
        '<xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>',
    }
    for n, rows in zip(numbers, sheets.values(), strict=True):
        body = "".join(
            f'<row r="{r}">' + "".join(_cell(c, r, value) for c, value in enumerate(row)) + "</row>"
            for r, row in enumerate(rows, start=1)
        )
        parts[f"xl/worksheets/sheet{n}.xml"] = (
            f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>'
        )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)
    return out.getvalue()


def _cell(column: int, row: int, value: Any) -> str:
    letters = chr(65 + column) if column < 26 else chr(64 + column // 26) + chr(65 + column % 26)
    where = f"{letters}{row}"
    if value is None:
        return ""
    if isinstance(value, date):
        return f'<c r="{where}" s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{where}"><v>{value!r}</v></c>'
    return f'<c r="{where}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
