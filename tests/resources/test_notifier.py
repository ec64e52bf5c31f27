"""Telling people: once per event and channel, over real HTTP and SMTP on loopback, without a secret."""

from __future__ import annotations

import json
import logging
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_string
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

import pytest

from resources.control.store import open_control_store
from resources.notifier import DeliveryFailed, EmailChannel, Message, Notifier, WebhookChannel, open_channels

NOON = datetime(2026, 6, 30, 12, tzinfo=UTC)
STOP = Message("e1", "critical", "meta/1/L should be stopped: P(CAC > 240) is 99 %.", "Decide on it.")
DRIFT = Message("e2", "warning", "Only 50 % of clicks were inside — März.", "Look at forecast_reviews.")
LOG = logging.getLogger("tests.notifier")


class Webhook(HTTPServer):
    """Takes POSTs and answers with `statuses` in turn, the last one for ever; `dislikes` has its own."""

    def __init__(self) -> None:
        self.statuses, self.taken, self.paths, self.dislikes = [204], [], [], {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.paths.append(self.path)
                key = self.headers["Idempotency-Key"]
                outer.taken.append((key, json.loads(body)))
                answer = outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0]
                self.send_response(outer.dislikes.get(key, answer))
                self.send_header("Location", "https://elsewhere.example/")
                self.end_headers()

            def log_message(self, *_):
                return

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/T0/very-secret?token=hush"


class MailServer(socketserver.TCPServer):
    """Enough of SMTP to take a mail; `refuses` answers a verb, or a line, with an error."""

    allow_reuse_address = True

    def __init__(self) -> None:
        self.mails, self.verbs, self.refuses = [], [], {}
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, line):
                self.wfile.write(f"{line}\r\n".encode())

            def handle(self):
                self.say("220 test")
                while line := self.rfile.readline().decode().strip():
                    verb = line.split()[0].upper()
                    outer.verbs.append(line)
                    if refusal := outer.refuses.get(line, outer.refuses.get(verb)):
                        self.say(refusal)
                    elif verb == "DATA":
                        self.say("354 go on")
                        lines = []
                        while (part := self.rfile.readline().decode()) != ".\r\n":
                            lines.append(part)
                        outer.mails.append(message_from_string("".join(lines), policy=default))
                        self.say("250 taken")
                    elif verb == "QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 test")

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def port(self) -> int:
        return self.server_address[1]


@contextmanager
def serving(server) -> Iterator:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def webhook():
    with serving(Webhook()) as server:
        yield server


@pytest.fixture
def mail():
    with serving(MailServer()) as server:
        yield server


@pytest.fixture
def engine(tmp_path):
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    yield engine
    engine.dispose()


def notifier(engine, *channels, at=NOON):
    return Notifier(engine, channels, lambda: at)


def email(server, **changes):
    return EmailChannel("127.0.0.1", server.port, "aelp@example.com", ("maya@example.com",), **changes)


def test_an_event_is_posted_once_however_often_it_is_announced(engine, webhook):
    for _ in range(3):
        one = notifier(engine, WebhookChannel(webhook.url))
        one.announce([STOP])
        one.deliver()
    ((key, body),) = webhook.taken
    assert key == body["event_id"] == "e1"
    assert body["text"] == "[critical] meta/1/L should be stopped: P(CAC > 240) is 99 %. Decide on it."
    assert webhook.paths == ["/services/T0/very-secret?token=hush"]


def test_what_failed_is_sent_at_the_next_round_and_nothing_is_raised(engine, webhook):
    webhook.statuses = [503, 204]
    one = notifier(engine, WebhookChannel(webhook.url))
    one.announce([STOP, DRIFT])
    assert one.deliver() == 0
    assert len(webhook.taken) == 1, "a server that is down is not asked again in the same round"
    waiting = {row["event_id"]: (row["status"], row["attempts"], row["message"]) for row in one.told()}
    assert waiting["e1"] == ("waiting", 1, "the webhook answered HTTP 503; look at AELP_NOTIFY_WEBHOOK")
    assert waiting["e2"][:2] == ("waiting", 0)
    assert one.deliver() == 2
    assert [key for key, _ in webhook.taken] == ["e1", "e1", "e2"]
    assert {row["status"] for row in one.told()} == {"sent"}


