"""Spend's own movement becomes columns: what budgets share, and what harvests demand."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from models.mmm.baseline import BaselinePrior, baseline
from models.mmm.demand import COMMON, common_movement, demand_columns
from models.mmm.specification import Specification, effect_scale
from models.mmm.weeks import MediaWeeks

WEEKS = 156
LOADINGS = np.array([0.5, 0.4, 0.3, 0.5, 0.2])


def demand(seed=1):
    course = np.random.default_rng(seed).normal(size=WEEKS)
    return course / course.std()


def following(loadings=LOADINGS, seed=1, harvests=(), own=0.3):
    """Budgets of which some share follows the same demand."""
    rng = np.random.default_rng([seed, 2])
    lifted = np.outer(demand(seed), loadings) + own * rng.normal(size=(WEEKS, len(loadings)))
    names = tuple(f"c{at}" for at in range(len(loadings)))
    return MediaWeeks(
        date(2023, 1, 2),
        names,
        1e4 * np.exp(lifted),
        np.ones(WEEKS),
        np.zeros((WEEKS, 0)),
        (),
        tuple(name for name in names if name in harvests),
    )


OTHERS = np.ones((WEEKS, 1))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_budgets_that_follow_the_same_demand_show_it(seed):
    (name,), column = demand_columns(following(seed=seed), OTHERS)
    assert name == COMMON
    assert np.corrcoef(column[:, 0], demand(seed))[0, 1] > 0.9
    assert (column**2).mean() == pytest.approx(1.0)
    assert column.mean() == pytest.approx(0.0, abs=1e-9)


def test_the_factor_weighs_channels_by_what_they_tell():
    """The mean of all movements, which weighs them alike, is nearer to noise."""
    loadings = np.array([0.9, 0.8, 0.7, 0.1, 0.05, 0.0])
    weeks = following(loadings, own=0.4)
    movement = np.log(weeks.spend) - np.log(weeks.spend).mean(axis=0)
    movement /= movement.std(axis=0)
    factor, mean = common_movement(movement), movement.mean(axis=1)
    told, alike = (abs(np.corrcoef(each, demand())[0, 1]) for each in (factor, mean))
    assert told > alike + 0.03


def test_two_channels_have_no_common_movement_and_a_still_one_counts_for_nothing():
    assert demand_columns(following(LOADINGS[:2]), OTHERS)[0] == ()
    weeks = following(LOADINGS[:3])
    still = replace(weeks, spend=np.where(np.arange(3) == 2, 5e3, weeks.spend))
    names, columns = demand_columns(still, OTHERS)
    assert names == ()
    assert columns.shape == (WEEKS, 0)


def test_weeks_off_are_planned_and_tell_of_no_demand():
    weeks = following()
    on = np.arange(WEEKS) % 9 < 6
    flighted = replace(weeks, spend=np.where((np.arange(5) == 0) & ~on[:, None], 0.0, weeks.spend))
    (_,), column = demand_columns(flighted, OTHERS)
    assert np.corrcoef(column[:, 0], demand())[0, 1] > 0.85
    assert abs(np.corrcoef(column[:, 0], on)[0, 1]) < 0.15


def test_what_harvests_demand_is_its_own_column_and_no_part_of_the_common_one():
    weeks = following(harvests=("c1",))
    names, columns = demand_columns(weeks, OTHERS)
    assert names == (COMMON, "c1_demand")
    assert np.corrcoef(columns[:, 1], np.log(weeks.spend[:, 1]))[0, 1] == pytest.approx(1.0)
    others = [at for at in range(5) if at != 1]
    without = replace(
        weeks, channels=tuple(weeks.channels[at] for at in others), spend=weeks.spend[:, others], harvests=()
    )
    assert columns[:, 0] == pytest.approx(demand_columns(without, OTHERS)[1][:, 0])


def test_demand_is_what_the_other_columns_leave_and_nothing_is_foreseen():
    weeks, prior = following(harvests=("c0",)), BaselinePrior(demand_sd=0.2)
    found = baseline(weeks, prior, ahead=6)
    followed = [at for at, name in enumerate(found.names) if name == COMMON or name.endswith("_demand")]
    rest = [at for at in range(len(found.names)) if at not in followed]
    assert len(followed) == 2
    inside = found.columns[:WEEKS]
    assert inside[:, rest].T @ inside[:, followed] == pytest.approx(np.zeros((len(rest), 2)), abs=1e-9)
    assert (inside[:, followed] ** 2).mean(axis=0) == pytest.approx([0.04, 0.04])
    assert (found.columns[WEEKS:, followed] == 0).all()
    assert not any(name == COMMON for name in baseline(weeks, BaselinePrior(demand_sd=0)).names)


def test_harvesting_channels_are_expected_to_add_little():
    plain, harvesting = (effect_scale(following(harvests=each), Specification()) for each in ((), ("c2",)))
    assert harvesting[2] == pytest.approx(0.1 * plain[2])
    assert np.delete(harvesting, 2) == pytest.approx(np.delete(plain, 2))


def test_a_stranger_that_harvests_is_refused():
    with pytest.raises(ValueError, match="brand"):
        replace(following(), harvests=("brand",))
