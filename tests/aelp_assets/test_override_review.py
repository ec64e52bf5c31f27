"""The review of people's own choices, from the tables of a morning to a sentence."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from aelp_assets.override_review import review_overrides
from resources.settings import PROJECT_ROOT, load_settings
from resources.warehouse.schema import Table
from resources.warehouse.tables import (
    APPROVALS,
    BANDIT_POSTERIORS,
    CANARY_BUDGETS_SNAPSHOT,
    CANARY_CHANGES,
    EXTERNAL_EDITS,
    OVERRIDE_LEARNINGS,
    OVERRIDE_OUTCOMES,
    PROPOSALS,
)
from tests.aelp_assets.stored_figures import row_of

TODAY = date(2026, 6, 30)
SETTINGS = load_settings(PROJECT_ROOT / "aelp.yaml")
PERSON = "Maya Lind"


def table(spec: Table, *rows: dict[str, Any]) -> pl.DataFrame:
    told = [{name: row_of(spec, **row)[name] for name in spec.column_names} for row in rows]
    return pl.DataFrame(told, schema=spec.polars_schema, orient="row")


def reviewed(mornings: int, earns: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """As many mornings on which two raises of 30 % were not taken, each of a lever of its own.

    Args:
        earns: signups a day at 1,000 dollars, where the belief is 10.
    """
    asked = [
        (f"p{place:02d}", f"l{place:02d}", date(2026, 5, 1) + timedelta(days=place // 2))
        for place in range(2 * mornings)
    ]
    moments = {name: datetime(day.year, day.month, day.day, 14, tzinfo=UTC) for name, _, day in asked}
    days = pl.concat(
        pl.DataFrame(
            {
                "date": [date(2026, 4, 1) + timedelta(days=age) for age in range(70)],
                **{"platform": ["meta"] * 70, "account_id": ["a1"] * 70, "track": ["security"] * 70},
                **{"lever_id": [lever] * 70, "cost": [Decimal(1000)] * 70, "reward": [earns] * 70},
                "is_matured": [True] * 70,
            }
        )
        for lever in ["l99", *(lever for _, lever, _ in asked)]
    )
    levers = days.select("date", "platform", "account_id", "lever_id", status=pl.lit("active"))
    inputs = {
        "proposals": table(
            PROPOSALS,
            *(
                {"proposal_id": name, "decision_id": f"d-{name}", "lever_id": lever, "as_of_date": day}
                | {"type": "raise", "status": "rejected", "proposed_by": "aelp"}
                | {"current_budget": Decimal(1000), "proposed_budget": Decimal(1300)}
                | dict.fromkeys(("created_at", "expires_at"), moments[name])
                for name, lever, day in asked
            ),
        ),
        "approvals": table(
            APPROVALS,
            *(
                {"proposal_id": name, "verdict": "reject", "approver": PERSON, "reason": f"{PERSON} saw it."}
                | dict.fromkeys(("decided_at", "expires_at"), moments[name])
                for name, _, _ in asked
            ),
        ),
        "canary_changes": table(CANARY_CHANGES),
        "canary_budgets_snapshot": table(CANARY_BUDGETS_SNAPSHOT),
        "external_edits": table(EXTERNAL_EDITS),
        "bandit_posteriors": table(
            BANDIT_POSTERIORS,
            *(
                {"lever_id": lever, "as_of_date": day, "posterior_shape": 200.0, "posterior_rate": 20_000.0}
                for _, lever, day in asked
            ),
        ),
        "reward_daily": days,
        "budget_levers": levers.with_columns(current_budget=pl.lit(Decimal(1000))),
    }
    *decided, beliefs, days, levers = inputs.values()
    return review_overrides(decided, beliefs, days, levers, SETTINGS, TODAY)


@pytest.mark.parametrize(
    ("earns", "words"),
    [(1.0, "its reasons hold what the model does not know"), (20.0, "did not come across")],
)
def test_rejections_are_judged_by_what_came_and_said_without_a_name(earns, words):
    outcomes, learnt = reviewed(mornings=6, earns=earns)
    assert outcomes.schema == OVERRIDE_OUTCOMES.polars_schema
    assert learnt.schema == OVERRIDE_LEARNINGS.polars_schema
    assert outcomes.height == 12
    assert set(outcomes["days"]) == {7}
    assert outcomes["realised_signups"].to_list() == pytest.approx([7 * earns] * 12)
    assert set(outcomes["reason"]) == {"a person saw it."}
    (said,) = learnt.filter(pl.col("kind") == "rejected")["sentence"]
    assert said.startswith("Proposals not taken: 12 matured on 6 mornings; ")
    assert words in said
    everything = " ".join(str(value) for rows in (outcomes, learnt) for row in rows.rows() for value in row)
    assert "Maya" not in everything
    assert "Lind" not in everything


def test_two_mornings_are_not_yet_enough_and_no_choice_is_told_as_such():
    outcomes, learnt = reviewed(mornings=2, earns=10.0)
    assert outcomes.height == 4
    assert learnt["difference"].null_count() == learnt.height == 5
    outcomes, learnt = reviewed(mornings=0, earns=10.0)
    assert outcomes.is_empty()
    assert set(learnt["overrides"]) == {0}
