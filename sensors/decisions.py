"""What people decide in the control store wakes its mirror in `ops`.

Here: noticing. Not here: deciding (`aelp`, `resources.control`), the mirror (`aelp_assets.governance`).
"""

import dagster as dg

from aelp_assets.governance import open_governance
from aelp_assets.jobs import mirror_governance
from resources.settings import Environment, Settings
from sensors.attempts import is_under_way


@dg.sensor(
    job=mirror_governance,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Mirrors proposals, approvals and changes into ops whenever a person has decided.",
)
def decided_proposals(
    context: dg.SensorEvaluationContext,
    environment: dg.ResourceParam[Environment],
    settings: dg.ResourceParam[Settings],
) -> dg.SensorResult:
    """One mirror per state of the store; one that fails is made up for by the next, or by the morning.

    A state that comes back with a restored backup is mirrored again: what it came after is in the key.
    """
    stamp = open_governance(environment, settings).stamp()
    if stamp == (context.cursor or "0-0-0-0-0"):
        return dg.SensorResult(skip_reason="nobody has decided anything since", cursor=context.cursor)
    if is_under_way(context.instance, mirror_governance.name):
        return dg.SensorResult(skip_reason="a mirror is under way", cursor=context.cursor)
    key = f"decided-{stamp}-after-{context.cursor or 'nothing'}"
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=key)], cursor=stamp)
