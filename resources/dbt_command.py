"""`dbt`, on the project as it was last parsed: `python -m resources.dbt_command build …`.

Here: handing dbt a manifest that is known to fit. Not here: when it fits (`aelp_assets.transform`), any
command of its own. dbt parses the whole project again (2 s) whenever a variable or the path of the DuckDB
file differs from the last parse, and every morning names other days. Parsing reads neither: they are used
when models run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dbt.cli.main import cli
from dbt.contracts.graph.manifest import Manifest
from dbt.parser.manifest import extended_mashumuro_decoder as _decoder  # dbt's spelling

PARSED_PROJECT = "AELP_DBT_PARSED"
"""The variable that names dbt's own saved manifest (`partial_parse.msgpack`); unset: dbt parses."""


def main() -> None:
    """Run dbt with this process's arguments; its output and exit codes are dbt's own."""
    saved = os.environ.get(PARSED_PROJECT)
    given = {"manifest": Manifest.from_msgpack(Path(saved).read_bytes(), _decoder)} if saved else {}
    sys.argv[0] = "dbt"
    cli(obj=given)


if __name__ == "__main__":
    main()
