"""From a change, proposal or decision back to the raw rows it rests on, without a gap.

Here: gathering what control store, warehouse and artifacts hold of one decision, and saying it on one screen.
Not here: finding it (`decision_records`), what a launch rests on (`launch_explanation`), making it again
(`replay`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any

import polars as pl

from aelp_assets.arm_explanation import arm_lines, explain_arm, is_arm
from aelp_assets.artifacts import load_frames
from aelp_assets.decision_records import Found, Named, find_decision, name_decision
from aelp_assets.desk.figures import forecast_at, read_figures
from aelp_assets.launch_explanation import launch_facts, launch_lines
from aelp_assets.outcome_explanation import outcome_lines, outcomes_of
from resources.control.governance import Governance
from resources.control.launch_limits import LAUNCH
from resources.control.records import LEVER, LeverKey, Record, Refused, key_of
from resources.settings import Environment
from resources.warehouse.interface import Warehouse, WarehouseError
from resources.warehouse.schema import TableName
from resources.warehouse.tables import LEVER_STATES, RAW_TABLES

_EVIDENCE = ("impressions", "clicks", "cost", "conversions_click", "conversions_view")
_WEEK_AGO = "budget_7_days_ago"
_RAW = {table.name.table for table in RAW_TABLES}


def explain(
    environment: Environment,
    governance: Governance,
    warehouses: Sequence[Warehouse],
    asked: str,
    now: datetime,
) -> dict[str, Any]:
    """Everything kept about one decision, as a document.

    Args:
        asked: the id of a change, proposal or decision, or its first characters.
        warehouses: asked in turn, for reading only.
        now: in the zone that days are told in.
    Returns:
        asked, kind, decision, is_current, belief, forecast, evidence, lever, proposals, approvals, draws,
        changes, outcomes, streams, slices, and gaps: what could not be told, in sentences. Of a launch, all
        that `launch_facts` tells instead of what a decision about a budget rests on.
    Raises:
        Refused: nothing of that name is kept.
    """
    named = name_decision(governance, asked, now)
    if is_arm(named):
        return explain_arm(governance, named, asked)
    if named.proposals and named.proposals[0]["type"] == LAUNCH:
        return _explained_launch(environment, governance, warehouses, asked, named)
    found = find_decision(environment, warehouses, named)
    decision = found.decision
    gaps: list[str] = []
    morning, lever = decision["as_of_date"], key_of(decision)
    inputs = _artifact(environment, "decisions", decision["input_hash"], gaps)
    upstream = _artifact(environment, "upstream", decision["upstream_hash"], gaps)
    slices = _slices_of(upstream, lever)
    return _decided(governance, asked, named) | {
        "outcomes": outcomes_of(warehouses, named.changes, now.tzinfo or UTC),
        "decision": decision,
        "is_current": found.is_current,
        "belief": found.belief,
        "forecast": _forecast(warehouses, decision, gaps),
        "evidence": _evidence(inputs, found, lever),
        "lever": _lever(governance, warehouses, named, decision, inputs, gaps),
        "streams": _streams(warehouses, slices, lever, gaps),
        "slices": slices,
        "as_of_date": morning,
        "gaps": gaps,
    }


def _decided(governance: Governance, asked: str, named: Named) -> dict[str, Any]:
    """What people made of it."""
    ids = {row["proposal_id"] for row in named.proposals}
    return {
        "asked": asked,
        "kind": named.kind,
        "proposals": [_without(row, "payload") for row in named.proposals],
        "approvals": [
            _without(row, "signature") for row in governance.approvals() if row["proposal_id"] in ids
        ],
        "draws": [row for row in governance.assignments() if row["proposal_id"] in ids],
        "changes": list(named.changes),
    }


def _explained_launch(
    environment: Environment,
    governance: Governance,
    warehouses: Sequence[Warehouse],
    asked: str,
    named: Named,
) -> dict[str, Any]:
    gaps: list[str] = []
    facts = launch_facts(environment, warehouses, named, gaps)
    upstream, lever = facts.pop("upstream"), key_of(named.proposals[0])
    slices = _slices_of({} if upstream is None else {"slices": upstream}, lever)
    return (
        _decided(governance, asked, named)
        | facts
        | {"streams": _streams(warehouses, slices, lever, gaps), "slices": slices, "gaps": gaps}
    )


def _without(row: Record, name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


def _artifact(environment: Environment, kind: str, sha256: str, gaps: list[str]) -> dict[str, pl.DataFrame]:
    try:
        return load_frames(environment.artifacts / kind, sha256)
    except (FileNotFoundError, ValueError, OSError, pl.exceptions.PolarsError) as fault:
        gaps.append(f"{kind}: {fault}")
        return {}


def _slices_of(upstream: Mapping[str, pl.DataFrame], lever: LeverKey) -> list[dict[str, Any]]:
    if "slices" not in upstream:
        return []
    platform, account, _ = lever
    mine = (pl.col("source") == platform) & (pl.col("account_id") == account)
    return upstream["slices"].filter(mine).sort("stream", "report_date", "breakdown_set").to_dicts()


def _evidence(inputs: Mapping[str, pl.DataFrame], found: Found, lever: LeverKey) -> dict[str, Any] | None:
    """What the lever's matured days add up to, from the very rows the decision read."""
    if "reward_daily" not in inputs or found.belief is None:
        return None
    first, last = found.belief["window_start"], found.belief["window_end"]
    mine = [pl.col(name) == value for name, value in zip(LEVER, lever, strict=True)]
    rows = inputs["reward_daily"].filter(*mine, pl.col("date").is_between(first, last))
    sums = {name: rows[name].sum() for name in _EVIDENCE if name in rows.columns}
    return {"first": first, "last": last, "days": rows["date"].n_unique(), **sums}


