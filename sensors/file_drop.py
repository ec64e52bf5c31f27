"""New or changed files in the drop folder, changed settings, or a new week wake a landing.

Here: what folder and settings look like, remembered between ticks. Not here: reading files.
"""

import hashlib
import json
from datetime import timedelta

import dagster as dg
import fsspec

from aelp_assets.jobs import land_files
from resources.clock import Clock
from resources.settings import Environment, Settings
from sensors.attempts import MAX_ATTEMPTS, attempt_key, is_under_way, newest_run, what_became_of


@dg.sensor(
    job=land_files,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests a landing whenever a file of the drop folder or the settings changed, and weekly.",
)
def dropped_files(
    context: dg.SensorEvaluationContext,
    environment: dg.ResourceParam[Environment],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.SensorResult:
    """One landing per week and state of folder and settings; while it fails, `MAX_ATTEMPTS` at most.

    The landing itself leaves alone what is still being written. It also writes the settings' rules, such as
    which campaign belongs to which track, into the warehouse: without one in a home that only pulls, and
    drops nothing, no campaign had a track and nothing was ever decided; and without one each week the media
    mix, whose weeks it writes too, knew no newer week (both found by the simulated month).

    A state that comes back, as of settings that were tried for a day, is landed again: the landing it came
    after is in the key.
    """

    def skip(reason: str) -> dg.SensorResult:
        return dg.SensorResult(skip_reason=reason, cursor=context.cursor)

    today = clock.now().astimezone(settings.timezone).date()
    week = today - timedelta(days=(today.weekday() - settings.media_mix.first_weekday) % 7)
    state = f"{folder_state(environment.drop_folder) or 'nothing'}-{settings.content_hash[:8]}-{week}"
    if is_under_way(context.instance, land_files.name):
        return skip("a landing is under way")
    # The newest landing, not only this sensor's: one from a shell has read the same folder since.
    last = newest_run(context.instance, land_files.name)
    asked_for, attempts = read_cursor(context.cursor)
    if asked_for != state:
        attempts = 0
    else:
        if last is None or last.is_success:
            return skip("no file, setting or week is new since the last landing")
        fate = f"the last landing {what_became_of(last)}"
        if last.status == dg.DagsterRunStatus.CANCELED:
            return skip(f"{fate}; relaunch it, or change a file or the settings")
        if attempts >= MAX_ATTEMPTS:
            return skip(
                f"files are not landed: {fate} after {attempts} attempts; fix the cause its log names and "
                "relaunch it, or change a file or the settings"
            )
    cursor = json.dumps({"attempts": attempts + 1, "folder": state}, sort_keys=True)
    after = "nothing" if last is None else last.run_id[:8]
    request = dg.RunRequest(run_key=attempt_key(f"landing-{state}-after-{after}", attempts + 1))
    return dg.SensorResult(run_requests=[request], cursor=cursor)


def folder_state(folder: str) -> str | None:
    """Hash of every file's path, size, modification time and permissions; None for an empty or absent folder.

    Permissions, because a file nobody could read is mended by them alone.
    """
    filesystem, root = fsspec.core.url_to_fs(folder)
    if not filesystem.exists(root):
        return None
    found = filesystem.find(root, detail=True)
    facts = sorted(
        (
            path,
            info.get("size"),
            str(info.get("mtime") or info.get("updated") or info.get("ETag")),
            *(info.get(who) for who in ("mode", "uid", "gid")),  # None where the filesystem has none
        )
        for path, info in found.items()
    )
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16] if facts else None


def read_cursor(text: str | None) -> tuple[str | None, int]:
    """Folder and settings at the last request, and the attempts so far; unreadable: a first tick."""
    try:
        cursor = json.loads(text or "{}")
    except json.JSONDecodeError:
        return None, 0
    folder = cursor.get("folder") if isinstance(cursor, dict) else None
    if not isinstance(folder, str):
        return None, 0
    attempts = cursor.get("attempts")
    return folder, attempts if isinstance(attempts, int) else 1
