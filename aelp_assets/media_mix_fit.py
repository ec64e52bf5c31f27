"""A track's media-mix fit: which model its weeks carry, its draws, and what stands against them.

Here: settings to specification, the fallback, diagnosis and cross-check, keeping and reading back a fit.
Not here: assets (`media_mix`), the models themselves.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from aelp_assets.artifacts import load_frames, load_text, store_frames, store_text
from aelp_assets.partitions import derived_seed, seeded_rng
from models.mmm import storage
from models.mmm.bootstrap import BootstrapMix, bootstrap_refusals, disagreements, fit_bootstrap
from models.mmm.channel_draws import ChannelDraws, bootstrap_draws, posterior_draws
from models.mmm.evidence import LiftTest
from models.mmm.posterior import MediaPosterior
from models.mmm.randomised_evidence import Reading, reading_as_lift_test
from models.mmm.specification import Specification
from models.mmm.weekly_input import newest_weeks
from models.mmm.weeks import MediaWeeks, refusals
from resources.settings import Settings

if TYPE_CHECKING:
    from models.mmm.collapsed import CompiledMix, OnProgress, Progress
    from models.mmm.diagnostics import Diagnosis

FIT_FOLDER = "media_mix"
_SECONDS_APART = 4.0
"""Between two lines on how far sampling is. A fit of hours has some hundred: each waits a twentieth more."""
_EVIDENCE = {
    **dict.fromkeys(("track", "channel", "source"), pl.String),
    **dict.fromkeys(("spend", "change", "lift", "error"), pl.Float64),
    **dict.fromkeys(("applied", "held"), pl.Int64),
    "not_counted": pl.String,
}


@dataclass(frozen=True)
class Evidence:
    """An experiment on a channel as a fit took it.

    Attributes:
        test: None: it does not count.
        reason: why not.
        reading: of the coin, where that is its source.
    """

    source: Literal["settings", "apply/hold"]
    channel: str
    test: LiftTest | None = None
    reason: str | None = None
    reading: Reading | None = None


@dataclass(frozen=True)
class TrackFit:
    """What became of one track's weeks.

    Attributes:
        weeks: fitted or refused; None: the track has no complete week.
        outcome: new_customers or conversions.
        fitted: draws of the Bayesian model or of the fallback; None: refused.
        diagnosis: of the Bayesian model, while it is fresh.
        contraction: share of the prior's variance of each channel's return that the weeks took away; None:
            the fallback has none.
        refused: why the Bayesian model, or any, was not fitted.
        evidence: experiments that the Bayesian model was offered.
        beside: of `disagreements` with the independent estimate; None: there is none.
    """

    track: str
    weeks: MediaWeeks | None
    outcome: str
    fitted: MediaPosterior | BootstrapMix | None = None
    diagnosis: Diagnosis | None = None
    refused: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    contraction: Mapping[str, float] | None = None
    beside: pl.DataFrame | None = None

    @property
    def model(self) -> str:
        if self.fitted is None:
            return "none"
        return "bayesian" if isinstance(self.fitted, MediaPosterior) else "bootstrap"

    @property
    def passed(self) -> bool:
        """Whether curves and allocations may come of it."""
        return self.fitted is not None and (self.diagnosis is None or self.diagnosis.passed)

    @property
    def curves(self) -> ChannelDraws:
        """The draws as concave curves.

        Raises:
            ValueError: nothing was fitted.
        """
        if isinstance(self.fitted, MediaPosterior):
            return posterior_draws(self.fitted)
        if self.fitted is None:
            raise ValueError(f"{self.track}: no model was fitted ({' '.join(self.refused)})")
        return bootstrap_draws(self.fitted)


def specification_of(settings: Settings) -> Specification:
    """The settings' model."""
    chosen = settings.media_mix
    return Specification(chosen.adstock, chosen.saturation, chosen.lags)


