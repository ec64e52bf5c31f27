"""From the morning's decisions to a person's: proposals, the CLI, the mirror, and a past morning."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import dagster as dg
import polars as pl
import pytest
from typer.testing import CliRunner

from aelp_assets.artifacts import load_frames
from aelp_assets.bandits import run_decision
from aelp_assets.cli import app
from aelp_assets.explanation import as_json, explain, explanation_lines
from aelp_assets.governance import SUBMISSION, open_governance
from aelp_assets.metadata import asset_key
from resources.control.arm_payloads import ARM_TYPES
from resources.control.records import LEVER
from resources.control.signing import key_variable
from resources.warehouse import tables, warehouses_to_look_into
from resources.warehouse.tables import BANDIT_DECISIONS
from sensors.decisions import decided_proposals
from tests.e2e.homes import SETTINGS, TODAY, TOMORROW, Home
from tests.e2e.test_command_line import aelp

pytestmark = [pytest.mark.e2e, pytest.mark.dbt]

NINE = datetime(TODAY.year, TODAY.month, TODAY.day, 9, tzinfo=SETTINGS.timezone)
DECIDE = {"dagster/partition": TODAY.isoformat()}
MIRROR = [asset_key(str(table.name)) for table in tables.GOVERNANCE_TABLES]
EDITS = (
    "select platform, lever_id, type, proposed_budget from gaelp_training.bandit_decisions"
    " where type in ('raise', 'cut', 'stop') and not advisory"
)
PROPOSED = "select platform, lever_id, type, proposed_budget from ops.proposals"
BANDIT = [
    asset_key(str(table.name))
    for table in (tables.BANDIT_POSTERIORS, tables.LEVER_STATES, BANDIT_DECISIONS, tables.POLICY_RUNS)
]
KEY = {key_variable("maya"): "a long secret of maya", key_variable("daniel"): "a long secret of daniel"}


def mirrored(home: Home, table: str) -> pl.DataFrame:
    assert home.execute("mirror_governance", TODAY, {}).success
    return home.sql(f"select * from ops.{table}")


def test_every_writable_edit_of_the_morning_waits_for_a_person_and_nothing_is_applied(finished):
    home, _ = finished
    writable = home.sql(f"{EDITS} order by all")
    proposed = home.sql(f"{PROPOSED} where type in ('raise', 'cut', 'stop') order by all")
    assert proposed.equals(writable)
    assert proposed.height > 2
    launched = home.sql(f"{PROPOSED} where type = 'launch'")
    planned = home.sql("select launch_id, daily_budget from gaelp_training.launch_plans")
    assert launched.height > 0
    assert set(launched.select("lever_id", "proposed_budget").rows()) <= set(planned.rows())
    arms = home.sql(f"select platform, lever_id, type from ops.proposals where type in {ARM_TYPES}")
    asked = home.sql(
        "select platform, arm_kind || ':' || arm_id, type from gaelp_training.arm_decisions"
        f" where type in {ARM_TYPES} and not advisory"
    )
    assert set(arms.rows()) <= set(asked.rows())
    assert home.sql("select distinct status from ops.proposals")["status"].to_list() == ["pending"]
    for table in ("approvals", "canary_changes", "canary_budgets_snapshot", "outbox"):
        assert home.sql(f"select * from ops.{table}").is_empty(), table


def test_a_change_is_explained_back_to_raw_rows_and_replayed_bit_for_bit(home, tmp_path):
    proposal = home.sql(
        "select proposal_id from ops.proposals where type in ('raise', 'cut') order by 1 limit 1"
    ).item()
    launch = home.sql("select proposal_id from ops.proposals where type = 'launch' limit 1").item()
    with home.entered(TODAY, **KEY) as environment:
        governance = open_governance(environment, SETTINGS)
        launched = explain(environment, governance, warehouses_to_look_into(environment), launch, NINE)
        assert launched["gaps"] == []
        said = "\n".join(explanation_lines(launched, SETTINGS.timezone))
        for step in (
            "Plan: ",
            "Slate: rank",
            "Forecast of a day",
            "Policy review",
            "Creative: ",
            "Raw creatives",
        ):
            assert step in said
        assert f"Proposal {launch}: launch" in said
        assert "Raw meta_ads_insights" in said
        assert json.loads(as_json(launched))["slate"]["creative_id"] == launched["launch"]["creative_id"]
        governance.approve(proposal, "daniel", "it pays", NINE)
        (change,) = governance.changes()
        found = explain(
            environment, governance, warehouses_to_look_into(environment), change["change_id"], NINE
        )
        assert found["gaps"] == []
        assert (found["kind"], found["is_current"]) == ("change", True)
        assert found["proposals"][0]["decision_id"] == found["decision"]["decision_id"]
        assert found["evidence"]["cost"] == found["belief"]["spend"]
        assert found["forecast"]["proposed"]["budget"] == found["decision"]["proposed_budget"]
        assert found["lever"]["snapshot"]["lever_id"] == found["decision"]["lever_id"]
        assert {row["in_raw"] for row in found["streams"]} == {True}
        assert "levers" in {row["stream"] for row in found["streams"]}
        ((came, last),) = ((row["after"], row["before"]["last"]) for row in found["outcomes"])
        assert (came, last) == (None, TODAY - timedelta(days=1)), "no day has come after it yet"
        spent = _spent_in_raw(home, found)
        assert spent is None or spent >= found["evidence"]["cost"]
        assert len(explanation_lines(found, SETTINGS.timezone)) < 45
        assert json.loads(as_json(found))["slices"]

        shell = CliRunner()
        same = shell.invoke(app, ["replay", change["change_id"][:8]])
        assert (same.exit_code, "same" in same.output) == (0, True), same.output
        home.sql("update gaelp_training.bandit_decisions set proposed_budget = proposed_budget + 1")
        differs = shell.invoke(app, ["replay", proposal])
        assert differs.exit_code == 1
        assert "proposed_budget: stored" in differs.output
        batches = {batch for row in found["streams"] for batch in row["batches"]}
        names = ", ".join(f"'{batch}'" for batch in sorted(batches))
        home.sql(f"delete from raw.levers where _batch_id in ({names})")
        broken = shell.invoke(app, ["explain", proposal])
        assert broken.exit_code == 0, broken.output
        assert "Not to be told: raw.levers" in broken.output


def _spent_in_raw(home: Home, found: dict) -> float | None:
    """What Meta's raw rows of the named batches say the lever's account spent on the days of the evidence."""
    if found["decision"]["platform"] != "meta":
        return None
    named = ", ".join(
        f"('{row['report_date']}', '{row['batch_id']}')"
        for row in found["slices"]
        if row["stream"] == "meta_ads_insights" and row["breakdown_set"] == "none"
    )
    return home.sql(
        "select sum(cast(payload ->> 'spend' as decimal(38, 9))) from raw.meta_ads_insights "
        f"where (cast(report_date as varchar), _batch_id) in ({named}) "
        f"and report_date between '{found['evidence']['first']}' and '{found['evidence']['last']}'"
    ).item()


def test_a_person_approves_rejects_and_rolls_back_in_the_shell(home):
    (first, second) = home.sql(
        "select proposal_id from ops.proposals"
        " where type in ('raise', 'cut') order by proposed_budget limit 2"
    )["proposal_id"]
    listed = aelp(home, "proposals")
    assert first in listed.stdout, listed.stderr
    approved = aelp(home, "approve", first, "--by", "daniel", "--reason", "it pays", **KEY)
    assert "(shadow)" in approved.stdout, approved.stderr
    rejected = aelp(home, "reject", second, "--by", "maya", "--reason", "a launch is near", **KEY)
    assert rejected.stdout == "Rejected.\n", rejected.stderr
    again = aelp(home, "approve", first, "--by", "daniel", "--reason", "twice", **KEY)
    assert (again.returncode, again.stdout) == (2, "")
    assert "is approved; it can no longer be decided on" in again.stderr
    keyless = aelp(home, "reject", second[:8], "--by", "maya", "--reason", "no key")
    assert keyless.returncode == 2
    assert "Traceback" not in keyless.stderr

    changes = mirrored(home, "canary_changes")
    assert changes.select("kind", "mode", "status", "person").rows() == [
        ("apply", "shadow", "shadow", "daniel")
    ]
    calls = home.sql("select request, status, sent_at from ops.outbox")
    assert calls["status"].to_list() == ["shadow"]
    assert calls["sent_at"].to_list() == [None]
    assert json.loads(calls["request"][0])["method"]
    (change_id,) = changes["change_id"]
    undone = aelp(home, "rollback", change_id, "--by", "maya", "--reason", "it did not", **KEY)
    assert undone.returncode == 0, undone.stderr
    assert sorted(mirrored(home, "canary_changes")["kind"]) == ["apply", "rollback"]
    budgets = home.sql("select * from ops.canary_budgets_snapshot order by budget")["budget"].unique()
    assert budgets.len() == 2, "the way back ends where it began"
    statuses = dict(home.sql("select proposal_id, status from ops.proposals").rows())
    assert (statuses[first], statuses[second]) == ("rolled_back", "rejected")
    stopped = aelp(home, "kill", "on", "--by", "anyone", "--reason", "spend explodes")
    assert "anyone stopped everything" in stopped.stdout
    assert "Nothing can be approved" in aelp(home, "proposals").stdout


def test_a_morning_planned_under_the_kill_switch_moves_nothing_and_is_replayed_so(home):
    with home.entered(TODAY, **KEY) as environment:
        governance = open_governance(environment, SETTINGS)
        governance.kill(is_on=True, person="anyone", reason="spend explodes", now=NINE)
    assert home.execute("decide", TODAY, DECIDE, selection=BANDIT).success
    stored = home.warehouse().read(BANDIT_DECISIONS.name)
    assert stored.height > 2
    assert set(stored["type"]) == {"hold"}
    assert stored["reason"].str.contains("anyone stopped everything .* spend explodes").all()
    with home.entered(TODAY, **KEY):
        governance.kill(is_on=False, person="maya", reason="it was a false alarm", now=NINE)
    (input_hash,) = stored["input_hash"].unique()
    frames = load_frames(home.path / "artifacts" / "decisions", input_hash)
    replayed = run_decision(frames, SETTINGS, TODAY).decisions
    assert replayed.equals(stored.select(replayed.columns).sort(*LEVER).cast(dict(replayed.schema)))


def test_a_past_morning_puts_nothing_before_people(home):
    done = home.execute("decide", TOMORROW, DECIDE, selection=[SUBMISSION])
    assert done.success
    (submitted,) = done.get_asset_materialization_events()
    assert "past morning" in str(submitted.materialization.metadata["left_out"].value)
    before = home.sql("select count(*) n from ops.proposals")["n"].item()
    assert mirrored(home, "proposals").height == before


def test_a_second_decision_of_the_morning_keeps_what_people_decided(home):
    with home.entered(TODAY, **KEY) as environment:
        governance = open_governance(environment, SETTINGS)
        stops = [row for row in governance.proposals(NINE) if row["type"] == "stop"]
        governance.approve(stops[0]["proposal_id"], "maya", "it loses money", NINE)
    assert home.execute("decide", TODAY, DECIDE, selection=[SUBMISSION, *MIRROR]).success
    statuses = dict(home.sql("select proposal_id, status from ops.proposals").rows())
    assert statuses[stops[0]["proposal_id"]] == "approved"
    assert sorted(statuses.values()).count("pending") == len(statuses) - 1


def test_a_decision_wakes_the_mirror_once(home):
    def tick(cursor: str | None) -> dg.SensorResult:
        with home.entered(TODAY, **KEY) as environment, dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(
                instance=instance,
                cursor=cursor,
                resources={"environment": environment, "settings": SETTINGS},
            )
            return decided_proposals(context)

    assert tick(None).skip_reason is not None
    with home.entered(TODAY, **KEY) as environment:
        governance = open_governance(environment, SETTINGS)
        proposal = governance.proposals(NINE)[0]
        governance.reject(proposal["proposal_id"], "maya", "no", NINE + timedelta(hours=1))
    woken = tick(None)
    assert len(woken.run_requests) == 1
    assert tick(woken.cursor).skip_reason is not None
