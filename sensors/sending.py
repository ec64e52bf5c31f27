"""Approved changes wake the job that sends them, where a person has switched this sensor on.

Here: noticing, and the request. Not here: sending (`aelp_assets.sending`), whether it may be
(`resources.control`).
"""

import dagster as dg

from aelp_assets.governance import open_governance
from aelp_assets.sending import send_approved
from resources.clock import Clock
from resources.control.records import UNFINISHED
from resources.settings import Environment, Settings
from sensors.attempts import is_under_way


@dg.sensor(
    job_name=send_approved.name,  # given the job itself, Dagster rebuilds the sensor with a beta argument
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Asks for approved changes to be sent, once an hour and whenever somebody has decided.",
)
def approved_changes(
    context: dg.SensorEvaluationContext,
    environment: dg.ResourceParam[Environment],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.SensorResult:
    """One run per state of the control store and hour: what waits is tried again in the next hour."""
    governance = open_governance(environment, settings)
    if governance.mode == "shadow":
        return dg.SensorResult(skip_reason="governance.mode is shadow: nothing is ever sent")
    if (killed := governance.killed()) is not None:
        return dg.SensorResult(skip_reason=killed)
    mine = [row for row in governance.changes() if row["mode"] == governance.mode]
    if not any(row["status"] in UNFINISHED for row in mine):
        return dg.SensorResult(skip_reason="nothing is waiting to be sent")
    if is_under_way(context.instance, send_approved.name):
        return dg.SensorResult(skip_reason="a run is sending")
    request = {"mode": governance.mode, "dry_run": False}
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"send-{governance.stamp()}-{clock.now():%Y-%m-%dT%H}",
                run_config={"ops": {"send": {"config": request}}},
            )
        ]
    )
