"""From a launch back to the raw creative it shows: plan, slate, forecast, policy review, delivery, batches.

Here: gathering what control store, warehouse and artifacts hold of one launch, and saying it. Not here:
decisions about budgets, and the lines both share (`explanation`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from aelp_assets.artifacts import load_frames
from aelp_assets.decision_records import Named
from resources.control import records
from resources.control.records import Record
from resources.settings import Environment
from resources.warehouse.interface import Warehouse, WarehouseError
from resources.warehouse.schema import Table
from resources.warehouse.tables import BANDIT_DECISIONS, LAUNCH_PLANS, POLICY_REVIEWS, SLATES

DELIVERED_DAYS = 28


def launch_facts(
    environment: Environment, warehouses: Sequence[Warehouse], named: Named, gaps: list[str]
) -> dict[str, Any]:
    """What a launch is and rests on.

    Args:
        named: of `name_decision`; its first proposal is the launch's.
        gaps: gets a sentence for all that could not be told.
    Returns:
        as_of_date, launch (as people sign it), plan, slate, review, creative, delivered, made (ids by kind),
        snapshots (of the creative in raw.creatives), upstream (slices the morning's decisions rest on).
    """
    proposal = named.proposals[0]
    payload, morning = json.loads(proposal["payload"]), proposal["as_of_date"]
    of_launch = {"launch_id": proposal["lever_id"]}
    of_creative = {
        "track": proposal["track"],
        "platform": proposal["platform"],
        "account_id": proposal["account_id"],
        "creative_id": payload["target"]["creative_id"],
    }
    plan = _row_of_morning(warehouses, LAUNCH_PLANS, morning, of_launch, gaps)
    if plan is not None and plan["daily_budget"] != Decimal(proposal["proposed_budget"]):
        gaps.append("launch_plans: the morning was planned anew since, with another budget for it.")
    return {
        "as_of_date": morning,
        "launch": payload.get("launch", payload["target"]),
        "plan": plan,
        "slate": _row_of_morning(warehouses, SLATES, morning, of_creative, gaps),
        "review": _row_of_morning(warehouses, POLICY_REVIEWS, morning, of_creative, gaps),
        "creative": _creative(warehouses, of_creative, gaps),
        "delivered": _delivered(warehouses, of_creative, morning, gaps),
        "made": {
            kind: entity_id
            for change in named.changes
            if change["kind"] == "apply"
            for kind, entity_id in records.made_by(change).items()
        },
        "snapshots": _snapshots(warehouses, of_creative, morning, gaps),
        "upstream": _upstream(environment, warehouses, morning, gaps),
    }


def _row_of_morning(
    warehouses: Sequence[Warehouse], table: Table, morning: date, wanted: Mapping[str, str], gaps: list[str]
) -> Record | None:
    """A table's one row of the morning."""
    said: list[str] = []
    for warehouse in warehouses:
        try:
            rows = warehouse.read(table.name, partition="as_of_date", first=morning, last=morning)
        except WarehouseError as error:
            said.append(str(error))
            continue
        rows = rows.filter(*(pl.col(name) == value for name, value in wanted.items()))
        if not rows.is_empty():
            return rows.row(0, named=True)
    gaps.append(f"{table.name.table}: " + (said[-1] if said else "the morning was planned anew without it."))
    return None


def _query(
    warehouses: Sequence[Warehouse], sql: str, parameters: Mapping[str, Any], what: str, gaps: list[str]
) -> list[Record]:
    """Rows of the first warehouse that answers."""
    said = ["there is no warehouse here yet"]
    for warehouse in warehouses:
        try:
            return list(warehouse.query(sql, parameters).iter_rows(named=True))
        except WarehouseError as error:
            said.append(str(error))
    gaps.append(f"{what}: {said[-1]}")
    return []


def _creative(warehouses: Sequence[Warehouse], wanted: Mapping[str, str], gaps: list[str]) -> Record | None:
    found = _query(
        warehouses,
        """
        select creative_name, format, headline, body, call_to_action, link_url, image_hash, content_sha256,
            theme, first_seen, last_seen
        from gaelp_training.creative_objects
        where platform = $platform and account_id = $account_id and creative_id = $creative_id
        """,
        _without_track(wanted),
        "creative_objects",
        gaps,
    )
    return found[0] if found else None


def _delivered(
    warehouses: Sequence[Warehouse], wanted: Mapping[str, str], morning: date, gaps: list[str]
) -> Record | None:
    """What it brought in the `DELIVERED_DAYS` before the morning, as the slate counted it."""
    days = {"first": morning - timedelta(days=DELIVERED_DAYS), "last": morning - timedelta(days=1)}
    found = _query(
        warehouses,
        """
        select count(distinct date) as days, sum(impressions) as impressions, sum(clicks) as clicks,
            sum(cost) as cost, sum(conversions_click) as conversions_click,
            sum(conversions_view) as conversions_view
        from intermediate.int_creative_daily
        where track = $track and platform = $platform and account_id = $account_id
            and creative_id = $creative_id and date between $first and $last
        """,
        {**wanted, **days},
        "int_creative_daily",
        gaps,
    )
    return {**days, **found[0]} if found and found[0]["days"] else None


def _snapshots(
    warehouses: Sequence[Warehouse], wanted: Mapping[str, str], morning: date, gaps: list[str]
) -> list[Record]:
    """The raw rows that say the creative, newest first, with the batches they came in."""
    found = _query(
        warehouses,
        """
        select report_date, _batch_id as batch_id, _request_hash as request_hash, payload_hash
        from raw.creatives
        where source = $platform and account_id = $account_id and creative_id = $creative_id
            and report_date <= $morning
        order by report_date desc, _ingested_at desc
        limit 5
        """,
        {**_without_track(wanted), "morning": morning},
        "raw.creatives",
        gaps,
    )
    if not found:
        gaps.append("raw.creatives: no row of this creative is kept any more.")
    return found


def _upstream(
    environment: Environment, warehouses: Sequence[Warehouse], morning: date, gaps: list[str]
) -> pl.DataFrame | None:
    """The batches the morning's marts held, which its decisions are kept with."""
    for warehouse in warehouses:
        try:
            rows = warehouse.read(BANDIT_DECISIONS.name, partition="as_of_date", first=morning, last=morning)
            if rows.is_empty():
                continue
            return load_frames(environment.artifacts / "upstream", rows["upstream_hash"][0])["slices"]
        except (WarehouseError, OSError, ValueError, KeyError, pl.exceptions.PolarsError):
            continue
    gaps.append("upstream: what the morning rested on is not kept.")
    return None


def _without_track(wanted: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if name != "track"}


# --- in words -----------------------------------------------------------------------------------------


def launch_lines(facts: Mapping[str, Any]) -> list[str]:
    """What a launch is and rests on, a line each, from the plan back to the raw creative."""
    launch, made = facts["launch"], facts["made"]
    into = launch["parent_campaign_id"] or "one of its own"
    lines = [
        f"Launch {launch.get('launch_id') or launch['lever_id']} of {facts['as_of_date']}: creative "
        f"{launch['creative_id']}, paused",
        f"  {launch['platform']} · {launch['account_id']} · campaign {into} · {launch['entity_name']}",
    ]
    if made:
        lines.append("  made: " + ", ".join(f"{kind} {entity_id}" for kind, entity_id in made.items()))
    if (plan := facts["plan"]) is not None:
        lines.append(
            f"Plan: {plan['daily_budget']:,.2f} a day in the {plan['lane']} lane ({plan['lane_reason']}), "
            f"may start {plan['starts_at']:%Y-%m-%d %H:%M} UTC, leads to {plan['link']}"
        )
    if (slate := facts["slate"]) is not None:
        lines += [
            f"Slate: rank {slate['rank']} of {slate['track']}, {slate['role']}, {slate['budget']:,.2f} a "
            f"day, P(best) {slate['p_best']:.1%}, P(CAC ≤ cap) {slate['p_meets_cap']:.1%}",
            f"Forecast of a day at that: {_quantiles(slate, 'signups')} signups, CAC "
            f"{_quantiles(slate, 'cac')} (p10, p50, p90)",
        ]
    if (review := facts["review"]) is not None:
        verdict = "passed" if review["passed"] else "blocked"
        lines.append(f"Policy review ({review['policy_profile']}): {verdict}")
        lines += [
            f"  {flag['severity']} {flag['rule']}: {flag['text']!r}. {flag['remedy']}"
            for flag in json.loads(review["flags"])
        ]
    if (creative := facts["creative"]) is not None:
        lines.append(
            f"Creative: {creative['creative_name']} ({creative['format']}), {creative['headline']!r}, "
            f"{creative['body']!r}, seen {creative['first_seen']} to {creative['last_seen']}"
        )
        if creative["content_sha256"]:
            lines.append(f"  image {creative['content_sha256'][:16]} in creative_assets")
    if (seen := facts["delivered"]) is not None:
        lines.append(
            f"Delivered {seen['first']} to {seen['last']}, {seen['days']} days: {seen['impressions']:,} "
            f"impressions, {seen['clicks']:,} clicks, spend {seen['cost']:,.2f}, "
            f"{seen['conversions_click']:,.1f} click and {seen['conversions_view']:,.1f} view conversions"
        )
    lines += [
        f"Raw creatives: row of {row['report_date']} in batch {row['batch_id']}, request "
        f"{row['request_hash'][:16]}"
        for row in facts["snapshots"][:1]
    ]
    return lines


def _quantiles(row: Record, name: str) -> str:
    values = (row[f"{name}_p{level}"] for level in (10, 50, 90))
    return " · ".join("no end" if value is None else f"{value:,.2f}" for value in values)
