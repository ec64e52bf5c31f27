"""What the settings say of the media mix, as rows of `ops.channel_rules` and `ops.media_weeks`.

Here: channel rules made LIKE patterns, weeks and the share of their days in the settings' calendar. Not here:
applying them (dbt's `int_campaign_channels`, `mmm_input_weekly`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl

from resources.files.track_rules import like_pattern
from resources.settings import CalendarEvent, ChannelRule, FreezeWindow, Settings
from resources.warehouse.tables import CHANNEL_RULES, MEDIA_WEEKS

OTHER_TRACKS = "*"
"""The row of a week for tracks the settings do not have: only what is said of all tracks."""


def channel_rule_rows(rules: Sequence[ChannelRule]) -> pl.DataFrame:
    """Rows of `ops.channel_rules`, in the order of the rules."""
    return pl.DataFrame(
        [
            (order, rule.channel, *map(like_pattern, (rule.platform, rule.account, rule.campaign)))
            for order, rule in enumerate(rules, start=1)
        ],
        schema=CHANNEL_RULES.polars_schema,
        orient="row",
    )


def media_week_rows(settings: Settings, today: date) -> pl.DataFrame:
    """Rows of `ops.media_weeks`: every week from the one `history_start` lies in to the one of `today`."""
    start = settings.history_start
    first = start - timedelta(days=(start.weekday() - settings.media_mix.first_weekday) % 7)
    weeks = [first + timedelta(days=days) for days in range(0, (today - first).days + 1, 7)]
    days = [week + timedelta(days=offset) for week in weeks for offset in range(7)]
    calendars = (settings.events, settings.media_mix.promotions, settings.guardrails.freeze_windows)
    shares = [
        [_weekly_shares(entries, days, track) for entries in calendars]
        for track in (*settings.tracks, OTHER_TRACKS)
    ]
    rows = [
        (week, track, *(calendar[place] for calendar in of_track))
        for track, of_track in zip((*settings.tracks, OTHER_TRACKS), shares, strict=True)
        for place, week in enumerate(weeks)
    ]
    return pl.DataFrame(rows, schema=MEDIA_WEEKS.polars_schema, orient="row")


def _weekly_shares(
    entries: Sequence[CalendarEvent | FreezeWindow], days: Sequence[date], track: str
) -> list[float]:
    """Of each seven days the share that any entry of the track, or of all tracks, covers."""
    mine = [entry for entry in entries if entry.track in (None, track)]
    covered = [any(_covers(entry, day) for entry in mine) for day in days]
    return [sum(covered[place : place + 7]) / 7 for place in range(0, len(days), 7)]


def _covers(entry: CalendarEvent | FreezeWindow, day: date) -> bool:
    first, last = entry.first_day, entry.last_day
    if isinstance(first, date) and isinstance(last, date):
        return first <= day <= last
    at, start, end = f"{day:%m-%d}", str(first), str(last)
    return start <= at <= end if start <= end else at >= start or at <= end
