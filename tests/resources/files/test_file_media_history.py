"""An agency's weekly file of the media mix, dropped: what lands, and the words for what cannot be used."""

from __future__ import annotations

import dataclasses

import pytest

HEADER = "week_start,track,channel,currency,spend,new_customers,revenue,promotion_share\n"
STREAM = "media_history"


def weeks(*rows: str) -> str:
    return HEADER + "".join(f"{row}\n" for row in rows)


def refusal(bench, text: str) -> str:
    bench.put("weeks.csv", text)
    (file,) = bench.land().files
    assert file.outcome == "refused"
    assert bench.rows(STREAM).is_empty()
    return str(file.fault)


def test_weeks_land_by_track_and_channel_and_make_no_account(bench):
    bench.put(
        "weeks.csv",
        weeks("2026-06-01,security,tv,USD,10,5,500,1", "2026-06-01,security,search,USD,0,5,500,1"),
    )
    bench.land()
    rows = bench.rows(STREAM).sort("channel")
    assert rows.select("track", "channel", "period", "report_date").rows() == [
        ("security", "search", "2026-06-01..2026-06-07", None),
        ("security", "tv", "2026-06-01..2026-06-07", None),
    ]
    assert sorted(payload["spend"] for payload in bench.payloads(STREAM)) == ["0", "10"]
    assert bench.table("ops.accounts").is_empty()


def test_a_newer_file_restates_its_weeks_and_leaves_the_others(bench):
    bench.put("a.csv", weeks("2026-05-25,t,tv,USD,1,5,50,0", "2026-06-01,t,tv,USD,2,6,60,0"))
    bench.land()
    bench.put("b.csv", weeks("2026-06-01,t,tv,USD,3,6,60,0"))
    bench.land()
    spend = {row["period_start"]: row["spend"] for row in bench.payloads(STREAM)}
    assert spend == {"2026-05-25": "1", "2026-06-01": "3"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            "2026-06-02,t,tv,USD,1,5,50,0",
            'line 2: the week starts on "2026-06-02", a Tuesday; weeks here start on a Monday. Export weeks '
            "that do, or change media_mix.week_starts_on in the settings.",
        ),
        ("2026-06-29,t,tv,USD,1,5,50,0", 'line 2: the week that starts on "2026-06-29" is not over.'),
        (
            "2026-06-01,t,tv,USD,1,5,50,40",
            "line 2: promotion_share is 40: it is the share of the week's days",
        ),
        ("2026-06-01,,tv,USD,1,5,50,0", "line 2: track is empty."),
        ("2026-06-01,t,,USD,1,5,50,0", "line 2: channel is empty."),
        ("2026-06-01,t,tv,USD,-1,5,50,0", "line 2: spend is -1 USD. Negative spend is not accepted"),
        ("2014-12-29,t,tv,USD,1,5,50,0", "before history_start (2015-01-01)"),
    ],
)
def test_a_row_that_is_no_week_of_a_channel_is_refused(bench, row: str, reason: str):
    assert reason in refusal(bench, weeks(row))


def test_weeks_start_on_the_settings_weekday(bench):
    bench.put("weeks.csv", weeks("2026-06-07,t,tv,USD,1,5,50,0"))
    sundays = dataclasses.replace(bench.drop(), week_starts_on=6)
    bench.drop = lambda: sundays
    (file,) = bench.land().files
    assert file.accepted == 1


def test_rows_that_disagree_on_what_the_track_sold_refuse_the_file(bench):
    fault = refusal(
        bench,
        weeks(
            "2026-06-01,t,tv,USD,1,5,50,0", "2026-06-01,u,tv,USD,1,9,50,0", "2026-06-01,t,search,USD,1,6,50,0"
        ),
    )
    assert fault == (
        "Line 4: new_customers of t in the week 2026-06-01..2026-06-07 is 6, and 5 on line 2. It is the "
        "whole track's: repeat the same number on each of its channels' rows."
    )


def test_a_mapping_of_other_periods_than_weeks_is_refused(bench):
    bench.put(
        "_mappings/months.yaml",
        "name: months\ntitle: Months\nstream: media_history\nsource: {constant: agency}\n"
        "account_id: {constant: a}\ncurrency: {constant: USD}\nperiod: {column: month, days: 30}\n"
        "keys: {track: track, channel: channel}\nfields: {spend: spend}\n",
    )
    with pytest.raises(ValueError, match=r"media_history holds weeks: `period: \{column: ..., days: 7\}`"):
        bench.land()
