"""`aelp prepare`: what must be there before Dagster's webserver and daemon are started as services.

Here: the words. Not here: the instance's settings (`aelp_assets.instance`), starting anything
(deploy/README.md says how).
"""

from __future__ import annotations

import os

import typer


def prepare() -> None:
    """Install the Dagster instance, create missing tables, print the variables its services need.

    The lines are those of an environment file; nothing secret is among them.
    """
    from aelp_assets.instance import instance_variables
    from aelp_assets.runner import open_instance, prepare_warehouse
    from resources.control.store import control_url, open_control_store
    from resources.settings import load_settings, read_environment, require_drop_folder
    from resources.warehouse import open_warehouse

    environment = read_environment()
    load_settings(environment.settings_path)
    require_drop_folder(environment)
    # Two services that both create the tables of an empty instance leave it unreadable for good: two rows in
    # SQLite's alembic_version.
    open_instance(environment).dispose()
    open_control_store(control_url(environment.home, os.environ)).dispose()
    prepare_warehouse(open_warehouse(environment))
    for name, value in {"AELP_HOME": str(environment.home), **instance_variables(environment)}.items():
        typer.echo(f"{name}={value}")