def _forecast(
    warehouses: Sequence[Warehouse], decision: Record, gaps: list[str]
) -> dict[str, Record | None] | None:
    """What was forecast of the budget in force and of the proposed one, on the first day forecast."""
    figures = read_figures(warehouses, decision["as_of_date"])
    rows = figures.forecasts.get(key_of(decision), ())
    if not rows:
        gaps.append(f"forecast: {figures.missing or 'the lever has none that morning.'}")
        return None
    return {
        "target_date": rows[0]["target_date"],
        "current": forecast_at(rows, decision["current_budget"]),
        "proposed": forecast_at(rows, decision["proposed_budget"]),
    }


def _lever(
    governance: Governance,
    warehouses: Sequence[Warehouse],
    named: Named,
    decision: Record,
    inputs: Mapping[str, pl.DataFrame],
    gaps: list[str],
) -> dict[str, Any]:
    """What the guardrails knew of the lever, and the snapshot that came from."""
    lever, morning = key_of(decision), decision["as_of_date"]
    if named.proposals:
        try:
            states = governance.lever_states(named.proposals[0]["states_hash"])
        except Refused as refused:
            gaps.append(f"lever: {refused}")
            states = pl.DataFrame(schema=LEVER_STATES.polars_schema)
    else:
        found = _first(
            warehouses,
            lambda one: one.read(LEVER_STATES.name, partition="as_of_date", first=morning, last=morning),
        )
        states = pl.DataFrame(schema=LEVER_STATES.polars_schema) if found is None else found
    state = [row for row in states.iter_rows(named=True) if key_of(row) == lever]
    if not state:
        gaps.append("lever: what the guardrails knew of it cannot be read now.")
    snapshots = []
    if "budget_levers" in inputs:
        rows = inputs["budget_levers"].sort("date", descending=True).iter_rows(named=True)
        snapshots = [row for row in rows if key_of(row) == lever]
    return {"state": state[0] if state else None, "snapshot": snapshots[0] if snapshots else None}


