"""The settings file as a whole: its sections, what must agree between them, how it is read and refused.

Here: `Settings`, loading, the words of every fault. Not here: what a section holds (the module of its
domain), variables of the environment (`environment.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from typing_extensions import is_typeddict

from resources.settings.calendar import CalendarEvent
from resources.settings.creative_texts import CreativeTexts
from resources.settings.creatives import Creatives
from resources.settings.decisions import Arms, Bandit, Baselines, Contexts, Forecast, Overlap
from resources.settings.governance import Governance, Monitoring
from resources.settings.guardrails import Guardrails, Pacing
from resources.settings.launches import Launches, Slates
from resources.settings.media_mix import MediaMix
from resources.settings.policy import Policy
from resources.settings.sources import LiveSources, SourceName
from resources.settings.tracks import Attribution, Reward, Track, TrackRule
from resources.settings.values import Section, SettingsError, TimeZone, TrackName
from resources.yaml_loading import RepeatedKeyError, load_yaml, told


class Settings(Section):
    business_timezone: TimeZone
    history_start: date = date(2015, 1, 1)
    as_of: Literal["wall", "last_report_date"] = "wall"
    max_data_age_days: Annotated[int, Field(ge=1, le=14)] = 3
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 20261120
    tracks: Annotated[dict[TrackName, Track], Field(min_length=1)]
    track_rules: tuple[TrackRule, ...] = ()
    attribution: Attribution = Attribution()
    reward: Reward = Reward()
    baselines: Baselines = Baselines()
    forecast: Forecast = Forecast()
    bandit: Bandit = Bandit()
    overlap: Overlap = Overlap()
    guardrails: Guardrails
    slates: Slates = Slates()
    monitoring: Monitoring = Monitoring()
    launches: Launches = Launches()
    policy: Policy = Policy()
    creative_texts: CreativeTexts = CreativeTexts()
    creatives: Creatives = Creatives()
    arms: Arms = Arms()
    contexts: Contexts = Contexts()
    pacing: Pacing = Pacing()
    governance: Governance = Governance()
    events: tuple[CalendarEvent, ...] = ()
    media_mix: MediaMix = MediaMix()
    sources: LiveSources = {}

    @field_validator("history_start")
    @classmethod
    def _history_is_past(cls, value: date) -> date:
        today = datetime.now(UTC).date()
        if not date(2000, 1, 1) <= value <= today:
            raise ValueError(f"must lie between 2000-01-01 and today ({today})")
        return value

    @model_validator(mode="after")
    def _names_agree(self) -> Settings:
        for index, rule in enumerate(self.track_rules):
            if rule.track not in self.tracks:
                raise ValueError(
                    f"track_rules.{index}.track: {rule.track!r} is not one of {sorted(self.tracks)}"
                )
        calendars = {"events": self.events, "media_mix.promotions": self.media_mix.promotions}
        for where, entries in calendars.items():
            for index, event in enumerate(entries):
                if event.track is not None and event.track not in self.tracks:
                    raise ValueError(
                        f"{where}.{index}.track: {event.track!r} is not one of {sorted(self.tracks)}"
                    )
        missing = set(self.tracks) - set(self.guardrails.weekly_loss_budget)
        unknown = set(self.guardrails.weekly_loss_budget) - set(self.tracks)
        if missing or unknown:
            raise ValueError(
                "guardrails.weekly_loss_budget: needs exactly one amount per track; "
                f"missing {sorted(missing)}, unknown {sorted(unknown)}"
            )
        if strangers := sorted(set(self.launches.audiences) - set(self.tracks)):
            raise ValueError(
                f"launches.audiences: {strangers} are no tracks; known are {sorted(self.tracks)}"
            )
        for index, window in enumerate(self.guardrails.freeze_windows):
            if window.track is not None and window.track not in self.tracks:
                raise ValueError(
                    f"guardrails.freeze_windows.{index}.track: {window.track!r} is not one of "
                    f"{sorted(self.tracks)}"
                )
        return self

    @model_validator(mode="after")
    def _each_account_once(self) -> Settings:
        from resources.landing.accounts import spelt  # noqa: PLC0415 - polars: `aelp --help` answers at once

        for name in self.source_names:
            seen: dict[str, str] = {}
            for account in self.sources[name].accounts:
                if (first := seen.get(spelt(name, account))) is not None:
                    also = "" if first == account else f": {first} and {account} are the same"
                    raise ValueError(f"sources.{name}.accounts: an account stands twice{also}")
                seen[spelt(name, account)] = account
        return self

    @property
    def source_names(self) -> list[SourceName]:
        """The live sources the file names."""
        return [name for name in get_args(SourceName) if name in self.sources]

    @property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo(self.business_timezone)

    @cached_property
    def content_hash(self) -> str:
        """sha256 of the canonical settings: stored with every decision."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_settings(path: Path) -> Settings:
    """Read and check a settings file.

    Raises:
        SettingsError: unreadable YAML, an unknown key or an impossible value; one line per fault,
            each with the file, the path inside it and the allowed range.
    """
    try:
        document = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such settings file. Copy aelp.yaml or set AELP_SETTINGS.") from None
    except RepeatedKeyError as error:
        raise SettingsError(f"{path}: {error}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: expected a mapping of settings, found {type(document).__name__}")
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        faults = [_describe_fault(fault) for fault in error.errors(include_url=False)]
        raise SettingsError("\n".join(f"{path}: {fault}" for fault in faults)) from None


def _describe_fault(fault: object) -> str:
    assert isinstance(fault, dict)
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{where}: unknown key. Remove it or check its spelling."
    if fault["type"] == "missing":
        return f"{where}: required, but missing."
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not where:
        return message
    allowed = _allowed_range(fault["loc"]) if fault["type"] in _BOUNDS else None
    if allowed:
        message = f"must be {allowed}"
    return f"{where}: {message} (found {told(fault['input'])})"


# pydantic's name of the broken bound; the message gives both, or a person meets the second one next.
_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def _allowed_range(path: Sequence[int | str]) -> str | None:
    """Both bounds of the value at `path`, in words: "greater than 0, at most 0.05"."""
    bounds = _bounds_at(Settings, list(path))
    words = [
        (bounds.get("gt"), "greater than"),
        (bounds.get("ge"), "at least"),
        (bounds.get("lt"), "less than"),
        (bounds.get("le"), "at most"),
    ]
    return ", ".join(f"{word} {_plain(bound)}" for bound, word in words if bound is not None) or None


def _plain(bound: Any) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _bounds_at(kind: Any, path: list[int | str]) -> dict[str, Any]:
    """What `Field(...)` says of the innermost value: walks sections, mappings and lists."""
    bounds: dict[str, Any] = {}
    if get_origin(kind) is Annotated:
        kind, *facts = get_args(kind)
        for fact in facts:
            for detail in getattr(fact, "metadata", [fact]):
                bounds |= {name: getattr(detail, name) for name in _WORDS if hasattr(detail, name)}
    if not path:
        return bounds
    if is_typeddict(kind):
        return _bounds_at(get_type_hints(kind).get(str(path[0])), path[1:])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        section = kind.model_fields.get(str(path[0]))
        if section is None:
            return {}
        rest = path[1:]
        return _bounds_at(Annotated[section.annotation, *section.metadata, None], rest)
    inside = [part for part in get_args(kind) if part is not Ellipsis]
    return _bounds_at(inside[-1], path[1:]) if inside else {}


_WORDS = ("gt", "ge", "lt", "le")
