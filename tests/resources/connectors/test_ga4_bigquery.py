"""GA4's exported tables where Google writes them: the rows their files give, and errors one can act on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import grpc
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1.types import (
    CreateReadSessionRequest,
    ReadRowsRequest,
    ReadRowsResponse,
    ReadSession,
)
from google.oauth2.credentials import Credentials

from resources.clock import FixedClock, SystemClock
from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.fetching import FetchedAccount
from resources.connectors.ga4_bigquery import BigQueryTables
from resources.connectors.ga4_export import Ga4Export, IdentifierSalt
from resources.connectors.ga4_tables import ParquetTables
from resources.connectors.registry import Sources
from resources.connectors.source import Account, Pull
from resources.control.store import open_control_store
from resources.landing.ledger import Ledger
from resources.sandbox.servers.faults import FaultScript
from resources.sandbox.servers.ga4 import PROPERTY_ID, Ga4Server
from resources.sandbox.servers.ga4_export import write_events
from resources.sandbox.servers.http import Answer, LoopbackServer
from resources.settings import PROJECT_ROOT, SettingsError, load_settings

DAY, NEXT = date(2026, 6, 25), date(2026, 6, 26)
SALT = "a salt of the sandbox only"
PROPERTIES = iter(range(318204466, 318209999))


class Exported:
    """One property whose tables are exported to BigQuery and, alike, to files."""

    def __init__(self, client: bigquery.Client, emulator, served, folder: Path) -> None:
        self.property_id = str(next(PROPERTIES))  # the emulator is shared by the session
        self.folder = folder
        self._client = client
        self._served = served
        self.emulator = emulator
        self.dataset = f"{client.project}.analytics_{self.property_id}"

    def export(self, day: date, kind: str = "daily") -> None:
        path = write_events(self._served, self.folder / f"analytics_{self.property_id}", day, kind)
        self._client.create_dataset(self.dataset, exists_ok=True)
        table = bigquery.Table(f"{self.dataset}.{path.stem}", schema=fields_of(pq.read_schema(path)))
        self._client.create_table(table)
        with path.open("rb") as file:
            config = bigquery.LoadJobConfig(source_format="PARQUET")
            self._client.load_table_from_file(file, table, job_config=config).result()

    def drop(self, name: str) -> None:
        self._client.delete_table(f"{self.dataset}.{name}")

    @property
    def tables(self) -> BigQueryTables:
        return tables_at(self.emulator.endpoint, self.emulator.storage_endpoint, self.emulator.project)

    def rows(self, source: Ga4Export, day: date = DAY) -> pl.DataFrame:
        account = Account(self.property_id, self.property_id, "USD", "America/New_York")
        return pl.concat([page.rows for page in source.pages(Pull(account, source.report, day, day))])


def tables_at(endpoint: str, storage: str | None = None, project: str = "northstar-web") -> BigQueryTables:
    return BigQueryTables(project, Credentials("a token"), endpoint, storage)


def fields_of(schema: pa.Schema | pa.StructType) -> list[bigquery.SchemaField]:
    """The columns of an exported table as BigQuery declares them."""
    plain = {"string": "STRING", "int64": "INT64", "double": "FLOAT64"}

    def field(column: pa.Field) -> bigquery.SchemaField:
        repeated = pa.types.is_list(column.type)
        kind = column.type.value_type if repeated else column.type
        inner = fields_of(kind) if pa.types.is_struct(kind) else []
        name = "RECORD" if inner else plain[str(kind)]
        mode = "REPEATED" if repeated else "NULLABLE"
        return bigquery.SchemaField(column.name, name, mode=mode, fields=inner)

    return [field(schema.field(index)) for index in range(len(schema))]


@pytest.fixture
def exported(bigquery_client, bigquery_emulator, served, tmp_path) -> Exported:
    return Exported(bigquery_client, bigquery_emulator, served, tmp_path / "files")


@pytest.mark.emulator
def test_tables_in_bigquery_give_the_rows_their_files_give(exported):
    exported.export(DAY)
    salt = IdentifierSalt(SALT)
    in_place = exported.rows(Ga4Export(exported.tables, salt))
    from_files = exported.rows(Ga4Export(ParquetTables(exported.folder), salt))
    assert in_place.height > 100
    assert in_place.sort("event_hash").equals(from_files.sort("event_hash"))


@pytest.mark.emulator
def test_the_best_table_of_each_day_counts(exported):
    heights = []
    for kind in ("intraday", "fresh", "daily"):
        exported.export(DAY, kind)
        rows = exported.rows(Ga4Export(exported.tables, IdentifierSalt(SALT)))
        assert rows["export_kind"].unique().to_list() == [kind]
        heights.append(rows.height)
    assert heights == sorted(set(heights))


@pytest.mark.emulator
def test_a_day_without_a_table_is_waited_for_and_a_property_without_any_is_told(exported):
    source = Ga4Export(exported.tables, IdentifierSalt(SALT))
    with pytest.raises(PlatformError, match=exported.dataset) as unlinked:
        exported.rows(source)
    assert unlinked.value.error_class is ErrorClass.PERMANENT
    exported.export(DAY)
    with pytest.raises(PlatformError, match="no table of 2026-06-26") as early:
        exported.rows(source, NEXT)
    assert early.value.error_class is ErrorClass.TRANSIENT
    assert exported.rows(source, date(2026, 6, 1)).is_empty()


@pytest.mark.emulator
def test_a_table_that_is_replaced_meanwhile_is_looked_for_again(exported):
    exported.export(DAY, "intraday")
    events = exported.tables.events(exported.property_id, DAY, "intraday")
    exported.drop("events_intraday_20260625")
    with pytest.raises(PlatformError) as caught:
        next(iter(events))
    assert caught.value.error_class is ErrorClass.TRANSIENT


@pytest.mark.emulator
def test_the_settings_name_the_project_and_the_source_reads_it(exported, tmp_path):
    exported.export(DAY)
    (tmp_path / "aelp.yaml").write_text(
        Path("aelp.yaml")
        .read_text()
        .replace("318204466", exported.property_id)
        .replace("export_folder: sandbox/ga4_export", f"export_project: {exported.emulator.project}")
    )
    clock = FixedClock(datetime(2026, 6, 30, 13, tzinfo=UTC))
    variables = {
        "AELP_GA4_ACCESS_TOKEN": "a token",
        "AELP_IDENTIFIER_SALT": SALT,
        "AELP_GA4_EXPORT_ENDPOINT": exported.emulator.endpoint,
        "AELP_GA4_EXPORT_STORAGE_ENDPOINT": exported.emulator.storage_endpoint,
    }
    settings = load_settings(tmp_path / "aelp.yaml")
    sources = Sources(
        settings, clock, clock, lambda _: None, lambda: pytest.fail("no store"), tmp_path, tmp_path, variables
    )
    source = sources.open("ga4")
    assert source.reports[-1].name == "ga4_events/none"
    account = Account(exported.property_id, exported.property_id, "USD", "America/New_York")
    (page,) = source.pages(Pull(account, source.reports[-1], DAY, DAY))
    assert page.rows.height > 100


@pytest.mark.parametrize(
    ("status", "reason", "expected", "told"),
    [
        (403, "accessDenied", ErrorClass.AUTH, "BigQuery Read Session User"),
        (403, "accessNotConfigured", ErrorClass.AUTH, "BigQuery Storage API"),
        (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", ErrorClass.AUTH, "auth/bigquery"),
        (401, "authError", ErrorClass.AUTH, "BigQuery Data Viewer"),
        (403, "rateLimitExceeded", ErrorClass.THROTTLE, "quota"),
        (429, "rateLimitExceeded", ErrorClass.THROTTLE, "quota"),
        (404, "notFound", ErrorClass.PERMANENT, "export_project"),
        (400, "invalid", ErrorClass.PERMANENT, "refuses"),
        (503, "backendError", ErrorClass.TRANSIENT, "cannot be read"),
    ],
)
def test_what_bigquery_answers_is_told_with_its_remedy(status, reason, expected, told):
    said = "Bearer ya29.secret may not do that"
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    why = {"errors": [{"reason": reason, "message": said}]} if reason[0].islower() else {"details": details}
    error = {"code": status, "message": said, **why}
    with LoopbackServer(lambda _: Answer({"error": error}, status), FaultScript()) as server:
        with pytest.raises(PlatformError, match=told) as caught:
            tables_at(server.url).found("318204466")
        assert len(server.requests) == 1, "the runner alone tries again"
    assert caught.value.error_class is expected
    assert "northstar-web.analytics_318204466" in str(caught.value)
    assert "ya29" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_what_refuses_the_export_leaves_the_data_api_s_reports_alone(served, tmp_path, status):
    """The events alone are missing: one call finds out, tomorrow asks again, the source is not stopped."""
    refused = {"error": {"code": status, "message": "no", "errors": [{"reason": "accessDenied"}]}}
    engine = open_control_store(f"sqlite:///{tmp_path}/control.sqlite")
    configured = load_settings(PROJECT_ROOT / "aelp.yaml")
    changed = {
        "export_project": "northstar-web",
        "export_folder": None,
        "backfill_days": 6,
        "calls_per_hour": 1e6,
    }
    ga4 = configured.sources["ga4"].model_copy(update=changed)
    now = served.now()
    with (
        Ga4Server(served, "a token") as api,
        LoopbackServer(lambda _: Answer(refused, status), FaultScript()) as bigquery_api,
    ):
        sources = Sources(
            configured.model_copy(update={"sources": {"ga4": ga4}}),
            FixedClock(now),
            SystemClock(),
            lambda _: None,
            lambda: engine,
            tmp_path / "work",
            tmp_path,
            {
                "AELP_GA4_ENDPOINT": api.endpoint,
                "AELP_GA4_ACCESS_TOKEN": "a token",
                "AELP_GA4_EXPORT_ENDPOINT": bigquery_api.url,
                "AELP_IDENTIFIER_SALT": SALT,
            },
        )
        puller = sources.puller("ga4")
        fetched = puller.pull(PROPERTY_ID, Ledger(), now.astimezone(UTC))
        assert isinstance(fetched, FetchedAccount)
        assert len(bigquery_api.requests) == 1
    assert {each.report.name for each in fetched.reports} == {
        "ga4_reports/sessions",
        "ga4_reports/key_events",
    }
    assert {(each.report.name, each.error_class) for each in fetched.failures} == {
        ("ga4_events/none", ErrorClass.AUTH)
    }
    failure = fetched.failures[0]
    assert f"northstar-web.analytics_{PROPERTY_ID}" in failure.message
    assert puller.pace(PROPERTY_ID).next_attempt(failure.error, 1) == now + timedelta(days=1)
    assert puller.control.stopped("ga4", puller.credential_hash()) is None


def test_a_dataset_without_tables_and_bigquery_out_of_reach_are_told():
    with LoopbackServer(lambda _: Answer({"tables": []}), FaultScript()) as server:
        with pytest.raises(PlatformError, match="the day it is linked") as empty:
            tables_at(server.url).found("318204466")
        assert server.requests[0].form["maxResults"] == "1000"
    assert empty.value.error_class is ErrorClass.PERMANENT
    with pytest.raises(PlatformError) as gone:
        tables_at(server.url).found("318204466")
    assert gone.value.error_class is ErrorClass.TRANSIENT


class StorageApi:
    """BigQuery with one table of `sent` events, whose rows come as `read` says; notes the offsets asked."""

    def __init__(self, sent: int, read: Callable[[int, grpc.ServicerContext], Iterator[int]]) -> None:
        self.events = pa.table({"event_date": ["20260625"] * sent, "event_timestamp": list(range(sent))})
        self.offsets: list[int] = []
        self._read = read

    def _session(self, request: CreateReadSessionRequest, _: grpc.ServicerContext) -> ReadSession:
        schema = self.events.schema.serialize().to_pybytes()
        stream = {"name": f"{request.read_session.table}/streams/1"}
        return ReadSession(arrow_schema={"serialized_schema": schema}, streams=[stream])

    def _rows(self, request: ReadRowsRequest, context: grpc.ServicerContext) -> Iterator[ReadRowsResponse]:
        self.offsets.append(request.offset)
        for row in self._read(request.offset, context):
            (batch,) = self.events.slice(row, 1).to_batches()
            rows = {"serialized_record_batch": batch.serialize().to_pybytes()}
            yield ReadRowsResponse(arrow_record_batch=rows, row_count=1)

    @contextmanager
    def served(self, timeout_seconds: float = 1.0) -> Iterator[BigQueryTables]:
        handlers = {
            "CreateReadSession": grpc.unary_unary_rpc_method_handler(
                self._session, CreateReadSessionRequest.deserialize, ReadSession.serialize
            ),
            "ReadRows": grpc.unary_stream_rpc_method_handler(
                self._rows, ReadRowsRequest.deserialize, ReadRowsResponse.serialize
            ),
        }
        named = "google.cloud.bigquery.storage.v1.BigQueryRead"
        server = grpc.server(ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(named, handlers)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        names = {"projectId": "northstar-web", "datasetId": "analytics_1", "tableId": "events_20260625"}
        fields = [{"name": name, "type": "STRING"} for name in self.events.column_names]
        table = Answer({"tableReference": names, "schema": {"fields": fields}})
        with LoopbackServer(lambda _: table, FaultScript()) as rest:
            yield BigQueryTables(
                "northstar-web", Credentials("a token"), rest.url, f"127.0.0.1:{port}", timeout_seconds
            )
        server.stop(0).wait()

    def read(self, tables: BigQueryTables) -> list[int]:
        batches = tables.events("1", DAY, "daily")
        return [event["event_timestamp"] for batch in batches for event in batch]


def test_a_table_that_takes_longer_than_one_call_may_is_read_on_where_the_call_ended():
    def slowly(offset: int, context: grpc.ServicerContext) -> Iterator[int]:
        for row in range(offset, 7):
            yield row
            time.sleep(0.2)

    storage = StorageApi(7, slowly)
    with storage.served(timeout_seconds=0.5) as tables:
        assert storage.read(tables) == list(range(7))
    assert len(storage.offsets) > 1


def test_a_stream_that_falls_silent_is_given_up_in_time():
    silence = threading.Event()

    def stalling(offset: int, context: grpc.ServicerContext) -> Iterator[int]:
        if offset == 0:
            yield 0
        silence.wait(20)

    storage = StorageApi(2, stalling)
    began = time.monotonic()
    with storage.served(timeout_seconds=0.5) as tables:
        with pytest.raises(PlatformError, match="DeadlineExceeded") as caught:
            storage.read(tables)
        silence.set()
    assert time.monotonic() - began < 5
    assert caught.value.error_class is ErrorClass.TRANSIENT
    assert storage.offsets == [0, 1]


def test_a_stream_that_breaks_is_left_to_the_runner():
    def breaking(offset: int, context: grpc.ServicerContext) -> Iterator[int]:
        yield offset
        context.abort(grpc.StatusCode.UNAVAILABLE, "Bearer ya29.secret")

    storage = StorageApi(2, breaking)
    with storage.served() as tables, pytest.raises(PlatformError) as caught:
        storage.read(tables)
    assert caught.value.error_class is ErrorClass.TRANSIENT
    assert "ya29" not in str(caught.value)
    assert storage.offsets == [0]


def test_the_token_goes_to_this_machine_in_the_clear_and_to_no_other():
    with pytest.raises(ValueError, match="access token"):
        tables_at("http://bigquery.example.org")


def test_two_places_for_one_export_are_refused(tmp_path):
    settings = Path("aelp.yaml").read_text()
    both = settings.replace("    export_folder:", "    export_project: northstar-web\n    export_folder:")
    (tmp_path / "aelp.yaml").write_text(both)
    with pytest.raises(SettingsError, match="events would be read twice"):
        load_settings(tmp_path / "aelp.yaml")
