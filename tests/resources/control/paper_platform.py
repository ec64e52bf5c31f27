"""A platform in memory that takes Meta's rendered calls, remembers each, and fails as told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from resources.connectors.errors import ErrorClass, PlatformError
from resources.control.arm_payloads import ArmTarget, ArmValue
from resources.control.payloads import LeverTarget, LeverValue

Fault = Callable[[], None]


class PaperPlatform:
    """Levers by entity id, arms by their own.

    Attributes:
        values: what each entity says now; tests edit it as a person would.
        writes: every call that changed something, oldest first.
        faulty_reads, faulty_sends, lost_answers: what the next calls raise; a lost answer is raised when the
            call is done.
        between: called before each read and each call.
    """

    def __init__(self, **values: LeverValue | ArmValue) -> None:
        self.values = {name.replace("_", "-"): value for name, value in values.items()}
        self.writes: list[Mapping[str, Any]] = []
        self.reads = 0
        self.faulty_reads: list[PlatformError] = []
        self.faulty_sends: list[PlatformError] = []
        self.lost_answers: list[PlatformError] = []
        self.between: Callable[[], None] = lambda: None

    def __call__(self, platform: str) -> PaperPlatform:
        assert platform == "meta"
        return self

    def read(self, target: LeverTarget) -> LeverValue:
        value = self._told(target.entity_id)
        assert isinstance(value, LeverValue)
        return value

    def read_arm(self, target: ArmTarget) -> ArmValue:
        value = self._told(target.arm_id)
        assert isinstance(value, ArmValue)
        return value

    def _told(self, entity: str) -> LeverValue | ArmValue:
        self.between()
        self.reads += 1
        if self.faulty_reads:
            raise self.faulty_reads.pop(0)
        return self.values[entity]

    def send(self, request: Mapping[str, Any]) -> None:
        self.between()
        if self.faulty_sends:
            raise self.faulty_sends.pop(0)
        entity, form = request["path"].rpartition("/")[2], request["form"]
        value = self.values[entity]
        if "daily_budget" in form:
            value = replace(value, budget=Decimal(form["daily_budget"]) / 100)
        else:
            value = replace(value, status="active" if form["status"] == "ACTIVE" else "paused")
        self.values[entity] = value
        self.writes.append(request)
        if self.lost_answers:
            raise self.lost_answers.pop(0)

    def close(self) -> None:
        return


def failure(error_class: ErrorClass, said: str = "it said so") -> PlatformError:
    return PlatformError(error_class, said)


def running(budget: str) -> LeverValue:
    return LeverValue(Decimal(budget), "active")


def paused(budget: str) -> LeverValue:
    return LeverValue(Decimal(budget), "paused")