def _streams(
    warehouses: Sequence[Warehouse], slices: Sequence[Record], lever: LeverKey, gaps: list[str]
) -> list[dict[str, Any]]:
    """The lever's account by raw table: days, batches, rows counted, and whether raw still holds them all."""
    found = []
    for stream in sorted({row["stream"] for row in slices} & _RAW):
        mine = [row for row in slices if row["stream"] == stream]
        held = _first(warehouses, lambda one, name=stream: _rows_held(one, name, lever))  # type: ignore[misc]
        counted = sum(row["row_count"] for row in mine)
        known = {} if held is None else {row[:3]: row[3] for row in held.iter_rows()}
        missing = [
            row
            for row in mine
            if known.get((row["report_date"], row["breakdown_set"], row["batch_id"]), 0) != row["row_count"]
        ]
        if held is not None and missing:
            gaps.append(f"raw.{stream}: {len(missing)} of {len(mine)} slices no longer hold their rows.")
        days = [row["report_date"] for row in mine if row["report_date"] is not None]
        found.append(
            {
                "stream": stream,
                "slices": len(mine),
                "rows": counted,
                "first": min(days, default=None),
                "last": max(days, default=None),
                "batches": sorted({row["batch_id"] for row in mine}),
                "requests": sorted({row["request_hash"] for row in mine}),
                "in_raw": None if held is None else not missing,
            }
        )
    if not slices:
        gaps.append("raw rows: no batch of this account is known to have fed the decision.")
    return found


def _rows_held(warehouse: Warehouse, stream: str, lever: LeverKey) -> pl.DataFrame:
    return warehouse.query(
        f"""
        select report_date, breakdown_set, _batch_id, count(*) as row_count
        from {TableName("raw", stream)}
        where source = $source and account_id = $account
        group by report_date, breakdown_set, _batch_id
        """,  # noqa: S608 - a table of the catalogue
        {"source": lever[0], "account": lever[1]},
    )


def _first(warehouses: Sequence[Warehouse], read: Callable[[Warehouse], pl.DataFrame]) -> pl.DataFrame | None:
    for warehouse in warehouses:
        try:
            return read(warehouse)
        except WarehouseError:
            continue
    return None


# --- on one screen ------------------------------------------------------------------------------------


