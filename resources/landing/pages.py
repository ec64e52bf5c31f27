"""Accepted records as rows of their raw table, written to Parquet pages with their content hashes.

Here: payload text, hashes, page files and the running account of what a file holds. Not here: which
records are accepted (`validation.py`) and which slices are news (`publishing.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from resources.landing.streams import Stream

SLICE = ["source", "account_id", "report_date", "breakdown_set"]
LANES = [f"lane_{index}" for index in range(4)]
SLICE_SCHEMA = pl.Schema(
    {
        "source": pl.String(),
        "account_id": pl.String(),
        "report_date": pl.Date(),
        "breakdown_set": pl.String(),
        "row_count": pl.Int64(),
        **dict.fromkeys(LANES, pl.Int64()),
    }
)
ROWS_PER_PAGE = 500_000

_JSON_SPECIAL = r'["\\\x00-\x1f]'


def payload_text(frame: pl.DataFrame, stream: Stream, as_text: Collection[str] = ()) -> pl.Series:
    """Canonical JSON text of the stream's fields: keys sorted, no spaces, values as text, absent if null.

    Args:
        as_text: further columns to keep, and fields that may hold any text although numbers are expected.
    """
    pieces: list[pl.Expr] = []
    for name in sorted((set(stream.fields) | set(as_text)) & set(frame.columns)):
        column = frame[name]
        if (name in as_text or stream.fields[name] == "text") and column.str.contains(_JSON_SPECIAL).any():
            column = _escaped(column)
        if column.null_count() == len(column):
            continue
        value, key = pl.lit(column), json.dumps(name, ensure_ascii=False)
        if column.null_count():
            pieces.append(pl.concat_str(pl.lit(f',{key}:"'), value, pl.lit('"')))
        else:
            pieces += [pl.lit(f',{key}:"'), value, pl.lit('"')]
    if not pieces:
        return pl.repeat("{}", frame.height, eager=True)
    body = pl.concat_str(pieces, ignore_nulls=True)
    return pl.select(pl.concat_str(pl.lit("{"), body.str.strip_prefix(","), pl.lit("}"))).to_series()


def _escaped(column: pl.Series) -> pl.Series:
    distinct = column.drop_nulls().unique()
    quoted = [json.dumps(text, ensure_ascii=False)[1:-1] for text in distinct]
    return column.replace_strict(distinct, pl.Series(quoted, dtype=pl.String), default=None)


def key_text(frame: pl.DataFrame, stream: Stream) -> pl.Series:
    """The grain of a row inside its slice as one text."""
    return frame.select(pl.concat_str(list(stream.keys), separator="\x1f")).to_series()


def digests(payloads: pl.Series, keys: pl.Series) -> tuple[pl.Series, pl.DataFrame]:
    """sha256 of each payload, and four 32-bit lanes that bind it to its keys.

    Lanes are summed over a slice: a hash that does not depend on the order of rows and is built batch by
    batch. A lane is (payload digest) x (odd key digest) mod 2^64, high half: a plain sum of both would not
    notice two rows swapping their payloads. 128 bits, against accident, not against an adversary.
    """
    whole = [hashlib.sha256(payload).digest() for payload in payloads.cast(pl.Binary).to_list()]
    content = np.frombuffer(b"".join(whole), dtype="<u8").reshape(-1, 4)
    distinct = keys.unique()
    key_digests = [hashlib.sha256(key.encode()).digest() for key in distinct.to_list()]
    by_key = np.frombuffer(b"".join(key_digests), dtype="<u8").reshape(-1, 4) | np.uint64(1)
    places = pl.DataFrame({"key": distinct, "place": pl.int_range(len(distinct), eager=True)})
    place = keys.to_frame("key").join(places, on="key", how="left", maintain_order="left")["place"]
    lanes = (content * by_key[place.to_numpy()] >> np.uint64(32)).astype(np.int64)
    return (
        pl.Series("payload_hash", whole, dtype=pl.Binary).bin.encode("hex"),
        pl.DataFrame({name: lanes[:, index] for index, name in enumerate(LANES)}),
    )


def content_hashes(slices: pl.DataFrame) -> pl.Series:
    """Order-free content hash per slice from its `row_count` and lane sums."""
    rows = slices.select("row_count", *LANES).iter_rows()
    return pl.Series(
        "content_hash",
        [hashlib.sha256(":".join(map(str, row)).encode()).hexdigest() for row in rows],
        dtype=pl.String,
    )


@dataclass
class Tally:
    """Distinct rows or sums that grow with what a file is about, not with its length."""

    keys: list[str]
    sums: list[str] = field(default_factory=list)
    parts: list[pl.DataFrame] = field(default_factory=list)

    def add(self, frame: pl.DataFrame) -> None:
        self.parts.append(self._grouped(frame))
        if len(self.parts) >= 16:
            self.parts = [self._grouped(pl.concat(self.parts))]

    def _grouped(self, frame: pl.DataFrame) -> pl.DataFrame:
        # maintain_order: the first mention stays first, so that messages and reruns are the same.
        return frame.group_by(self.keys, maintain_order=True).agg(pl.col(name).sum() for name in self.sums)

    def result(self, schema: pl.Schema) -> pl.DataFrame:
        if not self.parts:
            return pl.DataFrame(schema=schema)
        return self._grouped(pl.concat(self.parts))


@dataclass(frozen=True)
class Stamp:
    """What every row of one landing of one file carries."""

    batch_id: str
    ingested_at: datetime
    api_version: str
    request_hash: str


def _arrow_schema(schema: pl.Schema) -> pa.Schema:
    return pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema


class PageWriter:
    """Rows of one file into Parquet pages, with the tallies publishing needs.

    Memory holds one batch and the tallies; the grain of every row goes to a side file so that
    repeats can be found by an engine that spills to disk.
    """

    def __init__(
        self, folder: Path, stream: Stream, stamp: Stamp, rows_per_page: int = ROWS_PER_PAGE
    ) -> None:
        self.folder = folder
        self.stream = stream
        self.stamp = stamp
        self.pages: list[Path] = []
        self.rows = 0
        self.slices = Tally([*SLICE], ["row_count", *LANES])
        period = ["period"] if stream.is_period else []
        campaign = [stream.campaign_key] if stream.campaign_key is not None else []
        self.campaigns = Tally([*SLICE, *period, *campaign]) if campaign else None
        self._rows_per_page = rows_per_page
        self._page_rows = 0
        self._page: pq.ParquetWriter | None = None
        self._schema = _arrow_schema(stream.table.polars_schema)
        self.grain_file = folder / "grain.parquet"
        self._grain: pq.ParquetWriter | None = None
        self._first_grain: pl.DataFrame | None = None
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._writing: Future[None] | None = None

    def write(self, frame: pl.DataFrame) -> None:
        """Accepted records (text columns of the stream, report_date, line, ordinal)."""
        if frame.is_empty():
            return
        payloads = payload_text(frame, self.stream)
        keys = key_text(frame, self.stream)
        hashes, lanes = digests(payloads, keys)
        rows = frame.select(*SLICE, *self.stream.keys).with_columns(
            payload=payloads,
            payload_hash=hashes,
            _batch_id=pl.lit(self.stamp.batch_id),
            _ingested_at=pl.lit(self.stamp.ingested_at).cast(pl.Datetime("us", "UTC")),
            _api_version=pl.lit(self.stamp.api_version),
            _request_hash=pl.lit(self.stamp.request_hash),
        )
        self._write_page(self.stream.table.conform(rows))
        slices = frame.select(SLICE).hstack(lanes).with_columns(row_count=pl.lit(1, dtype=pl.Int64))
        self.slices.add(slices)
        if self.campaigns is not None:
            self.campaigns.add(frame.select(self.campaigns.keys))
        self._write_grain(frame, lanes)

    def _write_page(self, rows: pl.DataFrame) -> None:
        if self._page is not None and self._page_rows >= self._rows_per_page:
            self._wait()
            self._page.close()
            self._page = None
        if self._page is None:
            path = self.folder / f"page-{len(self.pages):04d}.parquet"
            self.pages.append(path)
            self._page_rows = 0
            # Payloads and hashes hardly repeat: a dictionary of them only costs memory.
            few_values = [n for n in rows.columns if n not in ("payload", "payload_hash")]
            self._page = pq.ParquetWriter(
                path,
                self._schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=few_values,
                # Null counts in the footer spare the warehouse a pass over the payloads.
                write_statistics=True,
            )
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(self._schema)
        self._wait()
        # Compression runs beside the parsing of the next batch; one page table is in flight at most.
        self._writing = self._writer.submit(self._page.write_table, table)
        self._page_rows += rows.height
        self.rows += rows.height

    def _write_grain(self, frame: pl.DataFrame, lanes: pl.DataFrame) -> None:
        # 128 bits of the grain are compared, not the texts; seeds hold within this process only.
        grain = frame.select(*SLICE, *self.stream.keys)
        side = pl.DataFrame(
            {
                "grain_a": grain.hash_rows(seed=11),
                "grain_b": grain.hash_rows(seed=23),
                "content": lanes.select(pl.col("lane_0") * 2**31 + pl.col("lane_1")).to_series(),
                "ordinal": frame["ordinal"],
                "line": frame["line"],
            }
        )
        # Most files are one batch without repeats: nothing to look for on disk.
        if self._first_grain is None and self._grain is None:
            self._first_grain = side
            return
        self._flush_grain()
        self._append_grain(side)

    def _flush_grain(self) -> None:
        if self._first_grain is not None:
            self._append_grain(self._first_grain)
            self._first_grain = None

    def _append_grain(self, side: pl.DataFrame) -> None:
        table = side.to_arrow()
        if self._grain is None:
            self._grain = pq.ParquetWriter(self.grain_file, table.schema, compression="lz4")
        self._grain.write_table(table)

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def close(self) -> None:
        self._wait()
        self._writer.shutdown()
        if (
            self._first_grain is not None
            and self._first_grain.select("grain_a", "grain_b").is_duplicated().any()
        ):
            self._flush_grain()
        for writer in (self._page, self._grain):
            if writer is not None:
                writer.close()
        self._page = self._grain = None
