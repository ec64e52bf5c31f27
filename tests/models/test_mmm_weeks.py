"""Weeks that cannot carry a model are refused with the reason and what would help."""

from datetime import date

import numpy as np
import pytest

from models.mmm.weeks import MediaWeeks, refusals

FIRST = date(2023, 1, 2)


def weeks(spend, outcome=None, controls=None, names=None):
    number, channels = spend.shape
    return MediaWeeks(
        FIRST,
        names or tuple(f"c{at}" for at in range(channels)),
        spend,
        np.full(number, 10.0) if outcome is None else outcome,
        np.empty((number, 0)) if controls is None else controls,
    )


@pytest.fixture
def moving():
    return np.random.default_rng(1).lognormal(8, 0.4, (120, 3))


def reasons(found):
    return {(each.reason, each.channels) for each in found}


def test_healthy_weeks_have_nothing_against_them(moving):
    assert refusals(weeks(moving), 20) == []


def test_too_few_weeks_are_counted_against_the_parameters(moving):
    (found,) = refusals(weeks(moving[:59]), 20)
    assert found.reason == "too_few_weeks"
    assert found.detail == "59 whole weeks for 20 parameters; 60 are needed."
    assert refusals(weeks(moving[:60]), 20) == []


def test_weeks_without_any_conversion_are_refused(moving):
    assert reasons(refusals(weeks(moving, np.zeros(120)), 20)) == {("no_outcome", ())}


def test_spend_that_never_moves_is_named(moving):
    moving[:, 1] = 5000.0
    moving[:, 2] = 0.0
    found = refusals(weeks(moving), 20)
    assert reasons(found) == {("spend_is_constant", ("c1",)), ("spend_is_constant", ("c2",))}
    assert "test week" in found[0].detail


def test_channels_that_move_together_are_named_as_a_pair(moving):
    noise = np.random.default_rng(2).normal(1, 0.02, 120)
    moving[:, 2] = 3 * moving[:, 0] * noise
    (found,) = refusals(weeks(moving), 20)
    assert (found.reason, found.channels) == ("channels_move_together", ("c0", "c2"))
    assert "merge them" in found.detail


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spend": np.array([[1.0], [-2.0]])}, "spend must be finite and not negative"),
        ({"spend": np.array([[1.0], [np.nan]])}, "spend must be finite"),
        ({"outcome": np.array([1.0, -1.0])}, "outcome must be finite"),
        ({"outcome": np.array([1.0, 1.0, 1.0])}, "spend is"),
        ({"controls": np.ones((2, 1))}, "controls are"),
        ({"names": ("a", "a"), "spend": np.ones((2, 2))}, "not distinct"),
    ],
)
def test_numbers_that_cannot_be_are_refused(change, message):
    given = {"spend": np.ones((2, 1)), "outcome": np.ones(2)} | change
    with pytest.raises(ValueError, match=message):
        weeks(**given)


def test_scales_are_the_largest_week_and_1_where_nothing_was_spent():
    found = weeks(np.array([[3.0, 0.0], [7.0, 0.0]]), np.array([4.0, 2.0]))
    assert found.spend_scale.tolist() == [7.0, 1.0]
    assert found.outcome_scale == 4.0
    assert weeks(np.ones((2, 1)), np.zeros(2)).outcome_scale == 1.0


def test_the_first_weeks_are_weeks_of_their_own(moving):
    found = weeks(moving).before(10)
    assert found.number == 10
    assert found.days[-1] == date(2023, 3, 6)
    assert found.spend_scale.tolist() == moving[:10].max(axis=0).tolist()
