"""Split tests dropped as files: what lands, what a newer file leaves alone, and what cannot be used."""

from __future__ import annotations

import pytest

HEADER = (
    "test_id,platform,account_id,arm,planned_share,report_date,device,users,impressions,link_clicks,orders\n"
)
STREAM = "experiment_arms"
WEEKS = (
    "name: weeks\ntitle: Weeks\nstream: experiment_arms\nsource: {{constant: archive}}\n"
    'account_id: {{constant: site}}\nperiod: {{column: week, formats: ["{week}"], days: {days}}}\n{overlap}'
    "keys: {{test_id: test, arm: headline}}\n"
    "fields: {{headline: headline, impressions: shown, link_clicks: clicks}}\n"
)


def rows(*lines: str) -> str:
    return HEADER + "".join(f"{line}\n" for line in lines)


def weekly_mapping(bench, week: str = "%Y%W", days: int = 7, overlap: str = "overlap: union\n") -> None:
    bench.put("_mappings/weeks.yaml", WEEKS.format(week=week, days=days, overlap=overlap))


def test_arms_land_by_day_and_device_and_make_no_account(bench):
    bench.put(
        "tests.csv",
        rows(
            "t1,meta,120,a,0.5,2026-06-01,mobile,100,190,3,1",
            "t1,meta,120,b,0.5,2026-06-01,mobile,98,180,2,0",
        ),
    )
    (file,) = bench.land().files
    assert (file.format, file.accepted) == ("split_tests", 2)
    landed = bench.rows(STREAM).sort("arm")
    assert landed.select(
        "test_id", "arm", "segment", "hour", "unit_id", "period", "breakdown_set"
    ).rows() == [
        ("t1", arm, "mobile", "__none__", "__none__", "2026-06-01..2026-06-01", "none") for arm in "ab"
    ]
    assert {payload["users"] for payload in bench.payloads(STREAM)} == {"100", "98"}
    assert bench.table("ops.accounts").is_empty()
    assert bench.table("ops.quarantine").is_empty()


def test_tests_older_than_history_start_land(bench):
    bench.put("tests.csv", rows("t1,meta,120,a,0.5,2013-06-24,mobile,100,190,3,1"))
    assert bench.land().files[0].accepted == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("t1,meta,120,,0.5,2026-06-01,mobile,100,190,3,1", "line 2: arm is empty."),
        (",meta,120,a,0.5,2026-06-01,mobile,100,190,3,1", "line 2: test_id is empty."),
        ("t1,meta,120,a,0.5,2026-08-01,mobile,100,190,3,1", "which lies in the future"),
        ("t1,meta,120,a,0.5,2026-06-01,mobile,1.5,190,3,1", "users is 1.5; a count must be a whole number"),
    ],
)
def test_a_row_that_is_no_arm_of_a_test_is_refused(bench, row, reason):
    bench.put("tests.csv", rows(row))
    (file,) = bench.land().files
    assert file.outcome == "refused"
    assert reason in str(file.fault)


def test_a_day_no_test_can_have_run_on_is_refused_and_no_setting_is_blamed(bench):
    bench.put("tests.csv", rows("t1,meta,120,a,0.5,0213-06-24,mobile,100,190,3,1"))
    (file,) = bench.land().files
    assert file.path == "tests.csv"
    assert 'line 2: the date is "0213-06-24", before 1990-01-01' in str(file.fault)
    assert "mend the date" in str(file.fault)
    assert "history_start" not in str(file.fault)


def test_a_file_about_one_test_leaves_the_others_and_restates_its_own(bench):
    day = "0.5,2026-06-01,mobile"
    bench.put("a.csv", rows(f"t1,meta,120,a,{day},100,190,3,1", f"t2,meta,120,a,{day},50,90,1,0"))
    bench.land()
    bench.put("b.csv", rows(f"t1,meta,120,a,{day},110,200,4,1"))
    bench.land()
    newest = bench.rows(STREAM).filter(_batch_id=bench.rows(STREAM)["_batch_id"].max())
    assert sorted(newest["test_id"]) == ["t1", "t2"]
    users = {payload["users"] for payload in bench.payloads(STREAM)}
    assert users >= {"110", "50"}


@pytest.mark.parametrize(
    ("pattern", "cell", "period"),
    [
        ("%Y%W", "201325", "2013-06-24..2013-06-30"),
        ("%Y%W", "201500", "2014-12-29..2015-01-04"),
        ("%G-W%V", "2026-W01", "2025-12-29..2026-01-04"),
    ],
)
def test_weeks_may_be_numbered(bench, pattern, cell, period):
    weekly_mapping(bench, pattern)
    bench.put("weeks.csv", f"test,week,headline,shown,clicks\nt1,{cell},Look,1000,12\n")
    bench.land()
    assert bench.rows(STREAM)["period"].to_list() == [period]
    assert bench.payloads(STREAM)[0]["headline"] == "Look"


def test_single_days_of_other_streams_are_no_period(bench):
    bench.put(
        "_mappings/days.yaml",
        "name: days\ntitle: Days\nstream: file_period_performance\nsource: {constant: x}\n"
        "account_id: {constant: a}\ncurrency: {constant: USD}\nperiod: {column: day, days: 1}\n"
        "keys: {campaign_id: campaign}\nfields: {cost: cost}\n",
    )
    with pytest.raises(ValueError, match="single days are `date`"):
        bench.land()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"days": 14}, "name weeks, which have 7 days"),
        ({"week": "%Y%U"}, "reads no day"),
        ({"overlap": ""}, "experiment_arms needs `overlap: union`"),
    ],
)
def test_a_mapping_that_would_misplace_or_lose_tests_is_refused(bench, changes, reason):
    weekly_mapping(bench, **changes)
    with pytest.raises(ValueError, match=reason):
        bench.land()
