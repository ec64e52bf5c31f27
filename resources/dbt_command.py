"""`dbt`, on the project as it was last parsed: `python -m resources.dbt_command build …`.

Here: handing dbt a saved manifest that fits, and ending with the run that asked. Not here: when the project
is parsed (`aelp_assets.transform`), any command of its own. dbt parses everything again (2 s) whenever a
variable or the path of the DuckDB file differs from the last parse, and every morning names other days.
Parsing reads neither: they are used when models run.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

PARSED_PROJECT = "AELP_DBT_PARSED"
"""The variable that names the folder of the last parse; unset: dbt parses."""
_MARK = "parsed.json"
_PARSING_READS = ("AELP_DATASET_PREFIX", "AELP_BIGQUERY_PROJECT", "AELP_BIGQUERY_ENDPOINT")


def mark_parsed(folder: Path, sources: str, variables: Mapping[str, str]) -> None:
    """Say that `folder` holds a parse of the sources with this hash, made with these variables."""
    mark = {"sources": sources, "made_with": _made_with(variables)}
    (folder / _MARK).write_text(json.dumps(mark))


def forget_parsed(folder: Path) -> None:
    """Take that back, before another parse is written there."""
    (folder / _MARK).unlink(missing_ok=True)


def parsed_sources(folder: Path) -> str | None:
    """Hash of the sources whose parse `folder` holds; None where it holds none."""
    mark = folder / _MARK
    return str(json.loads(mark.read_text())["sources"]) if mark.exists() else None


def _fits(folder: Path) -> bool:
    mark = folder / _MARK
    return mark.exists() and json.loads(mark.read_text())["made_with"] == _made_with(os.environ)


def _made_with(variables: Mapping[str, str]) -> dict[str, str]:
    """Everything but the sources that decides what parsing gives: packages and variables."""
    packages = {name: version(name) for name in ("dbt-core", "dbt-duckdb", "dbt-bigquery")}
    return packages | {name: variables.get(name, "") for name in _PARSING_READS}


def _end_with(parent: int) -> None:
    """Be gone within a moment of the process that started this one.

    After a kill -9 of the run, an orphaned dbt would build on and hold the DuckDB file against the next run.
    """
    while os.getppid() == parent:
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run dbt with this process's arguments; its output and exit codes are dbt's own."""
    started_by = os.getppid()  # before the seconds that importing dbt takes
    gc.disable()  # nothing loaded here is ever garbage: looking for some took 0.4 s of 2.5 s
    from dbt.cli.main import cli  # noqa: PLC0415 - 1 s, for this process only
    from dbt.contracts.graph.manifest import Manifest  # noqa: PLC0415
    from dbt.parser.manifest import extended_mashumuro_decoder  # noqa: PLC0415 - dbt's spelling

    threading.Thread(target=_end_with, args=(started_by,), daemon=True).start()
    folder = Path(os.environ[PARSED_PROJECT]) if os.environ.get(PARSED_PROJECT) else None
    given = {}
    if folder is not None and _fits(folder):
        saved = (folder / "partial_parse.msgpack").read_bytes()
        given["manifest"] = Manifest.from_msgpack(saved, decoder=extended_mashumuro_decoder)
    gc.freeze()
    gc.enable()
    sys.argv[0] = "dbt"
    cli(obj=given)


if __name__ == "__main__":
    main()
