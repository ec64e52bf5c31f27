"""The sandbox's Graph server with its insights rows written beforehand: serving them costs next to nothing.

Here: rendering an account's placement rows into a file and answering pages from it. Not here: routes, jobs,
filters and what a row looks like (`resources.sandbox.servers.meta`).
Usage: python -m benchmarks.graph_server SCALE ROWS FOLDER; serves until its standard input ends.
"""

from __future__ import annotations

import itertools
import json
import mmap
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from benchmarks.accounts import TODAY, sandbox_seed
from resources.connectors.meta.insights import BY_PLACEMENT, parameters
from resources.connectors.meta.source import PLACEMENTS
from resources.connectors.source import Account, Pull
from resources.sandbox.build import simulate_account
from resources.sandbox.catalogue import CURRENCY
from resources.sandbox.servers.account import ACCOUNT_ZONE, ServedAccount
from resources.sandbox.servers.http import Request
from resources.sandbox.servers.meta import wire
from resources.sandbox.servers.meta.entities import ACCOUNT_ID
from resources.sandbox.servers.meta.insights import InsightsTable, Question, names
from resources.sandbox.servers.meta.server import MetaServer

TOKEN = "benchmark-token"
NOW = datetime(TODAY.year, TODAY.month, TODAY.day, 9, tzinfo=ZoneInfo(ACCOUNT_ZONE))
ACCOUNT = Account(ACCOUNT_ID, "Benchmark", CURRENCY, ACCOUNT_ZONE)


@dataclass(frozen=True)
class Offer:
    """What the server has: its address, and what must arrive."""

    url: str
    first: str
    last: str
    rows: int
    spend: str
    megabytes: float

    @classmethod
    def read(cls, path: Path) -> Offer:
        return cls(**json.loads(path.read_text()))


def asked(first: date, last: date) -> dict[str, str]:
    """The connector's own parameters for these days as the SDK puts them on the wire."""
    params = parameters(BY_PLACEMENT, Pull(ACCOUNT, PLACEMENTS, first, last), TODAY)
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}


class RenderedRows(Sequence[dict[str, Any]]):
    """Rows `start` to `stop` of the file; whole rows only where somebody insists on them."""

    def __init__(self, ledger: Rendered, start: int, stop: int) -> None:
        self.ledger = ledger
        self.numbers = range(start, stop)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, which: Any) -> Any:
        raise TypeError("pages are served as bytes")


class Rendered:
    """The newest rows of an account by placement, a JSON text each, in one file in order of days."""

    def __init__(self, table: InsightsTable, rows: int, path: Path) -> None:
        self.days: dict[date, tuple[int, int]] = {}
        self.cents = 0
        yesterday = TODAY - timedelta(days=1)
        chosen: list[tuple[date, Sequence[dict[str, Any]], int]] = []
        for age in itertools.count():
            day, wanted = yesterday - timedelta(days=age), rows - sum(count for _, _, count in chosen)
            found = table.rows(Question.read(asked(day, day), TODAY))
            if not wanted or not len(found):
                break
            chosen.append((day, found, min(len(found), wanted)))
        self.question = Question.read(asked(yesterday, yesterday), TODAY)
        self.offsets = [0]
        with path.open("wb") as file:
            for day, found, count in reversed(chosen):
                start = len(self.offsets) - 1
                for record in found[:count]:
                    text = json.dumps(record, separators=(",", ":")).encode() + b","
                    self.offsets.append(self.offsets[-1] + file.write(text))
                    whole, _, rest = record["spend"].partition(".")
                    self.cents += int(whole) * 100 + int(rest.ljust(2, "0"))
                self.days[day] = start, len(self.offsets) - 1
        self.rows = len(self.offsets) - 1
        with path.open("rb") as file:
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def of(self, question: Question) -> RenderedRows | None:
        """The rows that answer a question; None for one they were not written for."""
        if replace(question, first=self.question.first, last=self.question.last) != self.question:
            return None
        days = [place for day, place in self.days.items() if question.first <= day <= question.last]
        return RenderedRows(self, days[0][0], days[-1][1]) if days else RenderedRows(self, 0, 0)

    def text(self, numbers: Sequence[int]) -> bytes:
        """These consecutive rows, parted by commas."""
        if not numbers:
            return b""
        return self._file[self.offsets[numbers[0]] : self.offsets[numbers[-1] + 1] - 1]


class PreparedTable(InsightsTable):
    """Answers what was rendered from the file, anything else as ever."""

    rendered: Rendered | None = None

    def rows(self, question: Question) -> Sequence[dict[str, Any]]:
        prepared = self.rendered.of(question) if self.rendered is not None else None
        return super().rows(question) if prepared is None else prepared


class PreparedServer(MetaServer):
    """The sandbox's server whose placement rows are bytes already; jobs are done at once."""

    def __init__(self, served: ServedAccount, rows: int, path: Path) -> None:
        super().__init__(served, TOKEN)
        of_ads, of_campaigns = self.insights.ad_status(), self.insights.campaign_status()
        table = PreparedTable(served, lambda: of_ads, lambda: of_campaigns)
        table.rendered = self.rendered = Rendered(table, rows, path)
        self.insights = table
        self.job_stages = (("Job Completed", 100),)
        assert self._by_id  # before anybody waits for it

    @cached_property
    def _objects(self) -> Mapping[str, Callable[[], list[dict[str, Any]]]]:
        listed = {name: read() for name, read in super()._edges.items()}
        return {name: lambda name=name: listed[name] for name in listed}  # type: ignore[misc]

    @property
    def _edges(self) -> Mapping[str, Callable[[], list[dict[str, Any]]]]:
        return self._objects

    @cached_property
    def _by_id(self) -> dict[str, dict[str, Any]]:
        return {entity["id"]: entity for read in self._objects.values() for entity in read()}

    def _by_ids(self, request: Request) -> dict[str, Any]:
        asked_for = names(request.form.get("ids", ""))
        return {entity_id: self._by_id[entity_id] for entity_id in asked_for}

    def _page(self, request: Request, rows: Sequence[Mapping[str, Any]]) -> Any:
        if not isinstance(rows, RenderedRows):
            return super()._page(request, rows)
        # Pages are cut from the numbers of the rows, whose texts then take the numbers' place.
        body = wire.page(request, self.url, cast(Any, rows.numbers), None)
        shown = self.rendered.text(body.pop("data"))
        return b'{"data":[' + shown + b"]," + json.dumps(body or {"paging": {}}).encode()[1:]


def main(scale: str, rows: int, folder: Path) -> None:
    """Render, say in `offer.json` what there is, and serve until standard input ends."""
    served = ServedAccount(simulate_account(scale, sandbox_seed(), TODAY), lambda: NOW)
    pages = folder / "pages.json"
    server = PreparedServer(served, rows, pages)
    with server:
        rendered = server.rendered
        offer = Offer(
            url=server.url,
            first=min(rendered.days).isoformat(),
            last=max(rendered.days).isoformat(),
            rows=rendered.rows,
            spend=wire.money(rendered.cents),
            megabytes=pages.stat().st_size / 1e6,
        )
        unfinished = folder / "offer.unfinished"
        unfinished.write_text(json.dumps(asdict(offer)))
        unfinished.rename(folder / "offer.json")
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
