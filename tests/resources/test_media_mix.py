"""The media mix's settings as rows: rules in order, and each week's share of days in the calendar."""

from __future__ import annotations

from datetime import date

import polars as pl

from resources.media_mix import OTHER_TRACKS, channel_rule_rows, media_week_rows
from resources.settings import (
    PROJECT_ROOT,
    CalendarEvent,
    ChannelRule,
    FreezeWindow,
    MediaMix,
    Settings,
    load_settings,
)


def settings(start: date, week_starts_on: str = "monday", **calendar) -> Settings:
    base = load_settings(PROJECT_ROOT / "aelp.yaml")
    return base.model_copy(
        update={
            "history_start": start,
            "events": tuple(calendar.get("events", ())),
            "media_mix": MediaMix(
                week_starts_on=week_starts_on, promotions=tuple(calendar.get("promotions", ()))
            ),
            "guardrails": base.guardrails.model_copy(
                update={"freeze_windows": tuple(calendar.get("freezes", ()))}
            ),
        }
    )


def test_rules_keep_their_order_and_become_patterns():
    rules = [
        ChannelRule(channel="brand", platform="google_ads", campaign="*| Brand*"),
        ChannelRule(channel="meta", platform="meta"),
    ]
    assert channel_rule_rows(rules).rows() == [
        (1, "brand", r"google\_ads", "%", "%| brand%"),
        (2, "meta", "meta", "%", "%"),
    ]


def test_weeks_run_from_the_one_history_starts_in_to_the_one_of_today():
    weeks = media_week_rows(settings(date(2026, 6, 3)), date(2026, 6, 15))
    mondays = [date(2026, 6, 1), date(2026, 6, 8), date(2026, 6, 15)]
    for track in ("security", "balance", OTHER_TRACKS):
        assert weeks.filter(track=track)["week"].to_list() == mondays
    sundays = media_week_rows(settings(date(2026, 6, 3), "sunday"), date(2026, 6, 13))
    assert sundays["week"].unique().sort().to_list() == [date(2026, 5, 31), date(2026, 6, 7)]


def test_a_week_knows_the_share_of_its_days_in_each_calendar_of_its_track():
    weeks = media_week_rows(
        settings(
            date(2026, 12, 21),
            events=[
                CalendarEvent(name="christmas", first_day="12-24", last_day="12-26"),
                CalendarEvent(name="boxing_day", first_day="12-26", last_day="12-27", track="balance"),
            ],
            promotions=[
                CalendarEvent(name="sale", first_day=date(2026, 12, 27), last_day=date(2026, 12, 31))
            ],
            freezes=[FreezeWindow(name="turn", first_day="12-31", last_day="01-02", track="security")],
        ),
        date(2027, 1, 3),
    )

    def shares(track: str) -> list[tuple[float, ...]]:
        rows = weeks.filter(track=track).select((pl.col(pl.Float64) * 7).round(9))
        return rows.rows()

    assert shares("security") == [(3, 1, 0), (0, 4, 3)]
    assert shares("balance") == [(4, 1, 0), (0, 4, 0)]  # a day in two events counts once
    assert shares(OTHER_TRACKS) == [(3, 1, 0), (0, 4, 0)]
