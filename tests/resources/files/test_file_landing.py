"""The load contract: what lands, what is set aside, what the second landing changes, what a crash leaves."""

from __future__ import annotations

import json
import pickle
from datetime import date, timedelta

import polars as pl
import pytest

from resources.control.ingestion import IngestionControl
from resources.control.store import open_control_store
from resources.files.fetched import Tolerance
from resources.files.landing import fetch_landing, plan_landing, publish_landing
from resources.files.mapping import MappingError
from resources.history.landed import landed_by
from resources.landing.ledger import Attempt, ledger_frame
from resources.settings import TrackRule, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Append, WarehouseError
from resources.warehouse.schema import TableName
from resources.warehouse.tables import INGEST_SLICES
from tests.resources.connectors import paper

STREAM = "meta_ads_insights"


def days(first: int, last: int) -> list[str]:
    return [f"2026-06-{day:02d}" for day in range(first, last + 1)]


# --- what lands ---------------------------------------------------------------------------------------


def test_a_meta_export_lands_with_its_keys_payload_ledger_and_account(bench, exports):
    bench.put(
        "june.csv", [exports.meta_row(ad="1"), exports.meta_row(ad="2", **{"Purchases (1-day view)": ""})]
    )
    report = bench.land()
    rows = bench.rows(STREAM)
    assert rows.select("source", "account_id", "report_date", "breakdown_set").unique().row(0) == (
        "meta",
        "120",
        date(2026, 6, 30),
        "none",
    )
    assert rows.select("campaign_id", "adset_id", "ad_id").sort("ad_id").rows() == [
        ("c1", "s1", "1"),
        ("c1", "s1", "2"),
    ]
    first = next(p for p in bench.payloads(STREAM) if p["ad_name"] == "Ad 1")
    assert first == {
        "account_name": "Main", "campaign_name": "Security prospecting", "adset_name": "Broad",
        "ad_name": "Ad 1", "creative_id": "k1", "currency": "USD", "impressions": "1000", "reach": "800",
        "clicks": "30", "inline_link_clicks": "20", "unique_inline_link_clicks": "19", "spend": "12.4",
        "purchases_7d_click": "2", "purchases_1d_view": "1", "purchase_value_7d_click": "240",
        "purchase_value_1d_view": "120",
    }  # fmt: skip
    second = next(p for p in bench.payloads(STREAM) if p["ad_name"] == "Ad 2")
    assert "purchases_1d_view" not in second
    ledger = bench.table("ops.ingest_slices").row(0, named=True)
    assert (ledger["status"], ledger["row_count"], ledger["data_batch_id"]) == (
        "complete",
        2,
        ledger["batch_id"],
    )
    account = bench.table("ops.accounts").row(0, named=True)
    assert (account["account_name"], account["currency"], account["timezone"]) == (
        "Main",
        "USD",
        "America/New_York",
    )
    assert report.changed_dates(STREAM) == [date(2026, 6, 30)]
    assert report.batch_ids == [ledger["batch_id"]]


def test_orders_belong_to_the_business_day_they_were_placed_on(bench, exports):
    order = {
        "order_id": "o1", "store_id": "shop", "ordered_at": "2026-06-30T03:30:00Z", "customer_id": "h1",
        "currency": "USD", "value": "120.00", "is_new_customer": "True", "track": "security",
        "refunded_at": "", "trial_started_at": "2026-06-29T23:30:00-04:00", "paid_at": "",
        "utm_source": "meta", "utm_campaign": "c", "utm_content": "",
    }  # fmt: skip
    bench.put("orders.csv", [order])
    bench.land()
    row = bench.rows("orders").row(0, named=True)
    assert (row["source"], row["account_id"], row["report_date"]) == ("orders", "shop", date(2026, 6, 29))
    payload = json.loads(row["payload"])
    assert payload["ordered_at"] == "2026-06-30T03:30:00+00:00"
    assert payload["trial_started_at"] == "2026-06-30T03:30:00+00:00"
    assert payload["is_new_customer"] == "true"
    assert "refunded_at" not in payload
    assert bench.table("ops.accounts").is_empty()


def test_levers_and_creatives_land_under_the_source_their_rows_name(bench):
    bench.put(
        "levers.csv",
        "source,account_id,snapshot_date,lever_id,lever_level,campaign_id,entity_id,entity_name,budget_type,"
        "currency,budget,minimum_budget,budget_increment,is_shared,learning_state,last_edited_at,status\n"
        "meta,120,2026-06-30,l1,campaign,c1,c1,Security,daily,USD,500.00,1,0.01,false,active,"
        "2026-06-20T10:00:00Z,active\n",
    )
    bench.put(
        "creatives.csv",
        "source,account_id,snapshot_date,creative_id,creative_name,format,headline,body,call_to_action,"
        "link_url,image_file,image_hash,theme,created_on\n"
        'meta,120,2026-06-30,k1,Hook,image,"Sleep, well","Line one\nline two",Learn more,https://x.test,'
        "a.png,ff,calm,2026-05-01\n",
    )
    bench.land()
    assert bench.payloads("levers")[0]["budget"] == "500"
    assert bench.payloads("creatives")[0]["body"] == "Line one\nline two"
    assert bench.rows("creatives")["source"].to_list() == ["meta"]


