"""`aelp looker`: the LookML that analysts open, from the semantic models of dbt.

Here: words and exit codes. Not here: what is generated (`resources.looker`).
"""

from __future__ import annotations

from typing import Annotated

import typer


def looker(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 where anything differs.")
    ] = False,
) -> None:
    """Write looker/generated from the metrics in dbt_project/models/semantic, and check what refines it."""
    from aelp_assets.transform import parsed_manifest
    from resources.looker import FOLDER
    from resources.looker.lookml import render
    from resources.looker.project import differences, refinement_faults, write_generated
    from resources.looker.semantics import SemanticsError, read_views

    try:
        files = render(read_views(parsed_manifest()))
    except SemanticsError as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from None
    wrong = refinement_faults(FOLDER, files)
    if check:
        wrong = differences(FOLDER, files) + wrong
    else:
        changed = write_generated(FOLDER, files)
        typer.echo(f"{len(files)} files in {FOLDER / 'generated'}, {len(changed)} of them changed.")
    if wrong:
        typer.echo("\n".join(wrong), err=True)
        if check:
            typer.echo("`aelp looker` writes what is generated; refinements are mended by hand.", err=True)
        raise typer.Exit(1)
