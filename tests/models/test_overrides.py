"""What people chose in the place of a proposal: found, judged while it stood, and scored without pretence."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.overrides.choices import KINDS, LEVER, find_choices, standing_days
from models.overrides.outcomes import ALL, ENOUGH_MORNINGS, judged_choices, learnings, score_choices

MORNING = date(2026, 6, 1)
NINE = datetime(2026, 6, 1, 13, tzinfo=UTC)  # 09:00 in New York
ZONE = "America/New_York"
KEY = {"platform": "meta", "account_id": "a1"}
BUDGET = pl.Decimal(38, 9)


def at(day: int, hour: int = 13) -> datetime:
    return datetime(2026, 6, 1, hour, tzinfo=UTC) + timedelta(days=day)


def proposal(name: str, status: str, proposed: float, **changes: Any) -> dict[str, Any]:
    return {
        "proposal_id": name,
        "as_of_date": MORNING,
        "type": "raise",
        "decision_id": f"d-{changes.get('lever_id', 'l1')}",
        **KEY,
        "track": "balance",
        "lever_id": "l1",
        "current_budget": 100.0,
        "proposed_budget": proposed,
        "reason": "The sampler asks for more.",
        "status": status,
        "created_at": NINE,
        "expires_at": NINE + timedelta(days=1),
        "proposed_by": "aelp",
    } | changes


def frame(rows: list[dict[str, Any]], **columns: Any) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=columns)


TEXT, MOMENT = pl.String, pl.Datetime("us", "UTC")
COLUMNS: dict[str, dict[str, Any]] = {
    "approvals": dict.fromkeys(("proposal_id", "verdict", "approver", "reason"), TEXT)
    | {"decided_at": MOMENT},
    "changes": {"sequence": pl.Int64, "created_at": MOMENT}
    | dict.fromkeys(("change_id", "proposal_id", "kind", "person", "reason"), TEXT),
    "snapshots": dict.fromkeys(("change_id", "moment", "status"), TEXT) | {"budget": BUDGET},
    "edits": dict.fromkeys((*LEVER, "person"), TEXT) | {"edited_at": MOMENT},
}


def choices(proposals: list[dict[str, Any]], **rows: list[dict[str, Any]]) -> pl.DataFrame:
    told = {name: frame(rows.get(name, []), **columns) for name, columns in COLUMNS.items()}
    asked = pl.DataFrame(proposals).with_columns(pl.col("current_budget", "proposed_budget").cast(BUDGET))
    return find_choices(asked, **told, timezone=ZONE)


def signed(name: str, verdict: str, day: int = 0, reason: str = "No.", hour: int = 14) -> dict[str, Any]:
    by = {"approver": "Maya Lind", "reason": reason, "decided_at": at(day, hour)}
    return {"proposal_id": name, "verdict": verdict, **by}


def snapshots_of(budgets: dict[int, float | None], lever: str = "l1") -> pl.DataFrame:
    """Budget by day after the morning; None: paused."""
    rows = [
        {
            "date": MORNING + timedelta(days=day),
            **KEY,
            "lever_id": lever,
            "status": "paused" if budget is None else "active",
            "current_budget": 100.0 if budget is None else budget,
        }
        for day, budget in budgets.items()
    ]
    return pl.DataFrame(rows).with_columns(pl.col("current_budget").cast(BUDGET))


def test_every_kind_of_override_is_found_with_what_was_proposed_and_what_was_chosen():
    found = choices(
        [
            proposal("p1", "rejected", 105, lever_id="l1"),
            proposal("p2", "superseded", 0, lever_id="l2", type="stop"),
            proposal("p3", "approved", 80, lever_id="l2", type="cut", proposed_by="maya", reason="Less."),
            proposal("p4", "rolled_back", 105, lever_id="l4"),
            proposal("p5", "withdrawn", 105, lever_id="l5"),
            proposal("p6", "approved", 105, lever_id="l6"),
            proposal("p7", "rejected", 300, lever_id="l7", type="launch"),
            proposal("p8", "expired", 105, lever_id="l8"),
        ],
        approvals=[signed("p1", "reject"), signed("p3", "approve"), signed("p6", "approve")],
        changes=[
            {"sequence": 1, "change_id": "c1", "proposal_id": "p4", "kind": "apply", "created_at": at(0)},
            {"sequence": 2, "change_id": "c2", "proposal_id": "p4", "kind": "rollback", "created_at": at(2)}
            | {"person": "maya", "reason": "Too early."},
        ],
        snapshots=[
            {"change_id": "c1", "moment": "after", "budget": 105, "status": "active"},
            {"change_id": "c2", "moment": "before", "budget": 105, "status": "active"},
            {"change_id": "c2", "moment": "after", "budget": 100, "status": "active"},
        ],
        edits=[{**KEY, "lever_id": "l5", "edited_at": at(0, 20), "person": "Account Manager"}],
    )
    shown = found.select("proposal_id", "kind", "proposed_budget", "chosen_budget", "chosen_on", "reason")
    assert shown.sort("proposal_id").rows() == [
        ("p1", "rejected", 105.0, 100.0, MORNING, "No."),
        ("p3", "another_number", 0.0, 80.0, MORNING, "Less."),
        ("p4", "rolled_back", 105.0, 100.0, MORNING + timedelta(days=2), "Too early."),
        ("p5", "edited_outside", 105.0, None, MORNING, None),
    ]


def test_no_name_of_a_person_is_kept_and_a_day_is_the_business_s():
    reason = "Maya and MAYA LIND asked; lind agrees, the mayas do not."
    (found,) = choices(
        [proposal("p1", "rejected", 105)], approvals=[signed("p1", "reject", day=1, reason=reason, hour=2)]
    ).rows(named=True)
    assert found["reason"] == "a person and a person asked; a person agrees, the mayas do not."
    assert found["chosen_on"] == MORNING  # 22:00 of the day before there
    assert not {"person", "approver", "proposed_by"} & set(found)


def stood(found: pl.DataFrame, levers: pl.DataFrame) -> dict[str, list[int]]:
    rows = standing_days(found, levers).group_by("proposal_id", maintain_order=True).agg("date")
    return {name: [(day - MORNING).days for day in days] for name, days in rows.iter_rows()}


def test_a_choice_is_judged_on_whole_days_while_its_budget_is_in_force():
    found = choices([proposal("p1", "rejected", 105)], approvals=[signed("p1", "reject")])
    assert stood(found, snapshots_of({0: 100})) == {"p1": [1, 2, 3, 4, 5, 6, 7]}
    assert stood(found, snapshots_of({0: 100, 4: 110})) == {"p1": [1, 2, 3]}
    assert stood(found, snapshots_of({0: 100, 3: None, 5: 100})) == {"p1": [1, 2]}
    # Nobody says that it was in force, or it never was.
    assert stood(found, snapshots_of({0: 100}, lever="l9")) == stood(found, snapshots_of({0: 105})) == {}


def test_no_day_is_judged_for_two_choices():
    found = choices(
        [
            proposal("p1", "rejected", 105),
            proposal("p2", "rejected", 104, as_of_date=MORNING + timedelta(days=3), decision_id="d2"),
        ],
        approvals=[signed("p1", "reject"), signed("p2", "reject", day=3)],
    )
    assert stood(found, snapshots_of({0: 100})) == {"p1": [1, 2, 3], "p2": [4, 5, 6, 7, 8, 9, 10]}


def test_an_edit_on_the_platform_is_what_its_snapshots_say_and_none_where_it_is_what_was_proposed():
    found = choices([proposal("p1", "withdrawn", 105)])
    for budget, chosen in ((130.0, 130.0), (None, 0.0)):
        days = standing_days(found, snapshots_of({0: 100, 1: budget}))
        assert set(days["chosen_budget"]) == {chosen}
        assert days.height == 7
    assert standing_days(found, snapshots_of({0: 100, 1: 105})).is_empty()


# --- what came, and what it says ----------------------------------------------------------------------


def days_of(
    lever: str, costs: dict[int, float], rewards: dict[int, float], matured: int = 99
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "date": [MORNING + timedelta(days=day) for day in costs],
            **{name: [value] * len(costs) for name, value in KEY.items()},
            "track": ["balance"] * len(costs),
            "lever_id": [lever] * len(costs),
            "cost": [float(cost) for cost in costs.values()],
            "reward": [float(rewards.get(day, 0.0)) for day in costs],
            "is_matured": [day <= matured for day in costs],
        }
    )


def test_a_choice_waits_until_every_day_of_it_is_matured():
    found = choices([proposal("p1", "rejected", 105)], approvals=[signed("p1", "reject")])
    standing = standing_days(found, snapshots_of({0: 100}))
    costs = dict.fromkeys((1, 2, 3, 5, 6, 7, 8), 90.0)
    assert judged_choices(standing, days_of("l1", costs, {}, matured=6)).is_empty()
    (row,) = judged_choices(standing, days_of("l1", costs, {1: 2.0, 7: 1.5, 8: 50.0})).rows(named=True)
    assert (row["days"], row["spend"], row["signups"]) == (7, 540.0, 3.5)
    assert row["last_day"] == MORNING + timedelta(days=7)


def beliefs(judged: pl.DataFrame, rate: float, worth: float = 200.0) -> pl.DataFrame:
    """A posterior worth so many signups at `rate` signups per dollar."""
    return judged.select(
        *LEVER,
        as_of_date="made_on",
        posterior_shape=pl.lit(worth),
        posterior_rate=pl.lit(worth / rate),
    )


def one(chosen: float, proposed: float, spend: float, signups: float) -> pl.DataFrame:
    return pl.DataFrame(
        {
            **{"proposal_id": ["p1"], "made_on": [MORNING], "kind": ["rejected"], "track": ["balance"]},
            **{name: [value] for name, value in KEY.items()},
            **{"lever_id": ["l1"], "current_budget": [100.0], "proposed_budget": [proposed]},
            **{"chosen_budget": [chosen], "days": [7], "spend": [spend], "signups": [signups]},
        }
    )


def scored(judged: pl.DataFrame, rate: float = 0.1, worth: float = 12.0, seed: int = 1, **changes: Any):
    history = days_of("l1", {-day: 90.0 for day in range(1, 15)}, {})
    rng = np.random.default_rng(seed)
    rules = {"contributions": {"balance": worth}, "elasticity": 0.7, "rng": rng, "draws": 4000} | changes
    return score_choices(judged, beliefs(judged, rate), history, **rules)


def test_forecasts_of_both_paths_follow_belief_delivery_and_curve():
    rows, _ = scored(one(chosen=100, proposed=150, spend=630, signups=63))
    (row,) = rows.rows(named=True)
    assert row["chosen_spend_p50"] == pytest.approx(630)  # 90 of 100 are delivered
    assert row["proposed_spend_p50"] == pytest.approx(945)
    assert row["chosen_signups_p50"] == pytest.approx(63, rel=0.05)
    assert row["proposed_signups_p50"] == pytest.approx(63 * 1.5**0.7, rel=0.05)
    assert row["chosen_contribution_p50"] == pytest.approx(12 * 63 - 630, abs=30)
    assert row["realised_contribution"] == pytest.approx(12 * 63 - 630)
    for metric in ("signups", "spend", "contribution"):
        for path in ("chosen", "proposed"):
            low, middle, high = (row[f"{path}_{metric}_{name}"] for name in ("p10", "p50", "p90"))
            assert low <= middle <= high


def test_a_stop_that_was_not_taken_is_judged_by_what_the_lever_earned():
    for signups, sign in ((10.0, -1), (120.0, 1)):
        rows, _ = scored(one(chosen=100, proposed=0, spend=630, signups=signups))
        (row,) = rows.rows(named=True)
        assert [row[f"proposed_{metric}_p90"] for metric in ("signups", "spend", "contribution")] == [0, 0, 0]
        assert min(sign * row["difference_p10"], sign * row["difference_p90"]) > 0
        assert row["p_ahead"] == pytest.approx((1 + sign) / 2, abs=0.01)


def test_what_was_not_tried_stays_a_forecast():
    """Nothing was spent, so nothing was learnt: the difference is as wide as what was believed before."""
    paused, _ = scored(one(chosen=0, proposed=100, spend=0, signups=0))
    (row,) = paused.rows(named=True)
    low, high = (-row[f"proposed_contribution_{name}"] for name in ("p90", "p10"))
    # Of the rate alone: the luck of counting, which nobody chose, is in the forecast and not in here.
    assert low < row["difference_p10"] < row["difference_p90"] < high
    assert row["difference_p90"] - row["difference_p10"] > 0.5 * (high - low)


def test_a_good_week_of_the_lever_is_nobody_s_merit():
    """A raise that was not taken would have had the same week."""
    for signups, is_ahead in ((63.0, True), (126.0, False)):
        rows, _ = scored(one(chosen=100, proposed=150, spend=630, signups=signups))
        (row,) = rows.rows(named=True)
        assert (row["p_ahead"] > 0.5) == is_ahead


def learnt_from(
    rng: np.random.Generator, factor: float, step: float = 1.3, overrides: int = 60, mornings: int = 20
) -> pl.DataFrame:
    """Raises and cuts by that step, none of them taken.

    A raised lever's true rate is `factor` times the belief, a cut one's the belief over it. At the belief the
    next dollar earns just what it costs, and weeks differ by a fifth.
    """
    rate, elasticity = 0.1, 0.7
    worth = 1 / (elasticity * rate)
    is_raise = np.arange(overrides) % 2 == 0
    truth = rate * np.where(is_raise, factor, 1 / factor) * rng.lognormal(0.0, 0.2, overrides)
    judged = (
        one(1000.0, 0.0, 7000.0, 0.0)
        .drop("proposal_id", "proposed_budget", "signups", "made_on")
        .join(
            pl.DataFrame(
                {
                    "proposal_id": [f"p{place:03d}" for place in range(overrides)],
                    "made_on": [MORNING + timedelta(days=place % mornings) for place in range(overrides)],
                    "proposed_budget": 1000.0 * np.where(is_raise, step, 1 / step),
                    "signups": rng.poisson(truth * 7000.0).astype(float),
                }
            ),
            how="cross",
        )
    )
    judged = judged.with_columns(current_budget=pl.lit(1000.0), lever_id="proposal_id")
    rows, differences = score_choices(
        judged,
        beliefs(judged, rate),
        days_of("l0", {-1: 1000.0}, {}),
        contributions={"balance": worth},
        elasticity=elasticity,
        rng=rng,
        draws=500,
    )
    return learnings(rows, differences, rng)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_people_who_are_right_come_out_ahead_and_people_who_are_wrong_behind(seed: int):
    for factor, sign, words in ((0.7, 1, "does not know"), (1.4, -1, "did not come across")):
        learnt = learnt_from(np.random.default_rng(seed), factor)
        row = learnt.row(by_predicate=pl.col("kind") == "rejected", named=True)
        assert min(sign * row["difference_low"], sign * row["difference_high"]) > 0
        assert words in row["sentence"]


def test_noise_gives_an_interval_that_covers_zero():
    covered = 0
    for seed in range(40):
        learnt = learnt_from(np.random.default_rng(seed), factor=1.0, step=1.05)
        row = learnt.row(by_predicate=pl.col("kind") == ALL, named=True)
        covered += row["difference_low"] <= 0 <= row["difference_high"]
    assert covered >= 35


def test_few_overrides_or_few_mornings_are_not_yet_enough():
    rng = np.random.default_rng(1)
    for overrides, mornings in ((9, 9), (30, ENOUGH_MORNINGS - 1)):
        learnt = learnt_from(rng, 0.5, overrides=overrides, mornings=mornings)
        assert learnt["kind"].to_list() == [*KINDS, ALL]
        assert not learnt["is_enough"].any()
        assert learnt["difference"].null_count() == learnt.height
        assert all("not yet enough" in said for said in learnt["sentence"])
    learnt = learnt_from(rng, 0.5, overrides=10, mornings=5)
    assert learnt.filter("is_enough")["kind"].to_list() == ["rejected", ALL]


def test_nothing_to_judge_gives_no_rows_and_says_so_of_every_kind():
    none = one(100, 105, 1, 1).clear()
    rows, differences = scored(none)
    assert rows.is_empty()
    learnt = learnings(rows, differences, np.random.default_rng(1))
    assert learnt["overrides"].to_list() == [0] * 5
