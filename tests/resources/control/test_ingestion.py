"""The control store under several processes at once, and what it keeps over restarts."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from resources.control.ingestion import IngestionControl, Waiting
from resources.control.store import open_control_store
from resources.settings import PROJECT_ROOT, SettingsError

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
KEY = ("meta", "meta_ads_insights", "none", "1", date(2026, 6, 29))

TAKE_CALLS = """
import sys
from datetime import UTC, datetime
from resources.control.ingestion import IngestionControl
from resources.control.store import open_control_store
control = IngestionControl(open_control_store(sys.argv[1]))
moment = datetime(2026, 6, 30, 12, tzinfo=UTC)
print(sum(control.take_call("meta", "1", 1000.0, moment) == 0 for _ in range(80)))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A control store of either kind; PostgreSQL is asked for by name, so that SQLite runs without it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/control.sqlite"
    return request.getfixturevalue("postgresql").new_database()


def at_once(url, callers, act):
    """What `act(control, caller)` gives for every caller, each with its own engine, all let go together."""
    ready = threading.Barrier(callers)

    def one(caller):
        engine = open_control_store(url)
        try:
            ready.wait(timeout=60)
            return act(IngestionControl(engine), caller)
        finally:
            engine.dispose()

    with ThreadPoolExecutor(callers) as pool:
        return [future.result(timeout=120) for future in [pool.submit(one, n) for n in range(callers)]]


def test_processes_share_one_budget_and_none_spends_more_than_its_part(url):
    open_control_store(url)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKE_CALLS, url], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    free = sum(int(worker.communicate(timeout=60)[0]) for worker in workers)
    assert free == 100, "160 calls at one moment, of which a tenth of an hour's 1,000 may go at once"


def test_a_waiting_slice_is_there_after_a_restart_until_it_is_settled(url):
    why = Waiting(3, "THROTTLE", "slow down", NOW + timedelta(minutes=5))
    IngestionControl(open_control_store(url)).settle([], [(KEY, why)], NOW)
    again = IngestionControl(open_control_store(url))
    assert again.waiting("meta", "1") == {KEY: why}
    assert again.waiting("meta", "2") == {}
    again.settle([KEY], [], NOW)
    assert again.waiting("meta", "1") == {}


def test_starting_a_slice_again_keeps_what_is_known_of_its_failures(url):
    control = IngestionControl(open_control_store(url))
    why = Waiting(2, "TRANSIENT", "502", None)
    control.settle([], [(KEY, why)], NOW)
    control.start([KEY], NOW)
    assert control.queue_sizes() == {"meta": {"running": 1}}
    assert control.waiting("meta", "1") == {KEY: why}


def test_a_block_is_never_shortened(url):
    control = IngestionControl(open_control_store(url))
    control.block("meta", "1", 600, NOW)
    control.block("meta", "1", 60, NOW)
    assert control.take_call("meta", "1", 1000.0, NOW) == pytest.approx(600)
    assert control.take_call("meta", "2", 1000.0, NOW) == 0


def test_a_budget_refills_steadily_and_only_so_far(url):
    control = IngestionControl(open_control_store(url))
    assert [control.take_call("meta", "1", 20.0, NOW) > 0 for _ in range(3)] == [False, False, True]
    later = NOW + timedelta(hours=5)
    assert [control.take_call("meta", "1", 20.0, later) > 0 for _ in range(3)] == [False, False, True]


def test_as_many_calls_are_taken_as_were_asked_for(url):
    hour = 100.0  # holds ten calls; the rest are taken on credit, each a later turn

    def take(control, _caller):
        return [control.take_call("meta", "1", hour, NOW) for _ in range(15)]

    waits = sorted(seconds for taken in at_once(url, 6, take) for seconds in taken)
    assert waits[:10] == [0.0] * 10
    turns = [max(0.0, taken - 10) * 36.0 for taken in range(1, 91)]
    assert waits == pytest.approx(turns), "ninety calls, and no two on the same turn"


def test_a_refill_is_given_once_however_late_a_caller_comes_to_its_turn(url):
    control = IngestionControl(open_control_store(url))
    for _ in range(10):
        control.take_call("meta", "1", 100.0, NOW)
    later = NOW + timedelta(seconds=72)
    waits = [control.take_call("meta", "1", 100.0, moment) for moment in (later, NOW, later, later)]
    assert waits == pytest.approx([0, 0, 36, 72])


def test_of_blocks_at_once_the_longest_holds(url):
    at_once(url, 8, lambda control, caller: control.block("meta", "1", 60.0 * (caller + 1), NOW))
    control = IngestionControl(open_control_store(url))
    assert control.take_call("meta", "1", 1_000_000.0, NOW) == pytest.approx(480)


def test_a_source_stopped_by_many_at_once_is_stopped_once(url):
    def stop(control, caller):
        for _ in range(10):
            control.stop_source("meta", f"hash {caller}", f"refused \x00 {caller}", NOW)

    at_once(url, 6, stop)
    control = IngestionControl(open_control_store(url))
    stops = [stop for caller in range(6) if (stop := control.stopped("meta", f"hash {caller}"))]
    assert len(stops) == 1
    control.resume_source("meta")
    assert not any(control.stopped("meta", f"hash {caller}") for caller in range(6))


