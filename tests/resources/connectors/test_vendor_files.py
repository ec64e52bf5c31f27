"""Vendor creatives over a real SFTP connection: pinned, settled, whole; no version and no row is lost."""

from __future__ import annotations

import csv
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncssh
import polars as pl
import pytest

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.sftp import SftpCredentials, SftpInbox
from resources.connectors.source import Account, Pull
from resources.connectors.vendor_files import FolderInbox, VendorFiles
from resources.connectors.vendor_rows import read_vendor_file
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript
from resources.sandbox.servers.sftp import USER, SftpServer

PASSWORD = "correct-horse-battery"
ZONE = "America/New_York"
DAY = date(2026, 6, 30)
HEADER = "creative_id,headline,link_url\n"
ROWS = (
    HEADER + "k1,Sleep safe,https://www.northstar.example/a\nk2,Stand tall,https://www.northstar.example/b\n"
)


class Vendor:
    """A server, the source that reads it, and the waiting between two looks."""

    def __init__(self, server: SftpServer, archive: Path, **credentials) -> None:
        self.server = server
        self.now = datetime(2026, 6, 30, 12, 0, tzinfo=UTC)
        self.waits: list[float] = []
        self.meanwhile = lambda: None
        told = {
            "host": "127.0.0.1", "port": server.port, "user": USER, "password": PASSWORD,
            "host_key": server.host_key, "folder": "outgoing",
        } | credentials  # fmt: skip
        self.source = VendorFiles(
            SftpInbox(SftpCredentials(**told), timeout_seconds=1.0), "studio", archive, ZONE,
            now=lambda: self.now, sleep=self.sleep,
        )  # fmt: skip

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.meanwhile()

    def rows(self, first: date = DAY, last: date = DAY) -> pl.DataFrame:
        pull = Pull(Account("studio", "studio", "XXX", ZONE), self.source.reports[0], first, last)
        return pl.concat([page.rows for page in self.source.pages(pull)], how="diagonal")

    def fails(self) -> PlatformError:
        with pytest.raises(PlatformError) as caught:
            self.rows()
        assert PASSWORD not in f"{caught.value}{caught.value!r}"
        assert caught.value.__cause__ is None
        return caught.value


@pytest.fixture
def faults() -> list[Fault]:
    return []


@pytest.fixture
def vendor(served, tmp_path, faults):
    with SftpServer(served, PASSWORD, tmp_path / "server", FaultScript(faults)) as server:
        yield Vendor(server, tmp_path / "archive")


def report(vendor: Vendor, position: int = -1) -> list[dict[str, str]]:
    path = vendor.source.outcome_file(vendor.source.deliveries()[position])
    return list(csv.DictReader(path.read_text().splitlines()))


def test_delivered_creatives_arrive_with_their_file_and_row(vendor):
    count = vendor.server.deliver_creatives("week 26.csv", date(2026, 6, 20), date(2026, 6, 26))
    rows = vendor.rows()
    assert rows.height == count > 5
    assert rows["report_date"].unique().to_list() == [DAY]
    assert sorted(map(int, rows["row_no"])) == list(range(1, count + 1))
    assert rows["headline"].null_count() == 0
    assert rows["file_name"].unique().to_list() == ["week 26.csv"]
    assert {row["outcome"] for row in report(vendor)} == {"accepted"}
    assert vendor.waits == [5.0]


def test_a_second_pull_reads_the_archive_and_fetches_nothing(vendor):
    vendor.server.deliver("a.csv", ROWS)
    first = vendor.rows()
    asked = len(vendor.server.requests)
    assert vendor.rows().equals(first)
    assert (len(vendor.server.requests), len(vendor.waits)) == (asked, 1)


def test_an_upload_under_its_part_name_is_left_alone(vendor):
    vendor.server.deliver("a.csv.part", ROWS)
    assert vendor.rows().is_empty()
    assert vendor.server.requests == []
    (vendor.server.folder / "a.csv.part").rename(vendor.server.folder / "a.csv")
    assert vendor.rows().height == 2


def test_a_file_that_grows_between_two_looks_waits_for_the_next_pull(vendor):
    vendor.server.deliver("a.csv", ROWS[:60])
    vendor.meanwhile = lambda: vendor.server.deliver("a.csv", ROWS)
    assert vendor.rows().is_empty()
    assert vendor.server.requests == []
    vendor.meanwhile = lambda: None
    assert vendor.rows()["creative_id"].to_list() == ["k1", "k2"]


