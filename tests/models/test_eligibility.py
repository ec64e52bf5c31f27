from datetime import date, timedelta

import polars as pl
import pytest

from models.eligibility import decision_accounts, of_eligible

MORNING = date(2026, 6, 30)


def verdict(last_day: date | None, passed: bool | None = True):
    days = [] if last_day is None else [last_day - timedelta(days=i) for i in range(5)]
    account_days = pl.DataFrame(
        {"date": days, "platform": ["meta"] * len(days), "account_id": ["a"] * len(days)},
        schema={"date": pl.Date, "platform": pl.String, "account_id": pl.String},
    )
    audits = pl.DataFrame(
        {
            "source": ["meta"] * 2,
            "account_id": ["a"] * 2,
            "check_name": ["spend_moves_with_clicks", "benford"],
            "status": ["passed" if passed else "failed", "passed"],
            "decision_eligible": [bool(passed)] * 2,
        }
    )
    accounts = pl.DataFrame(
        {"source": ["meta"], "account_id": ["a"], "maturity_days": [None]},
        schema_overrides={"maturity_days": pl.Int64},
    )
    return decision_accounts(
        account_days,
        audits.clear() if passed is None else audits,
        accounts,
        as_of_date=MORNING,
        max_data_age_days=3,
        maturity_days=14,
    )


def test_a_fresh_audited_account_is_eligible():
    row = verdict(MORNING - timedelta(days=1)).row(0, named=True)
    assert row["eligible"]
    assert row["maturity_days"] == 14


@pytest.mark.parametrize(
    ("last_day", "passed", "reason"),
    [
        (MORNING - timedelta(days=4), True, "stale: newest report day 2026-06-26 is older than 2026-06-27"),
        (MORNING - timedelta(days=1), False, "plausibility audit failed: spend_moves_with_clicks"),
        (MORNING - timedelta(days=1), None, "not audited yet"),
        (None, True, "no daily data before this morning"),
    ],
)
def test_any_doubt_leaves_the_account_out_with_its_reason(last_day, passed, reason):
    row = verdict(last_day, passed).row(0, named=True)
    assert not row["eligible"]
    assert row["reason"] == reason


def test_rows_of_other_accounts_are_dropped():
    accounts = verdict(MORNING - timedelta(days=1))
    rows = pl.DataFrame({"platform": ["meta", "meta"], "account_id": ["a", "b"], "x": [1, 2]})
    assert of_eligible(rows, accounts)["x"].to_list() == [1]
