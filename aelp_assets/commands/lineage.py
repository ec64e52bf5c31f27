"""`aelp lineage`: from a column back to the landed columns it is computed from.

Here: words, options, exit codes. Not here: following it (`aelp_assets.column_trace`).
"""

from __future__ import annotations

import json
from typing import Annotated

import typer


def lineage(
    about: Annotated[str, typer.Argument(help="SCHEMA.TABLE.COLUMN, such as ops.proposals.proposed_budget.")],
    as_json: Annotated[bool, typer.Option("--json", help="As a document.")] = False,
) -> None:
    """Say which columns a column is computed from, through SQL and Python, back to what was landed."""
    from aelp_assets.column_trace import dead_ends, makers_of, read_lineage, trace
    from resources.settings import read_environment

    table, _, column = about.rpartition(".")
    known = read_lineage(read_environment())
    try:
        steps = trace(known, (table, column))
    except KeyError:
        said = (
            "its SQL has not been run since it changed: `aelp run`"
            if table in known.unknown
            else "no such column"
        )
        raise typer.BadParameter(f"{about}: {said}") from None
    if as_json:
        typer.echo(json.dumps([vars(step) | {"columns": list(step.columns)} for step in steps], indent=1))
        return
    for step in steps[1:]:
        typer.echo(f"{step.distance:3}  {step.table}: {', '.join(step.columns)}")
    if makers := makers_of((table, column)):
        typer.echo(f"Made by {', '.join(makers)}" + (" as well." if len(steps) > 1 else "."))
    for name in sorted({name for name, _ in dead_ends(known, steps)}):
        typer.echo(
            f"Not to be told: what {name} is computed from; its SQL has not been run since it changed."
        )
