"""The study of peers: what they are given, what is kept of them, what its figures are of."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.mmm_peers import study
from benchmarks.mmm_peers.fitted import report
from benchmarks.mmm_peers.task import Priors, peer_task
from benchmarks.mmm_recovery import Fitters
from benchmarks.mmm_worlds import World, simulate
from benchmarks.record import Record
from models.mmm.baseline import baseline
from models.mmm.posterior import MediaPosterior, linear_draws
from models.mmm.response import adstock_weights, lagged
from models.mmm.specification import LiftTest, Specification, effect_scale
from models.mmm.weeks import MediaWeeks
from resources.settings import PROJECT_ROOT


def figures(record: Record) -> dict[str, float]:
    return {figure.name: figure.value for figure in record.figures}


def test_the_peers_are_given_the_priors_of_our_model() -> None:
    assert Priors.of(Specification()) == Priors()
    with pytest.raises(ValueError, match="hill"):
        Priors.of(Specification(saturation="hill"))


def test_a_task_holds_our_baseline_column_by_column() -> None:
    weeks = simulate("matched", 1, weeks=60, channels=2).weeks
    task = json.loads(json.dumps(peer_task(weeks, Priors())))
    parts = [task[name] for name in ("controls", "seasons", "drift")]
    ours = baseline(weeks, Specification().prior)
    assert ["intercept", *(name for part in parts for name in part["names"])] == list(ours.names)
    given = np.hstack([np.array(part["values"]) * part["sd"] for part in parts])
    assert given == pytest.approx(ours.columns[:, 1:])
    assert np.array(task["spend"]) == pytest.approx(weeks.spend)


def test_a_report_is_of_the_worst_parameter() -> None:
    rng = np.random.default_rng(1)
    mixed, stuck = rng.normal(size=(4, 200, 2)), rng.normal(size=(4, 200))
    returned = 1.0 + 0.1 * rng.normal(size=(4, 200, 3))
    fine = report({"effect": mixed}, returned)
    assert fine["parameters"] == 2
    assert fine["max_rhat"] < 1.02
    assert fine["least_effective"] > 400
    assert np.array([fine["p5"], fine["p50"], fine["p95"]]) == pytest.approx(
        np.quantile(returned.reshape(-1, 3), (0.05, 0.5, 0.95), axis=0)
    )
    stuck[3] += 5.0
    bad = report({"effect": mixed, "noise": stuck}, returned)
    assert bad["max_rhat"] > 1.5
    assert bad["least_effective"] < 20
    assert bad["least_effective_return"] == fine["least_effective_return"]


def test_a_peers_fits_are_kept_until_the_peer_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "PEER_FITS", tmp_path)
    fitted: list[int] = []

    def fit(peer: study.Peer, world: World, draws: int) -> dict[str, Any]:
        fitted.append(world.seed)
        return {"p5": [0.0], "p50": [1.0], "p95": [2.0]}

    monkeypatch.setattr(study.Peer, "fit", fit)
    peer = study.PEERS[0]
    assert study.fit_peer(peer, [9001, 9002], 10)
    assert study.fit_peer(peer, [9001, 9002, 9003], 10)
    assert fitted == [9001, 9002, 9003]
    assert study.fit_peer(peer, [9001], 20)
    assert study.fit_peer(replace(peer, versions=("numpy",)), [9001], 10)
    assert fitted[3:] == [9001, 9001]
    # Kept fits need no environment, a missing one does.
    monkeypatch.setattr(study.Peer, "is_there", lambda peer, log: False)
    assert study.fit_peer(peer, [9003], 10)
    assert not study.fit_peer(peer, [9004], 10)


def believed(weeks: MediaWeeks, seed: int) -> MediaPosterior:
    """Four chains of draws that know no outcome."""
    rng, shape = np.random.default_rng(seed), (200, len(weeks.channels))
    media = {"retention": rng.beta(1, 3, shape), "rate": rng.gamma(3, 1, shape)}
    effect, noise = 0.1 * rng.random(shape), 0.05 + 0.01 * rng.random(200)
    columns = baseline(weeks, Specification().prior)
    alone, empty = np.zeros(200), np.empty((0, 0))
    form = ("geometric", "logistic", 8, columns, media, effect, noise)
    drawn = MediaPosterior(weeks, *form, memory=alone, coefficients=empty, chains=4)
    return linear_draws(drawn, rng)


def test_a_study_goes_on_where_it_was_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "PEER_FITS", tmp_path / "fits")
    monkeypatch.setenv("AELP_BENCH", str(tmp_path / "bench"))
    done: list[tuple[str, int]] = []

    def of_peer(peer: study.Peer, world: World, draws: int, timed: bool = False) -> dict[str, Any]:
        done.append((peer.name, world.seed))
        medians = world.return_on_spend
        seconds = 50.0 if timed else None
        return {
            **{
                level: (medians * share).tolist()
                for level, share in (("p5", 0.5), ("p50", 1.0), ("p95", 1.5))
            },
            **{"max_rhat": 1.0, "least_effective": 100.0, "least_effective_return": 100.0},
            **{"cpu_seconds": 90.0, "sampling_cpu_seconds": seconds},
        }

    def of_ours(weeks: MediaWeeks, tests: Sequence[LiftTest], seed: int) -> MediaPosterior:
        done.append((f"ours with {len(tests)}", seed))
        return believed(weeks, seed)

    fitters = Fitters(Specification(), of_ours, lambda weeks, seed: believed(weeks, seed))
    monkeypatch.setattr(study, "compiled_fitters", lambda weeks, draws: fitters)
    monkeypatch.setattr(study, "timed", lambda work: (work(), 0.5))
    monkeypatch.setattr(study.Peer, "fit", of_peer)
    monkeypatch.setattr(study.Peer, "is_there", lambda peer, log: True)
    found = figures(study.mmm_peers(worlds=2, timed_worlds=1, draws=50))
    assert found["Meridian: 90 % intervals that hold ROAS"] == 100.0
    assert found["pymc-marketing: median ROAS error"] == 0.0
    assert found["Meridian: effective draws of a further fit"] == pytest.approx(2.0)
    assert found["ours: median ROAS error"] > 0
    assert found["effective draws, sampling alone, ours / Meridian"] == pytest.approx(
        found["ours: effective draws, sampling alone"] / 2.0
    )
    assert sorted(done) == sorted(
        [(name, seed) for name in ("pymc-marketing", "Meridian") for seed in (9001, 9001, 9002)]
        + [(f"ours with {tests}", seed) for tests in (0, 2) for seed in (9001, 9002)]
    )
    again = figures(study.mmm_peers(worlds=2, timed_worlds=1, draws=50))
    assert again == found
    assert len(done) == 10


def scored(method: str, seed: int, *medians: float) -> dict[str, Any]:
    """A fit of two channels whose true return is 1, intervals of ± 0.2 around the median."""
    return {
        "method": method,
        "seed": seed,
        "p5": [median - 0.2 for median in medians],
        "p50": list(medians),
        "p95": [median + 0.2 for median in medians],
        "max_rhat": 1.02 if seed % 4 == 0 else 1.0,
        "cpu_seconds": 90.0,
    }


def test_errors_differences_and_rates_are_what_the_rows_say() -> None:
    seeds = range(20)
    fits = [
        scored(method, seed, *medians)
        for seed in seeds
        for method, medians in (
            (study.OURS, (1.1, 0.9)),
            (study.TESTED, (1.05, 0.95)),
            ("pymc-marketing", (1.1, 1.1)),
            ("Meridian", (1.3, 1.3 if seed % 2 else 1.1)),
        )
    ]
    timings = [
        {"method": study.OURS, "least_effective": 800.0, "least_effective_return": 100.0},
        {"method": "pymc-marketing", "least_effective": 20.0, "least_effective_return": 100.0},
        {"method": "Meridian", "least_effective": 80.0, "least_effective_return": 100.0}
        | {"compiling_cpu_seconds": 6.0},
    ]
    timings = [row | {"sampling_cpu_seconds": 2.0} for row in timings]
    rows = study.long_rows(fits, {seed: np.ones(2) for seed in seeds})
    assert rows.height == 160
    record = study.summarise(rows, fits, timings, {})
    found, meets = figures(record), {figure.name: figure.meets for figure in record.figures}
    assert found["ours: 90 % intervals that hold ROAS"] == 100.0
    assert meets["ours: 90 % intervals that hold ROAS"] is False
    assert found["Meridian: 90 % intervals that hold ROAS"] == pytest.approx(25.0)
    assert found["ours: median ROAS error"] == pytest.approx(10.0)
    assert found["median ROAS error, ours less pymc-marketing"] == pytest.approx(0.0, abs=1e-6)
    assert meets["median ROAS error, ours less pymc-marketing"] is True
    assert found["median ROAS error, ours less Meridian"] == pytest.approx(-20.0)
    tested = "median ROAS error, ours with two experiments less pymc-marketing"
    assert found[tested] == pytest.approx(-5.0)
    assert meets[tested] is True
    assert record.details["95 % intervals"][tested] == [-5.0, -5.0]
    further = "effective draws of a further fit, ours /"
    assert (found[f"{further} pymc-marketing"], meets[f"{further} pymc-marketing"]) == (40.0, True)
    assert (found[f"{further} Meridian"], meets[f"{further} Meridian"]) == (40.0, True)
    assert found["effective draws, sampling alone, ours / Meridian"] == pytest.approx(10.0)
    assert meets["effective draws, sampling alone, ours / Meridian"] is None
    assert found["effective draws of the worst ROAS, sampling alone, ours / Meridian"] == pytest.approx(1.0)
    slow = [row | {"least_effective": 200.0} if row["method"] == study.OURS else row for row in timings]
    missed = {figure.name: figure.meets for figure in study.summarise(rows, fits, slow, {}).figures}
    assert missed[f"{further} pymc-marketing"] is False
    assert found["Meridian: fits with R-hat above 1.01"] == pytest.approx(25.0)
    assert "did not run" not in record.note
    # Worse than a peer in every world is a miss; a peer that is not there is said to be missing.
    worse = [row | {"p50": [1.3, 1.3]} if row["method"] == study.OURS else row for row in fits]
    worse = [row for row in worse if row["method"] != "Meridian"]
    rows = study.long_rows(worse, {seed: np.ones(2) for seed in seeds})
    record = study.summarise(rows, worse, timings[:2], {})
    meets = {figure.name: figure.meets for figure in record.figures}
    assert meets["median ROAS error, ours less pymc-marketing"] is False
    assert "Meridian did not run beside it" in record.note


PRIOR_RETURNS = """
import json, sys
import numpy as np
from meridian.analysis.analyzer import Analyzer
from benchmarks.mmm_peers.fit_meridian import meridian_model
model = meridian_model(json.load(open(sys.argv[1])))
model.sample_prior(1000, seed=1)
analyzer = Analyzer(model_context=model.model_context, inference_data=model.inference_data)
returned = np.asarray(analyzer.roi(use_posterior=False, use_kpi=True))[0]
print(json.dumps(np.quantile(returned, (0.25, 0.5, 0.75), axis=0).tolist()))
"""


def test_meridian_believes_in_our_returns_but_for_its_curve(tmp_path: Path) -> None:
    """Its prior of the returns, in its own units, is the one that ours has with its saturation curve."""
    python = study.MERIDIAN_ENVIRONMENT / "bin" / "python"
    if not python.exists():
        pytest.skip(
            f"Meridian is not installed: benchmarks/install_peer.sh {study.FOLDER} {python.parents[1]}"
        )
    weeks = simulate("matched", 2, weeks=60, channels=2).weeks
    task = tmp_path / "task.json"
    task.write_text(json.dumps(peer_task(weeks, Priors())))
    command = [str(python), "-c", PRIOR_RETURNS, str(task)]
    told = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    theirs = np.array(json.loads(told.stdout.splitlines()[-1]))

    rng, priors = np.random.default_rng(1), Priors()
    retention = rng.beta(*priors.retention, (4000, 2))
    half = np.log(3.0) / rng.gamma(priors.rate[0], 1 / priors.rate[1], (4000, 2))
    effect = np.abs(rng.normal(0, effect_scale(weeks, Specification()), (4000, 2)))
    carried = adstock_weights("geometric", {"retention": retention}, priors.lags)
    stock = np.einsum("tcl,dcl->dtc", lagged(weeks.spend / weeks.spend_scale, priors.lags), carried)
    added = (effect[:, None] * stock / (stock + half[:, None])).sum(axis=1) * weeks.outcome_scale
    ours = np.quantile(added / weeks.spend.sum(axis=0), (0.25, 0.5, 0.75), axis=0)
    assert theirs == pytest.approx(ours, rel=0.15)
