"""YAML as a person wrote it: a key that stands twice is refused, not silently answered by the last one; so
is what no person writes: sections inside themselves, thousands deep, or multiplied by aliases.

Here: loading text, telling a value of it. Not here: what the keys mean (`settings`, `files/mapping.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

_DEEPEST = 100
_LARGEST = 1_000_000  # characters and sections; what an alias repeats counts each time
_LONGEST_INTEGER = 1_000  # characters; 1:59:59:… of a megabyte is computed for minutes, a long 0xff… not told
_LONGEST_TOLD = 80


class RepeatedKeyError(yaml.MarkedYAMLError):
    """A key stands twice in one section; the message names its path and both lines."""


class UniqueKeyLoader(yaml.CSafeLoader):
    """A safe loader, in C for its speed, that refuses repeated keys.

    What `<<` merges in may be overridden, as YAML means it.
    """

    def construct_document(self, node: yaml.Node) -> Any:
        # Before anything is built: merges are still as written, and each key knows its line.
        _refuse_repeated(node)
        return super().construct_document(node)


def _integer(loader: UniqueKeyLoader, node: yaml.ScalarNode) -> int:
    if len(node.value) > _LONGEST_INTEGER:
        raise ValueError(f"an integer of more than {_LONGEST_INTEGER:,} characters")
    return int(loader.construct_yaml_int(node))


UniqueKeyLoader.add_constructor("tag:yaml.org,2002:int", _integer)


def load_yaml(text: str) -> Any:
    """The one document in `text` (None where it is empty).

    Raises:
        RepeatedKeyError: a key stands twice in one section.
        yaml.YAMLError: anything else that is no YAML.
    """
    _refuse_outsized(text)
    try:
        return yaml.load(text, UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except (ArithmeticError, AttributeError, LookupError, ValueError) as error:
        # The loader's own, of a value that its type does not take: the 31st of February, !!bool maybe.
        raise yaml.YAMLError(f"a value is not of its type: {error}") from None


def told(value: Any) -> str:
    """A value as a message about it shows it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_TOLD else f"{text[:_LONGEST_TOLD]}…"


@dataclass
class _Section:
    """A mapping or list that is not at its end: how much had been counted before, how deep it goes so far."""

    anchor: str | None
    before: int
    deepest: int = 0


def _refuse_outsized(text: str) -> None:
    """Look through the document without building any of it.

    Building is recursive in C: 200,000 open brackets end the process. And what is built small can be told
    large: ten lists of ten aliases each to the one before are ten billion values in a message about them.
    """
    sizes: dict[str, tuple[int, int] | None] = {}  # and depths, by anchor; None while it is still open
    opened: list[_Section] = []
    total = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        fault, depth = None, 0
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append(_Section(event.anchor, total))
            total += 1
            depth = len(opened)
            if event.anchor is not None:
                sizes[event.anchor] = None
        elif isinstance(event, yaml.CollectionEndEvent):
            section = opened.pop()
            depth = section.deepest
            if section.anchor is not None:
                sizes[section.anchor] = total - section.before, depth - len(opened)
        elif isinstance(event, yaml.ScalarEvent):
            total += 1 + len(event.value)
            if event.anchor is not None:
                sizes[event.anchor] = 1 + len(event.value), 0
        elif isinstance(event, yaml.AliasEvent):
            named = sizes.get(str(event.anchor), (0, 0))  # an unknown one is refused by the loader
            if named is None:
                fault = f"*{event.anchor} stands inside itself"
            else:
                total += 1 + named[0]
                depth = len(opened) + named[1]
        if opened:
            opened[-1].deepest = max(opened[-1].deepest, depth)
        if depth > _DEEPEST:
            fault = f"sections lie more than {_DEEPEST} deep, what aliases repeat included"
        if total > _LARGEST:
            fault = f"more than {_LARGEST:,} characters, what aliases repeat included"
        if fault is not None:
            line = "" if event.start_mark is None else f"line {event.start_mark.line + 1}: "
            raise yaml.YAMLError(f"{line}{fault}")


def _refuse_repeated(document: yaml.Node) -> None:
    pending: list[tuple[yaml.Node, str]] = [(document, "")]
    met: set[int] = set()
    while pending:
        node, path = pending.pop()
        if id(node) in met:  # an alias, perhaps to the section it stands in
            continue
        met.add(id(node))
        inside: list[tuple[yaml.Node, str]] = []
        if isinstance(node, yaml.SequenceNode):
            inside = [(item, f"{path}.{place}".lstrip(".")) for place, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            lines: dict[tuple[str, str], int] = {}
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                where = f"{path}.{key.value}".lstrip(".")
                line = key.start_mark.line + 1
                if (key.tag, key.value) in lines:
                    first = lines[(key.tag, key.value)]
                    lines_named = f"line {line}" if first == line else f"lines {first} and {line}"
                    raise RepeatedKeyError(problem=f"{where}: stands twice, on {lines_named}. Keep one.")
                lines[(key.tag, key.value)] = line
                inside.append((value, where))
        pending += reversed(inside)
