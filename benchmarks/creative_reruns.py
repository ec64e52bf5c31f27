"""What a run over creatives costs when most, or all, of them were read before.

Here: a large account with its vectors and features in place, timed runs of the two assets over it. Not here:
what reading one costs (`creative_embeddings`, `creative_features`).
"""

from __future__ import annotations

import hashlib
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import numpy as np
import polars as pl

from aelp_assets.creative_embeddings import creative_embeddings
from aelp_assets.creative_features import creative_features
from benchmarks.accounts import scratch_folder
from benchmarks.creative_embeddings import LARGE_ACCOUNT
from benchmarks.record import Figure, Record
from models.creatives.contents import joined_text, text_contents
from models.embeddings import unit_length
from resources.clock import FixedClock
from resources.creative_measures import lexicons_of, present_versions
from resources.creative_vectors import space_of, vector_rows
from resources.embedders import IMAGE_EMBEDDER, TEXT_EMBEDDER
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Append, Warehouse
from resources.warehouse.tables import CREATIVE_EMBEDDINGS, CREATIVE_FEATURES, QUARANTINE

_EARLIER = datetime(2026, 6, 29, 13, tzinfo=UTC)
_NOW = datetime(2026, 6, 30, 13, tzinfo=UTC)


def creative_reruns(creatives: int = LARGE_ACCOUNT, new: int = 100) -> Record:
    """Time both assets where nothing is new, and where some headlines are.

    Each creative has its own text and image; vectors and rows of both are in the warehouse, made up.
    """
    folder = scratch_folder() / f"creatives-{uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    try:
        return _measure(creatives, new, folder)
    finally:
        shutil.rmtree(folder)


def _measure(creatives: int, new: int, folder: Path) -> Record:
    environment = read_environment({"AELP_HOME": str(folder)})
    settings = load_settings(PROJECT_ROOT / "aelp.yaml")
    warehouse = open_warehouse(environment)
    rows = _creatives(creatives)
    _fill(warehouse, rows, present_versions(lexicons_of(settings)).parameters())
    resources = {
        "settings": settings,
        "environment": environment,
        "warehouse": warehouse,
        "clock": FixedClock(_NOW),
        "memory": dg.mem_io_manager,
    }
    unchanged = {name: _run(asset, rows, resources) for name, asset in _ASSETS.items()}
    edited = rows.with_columns(
        pl.when(pl.int_range(pl.len()) < new)
        .then(pl.col("headline") + " today")
        .otherwise("headline")
        .alias("headline"),
        pl.when(pl.int_range(pl.len()) < new)
        .then(pl.col("content_hash") + "x")
        .otherwise("content_hash")
        .alias("content_hash"),
    )
    changed = {name: _run(asset, edited, resources) for name, asset in _ASSETS.items()}
    both = sum(unchanged.values())
    return Record(
        "creative_reruns",
        {"creatives": creatives, "new": new},
        [
            *(Figure(f"{name}, nothing new", seconds, "s") for name, seconds in unchanged.items()),
            Figure("both, nothing new", both, "s", "≤ 5 s", both <= 5),
            *(Figure(f"{name}, {new} new headlines", seconds, "s") for name, seconds in changed.items()),
        ],
        note="Wall time of a Dagster run in this process, the mart's rows in memory already; the first opens "
        "what the others find opened.",
    )


_ASSETS = {"embeddings": creative_embeddings, "features": creative_features}


def _run(asset: dg.AssetsDefinition, rows: pl.DataFrame, resources: dict[str, Any]) -> float:
    @dg.asset(key=["gaelp_training", "creative_objects"], io_manager_key="memory")
    def creative_objects() -> pl.DataFrame:
        return rows

    @dg.asset(key=["intermediate", "int_experiment_arms"], io_manager_key="memory")
    def int_experiment_arms() -> pl.DataFrame:
        return rows.with_columns(test_id=pl.lit("t"), arm=pl.lit("a")).clear()

    with dg.DagsterInstance.ephemeral() as instance:
        started = time.perf_counter()
        dg.materialize([creative_objects, int_experiment_arms, asset], instance=instance, resources=resources)
        return time.perf_counter() - started


def _creatives(count: int) -> pl.DataFrame:
    names = [f"{place:06}" for place in range(count)]
    return pl.DataFrame(
        {
            "platform": ["meta"] * count,
            "account_id": ["1"] * count,
            "creative_id": names,
            "headline": [f"Sleep well tonight, {name}" for name in names],
            "body": ["A course of six weeks that begins when you do."] * count,
            "call_to_action": ["LEARN_MORE"] * count,
            "content_hash": [hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() for name in names],
            "content_sha256": [hashlib.sha256(name.encode()).hexdigest() for name in names],
        }
    )


def _fill(warehouse: Warehouse, rows: pl.DataFrame, versions: dict[str, str]) -> None:
    """Vectors of every text and image and a row of features of every creative, all of them made up."""
    rng = np.random.default_rng(1)
    warehouse.ensure_tables([CREATIVE_EMBEDDINGS, CREATIVE_FEATURES, QUARANTINE])
    texts = text_contents(rows.select(joined_text()).to_series())["content_sha256"].to_list()
    spaces = (
        (space_of("text", TEXT_EMBEDDER), 384, texts),
        (space_of("image", IMAGE_EMBEDDER), 1280, rows["content_sha256"].to_list()),
    )
    for space, dimensions, hashes in spaces:
        for start in range(0, len(hashes), 8192):
            part = hashes[start : start + 8192]
            vectors = unit_length(rng.normal(size=(len(part), dimensions)))
            warehouse.write(Append(CREATIVE_EMBEDDINGS, vector_rows(space, part, vectors, _EARLIER)))
    known = {
        "image_status": "measured",
        "measured_at": _EARLIER,
        "image_content_type": "image/jpeg",
        "image_frames": 1,
        **versions,
    }
    kept = rows.select("content_hash", "content_sha256")
    measured = [column for column in CREATIVE_FEATURES.columns if column.name not in (*known, *kept.columns)]
    numbers = {column.name: pl.Series(rng.random(rows.height)) for column in measured}
    filled = kept.with_columns(**{name: pl.lit(value) for name, value in known.items()}, **numbers)
    warehouse.write(Append(CREATIVE_FEATURES, filled))