@pytest.mark.parametrize("status", [400, 413])
def test_a_message_the_webhook_will_not_have_holds_up_no_other_and_goes_last(engine, webhook, status):
    webhook.dislikes = {"e1": status, "e2": status}
    at = [NOON]
    one = Notifier(engine, [WebhookChannel(webhook.url)], lambda: at[0])

    def round_later(*events):
        webhook.taken.clear()
        at[0] += timedelta(minutes=10)
        one.announce([Message(name, "critical", "A stop.", "Decide.") for name in events])
        one.deliver()
        return [key for key, _ in webhook.taken]

    assert round_later("e1", "e2", "e3") == ["e1", "e2", "e3"]
    assert round_later("e4") == ["e4", "e1"], "it is tried again after the others, one a round"
    assert round_later("e5") == ["e5", "e2"]
    assert {row["event_id"]: row["status"] for row in one.untold()} == {"e1": "refused", "e2": "refused"}
    webhook.dislikes = {}
    assert round_later() == ["e1", "e2"]
    assert one.untold() == []


def test_a_message_refused_for_days_is_given_up(engine, webhook):
    webhook.dislikes = {"e1": 400}
    for days in range(10):
        one = notifier(engine, WebhookChannel(webhook.url), at=NOON + timedelta(days=days))
        one.announce([STOP])
        one.deliver()
    assert len(webhook.taken) == 4
    assert [row["status"] for row in one.untold()] == ["given_up"], "the channel may refuse whatever it gets"
    one.announce([replace(STOP, event_id="e2")])
    one.deliver()
    assert one.untold() == []


def test_a_message_given_up_was_refused_again_after_three_days_not_out_of_reach_for_them(engine, webhook):
    def days_later(days, answer):
        webhook.dislikes = {"e1": answer}
        one = notifier(engine, WebhookChannel(webhook.url), at=NOON + timedelta(days=days))
        one.announce([STOP])
        one.deliver()
        return one.told()[0]["status"]

    answers = [(0, 503), (4, 400), (5, 503), (9, 503)]
    assert [days_later(*answer) for answer in answers] == ["waiting", "refused", "refused", "refused"]
    assert days_later(10, 400) == days_later(11, 204) == "given_up"
    assert len(webhook.taken) == 5


def test_what_waits_for_a_channel_that_was_taken_away_needs_nobody(engine, webhook):
    webhook.statuses = [503]
    one = notifier(engine, WebhookChannel(webhook.url))
    one.announce([STOP])
    one.deliver()
    assert len(one.untold()) == 1
    assert notifier(engine).untold() == []
    assert [row["status"] for row in notifier(engine).told()] == ["waiting"], "and is not forgotten"


def test_a_channel_that_comes_back_sends_nothing_older_than_a_week(engine, webhook):
    webhook.statuses = [503]
    one = notifier(engine, WebhookChannel(webhook.url))
    one.announce([STOP, DRIFT])
    one.deliver()
    webhook.statuses, webhook.taken = [204], []
    back = notifier(engine, WebhookChannel(webhook.url), at=NOON + timedelta(days=8))
    assert back.deliver() == 0
    assert {row["status"] for row in back.untold()} == {"given_up"}, "said while it is news"
    back.announce([replace(STOP, event_id="e3")])
    assert back.deliver() == 1
    assert [key for key, _ in webhook.taken] == ["e3"]
    assert notifier(engine, WebhookChannel(webhook.url), at=NOON + timedelta(days=10)).untold() == []


def test_a_channel_back_within_the_week_sends_what_waited(engine, webhook):
    one = notifier(engine, WebhookChannel(webhook.url))
    one.announce([STOP, DRIFT])
    assert notifier(engine, WebhookChannel(webhook.url), at=NOON + timedelta(days=6)).deliver() == 2


def test_a_channel_that_is_down_for_weeks_and_asked_meanwhile_sends_everything(engine, webhook):
    webhook.statuses = [503]
    for days in range(0, 21, 3):
        one = notifier(engine, WebhookChannel(webhook.url), at=NOON + timedelta(days=days))
        one.announce([STOP, DRIFT])
        one.deliver()
    webhook.statuses = [204]
    assert one.deliver() == 2


def test_a_refused_message_tried_again_delays_no_other(engine, webhook):
    def minutes_later(minutes):
        return Notifier(engine, [WebhookChannel(webhook.url)], lambda: NOON + timedelta(minutes=minutes))

    webhook.dislikes = {"refused": 400}
    announced = {0: "refused", 1: "e1", 12: "e2", 23: "e3"}
    rounds = {}
    for minute in range(31):
        if minute in announced:
            minutes_later(minute).announce([Message(announced[minute], "critical", "A stop.", "Decide.")])
        webhook.taken.clear()
        minutes_later(minute).deliver(not_tried_for=timedelta(minutes=10))
        if webhook.taken:
            rounds[minute] = [key for key, _ in webhook.taken]
    again = {minute: ["refused"] for minute in (10, 20, 30)}
    assert rounds == {minute: [name] for minute, name in announced.items()} | again