def evidence_of(
    settings: Settings, track: str, weeks: MediaWeeks, outcome: str, readings: Iterable[Reading]
) -> tuple[Evidence, ...]:
    """Experiments on channels of a track that the weeks know: the settings', then those of the coin."""
    told = [
        Evidence(
            "settings",
            test.channel,
            LiftTest(test.channel, float(test.spend), float(test.change), test.lift, test.error),
        )
        for test in settings.media_mix.lift_tests
        if test.track == track and test.channel in weeks.channels
    ]
    for reading in readings:
        if reading.channel in weeks.channels:
            found = reading_as_lift_test(reading, weeks, of_orders=outcome == "new_customers")
            test, reason = (None, found) if isinstance(found, str) else (found, None)
            told.append(Evidence("apply/hold", reading.channel, test, reason, reading))
    return tuple(told)


def evidence_rows(found: TrackFit) -> pl.DataFrame:
    """A track's experiments as a person reads them: whence each comes, and why it does not count."""
    return pl.DataFrame(
        [
            {
                "track": found.track,
                "channel": each.channel,
                "source": each.source,
                **({} if each.test is None else asdict(each.test)),
                **({"applied": each.reading.applied, "held": each.reading.held} if each.reading else {}),
                "not_counted": each.reason,
            }
            for each in found.evidence
        ],
        schema=_EVIDENCE,
    )


def progress_message(track: str, at: Progress, seconds: float) -> str:
    """How far a track's sampling is, and how long the rest takes at the pace so far.

    Args:
        seconds: since sampling began.
    """
    left = "" if at.done in (0, at.total) else f", ~{seconds * (at.total - at.done) / at.done:.0f} s left"
    return (
        f"{track}: {at.chains} chains, {at.done / at.total:.0%} of {at.total:,} draws, "
        f"{at.divergences} divergences{left}"
    )


