"""A backup of the control store: all of it comes back on either database, or nothing does."""

from __future__ import annotations

import gzip
import hashlib
import json
import stat
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa

from resources.control.backups import restore_backup, write_backup
from resources.control.ingestion import IngestionControl, Waiting
from resources.control.records import Refused
from resources.control.store import APPROVALS, KILL_SWITCH, METADATA, PROPOSALS, open_control_store
from resources.control.writer import Outcome, Writer
from tests.resources.control.paper_platform import PaperPlatform, running
from tests.resources.control.proposing import MORNING, NINE, TEN, governing, lever, proposed

SOON = TEN + timedelta(minutes=5)
KEY = ("meta", "ads", "none", "1", MORNING)


def sent(engine: sa.Engine, platform: PaperPlatform) -> list[Outcome]:
    return Writer(engine, governing(engine, mode="sandbox"), platform, lambda: SOON).apply()


def fill(engine: sa.Engine) -> None:
    """A morning in the middle: one change sent, one approved, a slice waiting, everything stopped."""
    governance = governing(engine, mode="sandbox")
    first, second, *_ = proposed(governance, lever("l1"), lever("l2"), lever("l3"))
    governance.approve(first, "sam", "it pays — 日本", TEN)
    sent(engine, PaperPlatform(id_l1=running("500")))
    governance.approve(second, "sam", "it pays", TEN)
    why = Waiting(2, "THROTTLE", 'asked to "wait"\nfor long', TEN + timedelta(seconds=0.1))
    IngestionControl(engine).settle([], [(KEY, why)], TEN)
    governance.kill(is_on=True, person="eve", reason="spend explodes", now=SOON)


def fill_what_is_empty(engine: sa.Engine) -> None:
    """A row of every column in each table that a morning leaves empty."""
    of_type = {bytes: b"\x00\xff", str: "日本", int: 7, float: 0.1, bool: True, date: MORNING}
    with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            if not connection.execute(sa.select(table).limit(1)).first():
                row = {column.name: of_type[column.type.python_type] for column in table.columns}
                connection.execute(sa.insert(table).values(**row))


def everything(engine: sa.Engine) -> dict[str, list[tuple[Any, ...]]]:
    with engine.begin() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in METADATA.sorted_tables
        }


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, tmp_path) -> Iterator[sa.Engine]:
    """A second, empty store."""
    if request.param == "sqlite":
        engine = open_control_store(f"sqlite:///{tmp_path / 'restored.sqlite'}")
    else:
        engine = open_control_store(request.getfixturevalue("postgresql").new_database())
    yield engine
    engine.dispose()


@pytest.fixture
def small(tmp_path) -> Iterator[tuple[sa.Engine, Path]]:
    """A filled store on SQLite, and its backup."""
    engine = open_control_store(f"sqlite:///{tmp_path / 'small.sqlite'}")
    fill(engine)
    write_backup(engine, tmp_path / "small.backup", SOON)
    yield engine, tmp_path / "small.backup"
    engine.dispose()


@pytest.fixture
def target(tmp_path) -> Iterator[sa.Engine]:
    """An empty store on SQLite."""
    engine = open_control_store(f"sqlite:///{tmp_path / 'target.sqlite'}")
    yield engine
    engine.dispose()


def is_empty(engine: sa.Engine) -> bool:
    return not any(everything(engine).values())


# --- there and back -----------------------------------------------------------------------------------


