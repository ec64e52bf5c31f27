"""Which draws of the coin the media mix counts, beside which tests of the settings, and what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from aelp_assets.governance import control_engine
from aelp_assets.media_mix import by_fit, fit_row, rows_of
from aelp_assets.media_mix_fit import TrackFit, evidence_of, evidence_rows
from aelp_assets.randomised_evidence import kept_draws, randomised_readings
from models.mmm.randomised_evidence import Reading
from models.mmm.weeks import MediaWeeks
from resources.control.store import APPLY_HOLD_ASSIGNMENTS
from resources.settings import PROJECT_ROOT, Environment, MeasuredLift, Settings, load_settings
from resources.warehouse import tables

MORNING = date(2026, 6, 30)
FIRST = date(2026, 1, 5)
SHIPPED = load_settings(PROJECT_ROOT / "aelp.yaml")
LEVERS = {"cold": "c1", "warm": "c2", "brand": "c3", "shared": None}
OF_META = {"platform": "meta", "account_id": "2"}


def settings_of(*tests: dict[str, Any], mode: str = "live") -> Settings:
    lift_tests = tuple(MeasuredLift.model_validate(test) for test in tests)
    return SHIPPED.model_copy(
        update={
            "media_mix": SHIPPED.media_mix.model_copy(update={"lift_tests": lift_tests}),
            "governance": SHIPPED.governance.model_copy(update={"mode": mode}),
        }
    )


def lift(**days: date) -> dict[str, Any]:
    return {
        **{"track": "security", "channel": "meta_prospecting", "spend": 9000, "change": -9000},
        **{"lift": -30.0, "error": 9.0},
        **days,
    }


def read(settings: Settings, mode: str = "live") -> dict[str, Reading]:
    """Four windows of each lever, a month apart, drawn for in a mode."""
    days = [FIRST + timedelta(days=day) for day in range(170)]
    lever_days = pl.DataFrame(
        [(day, lever, 100.0, 2.0, 0.0) for day in days for lever in LEVERS],
        schema=["date", "lever_id", "cost", "conversions_click", "conversions_view"],
        orient="row",
    ).with_columns(**{name: pl.lit(value) for name, value in OF_META.items()})
    of_account = [pl.lit(value).alias(name) for name, value in OF_META.items()]
    snapshot = pl.DataFrame(
        [(MORNING, lever, campaign, "security", "USD") for lever, campaign in LEVERS.items()],
        schema=["date", "lever_id", "campaign_id", "track", "currency"],
        orient="row",
    )
    draws = pl.DataFrame(
        [
            (lever, FIRST + timedelta(days=30 * number), "hold" if number == 2 else "apply")
            for lever in LEVERS
            for number in range(1, 5)
        ],
        schema=["lever_id", "as_of_date", "arm"],
        orient="row",
    ).with_columns(
        *of_account,
        mode=pl.lit(mode),
        track=pl.lit("security"),
        window_days=pl.lit(7),
        hold_probability=pl.lit(0.2),
        current_budget=pl.lit(100.0),
        proposed_budget=pl.lit(105.0),
    )
    names = {"c1": "meta_prospecting", "c2": "meta_remarketing", "c3": "google_brand_search"}
    channels = pl.DataFrame({"campaign_id": list(names), "channel": list(names.values())})
    traits = dict.fromkeys(("platform", "account_id", "lever_id", "trait", "value"), pl.String)
    audited = [(MORNING - timedelta(days=age), 28, age == 1) for age in (2, 1)]  # the newest lets it in
    found = randomised_readings(
        draws,
        lever_days,
        snapshot.with_columns(of_account),
        pl.DataFrame(schema=traits),
        channels.with_columns(of_account),
        pl.DataFrame(audited, schema=["as_of_date", "maturity_days", "eligible"], orient="row").with_columns(
            of_account
        ),
        settings,
        MORNING,
    )
    return {reading.channel: reading for reading in found.get("security", [])}


def test_draws_that_were_sent_are_read_by_channel_and_brand_search_is_not_read_at_all() -> None:
    found = read(settings_of())
    assert set(found) == {"meta_prospecting", "meta_remarketing", "google_brand_search"}
    cold = found["meta_prospecting"]
    assert (cold.applied, cold.held, cold.raised) == (3, 1, pytest.approx(35.0))
    assert "are needed" in (cold.reason or "")
    assert "demand others made" in (found["google_brand_search"].reason or "")


@pytest.mark.parametrize(
    ("drawn", "now", "counts"),
    [("shadow", "shadow", 0), ("live", "shadow", 3), ("sandbox", "live", 0), ("sandbox", "sandbox", 3)],
)
def test_only_what_reached_the_platform_counts(drawn: str, now: str, counts: int) -> None:
    assert len(read(settings_of(mode=now), mode=drawn)) == counts


def test_windows_in_the_days_of_a_settings_test_are_its_money_and_counted_once() -> None:
    second = FIRST + timedelta(days=60)
    found = read(
        settings_of(lift(first_day=second + timedelta(days=6), last_day=second + timedelta(days=20)))
    )
    assert (found["meta_prospecting"].applied, found["meta_prospecting"].held) == (3, 0)
    assert found["meta_remarketing"].held == 1
    all_of_it = read(settings_of(lift(first_day=FIRST, last_day=MORNING)))["meta_prospecting"]
    assert "All its windows" in (all_of_it.reason or "")


def test_a_settings_test_that_does_not_say_when_it_ran_stands_alone() -> None:
    found = read(settings_of(lift()))
    assert "first_day and last_day" in (found["meta_prospecting"].reason or "")
    assert "are needed" in (found["meta_remarketing"].reason or "")


def test_a_test_has_both_days_in_order_or_none() -> None:
    for days in ({"first_day": FIRST}, {"first_day": MORNING, "last_day": FIRST}):
        with pytest.raises(ValueError, match="give both"):
            settings_of(lift(**days))


def test_draws_come_out_of_the_control_store_as_its_mirror_has_them(tmp_path: Path) -> None:
    environment = Environment.model_construct(home=tmp_path)
    day = datetime(2026, 6, 1, 13, tzinfo=UTC).timestamp()
    texts = ("assignment_id", "proposal_id", "change_id", "track", "platform", "account_id", "lever_id")
    row: dict[str, Any] = {**dict.fromkeys(texts, "a"), "as_of_date": date(2026, 6, 1), "mode": "live"}
    row |= {"arm": "hold", "hold_probability": 0.2, "draw": 0.1, "window_days": 7}
    row |= {"current_budget": "100.00", "proposed_budget": "105.00", "assigned_at": day}
    with control_engine(environment).begin() as connection:
        connection.execute(sa.insert(APPLY_HOLD_ASSIGNMENTS).values(**row, window_ends_at=day + 7 * 86_400))
    (kept,) = kept_draws(environment).iter_rows(named=True)
    assert (kept["proposed_budget"], kept["as_of_date"], kept["arm"]) == (105, date(2026, 6, 1), "hold")


def test_a_fit_says_which_tests_came_from_where_and_why_a_reading_does_not_count() -> None:
    spend = np.full((20, 2), 7000.0)
    channels = ("meta_prospecting", "meta_remarketing")
    weeks = MediaWeeks(FIRST, channels, spend, np.ones(20), np.zeros((20, 0)))
    told = Reading("meta_remarketing", 80, 20, FIRST, MORNING, 350.0, 0.004, 0.001, 0.002)
    silent = replace(told, channel="meta_prospecting", per_dollar=None, reason="Too few.")
    stranger = replace(told, channel="tiktok")
    evidence = evidence_of(settings_of(lift()), "security", weeks, "new_customers", [told, silent, stranger])
    found = TrackFit("security", weeks, "new_customers", evidence=evidence)
    row = fit_row(found, SHIPPED, None)
    assert row["lift_tests"].item() == 2
    rows = evidence_rows(found)
    assert rows["source"].to_list() == ["settings", "apply/hold", "apply/hold"]
    assert rows["not_counted"].to_list() == [None, None, "Too few."]
    assert rows["error"].to_list() == [9.0, pytest.approx(350 * np.hypot(0.001, 0.002)), None]
    shown = by_fit(rows_of(tables.MMM_FIT_DIAGNOSTICS, [row], MORNING), rows).metadata["lift_tests"]
    assert "Too few." in shown.value
