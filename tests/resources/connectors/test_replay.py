"""Public exports through the platforms' protocols: the real SDKs read the exports' own totals.

Each test runs on a few rows written here in an export's layout, and on the export itself where it is there.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from resources.clock import FixedClock
from resources.connectors.ga4_export import Ga4Export, IdentifierSalt
from resources.connectors.ga4_tables import ParquetTables
from resources.connectors.google_ads.credentials import GoogleAdsCredentials
from resources.connectors.google_ads.source import GoogleAdsSource
from resources.connectors.meta.credentials import MetaCredentials
from resources.connectors.meta.source import MetaSource
from resources.connectors.orders import OrdersCredentials, OrdersDatabase, OrdersTable
from resources.connectors.planning import Span
from resources.connectors.source import Account, Pull, Source
from resources.creative_assets import AssetStore
from resources.files.drop import FileDrop
from resources.files.landing import land
from resources.sandbox import replay
from resources.sandbox.backend_frames import CREATIVE_COLUMNS, LEVER_COLUMNS, creatives_frame, levers_frame
from resources.sandbox.frames import Reports, Window
from resources.sandbox.replay import ReplayedAccount
from resources.sandbox.servers.account import ACCOUNT_ZONE
from resources.sandbox.servers.ga4_export import write_table
from resources.sandbox.servers.google_ads import GoogleAdsServer
from resources.sandbox.servers.meta import MetaServer
from resources.sandbox.servers.shop import TABLE, write_orders
from resources.warehouse.tables import PYTHON_TABLES
from tests.resources.connectors.landed import publish_days, sums

TOKEN = "sandbox-token-of-a-replay"
KAG_DAY = date(2026, 6, 29)  # chosen: the export has no days
KAG_TODAY = date(2026, 6, 30)
FIRM_FIRST, FIRM_LAST, FIRM_TODAY = date(2020, 4, 1), date(2020, 5, 31), date(2020, 6, 1)
META = Account("418802716650377", "KAG Facebook account", "USD", ACCOUNT_ZONE)
GOOGLE = Account("472-118-9034", "Online advertising performance", "USD", ACCOUNT_ZONE)
PROPERTY = Account("7", "7", "USD", replay.MERCHANDISE_ZONE)
SALT = IdentifierSalt("a salt of the sandbox only")

KAG = """\
ad_id,xyz_campaign_id,fb_campaign_id,age,gender,interest,Impressions,Clicks,Spent,Total_Conversion,Approved_Conversion
901,71,801,30-34,M,15,4100,3,2.480000019,4,1
902,71,801,35-39,F,16,900,1,0.100000001,0,0
903,72,802,30-34,M,20,120,0,0,0,0
"""
FIRM = """\
month,day,campaign_number,user_engagement,banner,placement,displays,cost,clicks,revenue,post_click_conversions,post_click_sales_amount
April,1,brand,Low,300 x 250,left,120,0.5,7,0.1234,2,10.5
April,1,brand,High,300 x 250,#N/A,30,0.1,1,0.0001,9,0.0003
April,1,brand,High,728 x 90,left,5,0.1,0,0,0,0
May,31,other,High,300 x 250,left,1000,3,12,1.9999,3,99.99
"""
_STORE_HEADER = (
    "fullVisitorId,channelGrouping,time,country,totalTransactionRevenue,transactions,date,visitId,type,"
    "currencyCode,transactionId,pageTitle,pagePathLevel1,eCommerceAction_type,v2ProductName\n"
)
STORE = _STORE_HEADER + (
    "1.1E+18,Direct,0,Spain,,,20180205,1517860000,PAGE,USD,,Bags,/bags/,0,Bag\n"
    "1.1E+18,Direct,0,Spain,,,20180205,1517860000,PAGE,USD,,Bags,/bags/,0,Tote\n"
    "1.1E+18,Direct,9000,Spain,,,20180205,1517860000,EVENT,USD,,Bags,/bags/,3,Bag\n"
    "1.2E+18,Referral,0,Peru,55500000,1,20180205,1517860777,PAGE,USD,,Cams,/cams/,0,Cam\n"
    "1.2E+18,Referral,5000,Peru,55500000,1,20180205,1517860777,PAGE,USD,ORD1,Thanks,/done.html,6,Cam\n"
    "1.3E+18,Display,40,Chile,7250000,1,20180206,1517903940,PAGE,,,,/done.html,6,Cap\n"
)
CDNOW = """\
 customer_id  date number_of_cds  dollar_value
 00801 19970203  1    9.43
 00801 19970203  1    9.43
 00802 19970304  5    0.00
 00802 19980506  2   61.05
