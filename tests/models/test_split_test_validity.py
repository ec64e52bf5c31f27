"""Split tests whose randomisation broke are told from sound ones, by shares, times and weeks."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from models.experiments.broken_windows import BROKEN_SHARE, broken_windows
from models.experiments.split_test_validity import (
    CELL_SCHEMA,
    FALSE_DISCOVERIES,
    TIME_IMBALANCE,
    discovery_rate,
    split_test_validity,
)
from resources.files.values import read_day
from resources.sandbox.business import draw_business
from resources.sandbox.catalogue import SCALES
from resources.sandbox.split_tests import split_test_rows, split_test_truth

FIRST = date(2026, 1, 5)


def cells(test: str = "t", account: str = "a", **columns: object) -> pl.DataFrame:
    """Rows of one test; columns not given are not told."""
    told = {"platform": "meta", "account_id": account, "test_id": test, "period_start": FIRST} | columns
    frame = pl.DataFrame(told)
    missing = [pl.lit(None).alias(name) for name in CELL_SCHEMA if name not in frame.columns]
    return frame.with_columns(missing).select(*CELL_SCHEMA).cast(CELL_SCHEMA)


def verdict(frame: pl.DataFrame) -> dict[str, object]:
    (row,) = split_test_validity(frame).to_dicts()
    return row


def words(row: dict[str, object]) -> str:
    return "; ".join(row["reasons"])  # type: ignore[arg-type]


# --- shares ----------------------------------------------------------------------------------------------


def test_shares_as_planned_are_valid_and_others_are_not():
    assert verdict(cells(arm=["a", "b"], users=[10_050, 9_950]))["valid"]
    found = verdict(cells(arm=["a", "b"], users=[10_500, 9_500]))
    assert not found["valid"]
    assert words(found) == "shares of 20000 users are 2.5 points from the plan"
    # χ² = 2 · 500² / 10,000 = 50 with one degree of freedom
    assert found["sample_ratio_p"] == pytest.approx(1.537e-12, rel=1e-3)


def test_shares_are_held_against_the_plan():
    shares = {"arm": ["holdout", "exposed"], "users": [2_010, 7_990]}
    assert verdict(cells(**shares, planned_share=[0.2, 0.8]))["valid"]
    assert not verdict(cells(**shares))["valid"]


def test_an_arm_no_share_was_planned_for_has_no_users_or_the_test_is_invalid():
    found = verdict(cells(arm=["a", "b", "c"], users=[1_000, 5_000, 5_000], planned_share=[0.0, 0.5, 0.5]))
    assert words(found) == "shares of 11000 users are 9.09 points from the plan"
    kept = verdict(cells(arm=["a", "b", "c"], users=[0, 5_000, 5_000], planned_share=[0.0, 0.5, 0.5]))
    assert kept["sample_ratio_p"] == 1.0


def test_a_plan_of_nothing_is_none_and_leaves_the_other_tests_judged():
    even = cells(arm=["a", "b"], users=[5_000, 5_000], planned_share=[0.0, 0.0])
    other = cells("u", arm=["a", "b"], users=[5_000, 5_000])
    assert split_test_validity(pl.concat([even, other]))["valid"].to_list() == [True, True]


def test_without_units_no_share_is_off():
    found = verdict(cells(arm=["a", "b"], users=[0, 0]))
    assert found["share_gap"] is None
    assert not found["valid"]


def test_impressions_stand_in_where_users_are_not_told_of_every_arm():
    assert verdict(cells(arm=["a", "b"], users=[500, None], impressions=[900, 910]))["unit"] == "impressions"
    holdout = verdict(cells(arm=["a", "b"], users=[500, 510], impressions=[0, 900]))
    assert (holdout["unit"], holdout["valid"]) == ("users", True)


def test_a_plan_that_changed_while_the_test_ran_is_said():
    rows = {"arm": ["a", "b"] * 2, "users": [100, 900, 500, 500], "planned_share": [0.1, 0.9, 0.5, 0.5]}
    days = [FIRST, FIRST, FIRST + timedelta(days=1), FIRST + timedelta(days=1)]
    assert "planned share of an arm changed" in words(verdict(cells(**rows, period_start=days)))


def test_a_segment_that_breaks_shows_though_the_whole_looks_right():
    segments = ["mobile", "mobile", "desktop", "desktop"]
    found = verdict(cells(arm=["a", "b"] * 2, segment=segments, users=[5_600, 5_000, 4_400, 5_000]))
    assert found["sample_ratio_p"] == 1.0
    assert "shares are not as planned in 2 of 2 segments" in words(found)


def test_an_arm_that_one_segment_never_showed_counts_as_nothing_there():
    found = verdict(cells(arm=["a", "b", "a"], segment=["m", "m", "d"], users=[5_000, 5_050, 500]))
    assert "1 of 2 segments" in words(found)


def test_one_arm_or_too_few_users_cannot_be_judged():
    assert "nothing to compare" in words(verdict(cells(arm=["a"], users=[1_000])))
    assert "its smallest arm has 60 users; 100 are needed" in words(
        verdict(cells(arm=["a", "b"], users=[60, 64]))
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_a_thousand_sound_tests_hardly_any_is_called_broken(seed):
    users = np.random.default_rng(seed).binomial(8_000, 0.5, 1_000)
    names = [f"t{number:04}" for number in range(1_000)]
    frame = pl.concat(
        cells(name, arm=["a", "b"], users=[int(count), 8_000 - int(count)])
        for name, count in zip(names, users, strict=True)
    )
    found = split_test_validity(frame)
    assert (~found["valid"]).sum() <= 1
    assert (found["sample_ratio_p"] < 0.05).sum() > 20, "uncorrected, dozens would be called broken"


def test_discovery_rates_are_benjamini_and_hochbergs():
    found = discovery_rate(pl.Series([0.01, None, 0.04, 0.03]))
    assert found.to_list() == pytest.approx([0.03, None, 0.04, 0.04])


# --- times -----------------------------------------------------------------------------------------------


def in_hours(shares_a: list[float], shares_b: list[float], users: int, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    counts = np.concatenate([rng.multinomial(users, shares) for shares in (shares_a, shares_b)])
    hours = [f"{hour:02}" for hour in range(len(shares_a))]
    return cells(arm=["a"] * len(hours) + ["b"] * len(hours), hour=hours * 2, users=counts)


def test_an_arm_that_ran_in_one_hour_is_flagged_though_the_shares_are_right():
    even, bunched = [1 / 24] * 24, [0.41] + [0.59 / 23] * 23
    found = verdict(in_hours(bunched, even, 4_000))
    assert found["sample_ratio_p"] == pytest.approx(1.0)
    assert found["time_imbalance"] > 3 * TIME_IMBALANCE
    assert "of a fall in 2026-01-05 h00, 4" in words(found)


def test_many_users_do_not_make_a_small_drift_an_imbalance():
    tilted = [1 / 24 + 0.002] * 12 + [1 / 24 - 0.002] * 12
    found = verdict(in_hours(tilted, [1 / 24] * 24, 4_000_000))
    assert found["time_p"] < FALSE_DISCOVERIES
    assert found["time_imbalance"] < TIME_IMBALANCE
    assert "same times" not in words(found)


def test_many_thin_hours_are_no_imbalance():
    found = verdict(in_hours([1 / 500] * 500, [1 / 500] * 500, 6_000))
    assert found["time_imbalance"] < TIME_IMBALANCE / 2
    assert verdict(in_hours([1 / 500] * 500, [1 / 500] * 500, 600))["time_imbalance"] is None


def hours_of(*arms: tuple[str, list[str | None], int], day: date = FIRST) -> pl.DataFrame:
    return pl.concat(cells(arm=arm, hour=hours, users=users, period_start=day) for arm, hours, users in arms)


def test_an_arm_told_by_the_day_beside_one_told_by_the_hour_is_no_imbalance():
    by_hour = [f"{hour:02}" for hour in range(24)]
    one_day = verdict(hours_of(("a", by_hour, 100), ("b", [None], 2_400)))
    assert one_day["valid"]
    assert (one_day["time_imbalance"], one_day["time_p"], one_day["time_cell"]) == (None, None, None)
    assert one_day["time_note"] == "not every row of b tells its hour, so times are not available"
    days = [hours_of(("a", by_hour, 100), ("b", [None], 2_400), day=FIRST + timedelta(day)) for day in (0, 1)]
    two_days = verdict(pl.concat(days))
    assert two_days["time_p"] == 1.0
    assert two_days["time_note"] == "not every row of b tells its hour, so times are compared by period"


def test_an_arm_that_met_other_days_is_flagged_though_one_arm_tells_no_hours():
    early = hours_of(("a", ["00", "12"], 500), ("b", [None], 100))
    late = hours_of(("a", ["00", "12"], 50), ("b", [None], 1_000), day=FIRST + timedelta(1))
    assert "arms did not run at the same times" in words(verdict(pl.concat([early, late])))


def test_tests_whose_hours_are_told_alike_have_no_note():
    assert verdict(in_hours([0.5, 0.5], [0.5, 0.5], 1_000))["time_note"] is None
    assert verdict(cells(arm=["a", "b"], users=[500, 500]))["time_note"] is None
    # An hour with nobody in it says nothing that would need an hour.
    silent = hours_of(("a", ["00", "12", None], 0), ("a", ["00", "12"], 200), ("b", ["00", "12"], 200))
    assert verdict(silent)["time_note"] is None


@pytest.mark.parametrize("seed", range(40))
def test_whatever_a_test_lacks_a_check_is_told_or_empty_but_never_nan(seed):
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 10))
    days = [FIRST + timedelta(days=int(day)) for day in rng.integers(0, 3, rows)]
    frame = cells(
        arm=rng.choice(["a", "b", "c"], rows).tolist(),
        hour=rng.choice(["00", "01", None], rows).tolist(),
        period_start=days,
        users=rng.choice([0, 1, 2, 10, 100], rows).tolist(),
        impressions=rng.choice([0, 50, None], rows).tolist(),
    )
    found = verdict(frame)
    assert not [name for name, value in found.items() if isinstance(value, float) and not np.isfinite(value)]


# --- weeks in which randomisation broke ------------------------------------------------------------------


def archive(seed: int, broken: tuple[int, int], share: float, weeks: int = 80) -> pl.DataFrame:
    """30 tests a week; of those in the broken weeks a `share` fails."""
    rng = np.random.default_rng(seed)
    rows = []
    for week in range(weeks):
        p = rng.uniform(size=30)
        p[rng.random(30) < (share if broken[0] <= week < broken[1] else 0.0)] = 1e-9
        rows += [(FIRST + timedelta(weeks=week), float(value)) for value in p]
    return pl.DataFrame(rows, schema={"week": pl.Date, "sample_ratio_p": pl.Float64}, orient="row")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_weeks_of_broken_randomisation_are_found_to_within_a_week(seed):
    (found,) = broken_windows(archive(seed, (30, 50), 0.6)).to_dicts()
    assert abs((found["first"] - FIRST).days // 7 - 30) <= 1
    assert abs((found["last"] - FIRST).days // 7 - 49) <= 1
    assert found["failing"] > BROKEN_SHARE * found["tests"]


@pytest.mark.parametrize("seed", range(20))
def test_a_sound_archive_shows_no_broken_weeks(seed):
    assert broken_windows(archive(seed, (0, 0), 0.0)).is_empty()


def test_two_broken_windows_are_found_apart():
    early, late = archive(1, (10, 20), 0.7), archive(2, (50, 60), 0.7)
    half = FIRST + timedelta(weeks=35)
    both = pl.concat([early.filter(pl.col("week") < half), late.filter(pl.col("week") >= half)])
    assert broken_windows(both).height == 2


def test_a_few_more_failures_than_nominal_break_no_window():
    assert broken_windows(archive(1, (0, 80), 0.05)).is_empty()


def test_broken_weeks_of_one_account_say_nothing_of_anothers_tests():
    rng = np.random.default_rng(1)
    tests = []
    for week in range(20):
        for number in range(6):
            first = int(rng.binomial(5_000, 0.6 if 5 <= week < 15 and number < 5 else 0.5))
            for account, users in (("broken", first), ("sound", int(rng.binomial(5_000, 0.5)))):
                day = FIRST + timedelta(weeks=week)
                tests.append(
                    cells(
                        f"{week}-{number}",
                        account,
                        arm=["a", "b"],
                        users=[users, 5_000 - users],
                        period_start=day,
                    )
                )
    found = split_test_validity(pl.concat(tests))
    inside = found.filter("broken_window")
    assert inside["account_id"].unique().to_list() == ["broken"]
    assert inside.height == 60, "tests that pass in those weeks are not trusted either"
    assert found.filter(account_id="sound")["valid"].all()


# --- the sandbox's, and real archives --------------------------------------------------------------------


def sandbox_cells(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    business = draw_business(SCALES["tiny"], seed, date(2026, 7, 1))
    rows = split_test_rows(business).with_columns(
        pl.col("report_date").str.to_date().alias("period_start"),
        pl.col("device").alias("segment"),
        pl.lit(None, dtype=pl.String).alias("hour"),
        pl.col("users", "impressions").cast(pl.Float64),
    )
    return rows.select(*CELL_SCHEMA), split_test_truth(business)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_sandbox_s_broken_test_is_found_and_the_sound_ones_are_not_called_broken(seed):
    rows, truth = sandbox_cells(seed)
    found = split_test_validity(rows)
    assert found["valid"].to_list() == (~truth.sort("test_id")["broken"]).to_list()
    (broken,) = found.filter(~pl.col("valid")).to_dicts()
    assert (broken["segments_off"], broken["segments"]) == (1, 2), "only mobile users were sent astray"


@pytest.mark.real_data
def test_upworthy_s_broken_weeks_are_found(shared_data):
    arms = pl.read_parquet(shared_data / "upworthy" / "upworthy_tests_to_201452.parquet")
    monday = pl.Series([read_day(str(week), ["%Y%W"]) for week in arms["test_week"]])
    frame = arms.select(
        pl.lit("upworthy").alias("platform"),
        pl.lit("site").alias("account_id"),
        pl.col("clickability_test_id").alias("test_id"),
        pl.col("index").cast(pl.String).alias("arm"),
        pl.lit(monday).alias("period_start"),
        *(
            pl.lit(None, dtype=CELL_SCHEMA[name]).alias(name)
            for name in ("hour", "segment", "planned_share", "users")
        ),
        pl.col("impressions").cast(pl.Float64),
    )
    found = split_test_validity(frame)
    flags = pl.read_csv(shared_data / "upworthy" / "test_flags.csv")
    both = found.join(flags, left_on="test_id", right_on="clickability_test_id")
    assert (both["sample_ratio_p"] - both["srm_p"]).abs().max() < 1e-5
    inside = found.filter("broken_window")["week"]
    # As published: 25 June 2013 to 10 January 2014.
    assert (inside.min(), inside.max()) == (date(2013, 6, 24), date(2014, 1, 6))
    assert found.filter(~pl.col("broken_window"))["valid"].mean() > 0.98


@pytest.mark.real_data
def test_adsmart_s_control_that_ran_in_one_hour_is_flagged(shared_data):
    users = pl.read_csv(shared_data / "uplift" / "adsmart_ab.csv")
    frame = cells(
        arm=users["experiment"], period_start=users["date"].str.to_date(), hour=users["hour"], users=1
    )
    found = verdict(frame)
    assert found["sample_ratio_q"] > 0.1
    assert "of control fall in 2020-07-03 h15" in words(found)
