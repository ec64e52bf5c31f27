"""Telling people of events: to the log, to a webhook, by e-mail; each event once per channel.

Here: the channels, their secrets (from the environment alone) and what was told already (control store). Not
here: which events there are (`models.monitoring.safety`).

An event is noted as `sending`, and committed, before it goes out; who dies then leaves it so, and it goes out
again after a quarter of an hour, with the same id (`Idempotency-Key`, `Message-ID`), so that a receiver can
tell. What fails waits for the next round; nothing here raises for it. What a channel refuses for its own sake
goes to the end of the queue and holds up nothing; refused for three days, it is given up. So is
what waited for a week while nobody asked its channel: one taken out of the environment that came back.
"""

from __future__ import annotations

import http.client
import json
import logging
import smtplib
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import sqlalchemy as sa

from resources.control.store import NOTIFICATIONS, insert_missing, storable
from resources.settings import SettingsError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_TIMEOUT_SECONDS = 10.0
_ABANDONED = timedelta(minutes=15)
_REFUSED_FOR_GOOD = timedelta(days=3)
_NEWS_FOR = timedelta(days=1)
_UNASKED_FOR_GOOD = timedelta(days=7)
_MALFORMED = (400, 413, 422)  # what it says of this body, not of the link or the caller
_IMPLICIT_TLS_PORT = 465


@dataclass(frozen=True)
class Message:
    """One event as people read it."""

    event_id: str
    severity: str
    sentence: str
    remedy: str


class DeliveryFailed(Exception):
    """A channel did not take a message; says what a person can look at, and no secret."""


class MessageRefused(DeliveryFailed):
    """A channel will not have this message, and may take the next."""


class Channel(Protocol):
    """A way to tell somebody."""

    @property
    def name(self) -> str: ...

    def send(self, message: Message) -> str | None:
        """Returns who did not get it, where others did. Raises: DeliveryFailed."""


class LogChannel:
    """Into the run's log; always there."""

    name = "log"

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def send(self, message: Message) -> None:
        """Cannot fail."""
        level = logging.ERROR if message.severity == "critical" else logging.WARNING
        self._log.log(level, "%s: %s %s", message.severity, message.sentence, message.remedy)


class WebhookChannel:
    """A POST of JSON with `text`, as chat tools take it, beside the event's own fields.

    The link is a secret: it is in no message and no log (so not httpx, which logs links). No proxy is used
    and no redirect followed.
    """

    name = "webhook"

    def __init__(self, url: str) -> None:
        self._parts = _webhook(url)

    def send(self, message: Message) -> None:
        """Raises: DeliveryFailed: no connection, or an answer other than 2xx."""
        body = {
            "text": f"[{message.severity}] {message.sentence} {message.remedy}",
            "event_id": message.event_id,
            "severity": message.severity,
            "sentence": message.sentence,
            "remedy": message.remedy,
        }
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.event_id}
        target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        try:
            with closing(self._connection()) as connection:
                connection.request("POST", target, json.dumps(body).encode(), headers)
                status = connection.getresponse().status
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise DeliveryFailed(f"the webhook cannot be reached ({type(error).__name__})") from None
        if not 200 <= status < 300:
            failure = MessageRefused if status in _MALFORMED else DeliveryFailed
            raise failure(f"the webhook answered HTTP {status}; look at AELP_NOTIFY_WEBHOOK")

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=context)


def _webhook(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
        (parts.path + parts.query).encode("ascii")
    except ValueError:  # a port that is no number, a host no name can be, letters a link must write otherwise
        parts, host = urlsplit(""), ""
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)):
        raise SettingsError("AELP_NOTIFY_WEBHOOK: must be an https:// link")
    return parts


@dataclass(frozen=True, repr=False)  # a repr would show the password
class EmailChannel:
    """One mail per event. Port 465 speaks TLS at once, others STARTTLS where it is offered.

    A password is sent over TLS alone. Without a user nothing is, and TLS is not demanded: a relay on this
    machine or network.
    """

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    user: str | None = None
    password: str | None = None
    name: str = "email"

    def send(self, message: Message) -> str | None:
        """Names refused recipients where others got it: sent again, those would get it again.

        Raises:
            DeliveryFailed: no connection, no TLS for a password, or everybody refused.
            MessageRefused: the server took sender and recipients, and will not have the mail.
        """
        mail = EmailMessage()
        mail["From"], mail["To"] = self.sender, ", ".join(self.recipients)
        subject = " ".join(f"[aelp {message.severity}] {message.sentence}".split())
        mail["Subject"] = subject if len(subject) <= 160 else f"{subject[:159]}…"
        mail["Message-ID"] = f"<{message.event_id}@aelp>"
        mail.set_content(f"{message.sentence}\n\n{message.remedy}\n")
        try:
            with self._connect() as server:
                if self.user is not None:
                    server.login(self.user, self.password or "")
                refused = server.send_message(mail)
        except (OSError, ValueError, smtplib.SMTPException) as error:
            is_final = isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500
            failure = MessageRefused if is_final else DeliveryFailed
            raise failure(f"the mail server did not take it ({type(error).__name__})") from None
        return f"the mail server refused {', '.join(sorted(refused))}" if refused else None

    def _connect(self) -> smtplib.SMTP:
        if self.port == _IMPLICIT_TLS_PORT:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=_TIMEOUT_SECONDS, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT_SECONDS)
        try:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
            elif self.user is not None:
                raise DeliveryFailed("the mail server offers no TLS, and a password is sent over TLS alone")
        except BaseException:
            server.close()
            raise
        return server


