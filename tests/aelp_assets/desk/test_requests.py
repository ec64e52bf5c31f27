"""Who may press a button of the review desk at all: names, origins, tokens, forms, headers."""

from __future__ import annotations

import httpx
import pytest

from aelp_assets.desk.protection import ENTRANCE
from tests.aelp_assets.desk.browsing import ORIGIN, PORT, Browser, desk_of, said
from tests.resources.control.proposing import KEYS, lever, proposed, status_of


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:3001", ""]
)
def test_another_name_of_this_machine_is_not_answered(governance, browser, host):
    proposed(governance, lever("l1"))
    answer = browser.send("GET", "/", headers={"Host": host})
    assert answer.status_code == 421
    assert "Ad set l1" not in answer.text


@pytest.mark.parametrize(
    "sender",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": f"https://127.0.0.1:{PORT}"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": f"http://localhost:{PORT}"},
        {"Referer": f"http://evil.example/{ORIGIN}"},
        {"Referer": f"http://127.0.0.1:{PORT}@evil.example/"},
        {"Origin": "http://evil.example", "Referer": f"{ORIGIN}/"},
    ],
)
def test_a_form_from_another_page_decides_nothing(governance, browser, sender):
    (proposal_id,) = proposed(governance, lever("l1"))
    fields = {"token": browser.token(), "reason": "forged"}
    answer = browser.send("POST", f"/proposals/{proposal_id}/approve", data=fields, headers=sender)
    assert answer.status_code == 403
    assert status_of(governance, proposal_id) == "pending"


def test_where_a_browser_sends_no_origin_its_own_referrer_will_do(governance, browser):
    (proposal_id,) = proposed(governance, lever("l1"))
    fields = {"token": browser.token(), "reason": "fine"}
    browser.send("POST", f"/proposals/{proposal_id}/approve", data=fields, headers={"Referer": f"{ORIGIN}/"})
    assert status_of(governance, proposal_id) == "approved"


def test_without_the_session_s_own_token_nothing_is_decided_and_nothing_typed_is_lost(governance, browser):
    (proposal_id,) = proposed(governance, lever("l1"))
    strange = Browser(desk_of(governance)).token()
    path = f"/proposals/{proposal_id}/approve"
    for fields in ({}, {"token": ""}, {"token": strange}, {"token": "é"}):
        answer = browser.send("POST", path, data={**fields, "reason": "my words"}, headers={"Origin": ORIGIN})
        page = browser.get(answer.headers["location"])
        assert "older than this desk" in said(page)
        assert 'value="my words"' in page
    assert status_of(governance, proposal_id) == "pending"


def test_another_account_of_this_machine_sees_nothing_and_decides_nothing(governance, browser):
    (proposal_id,) = proposed(governance, lever("l1"))
    path, fields = f"/proposals/{proposal_id}/approve", {"token": browser.token(), "reason": "mine"}
    stranger = Browser(desk_of(governance), has_entered=False)
    for cookies in (httpx.Cookies(), httpx.Cookies({f"aelp_desk_{PORT}": "planted"})):
        stranger.cookies = cookies
        for where in ("/", "/creatives", "/desk.css", path, f"{ENTRANCE}?key=guessed", ENTRANCE):
            answer = stranger.send("GET", where)
            assert answer.status_code == 403
            assert "Ad set l1" not in answer.text
        answer = stranger.send("POST", path, data=fields, headers={"Origin": ORIGIN})
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    assert status_of(governance, proposal_id) == "pending"


def test_the_key_leaves_the_address_and_what_it_opened_lasts_until_the_desk_ends(governance):
    desk = desk_of(governance)
    browser = Browser(desk, has_entered=False)
    answer = browser.send("GET", desk.address)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "You decide as" in browser.get()
    again = Browser(desk_of(governance), has_entered=False)
    again.cookies = browser.cookies
    assert again.send("GET", "/").status_code == 403


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("text/plain", b"reason=x"),
        ("application/x-www-form-urlencoded", b"reason=" + b"x" * 20_000),
        ("application/x-www-form-urlencoded", b"reason=\xff"),
        ("application/x-www-form-urlencoded", b"reason=%ff"),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 50)),
    ],
)
def test_what_is_no_form_is_turned_away(governance, browser, kind, body):
    (proposal_id,) = proposed(governance, lever("l1"))
    headers = {"Origin": ORIGIN, "Content-Type": kind}
    path = f"/proposals/{proposal_id}/approve"
    assert browser.send("POST", path, content=body, headers=headers).status_code == 400
    assert browser.send("GET", path).status_code == 405, "a link decides nothing"


def test_every_answer_forbids_scripts_frames_and_keeping(governance, browser):
    proposed(governance, lever("l1"))
    answers = [browser.send("GET", path) for path in ("/", "/desk.css", "/absent")]
    answers.append(browser.send("POST", "/kill/on"))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "script-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
    cookie = browser.send("GET", desk_of(governance).address).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    for secret in KEYS.values():
        assert secret not in answers[0].text
