"""YAML in which a key stands twice is refused by name and line."""

from __future__ import annotations

import pytest
import yaml

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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "more than 1,000,000 characters, what aliases repeat included"),
        (f"a: &a {'x' * 60_000}\nb: [{', '.join(['*a'] * 20)}]\n", "more than 1,000,000 characters"),
        ("[" * 200_000, "more than 100 deep"),
        ("a: " * 200_000, "mapping values are not allowed"),
        ("- " * 200_000, "more than 100 deep"),
        ("a: &a [*a]\n", "stands inside itself"),
        ("base: &base {<<: *base}\n", "stands inside itself"),
        ("a: *nobody\n", "undefined alias"),
        (f"a: {'1' * 5_000}\n", "4300 digits"),
        ("a: 2026-02-31\n", "day is out of range"),
        ("a: !!python/name:os.system\n", "could not determine a constructor"),
        ("!!python/object/new:os.system [id]\n", "could not determine a constructor"),
    ],
    ids=["laughs", "repeated", "brackets", "keys", "dashes", "itself", "merged", "unknown", "digits", "day",
         "name", "object"],
)  # fmt: skip
def test_what_no_person_writes_is_refused_before_it_costs_anything(text, said):
    with pytest.raises(yaml.YAMLError, match=said) as raised:
        load_yaml(text)
    assert len(str(raised.value)) < 1_000
