"""Which arms of split tests teach a ranking: comparable ones, of tests that nothing speaks against."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from models.ranking.populations import further_teachers, population_of
from models.ranking.split_tests import TEACHING_ARMS_SCHEMA, teaching_arms

_SHOWN = (
    *("platform", "account_id", "test_id", "arm", "creative_id", "headline", "body", "call_to_action"),
    *("description", "image_id", "content_sha256", "content_hash"),
)


class Archive:
    """Tests of two headlines each, a week apart; `arm` adds another."""

    def __init__(self, tests: int = 2) -> None:
        self.experiments: list[dict] = []
        self.cells: list[dict] = []
        self.shown: list[dict] = []
        for number in range(tests):
            self.experiments.append(
                {
                    **self._test(number),
                    "kind": "creative",
                    "is_valid": True,
                    "first_day": date(2026, 1, 5 + 7 * number),
                    "last_day": date(2026, 1, 11 + 7 * number),
                }
            )
            self.arm(number, "a", headline=f"One {number}")
            self.arm(number, "b", headline=f"Other {number}")

    def arm(self, test: int, arm: str, impressions: int | None = 1_000, **shown: str) -> None:
        self.cells.append(
            {
                **self._test(test),
                "arm": arm,
                "period_end": date(2026, 1, 11 + 7 * test),
                "impressions": impressions,
                "link_clicks": 20,
            }
        )
        self.shown.append({**self._test(test), "arm": arm, "content_hash": arm, **shown})

    def teaches(self, most: int = 100) -> pl.DataFrame:
        counts = {"impressions": pl.Int64, "link_clicks": pl.Int64}
        return teaching_arms(
            pl.DataFrame(self.experiments),
            pl.DataFrame(self.cells, schema_overrides=counts),
            pl.DataFrame(self.shown, schema=dict.fromkeys(_SHOWN, pl.String)),
            most=most,
        )

    def _test(self, number: int) -> dict:
        return {"platform": "archive", "account_id": "x", "test_id": f"t{number}"}


def test_arms_of_a_valid_test_compete_with_one_another() -> None:
    found = Archive().teaches()
    assert found.schema == TEACHING_ARMS_SCHEMA
    assert found["headline"].to_list() == ["One 0", "Other 0", "One 1", "Other 1"]
    assert found["part"].to_list() == [1, 1, 2, 2]
    assert found["first_day"].to_list() == [date(2026, 1, 5)] * 2 + [date(2026, 1, 12)] * 2
    assert found["last_day"].to_list() == [date(2026, 1, 11)] * 2 + [date(2026, 1, 18)] * 2


@pytest.mark.parametrize("fault", [{"is_valid": False}, {"kind": "landing_page"}])
def test_a_test_that_may_not_be_judged_or_is_not_of_creatives_teaches_nothing(fault: dict) -> None:
    archive = Archive()
    archive.experiments[0] |= fault
    assert set(archive.teaches()["test_id"]) == {"t1"}


def test_a_kind_that_is_not_told_may_well_be_creatives() -> None:
    archive = Archive()
    archive.experiments[0]["kind"] = None
    assert archive.teaches().height == 4


def test_arms_of_another_image_or_lede_are_another_part() -> None:
    archive = Archive(1)
    archive.arm(0, "c", headline="Third", image_id="i")
    archive.arm(0, "d", headline="Fourth", image_id="i")
    archive.arm(0, "e", headline="Fifth", image_id="j")
    archive.arm(0, "f", headline="Sixth", description="another article")
    parts = archive.teaches().group_by("part").agg(pl.col("headline").sort()).sort("headline")
    assert parts["headline"].to_list() == [["Fourth", "Third"], ["One 0", "Other 0"]]


def test_images_that_were_read_compete_with_one_another() -> None:
    archive = Archive(1)
    archive.arm(0, "c", headline="Third", image_id="i", content_sha256="1")
    archive.arm(0, "d", headline="Third", image_id="j", content_sha256="2")
    found = archive.teaches()
    assert found.filter(headline="Third").height == 2
    assert found["part"].n_unique() == 1


def test_arms_that_showed_the_same_are_one() -> None:
    archive = Archive(1)
    archive.arm(0, "c", impressions=500, headline="One 0")
    assert archive.teaches().filter(headline="One 0")["impressions"].to_list() == [1_500]


def test_what_is_not_known_of_an_arm_keeps_it_out() -> None:
    archive = Archive(2)
    archive.arm(0, "c")
    archive.arm(0, "d", impressions=None, headline="Not counted")
    archive.cells.append(archive.cells[0] | {"period_end": date(2026, 3, 1)})
    found = archive.teaches()
    assert set(found["headline"]) == {"One 0", "Other 0", "One 1", "Other 1"}
    assert set(found["impressions"]) == {1_000}


def test_the_newest_whole_tests_teach_where_there_are_too_many() -> None:
    assert set(Archive(3).teaches(most=5)["test_id"]) == {"t1", "t2"}


def test_a_test_of_an_ad_that_ran_without_a_rival_does_not_teach_what_it_did() -> None:
    rows = pl.DataFrame(
        {
            "creative": [0, 1, 2, 3],
            "part": [1, 1, 2, 2],
            "placement": "split_tests",
            "first_day": date(2026, 1, 5),
            "last_day": date(2026, 1, 11),
            "trials": 1_000,
            "successes": [10, 20, 30, 40],
        }
    )
    tests = population_of("split_tests", rows, ["part"], np.array([7, 7, 8, 8]))
    assert further_teachers(tests, np.array([8, 9]), before=None).creative.tolist() == [0, 1]
