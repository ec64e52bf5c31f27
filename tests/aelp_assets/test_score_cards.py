"""Cards of scored creatives from the mart's rows: what stands on them, and what is kept apart."""

from __future__ import annotations

import json
from datetime import timedelta

import polars as pl
import pytest

from aelp_assets.score_cards import cards_of
from models.policy import PolicyProfile, TextRule
from models.ranking.score_cards import CARD
from resources.warehouse.tables import (
    AD_LOOK_ALIKES,
    AD_SCORE_DRIVERS,
    AD_SCORES,
    RANKER_EVALUATIONS,
    SCORE_CARDS,
)
from tests.aelp_assets.test_ad_scores import MORNING, Shop

RULE = TextRule("cure", r"\bheadline 00[12]\b", "Say what it does.")
PROFILE = PolicyProfile("standard", (RULE,), {"headline": 30}, "warns", False, (), True)
PROFILES = {"security": PROFILE, "balance": PROFILE}
EMBEDDERS = {"text": "minilm@12345678", "image": "lite0@87654321"}


def scored(shop: Shop, *, may_score: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """AD_SCORES and RANKER_EVALUATIONS, the scores as a good ranker would have given them."""
    key = ["platform", "account_id", "creative_id"]
    ran = shop.days.group_by(*key, "track").agg(delivered_impressions=pl.col("impressions").sum())
    tracks = shop.days.select("track").unique()
    never = shop.creatives.select(key).join(ran, on=key, how="anti").join(tracks, how="cross")
    truth = shop.creatives.select(*key, truth=pl.Series(shop.truth))
    rate = 1 / (1 + (4.5 - 1.2 * pl.col("truth")).exp())
    rows = (
        pl.concat([ran, never.with_columns(delivered_impressions=pl.lit(0, pl.Int64))], how="diagonal")
        .join(truth, on=key)
        .with_columns(
            as_of_date=pl.lit(MORNING),
            placement=pl.lit("facebook_feed"),
            ctr_score=rate if may_score else pl.lit(None, pl.Float64),
            ctr_multiplier=pl.lit(None, pl.Float64),
            cvr_multiplier=pl.lit(None, pl.Float64),
            ctr_lower_bound=0.7 * rate if may_score else pl.lit(None, pl.Float64),
            cvr_score=pl.lit(None, pl.Float64),
            p_above_placement=pl.lit(None, pl.Float64),
            p_one_click=pl.lit(None, pl.Float64),
            model_version=pl.lit("kernel+none|text@1+image@2"),
        )
    )
    judged = {
        "as_of_date": MORNING,
        "rate": "ctr",
        "candidate": "kernel" if may_score else "none",
        "is_champion": True,
        "may_score": may_score,
        "reasons": None if may_score else "15 creatives competed with enough delivery; 40 are needed.",
        "significant_pairs_right": 0.7 if may_score else None,
    }
    evaluations = pl.DataFrame([judged], schema=RANKER_EVALUATIONS.polars_schema)
    return AD_SCORES.conform(rows.select(AD_SCORES.column_names).sort(AD_SCORES.grain)), evaluations


class Cards:
    """The cards of a shop."""

    def __init__(self, shop: Shop, *, may_score: bool = True) -> None:
        self.shop = shop
        self.scores, self.evaluations = scored(shop, may_score=may_score)
        self.cards, self.drivers, self.look_alikes = cards_of(
            shop.creatives,
            {"text": shop.text, "image": shop.image},
            shop.features,
            shop.days,
            self.scores,
            self.evaluations,
            PROFILES,
            MORNING,
            maturity_days=14,
            embedders=EMBEDDERS,
            seed=1,
        )


@pytest.fixture(scope="module")
def shop() -> Shop:
    found = Shop(1)
    found.features = found.features.with_columns(
        text_trigger_urgency=pl.Series([0.25 if index % 2 else 0.0 for index in range(160)]),
        text_over_headline_limit=pl.lit(0.0),
        text_length=pl.Series(found.truth * 10),
    )
    return found


@pytest.fixture(scope="module")
def made(shop) -> Cards:
    return Cards(shop)


def test_every_creative_and_track_that_was_scored_has_a_card(made):
    assert made.cards.schema == SCORE_CARDS.polars_schema
    assert made.drivers.schema == AD_SCORE_DRIVERS.polars_schema
    assert made.look_alikes.schema == AD_LOOK_ALIKES.polars_schema
    assert made.cards.height == made.scores.select(CARD).n_unique()
    assert made.cards["not_scored"].is_null().all()
    best = made.cards.filter(track="security", lead_rank=1).row(0, named=True)
    assert best["lead"] == made.cards.filter(track="security")["lead"].max()
    assert made.cards.filter(track="security")["rivals"].unique().to_list() == [
        made.cards.filter(track="security").height
    ]


def test_leads_are_told_by_the_text_and_by_the_trait_they_go_with(made):
    blocks = made.drivers.filter(kind="block")
    assert made.cards["drivers_tell"].unique().item() > 0.5
    spread = dict(blocks.group_by("driver").agg(pl.col("contribution").std()).rows())
    assert spread["text"] == max(spread.values())
    traits = made.drivers.filter(kind="trait")
    assert "text_length" in traits["driver"].to_list()
    assert (traits["contribution_low"] <= traits["contribution_high"]).all()
    long = traits.filter(driver="text_length").filter(pl.col("value") > pl.col("average"))
    assert (long["contribution"] > 0).all()


def test_look_alikes_are_other_creatives_of_the_track_that_ran_with_their_results(made):
    alike = made.look_alikes
    assert set(alike["space"]) == {"text", "image"}
    assert (alike["creative_id"] != alike["alike_creative_id"]).all()
    ran = made.shop.days.select("track", alike_creative_id="creative_id").unique()
    assert alike.join(ran, on=["track", "alike_creative_id"], how="anti").is_empty()
    assert alike.filter(space="text")["embedder"].unique().to_list() == ["minilm@12345678"]
    one = alike.filter(space="text", rank=1).row(0, named=True)
    days = made.shop.days.filter(track=one["track"], creative_id=one["alike_creative_id"])
    assert one["impressions"] == days["impressions"].sum()
    mature = days.filter(pl.col("date") < MORNING - timedelta(days=14))
    assert one["conversions"] == mature["conversions_click"].sum()
    assert one["ctr_low"] < one["clicks"] / one["impressions"] < one["ctr_high"]
    assert (
        alike.filter(space="image")
        .join(made.shop.creatives.filter(pl.col("content_sha256").is_null()), on="creative_id")
        .is_empty()
    )


def test_what_policy_says_stands_apart_and_does_not_move_the_lead(made, shop):
    flagged = made.cards.filter(~pl.col("texts_pass"))
    assert sorted(set(flagged["creative_id"])) == ["001", "002"]
    rules = {flag["rule"]: flag["text"] for flag in json.loads(flagged.sort("creative_id")["text_flags"][0])}
    assert rules["cure"] == "Headline 001"
    hits = made.cards.filter(creative_id="003")["lexicon_hits"].unique().item()
    assert json.loads(hits) == {"trigger_urgency": 0.25}
    assert json.loads(made.cards.filter(creative_id="002")["lexicon_hits"][0]) == {}


def test_delivered_results_and_the_slope_are_of_the_creative_itself(made):
    ran = made.cards.filter(pl.col("impressions") > 0)
    assert ran.height == made.shop.ran
    # Two days each: too few for a slope, and the card says so.
    assert ran["no_fatigue"].unique().to_list() == ["2 days with impressions; needs 7"]
    assert ran["fatigue_placement"].unique().to_list() == ["facebook_feed"]
    new = made.cards.filter(impressions=0)
    assert new["ctr"].is_null().all()
    assert new["no_fatigue"].unique().to_list() == ["It did not run in the window."]


def test_a_creative_nobody_may_score_has_a_card_with_the_reason():
    few = Shop(2, creatives=20, never_ran=5)
    made = Cards(few, may_score=False)
    assert made.cards["lead"].is_null().all()
    assert made.cards["not_scored"].str.contains("15 creatives competed").all()
    assert made.drivers.is_empty()
    assert made.look_alikes.height > 0
    assert made.cards["rivals"].unique().to_list() == [0]


def test_without_any_score_there_is_no_card_and_no_error():
    empty = Shop(3)
    empty.days = empty.days.clear()
    made = Cards(empty)
    assert made.cards.is_empty()
    assert made.look_alikes.is_empty()


def test_cards_of_a_morning_are_the_same_when_made_again(made, shop):
    again = Cards(shop)
    assert again.cards.equals(made.cards)
    assert again.drivers.equals(made.drivers)