def test_a_google_report_lands_below_its_preamble_and_without_its_totals(bench):
    bench.put(
        "google.csv",
        "Ad performance\n"
        '"June 30, 2026 - June 30, 2026"\n'
        "Day,Customer ID,Account name,Campaign ID,Campaign,Ad group ID,Ad group,Ad ID,"
        "Network (with search partners),Device,Currency code,Impr.,Clicks,Cost,Conversions,"
        "View-through conv.,Conv. value\n"
        "2026-06-30,123-456-7890,Search,11,Security brand,22,Core,33,Google search,Mobile phones,USD,"
        '"1,200",60,"1,234.50",3.52,--,410.10\n'
        "2026-06-30,123-456-7890,Search,11,Security brand,22,Core, --,Google search,Computers,USD,"
        "10,1,2,0,0,0\n"
        'Total: Account,,,,,,,,,,USD,"1,210",61,"1,236.50",3.52,0,410.10\n'
        'Total: Search,,,,,,,,,,USD,"1,210",61,"1,236.50",3.52,0,410.10\n',
    )
    report = bench.land()
    assert report.files[0].read == 2, report.lines()
    rows = bench.rows("google_ads_ad_performance").sort("device")
    assert rows["ad_id"].to_list() == ["__none__", "33"]
    payload = json.loads(rows["payload"][1])
    assert (payload["impressions"], payload["cost"], payload["conversions"]) == ("1200", "1234.5", "3.52")
    assert "view_through_conversions" not in payload
    assert bench.quarantine() == []


def test_european_numbers_and_days_land_exactly(bench, exports):
    rows = [
        exports.generic_row(cost="1.234,56 €", impressions="12.000", clicks="1.000"),
        exports.generic_row(campaign="b", cost="0,5", impressions="7"),
    ]
    bench.put("june.csv", exports.csv_text(rows, delimiter=";"))
    bench.land()
    assert {(p["cost"], p["impressions"]) for p in bench.payloads("file_ad_performance")} == {
        ("1234.56", "12000"),
        ("0.5", "7"),
    }


def test_a_generic_export_with_placements_says_so_in_its_breakdown(bench, exports):
    bench.put("june.csv", [exports.generic_row(placement=p, ad_name="x") for p in ("feed", "story", "")])
    bench.land()
    rows = bench.rows("file_ad_performance")
    assert rows["breakdown_set"].unique().to_list() == ["placement"]
    assert set(rows["placement"]) == {"feed", "story", "__none__"}
    assert set(rows["campaign_id"]) == {"brand"}


USER_MAPPING = """
name: newsletter
title: Newsletter placements
stream: file_ad_performance
source: {constant: newsletter}
account_id: {constant: n1}
currency: {constant: EUR}
timezone: Europe/Berlin
date: {column: Tag, formats: ["%d.%m.%Y"]}
keys: {campaign_id: Aktion, ad_id: {join: [Aktion, Motiv], separator: " / "}}
fields: {campaign_name: Aktion, impressions: Sichten, clicks: Klicks, cost: Kosten}
overlap: OVERLAP
maturity_days: 3
declared_lever: ad
track_rules: [{track: security, campaign: "sicher*"}]
"""


def newsletter(*rows: str) -> str:
    return "Tag;Aktion;Motiv;Sichten;Klicks;Kosten\n" + "\n".join(rows) + "\n"


def test_a_persons_mapping_file_teaches_a_new_export(bench):
    bench.put("_mappings/newsletter.yaml", USER_MAPPING.replace("OVERLAP", "refuse"))
    bench.put("june.csv", newsletter("30.06.2026;sicher;blau;1.000;10;5,50"))
    bench.land([TrackRule(track="balance", campaign="*balance*")])
    row = bench.rows("file_ad_performance").row(0, named=True)
    assert (row["ad_id"], row["report_date"]) == ("sicher / blau", date(2026, 6, 30))
    account = bench.table("ops.accounts").row(0, named=True)
    assert (account["timezone"], account["maturity_days"], account["declared_lever"]) == (
        "Europe/Berlin",
        3,
        "ad",
    )
    rules = bench.table("ops.track_rules").sort("rule_order")
    assert rules.select("track", "source_pattern", "campaign_pattern").rows()[:2] == [
        ("balance", "%", "%balance%"),
        ("security", "newsletter", "sicher%"),
    ]


def test_a_broken_mapping_file_stops_the_landing_with_its_path(bench, exports):
    bench.put("_mappings/newsletter.yaml", USER_MAPPING + "colour: blue\n")
    bench.put("june.csv", [exports.generic_row()])
    with pytest.raises(MappingError, match=r"_mappings/newsletter.yaml: colour: unknown key"):
        bench.land()
    assert bench.rows("file_ad_performance").is_empty()


# --- what is set aside --------------------------------------------------------------------------------

