"""What the writer asks of every platform, and of one it makes launches on.

Here: the calls, and what they may find. Not here: any platform.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol, runtime_checkable

from resources.control.arm_payloads import ArmTarget, ArmValue
from resources.control.payloads import LeverStatus, LeverTarget, LeverValue


class NoLongerALever(Exception):
    """The entity is not what the change was approved for: archived, or without a daily budget of its own."""


class PlatformWriter(Protocol):
    """One platform with one set of credentials. Neither call is ever repeated here."""

    def read(self, target: LeverTarget) -> LeverValue:
        """The entity's own daily budget and switch as the platform says them now.

        The switch is the entity's own: a campaign paused above an ad set is not what a change to the ad set
        writes or undoes.

        Raises:
            NoLongerALever: it has no such value any more.
            PlatformError: refused, or not answered.
        """
        ...

    def send(self, request: Mapping[str, Any]) -> None:
        """Send a request of `payloads` as it was rendered, adding only who calls.

        Raises:
            PlatformError: refused; THROTTLE, DEFER, AUTH: not done; TRANSIENT: done or not, nobody knows.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class SwitchesArms(Protocol):
    """A `PlatformWriter` that knows arms, too: ads, ad groups and keywords without a budget of their own."""

    def read_arm(self, target: ArmTarget) -> ArmValue:
        """The arm's own switch as the platform says it now, whatever is paused above it.

        Raises:
            NoLongerALever: it is archived or removed.
            PlatformError: refused, or not answered.
        """
        ...


@dataclass(frozen=True)
class Made:
    """An object of a launch as its platform says it now.

    Attributes:
        status: its own switch: active, paused, gone, or the platform's word for another state.
        budget: daily, account currency; None where it has none.
        parent_id: what it lies in, as far as the platform says.
    """

    status: str
    budget: Decimal | None = None
    parent_id: str | None = None

    @property
    def is_gone(self) -> bool:
        """Whether it was deleted."""
        return self.status == "gone"

    @property
    def in_words(self) -> str:
        """For a person."""
        return self.status if self.budget is None else f"{self.budget:,.2f} {self.status}"


@runtime_checkable
class LaunchPlatform(PlatformWriter, Protocol):
    """A platform that launches can be made on. No call is ever repeated here."""

    def listed(self, path: str) -> Sequence[tuple[str, str]]:
        """Id and name of the objects in a list of `launch_payloads`, deleted and archived ones left out.

        Raises:
            PlatformError: refused, or not answered.
        """
        ...

    def look(self, kind: str, entity_id: str, currency: str) -> Made:
        """One object of a launch: a campaign, adset, creative or ad.

        Raises:
            PlatformError: refused, or not answered.
        """
        ...

    def create(self, request: Mapping[str, Any]) -> str:
        """Send a request that makes one object; returns its id.

        Raises:
            PlatformError: as `send`.
        """
        ...


def arm_value(target: ArmTarget, status: object, words: Mapping[str, LeverStatus]) -> ArmValue:
    """What a platform says of an arm as a value.

    Args:
        words: the platform's words for the two states.
    Raises:
        NoLongerALever: a state that is neither.
    """
    known = words.get(str(status))
    if known is None:
        raise NoLongerALever(f"{target.object_id} is {status} on {target.platform}")
    return ArmValue(known)


def lever_value(
    target: LeverTarget, budget: object, status: object, words: Mapping[str, LeverStatus]
) -> LeverValue:
    """What a platform says of a lever as a value.

    Args:
        budget: in account currency, an exact number or its text; None where there is no daily one.
        words: the platform's words for the two states.
    Raises:
        NoLongerALever: no daily budget, or a state that is neither.
    """
    known = words.get(str(status))
    if known is None:
        raise NoLongerALever(f"{target.lever_id} is {status} on {target.platform}")
    try:
        amount = Decimal(str(budget)) if budget is not None else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount <= 0:
        raise NoLongerALever(
            f"{target.lever_id} has no daily budget of its own on {target.platform} any more"
        )
    return LeverValue(amount, known)
