"""dbt as assets: staging, intermediate, marts and reporting models, keyed by schema and name.

Here: how dbt models become assets (keys, groups, partitions, code versions) and the call to dbt.
Not here: SQL (`dbt_project/`) and which days to build (`runner`, `sensors`).
"""

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets
from packaging.version import Version

from aelp_assets import lineage
from aelp_assets.ownership import DATA_ENGINEERING, DATA_FRESHNESS
from aelp_assets.partitions import WAREHOUSE_POOL, report_days
from aelp_assets.runs import PARTITION_TAG
from resources import dbt_command, ledger
from resources.code_version import source_hash
from resources.settings import PROJECT_ROOT, Environment, read_environment
from resources.warehouse.content import content_version
from resources.warehouse.interface import Warehouse
from resources.warehouse.metering import Usage, spent
from resources.warehouse.retrying import tried_again_while_locked
from resources.warehouse.schema import TableName

DBT_FOLDER = PROJECT_ROOT / "dbt_project"

VERSIONED = [
    dg.AssetKey(["gaelp_training", "ads_period_performance"]),
    dg.AssetKey(["gaelp_training", "budget_levers"]),
    dg.AssetKey(["gaelp_training", "conversion_delay"]),
    dg.AssetKey(["gaelp_training", "creative_objects"]),
    dg.AssetKey(["gaelp_training", "platform_vs_backend"]),
    dg.AssetKey(["intermediate", "int_arm_levers"]),
    dg.AssetKey(["intermediate", "int_experiment_arms"]),
    dg.AssetKey(["intermediate", "int_lever_traits"]),
]
"""What models read of no report day, or of today's: each build hashes it, to tell a change from none."""


def dbt_executable() -> str:
    """The `dbt` beside this interpreter: a virtual environment need not be activated."""
    beside = Path(sys.executable).parent / "dbt"
    return str(beside) if beside.exists() else shutil.which("dbt") or "dbt"


def dbt_environment(environment: Environment) -> dict[str, str]:
    """The variables `profiles.yml` reads; nothing in it is secret."""
    return {
        "AELP_HOME": str(environment.home),
        "AELP_DATASET_PREFIX": environment.dataset_prefix,
        "AELP_BIGQUERY_PROJECT": environment.bigquery_project or "",
        "AELP_BIGQUERY_LOCATION": environment.bigquery_location,
        "AELP_BIGQUERY_ENDPOINT": environment.bigquery_endpoint or "",
        # dagster-dbt looks here for the parsed project; without it every run parses again (4 s).
        "DBT_TARGET_PATH": str(environment.dbt_target),
        dbt_command.PARSED_PROJECT: str(environment.dbt_target),
    }


def dbt_project(environment: Environment) -> DbtProject:
    """The project with the target folder of this environment, so that none reads another's manifest."""
    return DbtProject(
        project_dir=DBT_FOLDER,
        target_path=environment.dbt_target,
        profiles_dir=DBT_FOLDER,
        target=environment.warehouse,
    )


class InstalledDbt(DbtCliResource):
    """The dbt of this environment, without what dagster-dbt does before and around each command.

    It runs `dbt --version` (2.4 s) and loads an adapter to count rows with; both are known or done elsewhere.
    """

    @property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        return None


def dbt_resource(environment: Environment) -> DbtCliResource:
    """The dbt command line on this environment's warehouse."""
    os.environ.update(dbt_environment(environment))  # dbt's profile knows only variables
    return InstalledDbt(
        project_dir=dbt_project(environment),  # type: ignore[arg-type]  # its validator takes a project
        dbt_executable=sys.executable,
        global_config_flags=[
            *("-m", "resources.dbt_command"),
            *("--no-send-anonymous-usage-stats", "--no-use-colors"),
            *("--log-level-file", "none"),  # its debug log was 8 % of a build; the run's log has what it says
        ],
    )


def follows_report_days(dbt_resource_props: Mapping[str, Any]) -> bool:
    """Whether a model has rows per report day that can be rebuilt, or read, day by day.

    Staging views are left out although they are dated: a view is never stale, and each partitioned asset
    costs two events a day of a backfill (6 ms each).
    """
    tags = dbt_resource_props.get("tags", [])
    return "daily" in tags and "staging" not in tags


