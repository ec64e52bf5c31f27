"""A day in which rows were refused never takes the place of a whole one, and a mostly wrong file of none."""

from __future__ import annotations

import json
from datetime import date

import pytest

STREAM = "meta_ads_insights"
JUNE_29, JUNE_30 = date(2026, 6, 29), date(2026, 6, 30)


def day_of(exports, day: str, **spend: str):
    """One ad per campaign, by what it spent."""
    return [
        exports.meta_row(day=day, ad=f"ad of {name}", **{"Campaign ID": name, "Amount spent": amount})
        for name, amount in spend.items()
    ]


def spent(bench) -> dict[tuple[date, str], str]:
    rows = bench.rows(STREAM)
    return {
        (row["report_date"], row["campaign_id"]): json.loads(row["payload"])["spend"]
        for row in rows.iter_rows(named=True)
    }


@pytest.fixture
def whole(bench, exports):
    """Two whole days of three campaigns."""
    for day in ("2026-06-29", "2026-06-30"):
        bench.put(f"{day}.csv", day_of(exports, day, a="1", b="2", c="3"))
    bench.land()
    return bench


@pytest.mark.parametrize("together", [True, False])
def test_a_day_with_a_refused_row_leaves_the_whole_day_in_force(bench, exports, together):
    bench.put("first.csv", day_of(exports, "2026-06-30", a="1", b="2", c="3"))
    if not together:
        bench.land()
    bench.put("second.csv", day_of(exports, "2026-06-30", a="10", b="20", c="-1"))
    report = bench.land()
    assert spent(bench) == {(JUNE_30, "a"): "1", (JUNE_30, "b"): "2", (JUNE_30, "c"): "3"}
    entry = bench.table("ops.ingest_slices").sort("completed_at").row(-1, named=True)
    assert (entry["status"], entry["error_class"], entry["row_count"], entry["data_batch_id"]) == (
        "failed",
        "ROWS_REFUSED",
        0,
        None,
    )
    line = next(line for line in report.lines() if line.startswith("second.csv"))
    assert "1 day keeps the rows landed before" in line
    assert "2026-06-30" in line
    assert "are loaded" not in line
    said = [row["reason"] for row in bench.quarantine() if row["line"] is None]
    assert any("stays in force, whole, for: 2026-06-30" in reason for reason in said)


def test_the_other_days_of_the_file_are_loaded(whole, exports):
    rows = day_of(exports, "2026-06-29", a="10", b="20", c="30") + day_of(
        exports, "2026-06-30", a="10", b="20", c="-1"
    )
    whole.put("both.csv", rows)
    report = whole.land()
    assert {key[1]: value for key, value in spent(whole).items() if key[0] == JUNE_29} == {
        "a": "10",
        "b": "20",
        "c": "30",
    }
    assert spent(whole)[JUNE_30, "a"] == "1"
    assert report.changed_dates(STREAM) == [JUNE_29]
    assert report.lines()[-1].endswith("The rows of the other days are loaded.")


def test_the_mended_file_replaces_the_day(whole, exports):
    whole.put("torn.csv", day_of(exports, "2026-06-30", a="10", b="20", c="-1"))
    whole.land()
    whole.put("mended.csv", day_of(exports, "2026-06-30", a="10", b="20", c="30"))
    whole.land()
    assert spent(whole)[JUNE_30, "c"] == "30"


def test_a_day_of_which_every_row_is_refused_is_named_too(whole, exports):
    rows = day_of(exports, "2026-06-29", a="10", b="20", c="30") + day_of(exports, "2026-06-30", a="-1")
    whole.put("both.csv", rows)
    report = whole.land()
    assert report.files[-1].held_days == "2026-06-30"
    assert spent(whole)[JUNE_30, "a"] == "1"


def test_a_day_that_lands_first_lands_without_its_refused_row_and_may_be_restated_so(bench, exports):
    bench.put("first.csv", day_of(exports, "2026-06-30", a="1", b="2", c="-1"))
    report = bench.land()
    assert report.lines()[0].endswith("The other rows are loaded.")
    entry = bench.table("ops.ingest_slices").row(0, named=True)
    assert (entry["status"], entry["error_class"], entry["row_count"]) == ("complete", "ROWS_REFUSED", 2)
    # The same row stays wrong in every export: the others must still be restated.
    bench.put("second.csv", day_of(exports, "2026-06-30", a="10", b="20", c="-1"))
    bench.land()
    assert spent(bench)[JUNE_30, "a"] == "10"
    bench.put("whole.csv", day_of(exports, "2026-06-30", a="10", b="20", c="30"))
    bench.land()
    bench.put("torn.csv", day_of(exports, "2026-06-30", a="11", b="21", c="-1"))
    bench.land()
    assert spent(bench)[JUNE_30, "a"] == "10"


def test_a_row_that_names_no_day_holds_the_days_that_became_smaller(whole, exports):
    lost = day_of(exports, "2026-06-29", c="3")[0] | {"Reporting starts": "?", "Reporting ends": "?"}
    rows = day_of(exports, "2026-06-29", a="10", b="20") + day_of(
        exports, "2026-06-30", a="10", b="20", c="30"
    )
    whole.put("both.csv", [*rows, lost])
    report = whole.land()
    assert report.files[-1].held_days == "2026-06-29"
    assert spent(whole)[JUNE_29, "c"] == "3"
    assert spent(whole)[JUNE_30, "c"] == "30"


def test_a_torn_period_keeps_the_account_as_it_was(bench):
    bench.put(
        "_mappings/weekly.yaml",
        "name: weekly\ntitle: Weekly totals\nstream: file_period_performance\nsource: {constant: weekly}\n"
        "account_id: {constant: w}\ncurrency: {constant: XXX}\nperiod: {column: week, days: 7}\n"
        "keys: {campaign_id: channel}\nfields: {campaign_name: channel, cost: cost}\n",
    )
    bench.put("a.csv", "week,channel,cost\n2026-06-01,search,10\n2026-06-01,social,5\n")
    bench.land()
    bench.put("b.csv", "week,channel,cost\n2026-06-01,search,20\n2026-06-01,social,-5\n")
    report = bench.land()
    assert sorted(json.loads(p)["cost"] for p in bench.rows("file_period_performance")["payload"]) == [
        "10",
        "5",
    ]
    assert report.files[-1].held_days == "undated rows"


@pytest.mark.parametrize(("wrong", "outcome"), [(8, "refused"), (5, "refused"), (4, "loaded")])
def test_a_file_that_is_mostly_wrong_is_refused_whole(bench, exports, wrong, outcome):
    rows = [exports.meta_row(ad=str(n), **{"Amount spent": "-1" if n < wrong else "1"}) for n in range(9)]
    bench.put("june.csv", rows)
    report = bench.land()
    assert report.files[0].outcome == outcome
    assert bench.rows(STREAM).height == (9 - wrong if outcome == "loaded" else 0)
    if outcome == "refused":
        assert f"{wrong} of 9 rows are unusable" in report.files[0].fault
