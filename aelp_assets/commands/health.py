"""`aelp status`: one screen of how everything does, and an exit code a machine can watch.

Here: options, exit codes, what is said where the warehouse is busy. Not here: what is healthy
(`aelp_assets.health`), the table of live sources (`aelp_assets.status`).
"""

from __future__ import annotations

from typing import Annotated

import typer


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for a machine.")] = False,
) -> None:
    """Show how everything does; exit code 1 where something needs a person.

    What waits for whom, the daemon, each job's last run, failed checks, late tables, the warehouse, and each
    live source: credentials, newest day, lag, service level, retry queue, last error.
    """
    from resources.clock import clock_from_environment
    from resources.home import recall_context
    from resources.settings import load_settings, read_environment

    recall_context(read_environment())  # a simulated morning is looked at in its own time
    environment = read_environment()
    settings = load_settings(environment.settings_path)
    clock = clock_from_environment()

    from aelp_assets.definitions import build_defs
    from aelp_assets.file_report import terminal
    from aelp_assets.health import patient_warehouse, read_health
    from aelp_assets.health_report import as_json as in_json
    from aelp_assets.health_report import print_health
    from aelp_assets.status import print_status, source_status
    from resources.connectors.registry import open_sources
    from resources.warehouse.interface import WarehouseLocked

    found = read_health(environment, settings, clock, build_defs())
    sources, warehouse = open_sources(environment, settings, clock), patient_warehouse(environment)
    if as_json:
        try:
            rows = source_status(warehouse, sources, clock.now()) if found.store.is_readable else None
        except WarehouseLocked:  # a run took it in between
            rows = None
        typer.echo(in_json(found, rows))
    else:
        console = terminal()
        print_health(console, found, settings.timezone)
        try:
            if found.store.is_readable:
                print_status(console, warehouse, sources, clock.now())
            else:
                console.print("Live sources: not asked while the warehouse cannot be read.")
        except WarehouseLocked:  # a run took it in between
            console.print("Live sources: the warehouse has just become busy.")
    if not found.is_well:
        raise typer.Exit(1)
