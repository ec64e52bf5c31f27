"""Figures: drawn from any morning's frames, the empty ones too, and nothing left out in silence."""

from __future__ import annotations

import io
import math
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from matplotlib.figure import Figure

from aelp_assets import plots
from resources.warehouse.schema import Table
from resources.warehouse.tables import (
    AB_EXPERIMENTS,
    AB_RESULTS,
    AD_SCORES,
    APPLY_HOLD_LIFT,
    BANDIT_DECISIONS,
    BANDIT_POSTERIORS,
    CONTEXT_RATES,
    CREATIVE_FATIGUE,
    CREATIVE_RATES,
    EXPERIMENTS,
    FORECAST_ACCURACY,
    FORECAST_OUTLOOK,
    FORECAST_RESULTS,
    FORECAST_REVIEWS,
    MMM_ALLOCATIONS,
    MMM_CHANNELS,
    MMM_CURVES,
    PERFORMANCE_CHANGES,
    PLACEMENT_BASELINES,
    RESPONSE_CURVES,
    SLATES,
)

DAY = date(2026, 6, 30)
CAPS = {"balance": 200.0}
NO_LEVERS = pl.DataFrame(
    schema={
        "date": pl.Date,
        "platform": pl.String,
        "account_id": pl.String,
        "lever_id": pl.String,
        "entity_name": pl.String,
    }
)
DRAWN = {
    "baselines": (PLACEMENT_BASELINES, plots.baseline_ranges),
    "creatives": (CREATIVE_RATES, plots.creative_rates),
    "contexts": (CONTEXT_RATES, plots.context_rates),
    "responses": (RESPONSE_CURVES, plots.response_curves),
    "media_mix_curves": (MMM_CURVES, lambda frame: plots.media_mix_curves(frame, {})),
    "channels": (MMM_CHANNELS, plots.channel_returns),
    "allocations": (MMM_ALLOCATIONS, plots.channel_allocations),
    "outlook": (FORECAST_OUTLOOK, lambda frame: plots.outlook_fan(frame, CAPS)),
    "forecast": (FORECAST_RESULTS, lambda frame: plots.forecast_by_lever(frame, CAPS, NO_LEVERS)),
    "cac": (BANDIT_POSTERIORS, lambda frame: plots.cac_by_lever(frame, CAPS, NO_LEVERS)),
    "moves": (BANDIT_DECISIONS, lambda frame: plots.budget_moves(frame, NO_LEVERS)),
    "slates": (SLATES, lambda frame: plots.slate_budgets(frame, CAPS)),
    "coverage": (FORECAST_ACCURACY, plots.coverage_intervals),
    "waterfall": (PERFORMANCE_CHANGES, plots.change_waterfall),
    "review": (FORECAST_REVIEWS, plots.forecast_review),
    "ad_scores": (AD_SCORES, plots.ad_scores),
    "fatigue": (CREATIVE_FATIGUE, plots.creative_fatigue),
    "split_tests": (AB_RESULTS, lambda rows: plots.split_test_lifts(rows, rows_of(AB_EXPERIMENTS))),
    "experiments": (EXPERIMENTS, plots.experiment_calendar),
    "lift_sequences": (APPLY_HOLD_LIFT, lambda rows: plots.lift_sequences({("live", "net"): rows})),
}


def rows_of(table: Table, *rows: dict) -> pl.DataFrame:
    """Rows of a catalogued table; what is not given is null."""
    return pl.DataFrame(list(rows), schema=table.polars_schema, orient="row")


def lever(name: str, track: str = "balance", **values) -> dict:
    return {"platform": "meta", "account_id": "1", "track": track, "lever_id": name, **values}


def snapshot(**names: str) -> pl.DataFrame:
    rows = [(DAY, "meta", "1", lever_id, name) for lever_id, name in names.items()]
    return pl.DataFrame(rows, schema=NO_LEVERS.schema, orient="row")


