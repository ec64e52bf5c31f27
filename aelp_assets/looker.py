"""Where the marts go: Looker's views and explores, and dbt's exposures, as assets outside Dagster.

Here: their keys, edges, owners and words, so that lineage ends at what people open. Not here: LookML
(`resources.looker`), what an exposure says (`dbt_project/models/exposures.yml`).
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg

from aelp_assets.transform import Translator, parsed_manifest, project
from resources.code_version import source_hash
from resources.looker import FOLDER
from resources.whole_files import write_whole

Listed = dict[str, Any]
_CONSTANT = re.compile(r"@\{\w+\}\.?")
_SPACES = re.compile(r"[^a-z0-9]+")


def outside_specs() -> list[dg.AssetSpec]:
    """Looker's views and explores, then the exposures.

    Kept as JSON beside dbt's manifest until LookML, dbt's sources or this module change: reading LookML and
    loading Looker's client took 1 s of every start.
    """
    kept = project.manifest_path.parent / "looker_assets.json"
    current = _version()
    if not kept.exists() or (found := json.loads(kept.read_text(encoding="utf-8")))["version"] != current:
        explores = lookml_assets(FOLDER)
        found = {"version": current, "assets": [*explores, *exposure_assets(parsed_manifest(), explores)]}
        write_whole(kept, json.dumps(found).encode())
    return [_spec(listed) for listed in found["assets"]]


def lookml_assets(folder: Path) -> list[Listed]:
    """The views and explores of a LookML project as dagster-looker reads them.

    A view depends on its table, an explore on its views.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # dagster-looker as a whole
        import lkml  # noqa: PLC0415

        # 0.6 s of Looker's client, and only where LookML changed.
        from dagster_looker import DagsterLookerLkmlTranslator, build_looker_asset_specs  # noqa: PLC0415

        class Names(DagsterLookerLkmlTranslator):
            """`looker/view/NAME` over `schema/table`, wherever the constants put project and prefix."""

            def get_asset_spec(self, lookml_structure: tuple[Path, Any, Mapping[str, Any]]) -> dg.AssetSpec:
                path, kind, props = lookml_structure
                if kind == "view" and "sql_table_name" in props:
                    props = {**props, "sql_table_name": _CONSTANT.sub("", props["sql_table_name"])}
                if kind == "explore" and "view_name" in props:
                    props = {**props, "from": props["view_name"]}
                spec = super().get_asset_spec((path, kind, props))
                if kind == "table":
                    return spec
                words = props.get("description") or f"{props.get('label')}: LookML over {_table(props)}."
                return spec.replace_attributes(
                    key=dg.AssetKey(["looker", *spec.key.path]),
                    description=words,
                    kinds={"looker", kind},
                    metadata={"file": path.relative_to(folder.parent).as_posix()},
                )

        names = Names()
        specs = [*build_looker_asset_specs(project_dir=folder, dagster_looker_translator=names)]
        # dagster-looker looks for explores in model files alone.
        for path in sorted(folder.rglob("*.explore.lkml")):
            explores = lkml.load(path.read_text(encoding="utf-8")).get("explores", ())
            specs += [
                names.get_asset_spec((path, "explore", told))
                for told in explores
                if not told["name"].startswith("+")
            ]
    return [
        {
            "key": list(spec.key.path),
            "deps": sorted(list(dep.asset_key.path) for dep in spec.deps),
            "description": spec.description,
            "group": "looker",
            "owner": "team:marketing-data",
            "kinds": sorted(spec.kinds),
            "metadata": {"file": spec.metadata["file"]},
        }
        for spec in sorted(specs, key=lambda spec: spec.key)
    ]


def exposure_assets(manifest: Mapping[str, Any], explores: Sequence[Listed]) -> list[Listed]:
    """dbt's exposures; the one that stands for Looker (`meta.looker_explores`) also ends every explore."""
    nodes = {**manifest["nodes"], **manifest["sources"]}
    translator = Translator()
    listed = []
    for exposure in sorted(manifest["exposures"].values(), key=lambda one: str(one["name"])):
        deps = [list(translator.get_asset_key(nodes[name]).path) for name in exposure["depends_on"]["nodes"]]
        if exposure["meta"].get("looker_explores"):
            deps += [one["key"] for one in explores if one["key"][1] == "explore"]
        facts = {"label": exposure["label"], "maturity": exposure["maturity"], "url": exposure["url"]}
        listed.append(
            {
                "key": ["exposure", exposure["name"]],
                "deps": sorted(deps),
                "description": " ".join(exposure["description"].split()),
                "group": "exposures",
                "owner": "team:" + _SPACES.sub("-", exposure["owner"]["name"].lower()),
                "kinds": ["exposure", exposure["type"]],
                "metadata": {name: value for name, value in facts.items() if value},
            }
        )
    return listed


def _spec(listed: Listed) -> dg.AssetSpec:
    metadata = dict(listed["metadata"])
    if "url" in metadata:
        metadata["url"] = dg.MetadataValue.url(metadata["url"])
    return dg.AssetSpec(
        dg.AssetKey(listed["key"]),
        deps=[dg.AssetKey(path) for path in listed["deps"]],
        description=listed["description"],
        group_name=listed["group"],
        owners=[listed["owner"]],
        kinds=set(listed["kinds"]),
        metadata=metadata,
    )


def _table(props: Mapping[str, Any]) -> str:
    return str(props.get("sql_table_name", "")).strip("` ")


def _version() -> str:
    """Of everything the assets here are read from, and of what reads them."""
    ours = source_hash("dbt_project", "aelp_assets/looker.py", "aelp_assets/transform.py")
    digest = hashlib.sha256(f"{ours} {version('dagster-looker')}".encode())
    for path in sorted(FOLDER.rglob("*.lkml")):
        digest.update(path.relative_to(FOLDER).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]
