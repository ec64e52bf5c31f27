"""NumPyro's chains in pieces draw from the model, and say how far they are."""

import numpy as np
import pymc as pm
import pytest

pytest.importorskip("numpyro", reason="only developers install NumPyro")

from models.mmm.numpyro_chains import PIECES, numpyro_trace


@pytest.fixture(scope="module")
def model():
    with pm.Model() as small:
        place = pm.Normal("place", 3.0, 2.0, shape=2)
        scale = pm.Gamma("scale", 4.0, 2.0)
        pm.Deterministic("both", place.sum() * scale)
    return small


def drawn(model, told, **changes):
    asked = {"seed": 1, "chains": 2, "draws": 830, "tune": 400, "target_accept": 0.9} | changes
    return numpyro_trace(model, **asked, on_piece=lambda *at: told.append(at))


def test_chains_in_pieces_draw_what_the_model_says(model):
    told = []
    trace = drawn(model, told)
    place, scale = (trace.posterior[name].to_numpy() for name in ("place", "scale"))
    assert (place.shape, scale.shape) == ((2, 830, 2), (2, 830))
    assert place.mean(axis=(0, 1)) == pytest.approx([3.0, 3.0], abs=0.3)
    assert place.std(axis=(0, 1)) == pytest.approx([2.0, 2.0], abs=0.2)
    assert (scale.mean(), scale.std()) == pytest.approx((2.0, 1.0), abs=0.1)
    assert trace.posterior["both"].to_numpy() == pytest.approx(place.sum(axis=2) * scale)
    assert trace.sample_stats["energy"].shape == trace.sample_stats["diverging"].shape == (2, 830)
    # No draw of a piece is drawn again in the next one.
    assert all(len(np.unique(chain)) > 750 for chain in scale)
    done = [at[0] for at in told]
    assert done == sorted(done)
    assert (done[0], done[-1], len(done)) == (0, 2 * 1230, 1 + 2 * PIECES)
    again = drawn(model, [])
    assert again.posterior.equals(trace.posterior)


def test_divergences_are_counted_after_tuning_alone():
    with pm.Model() as funnel:
        spread = pm.Normal("spread", 0.0, 3.0)
        pm.Normal("value", 0.0, pm.math.exp(spread / 2), shape=5)
    told = []
    trace = drawn(funnel, told, target_accept=0.6, draws=400)
    counts = [at[1] for at in told]
    assert counts == sorted(counts)
    assert counts[-1] == trace.sample_stats["diverging"].sum() > 0
    assert all(count == 0 for done, count in told if done <= 400)
