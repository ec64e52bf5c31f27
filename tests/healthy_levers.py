"""A lever every rule lets rise: what suites of the guardrails and of governance start from."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any


def healthy_lever(name: str, now: datetime, **changes: Any) -> dict[str, Any]:
    """A row of `STATE_SCHEMA` at 500 a day, well inside its cap, with a request to double."""
    row = {
        "platform": "meta",
        "account_id": "a1",
        "lever_id": name,
        "track": "security",
        "lever_level": "adset",
        "lever_source": "platform",
        "has_lever": True,
        "is_shared": False,
        "decision_eligible": True,
        "status": "active",
        "learning_state": "active",
        "budget_type": "daily",
        "currency": "USD",
        "current_budget": Decimal(500),
        "midnight_budget": Decimal(500),
        "budget_7_days_ago": Decimal(500),
        "minimum_budget": Decimal(1),
        "budget_increment": Decimal("0.01"),
        "last_edited_at": now - timedelta(days=10),
        "thompson_budget": 1000.0,
        "matured_spend": Decimal(14_000),
        "p_cac_above_cap": 0.02,
        "track_p_cac_above_cap": 0.05,
        "expected_loss_rate": 0.001,
        "marginal_contribution": 0.3,
        "track_contribution": 0.4,
    }
    unknown = set(changes) - set(row)
    assert not unknown, unknown
    return row | changes
