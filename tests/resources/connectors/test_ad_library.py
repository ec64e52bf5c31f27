"""Ad library searches over HTTP: budgeted, cached, whole, without the token Meta puts into its answers."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from resources.connectors import ad_library
from resources.connectors.ad_library import AdLibrary, AdLibraryCredentials, AdLibrarySearch
from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.search_cache import SearchCache
from resources.connectors.source import Account, Pull
from resources.landing.pages import payload_text
from resources.landing.streams import STREAMS
from resources.sandbox.servers.ad_library import PAGES, AdLibraryServer
from resources.sandbox.servers.faults import Fault, FaultKind, FaultScript

TOKEN = "EAAB-sandbox-token"
ZONE = "America/New_York"
RIVAL = AdLibrarySearch(page_ids=(PAGES["Lodestar"],))
TODAY = date(2026, 6, 30)


class Library:
    """A source beside its server, with a present moment a test can move."""

    def __init__(self, server: AdLibraryServer, folder, searches=(RIVAL,), token=TOKEN, **arguments) -> None:
        self.now = datetime(2026, 6, 30, 12, 0, tzinfo=UTC)
        self.server = server
        self.source = AdLibrary(
            AdLibraryCredentials(token), searches, folder, ZONE,
            **{"endpoint": server.url, "timeout_seconds": 10.0, "now": lambda: self.now} | arguments,
        )  # fmt: skip

    def rows(self, **arguments) -> pl.DataFrame:
        day = self.now.date()
        account = Account("ad_library", "Meta Ad Library", "XXX", ZONE)
        pull = Pull(account, self.source.reports[0], day, day, **arguments)
        return pl.concat([page.rows for page in self.source.pages(pull)], how="diagonal")

    def fails(self, **arguments) -> PlatformError:
        with pytest.raises(PlatformError) as caught:
            self.rows(**arguments)
        assert TOKEN not in f"{caught.value}{caught.value!r}"
        return caught.value

    @property
    def searches(self) -> int:
        return sum(request.path.endswith("ads_archive") for request in self.server.requests)


@pytest.fixture
def server(served):
    with AdLibraryServer(served, TOKEN) as running:
        yield running


@pytest.fixture
def library(server, tmp_path) -> Library:
    return Library(server, tmp_path)


def test_a_rivals_ads_arrive_with_their_ranges_kept_as_ranges(library):
    rows = library.rows()
    assert rows.height > 5
    assert rows["page_name"].unique().to_list() == ["Lodestar"]
    assert not rows["ad_archive_id"].is_duplicated().any()
    closed = rows.filter(pl.col("spend_upper").is_not_null())
    assert (closed["spend_lower"].cast(int) < closed["spend_upper"].cast(int)).all()
    opened = rows.filter(pl.col("impressions_lower") == "50000")
    assert opened.height
    assert opened["impressions_upper"].null_count() == opened.height
    assert json.loads(rows["publisher_platforms"][0]) == ["facebook", "instagram"]
    assert set(rows["searched_on"]) == {TODAY.isoformat()}


def test_words_find_only_the_ads_that_hold_them(server, tmp_path):
    everything = Library(server, tmp_path / "a", [AdLibrarySearch(terms="e")]).rows()
    word = json.loads(everything["link_titles"][0])[0].split()[0]
    found = Library(server, tmp_path / "b", [AdLibrarySearch(terms=word)]).rows()
    assert 0 < found.height < everything.height
    assert all(
        word.casefold() in f"{row[0]}{row[1]}".casefold()
        for row in found.select("bodies", "link_titles").rows()
    )


def test_the_token_meta_writes_into_its_links_is_kept_nowhere(library, tmp_path):
    rows = library.rows(page_size=10)
    assert rows["snapshot_url"][0].startswith("https://www.facebook.com/ads/archive/render_ad/?id=")
    assert not payload_text(rows, STREAMS["ad_library"]).str.contains(TOKEN).any()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert TOKEN.encode() not in kept
    assert not any(TOKEN in json.dumps(dict(request.form)) for request in library.server.requests)


def test_an_answer_is_used_again_until_it_is_a_week_old(library):
    first = library.rows()
    library.now += timedelta(days=6)
    again = library.rows()
    assert library.searches == 1
    assert again["report_date"].unique().to_list() == [date(2026, 7, 6)]
    assert again.drop("report_date").equals(first.drop("report_date"))
    library.now += timedelta(days=1)
    assert library.rows()["searched_on"].unique().to_list() == ["2026-07-07"]
    assert library.searches == 2


def test_every_page_of_a_search_counts_and_pages_add_up(server, library, tmp_path):
    whole = library.rows()
    size = -(-whole.height // 3)
    paged = Library(server, tmp_path / "paged", page_size=size)
    assert paged.rows().sort("ad_archive_id").equals(whole.sort("ad_archive_id"))
    assert (library.source.searches_left, paged.source.searches_left) == (99, 97)


def test_a_search_cut_short_to_spare_the_budget_says_so(library):
    rows = library.rows(page_size=2)
    assert rows.height == 2 * ad_library.MOST_PAGES
    assert rows["search_truncated"].unique().to_list() == ["true"]


def test_without_budget_an_old_answer_serves_and_an_unasked_question_waits_for_next_month(server, tmp_path):
    searches = [RIVAL, AdLibrarySearch(terms="e")]
    known = Library(server, tmp_path, searches[:1], monthly_searches=1)
    known.rows()
    known.now = datetime(2026, 6, 30, 23, 0, tzinfo=UTC)
    both = Library(server, tmp_path, searches, monthly_searches=1)
    both.now = known.now
    error = both.fails()
    assert (error.error_class, error.wait_seconds) == (ErrorClass.DEFER, 3_600.0)
    assert both.searches == 1
    stale = Library(server, tmp_path, searches[:1], monthly_searches=0)
    stale.now += timedelta(days=20)
    assert stale.rows()["searched_on"].unique().to_list() == ["2026-06-30"]
    both.now += timedelta(hours=2)
    assert both.source.searches_left == 1


def test_a_failed_call_counts_but_keeps_nothing(served, tmp_path):
    with AdLibraryServer(served, TOKEN, FaultScript([Fault(FaultKind.SERVER_ERROR)])) as server:
        library = Library(server, tmp_path)
        assert library.fails().error_class is ErrorClass.TRANSIENT
        assert library.source.searches_left == 99
        assert library.rows().height > 5


def test_two_workers_never_spend_more_than_the_budget(tmp_path):
    caches = [SearchCache(tmp_path / "ad_library.sqlite") for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(lambda n: caches[n % 2].spend("2026-06", 25), range(60)))
    assert granted.count(True) == 25
    assert caches[0].spent("2026-06") == 25


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (FaultKind.THROTTLE, ErrorClass.THROTTLE),
        (FaultKind.TOO_MUCH, ErrorClass.SHRINK),
        (FaultKind.SERVER_ERROR, ErrorClass.TRANSIENT),
        (FaultKind.EXPIRED_TOKEN, ErrorClass.AUTH),
        (FaultKind.HTML_ERROR, ErrorClass.TRANSIENT),
        (FaultKind.TRUNCATED, ErrorClass.TRANSIENT),
        (FaultKind.STALL, ErrorClass.TRANSIENT),
        (FaultKind.CURSOR_LOOP, ErrorClass.TRANSIENT),
    ],
)
def test_what_goes_wrong_on_the_second_page_ends_the_search_unkept(served, tmp_path, fault, expected):
    with AdLibraryServer(
        served, TOKEN, FaultScript([Fault(fault, "ads_archive", nth=2)]), stall_seconds=0.5
    ) as s:
        library = Library(s, tmp_path, page_size=10)
        assert library.fails().error_class is expected
        before = library.searches
        library.rows(page_size=500)
        assert library.searches == before + 1


@pytest.mark.parametrize("fault", [FaultKind.EMPTY_MIDDLE, FaultKind.DUPLICATE_PAGE])
def test_an_empty_or_repeated_page_amid_a_search_loses_and_doubles_nothing(served, tmp_path, fault):
    with AdLibraryServer(served, TOKEN, FaultScript([Fault(fault, "ads_archive", nth=2)])) as server:
        whole = Library(server, tmp_path / "whole").rows()
        faulty = Library(server, tmp_path / "faulty", page_size=-(-whole.height // 2)).rows()
    assert faulty.sort("ad_archive_id").equals(whole.sort("ad_archive_id"))


def test_a_new_field_is_kept_and_a_missing_one_breaks_nothing(served, tmp_path):
    script = [Fault(FaultKind.UNKNOWN_FIELD, nth=1), Fault(FaultKind.MISSING_FIELD, nth=2)]
    with AdLibraryServer(served, TOKEN, FaultScript(script)) as server:
        assert Library(server, tmp_path / "a").rows()["library_eu_total_reach"].unique().to_list() == [
            "12345"
        ]
        assert Library(server, tmp_path / "b").rows()["spend_lower"].null_count() > 5


def test_a_wrong_token_and_an_unconfirmed_owner_are_told_what_to_do(served, tmp_path):
    with AdLibraryServer(served, TOKEN, confirmed=False) as server:
        wrong = Library(server, tmp_path, token="EAAB-another").fails()
        unconfirmed = Library(server, tmp_path).fails()
        assert Library(server, tmp_path).source.accounts()[0].account_id == "ad_library"
    assert wrong.error_class is unconfirmed.error_class is ErrorClass.AUTH
    assert "EAAB-another" not in str(wrong)
    assert "facebook.com/ID" in str(unconfirmed)


def test_the_same_question_has_the_same_hash_however_it_is_put():
    one = AdLibrarySearch(page_ids=("1", "2"), countries=("US", "CA"))
    other = AdLibrarySearch(page_ids=("2", "1"), countries=("CA", "US"))
    assert one.query_hash == other.query_hash != RIVAL.query_hash


def test_the_missing_variable_is_named():
    with pytest.raises(MissingCredentials, match="AELP_AD_LIBRARY_ACCESS_TOKEN"):
        AdLibraryCredentials.from_environment({})