class Translator(DagsterDbtTranslator):
    """schema/name keys, a group per folder, daily partitions for everything that follows report days."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return super().get_asset_key(dbt_resource_props)
        return dg.AssetKey([dbt_resource_props["config"]["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return str(dbt_resource_props["fqn"][1])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str]:
        return super().get_owners(dbt_resource_props) or DATA_ENGINEERING

    def get_partitions_def(
        self, dbt_resource_props: Mapping[str, Any]
    ) -> dg.PartitionsDefinition[str] | None:
        return report_days if follows_report_days(dbt_resource_props) else None

    def get_partition_mapping(
        self, dbt_resource_props: Mapping[str, Any], dbt_parent_resource_props: Mapping[str, Any]
    ) -> dg.PartitionMapping | None:
        days = dbt_resource_props["config"].get("meta", {}).get("rolling_days")
        if days and follows_report_days(dbt_parent_resource_props):
            return dg.TimeWindowPartitionMapping(
                start_offset=-int(days), end_offset=0, allow_nonexistent_upstream_partitions=True
            )
        return None

    def get_code_version(self, dbt_resource_props: Mapping[str, Any]) -> str:
        # dagster-dbt hashes only the model's own text; an edit of a macro, a variable, the model's contract
        # or how it is stored must show as a new version too.
        own = super().get_code_version(dbt_resource_props) or ""
        columns = {
            name: column.get("data_type") for name, column in dbt_resource_props.get("columns", {}).items()
        }
        declared = json.dumps([dbt_resource_props["config"], columns], sort_keys=True, default=str)
        shared = source_hash("dbt_project/macros", "dbt_project/dbt_project.yml")
        return f"{own[:12]}-{hashlib.sha256(declared.encode()).hexdigest()[:8]}-{shared}"

    def get_asset_check_spec(
        self,
        asset_spec: dg.AssetSpec,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: DbtProject | None,
    ) -> dg.AssetCheckSpec | None:
        # dagster-dbt looks for a test's words in its meta; dbt keeps them in its description.
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        words = manifest["nodes"][unique_id].get("description")
        return spec._replace(description=words) if spec and words else spec

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id)
        if node is None:  # a source: its own Python asset says all this
            return spec
        return spec.replace_attributes(
            freshness_policy=DATA_FRESHNESS,
            # Two signs at most: a third leaves no room for the table's name in the catalog.
            kinds={"dbt", "view" if node["config"]["materialized"] == "view" else "table"},
        )


class TransformConfig(dg.Config):
    """Launchpad options of the dbt assets."""

    full_refresh: bool = False


def dbt_arguments(first: date | None, last: date | None, full_refresh: bool) -> list[str]:
    """The dbt command for a range of report days (inclusive), or for everything."""
    # Unit tests try the SQL on made-up rows: the test suite's work, not a morning's.
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    if full_refresh:
        return [*arguments, "--full-refresh"]
    if first and last:
        window = {"min_date": first.isoformat(), "max_date": last.isoformat()}
        arguments += ["--vars", json.dumps(window)]
    return arguments


def ensure_manifest(environment: Environment) -> DbtProject:
    """The project with a manifest of exactly these sources; parsed again only when they changed.

    Raises:
        RuntimeError: the project does not parse; the message is dbt's own.
    """
    found = dbt_project(environment)
    target = found.manifest_path.parent
    target.mkdir(parents=True, exist_ok=True)
    with (target / "parsing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the webserver, the daemon and a shell may all start at once
        _parse_if_changed(found, environment)
    return found


def _parse_if_changed(found: DbtProject, environment: Environment) -> None:
    target, sources = found.manifest_path.parent, source_hash("dbt_project")
    if found.manifest_path.exists() and dbt_command.parsed_sources(target) == sources:
        return
    dbt_command.forget_parsed(target)
    # A partial parse forgets the words of tests whose SQL it reads anew while their YAML stayed as it was.
    command = [dbt_executable(), "--no-use-colors", "--no-partial-parse", "parse"]
    command += ["--target", environment.warehouse]
    command += ["--profiles-dir", str(DBT_FOLDER), "--target-path", str(target)]
    variables = {**os.environ, **dbt_environment(environment)}
    parsed = subprocess.run(
        command, cwd=DBT_FOLDER, env=variables, capture_output=True, text=True, check=False
    )
    if parsed.returncode:
        raise RuntimeError(f"dbt parse failed:\n{parsed.stdout[-4000:]}")
    dbt_command.mark_parsed(target, sources, variables)


project = ensure_manifest(read_environment())


def parsed_manifest() -> dict[str, Any]:
    """dbt's manifest of this environment, as it was when the graph was imported."""
    manifest: dict[str, Any] = json.loads(project.manifest_path.read_text(encoding="utf-8"))
    return manifest