def test_every_table_comes_back_on_either_database_and_the_morning_goes_on(engine, empty, tmp_path):
    fill(engine)
    fill_what_is_empty(engine)
    taken = write_backup(engine, tmp_path / "noon.backup", SOON)
    assert all(taken.rows.values()), "every table holds a row"
    assert restore_backup(empty, tmp_path / "noon.backup", SOON) == taken
    assert everything(empty) == everything(engine)
    assert (taken.taken_at, taken.rows["approvals"], taken.rows["kill_switch"]) == (SOON, 2, 1)

    governance, platform = (
        governing(empty, mode="sandbox"),
        PaperPlatform(id_l1=running("525"), id_l2=running("500")),
    )
    assert "eve stopped everything" in (governance.killed() or "")
    assert [outcome.status for outcome in sent(empty, platform)] == ["prepared"], "it is still stopped"
    assert platform.writes == []
    governance.kill(is_on=False, person="jo", reason="over", now=SOON)
    (outcome,) = sent(empty, platform)
    assert (outcome.status, platform.values["id-l2"]) == ("applied", running("525")), "its signature holds"
    (third,) = [row for row in governance.proposals(SOON) if row["status"] == "pending"]
    governance.approve(third["proposal_id"], "sam", "it pays", SOON)
    assert [row["sequence"] for row in governance.approvals()] == [1, 2, 3], "numbers go on"


def test_the_same_store_gives_the_same_backup_readable_by_its_owner_alone(engine, tmp_path):
    fill(engine)
    files = [tmp_path / "one", tmp_path / "two"]
    assert len({write_backup(engine, file, SOON).sha256 for file in files}) == 1
    assert files[0].read_bytes() == files[1].read_bytes()
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert b"a long secret" not in gzip.decompress(files[0].read_bytes()), "keys of approvers are not in it"
    with pytest.raises(Refused, match="is there already"):
        write_backup(engine, files[0], SOON)


def test_a_decision_made_while_it_is_written_is_whole_in_it_or_not_at_all(postgresql, tmp_path, monkeypatch):
    url = postgresql.new_database()
    engine, deciding = open_control_store(url), governing(open_control_store(url), mode="sandbox")
    (pending,) = proposed(deciding, lever("l1"))
    encode, decided = json.dumps, []

    def decide_meanwhile(document: Any, **how: Any) -> str:
        if document[0:1] == ["lever_states"] and not decided if isinstance(document, list) else False:
            decided.append(deciding.approve(pending, "sam", "it pays", TEN))
        return encode(document, **how)

    monkeypatch.setattr("resources.control.backups.json.dumps", decide_meanwhile)
    taken = write_backup(engine, tmp_path / "noon.backup", SOON)
    monkeypatch.undo()
    assert decided
    assert (taken.rows["approvals"], taken.rows["changes"], taken.rows["outbox"]) == (0, 0, 0)
    target = open_control_store(f"sqlite:///{tmp_path / 'restored.sqlite'}")
    restore_backup(target, tmp_path / "noon.backup", SOON)
    assert [row["status"] for row in governing(target).proposals(TEN)] == ["pending"]


def test_what_waits_to_be_sent_comes_back_stopped_in_the_transaction_that_brings_it_back(
    engine, empty, tmp_path
):
    governance = governing(engine, mode="sandbox")
    (first,) = proposed(governance, lever("l1"))
    governance.approve(first, "sam", "it pays", TEN)
    write_backup(engine, tmp_path / "nine.backup", TEN)
    platform = PaperPlatform(id_l1=running("500"))
    assert [outcome.status for outcome in sent(engine, platform)] == ["applied"]
    (change,) = governance.changes()
    governance.roll_back(change["change_id"], "sam", "too dear", SOON)
    assert [outcome.status for outcome in sent(engine, platform)] == ["applied"]
    assert platform.values["id-l1"] == running("500")

    restore_backup(empty, tmp_path / "nine.backup", SOON)
    restored = governing(empty, mode="sandbox")
    assert "aelp restore stopped everything" in (restored.killed() or "")
    sent(empty, platform)
    assert platform.values["id-l1"] == running("500"), "the rollback nobody remembers stands"
    restored.kill(is_on=False, person="jo", reason="compared", now=SOON)
    restored.roll_back(change["change_id"], "sam", "was undone", SOON)
    sent(empty, platform)
    assert platform.values["id-l1"] == running("500"), "taken back before it was sent"


