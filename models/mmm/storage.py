"""How a posterior is kept: a table of draws (`MediaPosterior.table`) and a manifest of all else.

Here: to and from a table and a dictionary, exact to the bit. Not here: files (`resources`). Library files do
not load across versions, so the format is our own; what is derived is kept too, so that draws mean the same
after the code that derives it has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from models.mmm.baseline import Baseline, BaselinePrior
from models.mmm.posterior import MediaPosterior
from models.mmm.response import FloatArray
from models.mmm.specification import Specification
from models.mmm.weeks import MediaWeeks

VERSION = 2
_ORDER = {"channel": pl.String, "position": pl.Int64}


def manifest(posterior: MediaPosterior, specification: Specification) -> dict[str, Any]:
    """Everything but the draws, as JSON takes it: its text gives back the same floating-point numbers."""
    weeks = posterior.weeks
    return {
        "version": VERSION,
        "specification": asdict(specification),
        "weeks": describe_weeks(weeks),
        "baseline": {
            "names": list(posterior.columns.names),
            "columns": posterior.columns.columns.tolist(),
        },
        "draws": posterior.draws,
        "draws_sha256": _fingerprint(posterior),
        "chains": posterior.chains,
        "divergences": posterior.divergences,
        "energy": None if posterior.energy is None else posterior.energy.tolist(),
        "approximate": posterior.approximate,
        "importance_tail": posterior.importance_tail,
    }


def restore(table: pl.DataFrame, described: dict[str, Any]) -> tuple[MediaPosterior, Specification]:
    """The posterior kept as `MediaPosterior.table` and `manifest`, and what it assumed.

    Raises:
        ValueError: a version this code does not know, draws that are missing or of another fit.
    """
    if (version := described.get("version")) != VERSION:
        raise ValueError(
            f"the stored media-mix posterior has format version {version!r}, this code reads {VERSION}: "
            "fit again (materialise mmm_fit), or read it with the code that wrote it"
        )
    stored = described["specification"]
    prior = {**stored["prior"], "memories": tuple(stored["prior"]["memories"])}
    specification = Specification(**{**stored, "prior": BaselinePrior(**prior)})
    weeks = restore_weeks(described["weeks"])
    names = tuple(described["baseline"]["names"])
    draws = int(described["draws"])
    posterior = MediaPosterior(
        weeks,
        specification.adstock,
        specification.saturation,
        specification.lags,
        Baseline(names, np.array(described["baseline"]["columns"]).reshape(weeks.number, len(names))),
        {
            each.name: _values(table, each.name, draws, weeks.channels)
            for each in specification.media_parameters()
        },
        _values(table, "effect", draws, weeks.channels),
        _values(table, "noise", draws, (None,))[:, 0],
        _values(table, "memory", draws, (None,))[:, 0],
        _values(table, "coefficient", draws, names),
        chains=described["chains"],
        divergences=described["divergences"],
        energy=None if described["energy"] is None else np.array(described["energy"]),
        approximate=described["approximate"],
        importance_tail=described["importance_tail"],
    )
    if _fingerprint(posterior) != described["draws_sha256"]:
        raise ValueError("the stored draws are not those their manifest describes: fit again")
    return posterior, specification


def describe_weeks(weeks: MediaWeeks) -> dict[str, Any]:
    """Weeks as JSON takes them."""
    return {
        "first_day": weeks.first_day.isoformat(),
        "channels": list(weeks.channels),
        "spend": weeks.spend.tolist(),
        "outcome": weeks.outcome.tolist(),
        "controls": weeks.controls.tolist(),
        "control_names": list(weeks.control_names),
        "harvests": list(weeks.harvests),
    }


def restore_weeks(stored: dict[str, Any]) -> MediaWeeks:
    """The weeks of `describe_weeks`."""
    outcome = np.array(stored["outcome"])
    channels, controls = tuple(stored["channels"]), tuple(stored["control_names"])
    return MediaWeeks(
        date.fromisoformat(stored["first_day"]),
        channels,
        np.array(stored["spend"]).reshape(outcome.size, len(channels)),
        outcome,
        np.array(stored["controls"]).reshape(outcome.size, len(controls)),
        controls,
        tuple(stored["harvests"]),
    )


def _values(table: pl.DataFrame, parameter: str, draws: int, of: Sequence[str | None]) -> FloatArray:
    """A parameter's draws, shape (draws, of), whatever the order of the rows."""
    rows = table.filter(pl.col("parameter") == parameter)
    if rows.height != draws * len(of):
        raise ValueError(
            f"the stored draws hold {rows.height} values of {parameter}, their manifest tells of "
            f"{draws * len(of)}: they are of another fit"
        )
    order = pl.DataFrame({"channel": list(of), "position": range(len(of))}, schema_overrides=_ORDER)
    placed = rows.join(order, on="channel", nulls_equal=True).sort("draw", "position")
    found: FloatArray = placed["value"].to_numpy().reshape(draws, len(of)).copy()
    return found


def _fingerprint(posterior: MediaPosterior) -> str:
    digest = hashlib.sha256()
    for values in (
        *(posterior.media[name] for name in sorted(posterior.media)),
        posterior.effect,
        posterior.noise,
        posterior.memory,
        posterior.coefficients,
    ):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
