"""A browser in this process on the review desk, and what a person reads off its pages."""

from __future__ import annotations

import asyncio
import html
import re
from pathlib import Path
from typing import Any

import httpx

from aelp_assets.desk.application import Desk, create_application
from resources.clock import FixedClock
from resources.control.governance import Governance
from resources.control.records import Refused
from resources.creative_assets import AssetStore
from tests.resources.control.proposing import LIMITS, TEN

PORT = 3001
ORIGIN = f"http://127.0.0.1:{PORT}"
HOSTILE = '<script>alert("l1")</script>'


class Browser:
    """A browser with its cookies, on the desk and in this process; by default it came in by the key."""

    def __init__(self, desk: Desk, *, has_entered: bool = True) -> None:
        self._transport = httpx.ASGITransport(app=create_application(desk))
        self.cookies = httpx.Cookies()
        if has_entered:
            assert self.send("GET", desk.address).status_code == 303

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def sent() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self._transport, base_url=ORIGIN, cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **options)
                self.cookies.update(client.cookies)
                return answer

        return asyncio.run(sent())

    def get(self, path: str = "/") -> str:
        answer = self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def token(self) -> str:
        return re.findall(r'name="token" value="([^"]+)"', self.get())[0]

    def post(self, path: str, **fields: str) -> str:
        """Send a form of the desk's own page and follow it: what the person sees then."""
        answer = self.send("POST", path, data={"token": self.token(), **fields}, headers={"Origin": ORIGIN})
        assert answer.status_code == 303, answer.text
        return self.followed(answer)

    def followed(self, answer: httpx.Response) -> str:
        while answer.status_code == 303:
            answer = self.send("GET", answer.headers["location"])
        assert answer.status_code == 200, answer.text
        return answer.text


def said(page: str) -> str:
    """The words of the notice."""
    found = re.search(r'<section class="banner (?:done|refused)" role="status"><p>(.*?)</p>', page)
    assert found, page
    return html.unescape(re.sub("<[^>]+>", "", found[1]))


def words(page: str) -> str:
    """The page without its tags, spaces collapsed."""
    return html.unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page)))


def explained(about: str, _now: Any) -> list[str]:
    if about == "nothing":
        raise Refused("No decision, proposal or change 'nothing' is kept here.")
    return [f"Proposal {about}: {HOSTILE}", "Raw meta_ads_insights: 3 rows"]


def desk_of(governance: Governance, **changes: Any) -> Desk:
    told: dict[str, Any] = {
        "governance": governance,
        "approver": "jo",
        "limits": LIMITS,
        "settings_hash": "s",
        "elasticity": 0.7,
        "clock": FixedClock(TEN),
        "zone": TEN.tzinfo,
        "warehouses": list,
        "pictures": AssetStore(Path("no pictures")),
        "keyless": None,
        "outdated": lambda: None,
        "port": PORT,
        "key": "a key of the desk's own",
        "explain": explained,
    }
    return Desk(**told | changes)