def test_a_changed_file_under_the_same_name_lands_as_a_new_version(vendor):
    vendor.server.deliver("a.csv", ROWS)
    before = vendor.rows()
    vendor.now += timedelta(days=1)
    vendor.server.deliver("a.csv", ROWS.replace("Stand tall", "Stand taller"))
    after = vendor.rows(DAY + timedelta(days=1), DAY + timedelta(days=1))
    assert after["headline"].to_list() == ["Sleep safe", "Stand taller"]
    assert set(after["file_sha256"]).isdisjoint(before["file_sha256"])
    assert vendor.rows().equals(before)


def test_the_same_content_dropped_again_is_no_new_delivery(vendor):
    vendor.server.deliver("a.csv", ROWS)
    vendor.rows()
    vendor.now += timedelta(days=1)
    os.utime(vendor.server.folder / "a.csv", (1_800_000_000, 1_800_000_000))
    vendor.server.deliver("copy of a.csv", ROWS)
    assert vendor.rows(DAY + timedelta(days=1), DAY + timedelta(days=1)).is_empty()
    assert vendor.rows().height == 2


@pytest.mark.parametrize(
    ("modified", "day"),
    [
        (datetime(2026, 6, 24, 3, 30, tzinfo=UTC), date(2026, 6, 23)),
        (datetime(2019, 1, 1, tzinfo=UTC), date(2026, 4, 2)),
        (datetime(2031, 1, 1, tzinfo=UTC), DAY),
    ],
)
def test_a_file_counts_on_the_day_it_was_dropped_as_far_as_that_day_is_still_asked_for(vendor, modified, day):
    vendor.server.deliver("a.csv", ROWS)
    os.utime(vendor.server.folder / "a.csv", (modified.timestamp(), modified.timestamp()))
    assert vendor.rows(day, day).height == 2
    assert vendor.rows(date(2015, 1, 1), date(2035, 1, 1)).height == 2


def test_a_file_the_vendor_removed_stays_landed(vendor):
    vendor.server.deliver("a.csv", ROWS)
    before = vendor.rows()
    (vendor.server.folder / "a.csv").unlink()
    assert vendor.rows().equals(before)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_part_of_the_first_header(vendor, encoding):
    vendor.server.deliver("a.csv", ROWS.replace("Sleep", "Schläf").encode(encoding))
    rows = vendor.rows()
    assert rows["creative_id"].to_list() == ["k1", "k2"]
    assert rows["headline"][0] == "Schläf safe"


