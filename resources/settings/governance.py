"""Who may decide, what that leads to, and what evidence a track's automation needs.

Here: approvers, the mode of sending, held raises, the morning review. Not here: bounds that no approver can
lift (`guardrails.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from resources.settings.values import Dollars, Fraction, Section


class Approver(Section):
    """Who may decide; the key they sign with is AELP_APPROVER_KEY_<NAME>.

    `daily_limit`, dollars of daily budget they may add alone on one morning's proposals; beyond it a second
    approver signs too. Without one, any amount. A simulated approver stands for a person in the sandbox and
    is refused anywhere else.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    daily_limit: Dollars | None = None
    kind: Literal["person", "simulated"] = "person"


class Governance(Section):
    """`mode`: what approved changes lead to. shadow sends nothing; sandbox sends to this machine alone; live
    sends where AELP_LIVE=1 is set besides. `hold_share` of the approved raises, drawn at random, are held for
    `hold_days` instead of applied, so that what the others did can be measured.
    """

    mode: Literal["shadow", "sandbox", "live"] = "shadow"
    approvers: tuple[Approver, ...] = ()
    valid_hours: Annotated[int, Field(ge=1, le=72)] = 24
    hold_share: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    hold_days: Annotated[int, Field(ge=2, le=28)] = 7

    @field_validator("approvers")
    @classmethod
    def _each_once(cls, approvers: tuple[Approver, ...]) -> tuple[Approver, ...]:
        if len({approver.name for approver in approvers}) < len(approvers):
            raise ValueError("an approver stands twice")
        if any(approver.name == "aelp" for approver in approvers):
            raise ValueError("aelp is what the morning's run proposes as; name the person")
        return approvers


class Monitoring(Section):
    """What the morning review holds numbers against.

    `lowest` and `highest` platform signups per backend order of a new customer, and the `largest_change` of
    that ratio against the window before; `matured_signups` and `applied_changes` a track needs before its
    automation may be trusted.
    """

    reconciliation_days: Annotated[int, Field(ge=7, le=90)] = 28
    lowest: Fraction = 0.2
    highest: Annotated[float, Field(gt=0.0, le=10.0)] = 1.2
    largest_change: Annotated[float, Field(gt=0.0, le=10.0)] = 0.25
    matured_signups: Annotated[int, Field(ge=1)] = 100
    applied_changes: Annotated[int, Field(ge=1)] = 20