def rendered(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png", bbox_inches="tight")
    return figure


def labels(figure: Figure, panel: int = 0) -> list[str]:
    return [label.get_text() for label in figure.axes[panel].get_yticklabels()]


def words(figure: Figure) -> str:
    said = [text.get_text() for axis in figure.axes for text in axis.texts]
    return " ".join(said + [axis.get_xlabel() + " " + axis.get_title() for axis in figure.axes])


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_of_an_empty_frame_says_there_is_nothing_to_draw(name):
    table, draw = DRAWN[name]
    assert "Nothing to draw" in words(rendered(draw(rows_of(table))))


def test_every_figure_is_tried_with_an_empty_frame():
    public = {name for name in vars(plots) if not name.startswith("_") and callable(vars(plots)[name])}
    ours = {name for name in public if vars(plots)[name].__module__.startswith(f"{plots.__name__}.")}
    tried = {"baseline_ranges", "outlook_fan", "forecast_by_lever", "cac_by_lever"}
    tried |= {"budget_moves", "slate_budgets", "coverage_intervals", "change_waterfall", "forecast_review"}
    tried |= {"media_mix_curves", "channel_returns", "channel_allocations"}
    assert ours == tried | {
        "ad_scores",
        "context_rates",
        "creative_fatigue",
        "creative_rates",
        "experiment_calendar",
        "lift_sequences",
        "response_curves",
        "split_test_lifts",
    }
    assert len(DRAWN) == len(ours)


def belief(name: str, above: float, p50: float | None = 100.0, p90: float | None = 150.0) -> dict:
    return lever(name, cac_p10=50.0, cac_p50=p50, cac_p90=p90, p_cac_above_cap=above)


def test_levers_likeliest_above_the_cap_come_first_and_the_rest_is_counted():
    good = [belief(f"good_{place:02}", above=0.01) for place in range(30)]
    frame = rows_of(BANDIT_POSTERIORS, *good, belief("bad", above=0.99, p50=900.0, p90=1200.0))
    figure = rendered(plots.cac_by_lever(frame, CAPS, NO_LEVERS))
    assert labels(figure)[0] == "meta · bad"
    assert len(labels(figure)) == 25
    assert "6 more levers" in words(figure)


def test_an_infinite_cac_is_an_arrow_at_the_edge_and_never_left_out():
    endless = belief("endless", above=1.0, p50=None, p90=None)
    half = belief("half", above=0.9, p90=None)
    figure = rendered(plots.cac_by_lever(rows_of(BANDIT_POSTERIORS, half, endless), CAPS, NO_LEVERS))
    axis = figure.axes[0]
    assert labels(figure) == ["meta · endless", "meta · half"]
    arrows = [line for line in axis.lines if line.get_marker() == ">"]
    assert [line.get_ydata()[0] for line in arrows] == [0, 1]
    assert all(line.get_xdata()[0] == axis.get_xlim()[1] for line in arrows)


def test_levers_of_which_nothing_is_finite_are_drawn():
    endless = {**belief("endless", above=1.0, p50=None, p90=None), "cac_p10": None}
    rendered(plots.cac_by_lever(rows_of(BANDIT_POSTERIORS, endless), {}, NO_LEVERS))


def decision(name: str, now: str, then: str, kind: str) -> dict:
    budgets = {"current_budget": Decimal(now), "proposed_budget": Decimal(then)}
    return lever(name, type=kind, **budgets)


def test_a_raise_of_five_percent_is_visible_beside_a_stop():
    frame = rows_of(
        BANDIT_DECISIONS,
        decision("stopped", "900", "0", "stop"),
        decision("raised", "100", "105", "raise"),
        decision("held", "10", "10", "hold"),
    )
    figure = rendered(plots.budget_moves(frame, snapshot(stopped="Broad", raised="Visitors")))
    axis = figure.axes[0]
    assert labels(figure) == ["balance · meta · Broad", "balance · meta · Visitors"]
    ends = [axis.transData.transform((bar.get_width(), 0))[0] for bar in axis.patches]
    middle = axis.transData.transform((0, 0))[0]
    assert (ends[1] - middle) > 0.2 * (middle - ends[0])
    assert "100.00 → 105.00 (+5.0 %)" in words(figure)


def test_moves_that_do_not_fit_are_counted_and_are_the_smallest():
    moves = [decision(f"m{place:02}", "100", str(100 - place), "cut") for place in range(1, 46)]
    figure = rendered(plots.budget_moves(rows_of(BANDIT_DECISIONS, *moves), NO_LEVERS))
    assert len(labels(figure)) == 40
    assert "5 more smaller moves, not shown" in words(figure)
    assert "balance · meta · m01" not in labels(figure)


def test_levers_that_share_a_name_keep_their_ids():
    frame = rows_of(BANDIT_POSTERIORS, belief("a", 0.2), belief("b", 0.1), belief("c", 0.0))
    figure = plots.cac_by_lever(frame, CAPS, snapshot(a="Twin", b="Twin", c="Other"))
    assert labels(figure) == ["meta · Twin (a)", "meta · Twin (b)", "meta · Other"]


def test_baselines_label_plain_numbers_and_no_minor_ticks():
    frame = rows_of(
        PLACEMENT_BASELINES,
        *(
            {
                "track": "balance",
                "placement": placement,
                "weighting": "equal",
                **{
                    f"{metric}_p{q}": value * factor for metric in ("cpm", "ctr", "cvr") for q in (10, 50, 90)
                },
            }
            for placement, value, factor in (("facebook_facebook_reels", 0.004, 1), ("all", 0.02, 2))
        ),
    )
    figure = rendered(plots.baseline_ranges(frame))
    assert labels(figure) == ["balance · all placements", "balance · facebook reels"]
    for axis in figure.axes:
        assert axis.get_xlabel()
        assert not axis.get_xticklabels(minor=True)
        assert all("$" not in label.get_text() for label in axis.get_xticklabels())


def test_the_waterfall_ends_where_the_day_ended_and_shows_only_what_moved():
    moved = {"before": Decimal(112), "after": Decimal(98), "change": Decimal(-14), "cvr": Decimal(-14)}
    still = dict.fromkeys(
        ("spend", "mix", "cpm", "ctr", "delay", "restatement", "without_clicks"), Decimal(0)
    )
    named = {"comparison": "day_before", "track": "balance", "platform": "all", "day": DAY, "base_day": DAY}
    signups = {**named, "metric": "signups", **still, **moved}
    figure = rendered(plots.change_waterfall(rows_of(PERFORMANCE_CHANGES, signups)))
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["before", "cvr", "after"]
    heights = [(bar.get_y(), bar.get_height()) for bar in figure.axes[0].patches]
    assert heights == [(0, 112), (112, -14), (0, 98)]
    assert "No CAC" in words(figure)


def tiring(name: str, slope: float, p_fatigues: float, basis: str = "days") -> dict:
    return {
        **{"track": "balance", "creative_id": name, "placement": "feed", "basis": basis, "clicks": 500},
        **{"slope_p10": slope - 0.01, "slope_p50": slope, "slope_p90": slope + 0.01},
        "p_fatigues": p_fatigues,
    }


def test_what_tires_likeliest_comes_first_and_slopes_by_frequency_are_not_weekly_ones():
    rows = rows_of(
        CREATIVE_FATIGUE,
        tiring("fresh", 0.001, 0.4),
        tiring("tired", -0.05, 0.99),
        tiring("seen", -0.5, 1.0, "frequency"),
    )
    figure = rendered(plots.creative_fatigue(rows))
    assert [label.split(" · ")[1] for label in labels(figure)] == ["tired", "fresh"]
    drawn = [line.get_xdata()[0] for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert min(drawn) == pytest.approx(100 * (math.exp(-0.35) - 1)), "a week's change"
