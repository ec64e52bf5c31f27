"""The desk as a web application: pages by GET, decisions by POST, each answered with a redirect.

Here: routes and what each form does. Not here: what a page shows (`cards`, the templates), who may send
a form (`protection`), who may decide what (`resources.control`).
"""

from __future__ import annotations

import os
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route

from aelp_assets.alerts import asset_link
from aelp_assets.bandits import guardrail_limits
from aelp_assets.decision_report import undoing_text
from aelp_assets.desk import arm_cards, cards
from aelp_assets.desk.creative_pages import CreativePages
from aelp_assets.desk.figures import Figures, forecast_at, read_figures
from aelp_assets.desk.protection import ENTRANCE, Guarded, NoForm, Sessions, read_form
from aelp_assets.experiments_going_on import disturbed_by
from aelp_assets.explanation import explain, explanation_lines
from models.guardrails import GuardrailLimits
from resources.clock import Clock, clock_from_environment
from resources.control.arm_payloads import ARM_TYPES
from resources.control.counter_proposals import counter_propose, read_budget, with_budget
from resources.control.governance import Governance
from resources.control.records import OPEN, Record, Refused, key_of, lately_withdrawn
from resources.control.signing import ApproverKeys, MissingKey
from resources.creative_assets import FOLDER, AssetStore
from resources.settings import Environment, Settings, SettingsError, load_settings
from resources.warehouse import warehouses_to_look_into
from resources.warehouse.interface import Warehouse

_FOLDER = Path(__file__).parent
_MOST_SESSIONS = 100
_STOP = "/kill/on"  # whatever is wrong with the settings


@dataclass(frozen=True)
class Desk:
    """What the desk works on.

    Attributes:
        approver: who decides here, chosen when the desk is started.
        warehouses: where figures are read, asked in turn; opened anew for each page.
        elasticity: of signups on budget, where a decision says none of its own.
        pictures: images of creatives.
        keyless: why the approver cannot sign; None: they can.
        outdated: why the limits and approvers here are not those in force any more; None: they are.
        port: the desk answers under; part of what it accepts requests from.
        key: that opens a session, for who started the desk.
        explain: what a change, proposal or decision rests on, a line each; raises Refused where it is none.
        zone: times are shown in.
    """

    governance: Governance
    approver: str
    limits: GuardrailLimits
    settings_hash: str
    elasticity: float
    clock: Clock
    zone: tzinfo
    warehouses: Callable[[], Sequence[Warehouse]]
    pictures: AssetStore
    keyless: str | None
    outdated: Callable[[], str | None]
    port: int
    key: str
    explain: Callable[[str, datetime], Sequence[str]]

    @property
    def address(self) -> str:
        """Where who started the desk opens it."""
        return f"http://127.0.0.1:{self.port}{ENTRANCE}?key={self.key}"

    def now(self) -> datetime:
        """The present moment in the business's zone."""
        return self.clock.now().astimezone(self.zone)


@dataclass(frozen=True)
class Notice:
    """What became of the last form of a session, and, where it was refused, what was typed."""

    words: str
    is_refusal: bool = False
    about: str = ""
    typed: Mapping[str, str] = field(default_factory=dict)


def open_desk(
    environment: Environment, settings: Settings, governance: Governance, approver: str, port: int
) -> Desk:
    """The desk of an approver in this environment.

    Raises:
        Refused: nobody of that name may decide.
    """
    clock = clock_from_environment()
    governance.left_to_add(approver, clock.now().date())
    try:
        ApproverKeys(os.environ).sign(approver, {})
        keyless = None
    except MissingKey as missing:
        keyless = str(missing)
    return Desk(
        governance=governance,
        approver=approver,
        limits=guardrail_limits(settings),
        settings_hash=settings.content_hash,
        elasticity=settings.bandit.elasticity,
        clock=clock,
        zone=settings.timezone,
        warehouses=lambda: warehouses_to_look_into(environment),
        pictures=AssetStore(environment.home / FOLDER),
        keyless=keyless,
        outdated=lambda: _outdated(environment.settings_path, settings),
        port=port,
        key=secrets.token_urlsafe(24),
        explain=lambda about, now: explanation_lines(
            explain(environment, governance, warehouses_to_look_into(environment), about, now),
            settings.timezone,
        ),
    )


