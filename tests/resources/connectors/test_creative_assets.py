"""Images, videos and their thumbnails of the Meta account: rows, kept bytes, and links that lead elsewhere.

Truth is what the loopback Graph API holds; odd links are listed by a server that says whatever a test wants.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from PIL import Image

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.fetching import AccountFetcher, FetchedAccount
from resources.connectors.images import ImageClient, Outcome
from resources.connectors.meta.credentials import MetaCredentials
from resources.connectors.meta.source import CREATIVE_ASSETS, MetaSource
from resources.connectors.pacing import Pace
from resources.connectors.source import Account, Pull
from resources.control.ingestion import IngestionControl
from resources.control.store import open_control_store
from resources.creative_assets import AssetStore
from resources.creative_media.videos import DecodedVideo, decode_video
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript
from resources.sandbox.servers.http import Answer, LoopbackServer, Request
from resources.sandbox.servers.meta import MetaServer
from tests.resources.connectors.paper import VirtualTime

TOKEN = "EAAB-sandbox-token-7f3c"
TODAY = date(2026, 6, 30)
NOW = datetime(2026, 6, 30, 8, tzinfo=ZoneInfo(ACCOUNT_ZONE))
ACCOUNT = Account("418802716650377", "Northstar US", "USD", "America/New_York")


def source(url: str, folder: Path, **given: Any) -> MetaSource:
    arguments: dict[str, Any] = {"timeout_seconds": 5.0, "sleep": lambda seconds: None, "now": lambda: NOW}
    return MetaSource(MetaCredentials(TOKEN), assets=AssetStore(folder), base_url=url, **(arguments | given))


def read(meta: MetaSource, day: date = TODAY, page_size: int | None = None) -> pl.DataFrame:
    pages = list(meta.pages(Pull(ACCOUNT, CREATIVE_ASSETS, day, day, page_size=page_size)))
    return pl.concat([page.rows for page in pages], how="diagonal_relaxed")


def run(meta: MetaSource, folder: Path, time: VirtualTime) -> FetchedAccount:
    """A pull of the assets as the runner makes it, with its retries."""
    control = IngestionControl(open_control_store(f"sqlite:///{folder}/control.sqlite"))
    pace = Pace("meta", ACCOUNT.account_id, control, 1e9, time, time, time.sleep, np.random.default_rng(1))
    fetcher = AccountFetcher(meta, ACCOUNT, pace, folder / "pages", NOW)
    return fetcher.fetch([Pull(ACCOUNT, CREATIVE_ASSETS, TODAY, TODAY)])


def landed(fetched: FetchedAccount) -> list[str]:
    """The payloads a pull wrote."""
    return [
        payload
        for report in fetched.reports
        for page in report.pages
        for payload in pl.read_parquet(page)["payload"]
    ]


def outcomes(rows: pl.DataFrame) -> dict[str, str]:
    return dict(rows.select("asset_id", "outcome").iter_rows())


def files(folder: Path) -> list[Path]:
    """All that lies in the store but its index."""
    return [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("index.sqlite")]


def links(server: MetaServer) -> list[Request]:
    return [request for request in server.requests if request.path.startswith(("/images/", "/videos/"))]


# --- the simulated account ----------------------------------------------------------------------------


def test_every_image_lies_under_the_hash_of_what_the_server_holds(
    served: ServedAccount, tmp_path: Path
) -> None:
    with MetaServer(served, TOKEN) as server:
        rows = read(source(server.url, tmp_path), page_size=5)
        creatives = server.entities.creatives()
        held = server.entities.images
    images = rows.filter(asset_kind="image")
    assert set(images["asset_id"]) == {creative["image_hash"] for creative in creatives}
    thumbnails = rows.filter(asset_kind="video_thumbnail").rows_by_key("asset_id", named=True, unique=True)
    assert set(thumbnails) == {creative["video_id"] for creative in creatives if "video_id" in creative}
    assert thumbnails
    store = AssetStore(tmp_path)
    for row in images.iter_rows(named=True):
        content = held[row["asset_id"]]
        path = store.path(row["content_sha256"])
        assert path is not None
        assert path == tmp_path / row["content_sha256"][:2] / f"{hashlib.sha256(content).hexdigest()}.png"
        assert path.read_bytes() == content
        assert (row["content_type"], row["byte_count"]) == ("image/png", str(len(content)))
        assert (row["width"], row["height"], row["status"]) == ("320", "320", "ACTIVE")
    for creative in creatives:
        if "video_id" in creative:
            row = thumbnails[creative["video_id"]]
            assert row["content_sha256"] == hashlib.sha256(held[creative["image_hash"]]).hexdigest()
            assert (row["name"], row["length_seconds"]) == (creative["title"], "15.5")
    assert set(rows["outcome"]) == {"fetched"}
    assert len(files(tmp_path)) == len(set(rows["content_sha256"])), "each content once"


def test_what_is_known_is_not_fetched_again(served: ServedAccount, tmp_path: Path) -> None:
    with MetaServer(served, TOKEN) as server:
        first = read(source(server.url, tmp_path))
        fetched = len(links(server))
        again = read(source(server.url, tmp_path))
        served.now = lambda: NOW + timedelta(days=1)
        tomorrow = read(source(server.url, tmp_path), TODAY + timedelta(days=1))
        assert len(links(server)) == fetched > 0
    assert again.equals(first), "a second pull of the day lands nothing new"
    known = tomorrow.filter(pl.col("asset_id").is_in(first["asset_id"].implode()))
    assert set(known["outcome"]) == {"unchanged"}
    assert known.drop("report_date", "outcome").equals(first.drop("report_date", "outcome"))


@pytest.mark.parametrize("kind", [FaultKind.EMPTY_MIDDLE, FaultKind.DUPLICATE_PAGE])
def test_pages_played_wrong_lose_nothing_and_fetch_nothing_twice(
    served: ServedAccount, tmp_path: Path, kind: FaultKind
) -> None:
    script = FaultScript([Fault(kind, "/adimages", 2)])
    with MetaServer(served, TOKEN, script) as server:
        rows = read(source(server.url, tmp_path), page_size=4)
        asked = len(links(server))
        assert set(rows.filter(asset_kind="image")["asset_id"]) == {
            image["hash"] for image in server.images.ad_images()
        }
    assert script.played[kind] == 1
    assert asked == rows.unique().height
    assert rows.unique().select("asset_kind", "asset_id").is_unique().all()


def test_bytes_that_were_lost_are_fetched_again(served: ServedAccount, tmp_path: Path) -> None:
    with MetaServer(served, TOKEN) as server:
        rows = read(source(server.url, tmp_path))
        gone, cut = files(tmp_path)[:2]
        content = {path: path.read_bytes() for path in (gone, cut)}
        gone.unlink()
        cut.write_bytes(content[cut][:100])
        assert read(source(server.url, tmp_path)).equals(rows)
    assert {path: path.read_bytes() for path in content} == content


def test_a_broken_index_is_made_anew(served: ServedAccount, tmp_path: Path) -> None:
    with MetaServer(served, TOKEN) as server:
        rows = read(source(server.url, tmp_path))
        (tmp_path / "index.sqlite").write_bytes(b"no database" * 1000)
        assert read(source(server.url, tmp_path)).equals(rows)
        asked = len(links(server))
        read(source(server.url, tmp_path))
        assert len(links(server)) == asked


def test_a_file_another_process_has_just_finished_is_nothing_to_clear(tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming" / ".incoming-x").symlink_to(tmp_path / "gone")
    AssetStore(tmp_path).clear_left_over()


def test_neither_token_nor_signature_leaves_the_connector(served: ServedAccount, tmp_path: Path) -> None:
    with MetaServer(served, TOKEN) as server:
        fetched = run(source(server.url, tmp_path / "kept"), tmp_path, VirtualTime())
        signatures = {request.form["oh"] for request in links(server)}
        for request in links(server):
            told = str((request.path, request.form, request.headers))
            assert TOKEN not in told
            assert "Authorization" not in request.headers
    kept = b"".join(path.read_bytes() for path in (tmp_path / "kept").glob("index.sqlite*"))
    payloads = landed(fetched)
    assert payloads
    for secret in (TOKEN, *signatures):
        assert not any(secret in payload for payload in payloads)
        assert secret.encode() not in kept
    links_kept = (f'"url":"{server.url}/images/', f'"url":"{server.url}/videos/')
    assert all(any(link in payload for link in links_kept) for payload in payloads)


def test_odd_answers_are_outcomes_and_the_rest_is_kept(served: ServedAccount, tmp_path: Path) -> None:
    html = Answer(b"<html>Sign in</html>", 200, {"Content-Type": "image/png"})
    with MetaServer(served, TOKEN) as server:
        hashes = [image["hash"] for image in server.images.ad_images()]
        half = server.entities.images[hashes[3]][:-40]
        server.images.instead = {
            hashes[0]: Answer(b"gone", 404, {"Content-Type": "text/plain"}),
            hashes[1]: html,
            hashes[2]: Answer(b"", 301, {"Location": "https://evil.example/a.png"}),
            hashes[3]: Answer(half, 200, {"Content-Type": "image/png"}),
        }
        rows = read(source(server.url, tmp_path)).filter(asset_kind="image")
    told = outcomes(rows)
    expected = ["missing", "not_an_image", "foreign_address", "not_an_image"]
    assert [told[image_hash] for image_hash in hashes[:4]] == expected
    assert {told[image_hash] for image_hash in hashes[4:]} == {"fetched"}
    odd = rows.filter(pl.col("outcome") != "fetched")
    assert odd["content_sha256"].null_count() == odd["url"].len() == 4
    assert odd["url"].null_count() == 0


def test_every_video_lies_under_the_hash_of_its_bytes_and_can_be_shown(
    served: ServedAccount, tmp_path: Path
) -> None:
    with MetaServer(served, TOKEN) as server:
        rows = read(source(server.url, tmp_path)).filter(asset_kind="video")
        fetched = len(links(server))
        again = read(source(server.url, tmp_path)).filter(asset_kind="video")
        assert len(links(server)) == fetched, "a video that is kept is not fetched again"
        assert set(rows["asset_id"]) == {video["id"] for video in server.images.ad_videos()}
    assert rows.height
    assert again.equals(rows)
    for row in rows.iter_rows(named=True):
        path = AssetStore(tmp_path).path(row["content_sha256"])
        assert path is not None
        assert (row["outcome"], row["content_type"], path.suffix) == ("fetched", "video/mp4", ".mp4")
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["content_sha256"]
        assert isinstance(decode_video(path), DecodedVideo)


def test_what_is_no_video_behind_a_videos_link_is_an_outcome(served: ServedAccount, tmp_path: Path) -> None:
    with MetaServer(served, TOKEN) as server:
        ids = [video["id"] for video in server.images.ad_videos()]
        server.images.instead = {
            ids[0]: Answer(b"<html>Sign in</html>", 200, {"Content-Type": "video/mp4"}),
            ids[1]: Answer(b"", 200, {"Content-Type": "video/mp4"}),
            ids[2]: Answer(b"gone", 404, {"Content-Type": "text/plain"}),
        }
        told = outcomes(read(source(server.url, tmp_path)).filter(asset_kind="video"))
    assert [told[video] for video in ids[:3]] == ["not_a_video", "not_a_video", "missing"]
    assert {told[video] for video in ids[3:]} == {"fetched"}


def test_an_expired_link_is_missing(served: ServedAccount, tmp_path: Path) -> None:
    with MetaServer(served, TOKEN) as server:
        listed = server.images.ad_images()
        served.now = lambda: NOW + timedelta(days=3)
        server.images.ad_images = lambda: listed  # type: ignore[method-assign]
        rows = read(source(server.url, tmp_path)).filter(asset_kind="image")
    assert set(rows["outcome"]) == {"missing"}


def test_a_large_library_comes_over_several_pulls(served: ServedAccount, tmp_path: Path) -> None:
    with MetaServer(served, TOKEN) as server:
        first = read(source(server.url, tmp_path, most_new_images=4))
        second = read(source(server.url, tmp_path, most_new_images=4))
    first, second = (rows.filter(pl.col("asset_kind") != "video") for rows in (first, second))
    count = first.height
    assert first["outcome"].value_counts().sort("outcome").rows() == [("fetched", 4), ("waiting", count - 4)]
    assert second["outcome"].value_counts().sort("outcome").rows() == [("fetched", 8), ("waiting", count - 8)]


# --- failures -----------------------------------------------------------------------------------------


def test_a_throttled_image_waits_as_told_and_the_pull_is_whole(served: ServedAccount, tmp_path: Path) -> None:
    script = FaultScript([Fault(FaultKind.THROTTLE, "/images/", nth=3)])
    clock = VirtualTime()
    with MetaServer(served, TOKEN, script) as server:
        fetched = run(source(server.url, tmp_path / "kept"), tmp_path, clock)
        expected = {image["hash"] for image in server.images.ad_images()}
        asked = [request.path for request in links(server)]
    assert fetched.failures == []
    assert 7.0 in clock.slept
    assert sum('"outcome":"fetched"' in payload for payload in landed(fetched)) == len(landed(fetched))
    assert len(landed(fetched)) > len(expected)
    assert len(asked) == len(landed(fetched)) + 1, "only the refused one is asked for again"


def test_an_endless_throttle_fails_the_snapshot(served: ServedAccount, tmp_path: Path) -> None:
    script = FaultScript([Fault(FaultKind.THROTTLE, "/images/", nth=3, times=1000)])
    with MetaServer(served, TOKEN, script) as server:
        fetched = run(source(server.url, tmp_path / "kept"), tmp_path, VirtualTime())
    assert [failure.error_class for failure in fetched.failures] == [ErrorClass.THROTTLE]
    assert landed(fetched) == []


@pytest.mark.parametrize("kind", [FaultKind.SERVER_ERROR, FaultKind.HTML_ERROR, FaultKind.STALL])
def test_a_hiccup_is_tried_again(served: ServedAccount, tmp_path: Path, kind: FaultKind) -> None:
    script = FaultScript([Fault(kind, "/images/", nth=2)])
    with MetaServer(served, TOKEN, script, stall_seconds=0.6) as server:
        meta = source(server.url, tmp_path / "kept", timeout_seconds=0.3)
        fetched = run(meta, tmp_path, VirtualTime())
    assert fetched.failures == []
    assert all('"outcome":"fetched"' in payload for payload in landed(fetched))


def test_an_image_that_never_comes_costs_only_itself(served: ServedAccount, tmp_path: Path) -> None:
    with MetaServer(served, TOKEN) as server:
        hashes = [image["hash"] for image in server.images.ad_images()]
        broken = {hashes[0], hashes[4], hashes[5]}
        server.images.instead = dict.fromkeys(broken, Answer(b"", 503, {"Content-Type": "text/plain"}))
        fetched = run(source(server.url, tmp_path / "kept"), tmp_path, VirtualTime())
        asked = [request.path for request in links(server)]
        server.images.instead = {}
        mended = read(source(server.url, tmp_path / "kept"))
    assert fetched.failures == []
    told = [payload for payload in landed(fetched) if '"outcome":"unavailable"' in payload]
    assert len(told) >= len(broken), "and thumbnails that show the same"
    assert len(told) < len(landed(fetched))
    assert max(asked.count(path) for path in asked) <= 4, "twice for each asset that shows it"
    assert set(mended["outcome"]) == {"fetched"}


def test_image_servers_that_are_down_do_not_hold_the_snapshot_up(
    served: ServedAccount, tmp_path: Path
) -> None:
    script = FaultScript([Fault(FaultKind.SERVER_ERROR, "/images/", times=10_000)])
    with MetaServer(served, TOKEN, script) as server:
        fetched = run(source(server.url, tmp_path / "kept"), tmp_path, VirtualTime())
        assert len(links(server)) == 6
    assert fetched.failures == []
    payloads = landed(fetched)
    assert len(payloads) > 6
    assert all('"outcome":"unavailable"' in payload for payload in payloads)
    assert files(tmp_path / "kept") == []


def test_messages_name_no_link(served: ServedAccount, tmp_path: Path) -> None:
    script = FaultScript([Fault(FaultKind.SERVER_ERROR, "/images/")])
    with MetaServer(served, TOKEN, script) as server:
        with pytest.raises(PlatformError) as caught:
            read(source(server.url, tmp_path))
    assert caught.value.error_class is ErrorClass.TRANSIENT
    assert "oh=" not in str(caught.value)
    assert caught.value.__context__ is None


# --- links of any kind --------------------------------------------------------------------------------


def png(width: int = 4, height: int = 4, kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    image = Image.new("RGB", (width, height), (10, 200, 30))
    image.save(buffer, format=kind, **({"save_all": True, "append_images": [image]} if kind == "MPO" else {}))
    return buffer.getvalue()


@dataclass
class Library:
    """An ad account whose images and videos are these; `bodies` by path."""

    images: list[dict[str, Any]] = field(default_factory=list)
    videos: list[dict[str, Any]] = field(default_factory=list)
    bodies: dict[str, Answer] = field(default_factory=dict)

    @contextmanager
    def served(self) -> Iterator[LoopbackServer]:
        with LoopbackServer(self._answer, FaultScript()) as server:
            yield server

    def _answer(self, request: Request) -> Answer:
        for edge, rows in (("adimages", self.images), ("advideos", self.videos)):
            if request.path.endswith(edge):
                return Answer({"data": rows, "paging": {}})
        return self.bodies.get(request.path, Answer(b"", 404))


@pytest.mark.parametrize(
    "link",
    [
        "http://scontent.fbcdn.net/a.png?oh=1",
        "https://fbcdn.net.evil.example/a.png",
        "https://evilfbcdn.net/a.png",
        "https://user:word@scontent.fbcdn.net/a.png",
        "https://evil.example\\.fbcdn.net/a.png",
        "https://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "ftp://scontent.fbcdn.net/a.png",
        "https://scontent.fbcdn.net:x/a.png",
        "https://[scontent.fbcdn.net/a.png",
        "//scontent.fbcdn.net/a.png",
    ],
)
def test_a_link_to_elsewhere_is_not_called(
    link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def noted(host: Any, *rest: Any, **more: Any) -> Any:
        looked_up.append(str(host))
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    library = Library([{"hash": "a", "url": link}], [{"id": "9", "picture": link}])
    with library.served() as server:
        rows = read(source(server.url, tmp_path))
    assert outcomes(rows) == {"a": "foreign_address", "9": "foreign_address"}
    assert set(looked_up) == {"127.0.0.1"}
    assert "word" not in str(rows.rows())


def test_loopback_is_not_called_for_the_real_platform(tmp_path: Path) -> None:
    with Library(bodies={"/a.png": Answer(png())}).served() as server:
        assert client(allow_loopback=False).get(f"{server.url}/a.png") is Outcome.FOREIGN_ADDRESS
        assert server.requests == []


@pytest.mark.parametrize("target", ["//evil.example/a.png", "http://scontent.fbcdn.net/a.png", "file:///a"])
def test_a_redirect_to_elsewhere_is_not_followed(target: str, tmp_path: Path) -> None:
    library = Library(bodies={"/moved": Answer(b"", 302, {"Location": target})})
    with library.served() as server:
        library.images = [{"hash": "a", "url": f"{server.url}/moved"}]
        assert outcomes(read(source(server.url, tmp_path))) == {"a": "foreign_address"}


def test_redirects_within_the_family_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    library = Library(bodies={"/a.png": Answer(png())})
    with library.served() as server:
        library.bodies |= {
            "/moved": Answer(b"", 302, {"Location": "/a.png"}),
            "/round": Answer(b"", 302, {"Location": "/round"}),
        }
        library.images = [{"hash": path, "url": f"{server.url}/{path}"} for path in ("moved", "round")]
        rows = read(source(server.url, tmp_path))
    assert outcomes(rows) == {"moved": "fetched", "round": "missing"}


@pytest.mark.parametrize(
    ("kind", "content_type", "ending"),
    [
        ("PNG", "image/png", "png"),
        ("JPEG", "image/jpeg", "jpg"),
        ("GIF", "image/gif", "gif"),
        ("WEBP", "image/webp", "webp"),
        ("MPO", "image/jpeg", "jpg"),
    ],
)
def test_bytes_say_what_they_are_whatever_their_server_says(
    kind: str, content_type: str, ending: str, tmp_path: Path
) -> None:
    library = Library(bodies={"/a": Answer(png(kind=kind), 200, {"Content-Type": "text/html"})})
    with library.served() as server:
        library.images = [{"hash": "a", "url": f"{server.url}/a"}]
        (row,) = read(source(server.url, tmp_path)).to_dicts()
    assert (row["outcome"], row["content_type"]) == ("fetched", content_type)
    (path,) = files(tmp_path)
    assert path.suffix == f".{ending}"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_image_of_too_many_pixels_is_too_large(tmp_path: Path) -> None:
    buffer = BytesIO()
    Image.new("1", (12_000, 12_000)).save(buffer, format="PNG")
    assert len(buffer.getvalue()) < 100_000
    library = Library(bodies={"/a": Answer(buffer.getvalue())})
    with library.served() as server:
        library.images = [{"hash": "a", "url": f"{server.url}/a"}]
        assert outcomes(read(source(server.url, tmp_path))) == {"a": "too_large"}


def test_the_limit_itself_is_allowed(tmp_path: Path) -> None:
    content = png(200, 200)
    library = Library(bodies={"/a": Answer(content)})
    with library.served() as server:
        library.images = [{"hash": "a", "url": f"{server.url}/a"}]
        over = read(source(server.url, tmp_path, largest_image=len(content) - 1))
        just = read(source(server.url, tmp_path, largest_image=len(content)))
    assert outcomes(over) == {"a": "too_large"}
    assert outcomes(just) == {"a": "fetched"}


@contextmanager
def endless(declared: str = "") -> Iterator[tuple[str, list[int]]]:
    """A server that sends one body until nobody reads; a declared one never begins. And what it sent."""
    sent: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(10)
                connection.recv(65_536)
                head = f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n{declared}Connection: close\r\n\r\n"
                connection.sendall(head.encode())
                if declared:
                    connection.recv(1)
                    return
                try:
                    while sum(sent) < 200_000_000:
                        sent.append(connection.send(b"\0" * 65_536))
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", sent
        thread.join(10)


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    library = Library()
    with library.served() as server, endless() as (address, sent):
        library.images = [{"hash": "a", "url": f"{address}/a.png"}]
        rows = read(source(server.url, tmp_path, largest_image=1_000_000))
    assert outcomes(rows) == {"a": "too_large"}
    assert sum(sent) < 50_000_000, "what the sockets hold, not what there is"
    assert files(tmp_path) == []


def test_a_size_over_the_limit_is_believed_unread(tmp_path: Path) -> None:
    library = Library()
    with library.served() as server, endless("Content-Length: 40000000\r\n") as (address, sent):
        library.images = [{"hash": "a", "url": f"{address}/a.png"}]
        rows = read(source(server.url, tmp_path, timeout_seconds=1.0))
    assert outcomes(rows) == {"a": "too_large"}
    assert sent == []


@contextmanager
def answering(head: str, *pieces: bytes, every: float = 0.0) -> Iterator[str]:
    """The address of a server that answers one call with these bytes, piece by piece."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                connection.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode())
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(every)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/a.png"
        thread.join(10)


