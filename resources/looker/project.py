"""The LookML project on disk: generated files, and what people wrote beside them.

Here: writing, comparing and checking the folder `looker/`. Not here: what generated files say (`lookml`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lkml

from resources.whole_files import write_whole

GENERATED, REFINEMENTS = "generated", "refinements"
_FIELDS = ("dimensions", "dimension_groups", "measures", "filters", "parameters")
_OF_VIEW = re.compile(r"\$\{([a-z_0-9.]+)\}")
Parsed = Mapping[str, Any]


def write_generated(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Make `folder/generated` hold exactly `files`; returns the paths that changed."""
    place = folder / GENERATED
    place.mkdir(parents=True, exist_ok=True)
    changed = []
    for path in sorted(place.glob("*.lkml")):
        if path.name not in files:
            path.unlink()
            changed.append(path)
    for name, text in files.items():
        path = place / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_whole(path, text.encode())
            changed.append(path)
    return changed


def differences(folder: Path, files: Mapping[str, str]) -> list[str]:
    """A diff for each generated file that is missing, left over or another; none: all is as it should be."""
    place = folder / GENERATED
    found = {path.name: path.read_text(encoding="utf-8") for path in sorted(place.glob("*.lkml"))}
    diffs = []
    for name in sorted({*found, *files}):
        if found.get(name) == files.get(name):
            continue
        lines = difflib.unified_diff(
            found.get(name, "").splitlines(),
            files.get(name, "").splitlines(),
            f"{place / name} (committed)",
            f"{place / name} (from dbt_project/models/semantic)",
            lineterm="",
        )
        diffs.append("\n".join(lines))
    return diffs


def refinement_faults(folder: Path, files: Mapping[str, str]) -> list[str]:
    """What refinements name that generated files do not have, or define a second time; one sentence each."""
    generated = [lkml.load(text) for text in files.values()]
    views = {view["name"]: _fields(view) for parsed in generated for view in parsed.get("views", ())}
    explores = {one["name"] for parsed in generated for one in parsed.get("explores", ())}
    faults: list[str] = []
    written = [
        (path, lkml.load(path.read_text(encoding="utf-8")))
        for path in sorted((folder / REFINEMENTS).rglob("*.lkml"))
    ]
    added = {name: set(fields) for name, fields in views.items()}
    for _, parsed in written:
        for view in parsed.get("views", ()):
            added.setdefault(view["name"].lstrip("+"), set()).update(_fields(view))
    for path, parsed in written:
        for explore in parsed.get("explores", ()):
            name = explore["name"]
            if name.startswith("+") and name[1:] not in explores:
                faults.append(f"{path}: explore {name} refines none; there are {', '.join(sorted(explores))}")
        for view in parsed.get("views", ()):
            faults += [f"{path}: {fault}" for fault in _view_faults(view, views, added)]
    return faults


def _view_faults(
    view: Parsed, views: Mapping[str, Mapping[str, Parsed]], added: Mapping[str, set[str]]
) -> list[str]:
    refined = view["name"].lstrip("+")
    if not view["name"].startswith("+"):
        return []
    if refined not in views:
        return [f"view {view['name']} refines none; there are {', '.join(sorted(views))}"]
    faults = []
    for name, told in _fields(view).items():
        if name in views[refined] and ("sql" in told or "type" in told):
            faults.append(
                f"{refined}.{name} is defined a second time; change it in dbt_project/models/semantic"
            )
        if name not in views[refined] and "sql" not in told and "type" not in told:
            faults.append(f"{refined}.{name} refines a field that does not exist")
        for other in _named(told):
            home, _, field = other.rpartition(".")
            if field not in added.get(home or refined, set()):
                faults.append(f"{refined}.{name} names {other}, which does not exist")
    return faults


def _named(told: Parsed) -> list[str]:
    """Fields that a field's SQL, drills and filters name."""
    names = [name for name in _OF_VIEW.findall(str(told.get("sql", ""))) if name != "TABLE"]
    names += [str(name) for name in told.get("drill_fields", ()) if not str(name).endswith("*")]
    return names + [name for filters in told.get("filters__all", ()) for one in filters for name in one]


def _fields(view: Parsed) -> dict[str, Parsed]:
    """Fields of a view by name, a dimension group also under each of its timeframes."""
    fields = {told["name"]: told for kind in _FIELDS for told in view.get(kind, ())}
    for group in view.get("dimension_groups", ()):
        fields |= {f"{group['name']}_{frame}": group for frame in group.get("timeframes", ())}
    return fields