def as_json(explanation: Mapping[str, Any]) -> str:
    """All of it, money as text, moments as ISO 8601."""
    return json.dumps(explanation, indent=1, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def explanation_lines(explanation: Mapping[str, Any], zone: tzinfo) -> list[str]:
    """The same on one screen, the newest step first.

    Args:
        zone: times are shown in.
    """
    if "arm" in explanation:
        return arm_lines(explanation, zone)
    lines = [_changes(row, zone) for row in explanation["changes"]]
    lines += outcome_lines(explanation.get("outcomes", ()))
    lines += [_draw(row, zone) for row in explanation["draws"]]
    for row in explanation["approvals"]:
        word = "Approved" if row["verdict"] == "approve" else "Rejected"
        at = _moment(row["decided_at"], zone)
        lines.append(f"{word} by {row['approver']} {at}, adding {row['amount']} a day: {row['reason']}")
    for row in explanation["proposals"]:
        by = "" if row["proposed_by"] == "aelp" else f" by {row['proposed_by']}"
        step = f"{row['current_budget']} to {row['proposed_budget']}"
        lines.append(f"Proposal {row['proposal_id']}{by}: {row['type']}, {step} a day, {row['status']}")
    lines += launch_lines(explanation) if "launch" in explanation else _decision_lines(explanation)
    lines += [_stream_line(row) for row in explanation["streams"]]
    lines += [f"Not to be told: {gap}" for gap in explanation["gaps"]]
    return lines


def _decision_lines(explanation: Mapping[str, Any]) -> list[str]:
    decision, belief = explanation["decision"], explanation["belief"]
    replaced = "" if explanation["is_current"] else " (the morning was decided again since)"
    step = f"{_money(decision['current_budget'])} to {_money(decision['proposed_budget'])}"
    head = f"Decision {decision['decision_id']} of {decision['as_of_date']}{replaced}"
    lines = [
        f"{head}: {decision['type']}, {step}",
        f"  {decision['platform']} · {decision['account_id']} · {decision['lever_id']} · {decision['track']}",
        f"  why: {decision['reason']}",
        f"  rules that bound: {', '.join(json.loads(decision['binding_rules'])) or 'none'}",
    ]
    if belief is not None:
        lines.append(
            f"Belief: CAC {_number(belief['cac_p10'])} · {_number(belief['cac_p50'])} · "
            f"{_number(belief['cac_p90'])} (p10, p50, p90), P(CAC > cap) {belief['p_cac_above_cap']:.1%}, "
            f"P(best) {belief['p_best']:.1%}"
        )
    if (evidence := explanation["evidence"]) is not None:
        lines.append(
            f"Evidence: {evidence['first']} to {evidence['last']}, {evidence['days']} days: spend "
            f"{_money(evidence['cost'])}, {_number(evidence['conversions_click'])} click and "
            f"{_number(evidence['conversions_view'])} view conversions"
        )
    lines += _forecast_lines(explanation["forecast"])
    lines += _lever_lines(explanation["lever"])
    lines += [
        f"Made by run {decision['run_id']}, code {decision['code_version']}, seed {decision['seed']}",
        f"  inputs {decision['input_hash'][:16]} · settings {decision['settings_hash'][:16]} · "
        f"batches {decision['upstream_hash'][:16]}",
    ]
    return lines


def _changes(row: Record, zone: tzinfo) -> str:
    sent = f", sent {_moment(row['sent_at'], zone)}" if row["sent_at"] else ", not sent"
    said = f": {row['message']}" if row["message"] else ""
    before, after = json.loads(row["before"]), json.loads(row["after"])
    step = f"{before['budget']} {before['status']} to {after['budget']} {after['status']}"
    head = f"{'Change' if row['kind'] == 'apply' else 'Rollback'} {row['change_id']} ({row['mode']})"
    return f"{head}: {step}, {row['status']}{sent}, by {row['person']}{said}"


def _draw(row: Record, zone: tzinfo) -> str:
    until = _moment(row["window_ends_at"], zone)
    return (
        f"Drawn to {row['arm']} until {until}: {row['draw']:.3f} against a hold probability of "
        f"{row['hold_probability']:.2f}"
    )


def _forecast_lines(forecast: Mapping[str, Any] | None) -> list[str]:
    if forecast is None:
        return []
    told = [
        f"{name} {_money(row['budget'])}: {_number(row['signups_p10'])} · {_number(row['signups_p50'])} · "
        f"{_number(row['signups_p90'])} signups, CAC {_number(row['cac_p50'])}"
        for name in ("current", "proposed")
        if (row := forecast[name]) is not None
    ]
    return [f"Forecast of {forecast['target_date']} at {'; at '.join(told)}"] if told else []


def _lever_lines(lever: Mapping[str, Any]) -> list[str]:
    lines = []
    if (state := lever["state"]) is not None:
        now, midnight, week = map(_money, map(state.get, ("current_budget", "midnight_budget", _WEEK_AGO)))
        lines.append(
            f"Lever: {state['status']}, {state['learning_state']}, budget {now} (midnight {midnight}, a week "
            f"ago {week}), last edited {state['last_edited_at'] or 'never'}"
        )
    if (snapshot := lever["snapshot"]) is not None:
        named = f"{snapshot['entity_name'] or 'unnamed'}, {snapshot['lever_level']} {snapshot['entity_id']}"
        lines.append(f"  from the snapshot of {snapshot['date']}: {named}")
    return lines


def _stream_line(row: Record) -> str:
    days = f"{row['first']} to {row['last']}" if row["first"] else "undated"
    held = {None: "raw cannot be read now", True: "all in raw", False: "not all in raw any more"}
    return (
        f"Raw {row['stream']}: {row['rows']:,} rows of {row['slices']} slices, {days}, "
        f"{len(row['batches'])} batches of {len(row['requests'])} requests; {held[row['in_raw']]}"
    )


def _moment(seconds: float, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone(zone):%Y-%m-%d %H:%M}"


def _money(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:,.2f}"


def _number(value: float | Decimal | None) -> str:
    if value is None:
        return "no end"
    return f"{value:,.1f}" if abs(float(value)) < 100 else f"{value:,.0f}"
