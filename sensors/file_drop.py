"""New or changed files in the drop folder wake a landing.

Here: what the folder looks like, remembered between ticks. Not here: reading files.
"""

import hashlib
import json

import dagster as dg
import fsspec

from aelp_assets.jobs import land_files
from resources.settings import Environment


@dg.sensor(
    job=land_files,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests a landing whenever a file appears or changes in the drop folder.",
)
def dropped_files(
    context: dg.SensorEvaluationContext, environment: dg.ResourceParam[Environment]
) -> dg.SensorResult:
    """One landing per state of the folder; the landing itself leaves alone what is still being written."""
    state = folder_state(str(environment.drop_folder))
    if state is None:
        return dg.SensorResult(skip_reason="the drop folder is empty", cursor=context.cursor)
    if read_cursor(context.cursor) == state:
        return dg.SensorResult(skip_reason="no file changed", cursor=context.cursor)
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"landing-{state}")], cursor=json.dumps({"folder": state})
    )


def folder_state(folder: str) -> str | None:
    """Hash of every file's path, size and modification time; None for an empty or absent folder."""
    filesystem, root = fsspec.core.url_to_fs(folder)
    if not filesystem.exists(root):
        return None
    found = filesystem.find(root, detail=True)
    facts = sorted(
        (path, info.get("size"), str(info.get("mtime") or info.get("updated") or info.get("ETag")))
        for path, info in found.items()
    )
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16] if facts else None


def read_cursor(text: str | None) -> str | None:
    """The folder's state at the last request; an unreadable cursor is a first tick."""
    try:
        cursor = json.loads(text or "{}")
    except json.JSONDecodeError:
        return None
    return cursor.get("folder") if isinstance(cursor, dict) else None