BAD_ROWS = [
    ({"Amount spent": "-12.40"}, "spend is -12.4 USD. Negative spend is not accepted"),
    ({"Impressions": "-5"}, "impressions is -5. A count cannot be negative"),
    ({"Link clicks": "-1"}, "inline_link_clicks is -1. A count cannot be negative"),
    ({"Impressions": "10.5"}, "a count must be a whole number"),
    ({"Impressions": "9" * 19}, "larger than any count can be"),
    ({"Amount spent": "NaN"}, "not a finite number"),
    ({"Amount spent": "inf"}, "not a finite number"),
    ({"Amount spent": "twelve"}, "not a number here"),
    ({"Reporting starts": "2026-02-30", "Reporting ends": "2026-02-30"}, "no day of the calendar"),
    ({"Reporting starts": "", "Reporting ends": ""}, "the date is empty"),
    ({"Reporting starts": "1999-12-31", "Reporting ends": "1999-12-31"}, "before history_start (2015-01-01)"),
    ({"Reporting starts": "2026-07-03", "Reporting ends": "2026-07-03"}, "lies in the future"),
    ({"Reporting starts": "2026-06-01"}, "covers more than one day"),
    ({"Campaign ID": "", "Campaign name": ""}, "campaign_id is empty. That looks like a total line"),
    ({"Account ID": ""}, "account_id is empty"),
    ({"Ad ID": "x" * 300}, "at most 256 bytes"),
    ({"Ad ID": "a\x07b"}, "without control characters"),
    ({"Ad name": "n" * 10_001}, "ad_name is 10,001 characters long"),
    ({"Currency": "dollars"}, 'currency is "DOLLARS"'),
]


@pytest.fixture(scope="module")
def set_aside(tmp_path_factory, exports):
    """One landing of a file with every kind of bad row between two good ones."""
    folder = tmp_path_factory.mktemp("bad_rows")
    bench = exports.bench(folder, open_warehouse(read_environment({"AELP_HOME": str(folder / "home")})))
    bench.tolerance = Tolerance(rows=100, most=1.0)
    bad = [exports.meta_row(ad=f"bad {n}") | change for n, (change, _) in enumerate(BAD_ROWS)]
    bench.put("exports/june.csv", [exports.meta_row(ad="first"), *bad, exports.meta_row(ad="last")])
    return bench, bench.land()


@pytest.mark.parametrize("place", range(len(BAD_ROWS)), ids=[reason[:30] for _, reason in BAD_ROWS])
def test_an_unusable_row_is_set_aside_with_file_line_and_reason(set_aside, place):
    bench, _ = set_aside
    row = bench.quarantine()[place]
    assert (row["file"], row["line"], row["severity"]) == ("exports/june.csv", place + 3, "refused")
    assert row["stream"] == STREAM
    assert BAD_ROWS[place][1] in row["reason"]
    assert "Ad name" in json.loads(row["record"])


def test_rows_beside_unusable_ones_are_loaded_and_the_report_says_so(set_aside):
    bench, report = set_aside
    assert sorted(bench.rows(STREAM)["ad_id"]) == ["first", "last"]
    total = len(BAD_ROWS)
    line = report.lines()[0]
    assert f"{total} of {total + 2} rows were set aside in ops.quarantine, the first on line 3:" in line
    assert line.endswith("The other rows are loaded.")


def test_tomorrow_in_the_accounts_zone_is_still_accepted(bench, exports):
    bench.put("june.csv", [exports.meta_row(day="2026-07-02")])
    bench.land()
    assert bench.rows(STREAM).height == 1


def test_impossible_relations_are_flagged_and_kept(bench, exports):
    bench.put(
        "june.csv",
        [
            exports.meta_row(ad="1", Impressions=10, **{"Clicks (all)": 30}),
            exports.meta_row(ad="2", **{"Purchases (7-day click)": 31}),
            exports.meta_row(ad="3", **{"Purchases conversion value (7-day click)": "-5"}),
        ],
    )
    report = bench.land()
    assert bench.rows(STREAM).height == 3
    rows = bench.quarantine()
    assert [(row["line"], row["severity"]) for row in rows] == [
        (2, "flagged"),
        (3, "flagged"),
        (4, "flagged"),
    ]
    assert "30 clicks on 10 impressions. Kept as reported." in rows[0]["reason"]
    assert "31 click conversions from 30 clicks" in rows[1]["reason"]
    assert report.quarantined == {"flagged": 3}


def test_a_ragged_line_is_set_aside(bench, exports):
    text = exports.csv_text([exports.generic_row(), exports.generic_row(campaign="b")])
    bench.put("june.csv", text + "2026-06-30,newsletter,n1,c, with comma,EUR,1,1,1,1\n")
    bench.land()
    (row,) = bench.quarantine()
    assert row["line"] == 4
    assert "10 cells where the header has 9" in row["reason"]
    assert bench.rows("file_ad_performance").height == 2


def test_a_quote_never_closed_refuses_the_file_and_names_the_line(bench, exports):
    rows = [exports.generic_row(campaign=f"c{n}") for n in range(30)]
    lines = exports.csv_text(rows).splitlines()
    lines[5] = lines[5].replace(",10,", ',"10,')
    lines[9] = lines[9].replace("newsletter", 'news"letter')
    bench.put("june.csv", "\n".join(lines) + "\n")
    report = bench.land()
    assert "line 6" in report.files[0].fault.lower()
    assert "quote" in report.files[0].fault
    assert bench.rows("file_ad_performance").is_empty()


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{}, {"Ad ID": "2", "Currency": "EUR"}], "Account 120 reports in EUR and USD"),
        ([{"Impressions": "x"}, {"Impressions": "y", "Ad ID": "2"}], "Every row was refused"),
    ],
)
def test_a_file_wrong_as_a_whole_is_refused_whole(bench, exports, rows, reason):
    bench.put("june.csv", [exports.meta_row() | change for change in rows])
    bench.put("july.csv", [exports.meta_row(day="2026-07-01", ad="9")])
    report = bench.land()
    assert {file.path: file.outcome for file in report.files} == {"june.csv": "refused", "july.csv": "loaded"}
    assert bench.rows(STREAM)["ad_id"].to_list() == ["9"]
    whole = next(row for row in bench.quarantine() if row["line"] is None)
    assert reason in whole["reason"]
    assert whole["reason"].endswith("None of its rows are loaded.")


