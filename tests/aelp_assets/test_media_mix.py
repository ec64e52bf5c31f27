"""The media mix around its mathematics: which model a track gets, its rows, its envelopes, its answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aelp_assets.bandits import guardrail_limits
from aelp_assets.channel_envelopes import channel_envelopes, channel_levers, envelopes_frame
from aelp_assets.media_mix import by_channel, by_envelope, by_fit, by_spend, fit_row, rows_of, worth_testing
from aelp_assets.media_mix_fit import Fitter, TrackFit, keep_fit, stored_fit
from aelp_assets.media_mix_plan import TrackMix, recent_spend, track_mix
from aelp_assets.media_mix_report import asked_spend
from resources.settings import PROJECT_ROOT, Settings, load_settings
from resources.warehouse import tables

MORNING = date(2026, 6, 30)
SHIPPED = load_settings(PROJECT_ROOT / "aelp.yaml")
CHANNELS = ("google_brand_search", "meta_prospecting")


def weeks(number: int, seed: int = 1) -> pl.DataFrame:
    """A track whose new customers follow its spend: too short for the Bayesian model below 42 weeks."""
    rng = np.random.default_rng(seed)
    first = MORNING - timedelta(days=MORNING.weekday(), weeks=number + 3)
    spend = np.column_stack([rng.gamma(4, 1000, number), rng.gamma(6, 4000, number)])
    customers = (
        60 * (spend[:, 0] / 4000) ** 0.15 * (spend[:, 1] / 24000) ** 0.4 * np.exp(rng.normal(0, 0.05, number))
    )
    return pl.DataFrame(
        [
            {
                "week": first + timedelta(weeks=week),
                "track": "security",
                "channel": channel,
                "spend": float(spend[week, at]),
                "conversions": 1.0,
                "new_customers": round(customers[week]),
                "trend": week,
                "event_share": 0.0,
                "promotion_share": 0.0,
                "is_complete": True,
            }
            for week in range(number)
            for at, channel in enumerate(CHANNELS)
        ]
    )


@pytest.fixture(scope="module")
def found() -> TrackFit:
    return Fitter(SHIPPED, MORNING).fit("security", weeks(38))


def levers(in_force: str = "3000") -> pl.DataFrame:
    rows = [
        ("google_ads", "1", "brand", "security", "google_brand_search", Decimal(500)),
        ("meta", "2", "cold", "security", "meta_prospecting", Decimal(in_force)),
    ]
    names = ["platform", "account_id", "lever_id", "track", "channel"]
    return pl.DataFrame(rows, schema=[*names, ("in_force", pl.Decimal(38, 9))], orient="row")


@pytest.fixture(scope="module")
def mix(found: TrackFit) -> TrackMix:
    return track_mix(found, SHIPPED, levers())


def allocated(mix: TrackMix) -> pl.DataFrame:
    return rows_of(tables.MMM_ALLOCATIONS, [mix.allocation], MORNING)


def test_too_few_weeks_for_the_model_get_the_fallback_and_say_why(found: TrackFit) -> None:
    assert (found.model, found.outcome, found.passed) == ("bootstrap", "new_customers", True)
    row = fit_row(found, SHIPPED, "hash").row(0, named=True)
    assert "38 whole weeks" in row["reasons"]
    (check, second) = by_fit(
        rows_of(tables.MMM_FIT_DIAGNOSTICS, [fit_row(found, SHIPPED, "h")], MORNING)
    ).check_results
    assert check.passed
    assert second.passed


def test_weeks_that_carry_no_model_have_none_and_every_reason() -> None:
    short = Fitter(SHIPPED, MORNING).fit("security", weeks(10))
    assert (short.model, short.passed) == ("none", False)
    assert any("10 whole weeks" in reason for reason in short.refused)
    still = Fitter(SHIPPED, MORNING).fit("security", weeks(38).with_columns(spend=pl.lit(5.0)))
    assert any("google_brand_search varies by 0.0%" in reason for reason in still.refused)
    nothing = Fitter(SHIPPED, MORNING).fit(
        "security", weeks(10).with_columns(is_complete=pl.lit(value=False))
    )
    assert nothing.refused[0].startswith("No complete week")
    assert fit_row(nothing, SHIPPED, None)["weeks"].item() == 0
    assert (
        by_fit(rows_of(tables.MMM_FIT_DIAGNOSTICS, [fit_row(nothing, SHIPPED, None)], MORNING))
        .check_results[0]
        .passed
    )


def test_a_fit_says_how_far_its_chains_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick look stands in for sampling, which would compile first."""
    from models.mmm import collapsed
    from models.mmm.quick_look import quick_look

    def fit(weeks, specification, sampling, *_, on_progress):  # type: ignore[no-untyped-def]
        for done in (0, 3600, 8000):
            on_progress(collapsed.Progress(4, done, 8000, divergences=done // 3600))
        return quick_look(weeks, specification, np.random.default_rng(1))

    monkeypatch.setattr(collapsed, "CompiledMix", lambda *_: None)
    monkeypatch.setattr(collapsed, "fit", fit)
    said: list[str] = []
    seconds = iter([100.0, 100.0, 104.5, 110.0])
    found = Fitter(SHIPPED, MORNING, say=said.append, clock=lambda: next(seconds)).fit("security", weeks(60))
    assert found.model == "bayesian"
    assert said == [
        "security: compiling the model of 2 channels",
        "security: 4 chains, 0% of 8,000 draws, 0 divergences",
        "security: 4 chains, 45% of 8,000 draws, 1 divergences, ~6 s left",
        "security: 4 chains, 100% of 8,000 draws, 2 divergences",
    ]


@pytest.mark.parametrize("sampler", ["nutpie", "pymc", "numpyro"])
def test_whichever_sampler_draws_compiling_is_said_and_hours_of_sampling_fill_no_log(
    monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    from models.mmm import collapsed
    from models.mmm.quick_look import quick_look

    compiling, hours = 100.0, 4.0
    seconds = [0.0]

    def fit(weeks, specification, sampling, *_, on_progress):  # type: ignore[no-untyped-def]
        seconds[0] += compiling
        for done in range(8001):
            seconds[0] += hours * 3600 / 8001
            on_progress(collapsed.Progress(4, done, 8000, 0))
        return quick_look(weeks, specification, np.random.default_rng(1))

    monkeypatch.setattr(collapsed, "CompiledMix", lambda *_: None)
    monkeypatch.setattr(collapsed, "fit", fit)
    media_mix = SHIPPED.media_mix.model_copy(update={"sampler": sampler})
    said: list[str] = []
    Fitter(
        SHIPPED.model_copy(update={"media_mix": media_mix}),
        MORNING,
        say=said.append,
        clock=lambda: seconds[0],
    ).fit("security", weeks(60))
    assert said[0] == "security: compiling the model of 2 channels"
    assert said[1] == "security: 4 chains, 0% of 8,000 draws, 0 divergences"
    # The pace is that of sampling: a minute or two of compiling does not make it hours longer.
    assert 14_300 < float(said[2].split("~")[1].split(" s")[0]) < 14_500
    assert said[-1].startswith("security: 4 chains, 100%")
    assert len(said) < 150


def test_a_kept_fit_answers_as_it_did(found: TrackFit, tmp_path: Path) -> None:
    sha256 = keep_fit(tmp_path, found, SHIPPED, MORNING)
    assert sha256 is not None
    again = stored_fit(tmp_path, sha256)
    spend = recent_spend(found.weeks)  # type: ignore[arg-type]
    assert (again.track, again.model) == ("security", "bootstrap")
    assert again.curves.at(spend)[0] == pytest.approx(found.curves.at(spend)[0])


def test_rows_fit_their_tables_and_pass_their_checks(mix: TrackMix, found: TrackFit) -> None:
    fits = rows_of(tables.MMM_FIT_DIAGNOSTICS, [fit_row(found, SHIPPED, "h")], MORNING)
    made = (
        by_spend(rows_of(tables.MMM_CURVES, [mix.curves], MORNING), [mix]),
        by_channel(rows_of(tables.MMM_CHANNELS, [mix.channels], MORNING)),
        worth_testing(rows_of(tables.MMM_TESTS, [mix.tests], MORNING), SHIPPED),
        by_envelope(allocated(mix), fits, SHIPPED),
    )
    for table, result in zip(
        (tables.MMM_CURVES, tables.MMM_CHANNELS, tables.MMM_TESTS, tables.MMM_ALLOCATIONS), made, strict=True
    ):
        assert table.conform(result.value).height > 0
        assert all(check.passed for check in result.check_results), result.check_results


def test_brand_search_never_rises_untested_and_an_envelope_follows_the_spend(mix: TrackMix) -> None:
    rows = {row["channel"]: row for row in allocated(mix).iter_rows(named=True)}
    brand, cold = (rows[channel] for channel in CHANNELS)
    assert brand["proposed_spend"] <= brand["current_spend"]
    for row, in_force in ((brand, 500), (cold, 3000)):
        assert float(row["envelope"]) == pytest.approx(
            in_force * row["proposed_spend"] / row["current_spend"], abs=0.01
        )
        assert abs(row["proposed_spend"] / row["current_spend"] - 1) <= 0.05 + 1e-9


@pytest.mark.parametrize(
    "breaks",
    [
        pl.col("current_spend").mul(1.2).alias("proposed_spend"),
        (pl.col("budget_in_force") * 2).alias("envelope"),
        pl.lit("balance").alias("track"),
    ],
)
def test_an_allocation_that_breaks_a_rule_is_not_kept(
    mix: TrackMix, found: TrackFit, breaks: pl.Expr
) -> None:
    fits = rows_of(tables.MMM_FIT_DIAGNOSTICS, [fit_row(found, SHIPPED, "h")], MORNING)
    wrong = allocated(mix).with_columns(breaks).cast(tables.MMM_ALLOCATIONS.polars_schema)
    made = by_envelope(wrong, fits, SHIPPED)
    assert not made.check_results[0].passed
    assert made.value.is_empty()


def test_curves_that_bend_upwards_fail_their_check(mix: TrackMix) -> None:
    curves = rows_of(tables.MMM_CURVES, [mix.curves], MORNING)
    bent = curves.with_columns(marginal_roas_p50=pl.col("spend") / 1000)
    assert not by_spend(bent, []).check_results[0].passed


def test_a_fit_that_failed_its_diagnostics_blocks_and_has_no_rows(found: TrackFit) -> None:
    row = fit_row(found, SHIPPED, "h").with_columns(
        passed=pl.lit(value=False), reasons=pl.lit("R-hat is 1.2")
    )
    check = by_fit(rows_of(tables.MMM_FIT_DIAGNOSTICS, [row], MORNING)).check_results[0]
    assert not check.passed
    assert check.description == "security: R-hat is 1.2"


def settings(envelope_days: int) -> Settings:
    return SHIPPED.model_copy(
        update={"media_mix": SHIPPED.media_mix.model_copy(update={"envelope_days": envelope_days})}
    )


def test_the_newest_allocation_holds_for_its_days(mix: TrackMix) -> None:
    rows = allocated(mix)
    older = rows.with_columns(
        as_of_date=pl.lit(MORNING - timedelta(days=7)), envelope=pl.lit(Decimal(1)).cast(pl.Decimal(38, 9))
    )
    both = pl.concat([older, rows])
    held = envelopes_frame(both, levers(), settings(14), MORNING + timedelta(days=3))
    assert held["allocated_on"].unique().to_list() == [MORNING]
    envelopes = channel_envelopes({"channel_envelopes": held})
    assert [(one.track, one.channel, len(one.levers)) for one in envelopes] == [
        ("security", name, 1) for name in CHANNELS
    ]
    assert guardrail_limits(SHIPPED, envelopes=envelopes).channel_envelopes == envelopes
    for days, morning in (
        (14, MORNING + timedelta(days=14)),
        (0, MORNING),
        (14, MORNING - timedelta(days=8)),
    ):
        assert envelopes_frame(both, levers(), settings(days), morning).is_empty()
    assert channel_envelopes({}) == ()


def test_levers_have_the_channel_of_their_campaign_and_paused_ones_no_budget_in_force() -> None:
    snapshot = {"platform": "meta", "account_id": "2", "track": "security", "status": "active"}
    rows = [
        snapshot
        | {
            "date": MORNING - timedelta(days=1),
            "lever_id": "gone",
            "campaign_id": "c",
            "current_budget": 9.0,
        },
        snapshot | {"date": MORNING, "lever_id": "a", "campaign_id": "c", "current_budget": 70.0},
        snapshot
        | {"date": MORNING, "lever_id": "b", "campaign_id": "c", "current_budget": 30.0, "status": "paused"},
        snapshot | {"date": MORNING, "lever_id": "shared", "campaign_id": None, "current_budget": 50.0},
        snapshot
        | {"date": MORNING + timedelta(days=1), "lever_id": "a", "campaign_id": "c", "current_budget": 99.0},
    ]
    channels = pl.DataFrame(
        {"platform": ["meta"], "account_id": ["2"], "campaign_id": ["c"], "channel": ["video"]}
    )
    made = channel_levers(pl.DataFrame(rows), channels, MORNING).sort("lever_id")
    assert made.select("lever_id", "channel", pl.col("in_force").cast(pl.Float64)).rows() == [
        ("a", "video", 70.0),
        ("b", "video", 0.0),
    ]


def test_asked_spends_are_read_or_refused_by_name() -> None:
    current = np.array([1000.0, 200.0])
    channels = ("search", "video")
    assert asked_spend(["search=1,500"], channels, current).tolist() == [1500.0, 200.0]
    assert asked_spend(["search=-10%", "video=+50"], channels, current).tolist() == [900.0, 250.0]
    for wrong, said in (
        (["radio=3"], "no channel"),
        (["search"], "write CHANNEL"),
        (["search=10%"], "needs its sign"),
        (["search=1", "search=2"], "named twice"),
        (["video=-300"], "cannot go below 0"),
    ):
        with pytest.raises(ValueError, match=said):
            asked_spend(wrong, channels, current)


def test_a_refused_track_has_no_curves() -> None:
    with pytest.raises(ValueError, match="no model was fitted"):
        _ = replace(TrackFit("security", None, "conversions"), refused=("why",)).curves
