"""What a control store is opened with: real money goes by the real time."""

from __future__ import annotations

import pytest

from aelp_assets.governance import open_governance
from resources.settings import PROJECT_ROOT, Settings, SettingsError, load_settings


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
