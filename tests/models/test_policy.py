"""The policy pre-flight: what blocks a creative, what only warns, and what is unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from aelp_assets.launches import policy_profiles
from models.policy import review, review_creatives
from resources.settings import PROJECT_ROOT, load_settings

SETTINGS = load_settings(Path(PROJECT_ROOT) / "aelp.yaml")
PROFILES = policy_profiles(SETTINGS)
STANDARD, HEALTH = PROFILES["security"], PROFILES["balance"]
UTM = "utm_source=facebook&utm_medium=paid_social&utm_campaign=1&utm_content=2"
GOOD = {
    "headline": "Calmer evenings",
    "body": "Plans written by child psychologists.",
    "call_to_action": "Learn more",
    "link": f"https://www.northstar.example/balance?{UTM}",
}


def blocking(profile, audiences=(), **changes) -> dict[str, str]:
    flags = review({**GOOD, **changes}, profile, audiences)
    return {flag.rule: flag.text for flag in flags if flag.severity == "blocks"}


def test_a_harmless_creative_passes_both_profiles():
    assert review(GOOD, STANDARD) == review(GOOD, HEALTH) == []


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ("Are you depressed? Start today.", "personal_attribute", "you depressed"),
        ("Help with your child’s anxiety.", "personal_attribute", "your child's anxiety"),
        ("Anxiety? You are not alone.", "personal_attribute", None),
        ("See the before & after.", "before_after", "before & after"),
        ("From tired to rested in 7 days", "before_after", "From tired to rested in 7 days"),
        ("We cure sleepless nights", "guaranteed_cure", "cure"),
        ("100 % calm", "guaranteed_cure", "100 %"),
        ("Guaranteed results", "prohibited_claim", "Guaranteed results"),
        ("Are you dep\N{ZERO WIDTH SPACE}ressed?", "personal_attribute", "you depressed"),
        ("Ｃｌｉｃｋ here", "clickbait", "Click here"),
        ("Are you depres\N{COMBINING LONG STROKE OVERLAY}sed?", "personal_attribute", "you depressed"),
    ],
)
def test_a_health_creative_is_blocked_with_the_words_that_did_it(text, rule, words):
    flags = blocking(HEALTH, body=text)
    assert rule in flags
    assert words is None or flags[rule] == words


@pytest.mark.parametrize(
    "text",
    [
        "A secure and obstinate plan for the household.",
        "Your evenings get easier. Written by people who treat depression.",
        "Before dinner, a calm hour.",
    ],
)
def test_words_that_only_look_alike_pass(text):
    assert blocking(HEALTH, body=text) == {}


def test_what_health_forbids_standard_allows_where_it_is_about_health_alone():
    assert blocking(STANDARD, body="See the before and after of your desktop.") == {}
    assert "special_category" in blocking(STANDARD, body="Now hiring in your town")


@pytest.mark.parametrize("missing", [{"headline": None}, {"body": " "}, {"body": "— …"}, {"link": None}])
def test_what_is_unknown_blocks_health_and_only_warns_elsewhere(missing):
    assert blocking(HEALTH, **missing)
    assert not blocking(STANDARD, **missing)
    assert review({**GOOD, **missing}, STANDARD)


@pytest.mark.parametrize(
    ("link", "rule"),
    [
        (f"http://www.northstar.example/x?{UTM}", "link_not_https"),
        (f"https://northstar.example.evil.com/?{UTM}", "landing_domain"),
        (f"https://notnorthstar.example/?{UTM}", "landing_domain"),
        (f"https://northstar.example@evil.com/?{UTM}", "landing_domain"),
        ("https://northstar.example/", "utm"),
        (f"https://northstar.example/?{UTM}&utm_source=google", "utm"),
        ("https://northstar.example/?" + UTM.replace("utm_content=2", "utm_content=a%20b"), "utm"),
        ("https://[northstar/", "link_unreadable"),
    ],
)
def test_a_launch_leads_only_to_a_tracked_page_of_the_business_s_own(link, rule):
    for profile in (STANDARD, HEALTH):
        assert rule in blocking(profile, link=link)


def test_without_configured_domains_health_has_nowhere_to_lead():
    assert "landing_domain_unknown" in blocking(replace(HEALTH, landing_domains=()))
    assert blocking(replace(STANDARD, landing_domains=())) == {}


def test_curated_audiences_are_for_standard_tracks_alone():
    assert blocking(HEALTH, ["purchasers 1%"])["curated_audience"] == "purchasers 1%"
    assert blocking(STANDARD, ["purchasers 1%"]) == {}


def test_a_text_beyond_the_limit_warns_or_blocks_as_the_settings_say():
    long = {"headline": "x" * 25 + "cut"}
    (flag,) = review({**GOOD, **long}, STANDARD)
    assert (flag.rule, flag.severity, flag.text) == ("headline_length", "warns", "cut")
    assert "headline_length" in blocking(replace(STANDARD, over_length="blocks"), **long)


def test_a_review_has_a_row_per_creative_and_refuses_a_track_without_a_profile():
    keys = {"platform": "meta", "account_id": "a", "creative_id": "1"}
    frame = pl.DataFrame(
        [
            {"track": "balance", **keys, **GOOD, "body": "Are you depressed?"},
            {"track": "security", **keys, **GOOD},
        ]
    )
    rows = review_creatives(frame, PROFILES, {})
    assert rows.select("track", "passed", "blocking_flags").rows() == [
        ("balance", False, 1),
        ("security", True, 0),
    ]
    assert json.loads(rows["flags"][0])[0]["text"] == "you depressed"
    with pytest.raises(ValueError, match="no profile for tracks"):
        review_creatives(frame, {"balance": HEALTH}, {})