def test_who_comes_round_every_minute_asks_a_server_that_is_down_every_few(engine, webhook):
    def minutes_later(minutes):
        return Notifier(engine, [WebhookChannel(webhook.url)], lambda: NOON + timedelta(minutes=minutes))

    webhook.statuses = [503]
    minutes_later(0).announce([STOP])
    tries = [minutes_later(n).deliver(not_tried_for=timedelta(minutes=10)) for n in range(12)]
    assert sum(tries) == 0
    assert len(webhook.taken) == 2
    webhook.statuses = [204]
    minutes_later(12).announce([DRIFT])
    assert minutes_later(21).deliver(not_tried_for=timedelta(minutes=10)) == 2


def test_one_channel_that_is_down_does_not_hold_the_other(engine, webhook, mail):
    webhook.statuses = [500]
    one = notifier(engine, WebhookChannel(webhook.url), email(mail))
    one.announce([STOP])
    assert one.deliver() == 1
    assert len(mail.mails) == 1


def test_a_try_that_died_is_made_again_after_a_while_and_not_at_once(engine, webhook):
    class Dies(WebhookChannel):
        def send(self, message):
            raise KeyboardInterrupt

    dying = notifier(engine, Dies(webhook.url))
    dying.announce([STOP])
    with pytest.raises(KeyboardInterrupt):
        dying.deliver()
    assert notifier(engine, WebhookChannel(webhook.url), at=NOON + timedelta(minutes=1)).deliver() == 0
    assert notifier(engine, WebhookChannel(webhook.url), at=NOON + timedelta(minutes=16)).deliver() == 1


@pytest.mark.parametrize("status", [302, 404, 500])
def test_the_link_is_in_no_error_and_no_log(webhook, caplog, status):
    caplog.set_level(logging.DEBUG)
    webhook.statuses = [status]
    with pytest.raises(DeliveryFailed) as failed:
        WebhookChannel(webhook.url).send(STOP)
    assert str(status) in str(failed.value)
    assert len(webhook.taken) == 1, "no redirect is followed"
    for said in (str(failed.value), repr(failed.value), caplog.text):
        assert "secret" not in said
        assert "hush" not in said


def test_a_webhook_that_cannot_be_reached_says_so_without_its_link():
    with serving(Webhook()) as gone:
        url = gone.url
    with pytest.raises(DeliveryFailed, match=r"cannot be reached \(ConnectionRefusedError\)$") as failed:
        WebhookChannel(url).send(STOP)
    assert failed.value.__cause__ is None


@pytest.mark.parametrize("link", ["https://hooks..example/secret", "https://ho st/secret"])
def test_a_host_that_cannot_be_looked_up_is_a_failure_and_the_mail_goes_out_all_the_same(engine, mail, link):
    webhook = WebhookChannel("https://hooks.example/")
    webhook._parts = urlsplit(link)
    one = notifier(engine, webhook, email(mail))
    one.announce([STOP])
    assert one.deliver() == 1
    assert len(mail.mails) == 1
    (waiting,) = one.untold()
    assert waiting["message"].startswith("the webhook cannot be reached (")
    assert "secret" not in waiting["message"]


def test_a_mail_says_what_happened_and_has_the_event_s_own_id(mail):
    email(mail).send(DRIFT)
    (taken,) = mail.mails
    assert taken["Subject"] == "[aelp warning] Only 50 % of clicks were inside — März."
    assert taken["To"] == "maya@example.com"
    assert taken["Message-ID"] == "<e2@aelp>"
    assert "Look at forecast_reviews." in taken.get_content()


def test_a_password_is_never_sent_where_there_is_no_tls(mail):
    channel = email(mail, user="aelp", password="hush")
    with pytest.raises(DeliveryFailed, match="over TLS alone"):
        channel.send(STOP)
    assert not mail.mails
    assert not any(line.upper().startswith("AUTH") for line in mail.verbs)
    assert "hush" not in repr(channel)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_a_mail_server_s_refusal_is_a_failure_to_try_again(mail, verb):
    mail.refuses = {verb: "451 not now, aelp@example.com"}
    with pytest.raises(DeliveryFailed, match=r"^the mail server did not take it \(SMTP\w+\)$"):
        email(mail).send(STOP)


def test_one_refused_recipient_is_named_and_the_others_get_each_mail_once(engine, mail):
    mail.refuses = {"rcpt TO:<jo@example.com>": "550 no such mailbox"}
    both = EmailChannel("127.0.0.1", mail.port, "aelp@example.com", ("maya@example.com", "jo@example.com"))
    one = notifier(engine, both)
    one.announce([STOP])
    assert one.deliver() == 1
    one.announce([DRIFT])
    assert one.deliver() == 1
    assert one.deliver() == 0
    assert [taken["Message-ID"] for taken in mail.mails] == ["<e1@aelp>", "<e2@aelp>"]
    untold = {(row["status"], row["message"]) for row in one.untold()}
    assert untold == {("sent", "the mail server refused jo@example.com")}
    assert notifier(engine, both, at=NOON + timedelta(days=2)).untold() == []


