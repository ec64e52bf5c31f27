"""`aelp looker` and `aelp docs`: what analysts open, from the dbt project.

Here: words and exit codes. Not here: what is generated (`resources.looker`, `aelp_assets.dbt_docs`).
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


def docs() -> None:
    """Write dbt's documentation of this warehouse as one file that opens without a server or a network."""
    from aelp_assets.dbt_docs import write_docs
    from resources.settings import read_environment

    try:
        typer.echo(f"Open {write_docs(read_environment())} in a browser.")
    except RuntimeError as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from None
