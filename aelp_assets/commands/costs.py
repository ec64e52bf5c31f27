"""`aelp costs`: which tables cost most to make.

Here: options and words. Not here: the sums (`aelp_assets.costs`).
"""

from __future__ import annotations

from typing import Annotated

import typer


def costs(
    days: Annotated[int, typer.Option(min=1, help="Of the last so many days.")] = 7,
    top: Annotated[int, typer.Option(min=1, help="So many tables by name.")] = 15,
) -> None:
    """Show what each table cost to make: seconds on DuckDB, bytes billed on BigQuery."""
    from datetime import timedelta

    from aelp_assets.costs import print_costs, read_costs
    from aelp_assets.file_report import terminal
    from aelp_assets.machinery import existing_instance
    from resources.clock import SystemClock
    from resources.settings import read_environment

    instance = existing_instance(read_environment())
    if instance is None:
        typer.echo("Nothing has run in this AELP_HOME yet.")
        return
    with instance:  # its records carry the machine's clock
        print_costs(terminal(), read_costs(instance, SystemClock().now() - timedelta(days=days)), top)
