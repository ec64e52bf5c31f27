"""Drift of new creatives and of earlier scores, from the mart's rows."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from aelp_assets.creative_drift import _held, drift_of
from models.ranking.candidates import TEXT, TRAITS
from resources.warehouse.tables import AD_SCORES, CREATIVE_DRIFT, RANKER_EVALUATIONS

MORNING = date(2026, 7, 7)
SCORED_ON = MORNING - timedelta(days=35)
TRAIT_NAMES = ["text_words", "text_commas"]


class Account:
    """120 ads that ran before a morning that scored, 40 that started after it; five to a campaign."""

    def __init__(self, seed: int, *, shift: float = 0.0, skill: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        self.generator = rng
        names = [f"{number:03d}" for number in range(160)]
        new = np.arange(160) >= 120
        self.creatives = pl.DataFrame(
            {
                "platform": "meta",
                "account_id": "1",
                "creative_id": names,
                "headline": [f"Headline {name}" for name in names],
                "body": None,
                "call_to_action": None,
                "content_hash": names,
                "content_sha256": None,
                "first_seen": [SCORED_ON + timedelta(days=2 if late else -90) for late in new],
            },
            schema_overrides=dict.fromkeys(("body", "call_to_action", "content_sha256"), pl.String),
        )
        vectors, traits = rng.normal(size=(160, 6)), rng.normal(size=(160, 2))
        vectors[:, 0] += 3.0
        vectors[new, 0] -= 9.0 * (shift > 0)
        traits[new, 1] += shift
        self.blocks = {TEXT: vectors, TRAITS: traits}
        truth = rng.normal(scale=0.5, size=160)
        rows = []
        for number, name in enumerate(names):
            for age in range(3):
                shown = 10_000
                start = SCORED_ON + timedelta(days=3 if new[number] else -60)
                rate = 1 / (1 + np.exp(4.0 - truth[number]))
                rows.append(
                    {
                        "date": start + timedelta(days=age),
                        "platform": "meta",
                        "account_id": "1",
                        "track": "security",
                        "campaign_id": f"c{number // 5}",
                        "creative_id": name,
                        "placement": "feed",
                        "impressions": shown,
                        "clicks": int(rng.binomial(shown, rate)),
                    }
                )
        self.days = pl.DataFrame(rows)
        score = 1 / (1 + np.exp(4.0 - skill * truth + rng.normal(scale=0.1, size=160)))
        self.scores = AD_SCORES.conform(
            self.creatives.select("platform", "account_id", "creative_id")
            .with_columns(
                as_of_date=pl.lit(SCORED_ON),
                track=pl.lit("security"),
                placement=pl.lit("feed"),
                ctr_score=pl.Series(score),
                ctr_lower_bound=pl.Series(0.6 * score),
                cvr_score=pl.lit(None, pl.Float64),
                **dict.fromkeys(
                    ("p_above_placement", "p_one_click", "ctr_multiplier", "cvr_multiplier"),
                    pl.lit(None, pl.Float64),
                ),
                delivered_impressions=pl.Series(np.where(new, 0, 30_000)),
                model_version=pl.lit("kernel+none|x"),
            )
            .select(AD_SCORES.column_names)
        )
        self.evaluations = pl.DataFrame(
            [
                {
                    "as_of_date": SCORED_ON,
                    "rate": "ctr",
                    "candidate": "kernel",
                    "is_champion": True,
                    "may_score": True,
                    "significant_pairs_right": 0.7,
                }
            ],
            schema=RANKER_EVALUATIONS.polars_schema,
        )

    def drift(self, morning: date = MORNING) -> pl.DataFrame:
        return drift_of(
            self.creatives,
            self.blocks,
            TRAIT_NAMES,
            self.days,
            self.scores,
            self.evaluations,
            morning,
            generator=self.generator,
        )


def drifting(rows: pl.DataFrame) -> list[tuple[str, str]]:
    return rows.filter("is_drift").select("kind", "name").rows()


def test_where_nothing_changed_and_scores_hold_nothing_is_drift():
    found = Account(1).drift()
    assert found.schema == CREATIVE_DRIFT.polars_schema
    assert drifting(found) == []
    assert found["not_told"].is_null().all()
    assert found.filter(kind="ranking")["value"].item() > 0.9
    assert found.filter(kind="ranking")["drift_limit"].item() == pytest.approx(0.7)
    assert found.filter(kind="novelty").select("learnt", "since").row(0) == (120, 40)
    assert found.filter(kind="novelty")["scored_on"].item() == SCORED_ON
    assert found.filter(kind="ranking")["scored_on"].item() is None


def test_new_creatives_unlike_those_learnt_from_are_told_with_the_trait():
    found = Account(2, shift=2.5).drift()
    assert drifting(found) == [("novelty", "text"), ("trait", "text_commas")]
    warned = _held("new_creatives_are_like_those_learnt_from", found, ("novelty", "trait"))
    assert not warned.passed
    assert warned.severity.value == "WARN"
    assert "text_commas" in warned.description
    assert "exploration budget" in warned.description
    assert _held("scores_hold_on_what_ran_since", found, ("ranking", "bounds")).passed


def test_scores_that_no_longer_rank_are_told():
    found = Account(3, skill=-1.0).drift()
    assert ("ranking", "ctr") in drifting(found)
    warned = _held("scores_hold_on_what_ran_since", found, ("ranking", "bounds"))
    assert "ranker_evaluations" in warned.description


def test_ads_that_had_run_when_they_were_scored_prove_nothing():
    account = Account(4, skill=-1.0)
    account.scores = account.scores.with_columns(delivered_impressions=pl.lit(5, pl.Int64))
    told = account.drift().filter(kind="ranking").row(0, named=True)
    assert told["value"] is None
    assert told["not_told"].startswith("0 significant pairs")


@pytest.mark.parametrize("day", [SCORED_ON, SCORED_ON - timedelta(days=7)])
def test_scores_of_the_morning_itself_and_later_ones_are_never_used(day):
    assert Account(5).drift(day).is_empty()


def test_where_nothing_scored_nothing_can_drift():
    account = Account(6)
    account.scores = account.scores.with_columns(ctr_score=pl.lit(None, pl.Float64))
    found = account.drift()
    assert found.is_empty()
    assert _held("scores_hold_on_what_ran_since", found, ("ranking", "bounds")).passed
