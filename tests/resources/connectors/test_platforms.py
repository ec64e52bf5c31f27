"""Every platform through its own SDK and the registry: the API says what the export files say."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from resources.clock import FixedClock, SystemClock
from resources.connectors.fetching import FetchedAccount
from resources.connectors.publishing import AccountPublisher
from resources.connectors.registry import Sources
from resources.control.store import open_control_store
from resources.files.drop import FileDrop
from resources.files.landing import land
from resources.landing.ledger import read_ledger
from resources.landing.streams import NUMERIC_KINDS, STREAMS
from resources.sandbox.exports import write_exports
from resources.sandbox.servers.platforms import served_platforms
from resources.settings import PROJECT_ROOT, LiveSource, load_settings
from resources.warehouse.tables import PYTHON_TABLES

ACCOUNTS = {
    "meta": "418802716650377",
    "google_ads": "472-118-9034",
    "tiktok": "7194406226318590977",
    "linkedin": "508733911",
}
COMPARED = (
    "meta_ads_insights",
    "meta_ads_insights_by_placement",
    "google_ads_ad_performance",
    "tiktok_ads_report",
    "linkedin_ad_analytics",
)


def rows_in_force(warehouse, stream: str) -> dict[tuple, dict[str, Decimal]]:
    """Numbers by day and grain keys, read as staging reads them."""
    keys = STREAMS[stream].keys
    rows = warehouse.query(
        f"""
        with latest as (
            select *, row_number() over (partition by source, account_id, report_date, breakdown_set
                order by completed_at desc, batch_id desc) as place
            from ops.ingest_slices where status = 'complete' and stream = '{stream}'
        )
        select r.report_date, {", ".join(f"r.{key}" for key in keys)}, r.payload
        from raw.{stream} as r join latest as l on l.place = 1 and l.data_batch_id = r._batch_id
          and l.source = r.source and l.report_date = r.report_date and l.breakdown_set = r.breakdown_set
        """
    )
    numbers = [name for name, kind in STREAMS[stream].fields.items() if kind in NUMERIC_KINDS]
    read = rows.with_columns(
        pl.col("payload").str.json_path_match(f"$.{name}").alias(name) for name in numbers
    )
    found = {}
    for row in read.iter_rows(named=True):
        grain = (row["report_date"], *(row[key] for key in keys))
        assert grain not in found, f"{stream} {grain} is there twice"
        found[grain] = {name: Decimal(row[name]) for name in numbers if row[name] is not None}
    return found


@pytest.fixture
def by_file_and_by_api(simulated, served, duckdb_warehouse, tmp_path: Path):
    """The same fortnight landed from export files, then pulled from the servers."""
    duckdb_warehouse.ensure_tables(list(PYTHON_TABLES.values()))
    clock = FixedClock(served.now())
    write_exports(simulated.business, simulated.ledger, simulated.orders, tmp_path / "drop")
    drop = FileDrop(
        folder=str(tmp_path / "drop"),
        work_dir=tmp_path / "work",
        clock=clock,
        history_start=simulated.business.start,
        business_timezone="America/New_York",
    )
    land(drop, duckdb_warehouse, ())
    by_file = {stream: rows_in_force(duckdb_warehouse, stream) for stream in COMPARED}
    settings = load_settings(PROJECT_ROOT / "aelp.yaml").model_copy(
        update={
            "sources": {
                name: LiveSource(accounts=[account], calls_per_hour=1_000_000, backfill_days=14)
                for name, account in ACCOUNTS.items()
            }
        }
    )
    engine = open_control_store(f"sqlite:///{tmp_path}/control.sqlite")
    with served_platforms(served, tmp_path / "sandbox") as variables:
        sources = Sources(
            settings,
            clock,
            SystemClock(),
            lambda _: None,
            lambda: engine,
            tmp_path / "pulls",
            tmp_path,
            variables,
        )
        for name, account in ACCOUNTS.items():
            puller, ledger = sources.puller(name), read_ledger(duckdb_warehouse, name)
            # Files said these days were read this morning: asked for again all the same.
            ledger.complete.clear()
            fetched = puller.pull(account, ledger, ledger.next_moment(clock.now().astimezone(UTC)))
            assert isinstance(fetched, FetchedAccount), fetched
            assert not fetched.failures, fetched.failures
            publisher = AccountPublisher(duckdb_warehouse, puller.control, puller.pace(account))
            publisher.publish(fetched, clock.now())
    by_api = {stream: rows_in_force(duckdb_warehouse, stream) for stream in COMPARED}
    return by_file, by_api


def test_the_api_says_what_the_export_files_say(by_file_and_by_api):
    by_file, by_api = by_file_and_by_api
    for stream in COMPARED:
        filed, called = by_file[stream], by_api[stream]
        assert len(filed) > 20
        assert filed.keys() == called.keys(), stream
        different = {
            (grain, name): (value, called[grain].get(name))
            for grain, values in filed.items()
            for name, value in values.items()
            if called[grain].get(name) != value
        }
        assert not different, (stream, len(different), next(iter(different.items())))
