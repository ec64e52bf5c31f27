"""What a control store is opened with: real money goes by the real time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aelp_assets.governance import open_governance, reviewed_again
from resources.settings import PROJECT_ROOT, Settings, SettingsError, load_settings
from tests.resources.control.proposing import LAUNCH


def settings_in(mode: str) -> Settings:
    known = load_settings(PROJECT_ROOT / "aelp.yaml")
    return known.model_copy(update={"governance": known.governance.model_copy(update={"mode": mode})})


def test_live_decisions_refuse_an_injected_clock(tmp_environment, monkeypatch):
    tmp_environment.home.mkdir()
    monkeypatch.setenv("AELP_CLOCK", "2026-06-30T09:00:00-04:00")
    with pytest.raises(SettingsError, match="unset AELP_CLOCK"):
        open_governance(tmp_environment, settings_in("live"))
    for mode in ("shadow", "sandbox"):
        assert open_governance(tmp_environment, settings_in(mode)).mode == mode
    monkeypatch.delenv("AELP_CLOCK")
    assert open_governance(tmp_environment, settings_in("live")).mode == "live"


def test_a_launch_whose_words_changed_since_the_review_is_not_put_before_people():
    utm = "utm_source=facebook&utm_medium=paid&utm_campaign=1&utm_content=c1"
    fine = replace(LAUNCH, track="balance", link=f"https://northstar.example/?{utm}")
    unread, restated = replace(fine, body=None), replace(fine, body="Help with your anxiety")
    targeted = replace(fine, audiences=("88",))
    passed, blocked = reviewed_again([fine, unread, restated, targeted], settings_in("shadow"))
    assert passed == [fine]
    rules = ("text_unknown", "personal_attribute", "curated_audience")
    assert [rule in said for rule, said in zip(rules, blocked, strict=True)] == [True] * 3
