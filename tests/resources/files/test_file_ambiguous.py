"""What a file leaves open is asked for, not guessed: decimal marks and the order of day and month."""

from __future__ import annotations

import json
from datetime import date

import pytest

FILES = "file_ad_performance"
META = "meta_ads_insights"


def costs(bench) -> list[str]:
    return sorted(payload["cost"] for payload in bench.payloads(FILES))


def semicolons(exports, rows) -> str:
    return exports.csv_text(
        [exports.generic_row(campaign=f"c{n}", **row) for n, row in enumerate(rows)], delimiter=";"
    )


@pytest.mark.parametrize(
    "amounts",
    [("1.234", "12.125"), ("1,234", "12,125"), ("5", "€ 12.125"), ("1.000", "2.000")],
)
def test_numbers_that_could_be_a_thousand_times_larger_are_not_guessed_at(bench, exports, amounts):
    bench.put("june.csv", semicolons(exports, [{"cost": amount} for amount in amounts]))
    report = bench.land()
    assert report.files[0].outcome == "refused"
    fault = report.files[0].fault
    first = next(amount for amount in amounts if not amount.isdigit())
    assert f'line {amounts.index(first) + 2}: cost is "{first}"' in fault[0].lower() + fault[1:]
    assert "`decimal: point` or `decimal: comma`" in fault
    assert "generic_long" in fault
    assert bench.rows(FILES).is_empty()


@pytest.mark.parametrize("delimiter", ["\t", "|"])
def test_other_delimiters_without_a_custom_are_asked_too(bench, exports, delimiter):
    rows = [exports.generic_row(cost="1.234")]
    bench.put("june.csv", exports.csv_text(rows, delimiter=delimiter))
    assert bench.land().files[0].outcome == "refused"


@pytest.mark.parametrize(
    ("rows", "landed"),
    [
        # Each file holds one cell that tells.
        ([{"cost": "1.234"}, {"cost": "0.125"}], ["0.125", "1.234"]),
        ([{"cost": "1.234"}, {"cost": "12.5"}], ["1.234", "12.5"]),
        ([{"cost": "1.234"}, {"cost": "12,50"}], ["12.5", "1234"]),
        ([{"cost": "1.234"}, {"cost": "5", "conversions_click": "0,5"}], ["1234", "5"]),
        # A whole number is written with a mark only where thousands are grouped.
        ([{"cost": "1.234"}, {"cost": "5", "impressions": "12.345"}], ["1234", "5"]),
        ([{"cost": "1,234"}, {"cost": "5", "impressions": "12,345"}], ["1234", "5"]),
        ([{"cost": "1234"}, {"cost": "5"}], ["1234", "5"]),
    ],
)
def test_one_number_that_tells_is_enough(bench, exports, rows, landed):
    bench.put("june.csv", semicolons(exports, rows))
    bench.land()
    assert costs(bench) == sorted(landed)


def test_a_number_that_tells_is_found_however_far_down(bench, exports):
    rows = [{"cost": "1.234"} for _ in range(6_000)] + [{"cost": "12.5"}]
    bench.put("june.csv", semicolons(exports, rows))
    bench.land()
    assert set(costs(bench)) == {"1.234", "12.5"}


def test_between_commas_a_point_is_a_decimal_point(bench, exports):
    bench.put(
        "june.csv", [exports.generic_row(cost="1.234"), exports.generic_row(campaign="b", cost="12.125")]
    )
    bench.land()
    assert costs(bench) == ["1.234", "12.125"]


@pytest.mark.parametrize(("decimal", "landed"), [("point", "1.234"), ("comma", "1234")])
def test_a_mapping_says_what_the_file_does_not(bench, decimal, landed):
    bench.put(
        "_mappings/own.yaml",
        "name: own\ntitle: Own sheet\nstream: file_ad_performance\nsource: {constant: own}\n"
        "account_id: {constant: o}\ncurrency: {constant: USD}\ndate: {column: Tag}\n"
        "keys: {campaign_id: Aktion}\nfields: {campaign_name: Aktion, cost: Kosten}\n"
        f"decimal: {decimal}\n",
    )
    bench.put("own.csv", "Tag;Aktion;Kosten\n2026-06-30;x;1.234\n")
    bench.land()
    assert costs(bench) == [landed]


# --- the order of day and month -----------------------------------------------------------------------


def slashed(exports, *days: str):
    return [exports.meta_row(day=day) for day in days]


def landed_days(bench) -> list[date]:
    return sorted(set(bench.rows(META)["report_date"]))


@pytest.mark.parametrize(
    "days",
    [
        [f"0{n}/06/2026" for n in range(1, 7)],
        [f"0{n}/06/2026" for n in (1, 2, 4, 6)],
        [f"0{n}/0{month}/2026" for month in (5, 6) for n in (1, 2, 3)],
        # Some days of the month are no months: without them the rest would land swapped.
        [f"{n:02d}/06/2026" for n in range(1, 15)],
        [f"{n:02d}/06/2026" for n in range(1, 31)],
        ["13/06/2026"],
    ],
)
def test_days_and_months_that_would_be_swapped_refuse_the_file(bench, exports, days):
    bench.put("june.csv", slashed(exports, *days))
    report = bench.land()
    assert report.files[0].outcome == "refused"
    for part in ("Days and months would be swapped", '`formats: ["%d/%m/%Y"]`', "meta_ads_manager"):
        assert part in report.files[0].fault
    assert bench.rows(META).is_empty()


@pytest.mark.parametrize(
    ("days", "last"),
    [
        ([f"06/0{n}/2026" for n in range(1, 7)], date(2026, 6, 6)),
        ([f"06/{n:02d}/2026" for n in range(8, 16)], date(2026, 6, 15)),
        (["05/01/2026", "05/02/2026", "06/01/2026", "06/02/2026"], date(2026, 6, 2)),
        (["06/01/2026"], date(2026, 6, 1)),
        (["01/06/2026", "02/06/2026", "06/13/2026"], date(2026, 6, 13)),
        ([f"2026-06-0{n}" for n in range(1, 7)], date(2026, 6, 6)),
    ],
)
def test_months_before_days_land_as_the_format_says(bench, exports, days, last):
    bench.put("june.csv", slashed(exports, *days))
    assert bench.land().files[0].outcome == "loaded"
    assert len(landed_days(bench)) == len(days)
    assert landed_days(bench)[-1] == last


def test_one_date_written_the_other_way_is_set_aside_alone(bench, exports):
    bench.put("june.csv", slashed(exports, *(f"06/0{n}/2026" for n in range(1, 7)), "13/06/2026"))
    bench.land()
    assert landed_days(bench)[-1] == date(2026, 6, 6)
    assert [row["line"] for row in bench.quarantine()] == [8]


def test_a_mapping_with_one_format_is_believed(bench):
    bench.put(
        "_mappings/own.yaml",
        "name: own\ntitle: Own sheet\nstream: file_ad_performance\nsource: {constant: own}\n"
        'account_id: {constant: o}\ncurrency: {constant: USD}\ndate: {column: Tag, formats: ["%m/%d/%Y"]}\n'
        "keys: {campaign_id: Aktion}\nfields: {campaign_name: Aktion, cost: Kosten}\n",
    )
    rows = "".join(f"0{n}/06/2026,x,{n}\n" for n in range(1, 5))
    bench.put("own.csv", "Tag,Aktion,Kosten\n" + rows)
    bench.land()
    found = {
        row["report_date"]: json.loads(row["payload"])["cost"]
        for row in bench.rows(FILES).iter_rows(named=True)
    }
    assert found == {date(2026, n, 6): str(n) for n in range(1, 5)}
