"""What measuring a video tells beyond its thumbnail: how many stay for the first seconds, in known truth.

Here: the sandbox's clips, measured as the assets measure them, against the hook rate each was drawn to have.
Not here: click rates, which no clip of the sandbox moves (`creative_ranking` judges pictures by them).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV

from benchmarks.creative_features import measured_clip
from benchmarks.record import Figure, Record
from models.creatives.image_features import PIXEL_FEATURES
from resources.creative_media.images import DecodedImage, decode_image
from resources.embedders import open_image_embedder
from resources.sandbox import copywriting
from resources.sandbox.clips import hook_of, render_clip
from resources.sandbox.servers.plays import OPENINGS, SHARES

_SEED = 9201
_FOLDS = 5
_PENALTIES = np.logspace(-1, 4, 11)
_OPENING = ("hook_cuts", "hook_motion", *(f"hook_{name}" for name in PIXEL_FEATURES))

FloatArray = npt.NDArray[np.float64]


def video_openings(videos: int = 90, impressions: int = 2_000, resamples: int = 1_000) -> Record:
    """Rank correlation of predicted with true hook rates of clips that no regression saw."""
    rng = np.random.default_rng(_SEED)
    creatives, _ = copywriting.draw_creatives(rng, np.zeros(videos, dtype=np.int64))
    names = [f"video-{number}" for number in range(videos)]
    pictures = [copywriting.render(creatives, number) for number in range(videos)]
    truth = np.array([OPENINGS[hook_of(name)] * SHARES["3_seconds"] / 10_000 for name in names])
    seen = rng.binomial(impressions, truth) / impressions
    thumbnail = _thumbnails(pictures)
    measures = [
        measured_clip(render_clip(picture, name)) for picture, name in zip(pictures, names, strict=True)
    ]
    opening = np.array([[row[name] for name in _OPENING] for row in measures], dtype=np.float64)
    opening = np.nan_to_num((opening - np.nanmean(opening, axis=0)) / (np.nanstd(opening, axis=0) + 1e-9))
    fold = rng.permutation(videos) % _FOLDS
    read = {"thumbnail": thumbnail, "opening": opening, "both": np.hstack([thumbnail, opening])}
    predicted = {name: _held_out(columns, seen, fold) for name, columns in read.items()}
    again = rng.integers(videos, size=(resamples, videos))
    found = {name: _rank_correlation(score, truth) for name, score in predicted.items()}
    gain = np.array(
        [
            _rank_correlation(predicted["both"][rows], truth[rows])
            - _rank_correlation(predicted["thumbnail"][rows], truth[rows])
            for rows in again
        ]
    )
    low, high = (float(each) for each in np.nanquantile(gain, [0.025, 0.975]))
    figures = [
        Figure(f"rank correlation with the true hook rate, by the {name}", value, "")
        for name, value in found.items()
    ]
    added = found["both"] - found["thumbnail"]
    figures.append(Figure("what measuring the video adds", added, "", "interval above 0", low > 0))
    return Record(
        "video_openings",
        {"videos": videos, "impressions": impressions},
        figures,
        note="Ridge on the picture's vector, on measures of the first three seconds, and on both; "
        f"{_FOLDS} folds of {videos} clips, each hook rate seen in {impressions:,} impressions; "
        f"openings are of three kinds. Interval (95 %) of what is added: {low:.3f} to {high:.3f}, by clips.",
    )


def _thumbnails(pictures: list[bytes]) -> FloatArray:
    """Vectors of the pictures that the clips are made of."""
    decoded = []
    for picture in pictures:
        found = decode_image(picture)
        assert isinstance(found, DecodedImage), found
        decoded.append(found.pixels)
    return np.asarray(open_image_embedder().embed(decoded), dtype=np.float64)


def _held_out(columns: FloatArray, seen: FloatArray, fold: npt.NDArray[np.int64]) -> FloatArray:
    """Predictions of each clip by a regression on the other folds."""
    predicted = np.empty(len(seen))
    for number in range(_FOLDS):
        there = fold == number
        predicted[there] = RidgeCV(_PENALTIES).fit(columns[~there], seen[~there]).predict(columns[there])
    return predicted


def _rank_correlation(score: FloatArray, truth: FloatArray) -> float:
    return float(spearmanr(score, truth).statistic)