def test_every_refused_row_is_reported_with_its_line_and_the_rest_lands(vendor):
    vendor.server.deliver(
        "a.csv",
        "Creative ID;Headline;Link URL;Created on;Agency note\n"
        'k1;"Two\nlines";https://a.example/;2026-06-01;best\n'
        ";No id;https://a.example/;;\n"
        "k3;;;;\n"
        "k4;Four;javascript:alert(1);;\n"
        "k5;Five;https://a.example/;01.06.2026;\n"
        "k6;Six\n"
        "1.2E+17;Seven;;;\n"
        'k1;"Two\nlines";https://a.example/;2026-06-01;best\n',
    )
    rows = vendor.rows()
    assert rows.select("creative_id", "row_no", "headline", "vendor_agency_note").rows() == [
        ("k1", "1", "Two\nlines", "best")
    ]
    outcomes = {int(row["line"]): row["reason"] for row in report(vendor)}
    for line, said in {
        2: "", 4: "creative_id is empty", 5: "nothing to show", 6: "https://", 7: "2026-06-30",
        8: "2 cells where the header has 5", 9: "spreadsheet", 10: "repeats line 2",
    }.items():  # fmt: skip
        assert said in outcomes[line]
    delivery = vendor.source.deliveries()[0]
    assert (delivery.accepted_rows, delivery.refused_rows) == (1, 7)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"headline\nSleep safe\n", "no column creative_id"),
        (b"", "no column creative_id"),
        (b"creative_id,headline\nk1,Schl\xe4f\n", "CSV UTF-8"),
        (b'creative_id,headline\nk1,"open\nk2,x\n', "line 2"),
        (b"creative_id,headline,Headline\nk1,a,b\n", "two columns are named headline"),
        (b'creative_id,headline,"no""te"\nk1,a,b\n', "the column name 'no\"te' cannot be read"),
        (b"creative_id,headline,$.a[0]\nk1,a,b\n", "the column name '$.a[0]' cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_whole_and_blocks_no_other(vendor, content, said):
    vendor.server.deliver("bad.csv", content)
    vendor.server.deliver("good.csv", ROWS)
    assert vendor.rows().height == 2
    assert said in report(vendor, 0)[0]["reason"]


def test_a_report_holds_no_formula():
    from resources.connectors.vendor_rows import outcome_report

    text = outcome_report(read_vendor_file(b'creative_id,headline\n"=HYPERLINK(""x"")",a\n'))
    assert ",=HYPERLINK" not in text.replace('"', "")


def test_another_host_key_is_refused_before_the_password_is_sent(served, tmp_path):
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with SftpServer(served, PASSWORD, tmp_path / "server") as server:
        server.deliver("a.csv", ROWS)
        error = Vendor(server, tmp_path / "archive", host_key=other).fails()
        assert server.requests == []
    assert error.error_class is ErrorClass.AUTH
    assert "another host key" in str(error)


@pytest.mark.parametrize(
    ("credentials", "expected", "said"),
    [
        ({"password": "wrong"}, ErrorClass.AUTH, "refuses aelp"),
        ({"folder": "nowhere"}, ErrorClass.PERMANENT, "no folder nowhere"),
        ({"host_key": "not a key"}, ErrorClass.AUTH, "no public key"),
        ({"port": 1}, ErrorClass.TRANSIENT, "127.0.0.1:1"),
    ],
)
def test_what_a_person_must_mend_is_named(served, tmp_path, credentials, expected, said):
    with SftpServer(served, PASSWORD, tmp_path / "server") as server:
        error = Vendor(server, tmp_path / "archive", **credentials).fails()
    assert error.error_class is expected
    assert said in str(error)


@pytest.mark.parametrize(
    "faults",
    [[Fault(kind, nth=1)] for kind in (FaultKind.STREAM_BREAK, FaultKind.STALL, FaultKind.SERVER_ERROR)],
)
def test_a_connection_lost_amid_a_file_leaves_nothing_half_and_the_next_pull_has_it(vendor, tmp_path):
    vendor.server.deliver("a.csv", ROWS)
    assert vendor.fails().error_class is ErrorClass.TRANSIENT
    assert not [path for path in (tmp_path / "archive").rglob("*") if path.is_file()]
    assert vendor.rows().height == 2


def test_a_version_lost_from_the_archive_is_an_error_not_an_empty_day(vendor, tmp_path):
    vendor.server.deliver("a.csv", ROWS)
    vendor.rows()
    next((tmp_path / "archive" / "files").iterdir()).write_bytes(b"")
    error = vendor.fails()
    assert error.error_class is ErrorClass.PERMANENT
    assert "lost or changed a.csv" in str(error)


@pytest.mark.parametrize("name", ["a.csv", "again.csv"])
@pytest.mark.parametrize("is_gone", [True, False])
def test_a_file_dropped_again_mends_the_archive_that_lost_it(vendor, tmp_path, name, is_gone):
    vendor.server.deliver("a.csv", ROWS)
    before = vendor.rows()
    (kept,) = (tmp_path / "archive" / "files").iterdir()
    (vendor.server.folder / "a.csv").unlink()
    kept.unlink() if is_gone else kept.write_bytes(b"other")
    assert vendor.fails().error_class is ErrorClass.PERMANENT
    vendor.server.deliver(name, ROWS)
    os.utime(vendor.server.folder / name, (1_782_820_000, 1_782_820_000))
    assert vendor.rows().equals(before)
    assert [d.refusal for d in vendor.source.deliveries()] == ["", "its content was delivered before."]


def test_what_the_archive_lost_comes_back_from_an_inbox_that_still_has_it(vendor, tmp_path):
    vendor.server.deliver("a.csv", ROWS)
    before = vendor.rows()
    for kept in (tmp_path / "archive" / "files").iterdir():
        kept.unlink()
    assert vendor.rows().equals(before)
    assert len(vendor.source.deliveries()) == 1


def test_usual_column_names_are_accepted():
    read = read_vendor_file("creative_id,headline,Size (px),Ort/Größe,v1.2\nk1,a,1,2,3\n".encode())
    assert not read.refusal
    assert set(read.rows[0].fields) == {"headline", "size_(px)", "ort/grösse", "v1.2"}


def test_a_folder_serves_as_an_inbox_too(tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.csv").write_text(ROWS)
    (inbox / "b.csv.part").write_text(ROWS + "k3,x,\n")
    source = VendorFiles(FolderInbox(inbox), "studio", tmp_path / "archive", ZONE, sleep=lambda _: None)
    assert [(d.name, d.accepted_rows) for d in source.collect()] == [("a.csv", 2)]
    assert source.accounts() == [Account("studio", "studio", "XXX", ZONE)]


def test_missing_credentials_are_named_and_the_password_never_shows():
    with pytest.raises(MissingCredentials, match=r"AELP_VENDOR_FILES_HOST_KEY.*PASSWORD or"):
        SftpCredentials.from_environment({"AELP_VENDOR_FILES_HOST": "h", "AELP_VENDOR_FILES_USER": "u"})
    assert PASSWORD not in repr(SftpCredentials("h", "u", "k", password=PASSWORD))