def test_a_header_and_a_column_of_different_currencies_are_mixed(bench, exports):
    row = exports.meta_row(Currency="EUR")
    row = {("Amount spent (USD)" if k == "Amount spent" else k): v for k, v in row.items()}
    bench.put("june.csv", [row])
    assert "mixed currencies" in bench.land().files[0].fault


def test_an_account_does_not_change_its_currency_from_file_to_file(bench, exports):
    bench.put("may.csv", [exports.meta_row(day="2026-05-30")])
    bench.land()
    bench.put("june.csv", [exports.meta_row(Currency="EUR")])
    report = bench.land()
    assert "reports in EUR here and in USD so far" in report.files[0].fault
    assert bench.rows(STREAM).height == 1


def test_too_many_bad_rows_condemn_the_file(bench, exports):
    bench.tolerance = Tolerance(rows=2, share=0.1)
    rows = [exports.meta_row(ad=str(n)) for n in range(20)]
    for n in range(3):
        rows[n]["Amount spent"] = "-1"
    bench.put("june.csv", rows)
    report = bench.land()
    assert "3 of 20 rows are unusable" in report.files[0].fault
    assert bench.rows(STREAM).is_empty()
    assert len(bench.quarantine()) == 4


def test_rows_that_repeat_exactly_are_loaded_once_and_counted(bench, exports):
    bench.put(
        "june.csv", [exports.meta_row(), exports.meta_row(), exports.meta_row(ad="2"), exports.meta_row()]
    )
    report = bench.land()
    assert bench.rows(STREAM).height == 2
    assert report.files[0].repeated == 2
    assert "2 rows repeat another row" in bench.quarantine()[0]["reason"]


def test_rows_that_repeat_with_other_numbers_are_all_refused(bench, exports):
    rows = [exports.meta_row(ad="1"), exports.meta_row(ad="2"), exports.meta_row(ad="1", Impressions=7)]
    bench.put("june.csv", [*rows, exports.meta_row(ad="3")])
    bench.land()
    assert sorted(bench.rows(STREAM)["ad_id"]) == ["2", "3"]
    rows = bench.quarantine()
    assert [row["line"] for row in rows] == [2, 4]
    assert "again on line 4" in rows[0]["reason"]
    assert "first on line 2" in rows[1]["reason"]


def test_a_repeated_row_names_the_columns_the_file_has(bench, exports):
    bench.put("june.csv", [exports.generic_row(), exports.generic_row(clicks=9), *_two_more(exports)])
    bench.land()
    reason = bench.quarantine()[0]["reason"]
    assert "the same date, source, account_id and campaign_name stand again on line 3" in reason
    assert "adgroup" not in reason


def _two_more(exports):
    return [exports.generic_row(campaign="b"), exports.generic_row(campaign="c")]


def test_refusals_beyond_a_thousand_are_counted_not_listed(bench, exports):
    bench.tolerance = Tolerance(rows=5000, most=1.0)
    rows = [exports.generic_row(campaign=str(n), cost="-1" if n < 1500 else "1") for n in range(1600)]
    bench.put("june.csv", rows)
    report = bench.land()
    assert report.files[0].refused == 1500
    assert len(bench.quarantine()) == 1001
    assert "500 further rows are refused" in bench.quarantine()[0]["reason"]
    assert bench.rows("file_ad_performance").height == 100


def test_what_stays_refused_is_said_once(bench, exports):
    bench.put("bad.csv", [exports.meta_row(), exports.meta_row(ad="2", Currency="EUR")])
    bench.put("other.csv", "alpha,beta\n1,2\n")
    bench.land()
    before = bench.snapshot()
    again = bench.land()
    assert bench.snapshot() == before
    assert [file.outcome for file in again.files] == ["refused"]


# --- the second landing -------------------------------------------------------------------------------


def test_landing_again_changes_nothing(bench, exports):
    bench.put("june.csv", [exports.meta_row(day=day) for day in days(1, 10)])
    bench.put("noise.csv", "alpha,beta\n1,2\n")
    bench.land()
    before = bench.snapshot()
    bench.now += timedelta(hours=1)
    report = bench.land()
    assert bench.snapshot() == before
    assert [file.outcome for file in report.files] == ["known"]
    assert report.changed.is_empty()
    assert report.batch_ids == []