def _outdated(path: Path, opened_with: Settings) -> str | None:
    try:
        if load_settings(path).content_hash == opened_with.content_hash:
            return None
        reason = f"{path.name} was changed since this desk was opened"
    except (SettingsError, OSError, UnicodeDecodeError):
        reason = f"{path.name} cannot be read any more"
    return f"{reason}, and decisions are made by the limits in force: end the desk and open it again."


def create_application(desk: Desk) -> Starlette:
    """The desk's routes behind their protection."""
    pages = _Pages(desk)
    return Starlette(
        routes=[
            Route(ENTRANCE, pages.enter),
            Route("/", pages.overview),
            Route("/desk.css", _style),
            Route("/proposals/{proposal_id}/counter", pages.counter),
            Route("/explain/{about}", pages.explain),
            *CreativePages(desk.warehouses, desk.pictures, pages.page).routes(),
            Route("/proposals/{about}/approve", pages.posted(pages.approve), methods=["POST"]),
            Route("/proposals/{about}/reject", pages.posted(pages.reject), methods=["POST"]),
            Route("/proposals/{about}/propose", pages.posted(pages.propose), methods=["POST"]),
            Route("/changes/{about}/rollback", pages.posted(pages.roll_back), methods=["POST"]),
            Route("/kill/{about}", pages.posted(pages.kill), methods=["POST"]),
        ],
        middleware=[Middleware(Guarded, port=desk.port, sessions=pages.sessions)],
    )


def _style(_request: Request) -> Response:
    return FileResponse(_FOLDER / "desk.css", media_type="text/css")


Form = Mapping[str, str]


