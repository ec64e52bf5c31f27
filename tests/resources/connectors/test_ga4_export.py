"""GA4's exported tables: the best table of each day, identifiers only with consent and only hashed."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.ga4_export import Ga4Export, IdentifierSalt
from resources.connectors.ga4_tables import ParquetTables
from resources.connectors.source import Account, Pull
from resources.landing.pages import payload_text
from resources.landing.streams import STREAMS
from resources.sandbox.backend_frames import orders_frame
from resources.sandbox.frames import Window
from resources.sandbox.servers import ga4_export
from resources.sandbox.servers.ga4_export import consent

DAY = date(2026, 6, 25)
SALT = IdentifierSalt("a salt of the sandbox only")
FOLDER = "analytics_318204466"
ACCOUNT = Account("318204466", "318204466", "USD", "America/New_York")


def write_events(served, folder, day: date, kind="daily"):
    return ga4_export.write_events(served, folder / FOLDER, day, kind)


def source_of(folder, salt: IdentifierSalt = SALT, **arguments) -> Ga4Export:
    return Ga4Export(ParquetTables(folder), salt, **arguments)


def rows_of(source: Ga4Export, day: date = DAY) -> pl.DataFrame:
    pages = source.pages(Pull(ACCOUNT, source.report, day, day))
    return pl.concat([page.rows for page in pages])


def failure(source: Ga4Export, day: date = DAY) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        rows_of(source, day)
    return caught.value


@pytest.fixture
def orders(simulated) -> pl.DataFrame:
    day = simulated.business.day_of(DAY)
    return orders_frame(simulated.business, simulated.orders, Window(day, day, day + 4))


def test_a_day_has_every_purchase_once_with_its_revenue(served, orders, tmp_path):
    write_events(served, tmp_path, DAY)
    rows = rows_of(source_of(tmp_path))
    bought = rows.filter(pl.col("event_name") == "purchase")
    assert sorted(bought["transaction_id"]) == sorted(orders["order_id"])
    cents = round(orders["value"].sum() * 100)
    assert sum(Decimal(value) for value in bought["purchase_revenue"]) * 100 == cents
    assert rows.height == 2 * orders.height
    assert not rows.select("export_kind", "event_hash").is_duplicated().any()
    assert rows["report_date"].unique().to_list() == [DAY]


def test_daily_counts_before_fresh_and_fresh_before_intraday(served, tmp_path):
    source = source_of(tmp_path)
    heights = []
    for kind in ("intraday", "fresh", "daily"):
        write_events(served, tmp_path, DAY, kind)
        rows = rows_of(source)
        assert rows["export_kind"].unique().to_list() == [kind]
        heights.append(rows.height)
    assert heights == sorted(set(heights))


def test_the_shards_of_one_table_are_read_together(served, tmp_path):
    whole = write_events(served, tmp_path / "whole", DAY)
    table = pq.read_table(whole)
    (tmp_path / "shards" / FOLDER).mkdir(parents=True)
    for number in range(2):
        shard = table.slice(number * 300, 300 if number == 0 else None)
        pq.write_table(shard, tmp_path / "shards" / FOLDER / f"events_20260625_{number:012d}.parquet")
    expected = rows_of(source_of(tmp_path / "whole")).sort("event_hash")
    assert rows_of(source_of(tmp_path / "shards")).sort("event_hash").equals(expected)


@pytest.mark.parametrize(
    "other",
    [
        "events_20260625_000.parquet",
        "copy/events_20260625.parquet",
        "copy/events_20260625_000.parquet",
    ],
)
def test_a_day_that_is_there_twice_is_refused_and_its_files_named(served, tmp_path, other):
    whole = write_events(served, tmp_path, DAY)
    copy = tmp_path / FOLDER / other
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(whole.read_bytes())
    error = failure(source_of(tmp_path))
    assert error.error_class is ErrorClass.PERMANENT
    assert "more than once" in str(error)
    assert other in str(error)
    assert f" {whole.name}" in str(error)


@pytest.mark.parametrize("second", ["copy/events_20260625_001.parquet", "events_20260625-0.parquet"])
def test_a_shard_elsewhere_or_numbered_again_is_a_second_copy(served, tmp_path, second):
    whole = write_events(served, tmp_path, DAY)
    for name in ("events_20260625_000.parquet", second):
        path = tmp_path / FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(whole.read_bytes())
    whole.unlink()
    assert failure(source_of(tmp_path)).error_class is ErrorClass.PERMANENT


def test_a_copy_of_one_day_holds_up_no_other(served, tmp_path):
    earlier = write_events(served, tmp_path, date(2026, 6, 24))
    earlier.with_name("events_20260624_0.parquet").write_bytes(earlier.read_bytes())
    write_events(served, tmp_path, DAY)
    assert rows_of(source_of(tmp_path)).height > 0


def test_identifiers_are_hashed_with_the_salt_and_only_with_consent(served, orders, tmp_path):
    write_events(served, tmp_path, DAY)
    rows = rows_of(source_of(tmp_path)).filter(pl.col("event_name") == "purchase")
    customer = dict(orders.select("order_id", "customer_id").rows())
    for row in rows.iter_rows(named=True):
        person = customer[row["transaction_id"]]
        allowed = consent(person) == "Yes"
        assert row["analytics_storage"] == consent(person)
        assert row["user_id_hash"] == (SALT.hashed(person) if allowed else None)
        for name in ("user_pseudo_id_hash", "ga_session_id", "user_properties"):
            assert (row[name] is not None) == allowed
    assert rows["user_id_hash"].null_count() > 0
    plain = hashlib.sha256(customer[rows["transaction_id"][0]].encode()).hexdigest()
    assert plain not in set(rows["user_id_hash"])
    another = rows_of(source_of(tmp_path, IdentifierSalt("another salt, as long")))
    assert set(another["user_id_hash"].drop_nulls()).isdisjoint(rows["user_id_hash"].drop_nulls())


def test_click_ids_are_kept_with_consent_to_ads_and_nothing_else_names_a_person(served, orders, tmp_path):
    write_events(served, tmp_path, DAY)
    rows = rows_of(source_of(tmp_path))
    for column, source in (("gclid", "google"), ("fbclid", "facebook")):
        kept = rows.filter(pl.col(column).is_not_null())
        consenting = rows.filter((pl.col("traffic_source") == source) & (pl.col("ads_storage") == "Yes"))
        assert kept.height == consenting.height > 0
    payloads = payload_text(rows.drop("gclid", "fbclid"), STREAMS["ga4_events"])
    for trace in ("email", "someone", "%40", "IwAR", "Cj0KCQ"):
        assert not payloads.str.contains(trace, literal=True).any()
    people = set(orders["customer_id"])
    assert not any(person in text for text in payloads for person in list(people)[:50])


def test_parameters_stay_as_canonical_json(served, tmp_path):
    write_events(served, tmp_path, DAY)
    row = rows_of(source_of(tmp_path)).filter(pl.col("event_name") == "purchase").row(0, named=True)
    params = json.loads(row["event_params"])
    assert list(params) == sorted(params)
    assert params["engagement_time_msec"] == 1_200
    assert params["currency"] == "USD"
    assert params["page_location"].startswith("https://www.northstar.example/checkout?utm_source=")
    assert "&" not in params["page_location"]


def test_unset_consent_counts_only_where_the_settings_say_so(served, tmp_path):
    write_events(served, tmp_path, DAY)
    strict, lenient = source_of(tmp_path), source_of(tmp_path, unset_is_consent=True)
    unset = pl.col("analytics_storage") == "Unset"
    assert rows_of(strict).filter(unset)["user_id_hash"].drop_nulls().is_empty()
    assert rows_of(lenient).filter(unset)["user_id_hash"].null_count() == 0
    refused = rows_of(lenient).filter(pl.col("analytics_storage") == "No")
    assert refused["user_id_hash"].drop_nulls().is_empty()


def test_the_same_table_gives_the_same_rows_twice(served, tmp_path):
    write_events(served, tmp_path, DAY)
    assert rows_of(source_of(tmp_path)).equals(rows_of(source_of(tmp_path)))


def test_two_events_exactly_alike_are_both_kept(served, tmp_path):
    table = pq.read_table(write_events(served, tmp_path / "one", DAY)).slice(0, 1)
    (tmp_path / "two" / FOLDER).mkdir(parents=True)
    pq.write_table(pa.concat_tables([table, table]), tmp_path / "two" / FOLDER / "events_20260625.parquet")
    assert rows_of(source_of(tmp_path / "two"))["event_hash"].n_unique() == 2


def test_a_link_that_is_none_loses_only_itself(served, tmp_path):
    path = write_events(served, tmp_path, DAY)
    events = pq.read_table(path)
    (event,) = events.slice(0, 1).to_pylist()
    for param in event["event_params"]:
        if param["key"] == "page_location":
            param["value"]["string_value"] = "http://[broken/checkout?gclid=1"
    pq.write_table(pa.Table.from_pylist([event], schema=events.schema), path)
    (row,) = rows_of(source_of(tmp_path)).iter_rows(named=True)
    assert json.loads(row["event_params"])["page_location"] is None


def test_a_day_that_is_not_exported_yet_is_waited_for_and_not_taken_for_empty(served, tmp_path):
    write_events(served, tmp_path, DAY)
    error = failure(source_of(tmp_path), date(2026, 6, 26))
    assert (error.error_class, error.wait_seconds) == (ErrorClass.TRANSIENT, 3_600.0)
    assert rows_of(source_of(tmp_path), date(2026, 6, 1)).is_empty()


def test_broken_misnamed_and_foreign_files_are_errors(served, tmp_path):
    whole = write_events(served, tmp_path / "cut", DAY)
    whole.write_bytes(whole.read_bytes()[:-100])
    assert failure(source_of(tmp_path / "cut")).error_class is ErrorClass.TRANSIENT
    write_events(served, tmp_path / "odd", DAY).rename(tmp_path / "odd" / FOLDER / "events_june.parquet")
    assert "is not named as exported" in str(failure(source_of(tmp_path / "odd")))
    write_events(served, tmp_path / "off", DAY).rename(tmp_path / "off" / FOLDER / "events_20260624.parquet")
    assert "another day" in str(failure(source_of(tmp_path / "off"), date(2026, 6, 24)))
    assert "holds no events_" in str(failure(source_of(tmp_path / "none")))


@pytest.mark.parametrize("variables", [{}, {"AELP_IDENTIFIER_SALT": "short"}])
def test_without_a_real_salt_nothing_is_read(variables):
    with pytest.raises(MissingCredentials, match="AELP_IDENTIFIER_SALT"):
        IdentifierSalt.from_environment(variables)