def test_only_changed_days_get_new_rows(bench, exports):
    bench.put("a.csv", [exports.meta_row(day=day) for day in days(1, 5)])
    first = bench.land()
    restated = [exports.meta_row(day=day) for day in days(1, 6)]
    restated[3]["Purchases (7-day click)"] = 5
    bench.put("b.csv", restated)
    report = bench.land()
    assert report.changed_dates(STREAM) == [date(2026, 6, 4), date(2026, 6, 6)]
    assert report.rows_written == {STREAM: 2}
    ledger = bench.table("ops.ingest_slices").filter(batch_id=report.batch_ids[0])
    pointed = ledger.filter(pl.col("data_batch_id") == first.batch_ids[0])
    assert (ledger.height, pointed.height) == (6, 4)
    rows = bench.rows(STREAM)
    assert rows.height == 6
    assert json.loads(rows.filter(report_date=date(2026, 6, 4))["payload"][0])["purchases_7d_click"] == "5"


def test_the_order_of_rows_in_a_file_is_no_change(bench, exports):
    rows = [exports.meta_row(day=day, ad=ad, Impressions=int(ad) * 7) for day in days(1, 3) for ad in "123"]
    bench.put("a.csv", rows)
    bench.land()
    bench.put("b.csv", rows[::-1])
    assert [file.outcome for file in bench.land().files] == ["known", "unchanged"]


def test_two_ads_that_swap_their_numbers_are_a_change(bench, exports):
    def row(ad, impressions):
        return exports.meta_row(ad=ad, Impressions=impressions, **{"Ad name": "x", "Creative ID": "k"})

    bench.put("a.csv", [row("1", 10), row("2", 20)])
    bench.land()
    bench.put("b.csv", [row("1", 20), row("2", 10)])
    assert bench.land().files[1].slices_changed == 1


def test_a_vanished_row_leaves(bench, exports):
    bench.put("a.csv", [exports.meta_row(ad=ad) for ad in "123"])
    bench.land()
    bench.put("b.csv", [exports.meta_row(ad=ad) for ad in "12"])
    bench.land()
    assert sorted(bench.rows(STREAM)["ad_id"]) == ["1", "2"]


def test_a_vanished_day_is_believed_at_the_second_pull(bench, exports):
    full = [exports.meta_row(day=day) for day in days(1, 5)]
    without = [row for row in full if row["Reporting starts"] != "2026-06-03"]
    bench.put("a.csv", full)
    bench.land()
    bench.put("b.csv", without)
    report = bench.land()
    assert report.files[1].slices_deferred == 1
    assert report.changed.is_empty()
    assert bench.rows(STREAM).height == 5
    deferred = bench.table("ops.ingest_slices").filter(status="deferred").row(0, named=True)
    assert (deferred["report_date"], deferred["error_class"]) == (date(2026, 6, 3), "EMPTY_UNCONFIRMED")
    # The same file met again is no second pull.
    bench.land()
    assert bench.rows(STREAM).height == 5
    # The same bytes exported anew are.
    bench.put("c.csv", without)
    report = bench.land()
    assert report.changed_dates(STREAM) == [date(2026, 6, 3)]
    assert bench.rows(STREAM).height == 4
    emptied = bench.table("ops.ingest_slices").filter(report_date=date(2026, 6, 3)).sort("completed_at")
    assert emptied.row(-1, named=True)["row_count"] == 0
    before = bench.snapshot()
    bench.land()
    assert bench.snapshot() == before


def test_a_day_that_comes_back_is_not_emptied(bench, exports):
    full = [exports.meta_row(day=day) for day in days(1, 5)]
    without = [row for row in full if row["Reporting starts"] != "2026-06-03"]
    bench.put("a.csv", full)
    bench.land()
    bench.put("b.csv", without)
    bench.land()
    bench.put("c.csv", [*full[:4], full[4] | {"Impressions": 5}])
    bench.land()
    bench.put("d.csv", [*without[:3], full[4] | {"Impressions": 6}])
    report = bench.land()
    assert report.files[-1].slices_deferred == 1
    assert bench.rows(STREAM).height == 5


def test_days_outside_the_files_span_and_refused_rows_empty_nothing(bench, exports):
    bench.put("a.csv", [exports.meta_row(day=day) for day in days(1, 5)])
    bench.land()
    bench.put("b.csv", [exports.meta_row(day=day) for day in days(2, 3)])
    assert bench.land().files[-1].slices_deferred == 0
    bench.put(
        "c.csv",
        [exports.meta_row(day=d, **{"Amount spent": "-1" if d == "2026-06-03" else "3"}) for d in days(1, 5)],
    )
    assert bench.land().files[-1].slices_deferred == 0
    assert bench.rows(STREAM).height == 5


def test_files_land_in_the_order_they_were_made_within_and_across_landings(bench, exports):
    bench.put("z_old.csv", [exports.meta_row(Impressions=1)], age_hours=30)
    bench.put("a_new.csv", [exports.meta_row(Impressions=2)], age_hours=20)
    bench.land()
    assert [p["impressions"] for p in bench.payloads(STREAM)] == ["2"]
    # The clock stands still, and the ledger still goes forward.
    bench.put("b_newer.csv", [exports.meta_row(Impressions=3)], age_hours=10)
    bench.land()
    assert [p["impressions"] for p in bench.payloads(STREAM)] == ["3"]
    moments = bench.table("ops.ingest_slices").sort("completed_at")
    assert moments["batch_id"].to_list() == sorted(moments["batch_id"].to_list())
    assert moments["completed_at"].n_unique() == 3


