"""Reading memory does not grow with the file: five times the rows, the same peak."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

ROWS = 1_500_000
# The search for repeats may use 256 MB before it spills: with less, both files are past that.
REPEATS_MEMORY = "64MB"
# Megabytes for 1,200,000 more rows, less than the file grows by; held as batches they took 260.
ALLOWED_GROWTH = 90

# A process of its own, and the kernel's mark for its own memory: `ru_maxrss` outlives fork and exec, so a
# child reports what its parent once held.
MEASURE = """
import sys
from datetime import UTC, date, datetime
from pathlib import Path
import fsspec
from resources.files import reading
from resources.files.drop import FileDrop
from resources.files.fetching import Fetcher
from resources.files.opening import inspect, Limits
from resources.landing.pages import Stamp
from resources.clock import FixedClock

reading._DUPLICATES_MEMORY = sys.argv[3]
folder, work = Path(sys.argv[1]), Path(sys.argv[2])
now = datetime(2026, 7, 1, tzinfo=UTC)
clock = FixedClock(now)
drop = FileDrop(str(folder), work, clock, date(2015, 1, 1), "UTC", settle_seconds=0, sleep=lambda s: None)
file = drop.scan().recognised[0]
files = fsspec.filesystem("file")
fetcher = Fetcher(files, "UTC", date(2015, 1, 1), now, block_bytes=1 << 20)
fetched = fetcher.fetch(file, inspect(files, file.location, Limits()), Stamp("b", now, "v", "h"), work / "b")
assert fetched.fault is None, fetched.fault
status = Path("/proc/self/status").read_text()
print(fetched.accepted, int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def write_export(folder: Path, rows: int) -> int:
    folder.mkdir()
    rng = np.random.default_rng(1)
    ad, day = np.divmod(np.arange(rows), 100)
    frame = pl.DataFrame(
        {
            "date": np.datetime64("2026-01-01") + day,
            "source": ["newsletter"] * rows,
            "account_id": ["n1"] * rows,
            "campaign_name": [f"Campaign {n // 50}" for n in ad],
            "ad_name": [f"A longer name, with a comma, of ad {n}" for n in ad],
            "currency": ["EUR"] * rows,
            "impressions": rng.poisson(1000, rows),
            "clicks": rng.poisson(10, rows),
            "cost": rng.gamma(4, 3, rows).round(2),
            "conversions_click": rng.poisson(1, rows),
        }
    )
    path = folder / "export.csv"
    frame.write_csv(path)
    return path.stat().st_size


def peak_megabytes(tmp_path: Path, rows: int) -> tuple[float, int]:
    """Size of a file of that many rows, and the most a process held that read it."""
    folder = tmp_path / f"drop{rows}"
    size = write_export(folder, rows)
    arguments = [str(folder), str(tmp_path / f"work{rows}"), REPEATS_MEMORY]
    output = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments], capture_output=True, text=True, check=False
    )
    assert output.returncode == 0, output.stderr
    accepted, peak = map(int, output.stdout.split())
    assert accepted == rows
    return size / 2**20, peak


def test_five_times_the_rows_cost_no_more_memory(tmp_path: Path) -> None:
    small_size, small = peak_megabytes(tmp_path, ROWS // 5)
    large_size, large = peak_megabytes(tmp_path, ROWS)
    assert large_size - small_size > ALLOWED_GROWTH  # so that not even the bytes of the file would fit
    assert large - small < ALLOWED_GROWTH
