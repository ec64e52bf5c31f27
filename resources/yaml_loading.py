"""YAML as a person wrote it: a key that stands twice is refused, not silently answered by the last one.

Here: loading text. Not here: what the keys mean (`settings`, `files/mapping.py`).
"""

from __future__ import annotations

from typing import Any

import yaml


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
    return yaml.load(text, UniqueKeyLoader)  # noqa: S506 - a SafeLoader


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
