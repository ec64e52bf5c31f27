"""What counts as evidence for a lever, and what belief follows."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from models.bandits import lever_posteriors, track_posteriors
from models.rewards import RewardDefinition
from resources.warehouse.tables import BANDIT_POSTERIORS

AS_OF = date(2026, 6, 30)
REWARD = RewardDefinition("click1_view025_v1")
CAPS = {"security": 240.0, "balance": 200.0}
ACCOUNTS = pl.DataFrame({"platform": ["meta"], "account_id": ["a1"], "maturity_days": [14]})


def lever_frame(**tracks: str) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "platform": ["meta"] * len(tracks),
            "account_id": ["a1"] * len(tracks),
            "track": list(tracks.values()),
            "lever_id": list(tracks),
        }
    )


def days_of(lever, track, ages, cost, clicks=0.0, views=0.0) -> pl.DataFrame:
    """One row per age (days before the decision)."""
    return pl.DataFrame(
        {
            "date": [AS_OF - timedelta(days=age) for age in ages],
            "platform": "meta",
            "account_id": "a1",
            "track": track,
            "lever_id": lever,
            "cost": Decimal(str(cost)),
            "conversions_click": Decimal(str(clicks)),
            "conversions_view": Decimal(str(views)),
            "is_matured": True,
        },
        schema_overrides={
            name: pl.Decimal(38, 9) for name in ("cost", "conversions_click", "conversions_view")
        },
    )


def posteriors(days, levers, accounts=ACCOUNTS, seed=1, prior=2.0):
    return lever_posteriors(
        days,
        levers,
        accounts,
        as_of_date=AS_OF,
        window_days=28,
        prior_conversions=prior,
        caps=CAPS,
        reward=REWARD,
        draws=960,
        rng=np.random.default_rng(seed),
    )


def tracks_of(days, accounts=ACCOUNTS):
    return track_posteriors(
        days, accounts, as_of_date=AS_OF, window_days=28, prior_conversions=2.0, caps=CAPS, reward=REWARD
    )


def test_only_matured_cohorts_inside_the_window_count():
    days = days_of("l1", "security", range(1, 60), cost=100, clicks=1)
    row = posteriors(days, lever_frame(l1="security")).row(0, named=True)
    assert (row["window_start"], row["window_end"]) == (date(2026, 5, 19), date(2026, 6, 15))
    assert row["spend"] == Decimal(2800)
    assert row["click_conversions"] == 28


def test_each_account_has_its_own_maturity():
    accounts = pl.DataFrame({"platform": ["meta"] * 2, "account_id": ["a1", "a2"], "maturity_days": [14, 3]})
    levers = pl.concat(
        [lever_frame(l1="security"), lever_frame(l1="security").with_columns(account_id=pl.lit("a2"))]
    )
    days = days_of("l1", "security", range(1, 60), cost=100)
    both = pl.concat([days, days.with_columns(account_id=pl.lit("a2"))])
    ends = dict(posteriors(both, levers, accounts).select("account_id", "window_end").iter_rows())
    assert ends == {"a1": date(2026, 6, 15), "a2": date(2026, 6, 26)}


def test_days_of_an_unlisted_account_are_no_evidence_and_its_levers_are_refused():
    days = days_of("l1", "security", range(15, 20), cost=100, clicks=5).with_columns(account_id=pl.lit("a9"))
    assert posteriors(days, lever_frame(l1="security"))["spend"].sum() == 0
    with pytest.raises(ValueError, match="a9"):
        posteriors(days, lever_frame(l1="security").with_columns(account_id=pl.lit("a9")))


def test_the_rows_are_those_of_the_warehouse_table():
    days = days_of("l1", "security", range(15, 43), cost=100, clicks=0.5, views=1)
    result = posteriors(days, lever_frame(l1="security", l2="balance", l3="unassigned"))
    assert BANDIT_POSTERIORS.conform(result).height == 2
    assert set(result.columns) == set(BANDIT_POSTERIORS.column_names)


def test_a_track_without_data_starts_exactly_at_its_cap():
    row = posteriors(days_of("x", "security", [15], 0), lever_frame(l1="balance")).row(0, named=True)
    assert row["posterior_shape"] / row["posterior_rate"] == pytest.approx(1 / 200)
    assert row["posterior_shape"] == pytest.approx(2.0)


def test_a_new_lever_starts_at_its_tracks_rate_retired_levers_included():
    days = days_of("gone", "security", range(15, 43), cost=10_000, clicks=100)
    row = posteriors(days, lever_frame(new="security")).row(0, named=True)
    assert row["spend"] == 0
    assert row["posterior_rate"] / row["posterior_shape"] == pytest.approx(100, rel=0.01)


def test_p_best_sums_to_one_over_each_track_and_prefers_the_cheaper_lever():
    days = pl.concat(
        [
            days_of("cheap", "security", range(15, 43), cost=500, clicks=4),
            days_of("dear", "security", range(15, 43), cost=500, clicks=2),
            days_of("only", "balance", range(15, 43), cost=500, clicks=2),
        ]
    )
    result = posteriors(days, lever_frame(cheap="security", dear="security", only="balance", new="balance"))
    sums = dict(result.group_by("track").agg(pl.col("p_best").sum()).iter_rows())
    assert sums["security"] == pytest.approx(1)
    assert sums["balance"] == pytest.approx(1)
    best = dict(result.select("lever_id", "p_best").iter_rows())
    assert best["cheap"] > 0.99
    assert result["p_cac_above_cap"].to_numpy() == pytest.approx(1 - result["p_meets_cap"].to_numpy())


def test_row_order_and_extra_rows_do_not_change_a_digit_and_the_seed_only_moves_p_best():
    rng = np.random.default_rng(4)
    days = pl.concat(
        [
            days_of(
                f"l{i}", "security", [age], round(rng.uniform(1, 99), 2), round(rng.uniform(0, 1), 3), 0.1
            )
            for i in range(6)
            for age in range(1, 50)
        ]
    )
    levers = lever_frame(**{f"l{i}": "security" for i in range(6)})
    first = posteriors(days, levers)
    assert first.equals(posteriors(days.sample(fraction=1, shuffle=True, seed=2), levers.reverse()))
    other = posteriors(days, levers, seed=2)
    assert not first["p_best"].equals(other["p_best"])
    assert first.drop("p_best").equals(other.drop("p_best"))


def test_the_track_pools_all_its_levers():
    days = pl.concat([days_of(f"l{i}", "security", range(15, 43), cost=100, clicks=0.5) for i in range(20)])
    tracks = {row["track"]: row for row in tracks_of(days).iter_rows(named=True)}
    assert tracks["security"]["spend"] == Decimal(56_000)
    assert tracks["security"]["cac_p50"] == pytest.approx(200, rel=0.05)
    assert 0.05 < tracks["security"]["p_cac_above_cap"] < 0.3
    assert tracks["balance"]["spend"] == 0
    assert tracks["balance"]["p_cac_above_cap"] > 0.5


@pytest.mark.parametrize("column", ["cost", "conversions_click", "conversions_view"])
def test_negative_measures_are_refused(column):
    days = days_of("l1", "security", [20], 10).with_columns(pl.lit(Decimal("-1")).alias(column))
    with pytest.raises(ValueError, match="negative"):
        posteriors(days, lever_frame(l1="security"))


def test_duplicate_levers_are_refused():
    levers = lever_frame(l1="security")
    with pytest.raises(ValueError, match="unique"):
        posteriors(days_of("l1", "security", [20], 10), pl.concat([levers, levers]))


# --- young cohorts and forgetting ------------------------------------------------------------------------


def arriving(ages, completion, sd=0.0, clicks=1.0) -> pl.DataFrame:
    days = days_of("l1", "security", ages, cost=100, clicks=clicks)
    return days.with_columns(completion=pl.lit(completion), completion_sd=pl.lit(sd))


def test_a_young_cohort_counts_as_far_as_its_conversions_have_arrived():
    days = pl.concat([arriving(range(15, 43), 1.0), arriving([5, 6], 0.4, clicks=0.4)])
    row = posteriors(days, lever_frame(l1="security")).row(0, named=True)
    assert (row["spend"], row["click_conversions"]) == (2800, 28), "the stop rule's spend is matured"
    assert (row["exposure"], row["young_exposure"], row["young_spend"]) == pytest.approx((2880, 80, 200))
    assert row["evidence_clicks"] == pytest.approx(28.8)


def test_counting_young_cohorts_in_full_would_make_a_steady_lever_look_dear():
    settled = arriving(range(15, 43), 1.0)
    young = arriving(range(1, 15), 0.3, clicks=0.3)
    levers = lever_frame(l1="security")
    alone, both, naive = (
        posteriors(days, levers)["cac_p50"].item()
        for days in (
            settled,
            pl.concat([settled, young]),
            pl.concat([settled, young.with_columns(completion=pl.lit(1.0))]),
        )
    )
    assert both == pytest.approx(alone, rel=0.02)
    assert naive > 1.2 * alone


def test_old_days_that_were_last_read_young_are_no_reason_to_stop_a_lever():
    """A source was away for weeks: its days are old by the calendar and hold what was known at age one."""
    before = arriving(range(30, 43), 1.0, clicks=0.48)
    steady = arriving(range(15, 30), 1.0, clicks=0.48)
    unread = arriving(range(15, 30), 0.3, clicks=0.48 * 0.3).with_columns(is_matured=pl.lit(value=False))
    levers = lever_frame(l1="security")
    whole, away, naive, unknown = (
        posteriors(days, levers).row(0, named=True)
        for days in (
            pl.concat([before, steady]),
            pl.concat([before, unread]),
            pl.concat([before, unread.with_columns(is_matured=pl.lit(value=True))]),
            pl.concat([before, unread.with_columns(completion=pl.lit(None, pl.Float64))]),
        )
    )
    assert whole["p_cac_above_cap"] < 0.4
    assert naive["p_cac_above_cap"] > 0.8
    assert away["cac_p50"] == pytest.approx(whole["cac_p50"], rel=0.03)
    assert (away["spend"], away["young_spend"]) == (1300, 1500), "the stop rule's spend was read matured"
    assert (unknown["spend"], unknown["exposure"]) == (1300, 1300)


def test_a_day_whose_completion_nobody_knows_is_no_evidence_until_it_matures():
    days = arriving(range(1, 15), None).cast({"completion": pl.Float64})
    assert posteriors(days, lever_frame(l1="security"))["exposure"].item() == 0


@pytest.mark.parametrize("completion", [0.0, 1.2])
def test_an_impossible_completion_is_refused(completion):
    with pytest.raises(ValueError, match="completion"):
        posteriors(arriving([3], completion), lever_frame(l1="security"))


def test_an_unsure_delay_widens_the_belief_instead_of_moving_it():
    settled = arriving(range(15, 20), 1.0, clicks=0.5)
    sure, unsure = (
        posteriors(
            pl.concat([settled, arriving(range(1, 15), 0.4, sd=sd, clicks=20.0)]), lever_frame(l1="security")
        ).row(0, named=True)
        for sd in (0.0, 0.15)
    )
    assert unsure["cac_p50"] == pytest.approx(sure["cac_p50"], rel=0.05)
    assert unsure["cac_p90"] / unsure["cac_p10"] > 1.2 * sure["cac_p90"] / sure["cac_p10"]


def test_old_days_weigh_half_after_a_half_life():
    days = pl.concat([arriving([15], 1.0, clicks=2), arriving([29], 1.0, clicks=8)])
    named = {"half_lives": {"security": 14.0, "balance": None}}
    row = lever_posteriors(
        days, lever_frame(l1="security"), ACCOUNTS, as_of_date=AS_OF, window_days=28, prior_conversions=2.0,
        caps=CAPS, reward=REWARD, draws=96, rng=np.random.default_rng(1), **named,
    ).row(0, named=True)  # fmt: skip
    assert row["evidence_clicks"] == pytest.approx(2 + 8 / 2), "a half-life before the account's newest day"
    assert row["exposure"] == pytest.approx(100 + 100 / 2)
    assert (row["spend"], row["click_conversions"], row["half_life_days"]) == (200, 10, 14)
