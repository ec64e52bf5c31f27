"""When planned experiments may run without disturbing each other, the most valuable first.

Here: placing, what stands in the way and until when, what is wrong with a calendar. Not here: which
experiments there are (`registry`), designs and their value (`models.mmm.planner`, `models.split_designs`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import inf

from models.experiments.registry import Experiment
from models.guardrails import FreezeWindow

UNTOLD_DAYS = 7
"""One whose end is not told keeps its place so long from each morning: by then comes the next look."""
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class ClosedDays:
    """Days no planned experiment may touch, both inclusive, on one track or (None) on all."""

    name: str
    first_day: date
    last_day: date
    track: str | None = None


@dataclass(frozen=True)
class Conflict:
    """Why a planned experiment does not run earlier.

    Attributes:
        experiment_id: the one that waits.
        other: the experiments or closed days in its way.
        shared: what they share, in words.
        clear_from: the first week in which this no longer stands in its way; None: not in the calendar.
    """

    experiment_id: str
    other: str
    shared: str
    clear_from: date | None

    def __str__(self) -> str:
        until = "not within the calendar" if self.clear_from is None else f"from {self.clear_from}"
        return f"{self.other} ({self.shared}): {until}"


@dataclass(frozen=True)
class Calendar:
    """All experiments, planned ones with their days where a week was free, and what stood in their way."""

    experiments: tuple[Experiment, ...]
    conflicts: tuple[Conflict, ...]

    def conflicts_in_words(self) -> dict[str, str]:
        """What stood in the way of each experiment, by experiment."""
        found: dict[str, list[str]] = {}
        for conflict in self.conflicts:
            found.setdefault(conflict.experiment_id, []).append(str(conflict))
        return {name: "; ".join(said) for name, said in found.items()}


@dataclass(frozen=True)
class _Blocker:
    other: str
    shared: str
    last_day: date


def week_starts(morning: date, *, weekday: int, weeks: int) -> list[date]:
    """The next first days of weeks after a morning; a test needs a day to be set up.

    Args:
        weekday: that weeks start on, 0 is Monday.
    """
    first = morning + timedelta(days=(weekday - morning.weekday() - 1) % 7 + 1)
    return [first + timedelta(weeks=week) for week in range(weeks)]


def frozen_days(window: FreezeWindow, first: date, last: date) -> list[ClosedDays]:
    """The spans of days from `first` to `last` that a freeze window covers."""
    spans: list[ClosedDays] = []
    day = first
    while day <= last:
        if window.covers(day):
            if spans and spans[-1].last_day == day - _DAY:
                spans[-1] = replace(spans[-1], last_day=day)
            else:
                spans.append(ClosedDays(f"freeze {window.name}", day, day, window.track))
        day += _DAY
    return spans


def plan_calendar(
    experiments: Iterable[Experiment],
    *,
    morning: date,
    starts: Sequence[date],
    closed: Sequence[ClosedDays] = (),
    at_once: Mapping[str, int] | None = None,
) -> Calendar:
    """Give each planned experiment without days the first week in which nothing stands in its way.

    The most valuable chooses first: by expected regret removed per dollar where that is known, after them by
    power per dollar, last, by power, those whose price is unknown. What goes on, and what people gave days,
    is never moved. The order in which experiments are given does not matter.

    Args:
        starts: first days of weeks, in order, see `week_starts`.
        at_once: most experiments of a kind at once on one track; kinds left out may be any number.
    Raises:
        ValueError: two experiments of one name, or a limit below 1.
    """
    known = sorted(experiments, key=lambda each: each.experiment_id)
    limits = at_once or {}
    names = Counter(each.experiment_id for each in known)
    if twice := [name for name, count in names.items() if count > 1]:
        raise ValueError(f"two experiments are called {twice[0]}")
    if low := [kind for kind, most in limits.items() if most < 1]:
        raise ValueError(f"at least one {low[0]} must be allowed at once")
    taken = [each for each in known if _span(each, morning) is not None]
    waiting = [each for each in known if each.status == "planned" and each.first_day is None]
    placed: dict[str, Experiment] = {}
    conflicts: list[Conflict] = []
    for each in sorted(waiting, key=_priority):
        assert each.days is not None
        rivals = [(other, shared) for other in taken if (shared := each.shared_with(other)) is not None]
        alike = [other for other in taken if other.kind == each.kind]
        stood: dict[tuple[str, str], date | None] = {}
        for start in starts:
            span = start, start + timedelta(days=each.days - 1)
            blockers = [
                *_disturbed(rivals, span, morning),
                *_closed(each, closed, span),
                *_crowded(each, alike, span, morning, limits.get(each.kind)),
            ]
            if not blockers:
                placed[each.experiment_id] = replace(each, first_day=span[0], last_day=span[1])
                taken.append(placed[each.experiment_id])
                break
            for blocker in blockers:
                clear = next((week for week in starts if week > blocker.last_day), None)
                stood.setdefault((blocker.other, blocker.shared), clear)
        conflicts += [Conflict(each.experiment_id, *key, clear) for key, clear in stood.items()]
    conflicts.sort(key=lambda each: (each.experiment_id, each.clear_from or date.max, each.other))
    return Calendar(
        tuple(placed.get(each.experiment_id, each) for each in known),
        tuple(conflicts),
    )


def calendar_faults(
    experiments: Sequence[Experiment],
    *,
    morning: date,
    closed: Sequence[ClosedDays] = (),
    at_once: Mapping[str, int] | None = None,
) -> list[str]:
    """What is wrong with the days of planned experiments, in words; empty where nothing is.

    Experiments that go on beside each other are a fact and none of the calendar's faults.
    """
    limits = at_once or {}
    found = []
    spans = [(each, span) for each in experiments if (span := _span(each, morning)) is not None]
    for at, (one, days) in enumerate(spans):
        for other, theirs in spans[at + 1 :]:
            if "planned" not in (one.status, other.status) or not _overlap(days, theirs):
                continue
            if (shared := one.shared_with(other)) is not None:
                found.append(f"{one.experiment_id} and {other.experiment_id} share {shared} at once")
        if one.status != "planned":
            continue
        found += [f"{one.experiment_id} runs into {off.other}" for off in _closed(one, closed, days)]
        alike = [other for other, _ in spans if other is not one and other.kind == one.kind]
        found += [
            f"{one.experiment_id} beside {off.other}: {off.shared}"
            for off in _crowded(one, alike, days, morning, limits.get(one.kind))
        ]
    return found


_Span = tuple[date, date]


def _priority(each: Experiment) -> tuple[int, float, str]:
    if each.value_per_dollar is not None:
        return 0, -each.value_per_dollar, each.experiment_id
    power = each.power or 0.0
    if each.price is not None:
        return 1, -(power / each.price if each.price > 0 else inf), each.experiment_id
    return 2, -power, each.experiment_id


def _span(each: Experiment, morning: date) -> _Span | None:
    """The days it holds its places from the morning on; None: it does not."""
    if each.first_day is None or (each.last_day is not None and each.last_day < morning):
        return None
    if each.last_day is None:
        return each.first_day, max(each.first_day, morning) + timedelta(days=UNTOLD_DAYS - 1)
    return each.first_day, each.last_day


def _overlap(one: _Span, other: _Span) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _disturbed(rivals: Sequence[tuple[Experiment, str]], span: _Span, morning: date) -> Iterator[_Blocker]:
    for other, shared in rivals:
        theirs = _span(other, morning)
        if theirs is not None and _overlap(span, theirs):
            yield _Blocker(other.experiment_id, shared, theirs[1])


def _closed(each: Experiment, closed: Sequence[ClosedDays], span: _Span) -> Iterator[_Blocker]:
    tracks = _tracks(each)
    for days in closed:
        is_its = days.track is None or None in tracks or days.track in tracks
        if is_its and _overlap(span, (days.first_day, days.last_day)):
            where = "all tracks" if days.track is None else f"track {days.track}"
            said = f"{days.name} {days.first_day} to {days.last_day}"
            yield _Blocker(said, where, days.last_day)


def _crowded(
    each: Experiment, alike: Sequence[Experiment], span: _Span, morning: date, limit: int | None
) -> Iterator[_Blocker]:
    """The days on which as many as may are under way already, track by track."""
    if limit is None:
        return
    own = _tracks(each)
    tracks = own if None not in own else own | {track for other in alike for track in _tracks(other)}
    for track in sorted(tracks, key=lambda name: name or ""):
        beside = [
            (other, theirs)
            for other in alike
            if (theirs := _span(other, morning)) is not None
            and _overlap(span, theirs)
            and not _tracks(other).isdisjoint({track, None})
        ]
        # The number under way rises only where one begins.
        for day in sorted({max(span[0], theirs[0]) for _, theirs in beside}):
            going = [(other, theirs) for other, theirs in beside if theirs[0] <= day <= theirs[1]]
            if len(going) >= limit:
                named = ", ".join(sorted(other.experiment_id for other, _ in going))
                where = "" if track is None else f" on track {track}"
                yield _Blocker(
                    named,
                    f"no more than {limit} of kind {each.kind} at once{where}",
                    min(theirs[1] for _, theirs in going),
                )


def _tracks(each: Experiment) -> set[str | None]:
    return {place.track for place in each.places}
