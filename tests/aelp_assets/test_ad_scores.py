"""Scores of creatives from the mart's rows: every creative of an account, on each track it may run in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest

from aelp_assets import plots
from aelp_assets.ad_scores import rank_creatives
from aelp_assets.ranking_evidence import everything_read, previous_champions
from models.creatives.contents import text_sha256
from models.ranking.blocks import Vectors, creative_blocks
from models.ranking.candidates import CANDIDATES, IMAGE, TEXT, TRAITS, WORDS, Fit
from models.ranking.promotion import MOST_CALIBRATION_ERROR
from models.ranking.roster import chosen_candidates
from models.ranking.split_tests import TEACHING_ARMS_SCHEMA
from resources.warehouse.interface import Append
from resources.warehouse.tables import AD_SCORES, RANKER_EVALUATIONS

MORNING = date(2026, 7, 1)
EMBEDDERS = "text@1+image@2"


class Shop:
    """An account whose creatives click better the further their text's vector points one way."""

    def __init__(self, seed: int, creatives: int = 160, never_ran: int = 30, dimensions: int = 12) -> None:
        rng = np.random.default_rng(seed)
        names = [f"{index:03d}" for index in range(creatives)]
        self.creatives = pl.DataFrame(
            {
                "platform": "meta",
                "account_id": "1",
                "creative_id": names,
                "headline": [f"Headline {name}" for name in names],
                "body": None,
                "call_to_action": None,
                "content_hash": [f"h{name}" for name in names],
                "content_sha256": [None if index % 3 else f"i{name}" for index, name in enumerate(names)],
            },
            schema_overrides={"body": pl.String, "call_to_action": pl.String, "content_sha256": pl.String},
        )
        vectors = rng.normal(size=(creatives, dimensions)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        hashes = pl.Series([text_sha256(f"Headline {name}") for name in names])
        order = hashes.arg_sort().to_numpy()
        self.text = Vectors(hashes.gather(order), vectors[order])
        images = self.creatives["content_sha256"].drop_nulls().sort()
        self.image = Vectors(images, rng.normal(size=(len(images), 4)).astype(np.float32))
        self.features = self.creatives.select(
            "content_hash", "content_sha256", text_words=pl.lit(2.0), image_contrast=pl.lit(None, pl.Float64)
        )
        self.truth = vectors[:, 0].astype(float)
        self.ran = creatives - never_ran
        rows = []
        for index in range(self.ran):
            for age in (3, 60):
                shown = int(rng.poisson(9_000))
                clicks = rng.binomial(shown, 1 / (1 + np.exp(4.5 - 1.2 * self.truth[index])))
                rows.append(
                    {
                        "date": MORNING - timedelta(days=age + index % 40),
                        "platform": "meta",
                        "account_id": "1",
                        "creative_id": names[index],
                        "track": "security" if index % 2 else "balance",
                        "campaign_id": f"c{index % 4}",
                        "placement": "facebook_feed",
                        "impressions": shown,
                        "clicks": int(clicks),
                        "cost": 1.0,
                        "conversions_click": float(rng.binomial(clicks, 0.04)),
                        "conversions_view": 0.0,
                    }
                )
        self.days = pl.DataFrame(rows)
        self.tests = pl.DataFrame(schema=TEACHING_ARMS_SCHEMA)

    def run_split_tests(self, count: int, arms: int = 4) -> None:
        """Split tests of some archive in which arms clicked as creatives with such texts would."""
        rng = np.random.default_rng(count)
        names = [f"T{number:04d}" for number in range(count * arms)]
        vectors = rng.normal(size=(len(names), self.text.vectors.shape[1])).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        hashes = pl.concat([self.text.content_sha256, pl.Series([text_sha256(name) for name in names])])
        order = hashes.arg_sort().to_numpy()
        self.text = Vectors(hashes.gather(order), np.vstack([self.text.vectors, vectors])[order])
        test = np.repeat(np.arange(count), arms)
        rate = 1 / (1 + np.exp(4.0 - 1.2 * vectors[:, 0]))
        self.tests = pl.DataFrame(
            {
                "platform": "archive",
                "account_id": "a",
                "test_id": [f"t{number}" for number in test],
                "headline": names,
                "body": None,
                "call_to_action": None,
                "content_hash": [f"h{name}" for name in names],
                "content_sha256": None,
                "part": test,
                "first_day": [MORNING - timedelta(days=900 - int(number)) for number in test],
                "last_day": [MORNING - timedelta(days=894 - int(number)) for number in test],
                "impressions": 9_000,
                "clicks": rng.binomial(9_000, rate),
            },
            schema=TEACHING_ARMS_SCHEMA,
        )

    def ranked(
        self, candidates: Mapping[str, Fit] = CANDIDATES, **champions: str
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        read = everything_read(self.creatives, self.tests)
        evaluations, scores, self.scored = rank_creatives(
            self.creatives,
            creative_blocks(read, self.text, self.image, self.features),
            self.days,
            self.tests,
            MORNING,
            champions=champions,
            maturity_days=14,
            embedders=EMBEDDERS,
            generator=np.random.default_rng(1),
            candidates=candidates,
        )
        return evaluations, scores


def test_creatives_become_blocks_with_nothing_guessed() -> None:
    shop = Shop(1)
    blocks = creative_blocks(shop.creatives, shop.text, shop.image, shop.features)
    assert set(blocks) == {TEXT, IMAGE, TRAITS, WORDS}
    assert np.allclose(np.asarray(blocks[TEXT])[:, 0], shop.truth, atol=1e-6)
    assert np.isnan(np.asarray(blocks[IMAGE])[1]).all()
    assert np.isfinite(np.asarray(blocks[IMAGE])[0]).all()
    assert blocks[WORDS][0] == "Headline 000"


def test_a_creative_that_never_ran_is_scored_for_each_track_of_its_account() -> None:
    shop = Shop(2)
    evaluations, scores = shop.ranked()
    assert scores.schema == AD_SCORES.polars_schema
    new = scores.filter(pl.col("delivered_impressions") == 0)
    assert new.height == 2 * (160 - shop.ran)
    assert scores.height == shop.ran + new.height
    champion = evaluations.filter("is_champion", rate="ctr").row(0, named=True)
    assert champion["may_score"]
    assert scores["model_version"].unique().to_list() == [
        f"{champion['candidate']}+{_cvr(evaluations)}|{EMBEDDERS}"
    ]
    order = new.filter(track="security").sort("creative_id")["ctr_score"].to_numpy()
    assert np.corrcoef(order, shop.truth[shop.ran :])[0, 1] > 0.7
    assert (scores["ctr_lower_bound"] < scores["ctr_score"]).all()
    assert scores["p_one_click"].is_between(0.9, 1.0).all(), "10,000 impressions at 2 %"


def test_an_account_without_deliveries_has_no_scores_and_a_reason() -> None:
    shop = Shop(3)
    shop.days = shop.days.clear()
    evaluations, scores = shop.ranked()
    assert scores.is_empty()
    assert evaluations.schema == RANKER_EVALUATIONS.polars_schema
    assert evaluations["may_score"].to_list() == [False, False]
    assert evaluations["reasons"].str.contains("0 creatives competed").all()


def test_no_creatives_at_all_is_no_error() -> None:
    shop = Shop(4)
    shop.creatives = shop.creatives.clear()
    shop.features = shop.features.clear()
    evaluations, scores = shop.ranked()
    assert scores.is_empty()
    assert evaluations.height == 2


def test_the_figure_shows_the_best_and_their_bounds() -> None:
    _, scores = Shop(5).ranked()
    title = plots.ad_scores(scores).axes[0].get_title()
    assert "facebook_feed" in title


def test_split_tests_teach_where_own_ads_are_too_few_and_the_table_says_who_judged() -> None:
    shop = Shop(6, dimensions=24)  # in fewer, many headlines are alike by chance
    shop.days = shop.days.filter(pl.col("creative_id") < "012")
    shop.run_split_tests(120, arms=8)
    evaluations, scores = shop.ranked()
    ctr = evaluations.filter(rate="ctr")
    assert set(ctr["candidate"]) == {"kernel_of_tests", "ridge_of_tests", "trees_of_tests"}
    assert set(ctr["judged_on"]) == set(ctr["learnt_from"]) == {"split_tests"}
    assert ctr["judged_arms"].min() > 100
    assert ctr.filter("is_champion")["may_score"].all()
    assert shop.scored.click.learnt_through == shop.tests["last_day"].max(), "its ads taught nothing"
    # Arms are no creatives of the account: they get no scores, and its creatives get theirs.
    assert set(scores["creative_id"]) == set(shop.creatives["creative_id"])
    new = scores.filter(pl.col("delivered_impressions") == 0, track="security").sort("creative_id")
    truth = shop.truth[new["creative_id"].cast(pl.Int64).to_numpy()]
    assert np.corrcoef(new["ctr_score"].to_numpy(), truth)[0, 1] > 0.7
    (cvr,) = evaluations.filter(rate="cvr").to_dicts()
    assert (cvr["judged_on"], cvr["may_score"]) == (None, False)


def test_own_ads_judge_where_they_are_enough_with_and_without_split_tests() -> None:
    shop = Shop(7)
    shop.run_split_tests(60)
    evaluations, _ = shop.ranked()
    ctr = evaluations.filter(rate="ctr")
    assert set(ctr["judged_on"]) == {"ads"}
    told = {row["candidate"]: row for row in ctr.to_dicts()}
    assert all(0 < row["chance_calibration_error"] < 0.5 for row in told.values())
    (champion,) = ctr.filter("is_champion").to_dicts()
    beyond = champion["calibration_error"] - champion["chance_calibration_error"]
    refused = "Probabilities are off" in (champion["reasons"] or "")
    assert refused == (beyond > MOST_CALIBRATION_ERROR), "the gate can be checked by the table"
    assert told["ridge"]["learnt_from"] == "ads"
    assert told["ridge_with_tests"]["learnt_from"] == "ads+split_tests"
    assert told["ridge_with_tests"]["pairs_right"] > told["ridge"]["pairs_right"]
    assert not evaluations.filter(rate="cvr")["candidate"].str.contains("tests").any()


def test_a_ranker_of_ads_and_split_tests_learnt_to_the_last_day_of_either() -> None:
    shop = Shop(7)
    shop.run_split_tests(60)
    shop.tests = shop.tests.with_columns(last_day=pl.lit(MORNING - timedelta(days=1)))
    evaluations, _ = shop.ranked(ctr="ridge_with_tests")
    assert evaluations.filter("is_champion", rate="ctr")["candidate"].to_list() == ["ridge_with_tests"]
    assert shop.days["date"].max() < MORNING - timedelta(days=1)
    assert shop.scored.click.learnt_through == MORNING - timedelta(days=1)
    assert shop.scored.conversion.learnt_through is None or (
        shop.scored.conversion.learnt_through < MORNING - timedelta(days=14)
    )


def test_the_last_champion_that_scored_before_the_morning_is_known(duckdb_warehouse) -> None:
    duckdb_warehouse.ensure_tables([RANKER_EVALUATIONS])
    said = {"candidate": "ridge", "rate": "ctr", "is_champion": True, "may_score": True}
    rows = [
        said | {"as_of_date": MORNING - timedelta(days=21), "candidate": "trees"},
        said | {"as_of_date": MORNING - timedelta(days=14)},
        said | {"as_of_date": MORNING - timedelta(days=14), "candidate": "kernel", "is_champion": False},
        said | {"as_of_date": MORNING - timedelta(days=7), "candidate": "kernel", "may_score": False},
        said | {"as_of_date": MORNING, "candidate": "kernel"},
    ]
    frame = pl.DataFrame(rows, schema=RANKER_EVALUATIONS.polars_schema)
    duckdb_warehouse.write(Append(RANKER_EVALUATIONS, frame))
    assert previous_champions(duckdb_warehouse, MORNING) == {"ctr": "ridge"}


def test_a_champion_of_last_week_stays_unless_it_is_beaten_by_more_than_luck() -> None:
    first, _ = Shop(8).ranked()
    losers = first.filter(~pl.col("is_champion"), rate="ctr").sort("significant_pairs_right")
    best = first.filter("is_champion", rate="ctr")["significant_pairs_right"][0]
    runner_up = losers.filter(pl.col("significant_pairs_right") > best - 0.02)["candidate"].to_list()
    assert runner_up, "the example has two that luck could swap"
    again, _ = Shop(8).ranked(ctr=runner_up[-1])
    assert again.filter("is_champion", rate="ctr")["candidate"].to_list() == runner_up[-1:]


def test_only_the_candidates_that_were_chosen_compete() -> None:
    evaluations, _ = Shop(9).ranked(chosen_candidates(["ridge"]))
    assert set(evaluations["candidate"]) == {"ridge"}


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is an optional extra, not installed here")
def test_towers_compete_where_they_are_chosen() -> None:
    shop = Shop(9)
    evaluations, scores = shop.ranked(chosen_candidates(["ridge", "towers"]), ctr="towers")
    ctr = {row["candidate"]: row for row in evaluations.filter(rate="ctr").to_dicts()}
    assert set(ctr) == {"ridge", "towers"}
    assert ctr["towers"]["significant_pairs_right"] > 0.7
    new = scores.filter(pl.col("delivered_impressions") == 0, track="security").sort("creative_id")
    truth = shop.truth[new["creative_id"].cast(pl.Int64).to_numpy()]
    assert np.corrcoef(new["ctr_score"].to_numpy(), truth)[0, 1] > 0.7


def _cvr(evaluations: pl.DataFrame) -> str:
    champion = evaluations.filter("is_champion", rate="cvr").row(0, named=True)
    return champion["candidate"] if champion["may_score"] else "none"
