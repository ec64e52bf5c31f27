"""What goes with a score: parts of it by block, and traits that it goes with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from models.ranking.candidates import IMAGE, TEXT, TRAITS, WORDS
from models.ranking.drivers import BLOCKS_READ, block_parts, blocks_read, leads, trait_associations
from models.ranking.kernels import Block, fit_kernel_map
from models.ranking.roster import ROSTER


class Field:
    """Creatives whose scores come from the text's direction and, less, from one trait."""

    def __init__(self, seed: int, creatives: int = 300) -> None:
        rng = np.random.default_rng(seed)
        self.generator = rng
        self.text = rng.normal(size=(creatives, 6))
        self.image = rng.normal(size=(creatives, 6))
        self.traits = rng.normal(size=(creatives, 8))
        self.traits[::7, 3] = np.nan
        self.group = np.arange(creatives) % 2
        self.lead = (
            0.3 * self.text[:, 0] / np.linalg.norm(self.text, axis=1)
            + 0.1 * self.traits[:, 2]
            + 5.0 * self.group
        )
        self.lead -= np.where(self.group == 1, self.lead[1::2].mean(), self.lead[::2].mean())
        self.values = {TEXT: self.text, IMAGE: self.image, TRAITS: self.traits}


def test_leads_are_the_same_on_every_placement_and_none_without_a_score() -> None:
    relative = np.array([0.3, -0.1, -0.2])
    rates = np.concatenate([expit(-4.0 + relative), expit(-2.0 + relative), [np.nan]])
    found = leads(rates, np.array([0, 0, 0, 1, 1, 1, 1]), np.array([0, 1, 2, 0, 1, 2, 3]))
    assert found[:3] == pytest.approx(relative)
    assert np.isnan(found[3])


def test_the_blocks_that_move_a_score_are_told_and_add_up() -> None:
    field = Field(1)
    found = block_parts(
        field.lead, field.values, field.group, read=BLOCKS_READ["trees"], generator=field.generator
    )
    assert found.told > 0.8
    assert sum(found.parts.values()) == pytest.approx(field.lead, abs=0.2)
    spread = {name: float(part.std()) for name, part in found.parts.items()}
    assert spread[TEXT] > spread[TRAITS] > spread[IMAGE]
    of_trait = found.parts[TRAITS]
    known = np.isfinite(field.traits[:, 2])
    assert np.corrcoef(of_trait[known], field.traits[known, 2])[0, 1] > 0.8
    for group in (0, 1):
        assert found.parts[TEXT][field.group == group].mean() == pytest.approx(0.0, abs=1e-9)


def test_a_block_the_candidate_never_saw_has_no_part() -> None:
    field = Field(2)
    found = block_parts(
        field.lead, field.values, field.group, read=BLOCKS_READ["ridge"], generator=field.generator
    )
    assert list(found.parts) == [TEXT]
    assert set(BLOCKS_READ) == set(ROSTER), "every candidate says what it reads"


@pytest.mark.parametrize("teachers", ["", "_with_tests", "_of_tests"])
def test_a_candidate_reads_the_same_whoever_taught_it(teachers: str) -> None:
    assert blocks_read(f"ridge{teachers}") == (TEXT,)
    assert WORDS not in blocks_read(f"trees{teachers}")


def test_leads_of_pure_luck_are_told_by_nothing() -> None:
    field = Field(3)
    luck = field.generator.normal(size=len(field.lead))
    found = block_parts(luck, field.values, field.group, read=(TEXT, IMAGE), generator=field.generator)
    assert found.told < 0.1


@pytest.mark.parametrize("lead", [np.zeros(300), np.arange(5.0)])
def test_equal_or_few_scores_have_no_parts(lead) -> None:
    field = Field(4)
    values = {name: rows[: len(lead)] for name, rows in field.values.items()}
    found = block_parts(lead, values, np.zeros(len(lead), int), read=(TEXT,), generator=field.generator)
    assert found.parts == {}
    assert np.isnan(found.told)


def test_parts_of_a_kernel_map_sum_to_its_prediction() -> None:
    rng = np.random.default_rng(5)
    values = {"one": rng.normal(size=(50, 3)), "two": rng.normal(size=(50, 2))}
    blocks = [Block("one", "near", 0.1), Block("two", "linear", 0.1)]
    kernel = fit_kernel_map(blocks, values, landmarks=30, generator=rng)
    coefficients = rng.normal(size=30)
    parts = kernel.parts(values, coefficients)
    assert parts["one"] + parts["two"] == pytest.approx(kernel.features(values) @ coefficients)


def test_the_trait_that_scores_go_with_is_named_with_its_interval() -> None:
    field = Field(6)
    names = [f"trait_{place}" for place in range(8)]
    found = trait_associations(field.lead, field.traits, names, field.group, np.arange(300))
    assert found.names == ("trait_2",)
    assert found.tried == 8
    centred = field.traits[:, 2] - found.average[:, 0]
    assert found.contribution[:, 0] == pytest.approx(0.1 * centred, abs=0.08)
    assert (found.low <= found.contribution).all()
    assert (found.contribution <= found.high).all()


def test_what_was_not_measured_goes_with_nothing() -> None:
    field = Field(7)
    field.lead = 0.2 * np.nan_to_num(field.traits[:, 3])
    found = trait_associations(field.lead, field.traits, list("abcdefgh"), field.group, np.arange(300))
    assert "d" in found.names
    missing = found.contribution[:, found.names.index("d")]
    assert np.isnan(missing[::7]).all()
    assert np.isfinite(missing[1::7]).all()


def test_rewordings_of_a_dozen_ads_are_a_dozen_not_hundreds() -> None:
    rng = np.random.default_rng(8)
    named = 0
    for _ in range(60):
        cluster = np.arange(300) % 25
        trait, lead = rng.normal(size=25)[cluster], rng.normal(size=25)[cluster]
        found = trait_associations(lead, trait[:, None], ["one"], np.zeros(300, int), cluster)
        named += len(found.names)
    # At 10 % false discoveries about 6 of 60; taken as 300 ads it would be most of them.
    assert named <= 14


def test_a_constant_trait_goes_with_nothing() -> None:
    found = trait_associations(
        np.random.default_rng(9).normal(size=50), np.ones((50, 1)), ["one"], np.zeros(50, int), np.arange(50)
    )
    assert found.names == ()
    assert found.contribution.shape == (50, 0)


def test_what_one_ad_alone_has_is_no_association() -> None:
    rng = np.random.default_rng(10)
    trait = np.zeros((60, 1))
    trait[7] = 1.0
    lead = rng.normal(scale=0.1, size=60)
    lead[7] = 3.0
    found = trait_associations(lead, trait, ["rare"], np.zeros(60, int), np.arange(60))
    assert found.names == ()
