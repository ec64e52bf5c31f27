"""Building a sandbox: draw the business, simulate it, write what an account manager would have.

Here: the entry point and its summary. Not here: any of the steps themselves.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from resources.sandbox.business import draw_business
from resources.sandbox.catalogue import SCALES
from resources.sandbox.exports import ExportedFile, write_day, write_exports
from resources.sandbox.kernel import simulate
from resources.sandbox.ledger import Ledger
from resources.sandbox.media_history import write_media_history
from resources.sandbox.orders import Orders, backend_orders
from resources.sandbox.split_tests import write_split_tests
from resources.sandbox.studies import weekly_series, write_studies
from resources.sandbox.truth import write_truth
from resources.sandbox.world import Business


@dataclass(frozen=True)
class SandboxSummary:
    """What was built: rows and files per stream, seconds per step."""

    scale: str
    seed: int
    today: date
    first_day: date
    last_day: date
    drop_folder: Path
    files: tuple[ExportedFile, ...]
    study_rows: dict[str, int]
    seconds: dict[str, float]

    @property
    def rows(self) -> dict[str, int]:
        """Rows written per stream, restated days counted each time."""
        counts: Counter[str] = Counter()
        for file in self.files:
            counts[file.stream] += file.rows
        return dict(counts)


@dataclass(frozen=True)
class Simulated:
    """A business and everything that happened in it."""

    business: Business
    ledger: Ledger
    orders: Orders


def simulate_account(
    scale: str, seed: int, today: date, history: int = 1, further_days: int = 0
) -> Simulated:
    """Draw and run a business whose history ends the day before `today`.

    Args:
        history: how many times the scale's days; rows per day stay the same.
        further_days: days simulated beyond `today`, for incremental exports.
    Raises:
        ValueError: unknown scale, or history below 1.
    """
    if scale not in SCALES:
        raise ValueError(f"unknown scale {scale!r}; one of {', '.join(SCALES)}")
    if history < 1:
        raise ValueError(f"history must be at least 1 (found {history})")
    business = draw_business(SCALES[scale].with_history(history), seed, today)
    ledger = simulate(business, business.days + further_days)
    return Simulated(business, ledger, backend_orders(business, ledger))


def build_sandbox(
    drop_folder: Path,
    scale: str,
    seed: int,
    today: date,
    *,
    history: int = 1,
    images: Path | None = None,
    studies: Path | None = None,
    truth: Path | None = None,
    without: Collection[str] = (),
) -> SandboxSummary:
    """Simulate a business and write its exports into `drop_folder`.

    Args:
        scale: tiny, demo, medium or seed.
        seed: the same seed writes the same bytes.
        today: the morning the last export is made; it covers the days before.
        history: times the scale's days.
        images: folder of the creatives' images (tiny and demo); image_file is relative to its parent.
        studies: folder of split tests and weekly channel series; None: not written.
        truth: folder of the hidden truth, for tests and studies only; None: not written.
        without: platforms whose exports are not written, because their API serves them.
    Raises:
        ValueError: unknown scale, negative seed, or history below 1.
    """
    started = time.perf_counter()
    simulated = simulate_account(scale, seed, today, history)
    business, ledger, orders = simulated.business, simulated.ledger, simulated.orders
    ran = time.perf_counter()
    files = write_exports(business, ledger, orders, drop_folder, images, without)
    weeks = weekly_series(business, ledger, orders)
    files.append(write_media_history(business, ledger, weeks, drop_folder))
    files.append(write_split_tests(business, drop_folder))
    written = time.perf_counter()
    rows = {} if studies is None else write_studies(business, weeks, studies, truth)
    if truth is not None:
        write_truth(business, ledger, truth)
    return SandboxSummary(
        scale=scale,
        seed=seed,
        today=today,
        first_day=business.start,
        last_day=business.date_of(business.days - 1),
        drop_folder=drop_folder,
        files=tuple(files),
        study_rows=rows,
        seconds={
            "simulate": ran - started,
            "export": written - ran,
            "studies": time.perf_counter() - written,
        },
    )


def export_next_day(
    drop_folder: Path,
    scale: str,
    seed: int,
    history_end: date,
    today: date,
    *,
    history: int = 1,
    restated_days: int = 7,
    images: Path | None = None,
) -> list[ExportedFile]:
    """Write the exports made on the morning of `today` for a sandbox built for `history_end`.

    Raises:
        ValueError: `today` before `history_end`, or further ahead than the world was drawn.
    """
    ahead = (today - history_end).days
    if ahead < 0:
        raise ValueError(f"{today} lies before the history's end {history_end}")
    simulated = simulate_account(scale, seed, history_end, history, ahead)
    return write_day(
        simulated.business, simulated.ledger, simulated.orders, drop_folder, today, restated_days, images
    )