class _Pages:
    """The pages and what their forms do; each form's method returns what to say when it was done."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._governance = desk.governance
        self.sessions = Sessions(desk.port, desk.key)
        self._notices: OrderedDict[str, Notice] = OrderedDict()
        self._templates = _templates(desk.zone)

    # --- pages --------------------------------------------------------------------------------------

    def enter(self, request: Request) -> Response:
        """In by the key, which then leaves the browser's address."""
        inside = RedirectResponse("/", 303)
        if self.sessions.enter(request.query_params.get("key", ""), inside):
            return inside
        return PlainTextResponse("This is not the address that this desk printed.\n", 403)

    def overview(self, request: Request) -> Response:
        """Everything that waits, then everything that was changed."""
        desk, now = self._desk, self._desk.now()
        known = self._governance.proposals(now)
        waiting = [row for row in known if row["status"] in OPEN and row["type"] not in ARM_TYPES]
        arms = [row for row in known if row["type"] in ARM_TYPES]
        figures = self._figures({row["as_of_date"] for row in waiting})
        view = cards.View(self._governance, desk.limits, desk.elasticity, desk.approver, now)
        return self.page(
            request,
            "overview.html",
            tracks=cards.tracks(view, figures),
            arms=arm_cards.cards(view, disturbed_by(desk.warehouses(), arms)),
            withdrawn=lately_withdrawn(known),
            changes=cards.changes(view),
            most_changes=cards.CHANGES_SHOWN,
            missing={shown.missing for shown in figures.values() if shown.missing},
        )

    def explain(self, request: Request) -> Response:
        """What a change, proposal or decision rests on, back to the batches of raw rows."""
        about = request.path_params["about"]
        try:
            lines = self._desk.explain(about, self._desk.now())
        except Refused as refused:
            session = self.sessions.of(request)
            self._tell(session, Notice(str(refused), is_refusal=True))
            return RedirectResponse("/", 303)
        return self.page(request, "explanation.html", about=about, lines=lines)

    def counter(self, request: Request) -> Response:
        """Another number for a proposal: what the guardrails and the forecast say of it."""
        about, now = request.path_params["proposal_id"], self._desk.now()
        session = self.sessions.of(request)
        try:
            proposal = self._governance.open_proposal(about, now)
            if proposal["type"] in ARM_TYPES:
                raise Refused("An arm has no budget of its own to name another number for.")
        except Refused as refused:
            self._tell(session, Notice(str(refused), is_refusal=True))
            return RedirectResponse("/", 303)
        figures = self._figures({proposal["as_of_date"]})[proposal["as_of_date"]]
        decision = figures.decisions.get(key_of(proposal))
        forecasts = figures.forecasts.get(key_of(proposal), ())
        asked = request.query_params.get("budget", "")
        budget, objections = self._judged(proposal, asked, now) if asked else (None, [])
        limit = self._desk.limits.tracks.get(proposal["track"])
        return self.page(
            request,
            "counter.html",
            proposal=proposal,
            asked=asked or proposal["proposed_budget"],
            budget=budget,
            objections=objections,
            figures=figures,
            belief=figures.beliefs.get(key_of(proposal)),
            cac_cap=limit.cac_cap if limit else None,
            forecasts=_with_budget(forecasts, budget),
            number=None if budget is None else self._number(proposal, decision, budget),
            is_outside=budget is not None and bool(forecasts) and forecast_at(forecasts, budget) is None,
        )

    def _number(self, proposal: Record, decision: Record | None, budget: Decimal) -> dict[str, Any]:
        """What approving a budget would bring, cost and add."""
        return {
            "signups_change": cards.signups_change(decision, budget, self._desk.elasticity),
            "expected_loss": cards.expected_loss(self._governance, proposal, budget),
            "added": max(Decimal(0), budget - Decimal(proposal["current_budget"])),
            "left": self._governance.left_to_add(self._desk.approver, proposal["as_of_date"]),
        }

    def _judged(self, proposal: Record, asked: str, now: datetime) -> tuple[Decimal | None, list[str]]:
        try:
            budget = read_budget(asked)
        except Refused as refused:
            return None, [str(refused)]
        try:
            found = self._governance.objections(with_budget(proposal, budget), now)
        except Refused as refused:
            return budget, [str(refused)]
        return budget, [f"{violation.rule}: {violation.message}" for violation in found]

    def _figures(self, mornings: set[date]) -> dict[date, Figures]:
        warehouses = self._desk.warehouses()
        return {morning: read_figures(warehouses, morning) for morning in mornings}

    # --- what forms do ------------------------------------------------------------------------------

    def posted(self, decide: Callable[[str, Form], str]) -> Callable[[Request], Any]:
        """A route that checks a form's origin, decides, and sends the browser back to the list."""

        async def route(request: Request) -> Response:
            try:
                form = await read_form(request)
            except NoForm:
                return Response("This is no form of the desk's.\n", 400, media_type="text/plain")
            return await run_in_threadpool(self._decided, request, form, decide)

        return route

    def _decided(self, request: Request, form: Form, decide: Callable[[str, Form], str]) -> Response:
        about, session = request.path_params["about"], self.sessions.of(request)
        typed = {name: value for name, value in form.items() if name != "token"}
        if not self.sessions.is_own(request, form):
            words = "Nothing was decided: the page is older than this desk. Look again, then decide."
            self._tell(session, Notice(words, True, about, typed))
            return RedirectResponse("/", 303)
        outdated = None if request.url.path == _STOP else self._desk.outdated()
        try:
            if outdated is not None:
                raise Refused(outdated)
            notice = Notice(decide(about, form))
        except (Refused, MissingKey) as refused:
            notice = Notice(str(refused), True, about, typed)
        self._tell(session, notice)
        return RedirectResponse(_back(request, notice), 303)

    def approve(self, about: str, form: Form) -> str:
        """Sign a proposal."""
        approver = self._desk.approver
        status = self._governance.approve(about, approver, form.get("reason", ""), self._desk.now())
        if status == "awaiting_second":
            return (
                f"Signed by {approver}. It is beyond {approver}'s daily limit, so a second approver must "
                "sign too, at a desk of their own."
            )
        made = [
            row
            for row in self._governance.changes()
            if row["proposal_id"] == about and row["kind"] == "apply"
        ]
        if not made:
            return "Approved and recorded. No call makes a split test: set it up as it is designed."
        (change,) = made
        if change["status"] == "held":
            kept = "the lever keeps its budget"
            return f"Approved: change {change['change_id']} is {change['message']}; {kept}."
        sent = "Nothing is sent." if change["mode"] == "shadow" else "Its call waits to be sent."
        return (
            f"Approved: change {change['change_id']} ({change['mode']}). {sent} It can be rolled back below."
        )

    def reject(self, about: str, form: Form) -> str:
        """Sign that a proposal is not to be."""
        self._governance.reject(about, self._desk.approver, form.get("reason", ""), self._desk.now())
        return f"Rejected: {about}."

    def propose(self, about: str, form: Form) -> str:
        """Put another number in a proposal's place."""
        budget = read_budget(form.get("budget", ""))
        new = counter_propose(
            self._governance,
            about,
            budget,
            person=self._desk.approver,
            reason=form.get("reason", ""),
            settings_hash=self._desk.settings_hash,
            now=self._desk.now(),
        )
        return (
            f"Proposed by hand: {new} at {budget:,.2f} a day, in the place of {about}. It waits for approval."
        )

    def roll_back(self, about: str, form: Form) -> str:
        """Undo a change."""
        undoing = self._governance.roll_back(
            about,
            self._desk.approver,
            form.get("reason", ""),
            self._desk.now(),
            cascade=form.get("cascade") == "on",
        )
        return " ".join(
            undoing_text(row) for row in self._governance.changes() if row["change_id"] in undoing
        )

    def kill(self, about: str, form: Form) -> str:
        """Stop everything, or let it go on."""
        if about not in ("on", "off"):
            raise Refused(f"The kill switch is on or off, not {about[:40]!r}.")
        self._governance.kill(
            is_on=about == "on",
            person=self._desk.approver,
            reason=form.get("reason", ""),
            now=self._desk.now(),
        )
        return "Everything is stopped." if about == "on" else "Everything goes on."

    # --- answers ------------------------------------------------------------------------------------

    def _tell(self, session: str, notice: Notice) -> None:
        self._notices[session] = notice
        while len(self._notices) > _MOST_SESSIONS:
            self._notices.popitem(last=False)

    def page(self, request: Request, template: str, **shown: Any) -> Response:
        """A template with what every page of the desk shows."""
        desk, session = self._desk, self.sessions.of(request)
        text = self._templates.get_template(template).render(
            approver=desk.approver,
            keyless=desk.keyless,
            outdated=desk.outdated(),
            mode=self._governance.mode,
            killed=self._governance.killed(),
            now=desk.now(),
            notice=self._notices.pop(session, None),
            token=self.sessions.token(session),
            lineage=f"{asset_link(['gaelp_training', 'bandit_decisions'])}?view=lineage",
            hold=self._governance.hold,
            **shown,
        )
        return HTMLResponse(text)