def test_a_mail_the_server_will_not_have_holds_up_no_other_but_a_server_without_recipients_does(engine, mail):
    one = notifier(engine, email(mail))
    one.announce([STOP, DRIFT])
    mail.refuses = {"RCPT": "550 no such mailbox"}
    one.deliver()
    assert [row["attempts"] for row in one.told()] == [1, 0], "it would refuse the next as well"
    mail.refuses = {"DATA": "554 looks like spam"}
    one.deliver()
    assert [(row["status"], row["attempts"]) for row in one.told()] == [("refused", 2), ("refused", 1)]
    mail.refuses = {}
    assert one.deliver() == 2


def test_line_breaks_in_an_event_add_no_header(mail):
    email(mail).send(Message("e3", "critical", "a\r\nBcc: eve@example.com\nb", "c"))
    assert mail.mails[0]["Bcc"] is None
    assert [line for line in mail.verbs if line.startswith(("RCPT", "rcpt"))] == [
        "rcpt TO:<maya@example.com>"
    ]


def test_without_variables_there_is_the_log_alone(engine, caplog):
    channels, faults = open_channels({}, LOG)
    assert faults == []
    assert [channel.name for channel in channels] == ["log"]
    one = notifier(engine, *channels)
    one.announce([STOP, DRIFT])
    one.deliver()
    one.deliver()
    assert [(r.levelname, r.getMessage()) for r in caplog.records if r.name == LOG.name] == [
        ("ERROR", f"critical: {STOP.sentence} {STOP.remedy}"),
        ("WARNING", f"warning: {DRIFT.sentence} {DRIFT.remedy}"),
    ]


SMTP = {"AELP_NOTIFY_SMTP_HOST": "mail.example", "AELP_NOTIFY_SMTP_FROM": "a@b.example"}


def test_all_channels_open_from_the_environment():
    variables = SMTP | {
        "AELP_NOTIFY_WEBHOOK": "https://hooks.example/T0/secret",
        "AELP_NOTIFY_SMTP_TO": "maya@b.example, jo@b.example",
    }
    (log, webhook, mail), _ = open_channels(variables, LOG)
    assert (log.name, webhook.name, mail.name) == ("log", "webhook", "email")
    assert (mail.port, mail.recipients) == (587, ("maya@b.example", "jo@b.example"))


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"AELP_NOTIFY_WEBHOOK": "http://hooks.example/secret"}, "AELP_NOTIFY_WEBHOOK"),
        ({"AELP_NOTIFY_WEBHOOK": "secret"}, "AELP_NOTIFY_WEBHOOK"),
        ({"AELP_NOTIFY_WEBHOOK": "https://hooks.example:secret/"}, "AELP_NOTIFY_WEBHOOK"),
        ({"AELP_NOTIFY_WEBHOOK": "https://hooks..example/secret"}, "AELP_NOTIFY_WEBHOOK"),
        ({"AELP_NOTIFY_WEBHOOK": f"https://{'h' * 64}.example/secret"}, "AELP_NOTIFY_WEBHOOK"),
        (SMTP, "AELP_NOTIFY_SMTP_TO"),
        (SMTP | {"AELP_NOTIFY_SMTP_TO": "maya secret@example.com"}, "AELP_NOTIFY_SMTP_TO"),
        (SMTP | {"AELP_NOTIFY_SMTP_TO": "m@b", "AELP_NOTIFY_SMTP_PORT": "secret"}, "AELP_NOTIFY_SMTP_PORT"),
        (
            SMTP | {"AELP_NOTIFY_SMTP_TO": "m@b", "AELP_NOTIFY_SMTP_PASSWORD": "secret"},
            "AELP_NOTIFY_SMTP_USER",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_variable_and_without_its_value(variables, named):
    channels, (fault,) = open_channels(variables, LOG)
    assert [channel.name for channel in channels] == ["log"]
    assert fault.startswith(named)
    assert "secret" not in fault


def test_a_misspelt_channel_does_not_silence_the_other():
    mail = SMTP | {"AELP_NOTIFY_SMTP_TO": "maya@b.example"}
    channels, (fault,) = open_channels(mail | {"AELP_NOTIFY_WEBHOOK": "http://hooks.example/"}, LOG)
    assert [channel.name for channel in channels] == ["log", "email"]
    assert fault.startswith("AELP_NOTIFY_WEBHOOK")
