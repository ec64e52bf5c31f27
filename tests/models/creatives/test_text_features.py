"""Features of texts: shape, feeling, triggers, regulated words, and what is not guessed."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from models.creatives.text_features import (
    ENGLISH_FEATURES,
    SHAPE_FEATURES,
    TEXT_FEATURES,
    TRIGGERS,
    TextLexicons,
    text_features,
)
from resources.settings.creative_texts import CreativeTexts
from resources.settings.policy import Policy


def lexicons(**changed: object) -> TextLexicons:
    policy = Policy()
    built_in = {
        "triggers": CreativeTexts().model_dump(),
        "regulated_terms": policy.regulated_terms,
        "length_limits": policy.text_limits,
    }
    return TextLexicons(**{**built_in, **changed})


def one(text: str | None, **changed: object) -> dict[str, float | None]:
    return text_features([text], lexicons(**changed)).row(0, named=True)


def test_every_text_has_one_row_of_all_features_in_the_order_given():
    found = text_features(["Wow!", None, "How it works"], lexicons())
    assert found.columns == list(TEXT_FEATURES)
    assert found["exclamations"].to_list() == [1.0, None, 0.0]
    assert set(found.dtypes) == {pl.Float64}
    assert text_features([], lexicons()).columns == list(TEXT_FEATURES)


def test_an_unknown_text_has_no_features_at_all():
    assert set(one(None).values()) == {None}


@pytest.mark.parametrize(
    ("text", "feature", "value"),
    [
        ("Is this you?", "is_question", 1.0),
        ("7 calm habits", "starts_with_number", 1.0),
        ("7 calm habits, 3 plans", "numbers", 2.0),
        ("She said “hello” to me", "has_quote", 1.0),
        ("It's the dog's bone", "has_quote", 0.0),
        ("Save $20 today", "has_money", 1.0),
        ("STOP now", "shouted_share", 0.5),
        ("Aa bb", "capital_share", 0.25),
        ("You and your child", "second_person_share", 0.5),
        ("Why it works", "leads_with_question_word", 1.0),
        ("Meet the new plan", "leads_with_imperative", 1.0),
        ("The best forest", "superlative_share", 1 / 3),
        ("Wait… what", "ellipses", 1.0),
        ("one two three", "words", 3.0),
        ("x" * 100, "over_body_limit", 10.0),
        ("x" * 100, "over_headline_limit", 75.0),
        ("x" * 100, "over_call_to_action_limit", 70.0),
        ("short", "over_headline_limit", 0.0),
    ],
)
def test_the_shape_of_a_text_is_what_a_reader_sees(text, feature, value):
    assert one(text)[feature] == pytest.approx(value)


def test_reading_ease_and_grade_follow_their_formulas():
    # 6 words, 2 sentences, 7 syllables (hap-py).
    found = one("The cat sat. I am happy.")
    assert found["syllables_per_word"] == pytest.approx(7 / 6)
    assert found["flesch_reading_ease"] == pytest.approx(206.835 - 1.015 * 3 - 84.6 * 7 / 6)
    assert found["flesch_kincaid_grade"] == pytest.approx(0.39 * 3 + 11.8 * 7 / 6 - 15.59)


def test_long_words_in_long_sentences_read_harder():
    plain = one("We help you sleep. It is easy.")
    hard = one("Psychotherapeutic interventions substantially ameliorate physiological hyperarousal")
    assert plain["flesch_reading_ease"] > hard["flesch_reading_ease"] + 50
    assert plain["flesch_kincaid_grade"] < hard["flesch_kincaid_grade"] - 5


def test_feeling_has_a_sign():
    assert one("This is a wonderful, loving gift")["sentiment_compound"] > 0.5
    assert one("This is a horrible, cruel disaster")["sentiment_compound"] < -0.5


@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        ("fear", "The dangers nobody warned about"),
        ("curiosity", "The secret reason it works"),
        ("urgency", "Last chance, hurry"),
        ("social_proof", "Join 20,000 families"),
        ("trust", "Backed by experts"),
        ("exclusivity", "Early access for insiders"),
        ("gain", "Get a free gift"),
        ("empathy", "You are not alone"),
    ],
)
def test_each_trigger_is_found_and_silent_in_a_plain_text(trigger, text):
    assert one(text)[f"trigger_{trigger}"] > 0
    assert one("A blue chair stands in the room")[f"trigger_{trigger}"] == 0


def test_a_list_of_the_settings_takes_the_place_of_the_built_in_one():
    mine = CreativeTexts.model_validate({"fear": ["gr[ae]y"]})
    changed = lexicons(triggers=mine.model_dump())
    found = text_features(["A gray room", "A danger"], changed)
    assert found["trigger_fear"].to_list() == [pytest.approx(1 / 3), 0.0]
    assert changed.content_hash != lexicons().content_hash == lexicons().content_hash


def test_a_list_that_is_no_regular_expression_is_refused():
    with pytest.raises(ValueError, match="regular expression"):
        CreativeTexts.model_validate({"fear": ["(unclosed"]})
    with pytest.raises(ValueError, match="regular expression"):
        Policy.model_validate({"regulated_terms": ["[a"]})


def test_words_count_whole_and_whatever_hides_in_them_is_seen_through():
    assert one("A curest of pretherapy")["regulated_terms"] == 0
    found = one("Therapy and med\N{ZERO WIDTH SPACE}ication for DEPRESSION today")
    assert found["regulated_terms"] == 3
    assert found["regulated_density"] == pytest.approx(3 / 6)
    assert one("Therapy today", regulated_terms=())["regulated_density"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "Descubre la terapia que es para ti y tu familia",
        "Die beste Hilfe für Sie und Ihre Familie",
        "Découvrez la méthode pour votre famille et vos enfants",
        "新しい治療をお試しください",
        "Почувствуйте себя лучше",
        "100% !!!",
        "",
    ],
)
def test_measures_of_english_are_not_guessed_for_other_texts(text):
    found = one(text)
    assert found["is_english"] == 0.0
    assert {found[name] for name in ENGLISH_FEATURES} == {None}
    assert all(found[name] is not None for name in SHAPE_FEATURES)


@pytest.mark.parametrize("text", ["Calmer evenings", "Café culture in La Paz", "Bring me el taco", "Sleep"])
def test_a_foreign_name_does_not_make_a_text_foreign(text):
    assert one(text)["is_english"] == 1.0


def test_lists_that_name_an_unknown_trigger_or_text_are_refused():
    with pytest.raises(ValueError, match="triggers"):
        lexicons(triggers=dict.fromkeys((*TRIGGERS, "joy"), ()))
    with pytest.raises(ValueError, match="title"):
        lexicons(length_limits={"title": 10})


@pytest.mark.real_data
def test_shape_and_feeling_alone_order_real_headlines_better_than_chance(shared_data):
    """Pairs of one test with one image; a ridge on centred features, half the tests held out."""
    path = shared_data / "upworthy" / "upworthy_tests_to_201452.parquet"
    if not path.is_file():
        pytest.skip(f"no headline tests at {path}")
    arms = (
        pl.read_parquet(path)
        .filter(pl.col("impressions") >= 2000)
        .with_columns(
            pl.concat_str("clickability_test_id", pl.col("eyecatcher_id").fill_null("")).alias("group")
        )
        .unique(["group", "headline"], maintain_order=True)
        .filter(pl.len().over("group") >= 2)
        .head(4000)
        .with_columns(rate=((pl.col("clicks") + 0.5) / (pl.col("impressions") + 1)).log())
    )
    features = text_features(arms["headline"].to_list(), lexicons())
    table = pl.concat([arms.select("group", "rate"), features], how="horizontal")
    columns = [name for name in TEXT_FEATURES if features[name].null_count() == 0 and features[name].std()]
    centred = table.with_columns(
        ((pl.col(name) - pl.col(name).mean().over("group")) / pl.col(name).std()) for name in columns
    ).with_columns(pl.col("rate") - pl.col("rate").mean().over("group"))
    half = centred["group"].rank("dense").to_numpy() % 2 == 0
    x, y = centred.select(columns).to_numpy(), centred["rate"].to_numpy()
    weights = np.linalg.solve(x[half].T @ x[half] + 100 * np.eye(len(columns)), x[half].T @ y[half])
    scored = centred.filter(pl.Series(~half)).with_columns(score=pl.Series(x[~half] @ weights))
    best = scored.group_by("group").agg(right=pl.col("rate").get(pl.col("score").arg_max()), n=pl.len())
    assert best["right"].mean() > 0.01  # the log of the picked arm's click rate above its test's mean
