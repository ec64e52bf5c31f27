"""Joint draws of the rates over the coming days, and counting noise.

Here: random paths that levers, days and budgets share where the world would share them. Not here:
fitting (`rates`) or what is done with the draws (`levers`, `outlook`, `models.accuracy`).

Every stream of random numbers has its own key (seed, purpose, link, block or track), and days are
drawn one after another: a 7-day forecast and a 30-day outlook from one seed see the same first week.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from models.forecasting.dynamics import TAIL_DEGREES
from models.forecasting.panel import FloatArray, IntArray
from models.forecasting.rates import Link, RateModel

Draws = NDArray[np.float32]

BLOCK = 64
"""Levers drawn at a time; bounds memory, and is part of what makes a seed reproducible."""
_OWN, _SHARED, _TAIL, _NOISE, _EVENT = range(5)
LARGEST_SCORE = 5.0
"""Log-rate deviations stop at this many of their own standard deviations, which 0.4 % of a t₄ exceed on
each side: a Student t has no exponential moment, and one draw of 2,000 would rule the mean of a sum."""
_NORMAL_ABOVE = 50.0
_NOISELESS_BELOW = 0.02


@dataclass
class PathSampler:
    """Log-rate deviations of a block of levers, one day at a time.

    A draw's deviation of lever s on day j is
        tail · ( sd_level · z⁰ + drift · Σ_{i≤j} zᵢ + shock · εⱼ )
    where every normal is √shared · (its track's) + √(1 - shared) · (its own), and tail² = ν/χ²_ν is common
    to a track and draw: a bad day for the model is bad for the whole track. It stops at LARGEST_SCORE times
    √(sd_level² + j · drift² + shock²). Days of an event add its effect and one normal of its own, common to a
    track, for the whole occurrence.
    """

    model: RateModel
    rows: IntArray
    block: int
    links: Sequence[Link]
    draws: int
    seed: int

    def __post_init__(self) -> None:
        self._own = {link: _stream(self.seed, _OWN, link, self.block) for link in self.links}
        tracks = np.unique(self.model.track[self.rows])
        self._shared = {
            (link, int(track)): _stream(self.seed, _SHARED, link, int(track))
            for link in self.links
            for track in tracks
        }
        tails = {
            int(track): np.sqrt(
                TAIL_DEGREES / _stream(self.seed, _TAIL, 0, int(track)).chisquare(TAIL_DEGREES, self.draws)
            ).astype(np.float32)
            for track in tracks
        }
        self._tail = np.stack([tails[int(track)] for track in self.model.track[self.rows]])
        self._day = 0
        self._of_event: dict[tuple[int, Link], Draws] = {}
        self._walk: dict[Link, Draws] = {}
        for link in self.links:
            level = self.model.levels[link]
            self._walk[link] = self._normals(link) * _column(np.sqrt(level.log_variance[self.rows]))

    def next_day(self) -> dict[Link, Draws]:
        """Log deviations of the next day, each of shape (levers, draws)."""
        deviations = {}
        self._day += 1
        for link in self.links:
            level = self.model.levels[link]
            variance = level.log_variance + self._day * level.drift**2 + level.shock**2
            furthest = _column(LARGEST_SCORE * np.sqrt(variance[self.rows]))
            self._walk[link] += self._normals(link) * _column(level.drift[self.rows])
            of_day = self._normals(link)
            of_day *= _column(level.shock[self.rows])
            of_day += self._walk[link]
            of_day *= self._tail
            np.clip(of_day, -furthest, furthest, out=of_day)
            for index, event in enumerate(self.model.coming_events):
                if event.covers(self.model.next_day + timedelta(days=self._day - 1)):
                    of_day += self._event(index, link)
            deviations[link] = of_day
        return deviations

    def _event(self, index: int, link: Link) -> Draws:
        """Log effect of a coming event per lever and draw: the same on all its days."""
        if (index, link) not in self._of_event:
            event = self.model.coming_events[index]
            tracks = self.model.track[self.rows]
            normals = np.zeros((self.rows.size, self.draws), dtype=np.float32)
            for track in np.unique(tracks):
                stream = _stream(self.seed, _EVENT, link, int(track), index)
                normals[tracks == track] = stream.standard_normal(self.draws, dtype=np.float32)
            normals *= _column(event.log_sd[link, self.rows])
            normals += _column(event.effect[link, self.rows])
            self._of_event[index, link] = normals
        return self._of_event[index, link]

    def _normals(self, link: Link) -> Draws:
        share = self.model.levels[link].shared[self.rows]
        normals = self._own[link].standard_normal((self.rows.size, self.draws), dtype=np.float32)
        normals *= _column(np.sqrt(1.0 - share))
        weights = np.sqrt(share).astype(np.float32)
        tracks = self.model.track[self.rows]
        for track in np.unique(tracks):
            common = self._shared[link, int(track)].standard_normal(self.draws, dtype=np.float32)
            inside = np.flatnonzero(tracks == track)
            normals[inside] += weights[inside, None] * common
        return normals


def blocks(rows: IntArray) -> Iterator[tuple[int, IntArray]]:
    """(block number, rows), BLOCK rows at a time, always cut at the same places."""
    for number, start in enumerate(range(0, rows.size, BLOCK)):
        yield number, rows[start : start + BLOCK]


def noise_stream(seed: int, block: int, purpose: int) -> np.random.Generator:
    """A stream for a block's delivery or counting noise, apart from the rate paths."""
    return _stream(seed, _NOISE, purpose, block)


def track_stream(seed: int, track: int) -> np.random.Generator:
    """A stream for what the levers of a track share besides their rates."""
    return _stream(seed, _NOISE, 2, track)


def dispersed(mean: Draws, dispersion: FloatArray, rng: np.random.Generator) -> Draws:
    """Random counts with this mean and variance = dispersion · mean, shape as `mean` (levers, draws).

    Negative binomial above dispersion 1; below it a scaled Poisson, as for conversions that count a
    fraction each. Levers whose draws average more than 50 counts use the normal on the square-root
    scale.
    """
    counts = mean.copy()
    if not mean.size:
        return counts
    typical = mean.mean(axis=1) / np.maximum(dispersion, 1.0)
    noisy = (dispersion > _NOISELESS_BELOW) & np.isfinite(typical)
    large = np.flatnonzero(noisy & (typical > _NORMAL_ABOVE))
    clumped = np.flatnonzero(noisy & (typical <= _NORMAL_ABOVE) & (dispersion > 1.0))
    plain = np.flatnonzero(noisy & (typical <= _NORMAL_ABOVE) & (dispersion <= 1.0))
    if large.size:
        wobble = rng.standard_normal((large.size, mean.shape[1]), dtype=np.float32)
        wobble *= _column(np.sqrt(dispersion[large]) / 2.0)
        wobble += np.sqrt(mean[large])
        counts[large] = np.square(np.maximum(wobble, 0.0, out=wobble)) - _column(dispersion[large] / 4.0)
    if clumped.size:
        counts[clumped] = rng.poisson(clumps(mean[clumped], dispersion[clumped], rng))
    if plain.size:
        scale = _column(dispersion[plain])
        counts[plain] = rng.poisson(mean[plain] / scale) * scale
    return np.maximum(counts, 0.0, out=counts)


def clumps(mean: Draws, dispersion: FloatArray, rng: np.random.Generator) -> Draws:
    """Gamma rates with this mean and variance (dispersion - 1) · mean; the mean where dispersion is below 1.

    A Poisson draw of the result is negative binomial with variance = dispersion · mean.
    """
    scale = _column(np.maximum(dispersion - 1.0, 0.0))
    clumped = np.flatnonzero(scale[:, 0] > _NOISELESS_BELOW)
    if not clumped.size:
        return mean
    rates = mean.copy()
    shapes = np.maximum(mean[clumped] / scale[clumped], 1e-9)
    rates[clumped] = rng.standard_gamma(shapes, dtype=np.float32) * scale[clumped]
    return rates


def _column(values: FloatArray) -> Draws:
    return values.astype(np.float32)[:, None]


def _stream(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))