def client(**given: Any) -> ImageClient:
    return ImageClient("Meta", ("fbcdn.net",), **({"allow_loopback": True, "timeout_seconds": 1.0} | given))


def test_a_body_that_drips_is_given_up_though_it_is_never_silent() -> None:
    began = time.monotonic()
    with answering("Content-Length: 100\r\n", *[b"\0"] * 20, every=0.1) as link:
        assert client(longest_seconds=0.3).get(link) is Outcome.UNAVAILABLE
        assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("last", ["0\r\n\r\n", ""])
def test_a_body_in_pieces_is_an_image_once_its_last_piece_has_come(last: str) -> None:
    content = png(60, 60)
    pieces = [f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (content[:50], content[50:])]
    with answering("Transfer-Encoding: chunked\r\n", *pieces, last.encode(), every=0.01) as link:
        found = client().get(link)
    assert (found.content == content) if last else found is Outcome.UNAVAILABLE


def test_a_size_that_is_no_number_anyone_can_mean_is_not_believed() -> None:
    with answering(f"Content-Length: {'9' * 5000}\r\n", png()) as link:
        assert client().get(link).content == png()


def test_an_asset_without_a_link_is_missing_and_one_without_a_name_an_error(tmp_path: Path) -> None:
    library = Library([{"hash": "a"}], [{"id": "9", "title": "No picture", "status": {}}])
    with library.served() as server:
        assert outcomes(read(source(server.url, tmp_path))) == {"a": "missing", "9": "missing"}
        library.images = [{"id": "1:a", "url": f"{server.url}/a"}]
        with pytest.raises(PlatformError) as caught:
            read(source(server.url, tmp_path))
    assert caught.value.error_class is ErrorClass.TRANSIENT


