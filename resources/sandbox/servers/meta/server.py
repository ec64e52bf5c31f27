"""Meta's Graph API on loopback, serving one account: insights, jobs, objects, activity, writes.

Here: routes, the token, jobs and which faults are played where. Not here: rows (`insights`), objects
(`entities`), images (`images`), shapes (`wire`).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from resources.sandbox.servers.account import Served
from resources.sandbox.servers.faults import FaultKind, FaultScript
from resources.sandbox.servers.http import Answer, LoopbackServer, PlatformServer, Request
from resources.sandbox.servers.meta import created, wire
from resources.sandbox.servers.meta.entities import ACCOUNT_ID, EntityStore
from resources.sandbox.servers.meta.images import FOLDER, VIDEO_FOLDER, ImageLinks
from resources.sandbox.servers.meta.insights import InsightsTable, Question, names, read_filters

VERSION = "v26.0"
_REFUSALS = (FaultKind.THROTTLE, FaultKind.TOO_MUCH, FaultKind.SERVER_ERROR, FaultKind.EXPIRED_TOKEN)
_IMAGE_REFUSALS = (FaultKind.THROTTLE, FaultKind.SERVER_ERROR)
_PAGED = (
    FaultKind.EMPTY_MIDDLE,
    FaultKind.DUPLICATE_PAGE,
    FaultKind.CURSOR_LOOP,
    FaultKind.UNKNOWN_FIELD,
    FaultKind.MISSING_FIELD,
)
_UNKNOWN = {"attributed_mood": "hopeful"}
# Optional in every row that has them.
_MISSING = ("adset_name", "ad_name", "reach", "actor_name", "bid_strategy", "title")
_STAGES = (("Job Not Started", 0), ("Job Running", 40), ("Job Completed", 100))
_WITHOUT_EFFECTIVE_STATUS = ("adcreatives", "adimages", "advideos")
_LIVE_ONLY = ("ARCHIVED", "DELETED")


@dataclass
class _Job:
    question: Question
    asked: int = 0
    failed: bool = False


class MetaServer(PlatformServer):
    """Use as a context manager; `url` is what a session's GRAPH is set to.

    Args:
        served: the account and its present moment.
        token: the only access token that is let in.
        faults: what goes wrong, asked with the path (`/v26.0/act_…/insights`).
        stall_seconds: how long a stalled call is kept waiting.

    Attributes:
        usage_percent, regain_minutes: what the usage headers say.
        job_stages: (async_status, percent) a job goes through, one a poll; the last one stays.
        insights: its `purchase_types` and `hidden` may be changed.
        images: its `instead` may be changed.
        requests: every call so far.
    """

    def __init__(
        self, served: Served, token: str, faults: FaultScript | None = None, stall_seconds: float = 2.0
    ) -> None:
        self._served = served
        self._token = token
        self._faults = faults or FaultScript()
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}
        self.entities = EntityStore(served)
        self.insights = InsightsTable(
            served,
            ad_status=lambda: _statuses(self.entities.ads()),
            campaign_status=lambda: _statuses(self.entities.campaigns()),
        )
        self.usage_percent = 4
        self.regain_minutes = 0
        self.job_stages: Sequence[tuple[str, int]] = _STAGES
        self._server = LoopbackServer(self._answer, self._faults, stall_seconds)
        self.images = ImageLinks(self.entities, self.url, key=secrets.token_hex(16))

    def hide(self, day: date) -> None:
        """From now on the day has no rows."""
        self.insights.hidden.add(day)

    # --- routes ---------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            if request.path.startswith((f"/{FOLDER}/", f"/{VIDEO_FOLDER}/")):
                return self.images.answer(request, self._faults.due(request.path, _IMAGE_REFUSALS))
            try:
                fault = self._faults.due(request.path, _REFUSALS)
                if fault is not None:
                    return wire.fault_answer(fault, ACCOUNT_ID)
                self._let_in(request)
                body = self._routed(request)
            except wire.Refusal as refused:
                return refused.answer
        return Answer(body, 200, wire.usage_headers(ACCOUNT_ID, self.usage_percent, self.regain_minutes))

    def _let_in(self, request: Request) -> None:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._token not in (request.form.get("access_token"), bearer):
            raise wire.Refusal(190, "Invalid OAuth access token - Cannot parse access token", status=401)

    def _routed(self, request: Request) -> Any:
        version, *path = request.path.strip("/").split("/")
        if version != VERSION:
            raise wire.Refusal(2635, f"You are calling a deprecated version of the Ads API: {version}.")
        match (request.method, path):
            case ("GET", ["me", "adaccounts"]):
                return self._page(request, [_picked(self.entities.account(), request)])
            case ("GET", []):
                return self._by_ids(request)
            case (_, [account, *_]) if account.startswith("act_") and account != f"act_{ACCOUNT_ID}":
                raise wire.Refusal(
                    200,
                    "(#200) Ad account owner has NOT grant ads_management or ads_read permission",
                    status=403,
                )
            case ("GET", [account]) if account.startswith("act_"):
                return _picked(self.entities.account(), request)
            case ("GET", [account, "minimum_budgets"]) if account.startswith("act_"):
                return {"data": self.entities.minimum_budgets()}
            case ("GET", [account, "insights"]) if account.startswith("act_"):
                return self._page(request, self.insights.rows(self._question(request)))
            case ("POST", [account, "insights"]) if account.startswith("act_"):
                run_id = f"99{len(self._jobs) + 1:014d}"
                self._jobs[run_id] = _Job(self._question(request))
                return {"report_run_id": run_id}
            case ("GET", [run_id]) if run_id in self._jobs:
                return self._job(run_id, request)
            case ("GET", [run_id, "insights"]) if run_id in self._jobs:
                return self._page(request, self.insights.rows(self._jobs[run_id].question))
            case ("GET", [account, "activities"]) if account.startswith("act_"):
                return self._page(request, self._activities(request))
            case ("GET", [account, edge]) if account.startswith("act_") and edge in self._edges:
                objects = _filtered(edge, self._edges[edge](), request)
                return self._page(request, [_picked(entity, request) for entity in objects])
            case ("POST", [account, edge]) if account.startswith("act_") and edge in created.EDGES:
                return self.entities.create(edge, request.form)
            case ("GET", [holder, "adsets" | "ads" as edge]):
                return self._page(request, self._held(edge, holder, request))
            case ("POST", [entity_id]):
                return self.entities.write(entity_id, request.form)
        raise wire.Refusal(100, "Unsupported request. Object does not exist.", subcode=33)

    def _held(self, edge: str, holder: str, request: Request) -> list[dict[str, Any]]:
        """Ad sets of a campaign, ads of an ad set."""
        above, field = {"adsets": ("campaigns", "campaign_id"), "ads": ("adsets", "adset_id")}[edge]
        if holder not in {entity["id"] for entity in self._edges[above]()}:
            raise wire.Refusal(100, f"Object with ID '{holder}' does not exist", subcode=33)
        held = [entity for entity in self._edges[edge]() if entity[field] == holder]
        return [_picked(entity, request) for entity in _filtered(edge, held, request)]

    @property
    def _edges(self) -> Mapping[str, Callable[[], list[dict[str, Any]]]]:
        return {
            "campaigns": self.entities.campaigns,
            "adsets": self.entities.adsets,
            "ads": self.entities.ads,
            "adcreatives": self.entities.creatives,
            "adimages": self.images.ad_images,
            "advideos": self.images.ad_videos,
        }

    def _question(self, request: Request) -> Question:
        return Question.read(request.form, self._served.today)

    def _job(self, run_id: str, request: Request) -> dict[str, Any]:
        job = self._jobs[run_id]
        # A job's own path names nothing: scripts aim at insights.
        if self._faults.due(f"{request.path}/insights", (FaultKind.JOB_FAILED,)):
            job.failed = True
        status, percent = self.job_stages[min(job.asked, len(self.job_stages) - 1)]
        job.asked += 1
        if job.failed:
            status = "Job Failed"
        return {
            "id": run_id,
            "account_id": ACCOUNT_ID,
            "async_status": status,
            "async_percent_completion": percent,
        }

    def _by_ids(self, request: Request) -> dict[str, Any]:
        asked = names(request.form.get("ids", ""))
        if not 0 < len(asked) <= 50:
            raise wire.Refusal(100, "(#100) Too many IDs. Maximum: 50. Provided: " + str(len(asked)))
        found: dict[str, dict[str, Any]] = {}
        for edge in ("ads", "adsets", "campaigns", "adcreatives"):
            if not set(asked) <= set(found):
                found |= {entity["id"]: entity for entity in self._edges[edge]()}
        missing = [entity_id for entity_id in asked if entity_id not in found]
        if missing:
            raise wire.Refusal(100, f"Object with ID '{missing[0]}' does not exist", subcode=33)
        return {entity_id: _picked(found[entity_id], request) for entity_id in asked}

    def _activities(self, request: Request) -> list[dict[str, Any]]:
        since = int(request.form.get("since") or 0)
        until = int(request.form.get("until") or self._served.now().timestamp())
        wanted = "budget" if request.form.get("category") == "BUDGET" else ""
        return [
            _picked(event, request)
            for event in self.entities.activities()
            if wanted in event["event_type"]
            and since <= datetime.fromisoformat(event["event_time"]).timestamp() <= until
        ]

    def _page(self, request: Request, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        fault = self._faults.due(request.path, _PAGED)
        body = wire.page(request, self.url, rows, fault)
        if fault is FaultKind.UNKNOWN_FIELD:
            body["data"] = [{**row, **_UNKNOWN} for row in body["data"]]
        if fault is FaultKind.MISSING_FIELD:
            body["data"] = [{k: v for k, v in row.items() if k not in _MISSING} for row in body["data"]]
        return body


def _statuses(objects: list[dict[str, Any]]) -> dict[str, str]:
    return {entity["id"]: entity["effective_status"] for entity in objects}


def _picked(entity: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """The fields asked for; `creative{id}` asks for all of what is nested. Ids always come."""
    wanted = {name.split("{")[0] for name in names(request.form.get("fields", ""))} | {"id"}
    return {name: value for name, value in entity.items() if name in wanted}


def _filtered(edge: str, objects: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """By effective status; archived and deleted objects come only when asked for."""
    if edge in _WITHOUT_EFFECTIVE_STATUS:
        return [entity for entity in objects if entity.get("status") != "DELETED"]
    allowed = dict(read_filters(request.form))
    field = {"campaigns": "campaign", "adsets": "adset", "ads": "ad"}[edge] + ".effective_status"
    statuses = allowed.pop(field, None)
    if allowed:
        raise wire.Refusal(100, f"(#100) Filtering field {next(iter(allowed))} is invalid")
    if statuses is None:
        return [entity for entity in objects if entity["effective_status"] not in _LIVE_ONLY]
    return [entity for entity in objects if entity["effective_status"] in statuses]
