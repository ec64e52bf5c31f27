"""What came of a change is told of its own lever's whole days, and never as its doing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from aelp_assets.outcome_explanation import outcome_lines, outcomes_of
from resources.warehouse.interface import WarehouseError

DAY = date(2026, 6, 10)
NOON = datetime(2026, 6, 10, 12, tzinfo=UTC).timestamp()


class Days:
    """A warehouse of one mart: a lever's days, a dollar and a signup more on each than on the day before."""

    def __init__(self, last: date, unknown: tuple[date, ...] = ()) -> None:
        days = [date(2026, 6, 1) + timedelta(days=step) for step in range((last - date(2026, 6, 1)).days + 1)]
        self._rows = pl.DataFrame(
            {
                "platform": "meta",
                "account_id": "a",
                "lever_id": lever,
                "date": day,
                "cost": Decimal(day.day + more),
                "reward": None if day in unknown else float(day.day),
                "is_matured": day.day < 13,
            }
            for lever, more in (("l", 0), ("other", 1000))
            for day in days
        )

    def read(self, table, columns, partition, first, last) -> pl.DataFrame:
        return self._rows.select(columns).filter(pl.col(partition).is_between(first, last))


class Away:
    def read(self, *asked, **more):
        raise WarehouseError("locked")


def change(**more):
    known = {"change_id": "c1", "platform": "meta", "account_id": "a", "lever_id": "l", "status": "applied"}
    return known | {"mode": "sandbox", "sent_at": NOON, "created_at": NOON - 86_400} | more


def test_the_week_after_is_told_beside_the_week_before_without_the_day_itself():
    ((outcome,), lines) = (
        (found := outcomes_of([Away(), Days(date(2026, 6, 30))], [change()], UTC)),
        outcome_lines(found),
    )
    assert outcome["day"] == DAY
    assert outcome["before"] == {
        "first": date(2026, 6, 3),
        "last": date(2026, 6, 9),
        "days": 7,
        "matured_days": 7,
        "cost": Decimal(42),
        "reward": 42.0,
    }
    after = outcome["after"]
    assert (after["first"], after["last"], after["days"]) == (date(2026, 6, 11), date(2026, 6, 17), 7)
    assert (after["cost"], after["matured_days"]) == (Decimal(98), 2)
    assert lines == [
        "What came after c1: 2026-06-11 to 2026-06-17, 7 days, 2 of them matured: spend 98.00, 98.0 signups; "
        "before it, 2026-06-03 to 2026-06-09, 7 days, 7 of them matured: spend 42.00, 42.0 signups"
    ]


def test_signups_of_days_too_young_to_tell_are_not_told():
    outcomes = outcomes_of([Days(date(2026, 6, 30), (date(2026, 6, 17),))], [change()], UTC)
    assert outcomes[0]["after"]["reward"] is None
    assert "spend 98.00, signups not known yet" in outcome_lines(outcomes)[0]


def test_a_change_nothing_came_after_yet_says_so_and_one_in_shadow_that_it_was_never_sent():
    outcomes = outcomes_of([Days(DAY)], [change(mode="shadow", status="shadow", sent_at=None)], UTC)
    assert outcomes[0]["day"] == DAY - timedelta(days=1)
    assert outcome_lines(outcomes_of([Days(DAY)], [change()], UTC)) == [
        "What came after c1: no report day after 2026-06-10 yet"
    ]
    assert "c1 (never sent: what came anyway): 2026-06-10 to 2026-06-10" in outcome_lines(outcomes)[0]


@pytest.mark.parametrize("status", ["refused", "blocked", "held", "prepared", "withdrawn"])
def test_what_never_took_place_has_no_outcome(status):
    assert outcomes_of([Days(date(2026, 6, 30))], [change(status=status)], UTC) == []
