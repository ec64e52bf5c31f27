"""The study of rankers against the sandbox's truth: what is true, what is held back, what figures are of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import creative_cold_start as cold
from benchmarks import creative_ranking as study
from benchmarks import unseen_creatives
from benchmarks import video_openings as openings
from benchmarks.creative_ranking import Correlations
from benchmarks.creative_worlds import CreativeWorld, Reading, draw_world, read_creatives
from benchmarks.unseen_creatives import Unseen, held_back
from models.creatives.contents import joined_text, text_sha256
from models.ranking.blocks import Vectors
from resources.creative_assets import FOLDER, AssetStore
from resources.sandbox import copywriting
from resources.sandbox.truth import true_ads
from resources.settings import PROJECT_ROOT, load_settings


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> CreativeWorld:
    return draw_world("tiny", 7, AssetStore(tmp_path_factory.mktemp("images")), 1_000)


def test_a_creatives_truth_is_what_its_ads_have_in_common(world: CreativeWorld) -> None:
    simulated = world.simulated
    ads = true_ads(simulated.business, simulated.ledger, 0, simulated.business.days - 1)
    own = world.creatives.select("creative_id").with_columns(
        ctr=pl.Series(world.log_ctr), cvr=pl.Series(world.log_cvr)
    )
    both = ads.join(own, on="creative_id")
    assert both.height == ads.height > 20
    luck = 0.05  # an ad's own, on either rate
    for truth, creatives_part in (("log_ctr", "ctr"), ("log_cvr", "cvr")):
        difference = (both[truth] - both[creatives_part]).to_numpy()
        assert difference.std() == pytest.approx(luck, rel=0.5)
        assert np.abs(difference).max() < 4 * luck


def test_what_choices_do_not_tell_of_a_creative_is_its_own(world: CreativeWorld) -> None:
    shares = world.variance_shares()
    assert set(shares) == {"text", "picture", "nothing"}
    unseen = world.log_ctr - world.shown_log_ctr
    assert unseen.std() < world.log_ctr.std()
    # Equal choices have equal effects: a regression on them leaves what was no choice.
    coefficients, *_ = np.linalg.lstsq(world.choices, world.shown_log_ctr / world._weight, rcond=None)
    assert world.choices @ coefficients == pytest.approx(world.shown_log_ctr / world._weight)


def test_days_are_the_ledgers_and_know_nothing_of_the_morning_after(world: CreativeWorld) -> None:
    ledger = world.simulated.ledger
    whole, earlier = world.days(world.simulated.business.days), world.days(20)
    assert whole["impressions"].sum() == ledger.delivery.impressions.sum()
    assert whole["clicks"].sum() == ledger.delivery.link_clicks.sum()
    assert earlier["date"].max() == world.date_of(19)
    # Conversions of the same days, shown by then: fewer than in the end.
    shown_later = whole.filter(pl.col("date") <= world.date_of(19))["conversions_click"].sum()
    assert 0 < earlier["conversions_click"].sum() < shown_later


def test_nothing_that_is_held_back_resembles_what_teaches() -> None:
    rng = np.random.default_rng(1)
    cluster, first_day = rng.integers(0, 60, 400), rng.integers(0, 100, 400)
    known, held, later = held_back(cluster, first_day, 80, rng)
    assert min(known.sum(), held.sum(), later.sum()) > 5
    assert not (known & (held | later)).any()
    assert not np.isin(cluster[held | later], cluster[known]).any()
    assert first_day[known | held].max() < 80 <= first_day[later].min()


def test_correlations_are_within_groups_and_those_of_equal_scores_move_together() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=300)
    group = np.repeat(np.arange(3), 100)
    # Between groups the score says the opposite: places are not the creative's doing.
    score = truth - 10.0 * group
    unseen = _unseen(group, truth + 5.0 * group)
    found = Correlations(
        unseen, {"right": score, "wrong": -score, "same": 2 * score}, "ctr", np.ones(300, dtype=bool)
    )
    assert found.observed() == pytest.approx({"right": 1.0, "wrong": -1.0, "same": 1.0})
    noise = {str(each): rng.normal(size=300) for each in range(200)}
    random = Correlations(unseen, noise, "ctr", group >= 0).observed()
    assert abs(np.mean(list(random.values()))) < 0.02
    noisy = Correlations(unseen, {"one": truth + rng.normal(size=300)}, "ctr", group >= 0)
    drawn = noisy.resampled(rng, 200)["one"]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert low < noisy.observed()["one"] < high < 0.9
    # Resampled scores vary as much as independent ones do: by 1 over the root of the arms, at most.
    assert 0.5 < drawn.std() * np.sqrt(300) < 1.0


def _unseen(group: np.ndarray, truth: np.ndarray) -> Unseen:
    count, nothing = len(group), np.zeros(len(group), dtype=np.int64)
    numbers = np.arange(count)
    return Unseen(
        group, numbers, numbers, nothing > 0, nothing == 0, nothing, np.ones(count), {}, {"ctr": truth}
    )


def test_what_was_read_of_a_world_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = draw_world("tiny", 7, AssetStore(tmp_path / FOLDER), 2)
    settings = load_settings(PROJECT_ROOT / "aelp.yaml")
    first = read_creatives(world.creatives, tmp_path, settings)
    assert (len(first.image.vectors), first.features.height) == (2, world.creatives.height)

    def refused(*_: object) -> None:
        raise AssertionError("a network was opened")

    monkeypatch.setattr("resources.creative_vectors.embedders.open_text_embedder", refused)
    monkeypatch.setattr("resources.creative_vectors.embedders.open_image_embedder", refused)
    monkeypatch.setattr("resources.creative_measures.Detectors", refused)
    again = read_creatives(world.creatives, tmp_path, settings)
    assert again.features.equals(first.features)


def test_a_small_study_ranks_by_what_its_reading_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELP_BENCH", str(tmp_path))
    drawn: list[CreativeWorld] = []

    def remembered(*given: object) -> CreativeWorld:
        drawn.append(draw_world(*given))  # type: ignore[arg-type]
        return drawn[-1]

    monkeypatch.setattr(unseen_creatives, "draw_world", remembered)
    monkeypatch.setattr(unseen_creatives, "read_creatives", lambda *_: _told(drawn[-1]))
    monkeypatch.setattr(study, "_FEWEST_RANKED", 3)
    record = study.creative_ranking("demo", worlds=1, most_images=60, resamples=20)
    found = {figure.name: figure.value for figure in record.figures}
    # Readers that know each choice rank as well as the one that is told of it.
    assert found["rank correlation, ours"] == pytest.approx(
        found["rank correlation, told what was chosen"], abs=0.25
    )
    assert found["rank correlation, all that a creative shows"] > 0.5
    assert found["rank correlation, their own clicks"] > 0.5
    assert abs(found["what measured traits add"]) < 0.2
    assert record.config == {"scale": "demo", "worlds": 1, "most_images": 60}


def _told(world: CreativeWorld) -> Reading:
    """Vectors that are the choices themselves: what a perfect reader would make of texts and images."""
    creatives = world.creatives
    choices = world.choices / np.linalg.norm(world.choices, axis=1, keepdims=True)

    def vectors(hashes: list[str]) -> Vectors:
        first = {content: row for row, content in enumerate(hashes)}
        ordered = sorted(first)
        return Vectors(
            pl.Series(ordered), choices[[first[content] for content in ordered]].astype(np.float32)
        )

    texts = [text_sha256(text) for text in creatives.select(joined_text()).to_series()]
    features = creatives.select("content_hash", "content_sha256", text_words=1.0, image_brightness=1.0)
    return Reading(vectors(texts), vectors(creatives["content_sha256"].to_list()), features)


def test_pictures_are_counted_as_often_as_their_bytes_differ() -> None:
    rng = np.random.default_rng(1)
    creatives, _ = copywriting.draw_creatives(rng, np.zeros(120, dtype=np.int64))
    few = replace(
        creatives,
        hook=creatives.hook % 2,
        theme=creatives.theme % 2,
        palette=creatives.palette % 2,
        variant=creatives.variant % 40,
    )
    keys = {number: cold.pictured(few, number) for number in range(120)}
    files = {number: copywriting.render(few, number) for number in range(120)}
    assert len(set(keys.values())) == len(set(files.values())) < 120
    assert len(set(zip(keys.values(), files.values(), strict=True))) == len(set(files.values()))


def test_a_cold_account_is_reckoned_from_its_distinct_contents() -> None:
    record = cold.creative_cold_start("tiny", texts=3, images=1)
    found = {figure.name: figure.value for figure in record.figures}
    assert found["distinct texts"] <= found["creatives that ran"] < 40
    each = 1 / found["images decoded and embedded"] + 1 / found["images decoded, looked at and measured"]
    assert found["all images from cold, reckoned"] * 60 == pytest.approx(found["distinct images"] * each)
    assert found["the account from cold, reckoned"] == pytest.approx(
        found["all images from cold, reckoned"] + found["all texts from cold, reckoned"]
    )


def test_measures_of_a_videos_opening_tell_how_many_stay_and_its_thumbnail_does_not() -> None:
    record = openings.video_openings(videos=25, resamples=100)
    found = {figure.name: figure.value for figure in record.figures}
    assert found["rank correlation with the true hook rate, by the opening"] > 0.6
    assert found["rank correlation with the true hook rate, by the thumbnail"] < 0.4
