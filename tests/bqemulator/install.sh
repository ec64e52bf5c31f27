#!/usr/bin/env bash
# Install the BigQuery emulator into an environment of its own (it needs another DuckDB than the project):
#   PYTHON=python3 tests/bqemulator/install.sh .venv-bqemulator
# Every package comes from the hashed lock. The emulator would download DuckDB's spatial extension at start;
# the lock brings it as a wheel, and this links it where DuckDB looks below the emulator's HOME.
set -euo pipefail

project="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
environment="${1:?the folder of the environment to make}"

rm -rf "$environment"
"${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement "$project/requirements-bqemulator.lock"

"$environment/bin/python" - "$environment/home" <<'PYTHON'
import sys
from pathlib import Path

import duckdb
import duckdb_extension_spatial

(version,) = duckdb.sql("SELECT library_version FROM pragma_version()").fetchone()
(platform,) = duckdb.sql("PRAGMA platform").fetchone()
wheel = Path(duckdb_extension_spatial.__file__).parent / "extensions" / version / "spatial.duckdb_extension"
place = Path(sys.argv[1]).resolve() / ".duckdb" / "extensions" / version / platform
place.mkdir(parents=True)
(place / wheel.name).symlink_to(wheel)
PYTHON
