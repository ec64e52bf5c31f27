"""How a fitted ranker is kept: arrays by name, and a description of all else as JSON takes it.

Here: to and from them, exact to the bit. Not here: files and their hashes (`resources.ranker_models`).
Library files do not load across versions and run code when they do, so the format is our own: numbers,
words, and LightGBM's text for its trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from models.ranking.candidates import IMAGE, TEXT, TRAITS, KernelRanker, Ranker, RidgeRanker, TreesRanker
from models.ranking.conformal import EVERY, ConformalBound
from models.ranking.kernels import (
    Block,
    FittedBlock,
    KernelMap,
    LinearLikeness,
    NearLikeness,
    Values,
    WordsLikeness,
)
from models.ranking.placements import PLACEMENT_LEVELS_SCHEMA
from models.ranking.regression import Regression, Scale
from models.ranking.two_towers import Projection, TowersRanker

VERSION = 2
_RANK_AGAIN = "rank again (job rank_creatives)"
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Reading:
    """What makes numbers of creatives: a ranker understands those it learnt from, and no others.

    Attributes:
        text_embedder, image_embedder: specifications; each with the hash of its weights.
        text_version, image_version: of the measures.
        traits: names of the measures, in the order of the columns.
    """

    text_embedder: str
    text_weights_sha256: str
    image_embedder: str
    image_weights_sha256: str
    text_version: str
    image_version: str
    traits: tuple[str, ...]


@dataclass(frozen=True)
class RankerModel:
    """A ranker with all that scoring needs, and where it comes from.

    Attributes:
        rate: ctr or cvr.
        candidate: its name.
        levels: of `placement_levels`.
        screening_impressions: traffic that a lower bound is of.
        widths: columns of each block of numbers it learnt from; 0 of the words'.
        reading: what its blocks were read with.
        as_of_date: the morning it was fitted; learnt_through: the last day of what it learnt from.
        arms, creatives: how many it learnt from.
        code_version: of what fitted it.
    """

    rate: str
    candidate: str
    ranker: Ranker
    bound: ConformalBound
    levels: pl.DataFrame
    screening_impressions: int
    widths: Mapping[str, int]
    reading: Reading
    as_of_date: date
    learnt_through: date
    arms: int
    creatives: int
    code_version: str

    def misread(self, reading: Reading) -> tuple[str, ...]:
        """Why creatives read so mean nothing to this ranker; nothing where it can score them."""
        theirs, said = asdict(self.reading), []
        for block in (TEXT, IMAGE):
            if block not in self.widths:
                continue
            embedder, weights = f"{block}_embedder", f"{block}_weights_sha256"
            here, learnt = getattr(reading, embedder), theirs[embedder]
            if here != learnt:
                said.append(
                    f"it learnt from vectors of {learnt}, these are of {here}: set creatives.{embedder} to "
                    f"{learnt}, or {_RANK_AGAIN}"
                )
            elif getattr(reading, weights) != theirs[weights]:
                said.append(
                    f"it learnt from {learnt} with the weights {theirs[weights][:12]}, those here are "
                    f"{getattr(reading, weights)[:12]}: install the former, or {_RANK_AGAIN}"
                )
        measures = ("text_version", "image_version", "traits")
        if TRAITS in self.widths and any(getattr(reading, name) != theirs[name] for name in measures):
            said.append(
                "it learnt from other measures (formulas, detectors or lists of words in the settings have "
                f"changed since): {_RANK_AGAIN}"
            )
        return tuple(said)


@dataclass(frozen=True)
class KeptState:
    """What a file holds: JSON's values, and arrays by name."""

    described: dict[str, Any]
    arrays: dict[str, Array]


def widths_of(values: Mapping[str, Values]) -> dict[str, int]:
    """Columns of each block; 0 of words."""
    return {
        name: of_block.shape[1] if isinstance(of_block, np.ndarray) else 0
        for name, of_block in values.items()
    }


def kept_state(model: RankerModel) -> KeptState:
    """Everything of a model.

    Raises:
        TypeError: a kind of ranker that has no format.
    """
    # Every placement's margins first: it has no name to be sorted by.
    places = sorted(model.bound.margins, key=lambda at: (at[0] is not EVERY, at[0] or "", at[1]))
    described = {
        "version": VERSION,
        "rate": model.rate,
        "candidate": model.candidate,
        "as_of_date": model.as_of_date.isoformat(),
        "learnt_through": model.learnt_through.isoformat(),
        "arms": model.arms,
        "creatives": model.creatives,
        "code_version": model.code_version,
        "screening_impressions": model.screening_impressions,
        "widths": dict(model.widths),
        "reading": asdict(model.reading),
        "levels": model.levels.rows(),
        "bound": {"error": model.bound.error, "edges": model.bound.edges, "margins_of": places},
    }
    arrays: dict[str, Array] = {"bound.margins": np.array([model.bound.margins[place] for place in places])}
    match model.ranker:
        case KernelRanker():
            described |= {"kind": "kernel"} | _describe_kernel(model.ranker, arrays)
        case RidgeRanker():
            described["kind"] = "ridge"
            arrays["coefficients"] = model.ranker.coefficients
        case TreesRanker():
            described |= {"kind": "trees", "trees": model.ranker.trees, "names": model.ranker.names}
        case TowersRanker():
            described |= {"kind": "towers"} | _describe_towers(model.ranker, arrays)
        case _:
            raise TypeError(f"{model.candidate}: {type(model.ranker).__name__} has no format to be kept in")
    return KeptState(described, arrays)


