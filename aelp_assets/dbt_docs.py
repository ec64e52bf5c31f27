"""dbt's documentation as one page: models, columns and their types, tests, lineage, metrics.

Here: the call to dbt and where the page goes. Not here: the words (YAML in `dbt_project`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from aelp_assets.transform import DBT_FOLDER, dbt_environment, ensure_manifest
from resources.settings import Environment
from resources.whole_files import write_whole


def write_docs(environment: Environment) -> Path:
    """Make `$AELP_HOME/docs/index.html`; reads the warehouse's catalogue and changes nothing in it.

    Raises:
        RuntimeError: dbt failed, for instance because a run holds the DuckDB file; the message is its own.
    """
    ensure_manifest(environment)
    with TemporaryDirectory(prefix="aelp-docs-") as target:
        command = [sys.executable, "-m", "resources.dbt_command", "--no-use-colors"]
        command += ["docs", "generate", "--static", "--target", environment.warehouse]
        command += ["--profiles-dir", str(DBT_FOLDER), "--target-path", target]
        made = subprocess.run(
            command,
            cwd=DBT_FOLDER,
            env={**os.environ, **dbt_environment(environment), "DBT_LOG_PATH": target},
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(f"dbt docs generate failed:\n{made.stdout[-4000:]}{made.stderr[-2000:]}")
        page = environment.home / "docs" / "index.html"
        write_whole(page, (Path(target) / "static_index.html").read_bytes())
    return page
