"""Export files as an account manager would have dropped them, with the time they were made.

Here: which files, which days, when. Not here: their columns (`frames`, `backend_frames`) or the truth
(`truth`). Histories come first, then files that restate trailing days: conversions have arrived
since, and one ad-day the platform showed before has vanished.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from resources.sandbox import backend_frames, copywriting
from resources.sandbox.frames import Reports, Window
from resources.sandbox.ledger import Ledger
from resources.sandbox.orders import Orders
from resources.sandbox.world import Business

RESTATED_DAYS = 28
EXPORTED_DAYS_AGO = (29, 15, 8, 1)  # last day known at each of the four exports
DAYS_PER_FILE = 92  # longer histories come as several files


@dataclass(frozen=True)
class ExportedFile:
    stream: str
    path: Path
    rows: int


def history_windows(days: int) -> list[Window]:
    """The exports behind a history of `days` days, oldest first; each but the first restates 28 days.

    Every day was last exported at least 14 days after it, or is in the newest export.
    """
    windows = []
    for position, ago in enumerate(EXPORTED_DAYS_AGO):
        last = days - ago
        if last < 0:
            continue
        first = 0 if position == 0 else max(0, last - RESTATED_DAYS + 1)
        windows.append(Window(first, last, last))
    return windows


def write_exports(
    business: Business,
    ledger: Ledger,
    orders: Orders,
    folder: Path,
    images: Path | None = None,
    without: Collection[str] = (),
) -> list[ExportedFile]:
    """Write all export files of the business's history into `folder`, a sub-folder per source.

    Args:
        images: where the creatives' images go (small scales only); image_file is relative to its
            parent. None: no images.
        without: sub-folders to leave out: platforms that are read through their API instead.
    Raises:
        ValueError: a ledger shorter than the history.
    """
    if ledger.days < business.days:
        raise ValueError(f"the ledger holds {ledger.days} days, the history is {business.days}")
    hashes = write_images(business, images, business.days) if images is not None else {}
    prefix = images.name if images is not None else ""
    reports = Reports(business, ledger)
    written: list[ExportedFile] = []
    previous = -1
    for window in history_windows(business.days):
        new_days = Window(previous + 1, window.last_day, window.known_through)
        written += _write_window(reports, orders, folder, window, new_days, hashes, prefix, without)
        previous = window.last_day
    return written


def write_day(
    business: Business,
    ledger: Ledger,
    orders: Orders,
    folder: Path,
    today: date,
    restated_days: int = 7,
    images: Path | None = None,
) -> list[ExportedFile]:
    """Write only the exports made on the morning of `today`: yesterday and the days before it again.

    Conversions arrive for 14 days, so a run that only ever restates 7 misses the last few.

    Raises:
        ValueError: `today` lies outside the ledger.
    """
    last = business.day_of(today) - 1
    if not 0 <= last < ledger.days:
        raise ValueError(f"{today} needs day {last}; the ledger holds 0 to {ledger.days - 1}")
    hashes = write_images(business, images, last + 1) if images is not None else {}
    window = Window(max(0, last - restated_days + 1), last, last)
    yesterday = Window(last, last, last)
    prefix = images.name if images is not None else ""
    return _write_window(Reports(business, ledger), orders, folder, window, yesterday, hashes, prefix)


def write_images(business: Business, folder: Path, days: int) -> dict[int, str]:
    """Render every creative that ran before day `days`; sha256 of each image by creative.

    Scales too large for it render none: their creatives carry a hash of what would be shown.
    """
    if not business.scale.render_images:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    hashes: dict[int, str] = {}
    shown = sorted(set(business.ads.creative[business.ads.first_day < days].tolist()))
    for index in shown:
        png = copywriting.render(business.creatives, index)
        hashes[index] = hashlib.sha256(png).hexdigest()
        (folder / f"{hashes[index][:16]}.png").write_bytes(png)
    return hashes


def _write_window(
    reports: Reports,
    orders: Orders,
    folder: Path,
    window: Window,
    new_days: Window,
    hashes: dict[int, str],
    image_folder: str,
    without: Collection[str] = (),
) -> list[ExportedFile]:
    business, ledger = reports.business, reports.ledger
    streams: list[tuple[str, str, Window, Callable[[Window], pl.DataFrame]]] = [
        ("meta", "ads", window, reports.meta),
        ("meta", "ads_by_placement", window, reports.meta_by_placement),
        ("google_ads", "ad_performance", window, reports.google_ads),
        ("tiktok", "ads", window, reports.tiktok),
        ("linkedin", "ads", window, reports.linkedin),
        ("backend", "orders", window, lambda days: backend_frames.orders_frame(business, orders, days)),
        ("levers", "levers", new_days, lambda days: backend_frames.levers_frame(business, ledger, days)),
    ]
    written = []
    for minute, (source, name, days, frame_of) in enumerate(streams):
        for part in _parts(days) if source not in without else ():
            written.append(_write(business, folder, source, name, part, frame_of(part), minute))
    creatives = backend_frames.creatives_frame(business, window, hashes, image_folder)
    written.append(_write(business, folder, "creatives", "creatives", window, creatives, len(streams)))
    return written


def _parts(window: Window) -> list[Window]:
    """Split a long span into files of at most DAYS_PER_FILE days."""
    return [
        Window(first, min(first + DAYS_PER_FILE - 1, window.last_day), window.known_through)
        for first in range(window.first_day, window.last_day + 1, DAYS_PER_FILE)
    ]


def _write(
    business: Business, folder: Path, source: str, name: str, days: Window, frame: pl.DataFrame, minute: int
) -> ExportedFile:
    exported = business.date_of(days.known_through + 1)
    span = f"{business.date_of(days.first_day)}_to_{business.date_of(days.last_day)}"
    path = folder / source / f"{exported:%Y-%m-%d}_{name}_{span}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        if source == "google_ads":
            first, last = business.date_of(days.first_day), business.date_of(days.last_day)
            file.write(f'Ad performance report\n"{first:%B %-d, %Y} - {last:%B %-d, %Y}"\n'.encode())
        frame.write_csv(file, float_precision=2)
        if source == "google_ads":
            _google_total(frame).write_csv(file, float_precision=2, include_header=False)
    made = backend_frames.moment(business, days.known_through, minute)
    os.utime(path, (made, made))
    return ExportedFile(f"{source}/{name}", path, frame.height)


def _google_total(frame: pl.DataFrame) -> pl.DataFrame:
    """The footer row of a Google export: `Total: Account`, ` --` where nothing can be summed."""
    return frame.select(
        pl.lit("Total: Account").alias(name)
        if name == "Day"
        else pl.col(name).sum()
        if dtype.is_numeric()
        else pl.lit(" --").alias(name)
        for name, dtype in frame.schema.items()
    )
