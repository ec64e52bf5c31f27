"""`aelp lineage`: from a column back to the landed columns it is computed from.

Here: words, options, exit codes. Not here: following it (`aelp_assets.column_trace`).
"""

from __future__ import annotations

import json
from typing import Annotated

import typer


def lineage(
    about: Annotated[
        str,
        typer.Argument(help="TABLE.COLUMN, such as ads_ad_daily.cost; the schema where two are called so."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As a document.")] = False,
) -> None:
    """Say which columns a column is computed from, through SQL and Python, back to what was landed."""
    from aelp_assets.column_trace import dead_ends, makers_of, of_no_column, read_lineage, trace
    from resources.settings import read_environment

    known = read_lineage(read_environment())
    asked, _, column = about.rpartition(".")
    table = known.named(asked)
    try:
        steps = trace(known, (table, column))
    except KeyError:
        raise typer.BadParameter(f"{about}: {known.why_not(table) or 'no such column'}") from None
    makers = makers_of((table, column))
    counted = {f"{name}.{made}": list(known.reads[name]) for name, made in of_no_column(known, steps)}
    gaps = sorted({name for name, _ in dead_ends(known, steps)})
    if as_json:
        walked = [vars(step) | {"columns": list(step.columns)} for step in steps]
        told = {"steps": walked, "made_by": makers, "of_no_column": counted, "not_to_be_told": gaps}
        typer.echo(json.dumps(told, indent=1))
        return
    for step in steps[1:]:
        typer.echo(f"{step.distance:3}  {step.table}: {', '.join(step.columns)}")
    for made, read in counted.items():
        typer.echo(
            f"{made} is of no column: it counts rows, or is a constant. Its SQL reads {', '.join(read)}."
        )
    if makers:
        typer.echo(f"Made by {', '.join(makers)}" + (" as well." if len(steps) > 1 else "."))
    for name in gaps:
        why = known.why_not(name)
        typer.echo(f"Not to be told: what {name} is computed from" + (f"; {why}." if why else "."))