@dbt_assets(
    manifest=project.manifest_path,
    project=project,
    select="fqn:*",
    exclude="tag:reporting",
    name="transform",
    dagster_dbt_translator=Translator(),
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool=WAREHOUSE_POOL,
)
def transform(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    warehouse: dg.ResourceParam[Warehouse],
    environment: dg.ResourceParam[Environment],
    config: TransformConfig,
) -> Iterator[Any]:
    """Staging views and marts for the run's report days."""
    first = last = None
    if context.has_partition_key_range:
        span = context.partition_key_range
        first, last = date.fromisoformat(span.start), date.fromisoformat(span.end)
    with tried_again_while_locked():
        state = ledger.ledger_state(warehouse, first, last) if first and last else None
        undated = ledger.undated_state(warehouse)
    yield from _build(context, dbt, warehouse, environment, dbt_arguments(first, last, config.full_refresh))
    if context.selected_asset_keys != context.assets_def.keys:
        return  # some tables of these days are as they were: the days still wait
    code = source_hash("dbt_project")
    with tried_again_while_locked():
        ledger.mark_transformed(warehouse, undated, ledger.UNDATED, ledger.UNDATED, code)
        if first and last and state is not None:
            ledger.mark_transformed(warehouse, state, first, last, code)


@dbt_assets(
    manifest=project.manifest_path,
    project=project,
    select="tag:reporting",
    name="reporting",
    dagster_dbt_translator=Translator(),
    pool=WAREHOUSE_POOL,
)
def reporting(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    warehouse: dg.ResourceParam[Warehouse],
    environment: dg.ResourceParam[Environment],
) -> Iterator[Any]:
    """Reporting views over model outputs; their tests look at the morning just decided."""
    morning = context.run.tags.get(PARTITION_TAG)
    day = date.fromisoformat(morning) if morning else None
    yield from _build(context, dbt, warehouse, environment, dbt_arguments(day, day, full_refresh=False))


def _build(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    warehouse: Warehouse,
    environment: Environment,
    arguments: list[str],
) -> Iterator[Any]:
    """Run dbt to its end, then report each model with its row count and column lineage.

    Events are held back until dbt has exited: counting rows while it runs would need the file it holds.
    """
    invocation = dbt.cli(arguments, context=context, raise_on_error=False)
    events = list(invocation.stream())
    error = invocation.get_error()
    if error and not (invocation.target_path / "manifest.json").exists():
        raise error  # dbt ended before its first node (a lock, credentials), and wrote nothing to report
    with tried_again_while_locked():
        facts = _facts(context, warehouse, environment, invocation.get_artifact("manifest.json"))
    if (invocation.target_path / "run_results.json").exists():  # else dbt ended before it ran anything
        costs = model_costs(invocation.get_artifact("run_results.json")["results"], environment)
        facts = {key: found | costs.get(key, {}) for key, found in facts.items()}
    built = {event.output_name for event in events if isinstance(event, dg.Output)}
    for key, (content, usage) in _contents(context, warehouse, built).items():
        context.set_data_version(key, dg.DataVersion(content))
        for name, number in usage.as_metadata().items():  # reading it is part of what it costs
            facts[key][name] = facts[key].get(name, 0) + number
    if not error:  # compiled SQL is kept only where someone must look at it
        shutil.rmtree(invocation.target_path, ignore_errors=True)
    last = context.partition_key_range.end if context.has_partition_key_range else None
    for key, found in facts.items():
        # Once, on the newest day: the same lineage on each of a year's days was most of a backfill's time.
        dated = last is not None and context.assets_def.specs_by_key[key].partitions_def is not None
        context.add_asset_metadata(found, asset_key=key, partition_key=last if dated else None)
    yield from events
    if error:
        raise error