def restored_model(state: KeptState) -> RankerModel:
    """The model of `kept_state`, whose scores are the same to the last bit.

    Raises:
        ValueError: a format this code does not read.
    """
    told, arrays = state.described, state.arrays
    if (version := told.get("version")) != VERSION:
        raise ValueError(
            f"it has format version {version!r}, this code reads {VERSION}: {_RANK_AGAIN}, or read it with "
            "the code that wrote it"
        )
    bound, reading = told["bound"], told["reading"]
    margins = zip(bound["margins_of"], arrays["bound.margins"].tolist(), strict=True)
    return RankerModel(
        told["rate"],
        told["candidate"],
        _restored_ranker(told, arrays),
        ConformalBound(
            bound["error"],
            tuple(bound["edges"]),
            {(place, stratum): margin for (place, stratum), margin in margins},
        ),
        pl.DataFrame(told["levels"], schema=PLACEMENT_LEVELS_SCHEMA, orient="row"),
        told["screening_impressions"],
        told["widths"],
        Reading(**{**reading, "traits": tuple(reading["traits"])}),
        date.fromisoformat(told["as_of_date"]),
        date.fromisoformat(told["learnt_through"]),
        told["arms"],
        told["creatives"],
        told["code_version"],
    )


def _restored_ranker(told: Mapping[str, Any], arrays: Mapping[str, Array]) -> Ranker:
    match told["kind"]:
        case "kernel":
            return _restored_kernel(told, arrays)
        case "ridge":
            return RidgeRanker(arrays["coefficients"])
        case "trees":
            return TreesRanker(told["trees"], tuple(told["names"]))
        case "towers":
            return _restored_towers(told, arrays)
        case kind:
            raise ValueError(f"it holds a ranker of the kind {kind!r}, which this code does not know")


def _describe_kernel(ranker: KernelRanker, arrays: dict[str, Array]) -> dict[str, Any]:
    spanned, regression = ranker.features, ranker.regression
    words: dict[str, Any] = {}
    for fitted in spanned.blocks:
        name, landmarks = fitted.block.name, spanned.landmarks[fitted.block.name]
        if isinstance(landmarks, np.ndarray):
            arrays[f"{name}.landmarks"] = _compact(landmarks)
        match fitted:
            case NearLikeness():
                arrays[f"{name}.centre"] = fitted.centre
            case LinearLikeness():
                arrays[f"{name}.centre"], arrays[f"{name}.scale"] = fitted.centre, fitted.scale
            case WordsLikeness():
                arrays[f"{name}.idf"] = fitted.idf
                words[name] = {"vocabulary": fitted.vocabulary, "landmarks": landmarks}
            case _:
                raise TypeError(f"{name}: {type(fitted).__name__} has no format to be kept in")
    arrays["landmarks.root"] = _packed_triangle(spanned.root)
    arrays["precision.root"] = _packed_triangle(regression.root)
    arrays["coefficients"] = regression.coefficients
    blocks = [asdict(fitted.block) for fitted in spanned.blocks]
    return {"scale": asdict(regression.scale), "blocks": blocks, "words": words}


def _restored_kernel(told: Mapping[str, Any], arrays: Mapping[str, Array]) -> KernelRanker:
    fitted: list[FittedBlock] = []
    landmarks: dict[str, Values] = {}
    for block in (Block(**described) for described in told["blocks"]):
        of_block = {name: arrays.get(f"{block.name}.{name}") for name in ("centre", "scale", "idf")}
        known = {name: values for name, values in of_block.items() if values is not None}
        match block.likeness:
            case "near":
                fitted.append(NearLikeness(block, **known))
            case "linear":
                fitted.append(LinearLikeness(block, **known))
            case "words":
                vocabulary = tuple(told["words"][block.name]["vocabulary"])
                fitted.append(WordsLikeness(block, vocabulary, **known))
        if block.likeness == "words":
            landmarks[block.name] = list(told["words"][block.name]["landmarks"])
        else:
            landmarks[block.name] = arrays[f"{block.name}.landmarks"].astype(np.float64)
    spanned = KernelMap(tuple(fitted), landmarks, _triangle(arrays["landmarks.root"]))
    regression = Regression(
        Scale(**told["scale"]), arrays["coefficients"], _triangle(arrays["precision.root"])
    )
    return KernelRanker(spanned, regression)


def _describe_towers(ranker: TowersRanker, arrays: dict[str, Array]) -> dict[str, Any]:
    for projection in ranker.projections:
        arrays[f"{projection.name}.centre"] = projection.centre
        arrays[f"{projection.name}.scale"] = projection.scale
        arrays[f"{projection.name}.weights"] = _compact(projection.weights)
    arrays["bias"], arrays["head"] = _compact(ranker.bias), _compact(ranker.head)
    return {"names": [projection.name for projection in ranker.projections]}


def _restored_towers(told: Mapping[str, Any], arrays: Mapping[str, Array]) -> TowersRanker:
    projections = tuple(
        Projection(
            name,
            arrays[f"{name}.centre"],
            arrays[f"{name}.scale"],
            arrays[f"{name}.weights"].astype(np.float64),
        )
        for name in told["names"]
    )
    return TowersRanker(projections, arrays["bias"].astype(np.float64), arrays["head"].astype(np.float64))


def _compact(values: Array) -> Array:
    """In half the room where nothing is lost by it: networks give single precision."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return single if np.array_equal(single.astype(np.float64), values, equal_nan=True) else values


def _packed_triangle(lower: Array) -> Array:
    """The rows of a lower triangle, one after another; the zeros above are left out."""
    return np.asarray(lower[np.tril_indices(len(lower))])


def _triangle(packed: Array) -> Array:
    """Inverse of `_packed_triangle`."""
    side = (int(np.sqrt(8 * len(packed) + 1)) - 1) // 2
    lower = np.zeros((side, side))
    lower[np.tril_indices(side)] = packed
    return lower
