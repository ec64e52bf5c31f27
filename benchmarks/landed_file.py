"""One landing of this environment's drop folder, as `land_files` runs it, with time and memory of each half.

Here: plan, fetch and publish in one process. Not here: what was dropped, and what arrived (`large_file`).
Usage: python -m benchmarks.landed_file REPORT.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from aelp_assets.ingest.file_drop import open_drop
from resources.clock import clock_from_environment
from resources.files.landing import fetch_landing, plan_landing, publish_landing
from resources.settings import load_settings, read_environment
from resources.warehouse import open_warehouse


def main(report: Path) -> None:
    """Land what is dropped and write what it took to `report`.

    Raises:
        SystemExit: a file was not loaded.
    """
    environment = read_environment()
    settings = load_settings(environment.settings_path)
    warehouse = open_warehouse(environment)
    drop = open_drop(environment, settings, clock_from_environment())
    started = time.perf_counter()
    plan = plan_landing(drop, warehouse)
    fetched = fetch_landing(drop, plan)
    read = time.perf_counter()
    reading_peak = _peak_bytes()
    landed = publish_landing(drop, plan, fetched, warehouse, settings.track_rules)
    published = time.perf_counter()
    if [file.outcome for file in landed.files] != ["loaded"]:
        raise SystemExit("\n".join(landed.lines()))
    facts = {"reading": read - started, "publishing": published - read, "reading_peak": reading_peak}
    report.write_text(json.dumps(facts, indent=1))


def _peak_bytes() -> int:
    """The most memory this process held so far; `ru_maxrss` would know of its parent's, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