def test_a_correction_taken_back_in_place_lands_again(bench, exports):
    bench.put("june.csv", [exports.meta_row(Impressions=1)], age_hours=30)
    bench.land()
    bench.put("june.csv", [exports.meta_row(Impressions=2)], age_hours=20)
    bench.land()
    bench.put("june.csv", [exports.meta_row(Impressions=1)], age_hours=10)
    bench.land()
    assert [p["impressions"] for p in bench.payloads(STREAM)] == ["1"]


def test_removing_the_newer_of_two_files_does_not_bring_the_older_back(bench, exports):
    bench.put("old.csv", [exports.meta_row(Impressions=1)])
    newer = bench.put("new.csv", [exports.meta_row(Impressions=2)])
    bench.land()
    newer.unlink()
    bench.land()
    assert [p["impressions"] for p in bench.payloads(STREAM)] == ["2"]


def test_a_changed_mapping_reads_the_same_bytes_again(bench):
    bench.put("_mappings/newsletter.yaml", USER_MAPPING.replace("OVERLAP", "refuse"))
    bench.put("june.csv", newsletter("30.06.2026;sicher;blau;1.000;10;5,50"))
    bench.land()
    bench.put(
        "_mappings/newsletter.yaml",
        USER_MAPPING.replace("OVERLAP", "refuse").replace("Motiv], ", "Motiv], ").replace(" / ", "-"),
    )
    bench.land()
    assert bench.rows("file_ad_performance")["ad_id"].to_list() == ["sicher-blau"]


# --- overlap ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [True, False])
def test_other_campaigns_for_a_day_already_there_are_ambiguous(bench, exports, together):
    bench.put("a.csv", [exports.meta_row(day=day) for day in days(1, 3)])
    if not together:
        bench.land()
    bench.put("b.csv", [exports.meta_row(day=day, **{"Campaign ID": "c2"}) for day in days(3, 4)])
    report = bench.land()
    refused = report.files[-1]
    assert refused.outcome == "refused"
    assert "already has other campaigns on 2026-06-03" in refused.fault
    assert bench.rows(STREAM)["report_date"].to_list() == [date(2026, 6, day) for day in (1, 2, 3)]


def test_a_day_with_a_campaign_in_common_is_a_correction(bench, exports):
    bench.put("a.csv", [exports.meta_row(**{"Campaign ID": "c1"}), exports.meta_row(**{"Campaign ID": "c2"})])
    bench.land()
    bench.put("b.csv", [exports.meta_row(**{"Campaign ID": "c2"}), exports.meta_row(**{"Campaign ID": "c3"})])
    bench.land()
    assert sorted(bench.rows(STREAM)["campaign_id"]) == ["c2", "c3"]


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("overlap", "kept"), [("union", ["neu", "sicher"]), ("replace", ["neu"])])
def test_a_mapping_says_what_an_overlap_means(bench, overlap, kept, together):
    bench.put("_mappings/newsletter.yaml", USER_MAPPING.replace("OVERLAP", overlap))
    bench.put("a.csv", newsletter("30.06.2026;sicher;blau;100;10;5,50"))
    if not together:
        bench.land()
    bench.put("b.csv", newsletter("30.06.2026;neu;rot;100;10;5,50"))
    bench.land()
    assert sorted(bench.rows("file_ad_performance")["campaign_id"]) == kept
    # The union is a slice like any other: exported again, it is unchanged.
    bench.put("c.csv", newsletter("30.06.2026;neu;rot;100;10;5,50"))
    assert bench.land().files[-1].outcome in ("known", "unchanged")
    assert sorted(bench.rows("file_ad_performance")["campaign_id"]) == kept


def test_a_union_replaces_the_campaigns_it_brings_again(bench):
    bench.put("_mappings/newsletter.yaml", USER_MAPPING.replace("OVERLAP", "union"))
    bench.put("a.csv", newsletter("30.06.2026;sicher;blau;100;10;5,50", "30.06.2026;neu;rot;100;10;5,50"))
    bench.land()
    bench.put("b.csv", newsletter("30.06.2026;neu;grün;7;1;1,50"))
    bench.land()
    rows = bench.rows("file_ad_performance")
    assert sorted(rows["ad_id"]) == ["neu / grün", "sicher / blau"]


PERIODS = """
name: weekly
title: Weekly totals
stream: file_period_performance
source: {constant: weekly}
account_id: {constant: w}
currency: {constant: XXX}
period: {column: week, days: 7}
keys: {campaign_id: channel}
fields: {campaign_name: channel, cost: cost}
"""


def test_other_periods_of_an_account_stay_when_a_file_brings_new_ones(bench):
    bench.put("_mappings/weekly.yaml", PERIODS)
    bench.put("a.csv", "week,channel,cost\n2026-06-01,search,10\n2026-06-08,search,11\n")
    bench.land()
    bench.put("b.csv", "week,channel,cost\n2026-06-08,search,12\n2026-06-15,search,13\n")
    report = bench.land()
    rows = bench.rows("file_period_performance").sort("period")
    assert rows["period"].to_list() == [
        "2026-06-01..2026-06-07",
        "2026-06-08..2026-06-14",
        "2026-06-15..2026-06-21",
    ]
    assert [json.loads(p)["cost"] for p in rows["payload"]] == ["10", "12", "13"]
    assert rows["report_date"].null_count() == 3
    assert report.changed_dates("file_period_performance") == []
    assert report.changed.height == 1