def _back(request: Request, notice: Notice) -> str:
    """Where a form's answer is shown: at the number that was refused, else in the list."""
    is_number = request.url.path.endswith("/propose")
    if not (notice.is_refusal and is_number):
        return "/"
    asked = urlencode({"budget": notice.typed.get("budget", "")})
    return f"/proposals/{quote(notice.about, safe='')}/counter?{asked}"


def _with_budget(forecasts: Sequence[Record], budget: Decimal | None) -> list[Record]:
    """The forecast budgets, and between them the one that was asked for."""
    at = None if budget is None else forecast_at(forecasts, budget)
    if at is None or any(row["budget"] == budget for row in forecasts):
        return list(forecasts)
    return sorted([*forecasts, at], key=lambda row: row["budget"])


# --- templates ---------------------------------------------------------------------------------------


def _templates(zone: tzinfo) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def moment(seconds: float) -> str:
        return f"{datetime.fromtimestamp(seconds, zone):%d %b %H:%M}"

    def is_soon(seconds: float, now: datetime) -> bool:
        return datetime.fromtimestamp(seconds, zone) - now < timedelta(hours=3)

    environment.filters |= {
        "money": lambda amount: "–" if amount is None else f"{float(amount):,.2f}",
        "whole": lambda amount: "–" if amount is None else f"{float(amount):,.0f}",
        "signed": _signed,
        "signed_percent": lambda share: f"{100 * share:+.1f}\u00a0%".replace("-", "−"),
        "percent": _percent,
        "moment": moment,
        "words": lambda name: name.replace("_", " "),
        "undoing": undoing_text,
        "rate": lambda share: "–" if share is None else f"{100 * share:.2f}\u00a0%",
        "short": lambda number: "–" if number is None else f"{number:.3g}",
        "times": lambda ratio: "–" if ratio is None else f"× {ratio:.3g}",
        "lead": lambda change: "–" if change is None else f"{change:+.3f}".replace("-", "−"),
        "filtered": lambda value, name: environment.filters[name](value),
    }
    environment.tests["soon"] = is_soon
    return environment


def _signed(amount: float | None) -> str:
    if amount is None:
        return "–"
    return f"{amount:+,.{2 if abs(amount) < 1 else 1}f}".replace("-", "−")


def _percent(share: float | None) -> str:
    """A probability; never one that rounding makes certain."""
    if share is None:
        return "–"
    whole = round(100 * share)
    if whole == 100 and share < 1:
        return ">\u00a099\u00a0%"
    return "<\u00a01\u00a0%" if whole == 0 and share > 0 else f"{whole}\u00a0%"