def test_a_video_shows_its_preferred_thumbnail_and_follows_when_it_is_exchanged(tmp_path: Path) -> None:
    library = Library(bodies={f"/{n}.png": Answer(png(n, n)) for n in (4, 5, 6, 7)})

    def video(base: str, preferred: int) -> dict[str, Any]:
        shown = [
            {"uri": f"{base}/{n}.png?oh={n}", "width": n, "height": n, "is_preferred": n == preferred}
            for n in (4, 5, 6)
        ]
        return {"id": "9", "picture": f"{base}/7.png", "thumbnails": {"data": shown}, "length": 3.25}

    with library.served() as server:
        library.videos = [video(server.url, 5)]
        (before,) = read(source(server.url, tmp_path)).to_dicts()
        library.videos = [video(server.url, 6)]
        (after,) = read(source(server.url, tmp_path)).to_dicts()
        library.videos = [{"id": "8", "picture": f"{server.url}/7.png"}]
        (picture,) = read(source(server.url, tmp_path)).to_dicts()
    shas = [hashlib.sha256(png(n, n)).hexdigest() for n in (5, 6, 7)]
    assert [row["content_sha256"] for row in (before, after, picture)] == shas
    assert (before["width"], after["width"], picture["width"]) == ("5", "6", None)
    assert (before["length_seconds"], before["url"]) == ("3.25", f"{server.url}/5.png")


# --- kill ---------------------------------------------------------------------------------------------


def _pull_and_die(url: str, folder: Path, point: str) -> None:
    from resources import creative_assets, whole_files

    def die(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if point == "amid_bytes":
        whole_files.os.fsync = die  # type: ignore[assignment]
    else:
        creative_assets.AssetStore.note = die  # type: ignore[method-assign, assignment]
    read(source(url, folder))


@pytest.mark.parametrize("point", ["amid_bytes", "before_index"])
def test_a_pull_killed_amid_the_images_leaves_none_half_and_is_made_good(
    served: ServedAccount, tmp_path: Path, point: str
) -> None:
    with MetaServer(served, TOKEN) as server:
        process = multiprocessing.get_context("spawn").Process(
            target=_pull_and_die, args=(server.url, tmp_path, point)
        )
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        left = files(tmp_path)
        assert left
        named = [path for path in left if path.parent.name != "incoming"]
        assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.stem for path in named)
        assert bool(named) is (point == "before_index")
        for path in left:
            os.utime(path, (time.time() - 90_000,) * 2)
        rows = read(source(server.url, tmp_path))
    assert set(rows["outcome"]) == {"fetched"}
    assert {path.stem for path in files(tmp_path)} == set(rows["content_sha256"])
