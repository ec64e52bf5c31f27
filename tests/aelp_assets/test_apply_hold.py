"""Where the lift stands on a morning, in words, and drawn."""

from __future__ import annotations

from datetime import date

import polars as pl

from aelp_assets.apply_hold import lift_table
from aelp_assets.plots import lift_sequences
from resources.warehouse.tables import APPLY_HOLD_LIFT

MORNING = date(2026, 6, 30)
SEQUENCE = {"as_of_date": pl.Date, "lift": pl.Float64, "lift_low": pl.Float64, "lift_high": pl.Float64}


def sequence(*intervals: tuple[float, float]) -> pl.DataFrame:
    rows = [(MORNING, (low + high) / 2, low, high) for low, high in intervals]
    return pl.DataFrame(rows, schema=SEQUENCE, orient="row")


def arms(applied: int, held: int) -> pl.DataFrame:
    return pl.DataFrame({"arm": ["apply"] * applied + ["hold"] * held}, schema={"arm": pl.String})


def test_the_verdict_is_that_of_the_last_look_and_nothing_drawn_has_none():
    found = lift_table(
        MORNING,
        {"live": arms(3, 1), "sandbox": arms(0, 0), "shadow": arms(1, 1), "past": arms(1, 1)},
        {
            ("live", "net"): sequence((-1.0, 1.0), (0.1, 0.3)),
            ("sandbox", "net"): sequence(),
            ("shadow", "net"): sequence((0.1, 0.2), (-0.1, 0.2)),
            ("past", "net"): sequence((-0.3, -0.1)),
        },
    )
    assert found.schema == APPLY_HOLD_LIFT.polars_schema
    said = dict(found.select("comparison", "verdict").iter_rows())
    assert said == {"live": "gain", "sandbox": "no window yet", "shadow": "open", "past": "loss"}
    live = found.row(0, named=True)
    assert (live["windows_applied"], live["windows_held"], live["lift_low"]) == (3, 1, 0.1)
    assert found.row(1, named=True)["lift"] is None


def test_comparisons_without_a_window_are_named_and_not_drawn():
    figure = lift_sequences(
        {("past", "net"): sequence((-0.3, 0.1), (-0.2, 0.1)), ("live", "net"): sequence()}
    )
    (panel,) = figure.axes
    assert panel.get_title() == "past: net, 2 windows"
    assert "live" in figure.get_supxlabel()
    assert len(lift_sequences({("live", "net"): sequence()}).axes) == 1