# --- files being written, links, crashes --------------------------------------------------------------


def test_a_file_still_growing_is_left_alone_and_taken_next_time(bench, exports):
    path = bench.put("june.csv", [exports.meta_row()], age_hours=0)
    bench.on_sleep = lambda: path.write_text(exports.csv_text([exports.meta_row(), exports.meta_row(ad="2")]))
    report = bench.land()
    assert report.unsettled == {"june.csv": "still being written; it will be taken up at the next landing"}
    assert bench.rows(STREAM).is_empty()
    assert bench.sleeps == [5.0]
    bench.on_sleep = None
    assert bench.land().rows_written == {STREAM: 2}


def test_old_files_are_not_waited_for(bench, exports):
    bench.put("june.csv", [exports.meta_row()])
    bench.land()
    assert bench.sleeps == []


@pytest.mark.parametrize("name", ["june.csv.part", "june.csv.tmp", "june.csv.crdownload"])
def test_names_of_unfinished_uploads_are_left_alone(bench, exports, name):
    bench.put(name, [exports.meta_row()])
    assert list(bench.land().unsettled) == [name]
    assert bench.rows(STREAM).is_empty()


@pytest.mark.parametrize("name", [".june.csv", ".cache/june.csv", "~$june.xlsx"])
def test_hidden_files_are_not_there(bench, exports, name):
    bench.put(name, [exports.meta_row()])
    report = bench.land()
    assert (report.files, report.unrecognised, report.unsettled) == ((), (), {})


def test_links_that_lead_out_of_the_folder_are_not_followed(bench, exports, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "june.csv").write_text(exports.csv_text([exports.meta_row()]))
    (bench.folder / "file.csv").symlink_to(secret / "june.csv")
    (bench.folder / "folder").symlink_to(secret)
    (bench.folder / "loop").symlink_to(bench.folder)
    report = bench.land()
    reasons = {file.path: file.reason for file in report.unrecognised}
    assert set(reasons) == {"file.csv", "folder", "loop"}
    assert "leads outside" in reasons["file.csv"]
    assert "leads outside" in reasons["folder"]
    assert "not entered" in reasons["loop"]
    assert bench.rows(STREAM).is_empty()


def test_an_absent_folder_is_an_empty_one(bench):
    bench.folder.rmdir()
    assert bench.land().files == ()


def test_an_empty_export_is_recognised_and_lands_nothing(bench, exports):
    bench.put("june.csv", ",".join(exports.meta_header) + "\n")
    report = bench.land()
    assert [(file.format, file.outcome, file.read) for file in report.files] == [
        ("meta_ads_manager", "unchanged", 0)
    ]
    assert report.lines() == ["june.csv: meta_ads_manager, no rows below the header: nothing to load."]


def test_a_drop_folder_may_be_an_object_store(bench, exports):
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe_file("/bucket/drop/june.csv", exports.csv_text([exports.meta_row()]).encode())
    try:
        bench.folder = "memory://bucket/drop"
        report = bench.land()
        assert [(file.path, file.outcome) for file in report.files] == [("june.csv", "loaded")]
        assert bench.rows(STREAM).height == 1
        assert [file.outcome for file in bench.land().files] == ["known"]
    finally:
        store.rm("/bucket", recursive=True)


def test_a_crash_between_fetch_and_publish_leaves_nothing_and_the_rerun_is_whole(bench, exports):
    bench.put("june.csv", [exports.meta_row(day=day) for day in days(1, 5)])
    drop = bench.drop()
    plan = plan_landing(drop, bench.warehouse)
    fetched = fetch_landing(drop, plan)
    assert fetched[0].pages
    del fetched  # the process dies here; its pages stay behind in the work folder
    assert bench.rows(STREAM).is_empty()
    assert bench.table("ops.ingest_slices").is_empty()
    assert bench.land().rows_written == {STREAM: 5}
    assert bench.rows(STREAM).height == 5
    assert not bench.work.exists()


def test_a_write_that_fails_leaves_nothing_half_loaded(bench, exports):
    bench.put("a.csv", [exports.meta_row()])
    bench.put("b.csv", [exports.generic_row()])
    drop = bench.drop()
    plan = plan_landing(drop, bench.warehouse)
    fetched = fetch_landing(drop, plan)
    # Its footer is whole, its rows are not: found out in the middle of the transaction.
    page = fetched[1].pages[0]
    content = page.read_bytes()
    page.write_bytes(content[:4] + b"\xff" * 300 + content[304:])
    with pytest.raises((WarehouseError, ValueError)):
        publish_landing(drop, plan, fetched, bench.warehouse)
    assert bench.snapshot() == dict.fromkeys(bench.snapshot(), 0)
    assert bench.land().rows_written == {STREAM: 1, "file_ad_performance": 1}


def test_two_landings_do_not_overtake_each_other(bench, exports):
    bench.put("a.csv", [exports.meta_row()])
    drop = bench.drop()
    slow = plan_landing(drop, bench.warehouse)
    fetched = fetch_landing(drop, slow)
    bench.land()
    with pytest.raises(WarehouseError, match="another landing was published"):
        publish_landing(drop, slow, fetched, bench.warehouse)
    assert bench.rows(STREAM).height == 1


