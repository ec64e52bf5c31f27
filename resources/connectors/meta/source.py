"""Meta as a source: its reports, its accounts, and the pages of a pull.

Here: which call answers which report. Not here: what the calls look like (`insights`, `entities`, `levers`,
`activities`, `assets`), retries and splitting (the runner).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from resources.connectors.errors import ErrorClass, PlatformError
from resources.connectors.http import LOOPBACK
from resources.connectors.images import LARGEST_IMAGE, LARGEST_VIDEO, ImageClient, video_of
from resources.connectors.meta import entities, insights
from resources.connectors.meta.activities import activities, activity_record, last_budget_edits
from resources.connectors.meta.assets import HOSTS, MOST_NEW, MetaAssets
from resources.connectors.meta.credentials import MetaCredentials
from resources.connectors.meta.entities import Record
from resources.connectors.meta.graph import API_VERSION, LIVE, Graph
from resources.connectors.meta.insights import BY_AD, BY_HOUR, BY_PLACEMENT, BY_SEGMENT, TODAY_BY_HOUR, Shape
from resources.connectors.meta.jobs import InsightsJobs
from resources.connectors.meta.levers import lever_records
from resources.connectors.meta.texts import frame, part, parts, required, text
from resources.connectors.source import AN_HOUR, CONTEXT_DAYS, Account, Page, Pull, Report
from resources.creative_assets import AssetStore
from resources.landing.streams import STREAMS

_log = logging.getLogger(__name__)
_LONGEST_DAYS = 30
_LOOKBACK_DAYS = 28
_ROWS_PER_PAGE = 1000
_IDS_PER_CALL = 50
_EDIT_DAYS = 90  # how far back a lever's last budget edit is looked for

INSIGHTS = Report(STREAMS["meta_ads_insights"], "none", _LOOKBACK_DAYS, _LONGEST_DAYS)
PLACEMENTS = Report(STREAMS["meta_ads_insights_by_placement"], "placement", _LOOKBACK_DAYS, _LONGEST_DAYS)
ENTITIES = Report(STREAMS["meta_entities"], "none", 0, 1, is_snapshot=True)
CREATIVES = Report(STREAMS["creatives"], "none", 0, 1, is_snapshot=True)
CREATIVE_ASSETS = Report(STREAMS["creative_assets"], "none", 0, 1, is_snapshot=True)
LEVERS = Report(STREAMS["levers"], "none", 0, 1, is_snapshot=True)
ACTIVITIES = Report(STREAMS["meta_activities"], "none", 3, _LONGEST_DAYS, final_after_days=3)
SEGMENTS = Report(
    STREAMS["meta_ads_insights_by_segment"],
    "age_gender",
    _LOOKBACK_DAYS,
    _LONGEST_DAYS,
    wanted_days=CONTEXT_DAYS,
)
# Delivery without conversions, which nobody restates for weeks. A day at a time: whether Meta keeps the days
# of a longer span apart when it is broken down by hour is not documented.
HOURS = Report(
    STREAMS["meta_ads_insights_by_hour"], "hour", 3, 1, final_after_days=3, wanted_days=CONTEXT_DAYS
)
HOURLY = Report(STREAMS["meta_hourly_spend"], "none", 0, 1, is_snapshot=True, snapshot_every=AN_HOUR)

_SHAPES: Mapping[str, Shape] = {
    INSIGHTS.name: BY_AD,
    PLACEMENTS.name: BY_PLACEMENT,
    SEGMENTS.name: BY_SEGMENT,
    HOURS.name: BY_HOUR,
    HOURLY.name: TODAY_BY_HOUR,
}


class MetaSource:
    """Meta's Marketing API.

    Args:
        account_ids: ad accounts to read, with or without `act_`; none: all that the token can see.
        assets: keeps the images of creatives.
        base_url: scheme and host of the Graph API.
        timeout_seconds: for one call.
        sleep: waits while a job runs, seconds.
        now: the present moment, with its zone.
        synchronous_days: longest span that is asked for directly; longer ones run as jobs.
        job_patience_seconds: how long a job may take.
        rng: jitter of the waits.
        largest_image: bytes; of a larger one only the name is landed.
        most_new_images: how many one pull fetches.
    """

    name = "meta"
    api_version = API_VERSION
    reports: Sequence[Report] = (
        INSIGHTS,
        PLACEMENTS,
        SEGMENTS,
        HOURS,
        ENTITIES,
        CREATIVES,
        LEVERS,
        ACTIVITIES,
        HOURLY,
        CREATIVE_ASSETS,
    )
    page_sizes: Sequence[int] = (500, 100, 50)

    def __init__(
        self,
        credentials: MetaCredentials,
        account_ids: Sequence[str] = (),
        *,
        assets: AssetStore,
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
        base_url: str = LIVE,
        timeout_seconds: float = 60.0,
        synchronous_days: int = 3,
        job_patience_seconds: float = 1800.0,
        rng: np.random.Generator | None = None,
        largest_image: int = LARGEST_IMAGE,
        most_new_images: int = MOST_NEW,
    ) -> None:
        self._graph = Graph(credentials, base_url, timeout_seconds)
        self._account_ids = [account_id.removeprefix("act_") for account_id in account_ids]
        self._now = now
        self._synchronous_days = synchronous_days
        self._jobs = InsightsJobs(
            self._graph, sleep, job_patience_seconds, np.random.default_rng() if rng is None else rng
        )
        local = urlsplit(base_url).hostname in LOOPBACK
        images = ImageClient(
            "Meta",
            HOSTS,
            allow_loopback=local,
            timeout_seconds=timeout_seconds,
            largest_bytes=largest_image,
        )
        videos = ImageClient(
            "Meta",
            HOSTS,
            allow_loopback=local,
            timeout_seconds=timeout_seconds,
            largest_bytes=LARGEST_VIDEO,
            recognise=video_of,
        )
        self._assets = MetaAssets(self._graph, assets, images, videos, most_new_images)
        self._creative_of: dict[str, str | None] = {}

    @property
    def secrets(self) -> Sequence[str]:
        return self._graph.secrets

    def accounts(self) -> Sequence[Account]:
        """The configured ad accounts, else all the token can read.

        An account that is gone is left out with a warning, so that it does not stop the others.

        Raises:
            PlatformError: refused; no account but ones that are gone.
        """
        fields = {"fields": "account_id,name,currency,timezone_name"}
        if not self._account_ids:
            pages = self._graph.pages(("me", "adaccounts"), fields | {"limit": 100})
            return [_account(row) for rows, _ in pages for row in rows]
        readable: list[Account] = []
        gone: list[PlatformError] = []
        for account_id in self._account_ids:
            try:
                readable.append(_account(self._graph.call("GET", (f"act_{account_id}",), fields).body))
            except PlatformError as error:
                if error.error_class is not ErrorClass.PERMANENT:
                    raise
                _log.warning("%s", error)
                gone.append(error)
        if gone and not readable:
            raise gone[0]
        return readable

    def parents(self, pull: Pull) -> Sequence[str]:
        """Campaigns with something to report on the pull's days, deleted ones too; raises PlatformError."""
        if pull.report.name not in _SHAPES:
            return ()
        if pull.parents is not None:
            return pull.parents
        asked = insights.campaign_parameters(pull) | {"limit": _ROWS_PER_PAGE}
        pages = self._graph.pages((_node(pull), "insights"), asked)
        return sorted({required(row, "campaign_id") for rows, _ in pages for row in rows})

    def pages(self, pull: Pull) -> Iterator[Page]:
        """The rows of a pull; see `Source.pages`.

        Raises:
            PlatformError: also SHRINK, for a job Meta gave up, and PERMANENT, for days beyond its memory.
        """
        shape = _SHAPES.get(pull.report.name)
        if shape is not None:
            return self._insights(pull, shape)
        by_name = {
            ENTITIES.name: self._entities,
            CREATIVES.name: self._creatives,
            CREATIVE_ASSETS.name: self._creative_assets,
            LEVERS.name: self._levers,
            ACTIVITIES.name: self._activities,
        }
        return by_name[pull.report.name](pull)

    # --- insights -------------------------------------------------------------------------------------

    def _insights(self, pull: Pull, shape: Shape) -> Iterator[Page]:
        today = self._now().astimezone(ZoneInfo(pull.account.timezone)).date()
        asked = insights.parameters(shape, pull, today)
        limit = {"limit": pull.page_size or _ROWS_PER_PAGE}
        if len(pull.days) > self._synchronous_days:
            run_id = self._jobs.finished(pull.account.account_id, asked)
            answered = self._graph.pages((run_id, "insights"), limit, new_object=True)
        else:
            answered = self._graph.pages((_node(pull), "insights"), asked | limit)
        for rows, wait in answered:
            if not rows:
                yield Page(pl.DataFrame(schema={"report_date": pl.Date}), wait)
                continue
            page = insights.rows(rows, shape, pull)
            if shape.level == "ad":
                page = insights.with_creatives(page, self._creatives_of(page["ad_id"]))
            yield Page(page, wait)

    def _creatives_of(self, ads: pl.Series) -> Mapping[str, str | None]:
        """The creative of each of these ads, asked for by id, which also finds deleted ones."""
        new = [ad for ad in ads.unique(maintain_order=True) if ad not in self._creative_of]
        for start in range(0, len(new), _IDS_PER_CALL):
            ids = new[start : start + _IDS_PER_CALL]
            found = dict.fromkeys(ids)
            try:
                body = self._graph.call("GET", (), {"ids": ",".join(ids), "fields": "creative{id}"}).body
            except PlatformError as error:
                # One ad that cannot be read fails all fifty; metrics are worth more than their label.
                if error.error_class is not ErrorClass.PERMANENT:
                    raise
            else:
                found = {ad: text(part(part(body, ad), "creative").get("id")) for ad in ids}
            self._creative_of |= found
        return self._creative_of

    # --- snapshots ------------------------------------------------------------------------------------

    def _entities(self, pull: Pull) -> Iterator[Page]:
        account, stream = pull.account, pull.report.stream
        asked = {"fields": ",".join(entities.ACCOUNT_FIELDS)}
        told = self._graph.call("GET", (_node(pull),), asked)
        yield Page(frame([entities.account_record(told.body, account)], stream, pull.last), told.wait_seconds)
        for edge in (entities.CAMPAIGNS, entities.ADSETS, entities.ADS, entities.CREATIVES):
            fields = ("id", "name", "status") if edge is entities.CREATIVES else None
            for rows, wait in entities.listed(
                self._graph, account, edge, fields=fields, page_size=pull.page_size
            ):
                yield Page(
                    frame([entities.record(edge, row, account) for row in rows], stream, pull.last), wait
                )

    def _creatives(self, pull: Pull) -> Iterator[Page]:
        account, created_on = pull.account, dict[str, str]()
        fields = ("id", "created_time", "creative{id}")
        for rows, _ in entities.listed(
            self._graph, account, entities.ADS, fields=fields, page_size=pull.page_size
        ):
            for ad in rows:
                creative = text(part(ad, "creative").get("id"))
                day = entities.local_day(ad.get("created_time"), account.timezone)
                if creative is not None and day is not None:
                    created_on[creative] = min(day, created_on.get(creative, day))
        for rows, wait in entities.listed(self._graph, account, entities.CREATIVES, page_size=pull.page_size):
            records = [entities.creative_record(row, created_on.get(required(row, "id"))) for row in rows]
            yield Page(frame(records, pull.report.stream, pull.last), wait)

    def _creative_assets(self, pull: Pull) -> Iterator[Page]:
        for records, wait in self._assets.pages(pull.account, pull.last, pull.page_size):
            yield Page(frame(records, pull.report.stream, pull.last), wait)

    def _levers(self, pull: Pull) -> Iterator[Page]:
        account, wait = pull.account, 0.0
        found: dict[str, list[dict[str, Any]]] = {}
        for edge in (entities.CAMPAIGNS, entities.ADSETS):
            found[edge.path] = []
            for rows, advised in entities.listed(
                self._graph, account, edge, live_only=True, page_size=pull.page_size
            ):
                found[edge.path] += rows
                wait = max(wait, advised)
        minimums = self._graph.call("GET", (_node(pull), "minimum_budgets"), {}).body
        since = pull.last - timedelta(days=_EDIT_DAYS)
        log = activities(self._graph, account, since, pull.last, category="BUDGET", page_size=pull.page_size)
        edits = last_budget_edits(log, account)
        records = lever_records(found["campaigns"], found["adsets"], parts(minimums, "data"), edits, account)
        yield Page(frame(records, pull.report.stream, pull.last), wait)

    def _activities(self, pull: Pull) -> Iterator[Page]:
        log = activities(self._graph, pull.account, pull.first, pull.last, page_size=pull.page_size)
        for rows, wait in log:
            told = [activity_record(row, pull.account) for row in rows]
            days: list[date] = [day for day, _ in told]
            if any(not pull.first <= day <= pull.last for day in days):
                raise PlatformError(ErrorClass.TRANSIENT, f"{pull}: Meta sent activities of other days.")
            records: list[Record] = [record for _, record in told]
            yield Page(frame(records, pull.report.stream, days), wait)


def _node(pull: Pull) -> str:
    return f"act_{pull.account.account_id}"


def _account(body: Mapping[str, Any]) -> Account:
    told = {name: text(body.get(name)) for name in ("account_id", "name", "currency", "timezone_name")}
    account_id, currency, zone = told["account_id"], told["currency"], told["timezone_name"]
    if not account_id or not currency or not zone:
        raise PlatformError(
            ErrorClass.TRANSIENT, "Meta described an ad account without id, currency or zone."
        )
    return Account(account_id, told["name"] or account_id, currency, zone)
