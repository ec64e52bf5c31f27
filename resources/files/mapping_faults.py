"""What is wrong with a mapping file, as one line per fault that names keys a person wrote.

Here: choosing among the faults of a union and wording them. Not here: what a mapping may hold
(`mapping.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from resources.yaml_loading import told

# A column is named by one header or by several.
_BARE = ("str", "tuple[str, ...]")


def fault_lines(error: ValidationError, sections: frozenset[str]) -> list[str]:
    """Faults with their path. Where one of several sections may stand, those of the closest alone.

    Args:
        sections: class names of the alternatives, which the validation adds to the path of a fault.
    """
    faults = _meant(error.errors(include_url=False), sections, 0)
    return list(dict.fromkeys(_described(fault, sections) for fault in faults))


def _meant(faults: Sequence[ErrorDetails], sections: frozenset[str], start: int) -> list[ErrorDetails]:
    """The faults without those of alternatives that were not meant, from that place of their paths on."""
    meant: list[ErrorDetails] = []
    unions: dict[tuple[int | str, ...], dict[int | str, list[ErrorDetails]]] = {}
    for fault in faults:
        path = fault["loc"]
        place = next((p for p in range(start, len(path)) if _is_alternative(path, p, sections)), None)
        if place is None:
            meant.append(fault)
        else:
            unions.setdefault(path[:place], {}).setdefault(path[place], []).append(fault)
    for where, alternatives in unions.items():
        meant += _meant(min(alternatives.values(), key=_distance), sections, len(where) + 1)
    return meant


def _is_alternative(path: Sequence[int | str], place: int, sections: frozenset[str]) -> bool:
    return path[place] in sections or (
        path[place] in _BARE and place > 0 and path[place - 1] in ("column", "header")
    )


def _distance(faults: Sequence[ErrorDetails]) -> tuple[int, int, int, bool]:
    """How far an alternative is from what was written: keys first, then their values."""
    keys = sum(fault["type"] in ("missing", "extra_forbidden") for fault in faults)
    deepest = max(len(fault["loc"]) for fault in faults)
    names_no_column = all(fault["loc"][-1] != "column" for fault in faults)
    return keys, len(faults), -deepest, names_no_column


def _described(fault: ErrorDetails, sections: frozenset[str]) -> str:
    where = fault["loc"]
    path = ".".join(
        str(part) for place, part in enumerate(where) if not _is_alternative(where, place, sections)
    )
    if fault["type"] == "extra_forbidden":
        return f"{path}: unknown key. Remove it or check its spelling."
    if fault["type"] == "missing":
        return f"{path}: required, but missing."
    if fault["type"] == "model_type":
        return f"{path}: expected a section such as {{column: Day}}, found {told(fault['input'])}."
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{path}: {message}" if path else message
