"""`aelp run` as it is, with a second thread that notes what the main thread is busy with.

Here: attributing a run's wall time to warehouse, models, dbt, Dagster, … by looking at its stack. Not here:
any change of what runs. Usage: python -m benchmarks.sampled_run REPORT.json
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

_BORN = time.perf_counter()
_BORN_AT = datetime.now(UTC)

import json  # noqa: E402 - the clock starts before anything else is imported
import sys  # noqa: E402
import threading  # noqa: E402
from collections import defaultdict  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from types import FrameType  # noqa: E402
from typing import Any  # noqa: E402

_INTERVAL = 0.01
_PROJECT = str(Path(__file__).resolve().parent.parent)

# The innermost frame that says what is going on decides. Order matters within one frame only.
_PLACES = (
    ("<frozen importlib", "start-up"),
    ("resources/warehouse/", "warehouse"),
    ("resources/files/", "landing"),
    ("resources/event_log.py", "dagster events"),
    ("dagster/_core/storage/", "dagster events"),
    ("dagster_dbt/core/dbt_cli_invocation.py", "dbt"),
    ("aelp_assets/plots/", "plots and previews"),
    ("aelp_assets/metadata.py", "plots and previews"),
    ("aelp_assets/lineage.py", "column lineage"),
    ("aelp_assets/summary.py", "printed summary"),
    ("aelp_assets/artifacts.py", "models"),
    (f"{_PROJECT}/models/", "models"),
    ("dagster_dbt/", "dagster"),
    ("site-packages/dagster", "dagster"),
)
WORK = ("landing", "warehouse", "dbt", "models")
"""Places that are warehouse and model work; the rest is start-up, Dagster, pictures, the analysts' copy."""


class Sampler(threading.Thread):
    """Looks at one thread's stack every hundredth of a second; adds the time since to where it is."""

    def __init__(self, watched: int, place: Callable[[FrameType | None], str] | None = None) -> None:
        super().__init__(daemon=True)
        self._place = place or _place
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.stage = "start-up"
        self._watched = watched
        self._done = threading.Event()

    def run(self) -> None:
        last = _BORN
        while not self._done.wait(_INTERVAL):
            frame = sys._current_frames().get(self._watched)
            now = time.perf_counter()
            self.seconds[self.stage, self._place(frame)] += now - last
            last = now

    def stop(self) -> None:
        self._done.set()
        self.join()


def innermost(frame: FrameType | None, places: Sequence[tuple[str, str]]) -> str:
    """The place of the innermost frame whose file name holds one of the parts."""
    while frame is not None:
        name = frame.f_code.co_filename
        if frame.f_code.co_name == "publish" and "resources/warehouse/" in name:
            return "analyst copy"
        for part, place in places:
            if part in name:
                return place
        frame = frame.f_back
    return "other"


def _place(frame: FrameType | None) -> str:
    return innermost(frame, _PLACES)


def main(report: Path) -> None:
    """Run `aelp run` in this process and write what it did to `report`.

    Raises:
        SystemExit: the run failed.
    """
    sampler = Sampler(threading.get_ident())
    sampler.start()

    from aelp_assets import cli, runner

    facts: dict[str, Any] = {}
    execute, morning = runner._execute, runner.run_morning

    def staged_execute(defs: Any, instance: Any, job: str, *rest: Any) -> Any:
        sampler.stage = job
        try:
            return execute(defs, instance, job, *rest)
        finally:
            sampler.stage = "between jobs"

    def noted_morning(defs: Any, instance: Any, *rest: Any) -> runner.Morning:
        sampler.stage = "between jobs"
        done = morning(defs, instance, *rest)
        sampler.stage = "reading the event log"
        facts["stages"] = done.seconds
        facts["decided"] = [day.isoformat() for day in done.decided]
        facts.update(_events(instance))
        sampler.stage = "summary"
        return done

    runner._execute = staged_execute  # type: ignore[assignment]
    runner.run_morning = noted_morning  # type: ignore[assignment]
    try:
        cli.app(["run"], standalone_mode=False)
    finally:
        sampler.stop()
    if "stages" not in facts:
        raise SystemExit("the run ended before its morning did")
    facts["sampled"] = [
        {"stage": stage, "place": place, "seconds": round(seconds, 3)}
        for (stage, place), seconds in sorted(sampler.seconds.items())
        if stage != "reading the event log"
    ]
    report.write_text(json.dumps(facts, indent=1))


def _events(instance: Any) -> dict[str, Any]:
    """Steps with their seconds, how many events each run wrote, and dbt's own time per node."""
    from dagster import DagsterEventType, RunsFilter

    runs: dict[str, int] = {}
    steps: dict[str, float] = {}
    nodes: dict[str, dict[str, float]] = {}
    for run in instance.get_runs(filters=RunsFilter(created_after=_BORN_AT)):
        events = [entry for entry in instance.all_logs(run.run_id) if entry.is_dagster_event]
        runs[run.job_name] = runs.get(run.job_name, 0) + len(events)
        for entry in events:
            event = entry.get_dagster_event()
            if event.event_type == DagsterEventType.STEP_SUCCESS:
                steps[f"{run.job_name}.{event.step_key}"] = event.step_success_data.duration_ms / 1000
            elif event.event_type == DagsterEventType.ASSET_MATERIALIZATION:
                _note_node(nodes, "models", event.step_materialization_data.materialization.metadata)
            elif event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
                _note_node(nodes, "tests", event.asset_check_evaluation_data.metadata)
    seconds = {kind: sum(found.values()) for kind, found in nodes.items()}
    return {"events": runs, "steps": steps, "dbt_node_seconds": seconds, "dbt_nodes": nodes}


def _note_node(nodes: dict[str, dict[str, float]], kind: str, metadata: Any) -> None:
    # dagster-dbt repeats a node's facts on each day of a range; each counts once.
    if "unique_id" in metadata and "Execution Duration" in metadata:
        duration = float(metadata["Execution Duration"].value)
        nodes.setdefault(kind, {})[str(metadata["unique_id"].value)] = duration


if __name__ == "__main__":
    main(Path(sys.argv[1]))
