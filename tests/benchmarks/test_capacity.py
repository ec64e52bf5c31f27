"""What a day of a size costs: bytes by type, days by query, the least that is billed, lines beyond."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from benchmarks.capacity import HISTORY_DAYS, Scan, Stored, markdown, one_day, stored_tables
from benchmarks.record import RESULTS, Record, save
from resources.settings import PROJECT_ROOT


def test_a_table_is_as_large_as_bigquery_says_its_types_are(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema s")
        connection.execute(
            "create table s.t as select * from (values "
            "(date '2026-06-01', 'aé', 1.5::decimal(38, 9), 1::bigint), (date '2026-06-02', null, 2, null)"
            ") as rows(date, name, spend, clicks)"
        )
        connection.execute("create view s.v as select * from s.t")
    # Days 2 × 8; the text 2 and its three bytes; money 2 × 16; one count of 8.
    assert stored_tables(file) == {"s.t": Stored(16 + 5 + 32 + 8, 2)}


def test_a_query_reads_its_days_and_is_billed_ten_megabytes_a_table_at_least() -> None:
    stored = {"by_day": Stored(1e9, 10), "whole": Stored(1e3, None)}
    reads = [
        Scan("by_day", 3, 7),
        Scan("by_day", None, 1),
        Scan("whole", None, 1),
        Scan("never written", 1, 1),
    ]
    day = one_day(reads, stored, 2.0)
    of_a_day = 2 * 1e9 / 10
    assert day.read == pytest.approx(7 * 3 * of_a_day + HISTORY_DAYS * of_a_day + 2e3)
    assert day.billed - day.read == pytest.approx(10 * 2**20 - 2e3)
    assert day.kept_a_day == pytest.approx(of_a_day)


def test_the_page_has_the_kept_figures_and_no_others() -> None:
    assert (
        f"\n\n{markdown(RESULTS / 'spine.json')}\n\n" in (PROJECT_ROOT / "deploy" / "README.md").read_text()
    )


def test_the_table_says_what_was_measured_and_what_was_reckoned(tmp_path: Path) -> None:
    row = {"rows": 1600.0, "GB read": 4.7, "GB a year": 1.1, "dollars": 0.26, "wall seconds": 26.0}
    beyond = {"rows": 1e6, "GB read": 2900.0, "GB a year": 700.0, "dollars": 17.0, "wall seconds": 1500.0}
    kept = Record(
        "capacity", {}, [], details={"table": {"measured": {"tiny": row}, "beyond": {"1,000,000": beyond}}}
    )
    save(tmp_path / "spine.json", {kept.key: kept})
    _, _, *rows = markdown(tmp_path / "spine.json").splitlines()
    assert rows == [
        "| 1,600 | 4.7 GB | $0.26 | 1.1 GB | 26 s (measured) |",
        "| 1,000,000 | 2.9 TB | $17.00 | 700.0 GB | 25 min (reckoned) |",
    ]


def test_where_nothing_was_measured_it_says_what_measures(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"`python -m benchmarks\.run --evidence --only capacity`"):
        markdown(tmp_path / "spine.json")
