"""`aelp backup`, `aelp restore`: the decisions of people in one file, and back.

Here: the words. Not here: the file (`resources.control.backups`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from resources.control.backups import Backup


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it; a new file.", metavar="FILE")],
) -> None:
    """Copy the control store (proposals, approvals, changes, kill switch, retry queue) into one file."""
    from resources.clock import clock_from_environment
    from resources.control.backups import write_backup
    from resources.control.records import Refused
    from resources.control.store import has_control_store, open_control_store, shown_url
    from resources.settings import read_environment

    url = _url()
    if not has_control_store(url):  # opened, it would be made, and every night's backup would be of nothing
        raise Refused(
            f"There is no control store at {shown_url(url)}, so nothing to back up. Check AELP_HOME and "
            "AELP_CONTROL_URL."
        )
    written = write_backup(open_control_store(url), file, clock_from_environment().now())
    typer.echo(f"{file}: {_told(written)}\nsha256 {written.sha256}")
    typer.echo(
        f"What decisions rested on lies beside it, each under its hash and never changed: copy "
        f"{read_environment().artifacts} as it is."
    )


def restore(file: Annotated[Path, typer.Argument(help="Of `aelp backup`.", metavar="FILE")]) -> None:
    """Fill an empty control store from a backup: all of it, or nothing; the kill switch is on in it."""
    from resources.clock import clock_from_environment
    from resources.control.backups import restore_backup, waiting
    from resources.control.records import killed
    from resources.control.store import open_control_store

    engine = open_control_store(_url())
    restored = restore_backup(engine, file, clock_from_environment().now())
    typer.echo(f"Restored from {file}: {_told(restored)}")
    with engine.begin() as connection:
        typer.echo(killed(connection))
        unsent = waiting(connection)
    if unsent:
        typer.echo(
            f"{unsent} approved changes had not been sent then; they may have been sent, or undone, since. "
            "Compare `aelp changes` with the platform, then `aelp kill off --by … --reason …` lets them go; "
            "after it, and before anything sends, `aelp rollback CHANGE --by … --reason …` takes back one "
            "that must not."
        )
    else:
        typer.echo("Nothing waited to be sent then. `aelp kill off --by … --reason …` lets everything go on.")


def _url() -> str:
    from resources.control.store import control_url
    from resources.settings import read_environment

    return control_url(read_environment().home, os.environ)


def _told(found: Backup) -> str:
    rows = [f"{count:,} {name.replace('_', ' ')}" for name, count in found.rows.items() if count]
    return f"as of {found.taken_at:%Y-%m-%d %H:%M} UTC, {', '.join(rows) or 'nothing decided yet'}"