def test_an_emergency_stop_since_the_backup_is_not_released_though_nothing_waited(engine, target, tmp_path):
    (first,) = proposed(governing(engine), lever("l1"))
    write_backup(engine, tmp_path / "nine.backup", TEN)
    governing(engine).kill(is_on=True, person="eve", reason="spend explodes", now=TEN)
    restore_backup(target, tmp_path / "nine.backup", SOON)
    with pytest.raises(Refused, match="aelp restore stopped everything"):
        governing(target).approve(first, "sam", "it pays", SOON)
    stopped, restored = everything(engine), everything(target)
    assert len(restored.pop("kill_switch")) == len(stopped.pop("kill_switch"))
    assert restored == stopped


# --- what is refused ----------------------------------------------------------------------------------


def test_a_store_that_holds_something_is_left_alone_and_says_what(empty, small):
    _, file = small
    governing(empty).kill(is_on=True, person="eve", reason="first", now=NINE)
    before = everything(empty)
    with pytest.raises(Refused, match=r"not empty: it has 1 kill switch\. Restore into a new one"):
        restore_backup(empty, file, SOON)
    assert everything(empty) == before


Damage = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
        lambda _: b"",
        lambda _: b"no backup at all",
        lambda _: gzip.compress(b""),
        lambda _: gzip.compress(b'{"format":"another"}\n{"sha256":"0"}\n'),
        lambda whole: gzip.compress(gzip.decompress(whole).replace(b'"525', b'"925')),
        lambda whole: gzip.compress(gzip.decompress(whole).rpartition(b"\n{")[0]),
        lambda whole: gzip.compress(b"\n".join(gzip.decompress(whole).split(b"\n")[:-3])),
    ],
    ids=["half", "one byte less", "empty", "text", "nothing packed", "another format", "a budget edited",
         "no hash", "rows gone"],
)  # fmt: skip
def test_a_torn_or_edited_file_is_refused_and_restores_nothing(small, target, damage: Damage):
    _, file = small
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert file.read_bytes() != whole
    with pytest.raises(Refused, match="is torn or was changed"):
        restore_backup(target, file, SOON)
    assert is_empty(target)


def forged(file: Path, edit: Callable[[list[Any]], None]) -> None:
    """Rewrite a backup's lines and give it a hash that fits, as somebody would who knows how."""
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()[:-1]]
    edit(lines)
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    end = json.dumps({"sha256": hashlib.sha256(text).hexdigest()}).encode()
    file.write_bytes(gzip.compress(text + end + b"\n"))


def test_a_forged_approval_comes_back_and_moves_nothing(small, target):
    _, file = small

    def raise_amounts(lines: list[Any]) -> None:
        place = 1 + lines[0]["tables"]["approvals"].index("amount")
        for line in lines[1:]:
            if line[0] == "approvals":
                line[place] = "0.01"

    forged(file, raise_amounts)
    restore_backup(target, file, SOON)
    governing(target, mode="sandbox").kill(is_on=False, person="jo", reason="over", now=SOON)
    platform = PaperPlatform(id_l1=running("525"), id_l2=running("500"))
    (outcome,) = sent(target, platform)
    assert outcome.status == "blocked"
    assert "what it signs is not what the store says now" in (outcome.message or "")
    assert platform.writes == []


def _doubled(lines: list[Any]) -> None:
    lines.append(next(line for line in lines[1:] if line[0] == "kill_switch"))


def _cut(lines: list[Any]) -> None:
    lines[-1].pop()


def _no_date(lines: list[Any]) -> None:
    place = 1 + lines[0]["tables"]["proposals"].index("as_of_date")
    next(line for line in lines[1:] if line[0] == "proposals")[place] = "soon"


def _nul(lines: list[Any]) -> None:  # SQLite keeps one; a PostgreSQL text has none
    place = 1 + lines[0]["tables"]["approvals"].index("reason")
    next(line for line in lines[1:] if line[0] == "approvals")[place] = "it \x00 pays"