"""
WRITTEN_OR_PUBLISHED = ("written", pytest.param("published", marks=pytest.mark.real_data))


@pytest.fixture(params=WRITTEN_OR_PUBLISHED)
def export(request, tmp_path) -> Callable[[str, str], Path]:
    """A file of an export: as published, or these rows under its name."""

    def found(name: str, written: str) -> Path:
        if request.param == "published":
            return request.getfixturevalue("shared_data") / name
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(written)
        return path

    return found


@pytest.fixture
def kag(export) -> Path:
    return export("kag_facebook/KAG_conversion_data.csv", KAG)


@pytest.fixture
def firm(export) -> Path:
    return export("online_ad_performance/online_advertising_performance_apr_may.csv", FIRM)


@pytest.fixture
def store(export) -> Path:
    return export("ga_merch_store/all_sessions.csv", STORE)


@pytest.fixture
def cdnow(export) -> Path:
    return export("ltv_cdnow/CDNOW_master.txt", CDNOW)


def own_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def own_total(rows: Sequence[dict[str, str]], column: str, places: str = "0.0001") -> Decimal:
    return sum((Decimal(row[column] or 0).quantize(Decimal(places)) for row in rows), Decimal(0))


def morning(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 8, tzinfo=ZoneInfo(ACCOUNT_ZONE))


def read(
    source: Source, account: Account, report: str, first: date, last: date | None = None
) -> pl.DataFrame:
    asked = next(r for r in source.reports if r.name == report)
    pages = source.pages(Pull(account, asked, first, last or first))
    return pl.concat([page.rows for page in pages], how="diagonal_relaxed")


def total(rows: pl.DataFrame, column: str) -> Decimal:
    return sum((Decimal(text) for text in rows[column].drop_nulls()), Decimal(0))


@contextmanager
def kag_on_meta(path: Path, at: datetime | None = None) -> Iterator[MetaSource]:
    now = at or morning(KAG_TODAY)
    served = ReplayedAccount(replay.kag_facebook(path, KAG_DAY), lambda: now)
    with MetaServer(served, TOKEN) as server:
        yield MetaSource(
            MetaCredentials(TOKEN),
            assets=AssetStore(Path("no asset is asked for")),
            base_url=server.url,
            sleep=lambda seconds: None,
            now=lambda: now,
        )


@contextmanager
def firm_on_google(path: Path) -> Iterator[GoogleAdsSource]:
    served = ReplayedAccount(replay.display_firm(path), lambda: morning(FIRM_TODAY))
    with GoogleAdsServer(served, TOKEN) as server:
        source = GoogleAdsSource(GoogleAdsCredentials(access_token=TOKEN), endpoint=server.endpoint)
        yield source
        source.close()


def land_file(path: Path, warehouse, folder: Path) -> None:
    (folder / "drop").mkdir()
    shutil.copy(path, folder / "drop")
    drop = FileDrop(
        str(folder / "drop"), folder / "work", FixedClock(datetime(2027, 1, 1, tzinfo=UTC)),
        date(2015, 1, 1), "UTC", settle_seconds=0.0, sleep=lambda _: None,
    )  # fmt: skip
    land(drop, warehouse, ())


# --- KAG: a Facebook account through the Graph API ------------------------------------------------------


def test_kag_lands_through_metas_api_as_its_file_lands_in_the_drop(kag, duckdb_warehouse, tmp_path):
    duckdb_warehouse.ensure_tables(list(PYTHON_TABLES.values()))
    land_file(kag, duckdb_warehouse, tmp_path)
    served = ReplayedAccount(replay.kag_facebook(kag, KAG_DAY), lambda: morning(KAG_TODAY))
    with MetaServer(served, TOKEN) as server:
        server.job_stages = (("Job Completed", 100),)
        variables = {"AELP_META_ENDPOINT": server.url, "AELP_META_ACCESS_TOKEN": TOKEN}
        clock = FixedClock(morning(KAG_TODAY))
        days = Span(KAG_DAY, KAG_TODAY)
        publish_days(duckdb_warehouse, clock, "meta", META.account_id, days, variables, tmp_path)
    by_file = sums(
        duckdb_warehouse, "file_period_performance", ("campaign_id", "adgroup_id", "ad_id"),
        ("impressions", "clicks", "cost", "conversions_click"),
    )  # fmt: skip
    entity, spent = ("campaign_id", "adset_id", "ad_id"), ("impressions", "inline_link_clicks", "spend")
    for stream in ("meta_ads_insights", "meta_ads_insights_by_placement"):
        by_api = sums(duckdb_warehouse, stream, entity, (*spent, "purchases_7d_click"))
        assert by_api == by_file, stream
    assert len(by_file) == len(own_rows(kag))
    assert set(sums(duckdb_warehouse, "meta_ads_insights", ("report_date",), ())) == {(KAG_DAY,)}


def test_meta_answers_with_kags_own_totals_on_the_chosen_day(kag):
    own = own_rows(kag)
    with kag_on_meta(kag) as meta:
        rows = read(meta, META, "meta_ads_insights/none", KAG_DAY)
        earlier = read(meta, META, "meta_ads_insights/none", date(2026, 6, 28))
    assert earlier.is_empty()
    assert total(rows, "impressions") == own_total(own, "Impressions")
    assert total(rows, "clicks") == total(rows, "inline_link_clicks") == own_total(own, "Clicks")
    assert total(rows, "spend") == own_total(own, "Spent", "0.01")
    assert total(rows, "purchases_7d_click") == own_total(own, "Total_Conversion")
    assert total(rows, "purchases_1d_view") == 0
    assert rows["creative_id"].null_count() == rows.height == len(own)
    assert rows["reach"].null_count() == rows.height


@pytest.mark.real_data
def test_the_published_totals_of_kag_arrive_through_metas_api(shared_data):
    with kag_on_meta(shared_data / "kag_facebook" / "KAG_conversion_data.csv") as meta:
        rows = read(meta, META, "meta_ads_insights/none", KAG_DAY)
    assert (total(rows, "impressions"), total(rows, "clicks")) == (213_434_828, 38_165)
    assert total(rows, "spend") == Decimal("58705.23")


def test_metas_objects_are_kags_campaigns_ad_sets_and_ads_and_nothing_else(kag):
    own = own_rows(kag)
    with kag_on_meta(kag) as meta:
        rows = read(meta, META, "meta_entities/none", KAG_TODAY)
        assert meta.accounts() == [META]
        assert read(meta, META, "levers/none", KAG_TODAY).is_empty()
        assert read(meta, META, "creatives/none", KAG_TODAY).is_empty()
        assert read(meta, META, "meta_activities/none", KAG_DAY).is_empty()
    ids = {
        kind: set(of["entity_id"]) for (kind,), of in rows.partition_by("entity_type", as_dict=True).items()
    }
    assert ids.pop("account") == {META.account_id}
    assert ids == {
        "campaign": {row["xyz_campaign_id"] for row in own},
        "adset": {row["fb_campaign_id"] for row in own},
        "ad": {row["ad_id"] for row in own},
    }
    spent = rows.filter(pl.col("entity_type") == "account")["amount_spent"][0]
    assert Decimal(spent) == own_total(own, "Spent", "0.01")


def test_a_day_is_told_once_it_is_over_and_by_the_hour_before(kag):
    with kag_on_meta(kag, datetime(2026, 6, 29, 18, 30, tzinfo=ZoneInfo(ACCOUNT_ZONE))) as meta:
        assert read(meta, META, "meta_ads_insights/none", KAG_DAY).is_empty()
        so_far = read(meta, META, "meta_hourly_spend/none", KAG_DAY)
    assert so_far["hour"].cast(pl.Int64).max() == 17
    assert 0 < total(so_far, "impressions") < own_total(own_rows(kag), "Impressions")


# --- a display firm through Google Ads ------------------------------------------------------------------


def test_the_display_firm_lands_through_googles_api_as_its_file_lands_in_the_drop(
    firm, duckdb_warehouse, tmp_path
):
    duckdb_warehouse.ensure_tables(list(PYTHON_TABLES.values()))
    land_file(firm, duckdb_warehouse, tmp_path)
    served = ReplayedAccount(replay.display_firm(firm), lambda: morning(FIRM_TODAY))
    with GoogleAdsServer(served, TOKEN) as server:
        variables = {"AELP_GOOGLE_ADS_ENDPOINT": server.endpoint, "AELP_GOOGLE_ADS_ACCESS_TOKEN": TOKEN}
        clock, days = FixedClock(morning(FIRM_TODAY)), Span(FIRM_FIRST, FIRM_TODAY)
        publish_days(duckdb_warehouse, clock, "google_ads", GOOGLE.account_id, days, variables, tmp_path)
    by_file = sums(
        duckdb_warehouse, "file_ad_performance", ("report_date", "campaign_id", "adgroup_id"),
        ("impressions", "clicks", "cost", "conversions_click", "revenue"),
    )  # fmt: skip
    metrics = ("impressions", "clicks", "cost", "conversions", "conversions_value")
    by_api = sums(
        duckdb_warehouse,
        "google_ads_ad_performance",
        ("report_date", "campaign_name", "ad_group_name"),
        metrics,
    )
    assert by_api == by_file
    assert by_file
    by_day = ("report_date", "campaign_name")
    ads = sums(duckdb_warehouse, "google_ads_ad_performance", by_day, metrics)
    assert sums(duckdb_warehouse, "google_ads_campaign_performance", by_day, metrics) == ads
    places = sums(duckdb_warehouse, "google_ads_ad_performance", ("network", "device"), ())
    assert set(places) == {("Google Display Network", "Other")}


def test_google_answers_with_the_firms_own_totals_of_every_day(firm):
    own: dict[date, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    columns = {"displays": "impressions", "clicks": "clicks", "revenue": "cost"}
    columns |= {"post_click_conversions": "conversions", "post_click_sales_amount": "conversions_value"}
    for row in own_rows(firm):
        day = date(2020, {"April": 4, "May": 5}[row["month"]], int(row["day"]))
        for column, metric in columns.items():
            own[day][metric] += Decimal(row[column])
    with firm_on_google(firm) as google:
        rows = read(google, GOOGLE, "google_ads_ad_performance/network_device", FIRM_FIRST, FIRM_LAST)
        actions = read(google, GOOGLE, "google_ads_conversions/action", FIRM_FIRST, FIRM_LAST)
        assert read(google, GOOGLE, "google_ads_keywords/none", FIRM_FIRST, FIRM_LAST).is_empty()
    found = {
        day: {metric: total(of_day, metric) for metric in columns.values()}
        for (day,), of_day in rows.partition_by("report_date", as_dict=True).items()
    }
    assert found == {day: dict(metrics) for day, metrics in own.items()}
    assert set(actions["conversion_action_name"]) == {"Purchase"}
    assert total(actions, "all_conversions") == total(rows, "conversions")


def test_googles_objects_carry_the_exports_words_and_ids_made_of_them(firm):
    own = own_rows(firm)
    with firm_on_google(firm) as google:
        rows = read(google, GOOGLE, "google_ads_entities/none", FIRM_TODAY)
        levers = read(google, GOOGLE, "levers/none", FIRM_TODAY)
        texts = read(google, GOOGLE, "creatives/none", FIRM_TODAY)
    pairs = {(row["campaign_number"], row["banner"]) for row in own}
    of_kind = rows.partition_by("entity_type", as_dict=True)
    campaigns = dict(of_kind["campaign",].select("name", "entity_id").iter_rows())
    assert campaigns == {name: str(replay.stable_id(name)) for name, _ in pairs}
    groups = set(of_kind["ad_group",].select("campaign_id", "name").iter_rows())
    assert groups == {(campaigns[name], banner) for name, banner in pairs}
    assert of_kind["ad",]["entity_id"].n_unique() == of_kind["ad",].height == len(pairs)
    assert set(levers["entity_name"]) == set(campaigns)
    assert levers["budget"].null_count() == levers.height
    assert texts["format"].unique().to_list() == ["image"]
    assert "headline" not in texts.columns or texts["headline"].null_count() == texts.height


def test_ids_stay_the_same_from_process_to_process():
    assert replay.stable_id("brand", "300 x 250") == 249_603_590_892
    assert replay.stable_id("brand") != replay.stable_id("brand", "")


def test_what_no_click_explains_is_served_and_counted(tmp_path):
    (tmp_path / "firm.csv").write_text(FIRM + "May,31,other,High,728 x 90,left,1,0,2,0,0,0\n")
    (tmp_path / "kag.csv").write_text(KAG)
    assert replay.display_firm(tmp_path / "firm.csv").oddities == {
        "more clicks than impressions": 1,
        "more conversions than clicks": 1,
    }
    assert replay.kag_facebook(tmp_path / "kag.csv", KAG_DAY).oddities == {"more conversions than clicks": 1}


@pytest.mark.real_data
def test_no_published_row_is_one_its_platform_could_not_have_sent(shared_data):
    kag = replay.kag_facebook(shared_data / "kag_facebook" / "KAG_conversion_data.csv", KAG_DAY)
    firm_file = "online_advertising_performance_apr_may.csv"
    firm = replay.display_firm(shared_data / "online_ad_performance" / firm_file)
    # By view, or several sales by one click.
    assert kag.oddities == {"more conversions than clicks": 218}
    assert firm.oddities == {"more conversions than clicks": 20}


# --- the Merchandise Store through GA4's exported tables ------------------------------------------------


@pytest.fixture
def events(store, tmp_path) -> pl.DataFrame:
    """Every event of the store as the connector reads it from the tables."""
    for day, sent in replay.merchandise_store(store).events.items():
        write_table(sent, tmp_path / "tables" / f"analytics_{PROPERTY.account_id}", day)
    source = Ga4Export(ParquetTables(tmp_path / "tables"), SALT, unset_is_consent=True)
    days = sorted({date.fromisoformat(row["date"]) for row in own_rows(store)})
    pages = [page for day in days for page in source.pages(Pull(PROPERTY, source.report, day, day))]
    return pl.concat([page.rows for page in pages], how="diagonal_relaxed")


def test_the_stores_purchases_arrive_with_their_revenue_and_transaction_ids(events, store):
    own = [row for row in own_rows(store) if row["transactions"]]
    bought = events.filter(pl.col("event_name") == "purchase")
    assert bought.height == sum(int(row["transactions"]) for row in own)
    assert total(bought, "purchase_revenue") == own_total(own, "totalTransactionRevenue") / 1_000_000
    by_day = Counter(row["date"] for row in own)
    assert Counter(f"{day:%Y%m%d}" for day in bought["report_date"]) == by_day
    named = {row["transactionId"] for row in own if row["transactionId"]}
    assert named <= set(bought["transaction_id"])
    assert bought["transaction_id"].n_unique() == len({row["visitId"] for row in own}) == len(own) - 1


def test_every_hit_of_the_store_is_one_event_of_its_visit_inside_its_day(events, store):
    own = own_rows(store)
    hits = {(row["fullVisitorId"], row["visitId"], row["time"]): row["type"] for row in own}
    sent = events.filter(pl.col("event_name") != "purchase")
    assert sent.height == len(hits)
    views = sent.filter(pl.col("event_name") == "page_view")
    assert views.height == list(hits.values()).count("PAGE")
    visits = {row["visitId"] for row in own}
    assert set(events["ga_session_id"]) == visits
    assert set(events["user_pseudo_id_hash"]) == {SALT.hashed(visit) for visit in visits}
    local = events["event_at"].str.to_datetime(time_zone="UTC").dt.convert_time_zone(replay.MERCHANDISE_ZONE)
    assert (local.dt.date() == events["report_date"]).all()
    channels = {json.loads(params)["channel_grouping"] for params in events["event_params"]}
    assert channels == {row["channelGrouping"] for row in own}


def test_a_site_that_asked_nobody_gives_no_identifiers_unless_the_settings_say_so(store, tmp_path):
    day, sent = next(iter(replay.merchandise_store(store).events.items()))
    write_table(sent, tmp_path / f"analytics_{PROPERTY.account_id}", day)
    source = Ga4Export(ParquetTables(tmp_path), SALT)
    rows = pl.concat([page.rows for page in source.pages(Pull(PROPERTY, source.report, day, day))])
    assert rows["user_pseudo_id_hash"].null_count() == rows.height > 0


def test_what_is_odd_about_the_stores_hits_is_counted(tmp_path):
    (tmp_path / "store.csv").write_text(STORE)
    assert replay.merchandise_store(tmp_path / "store.csv").oddities == {
        "rows that are a further product of a hit": 1,
        "hits of visits carried over midnight": 1,
        "purchases told again by another hit of their visit": 1,
    }


@pytest.mark.real_data
def test_the_published_stores_81_transactions_are_of_80_visits(shared_data):
    hits = replay.merchandise_store(shared_data / "ga_merch_store" / "all_sessions.csv")
    bought = [event for events in hits.events.values() for event in events if event.name == "purchase"]
    assert len(bought) == 81
    assert sum(Decimal(repr(event.revenue)) for event in bought) == Decimal("14281.31")
    assert [n for n in Counter(event.transaction_id for event in bought).values() if n > 1] == [2]
    assert hits.oddities == {
        "rows that are a further product of a hit": 224,
        "hits of visits carried over midnight": 31,
        "purchases told again by another hit of their visit": 1,
    }


# --- CDNOW through a shop's database --------------------------------------------------------------------


def test_every_cdnow_order_is_read_once_with_its_value_and_its_customers_first_is_new(cdnow, tmp_path):
    lines = [line.split() for line in cdnow.read_text().splitlines()[1:] if line.strip()]
    url = write_orders(replay.cdnow(cdnow), tmp_path / "shop.sqlite")
    fields = ("order_id", "store_id", "ordered_at", "customer_id", "currency", "value", "is_new_customer")
    table = OrdersTable(TABLE, {field: field for field in fields}, "UTC")
    source = OrdersDatabase(OrdersCredentials(url), table)
    (shop,) = source.accounts()
    assert shop == Account(replay.CDNOW, replay.CDNOW, "USD", "UTC")
    rows = read(source, shop, "orders/none", date(1997, 1, 1), date(1998, 6, 30))
    assert rows["order_id"].n_unique() == rows.height == len(lines)
    assert total(rows, "value") == sum(Decimal(line[3]) for line in lines)
    per_day = Counter(rows["report_date"].dt.to_string("%Y%m%d"))
    assert per_day == Counter(line[1] for line in lines)
    per_customer = rows.group_by("customer_id").agg(
        orders=pl.len(),
        first=pl.col("report_date").min(),
        new=pl.col("report_date").filter(pl.col("is_new_customer") == "true"),
    )
    assert dict(per_customer.select("customer_id", "orders").iter_rows()) == Counter(
        line[0] for line in lines
    )
    assert (per_customer["new"].list.len() == 1).all()
    assert (per_customer["new"].list.first() == per_customer["first"]).all()


# --- what is read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (replay.display_firm, FIRM.replace("revenue", "paid"), "no column revenue. Replay reads"),
        (replay.display_firm, FIRM.replace("1.9999", "much"), "line 5: 'much' is no number of revenue"),
        (replay.display_firm, FIRM.replace("May,31", "May,32"), "line 5: '32 May 2020' is no day"),
        (replay.merchandise_store, STORE.replace("7250000", "-"), "line 7: '-' is no number of totalTrans"),
        (replay.cdnow, CDNOW + " 00803 19970304\n", "line 6: 2 values for 4 columns"),
        (replay.cdnow, CDNOW.replace("19980506", "19980631"), "line 5: '19980631' is no day"),
        (
            lambda path: replay.kag_facebook(path, KAG_DAY),
            KAG.replace("902", "901"),
            "ad 901 comes more than",
        ),
    ],
)
def test_what_cannot_be_read_names_the_file_the_line_and_the_value(tmp_path, reader, text, message):
    path = tmp_path / "export.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"export\.csv") as caught:
        reader(path)
    assert message in str(caught.value)


def test_replayed_frames_have_the_columns_the_simulation_gives(simulated, served, tmp_path):
    (tmp_path / "kag.csv").write_text(KAG)
    (tmp_path / "firm.csv").write_text(FIRM)
    reports, day = served.reports, Window(5, 5, 5)
    exports = replay.kag_facebook(tmp_path / "kag.csv", KAG_DAY), replay.display_firm(tmp_path / "firm.csv")
    for export in exports:
        for report, rows in export.reports.items():
            given = report(reports, day)
            extra = ["All conv."] if report is Reports.google_ads else []
            assert set(rows.columns) == {*given.columns, *extra}
            assert rows.columns[0] == given.columns[0]
        assert set(export.ads.columns) == set(served.ads(0).columns) - {"account_id", "account_name"}
    assert levers_frame(simulated.business, simulated.ledger, day).schema == LEVER_COLUMNS
    assert tuple(creatives_frame(simulated.business, day, {}, "").columns) == CREATIVE_COLUMNS
