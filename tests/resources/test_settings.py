from pathlib import Path

import pytest
import yaml

from resources.settings import PROJECT_ROOT, SettingsError, load_settings, read_environment


@pytest.fixture
def write(tmp_path: Path):
    document = yaml.safe_load((PROJECT_ROOT / "aelp.yaml").read_text())

    def _write(change) -> Path:
        change(document)
        path = tmp_path / "aelp.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return _write


@pytest.mark.parametrize("name", ["aelp.yaml", "aelp.real.yaml"])
def test_shipped_settings_are_valid(name):
    assert load_settings(PROJECT_ROOT / name).tracks


def test_an_unknown_key_is_refused_with_its_path(write):
    path = write(lambda d: d["tracks"]["security"].update(cac_kap=240))
    with pytest.raises(SettingsError, match=r"aelp.yaml: tracks.security.cac_kap: unknown key"):
        load_settings(path)


@pytest.mark.parametrize(
    ("section", "key", "value", "allowed"),
    [
        ("guardrails", "edit_limit", 0.5, "less than or equal to 0.05"),
        ("guardrails", "day_limit", 0.5, "less than or equal to 0.1"),
        ("guardrails", "drift_limit", 0.9, "less than or equal to 0.2"),
        ("guardrails", "stop_probability", 0.5, "greater than or equal to 0.9"),
        ("guardrails", "stop_spend_caps", 1, "greater than or equal to 4"),
        ("guardrails", "track_raise_probability", 0.7, "less than or equal to 0.2"),
        ("guardrails", "edit_cooldown_hours", 1, "greater than or equal to 72"),
        ("guardrails", "total_daily_cap", -1, "greater than 0"),
        ("attribution", "maturity_days", 400, "less than or equal to 90"),
    ],
)
def test_an_impossible_value_is_refused_with_path_and_range(write, section, key, value, allowed):
    path = write(lambda d: d[section].update({key: value}))
    with pytest.raises(SettingsError, match=rf"{section}\.{key}: .*{allowed}"):
        load_settings(path)


def test_every_fault_is_named_at_once(write):
    def break_two(document):
        document["business_timezone"] = "Mars/Olympus"
        document["tracks"]["balance"]["contribution_margin"] = 1.7

    with pytest.raises(SettingsError) as error:
        load_settings(write(break_two))
    assert "business_timezone" in str(error.value)
    assert "tracks.balance.contribution_margin" in str(error.value)


def test_a_rule_for_an_unknown_track_is_refused(write):
    path = write(lambda d: d["track_rules"].append({"track": "pets", "campaign": "*"}))
    with pytest.raises(SettingsError, match=r"track_rules.2.track: 'pets' is not one of"):
        load_settings(path)


def test_every_track_needs_a_loss_budget(write):
    path = write(lambda d: d["guardrails"]["weekly_loss_budget"].pop("balance"))
    with pytest.raises(SettingsError, match=r"missing \['balance'\]"):
        load_settings(path)


def test_the_hash_follows_the_content(write):
    first = load_settings(write(lambda d: None)).content_hash
    assert load_settings(write(lambda d: None)).content_hash == first
    assert load_settings(write(lambda d: d.update(seed=7))).content_hash != first


def test_python_tags_in_yaml_are_refused(tmp_path):
    path = tmp_path / "aelp.yaml"
    path.write_text("business_timezone: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(SettingsError, match="not valid YAML"):
        load_settings(path)


def test_a_relative_home_is_refused():
    with pytest.raises(SettingsError, match="AELP_HOME: must be an absolute path"):
        read_environment({"AELP_HOME": "here"})


def test_bigquery_needs_a_project():
    with pytest.raises(SettingsError, match="AELP_BIGQUERY_PROJECT"):
        read_environment({"AELP_WAREHOUSE": "bigquery"})
