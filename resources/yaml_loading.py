"""YAML as a person wrote it: a key that stands twice is refused, not silently answered by the last one; so
is what no person writes: sections inside themselves, thousands deep, or multiplied by aliases.

Here: loading text. Not here: what the keys mean (`settings`, `files/mapping.py`).
"""

from __future__ import annotations

from typing import Any

import yaml

_DEEPEST = 100
_LARGEST = 1_000_000  # characters; what an alias repeats counts each time


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


def load_yaml(text: str) -> Any:
    """The one document in `text` (None where it is empty).

    Raises:
        RepeatedKeyError: a key stands twice in one section.
        yaml.YAMLError: anything else that is no YAML.
    """
    _refuse_outsized(text)
    try:
        return yaml.load(text, UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except ValueError as error:  # a number of ten thousand digits, the 31st of February
        raise yaml.YAMLError(str(error)) from None


def _refuse_outsized(text: str) -> None:
    """Look through the document without building any of it.

    Building is recursive in C: 200,000 open brackets end the process. And what is built small can be told
    large: ten lists of ten aliases each to the one before are ten billion values in a message about them.
    """
    sizes: dict[str, int | None] = {}  # of what each anchor names; None while it is still open
    opened: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        fault = None
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, total))
            if event.anchor is not None:
                sizes[event.anchor] = None
            if len(opened) > _DEEPEST:
                fault = f"sections lie more than {_DEEPEST} deep"
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            total += 1 + len(event.value)
            if event.anchor is not None:
                sizes[event.anchor] = 1 + len(event.value)
        elif isinstance(event, yaml.AliasEvent):
            size = sizes.get(str(event.anchor), 0)  # an unknown one is refused by the loader
            total += 1 + (size or 0)
            if size is None:
                fault = f"*{event.anchor} stands inside itself"
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
