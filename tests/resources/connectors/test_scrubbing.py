"""No secret reaches a text, whether it is one we know or only named like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.connectors.scrubbing import HIDDEN, Scrubber

TOKEN = "EAAB+token/with=odd&signs"


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://graph/v26.0/me?access_token={TOKEN}",
        "GET https://graph/v26.0/me?access_token=EAAB%2Btoken%2Fwith%3Dodd%26signs",
        f'{{"access_token": "{TOKEN}"}}',
        f"Authorization: Bearer {TOKEN}",
    ],
)
def test_a_known_secret_is_hidden_however_it_is_spelt(text):
    scrubbed = Scrubber([TOKEN])(text)
    assert "EAAB" not in scrubbed
    assert HIDDEN in scrubbed


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("?access_token=abc123&fields=spend", "?access_token=[secret]&fields=spend"),
        ('"refresh_token": "r-1"', '"refresh_token": "[secret]"'),
        ("client_secret=s3cret", "client_secret=[secret]"),
        ("appsecret_proof=0f0f", "appsecret_proof=[secret]"),
        ("authorization: Bearer ya29.abc and so on", "authorization: Bearer [secret] and so on"),
        ("Authorization=Basic%20dTpw&x=1", "Authorization=[secret]&x=1"),
        ("{'access_token': 'abc', 'ok': 1}", "{'access_token': '[secret]', 'ok': 1}"),
        ("{'access_token': b'abc'}", "{'access_token': b'[secret]'}"),
        ("[('authorization', 'Bearer ya29.abc')]", "[('authorization', 'Bearer [secret]')]"),
        ('{"client_secret": "a, b)c"}', '{"client_secret": "[secret]"}'),
        ('{\\"access_token\\": \\"abc\\"}', '{\\"access_token\\": \\"[secret]\\"}'),
        ("Access-Token: abc", "Access-Token: [secret]"),
        ("developer-token: dev-1", "developer-token: [secret]"),
    ],
)
def test_what_is_named_like_a_secret_is_hidden_though_nobody_knows_it(text, left):
    assert Scrubber([])(text) == left


@given(
    st.text(alphabet="abcdefghij0123456789", min_size=8, max_size=30),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_a_secret_is_gone_from_any_text(secret, before, after):
    assert secret not in Scrubber([secret])(before + secret + after)


def test_ordinary_texts_are_left_alone():
    text = "ads_insights of account 418802716650377, 2026-06-01 to 2026-06-07: 502 from the platform"
    assert Scrubber([TOKEN, ""])(text) == text
    told = "Google refused to renew the access token: the refresh token, or its authorization, is expired."
    assert Scrubber([])(told) == told
