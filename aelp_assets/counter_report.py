"""What a person's own number would bring, in a terminal, before it is proposed.

Here: the guardrails' verdict and the forecast, before and after. Not here: proposing it
(`resources.control.counter_proposals`), the same on a page (`desk`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from rich.console import Console
from rich.table import Table as Grid

from aelp_assets.desk import cards
from aelp_assets.desk.figures import Figures, forecast_at, read_figures
from models.guardrails import Violation
from resources.control.governance import Governance
from resources.control.records import AELP, Record, key_of
from resources.warehouse.interface import Warehouse

_QUANTILES = ("signups_p10", "signups_p50", "signups_p90", "cac_p10", "cac_p50", "cac_p90")


def print_number(
    console: Console,
    governance: Governance,
    warehouses: Sequence[Warehouse],
    proposal: Record,
    edit: Record,
    *,
    elasticity: float,
    approver: str,
    now: datetime,
) -> list[Violation]:
    """Print what another budget would bring; returns what the guardrails hold against it.

    Args:
        proposal: open.
        edit: the same with the other budget (`counter_proposals.with_budget`).
        elasticity: of signups on budget, as the morning's decisions take it.
        approver: who asks.
    Raises:
        Refused: nobody of that name may decide, or the lever states were changed since.
    """
    left = governance.left_to_add(approver, proposal["as_of_date"])
    objections = governance.objections(edit, now)
    before, asked, own = (
        *(Decimal(proposal[name]) for name in ("current_budget", "proposed_budget")),
        Decimal(edit["proposed_budget"]),
    )
    is_stop = proposal["type"] == "stop"
    lever = (
        f"{proposal['track']} · {proposal['platform']} · {proposal['entity_name'] or proposal['lever_id']}"
    )
    whose = "AELP" if proposal["proposed_by"] == AELP else proposal["proposed_by"]
    console.print(
        f"{lever}: {before:,.2f} → {own:,.2f} a day; {whose} proposes "
        f"{'a stop' if is_stop else f'{asked:,.2f}'}",
        soft_wrap=True,
    )
    for found in objections:
        console.print(f"Guardrails: {found.rule}: {found.message}", soft_wrap=True)
    if not objections:
        console.print(f"Guardrails: they allow {own:,.2f} a day, together with all that is approved.")
    figures = read_figures(warehouses, proposal["as_of_date"])
    _print_forecast(console, figures, proposal, {"in force": before, "proposed": asked, "yours": own})
    change = cards.signups_change(figures.decisions.get(key_of(proposal)), own, elasticity)
    expected = "" if change is None else f"{change:+,.2f} signups a day, "
    losses = [cards.expected_loss(governance, proposal, budget) for budget in (before, own)]
    console.print(
        f"Expected as the decision counts it: {expected}a loss beyond the cap of {losses[1]:,.0f} a week "
        f"(now {losses[0]:,.0f}).",
        soft_wrap=True,
    )
    added = max(Decimal(0), own - before)
    if added and not objections:
        alone = left is None or added <= left
        who = (
            "your signature is enough"
            if alone
            else "beyond your daily limit: a second approver must sign too"
        )
        console.print(f"Approving it adds {added:,.2f} a day; {who}.", soft_wrap=True)
    return objections


def _print_forecast(
    console: Console, figures: Figures, proposal: Record, budgets: dict[str, Decimal]
) -> None:
    """What is forecast of each budget, on the first day forecast."""
    rows = figures.forecasts.get(key_of(proposal), ())
    if not rows:
        console.print(f"Forecast: {figures.missing or 'nothing was forecast of this lever.'}", soft_wrap=True)
        return
    grid = Grid(
        title=f"Forecast of {rows[0]['target_date']}, a day; between two budgets forecast on a straight line",
        title_justify="left",
        title_style="",
        header_style="dim",
        box=None,
    )
    heads = ("signups p10", "p50", "p90", "CAC good end", "p50", "bad end", "P(CAC ≤ cap)")
    for position, head in enumerate(("", "budget", *heads)):
        grid.add_column(head, justify="right" if position else "left", no_wrap=True)
    for name, budget in budgets.items():
        if proposal["type"] == "stop" and name == "proposed":
            grid.add_row(name, "stop")
        elif (found := forecast_at(rows, budget)) is None:
            ends = f"{rows[0]['budget']:,.2f} to {rows[-1]['budget']:,.2f}"
            console.print(
                f"Nothing was forecast of {budget:,.2f}: the budgets go from {ends}.", soft_wrap=True
            )
        else:
            grid.add_row(
                name,
                f"{budget:,.2f}",
                *(_amount(found[column], column) for column in _QUANTILES),
                "–" if found["p_cac_within_cap"] is None else f"{found['p_cac_within_cap']:.0%}",
            )
    console.print(grid)


def _amount(value: float | None, column: str) -> str:
    if value is None:
        return "no end" if column.startswith("cac") else "–"
    return f"{value:,.1f}" if column.startswith("signups") else f"{value:,.0f}"
