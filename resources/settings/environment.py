"""Where this process reads and writes, by its `AELP_*` variables.

Here: the folders, the warehouse, the drop folder. Not here: business rules (`document.py` and its sections),
secrets (read where they are used).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

import fsspec
from pydantic import BaseModel, ConfigDict

from resources.settings.values import SettingsError


class Environment(BaseModel):
    """Where this process reads and writes; everything secret or machine-specific lives here.

    `drop_folder` is an absolute path or any fsspec URL (`s3://bucket/exports`).
    """

    model_config = ConfigDict(frozen=True)

    home: Path
    settings_path: Path
    drop_folder: str
    warehouse: Literal["duckdb", "bigquery"]
    dataset_prefix: str
    bigquery_project: str | None
    bigquery_location: str
    bigquery_endpoint: str | None
    bigquery_storage_endpoint: str | None

    @property
    def duckdb_path(self) -> Path:
        return self.home / "warehouse.duckdb"

    @property
    def dbt_target(self) -> Path:
        """dbt's parse of the project, which names tables: each warehouse and prefix has its own."""
        return PROJECT_ROOT / "dbt_project" / "target" / f"{self.dataset_prefix}{self.warehouse}"

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"


PROJECT_ROOT = Path(__file__).resolve().parents[2]


def read_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Read the `AELP_*` variables (defaults: `.aelp/` in the project, DuckDB).

    Raises:
        SettingsError: a relative AELP_HOME, an unknown warehouse, BigQuery without a project, or a prefix
            that is no name.
    """
    env = dict(os.environ) if variables is None else variables
    home = Path(env.get("AELP_HOME") or PROJECT_ROOT / ".aelp")
    if not home.is_absolute():
        raise SettingsError(f"AELP_HOME: must be an absolute path (found {str(home)!r})")
    warehouse = env.get("AELP_WAREHOUSE") or "duckdb"
    if warehouse not in ("duckdb", "bigquery"):
        raise SettingsError(f"AELP_WAREHOUSE: must be duckdb or bigquery (found {warehouse!r})")
    project = env.get("AELP_BIGQUERY_PROJECT") or None
    if warehouse == "bigquery" and project is None:
        raise SettingsError("AELP_BIGQUERY_PROJECT: required when AELP_WAREHOUSE=bigquery")
    prefix = env.get("AELP_DATASET_PREFIX") or ""
    if not re.fullmatch("([A-Za-z_][A-Za-z0-9_]{0,63})?", prefix):
        raise SettingsError(
            f"AELP_DATASET_PREFIX: letters, digits and _ only, no digit first (found {prefix!r})"
        )
    return Environment(
        home=home,
        settings_path=Path(env.get("AELP_SETTINGS") or PROJECT_ROOT / "aelp.yaml"),
        drop_folder=_drop_folder(env["AELP_DROP"]) if env.get("AELP_DROP") else str(home / "drop"),
        warehouse=cast(Literal["duckdb", "bigquery"], warehouse),
        dataset_prefix=prefix,
        bigquery_project=project,
        bigquery_location=env.get("AELP_BIGQUERY_LOCATION") or "US",
        bigquery_endpoint=env.get("AELP_BIGQUERY_ENDPOINT") or None,
        bigquery_storage_endpoint=env.get("AELP_BIGQUERY_STORAGE_ENDPOINT") or None,
    )


def _drop_folder(named: str) -> str:
    """A URL as it is, a local path made absolute."""
    return named if "://" in named else str(Path(named).absolute())


def require_drop_folder(environment: Environment) -> None:
    """Refuse a drop folder that was named and cannot be read: landing it would say that all is well.

    The default one may be absent: nothing has been dropped yet.

    Raises:
        SettingsError: no such local folder, a file, or a URL of a store nothing installed here can read.
    """
    named = environment.drop_folder
    if named == str(environment.home / "drop"):
        return
    protocol, separator, place = named.partition("://")
    if separator and protocol not in ("file", "local"):
        try:
            fsspec.get_filesystem_class(protocol)
        except (ImportError, ValueError) as fault:
            raise SettingsError(f"AELP_DROP: {named} cannot be read: {fault}") from None
        return
    folder = Path(place if separator else named)
    if folder.is_file():
        raise SettingsError(f"AELP_DROP: {named} is a file; name the folder it lies in")
    if not folder.is_dir():
        raise SettingsError(f"AELP_DROP: {named}: no such folder. Create it, or unset AELP_DROP.")
