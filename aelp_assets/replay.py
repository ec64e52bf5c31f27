"""A decision made again from its stored inputs and settings, held against what was stored, bit for bit.

Here: loading, deciding again, comparing, saying so. Not here: how to decide (`bandits.run_decision`), finding
a decision (`decision_records`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import ValidationError

from aelp_assets.artifacts import load_frames, load_text
from aelp_assets.bandits import CODE, decision_rows, run_decision
from resources.control.records import Record
from resources.settings import Environment, Settings

# What the code calls itself is no result of it, and says so in words.
_NO_RESULT = "code_version"


@dataclass(frozen=True)
class Difference:
    """A column that does not come out as it is stored."""

    column: str
    stored: Any
    replayed: Any


@dataclass(frozen=True)
class Replay:
    """What came of deciding again.

    Attributes:
        differences: of the columns compared; none where they are the same.
        compared: how many columns were.
        code_then, code_now: versions of the deciding code.
        prevented: why it could not be decided again; None: it was.
    """

    differences: Sequence[Difference]
    compared: int
    code_then: str
    code_now: str
    prevented: str | None = None

    @property
    def is_same(self) -> bool:
        """Whether every column came out bit for bit."""
        return self.prevented is None and not self.differences and self.compared > 0


def replay_decision(environment: Environment, decision: Record) -> Replay:
    """Decide again with the inputs and settings of then.

    Args:
        decision: a row of `bandit_decisions`; every column but the run and its batches is compared.
    """
    versions = decision["code_version"], CODE
    try:
        frames = load_frames(environment.artifacts / "decisions", decision["input_hash"])
        document = load_text(environment.artifacts / "settings", decision["settings_hash"])
        settings = Settings.model_validate_json(document)
    except (FileNotFoundError, ValidationError, ValueError, OSError, pl.exceptions.PolarsError) as fault:
        return Replay((), 0, *versions, prevented=_in_words(fault))
    morning = decision["as_of_date"]
    try:
        day = run_decision(frames, settings, morning)
        rows = decision_rows(day, settings, morning, decision["input_hash"], decision["settings_hash"])
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as fault:
        return Replay((), 0, *versions, prevented=f"This code does not decide on inputs of then: {fault}")
    same = rows.filter(pl.col("decision_id") == decision["decision_id"])
    if same.is_empty():
        missing = f"Decided again, the morning has no decision {decision['decision_id']}."
        return Replay((), 0, *versions, prevented=missing)
    replayed = same.row(0, named=True)
    compared = [name for name in replayed if name != _NO_RESULT]
    differences = [
        Difference(name, decision.get(name), replayed[name])
        for name in compared
        if _bits(decision.get(name)) != _bits(replayed[name])
    ]
    return Replay(differences, len(compared), *versions)


def replay_lines(decision: Record, replay: Replay) -> list[str]:
    """What to say of it, a line each."""
    named = f"Decision {decision['decision_id']} of {decision['as_of_date']}, {decision['lever_id']}"
    lines = []
    if replay.prevented is not None:
        lines.append(f"{named}: cannot be replayed. {replay.prevented}")
    elif replay.is_same:
        lines.append(f"{named}: same, {replay.compared} columns bit for bit.")
    else:
        lines.append(f"{named}: {len(replay.differences)} of {replay.compared} columns differ.")
        lines += [f"  {d.column}: stored {d.stored!r}, replayed {d.replayed!r}" for d in replay.differences]
    if replay.code_then != replay.code_now:
        lines.append(
            f"Decided by code {replay.code_then}; this is {replay.code_now}, so the result may differ."
        )
    return lines


def _in_words(fault: Exception) -> str:
    if isinstance(fault, FileNotFoundError):
        return f"What it rested on is gone: {fault}."
    if isinstance(fault, ValidationError):
        paths = ", ".join(".".join(map(str, error["loc"])) for error in fault.errors()[:5])
        return f"This code cannot read the settings of then ({paths})."
    return f"{fault}."


def _bits(value: Any) -> Any:
    """A value that equals another only bit for bit: -0.0 is not 0.0, and NaN is itself."""
    return value.hex() if isinstance(value, float) else value
