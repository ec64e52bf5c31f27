"""A file of five million rows through the whole landing, beside one of a fifth of its rows.

Here: writing such a file, landing it in a process of its own, what arrived and what it cost. Not here: the
landing (`resources.files.landing`), one of whose runs is `landed_file`.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import duckdb
import numpy as np
import polars as pl

from benchmarks.accounts import TODAY, scratch_folder
from benchmarks.processes import Cost, measured, python
from benchmarks.record import Figure, Record

_ACCOUNTS = ("418802716650377", "418802716650378", "735519902264410", "1029384756601928")
_PLACEMENTS = (
    ("facebook", "Feed"),
    ("facebook", "Facebook Stories"),
    ("facebook", "Facebook Reels"),
    ("instagram", "Feed"),
    ("instagram", "Instagram Stories"),
    ("instagram", "Instagram Reels"),
    ("audience_network", "Native, banner and interstitial"),
    ("messenger", "Messenger Stories"),
    ("instagram", "Explore"),
    ("facebook", "Marketplace"),
)
_ADS_PER_ADSET, _ADSETS_PER_CAMPAIGN = 5, 5
_MOST_ROWS_PER_DAY = 10_000
_AIMED_PEAK_GB, _AIMED_RATIO = 2.0, 2.0


@dataclass(frozen=True)
class Export:
    """A written file and the truth about it; `cents` is the sum of its spend."""

    path: Path
    rows: int
    days: int
    cents: int
    megabytes: float


@dataclass(frozen=True)
class Landing:
    """What one landing cost; `reading` and `publishing` in seconds, `reading_peak` in bytes."""

    export: Export
    cost: Cost
    reading: float
    publishing: float
    reading_peak: int
    warehouse_bytes: int


def large_file(rows: int = 5_000_000) -> Record:
    """Land a file of that many rows and, before it, one of a fifth of them, each in an empty home.

    Raises:
        CommandFailed: a landing failed.
        AssertionError: rows or spend in the warehouse are not the file's.
    """
    small, large = _landed(rows // 5), _landed(rows)
    wall = large.cost.wall_seconds
    peak, small_peak = large.cost.peak_bytes / 1e9, small.cost.peak_bytes / 1e9
    return Record(
        "large_file",
        {"rows": rows},
        [
            Figure("rows landed", rows / wall, "rows/s"),
            Figure("whole landing", wall, "s"),
            Figure("of it, reading and checking the file", large.reading, "s"),
            Figure("of it, publishing", large.publishing, "s"),
            Figure("CPU time", large.cost.cpu_seconds, "s"),
            Figure("file", large.export.megabytes, "MB"),
            Figure("warehouse afterwards", large.warehouse_bytes / 1e6, "MB"),
            Figure("peak memory", peak, "GB", f"≤ {_AIMED_PEAK_GB:g} GB", peak <= _AIMED_PEAK_GB),
            Figure("peak memory until the file is read", large.reading_peak / 1e9, "GB"),
            Figure("a fifth of the rows, whole landing", small.cost.wall_seconds, "s"),
            Figure("a fifth of the rows, file", small.export.megabytes, "MB"),
            Figure("a fifth of the rows, peak memory", small_peak, "GB"),
            Figure("a fifth of the rows, peak memory until the file is read", small.reading_peak / 1e9, "GB"),
            Figure(
                "peak memory, all rows / a fifth",
                peak / small_peak,
                "×",
                f"≤ {_AIMED_RATIO:g} ×",
                peak <= _AIMED_RATIO * small_peak,
            ),
        ],
        note="Meta by placement, four accounts: one CSV file dropped into an empty home, then plan, fetch "
        "and publish as `land_files` runs them, without Dagster. Rows, days and spend in the warehouse equal "
        "the file's. Wall time and memory are of the whole process, start-up included; the file is written "
        "beforehand.",
    )


def _landed(rows: int) -> Landing:
    home = scratch_folder() / f"large-{uuid4().hex[:8]}"
    try:
        export = write_export(home / "drop" / "placements.csv", rows)
        report = home / "landed_file.json"
        variables = {
            "AELP_HOME": str(home),
            "AELP_DROP": str(home / "drop"),
            "AELP_CLOCK": f"{TODAY}T09:00:00-04:00",
            "AELP_WAREHOUSE": "duckdb",
            "AELP_DATASET_PREFIX": "",
        }
        cost = measured(python("benchmarks.landed_file", str(report)), variables, home / "landing.log")
        facts = json.loads(report.read_text())
        warehouse = home / "warehouse.duckdb"
        _check(warehouse, export)
        return Landing(
            export,
            cost,
            facts["reading"],
            facts["publishing"],
            facts["reading_peak"],
            warehouse.stat().st_size,
        )
    finally:
        shutil.rmtree(home, ignore_errors=True)


def write_export(path: Path, rows: int, seed: int = 20261120) -> Export:
    """Write a file of exactly `rows` rows, day by day: a longer file is a longer history."""
    path.parent.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    per_day = min(_MOST_ROWS_PER_DAY, max(rows // 4, 1))
    days = -(-rows // per_day)
    entities = _entities(per_day)
    left, cents = rows, 0
    with path.open("wb") as file:
        for age in range(days, 0, -1):
            chunk, spend = _one_day(entities.head(left), TODAY - timedelta(days=age), rng)
            chunk.write_csv(file, include_header=left == rows, float_precision=2)
            left, cents = left - chunk.height, cents + spend
    return Export(path, rows, days, cents, path.stat().st_size / 1e6)


def _entities(rows: int) -> pl.DataFrame:
    """Accounts, campaigns, ad sets, ads and placements of one day, a row each."""
    place = np.arange(rows)
    account, slot = place % len(_ACCOUNTS), place // len(_ACCOUNTS)
    ad, placement = np.divmod(slot, len(_PLACEMENTS))
    adset = ad // _ADS_PER_ADSET
    campaign = adset // _ADSETS_PER_CAMPAIGN

    def ids(start: int, number: np.ndarray) -> pl.Series:
        return pl.Series(start + account * 10_000_000 + number * 10).cast(pl.String)

    def names(kind: str, number: np.ndarray) -> pl.Series:
        return pl.Series([f"US | {kind} {index:04d} | Prospecting, broad" for index in number])

    platforms, positions = zip(*(_PLACEMENTS[index] for index in placement), strict=True)
    return pl.DataFrame(
        {
            "Account ID": [_ACCOUNTS[index] for index in account],
            "Account name": [f"Family Safety {index + 1}" for index in account],
            "Currency": ["USD"] * rows,
            "Campaign ID": ids(120_208_000_000_000_000, campaign),
            "Campaign name": names("Campaign", campaign),
            "Ad set ID": ids(120_209_000_000_000_000, adset),
            "Ad set name": names("Ad set", adset),
            "Ad ID": ids(120_210_000_000_000_000, ad),
            "Ad name": names("Ad", ad),
            "Platform": platforms,
            "Placement": positions,
            "Impression device": np.where(placement % 2, "android_smartphone", "iphone"),
        }
    )


def _one_day(entities: pl.DataFrame, day: date, rng: np.random.Generator) -> tuple[pl.DataFrame, int]:
    """The day's rows, and their spend in cents."""
    rows = entities.height
    cents = rng.integers(1, 20_000, rows)
    impressions = rng.integers(2_000, 60_000, rows)
    clicks = rng.binomial(impressions, 0.01)
    chunk = entities.select(
        pl.lit(day.isoformat()).alias("Reporting starts"),
        pl.lit(day.isoformat()).alias("Reporting ends"),
        pl.all(),
        pl.Series("Impressions", impressions),
        pl.Series("Link clicks", clicks),
        pl.Series("Amount spent (USD)", cents / 100),
        pl.Series("Purchases (7-day click)", rng.binomial(clicks, 0.02)),
        pl.Series("Purchases (1-day view)", rng.binomial(clicks, 0.002)),
    )
    return chunk, int(cents.sum())


def _check(warehouse: Path, export: Export) -> None:
    """Raise unless rows, days and spend in the warehouse are the file's."""
    with duckdb.connect(str(warehouse), read_only=True, config={"memory_limit": "2GB"}) as connection:
        arrived = connection.execute(
            "select count(*), count(distinct report_date), "
            "cast(sum(cast(payload ->> '$.spend' as decimal(18, 2))) * 100 as bigint) "
            "from raw.meta_ads_insights_by_placement"
        ).fetchone()
        settled = connection.execute(
            "select sum(row_count) from ops.ingest_slices where status = 'complete'"
        ).fetchone()
        refused = connection.execute("select count(*) from ops.quarantine").fetchone()
    expected = (export.rows, export.days, export.cents)
    assert arrived == expected, f"{arrived} rows, days and cents arrived of {expected}"
    assert settled == (export.rows,), f"the ledger has {settled} of {export.rows} rows"
    assert refused == (0,), f"{refused} rows are in quarantine"
