"""What the weekly ranking learns from besides the account's own deliveries, and who ranked before.

Here: split tests' arms beside creatives in one list, their clusters, the last champions. Not here: which arms
teach (`models.ranking.split_tests`), the assets (`ad_scores`).
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from models.policy import TEXTS
from models.ranking.split_tests import TEST, teaching_arms
from models.ranking.splits import near_duplicate_clusters
from resources.warehouse.interface import Warehouse

REWORDED = 0.95
"""Of one shop's texts: 0.8 is how alike any two of them are, and would chain all of them."""
_READ = [*TEXTS, "content_hash", "content_sha256"]
_CHAMPIONS = """
select rate, candidate, as_of_date
from gaelp_training.ranker_evaluations
where as_of_date < $morning and is_champion and may_score
"""

IntArray = npt.NDArray[np.int64]


def newest_teaching_arms(experiments: pl.DataFrame, cells: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    """`teaching_arms` by the newest of several mornings' AB_EXPERIMENTS."""
    newest = experiments.filter(pl.col("as_of_date") == pl.col("as_of_date").max())
    return teaching_arms(newest, cells, shown)


def everything_read(creatives: pl.DataFrame, tests: pl.DataFrame) -> pl.DataFrame:
    """Texts and hashes of the creatives, and below them of the arms: row i of both is row i of the blocks."""
    return pl.concat([creatives.select(_READ), tests.select(_READ)])


def clusters(
    text: npt.NDArray[np.floating], image: IntArray, creative: IntArray, tests: pl.DataFrame
) -> IntArray:
    """What may not be parted when rankers are judged, shape (rows,).

    Arms of one test stay together, and tests with alike headlines; beside them only what is nearly the same.

    Args:
        text: vectors of the creatives asked about, and below them of the arms.
        image: number of each row's image, negative where there is none.
        creative: number of each creative asked about.
        tests: the arms.
    """
    first = len(creative)
    test = tests.select(pl.struct(TEST).rank("dense")).to_series().to_numpy().astype(np.int64)
    repeated = near_duplicate_clusters(text[first:], [test])
    linked = [
        np.concatenate([creative, np.full(len(test), -1)]),
        np.concatenate([np.full(first, -1), repeated]),
    ]
    return near_duplicate_clusters(text, [image, *linked], likeness=REWORDED)


def previous_champions(warehouse: Warehouse, morning: date) -> dict[str, str | None]:
    """Who scored last before the morning, by rate; a week in which nobody might is passed over."""
    rows = warehouse.query(_CHAMPIONS, {"morning": morning}).sort("as_of_date", "rate")
    return dict(rows.select("rate", "candidate").iter_rows())