def test_a_text_that_postgresql_does_not_take_is_refused_in_words(small, postgresql):
    _, file = small
    forged(file, _nul)
    engine = open_control_store(postgresql.new_database())
    with pytest.raises(Refused, match=r"NUL.*Nothing was restored"):
        restore_backup(engine, file, SOON)
    assert is_empty(engine)
    engine.dispose()


@pytest.mark.parametrize("edit", [_doubled, _cut, _no_date])
def test_rows_the_store_does_not_take_leave_it_empty(small, empty, edit):
    _, file = small
    forged(file, edit)
    with pytest.raises(Refused, match="Nothing was restored"):
        restore_backup(empty, file, SOON)
    assert is_empty(empty)


def test_a_backup_of_a_newer_release_is_refused_and_of_an_older_one_gets_the_defaults(small, target):
    engine, file = small
    column = PROPOSALS.c.proposed_by
    whole = file.read_bytes()

    def newer(lines: list[Any]) -> None:
        lines[0]["tables"]["approvals"].append("mood")

    def older(lines: list[Any]) -> None:
        place = lines[0]["tables"]["proposals"].index(column.name)
        lines[0]["tables"]["proposals"].pop(place)
        for line in lines[1:]:
            if line[0] == "proposals":
                line.pop(1 + place)

    forged(file, newer)
    with pytest.raises(Refused, match=r"of a newer release, which knows approvals\.mood"):
        restore_backup(target, file, SOON)
    assert is_empty(target)
    file.write_bytes(whole)
    forged(file, older)
    restore_backup(target, file, SOON)
    assert {row["proposed_by"] for row in governing(target).proposals(TEN)} == {"aelp"}
    found, expected = everything(target), everything(engine)
    assert found.pop("proposals")
    assert expected.pop("proposals")
    assert found == expected


def test_a_file_that_is_not_there_or_a_folder_that_is_not_is_said(small, target, tmp_path):
    engine, _ = small
    with pytest.raises(Refused, match="cannot be read: No such file"):
        restore_backup(target, tmp_path / "nowhere.backup", SOON)
    with pytest.raises(Refused, match="cannot be written: No such file"):
        write_backup(engine, tmp_path / "nowhere" / "a.backup", SOON)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(Refused, match="cannot be written: Not a directory"):
        write_backup(engine, tmp_path / "notes.txt" / "a.backup", SOON)


def test_a_backup_that_came_to_the_name_meanwhile_is_left_alone(small, tmp_path, monkeypatch):
    engine, _ = small

    def another_first(_: int) -> None:
        (tmp_path / "noon.backup").write_text("another one's")

    monkeypatch.setattr("resources.control.backups.os.fsync", another_first)
    with pytest.raises(Refused, match="is there already"):
        write_backup(engine, tmp_path / "noon.backup", SOON)
    assert (tmp_path / "noon.backup").read_text() == "another one's"
    assert not list(tmp_path.glob(".noon*"))


def test_a_file_system_without_hard_links_takes_a_backup(small, target, tmp_path, monkeypatch):
    engine, _ = small
    monkeypatch.setattr("resources.control.backups.os.link", mock.Mock(side_effect=PermissionError))
    taken = write_backup(engine, tmp_path / "noon.backup", SOON)
    assert restore_backup(target, tmp_path / "noon.backup", SOON) == taken


def test_a_state_that_comes_back_and_what_is_decided_after_it_are_told_apart_from_what_was_lost(
    small, target
):
    engine, file = small
    told = [governing(engine).stamp()]
    governing(engine).kill(is_on=False, person="jo", reason="over", now=SOON + timedelta(minutes=1))
    told.append(governing(engine).stamp())
    restore_backup(target, file, SOON)
    assert governing(target).stamp() == told[0]
    governing(target).kill(is_on=False, person="jo", reason="over", now=SOON + timedelta(minutes=2))
    assert governing(target).stamp() not in told
    with target.begin() as connection:
        assert [
            connection.execute(sa.select(sa.func.max(log.c.sequence))).scalar()
            for log in (APPROVALS, KILL_SWITCH)
        ] == [2, 2]