def test_an_older_file_does_not_overtake_the_correction_that_took_its_place(bench, exports):
    june = bench.put("june.csv", [exports.meta_row()])
    slow = plan_landing(bench.drop(), bench.warehouse)
    fetched = fetch_landing(bench.drop(), slow)
    june.unlink()
    bench.put("corrected.csv", [exports.meta_row(**{"Amount spent": "7.00"})])
    bench.land()
    with pytest.raises(WarehouseError, match=r"days that are in june\.csv, too\. .* start a new landing"):
        publish_landing(bench.drop(), slow, fetched, bench.warehouse)
    assert [file.outcome for file in bench.land().files] == ["known"], "a new landing can be had"
    assert [row["spend"] for row in bench.payloads(STREAM)] == ["7"]


def test_what_a_pull_publishes_meanwhile_stops_no_landing(bench, exports, tmp_path):
    bench.put("june.csv", [exports.meta_row()])
    plan = plan_landing(bench.drop(), bench.warehouse)
    control = IngestionControl(open_control_store(f"sqlite:///{tmp_path}/control.sqlite"))
    pulls = paper.Bench(bench.warehouse, control, tmp_path / "pulls", paper.VirtualTime(bench.now))
    platform = paper.PaperPlatform({paper.TODAY: {"ad": 5}})
    fetched = fetch_landing(bench.drop(), plan)
    bench.now += timedelta(minutes=1)
    pulls.wait(minutes=1)
    pulled = pulls.run(platform)
    report = publish_landing(bench.drop(), plan, fetched, bench.warehouse)
    assert report.rows_written == {STREAM: 1}
    assert report.moment > plan.moment
    known = bench.table("ops.ingest_slices").sort("completed_at")
    assert known["stream"].to_list() == [pulled.stream] * len(pulled.changed) + [STREAM], "in their order"
    assert known["completed_at"][-1] == report.moment > known["completed_at"][-2]
    assert pulls.in_force() == platform.truth
    assert [file.outcome for file in bench.land().files] == ["known"]


def test_a_landing_stands_in_for_days_that_a_pull_failed_to_read_meanwhile(bench, exports):
    bench.put("june.csv", [exports.meta_row()])
    plan = plan_landing(bench.drop(), bench.warehouse)
    fetched = fetch_landing(bench.drop(), plan)
    key = ("meta", STREAM, "120", date(2026, 6, 30), "none")
    failed = Attempt("1-transient", None, "failed", 1, "", 0, None, bench.now)
    bench.warehouse.write(Append(INGEST_SLICES, ledger_frame([(key, failed, "TRANSIENT")])))
    assert publish_landing(bench.drop(), plan, fetched, bench.warehouse).rows_written == {STREAM: 1}


def test_rows_are_known_from_when_they_were_published_however_long_ago_they_were_planned(bench, exports):
    for name, day in (("june.csv", "2026-06-29"), ("july.csv", "2026-06-30")):
        bad = exports.meta_row(day, "3", **{"Amount spent": "?"})
        bench.put(name, [exports.meta_row(day, "1"), exports.meta_row(day, "2"), bad])
    bench.put("unknown.csv", [{"a": 1}])
    plan = plan_landing(bench.drop(), bench.warehouse)
    fetched = fetch_landing(bench.drop(), plan)
    planned = bench.now
    bench.now += timedelta(minutes=7)  # another run held the warehouse
    report = publish_landing(bench.drop(), plan, fetched, bench.warehouse)
    order = [bench.now, bench.now + timedelta(microseconds=1)]
    assert report.moment == bench.now
    assert bench.table("ops.ingest_slices")["completed_at"].sort().to_list() == order
    assert set(bench.table("ops.quarantine")["quarantined_at"]) == set(order)
    assert bench.table("ops.accounts")["last_landed_at"].to_list() == order[1:]
    for table in (f"raw.{STREAM}", "ops.ingest_slices", "ops.quarantine"):
        known = landed_by(TableName.parse(table))
        assert bench.warehouse.query(known, {"moment": order[0] - timedelta(seconds=1)}).is_empty()
        assert bench.warehouse.query(known, {"moment": order[1]}).equals(bench.table(table))
    assert set(bench.table(f"raw.{STREAM}")["_ingested_at"]) == {planned, planned + timedelta(microseconds=1)}


def test_what_goes_between_the_steps_survives_pickling(bench, exports):
    bench.put("june.csv", [exports.meta_row(day=day) for day in days(1, 5)])
    drop = bench.drop()
    plan = pickle.loads(pickle.dumps(plan_landing(drop, bench.warehouse)))
    fetched = pickle.loads(pickle.dumps(fetch_landing(drop, plan)))
    assert publish_landing(drop, plan, fetched, bench.warehouse).rows_written == {STREAM: 5}


def test_a_landing_without_rules_leaves_the_rules_alone(bench, exports):
    bench.put("june.csv", [exports.meta_row()])
    bench.land([TrackRule(track="security", campaign="*security*")])
    rules = bench.table("ops.track_rules")
    bench.put("july.csv", [exports.meta_row(day="2026-07-01")])
    bench.land(None)
    assert bench.table("ops.track_rules").equals(rules)
