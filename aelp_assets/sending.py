"""The job that sends: what `aelp apply` does, with the limits of one run written into its launchpad.

Here: the request of a run, its log and its table. Not here: whether a change may be sent
(`resources.control`), when (`sensors.sending`, off by default).
"""

from collections.abc import Sequence

import dagster as dg
import polars as pl
from pydantic import Field

from aelp_assets.decision_report import value_text
from aelp_assets.governance import apply_changes, open_governance
from aelp_assets.metadata import markdown_table
from resources.connectors.registry import Sources
from resources.control.records import UNFINISHED, Record, Refused
from resources.control.signing import MissingKey
from resources.control.writer import Asked, Outcome
from resources.settings import Environment, Settings, SettingsError

_COLUMNS = ("change", "platform", "lever", "before", "after", "status", "message")


class SendRequest(dg.Config):
    """What one run may send."""

    mode: str = Field(description="Must be the settings' governance.mode: shadow, sandbox or live.")
    dry_run: bool = Field(
        default=True, description="Only tell what would be sent, and what would hold it back."
    )
    max_changes: int = Field(default=10, ge=1, le=1000, description="At most so many, the oldest first.")
    proposal_ids: list[str] = Field(
        default=[], description="Only changes of these proposals (ids or first characters); none: all."
    )


@dg.op(out=dg.Out(dagster_type=dg.Nothing))
def send(
    context: dg.OpExecutionContext,
    config: SendRequest,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    sources: dg.ResourceParam[Sources],
) -> None:
    """Try the approved changes asked for once each; fails where one did not take place."""
    mode = settings.governance.mode
    if config.mode != mode:
        raise dg.Failure(
            f"This run is for mode {config.mode!r}, the settings say {mode!r}; nothing was sent.",
            allow_retries=False,
        )
    known = {row["change_id"]: row for row in open_governance(environment, settings).changes()}
    waiting = sum(row["status"] in UNFINISHED and row["mode"] == mode for row in known.values())
    scope = f"{len(config.proposal_ids)} proposals" if config.proposal_ids else "any proposal"
    context.log.info(
        f"Mode {mode}, {waiting} changes unfinished; at most {config.max_changes} of {scope}"
        f"{', dry run: no platform is asked' if config.dry_run else ''}"
    )
    try:
        asked = Asked(config.proposal_ids, config.max_changes)
        outcomes = apply_changes(environment, settings, sources, asked, dry_run=config.dry_run)
    except (Refused, MissingKey, SettingsError) as refused:
        raise dg.Failure(str(refused), allow_retries=False) from None
    for outcome in outcomes:
        row = known[outcome.change_id]
        said = f"{outcome.change_id} {row['platform']} {row['lever_id']}: {outcome.status}"
        level = context.log.info if outcome.message is None else context.log.warning
        level(said if outcome.message is None else f"{said}: {outcome.message}")
    table = {"changes": markdown_table(_as_table(outcomes, known), rows=100)}
    context.add_output_metadata(table)
    missed = [outcome for outcome in outcomes if outcome.status != "applied"]
    if missed and not config.dry_run:
        raise dg.Failure(
            f"{len(missed)} of {len(outcomes)} changes did not take place; the first: {missed[0].message}",
            metadata=table,
            allow_retries=False,
        )


def _as_table(outcomes: Sequence[Outcome], known: dict[str, Record]) -> pl.DataFrame:
    rows = [
        (
            outcome.change_id,
            known[outcome.change_id]["platform"],
            known[outcome.change_id]["lever_id"],
            value_text(known[outcome.change_id]["before"]),
            value_text(known[outcome.change_id]["after"]),
            outcome.status,
            outcome.message,
        )
        for outcome in outcomes
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(_COLUMNS, pl.String), orient="row")


@dg.job(description="Send approved changes and rollbacks, once each, within the limits of the request.")
def send_approved() -> None:
    """What a person or the sensor `approved_changes` asks for; the default request is a dry run."""
    send()
