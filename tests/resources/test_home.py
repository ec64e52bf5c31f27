"""What the UI opens on: the last morning of its AELP_HOME, unless the environment says otherwise."""

import pytest

from resources.home import recall_context, remember_context
from resources.settings import PROJECT_ROOT, read_environment

CLOCK = "2026-06-30T09:00:00-04:00"


def variables(home, **more):
    return {"AELP_HOME": str(home), **more}


def test_the_last_run_s_settings_drop_and_clock_are_recalled(tmp_path):
    real = str(PROJECT_ROOT / "aelp.real.yaml")
    ran = variables(tmp_path, AELP_SETTINGS=real, AELP_DROP=str(tmp_path), AELP_CLOCK=CLOCK)
    remember_context(read_environment(ran), ran)
    opened = variables(tmp_path)
    assert recall_context(read_environment(opened), opened) == {
        "AELP_SETTINGS": real,
        "AELP_DROP": str(tmp_path),
        "AELP_CLOCK": CLOCK,
    }
    assert read_environment(opened).settings_path.name == "aelp.real.yaml"


def test_what_the_environment_says_goes_before_what_is_remembered(tmp_path):
    ran = variables(tmp_path, AELP_CLOCK=CLOCK)
    remember_context(read_environment(ran), ran)
    opened = variables(tmp_path, AELP_CLOCK="2026-07-04T09:00:00-04:00")
    assert "AELP_CLOCK" not in recall_context(read_environment(opened), opened)
    assert opened["AELP_CLOCK"].startswith("2026-07-04")


def test_a_run_by_the_system_s_clock_forgets_an_earlier_injected_one(tmp_path):
    for ran in (variables(tmp_path, AELP_CLOCK=CLOCK), variables(tmp_path)):
        remember_context(read_environment(ran), ran)
    opened = variables(tmp_path)
    assert set(recall_context(read_environment(opened), opened)) == {"AELP_SETTINGS"}


@pytest.mark.parametrize("note", [None, "not json", "[]", "7"])
def test_a_home_without_a_readable_note_recalls_nothing(tmp_path, note):
    if note is not None:
        (tmp_path / "context.json").write_text(note)
    opened = variables(tmp_path)
    assert recall_context(read_environment(opened), opened) == {}