def open_channels(variables: Mapping[str, str], log: logging.Logger) -> tuple[list[Channel], list[str]]:
    """The log, a webhook and mail where the environment names them; and why one named is not there.

    AELP_NOTIFY_WEBHOOK; AELP_NOTIFY_SMTP_HOST, …_FROM, …_TO (commas between several), and optionally …_PORT
    (587), …_USER with …_PASSWORD. What is incomplete or cannot be meant neither ends a run nor silences the
    other channels; it is named without its value, which may be secret.
    """
    channels: list[Channel] = [LogChannel(log)]
    faults = []
    named: dict[str, Callable[[str], Channel]] = {
        "AELP_NOTIFY_WEBHOOK": WebhookChannel,
        "AELP_NOTIFY_SMTP_HOST": lambda host: _email(host, variables),
    }
    for name, opened in named.items():
        if told := variables.get(name):
            try:
                channels.append(opened(told))
            except SettingsError as fault:
                faults.append(str(fault))
    return channels, faults


def _email(host: str, variables: Mapping[str, str]) -> EmailChannel:
    told = {name: variables.get(f"AELP_NOTIFY_SMTP_{name}", "").strip() for name in ("FROM", "TO", "PORT")}
    user, password = (variables.get(f"AELP_NOTIFY_SMTP_{name}") or None for name in ("USER", "PASSWORD"))
    recipients = tuple(address.strip() for address in told["TO"].split(",") if address.strip())
    for name, values in (("FROM", (told["FROM"],)), ("TO", recipients)):
        if not values or any("@" not in value or len(value.split()) != 1 for value in values):
            raise SettingsError(f"AELP_NOTIFY_SMTP_{name}: must be an e-mail address")
    port = told["PORT"] or "587"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise SettingsError("AELP_NOTIFY_SMTP_PORT: must be a port number")
    if (user is None) != (password is None):
        raise SettingsError("AELP_NOTIFY_SMTP_USER and AELP_NOTIFY_SMTP_PASSWORD: set both, or neither")
    return EmailChannel(host, int(port), told["FROM"], recipients, user, password)


