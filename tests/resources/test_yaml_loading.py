"""YAML in which a key stands twice, or that no person writes, is refused in few words."""

from __future__ import annotations

import pytest
import yaml

from resources.files.mapping import MappingError, parse_mapping
from resources.settings import SettingsError, load_settings
from resources.yaml_loading import RepeatedKeyError, load_yaml


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "a: stands twice, on lines 1 and 3. Keep one."),
        ("fields:\n  cost: x\n  cost: y\n", "fields.cost: stands twice, on lines 2 and 3. Keep one."),
        ("rules:\n  - {track: a, track: b}\n", "rules.0.track: stands twice, on line 2. Keep one."),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_path_and_lines(text, message):
    with pytest.raises(RepeatedKeyError) as raised:
        load_yaml(text)
    assert str(raised.value) == message


def test_the_same_key_in_different_sections_and_an_overridden_merge_are_no_repeats():
    text = "base: &base {a: 1, b: 2}\nother:\n  <<: *base\n  b: 3\nlist: [{a: 1}, {a: 2}]\n"
    assert load_yaml(text)["other"] == {"a": 1, "b": 3}


def test_everything_else_loads_as_safe_yaml_does():
    text = 'a: [1, 2.5, 2026-06-30, null]\n1: x\n"1": y\n'
    assert load_yaml(text) == yaml.safe_load(text)
    assert load_yaml("") is None
    with pytest.raises(yaml.YAMLError):
        load_yaml("a: [")
    with pytest.raises(yaml.YAMLError):
        load_yaml("!!python/object/apply:os.getcwd []")


LAUGHS = 'a0: &a0 ["lol", "lol"]\n' + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


EMPTY = f"a: &a [{'[],' * 4_000}]\nb: [{'*a,' * 2_000}]\n"
STAIRS = f"a0: &a0 {'[' * 90}{']' * 90}\n" + "".join(
    f"a{n}: &a{n} {'[' * 90}*a{n - 1}{']' * 90}\n" for n in range(1, 60)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "more than 1,000,000 characters, what aliases repeat included"),
        (f"a: &a {'x' * 60_000}\nb: [{', '.join(['*a'] * 20)}]\n", "more than 1,000,000 characters"),
        (EMPTY, "more than 1,000,000 characters"),
        (STAIRS, "more than 100 deep"),
        ("[" * 200_000, "more than 100 deep"),
        ("a: " * 200_000, "mapping values are not allowed"),
        ("- " * 200_000, "more than 100 deep"),
        ("a: &a [*a]\n", "stands inside itself"),
        ("base: &base {<<: *base}\n", "stands inside itself"),
        ("a: *nobody\n", "undefined alias"),
        (f"a: {'1' * 5_000}\n", "an integer of more than 1,000 characters"),
        (f"a: 0x{'f' * 5_000}\n", "an integer of more than 1,000 characters"),
        (f"a: 1{':59' * 300_000}\n", "an integer of more than 1,000 characters"),
        (f"a: 1{':59' * 300}.5\n", "too large"),
        ("a: !!bool maybe\n", "not of its type: 'maybe'"),
        ("a: !!timestamp soon\n", "not of its type"),
        ('a: !!int ""\n', "not of its type"),
        ("a: 2026-02-31\n", "day is out of range"),
        ("a: !!python/name:os.system\n", "could not determine a constructor"),
        ("!!python/object/new:os.system [id]\n", "could not determine a constructor"),
    ],
    ids=["laughs", "repeated", "empty", "stairs", "brackets", "keys", "dashes", "itself", "merged", "unknown",
         "digits", "hexadecimal", "sixties", "fraction", "bool", "timestamp", "nothing", "day", "name",
         "object"],
)  # fmt: skip
def test_what_no_person_writes_is_refused_before_it_costs_anything(text, said):
    with pytest.raises(yaml.YAMLError, match=said) as raised:
        load_yaml(text)
    assert len(str(raised.value)) < 1_000


def test_messages_about_a_value_show_its_beginning(tmp_path):
    large = f"[{'[],' * 1_000}]"
    with pytest.raises(
        MappingError, match=r"expected a section such as .*, found \[\[\], \[\], .*…\."
    ) as raised:
        parse_mapping(f"records: [{large}]\n", "x.yaml")
    assert len(str(raised.value)) < 1_000
    (tmp_path / "aelp.yaml").write_text(f"seed: {large}\n")
    with pytest.raises(SettingsError, match=r"seed: .*\(found \[\[\], \[\], .*…\)") as refused:
        load_settings(tmp_path / "aelp.yaml")
    assert len(str(refused.value)) < 1_000