def _contents(
    context: dg.AssetExecutionContext, warehouse: Warehouse, built: Collection[str]
) -> dict[dg.AssetKey, tuple[str, Usage]]:
    """Content of each `VERSIONED` table that was built, of the newest day where it has days; what that cost.

    Of that day alone: Dagster gives one version to all days of a run, and today's must not depend on which
    others were built with it. A change of an older day reaches the same models by `int_lever_daily`.
    """
    contents = {}
    for key in VERSIONED:
        if key.to_python_identifier() not in built:
            continue
        window: dict[str, Any] = {}
        if context.assets_def.specs_by_key[key].partitions_def is not None:
            if not context.has_partition_key_range:
                continue
            newest = date.fromisoformat(context.partition_key_range.end)
            window = {"partition": "date", "first": newest, "last": newest}
        before = spent()
        with tried_again_while_locked():
            content = content_version(warehouse.read(TableName(*key.path), **window))
        contents[key] = content, spent() - before
    return contents


def model_costs(
    results: Sequence[Mapping[str, Any]], environment: Environment
) -> dict[dg.AssetKey, dict[str, float | int]]:
    """What each model cost, as dbt reports it: seconds on DuckDB, bytes billed on BigQuery.

    Args:
        results: of dbt's `run_results.json`.
    """
    found = {}
    for result in results:
        if not result["unique_id"].startswith("model.") or not result.get("relation_name"):
            continue
        schema, table = (part.strip('`"') for part in result["relation_name"].split(".")[-2:])
        key = dg.AssetKey([schema.removeprefix(environment.dataset_prefix), table])
        billed = (result.get("adapter_response") or {}).get("bytes_billed") or 0
        seconds = float(result["execution_time"]) if environment.warehouse == "duckdb" else 0.0
        found[key] = Usage(seconds, int(billed)).as_metadata()
    return found


def _facts(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    environment: Environment,
    manifest: Mapping[str, Any],
) -> dict[dg.AssetKey, dict[str, Any]]:
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    names = {
        unique_id: f"{node['schema'].removeprefix(environment.dataset_prefix)}.{node['name']}"
        for unique_id, node in {**manifest["nodes"], **manifest["sources"]}.items()
    }
    keys = {name: dg.AssetKey(name.split(".")) for name in names.values()}
    selected = [node for node in nodes if keys[names[node["unique_id"]]] in context.selected_asset_keys]
    tables = [n for n in selected if n["config"]["materialized"] != "view"]
    counts = warehouse.row_counts([TableName.parse(names[n["unique_id"]]) for n in tables])
    parents = {
        node["unique_id"]: [names[parent] for parent in node["depends_on"]["nodes"] if parent in names]
        for node in selected
    }

    @functools.cache
    def catalogue() -> dict[str, dict[str, str]]:
        everyone = sorted({name for some in parents.values() for name in some})
        return warehouse.catalogue([TableName.parse(name) for name in everyone])

    def traced(node: Mapping[str, Any]) -> lineage.ModelLineage:
        upstream = {name: list(catalogue().get(name, {})) for name in parents[node["unique_id"]]}
        return lineage.model_lineage(
            node["compiled_code"], warehouse.dialect, upstream, environment.dataset_prefix
        )

    sources = source_hash("dbt_project")
    facts: dict[dg.AssetKey, dict[str, Any]] = {}
    for node in selected:
        name = names[node["unique_id"]]
        metadata: dict[str, Any] = {}
        if (count := counts.get(name)) is not None:
            metadata["dagster/row_count"] = count
        if node.get("compiled_code"):
            found = lineage.remembered(
                environment.dbt_target / "lineage",
                node["unique_id"],
                sources,
                functools.partial(traced, node),
            )
            if found:
                metadata["dagster/column_lineage"] = lineage.to_dagster(found, keys)
        facts[keys[name]] = metadata
    return facts
