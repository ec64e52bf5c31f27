"""Where Dagster keeps runs, events and schedules: SQLite in AELP_HOME, or PostgreSQL by AELP_DAGSTER_URL.

Here: the settings of the instance, written into DAGSTER_HOME, and what the processes of a deployment need to
know. Not here: opening it (`aelp_assets.runner`), Dagster's own storage, the control store
(`resources.control`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import sqlalchemy as sa
import yaml

from resources.databases import read_url
from resources.settings import PROJECT_ROOT, Environment, SettingsError

URL_VARIABLE = "AELP_DAGSTER_URL"
_CONNECT_SECONDS = 10


def instance_variables(environment: Environment) -> dict[str, str]:
    """What every process of the instance has in its environment: webserver, daemon, runs."""
    return {
        "DAGSTER_HOME": str(environment.dagster_home),
        # One "will build" event for a whole range of days instead of one per day and asset.
        "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "1",
        # The days of a range are written together (resources/event_log.py, and Dagster's own on PostgreSQL);
        # unset, Dagster writes each alone.
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
    }


def install_instance(environment: Environment, variables: Mapping[str, str] | None = None) -> None:
    """Write the `dagster.yaml` of this AELP_HOME: the project's, on PostgreSQL where the variables name one.

    The file names the variable, never the URL: it may hold a password.

    Raises:
        SettingsError: a URL of no PostgreSQL, or of one that cannot be reached; or none, where this home's
            instance is on one.
    """
    url = (os.environ if variables is None else variables).get(URL_VARIABLE)
    text = (PROJECT_ROOT / "dagster.yaml").read_text()
    installed = environment.dagster_home / "dagster.yaml"
    if url or is_on_postgresql(environment):
        require_postgresql(environment, url)
    if url:
        settings = yaml.safe_load(text)
        del settings["event_log_storage"]
        settings["storage"] = {"postgres": {"postgres_url": {"env": URL_VARIABLE}}}
        head = f"# The project's dagster.yaml with its storage on the PostgreSQL of {URL_VARIABLE}.\n"
        text = head + yaml.safe_dump(settings, sort_keys=False)
    environment.dagster_home.mkdir(parents=True, exist_ok=True)
    partial = environment.dagster_home / f".dagster.yaml.{os.getpid()}"
    partial.write_text(text)
    partial.replace(installed)  # a daemon may be reading it


def is_on_postgresql(environment: Environment) -> bool:
    """Whether the instance of this AELP_HOME, as it was installed, is on PostgreSQL."""
    installed = environment.dagster_home / "dagster.yaml"
    return installed.is_file() and URL_VARIABLE in installed.read_text()


def require_postgresql(environment: Environment, url: str | None) -> None:
    """Raises: SettingsError: no URL, one of no PostgreSQL, or of one that cannot be reached."""
    if not url:
        raise SettingsError(
            f"{URL_VARIABLE}: unset, but the instance of {environment.home} is on PostgreSQL, with its "
            "runs and events. Set it, as the services have it. To go back to SQLite, which knows none of "
            f"them, delete {environment.dagster_home / 'dagster.yaml'}."
        )
    try:
        told = read_url(url)
    except sa.exc.ArgumentError:
        told = None
    # Dagster reads the variable itself, and SQLAlchemy takes a bare `postgresql` for a driver that is not
    # installed here.
    if told is None or not url.startswith("postgresql+psycopg2://"):
        raise SettingsError(
            f"{URL_VARIABLE}: must be a URL of PostgreSQL that names its driver: "
            "postgresql+psycopg2://user:password@host/database (an @ of the password as %40)"
        )
    hurried = told.set(query={"connect_timeout": str(_CONNECT_SECONDS), **told.query})
    engine = sa.create_engine(hurried, poolclass=sa.pool.NullPool)
    try:
        engine.connect().close()
    except sa.exc.DBAPIError as error:
        said = str(error.orig).strip().partition("\n")[0]
        shown = told.set(query={}).render_as_string()  # the query may hold a password too
        raise SettingsError(
            f"The Dagster instance {shown} cannot be opened: {said}. {URL_VARIABLE} must name a database in "
            "which tables may be created."
        ) from None