def test_runs_that_write_the_same_slices_in_any_order_neither_fail_nor_lose_one(url):
    keys = [("meta", "stream", "none", "1", date(2026, 6, 1) + timedelta(days=n)) for n in range(60)]
    why = Waiting(1, "TRANSIENT", "502", None)

    def write(control, caller):
        mine = keys if caller % 2 else keys[::-1]
        for _ in range(5):
            control.start(mine, NOW)
            control.settle([], [(key, why) for key in mine], NOW)
            control.note_zone("meta", "1", f"Zone/{caller}")
            control.forget_killed("meta", "1")

    at_once(url, 4, write)
    control = IngestionControl(open_control_store(url))
    assert control.waiting("meta", "1") == dict.fromkeys(keys, why)
    assert (control.zone("meta", "1") or "").startswith("Zone/")
    control.settle(keys, [(keys[0], why)], NOW)
    assert control.waiting("meta", "1") == {keys[0]: why}, "what waits again is not finished"


def test_a_slice_met_twice_is_noted_once(url):
    control = IngestionControl(open_control_store(url))
    control.start([KEY, KEY], NOW)
    assert control.queue_sizes() == {"meta": {"running": 1}}


def test_the_zone_is_the_last_one_told(url):
    control = IngestionControl(open_control_store(url))
    assert control.zone("meta", "1") is None
    control.note_zone("meta", "1", "Europe/Berlin")
    control.note_zone("meta", "1", "Asia/Tokyo")
    assert control.zone("meta", "1") == "Asia/Tokyo"


def test_a_url_without_a_driver_gets_the_installed_one(postgresql):
    bare = postgresql.new_database().replace("postgresql+psycopg2://", "postgres://")
    assert IngestionControl(open_control_store(bare)).queue_sizes() == {}


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hush@host/control",
        "hush",
        "postgresql+nosuch://user:hush@host/control",
        "sqlite+aiosqlite:///hush",
        "postgresql://user:pass@word:hush/control",
        "postgresql://user:pass@hush@host/control",
    ],
)
def test_a_database_the_control_store_cannot_use_is_refused_without_showing_the_url(url):
    with pytest.raises(SettingsError, match="AELP_CONTROL_URL") as caught:
        open_control_store(url)
    assert "hush" not in str(caught.value)


def test_a_reader_of_the_queue_does_not_wait_for_a_writer(postgresql):
    url = postgresql.new_database()
    control, writing = IngestionControl(open_control_store(url)), open_control_store(url)
    control.start([KEY], NOW)
    with writing.begin() as connection:
        connection.execute(sa.text("update slice_queue set status = 'waiting'"))
        assert control.queue_sizes() == {"meta": {"running": 1}}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hush@127.0.0.1:1/control",
        "postgresql://127.0.0.1:1/control?user=user&password=hush",
        "postgresql://user@127.0.0.1:1/control?nosuch=hush",
    ],
)
def test_a_store_that_cannot_be_reached_is_named_without_its_password(url):
    with pytest.raises(SettingsError, match=r"127.0.0.1:1/control cannot be opened") as caught:
        open_control_store(url)
    assert "hush" not in str(caught.value)


def test_a_file_that_is_no_control_store_is_said_in_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("no database" * 1000)
    for path in ("notes.txt", "notes.txt/control.sqlite"):
        with pytest.raises(SettingsError, match=f"{path} cannot be opened: .* AELP_CONTROL_URL"):
            open_control_store(f"sqlite:///{tmp_path}/{path}")


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr("resources.control.store._CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(SettingsError, match="timeout"):
            open_control_store(f"postgresql://user@127.0.0.1:{silent.getsockname()[1]}/control")


def test_a_user_who_may_create_no_tables_is_told(postgresql):
    url = sa.make_url(postgresql.new_database())
    owner = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.exec_driver_sql(f"create user reader_of_{url.database}")
        connection.exec_driver_sql("revoke create on schema public from public")
    with pytest.raises(SettingsError, match="permission denied for schema public"):
        open_control_store(postgresql.url(url.database, f"reader_of_{url.database}"))


def test_a_user_who_may_only_read_and_write_opens_a_store_whose_tables_are_there(postgresql):
    url = sa.make_url(postgresql.new_database())
    IngestionControl(open_control_store(str(url))).start([KEY], NOW)
    user = f"writer_of_{url.database}"
    owner = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.exec_driver_sql(f"create user {user}")
        connection.exec_driver_sql("revoke create on schema public from public")
        connection.exec_driver_sql(
            f"grant select, insert, update, delete on all tables in schema public to {user}"
        )
        connection.exec_driver_sql(f"grant usage on all sequences in schema public to {user}")
    control = IngestionControl(open_control_store(postgresql.url(url.database, user)))
    control.settle([KEY], [], NOW)
    assert control.queue_sizes() == {}


def test_the_first_to_need_it_makes_the_folder_of_the_file(tmp_path):
    control = IngestionControl(open_control_store(f"sqlite:///{tmp_path}/new/home/control.sqlite"))
    assert control.queue_sizes() == {}