class Fitter:
    """Fits of one morning; tracks with as many channels share one compiled model.

    Args:
        readings: of `randomised_readings`, by track.
        say: told what takes long: compiling, and every few seconds, later minutes, how far sampling is.
        clock: seconds, from any moment on.
    """

    def __init__(
        self,
        settings: Settings,
        morning: date,
        readings: Mapping[str, Sequence[Reading]] | None = None,
        say: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.morning = morning
        self.readings = readings or {}
        self._say = say
        self._clock = clock
        self._compiled: dict[int, CompiledMix] = {}

    def fit(self, track: str, rows: pl.DataFrame) -> TrackFit:
        """The model that a track's weeks carry: Bayesian, else the fallback, else none.

        Args:
            rows: `mmm_input_weekly` of the track.
        """
        chosen = self.settings.media_mix
        weeks = newest_weeks(rows, self.morning, chosen.most_weeks, chosen.harvesting)
        if weeks is None:
            why = "No complete week: every channel and the stores must be read, and the week matured."
            return TrackFit(track, None, "conversions", refused=(why,))
        known = rows.filter(pl.col("week").is_in(weeks.days))["new_customers"].null_count() == 0
        found = TrackFit(track, weeks, "new_customers" if known else "conversions")
        specification = specification_of(self.settings)
        against = tuple(each.detail for each in refusals(weeks, specification.parameters(weeks)))
        second = bootstrap_refusals(weeks)
        other = None if second else fit_bootstrap(weeks, self._second_rng(track))
        if against:
            neither = tuple(each.detail for each in second)
            return replace(found, fitted=other, refused=tuple(dict.fromkeys((*against, *neither))))
        readings = self.readings.get(track, ())
        evidence = evidence_of(self.settings, track, weeks, found.outcome, readings)
        tests = [each.test for each in evidence if each.test is not None]
        posterior, diagnosis = self._bayesian(track, weeks, specification, tests)
        beside = None if other is None else disagreements(posterior, other)
        kept = {each.channel: each.return_on_spend for each in diagnosis.channels}
        return replace(
            found,
            fitted=posterior,
            diagnosis=diagnosis,
            evidence=evidence,
            contraction=kept,
            beside=beside,
        )

    def _bayesian(
        self, track: str, weeks: MediaWeeks, specification: Specification, tests: Sequence[LiftTest]
    ) -> tuple[MediaPosterior, Diagnosis]:
        # Loading PyMC takes seconds, and every command loads the graph.
        from models.mmm.collapsed import CompiledMix, Sampling, fit
        from models.mmm.diagnostics import diagnose

        chosen = self.settings.media_mix
        channels = len(weeks.channels)
        if channels not in self._compiled:
            self._say(f"{track}: compiling the model of {channels} channels")
            if chosen.sampler == "nutpie":
                self._compiled[channels] = CompiledMix(weeks, specification)
        sampling = Sampling(
            derived_seed(self.settings.seed, f"mmm_fit {track}", self.morning),
            chosen.sampler,
            chosen.chains,
            chosen.draws,
            chosen.tune,
        )
        posterior = fit(
            weeks,
            specification,
            sampling,
            tests,
            self._compiled.get(channels),
            on_progress=self._watch(track),
        )
        rng = seeded_rng(self.settings.seed, f"mmm_diagnose {track}", self.morning)
        return posterior, diagnose(posterior, specification, rng)

    def _watch(self, track: str) -> OnProgress:
        """Says how far sampling is: the beginning, the end, and between them ever more seldom.

        The pace counts from the beginning, which PyMC and NumPyro tell when they have compiled.
        """
        began = told = self._clock()

        def say(at: Progress) -> None:
            nonlocal began, told
            now = self._clock()
            if at.done == 0:
                began = now
            if at.done in (0, at.total) or now - told >= max(_SECONDS_APART, (now - began) / 20):
                told = now
                self._say(progress_message(track, at, now - began))

        return say

    def _second_rng(self, track: str) -> np.random.Generator:
        return seeded_rng(self.settings.seed, f"mmm_bootstrap {track}", self.morning)


def keep_fit(artifacts: Path, found: TrackFit, settings: Settings, morning: date) -> str | None:
    """Store a fit and return its hash; None where nothing was fitted.

    Draws of the Bayesian model are kept; the fallback's come again from its weeks and seed.
    """
    if found.weeks is None or found.fitted is None:
        return None
    folder = artifacts / FIT_FOLDER
    said: dict[str, Any] = {"model": found.model, "track": found.track, "outcome": found.outcome}
    said["contraction"] = found.contraction
    said["lift_tests"] = evidence_rows(found).to_dicts()
    said["beside"] = None if found.beside is None else found.beside.to_dicts()
    if isinstance(found.fitted, MediaPosterior):
        draws = store_frames(folder / "draws", {"draws": found.fitted.table()})
        said["draws"] = draws.sha256
        said["manifest"] = storage.manifest(found.fitted, specification_of(settings))
    else:
        said["weeks"] = storage.describe_weeks(found.weeks)
        said["seed"] = derived_seed(settings.seed, f"mmm_bootstrap {found.track}", morning)
    return store_text(folder, json.dumps(said, sort_keys=True))


def stored_fit(artifacts: Path, sha256: str) -> TrackFit:
    """A fit kept under a hash, to ask it further questions; without diagnosis.

    Raises:
        FileNotFoundError: nothing is stored under it.
        ValueError: what is stored was changed, or is of a format this code does not read.
    """
    folder = artifacts / FIT_FOLDER
    said = json.loads(load_text(folder, sha256))
    if said["model"] == "bootstrap":
        weeks = storage.restore_weeks(said["weeks"])
        fitted: MediaPosterior | BootstrapMix = fit_bootstrap(weeks, np.random.default_rng(said["seed"]))
    else:
        table = load_frames(folder / "draws", said["draws"])["draws"]
        fitted, _ = storage.restore(table, said["manifest"])
    beside = None if said["beside"] is None else pl.DataFrame(said["beside"])
    return TrackFit(
        said["track"], fitted.weeks, said["outcome"], fitted, contraction=said["contraction"], beside=beside
    )