class Notifier:
    """Events to channels, once each, as the control store remembers.

    Args:
        engine: of the control store.
        channels: with names of their own.
        now: the present moment.
    """

    def __init__(self, engine: sa.Engine, channels: Sequence[Channel], now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._channels = channels
        self._now = now

    def announce(self, messages: Sequence[Message]) -> None:
        """Put events before every channel; those that were put before it already stay as they are."""
        with self._engine.begin() as connection:
            for message in messages:
                for channel in self._channels:
                    insert_missing(
                        connection,
                        NOTIFICATIONS,
                        {
                            "event_id": message.event_id,
                            "channel": channel.name,
                            "severity": message.severity,
                            "sentence": storable(message.sentence),
                            "remedy": storable(message.remedy),
                            "status": "waiting",
                            "attempts": 0,
                            "created_at": self._now().timestamp(),
                        },
                    )

    def deliver(self, *, not_tried_for: timedelta = timedelta(0)) -> int:
        """Send what waits, oldest first, then what was refused before; returns how many were taken.

        The first failure of a channel ends its round: a server that is down is not asked thirty times. A
        message it refuses for the first time does not: the next may be taken.

        What is older than a week is given up where the channel was not asked for as long: it came back, and
        its last news are no news any more. An outage is none of that: there the channel is asked.

        Args:
            not_tried_for: what failed less than this ago is left alone: a channel that took nothing, and a
                message that was refused, each by itself. Who comes round every minute asks a server that is
                down every few.
        """
        taken = 0
        for channel in self._channels:
            if self._failed_within(channel.name, not_tried_for):
                continue
            self._give_up_old(channel.name)
            for message, refused_at in self._waiting(channel.name, not_tried_for):
                if not self._claim(channel.name, message.event_id):
                    continue
                try:
                    missed = channel.send(message)
                except DeliveryFailed as failed:
                    self._note_failure(channel.name, message.event_id, failed, refused_at)
                    if isinstance(failed, MessageRefused) and refused_at is None:
                        continue
                    break
                self._settle(
                    channel.name,
                    message.event_id,
                    status="sent",
                    message=missed,
                    sent_at=self._now().timestamp(),
                )
                taken += 1
        return taken

    def told(self) -> list[dict[str, Any]]:
        """Every event and channel with what became of it, oldest first."""
        order = NOTIFICATIONS.c.created_at, NOTIFICATIONS.c.event_id, NOTIFICATIONS.c.channel
        with self._engine.begin() as connection:
            return [
                dict(row) for row in connection.execute(sa.select(NOTIFICATIONS).order_by(*order)).mappings()
            ]

    def untold(self) -> list[dict[str, Any]]:
        """Of `told`: what waits; for a day what a channel refused, to everybody or to some; what was given up
        while its channel has taken nothing since, as one does that refuses whatever it is sent.

        Only of the present channels: what waits for one that was taken away nobody can tell or mend.
        """
        recent = (self._now() - _NEWS_FOR).timestamp()
        present = {channel.name for channel in self._channels}
        told = [row for row in self.told() if row["channel"] in present]
        took_last: dict[str, float] = {}
        for row in told:
            took_last[row["channel"]] = max(took_last.get(row["channel"], 0.0), row["sent_at"] or 0.0)
        return [
            row
            for row in told
            if row["status"] in ("waiting", "sending")
            or (row["message"] and row["begun_at"] > recent)
            or (row["status"] == "given_up" and row["begun_at"] > took_last[row["channel"]])
        ]

    def _waiting(self, channel: str, not_tried_for: timedelta) -> list[tuple[Message, float | None]]:
        """What to send, and when it was refused first; of what was, the one tried longest ago comes first."""
        table = NOTIFICATIONS.c
        was_refused = table.refused_at.is_not(None)
        is_early = sa.and_(was_refused, table.begun_at > (self._now() - not_tried_for).timestamp())
        last_tried = sa.case((was_refused, table.begun_at), else_=0.0)
        statement = (
            sa.select(NOTIFICATIONS)
            .where(table.channel == channel, table.status.not_in(["sent", "given_up"]), ~is_early)
            .order_by(last_tried, table.created_at, table.event_id)
        )
        with self._engine.begin() as connection:
            return [
                (Message(row.event_id, row.severity, row.sentence, row.remedy), row.refused_at)
                for row in connection.execute(statement)
            ]

    def _give_up_old(self, channel: str) -> None:
        now, table = self._now(), NOTIFICATIONS.c
        long_ago = (now - _UNASKED_FOR_GOOD).timestamp()
        newest = sa.select(sa.func.max(table.begun_at)).where(table.channel == channel)
        old = sa.and_(
            table.channel == channel,
            table.status.not_in(["sent", "given_up"]),
            table.created_at < long_ago,
        )
        with self._engine.begin() as connection:
            asked_at: float | None = connection.execute(newest).scalar_one()
            if asked_at is None or asked_at < long_ago:
                said = "not sent: it waited for over a week, and nobody asked its channel meanwhile"
                connection.execute(
                    sa.update(NOTIFICATIONS)
                    .where(old)
                    .values(status="given_up", begun_at=now.timestamp(), message=said)
                )

    def _failed_within(self, channel: str, span: timedelta) -> bool:
        table = NOTIFICATIONS.c
        newest = sa.select(sa.func.max(table.begun_at)).where(
            table.channel == channel, table.status == "waiting", table.attempts > 0
        )
        with self._engine.begin() as connection:
            tried_at: float | None = connection.execute(newest).scalar_one()
        return tried_at is not None and tried_at > (self._now() - span).timestamp()

    def _note_failure(
        self, channel: str, event_id: str, failed: DeliveryFailed, refused_at: float | None
    ) -> None:
        """Only a refusal gives a message up, three days after the first: an outage says nothing of it."""
        now = self._now().timestamp()
        status = "waiting" if refused_at is None else "refused"
        if isinstance(failed, MessageRefused):
            refused_at = now if refused_at is None else refused_at
            status = "refused" if now - refused_at < _REFUSED_FOR_GOOD.total_seconds() else "given_up"
        self._settle(channel, event_id, status=status, refused_at=refused_at, message=str(failed))

    def _claim(self, channel: str, event_id: str) -> bool:
        """Note the try; False where another run is at it."""
        now = self._now()
        table = NOTIFICATIONS.c
        is_free = sa.or_(
            table.status.in_(["waiting", "refused"]),
            sa.and_(table.status == "sending", table.begun_at < (now - _ABANDONED).timestamp()),
        )
        statement = (
            sa.update(NOTIFICATIONS)
            .where(table.channel == channel, table.event_id == event_id, is_free)
            .values(status="sending", attempts=table.attempts + 1, begun_at=now.timestamp())
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount == 1

    def _settle(self, channel: str, event_id: str, **values: Any) -> None:
        table = NOTIFICATIONS.c
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(NOTIFICATIONS)
                .where(table.channel == channel, table.event_id == event_id)
                .values(**values)
            )
