"""A small account whose ads click better for some openings than for others, ranked by the real asset.

Here: what tests of kept rankers need, on a home of its own. Not here: what they expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product

import dagster as dg
import numpy as np
import polars as pl

from aelp_assets.ad_scores import ranking
from aelp_assets.partitions import decision_days
from models.creatives.contents import image_contents, joined_text, text_contents, text_sha256
from resources.creative_assets import FOLDER, AssetStore
from resources.creative_images import CreativeImages, images_set_aside
from resources.creative_measures import FeatureKeeper, lexicons_of
from resources.creative_vectors import VectorKeeper, space_of
from resources.settings import PROJECT_ROOT, Environment, Settings, load_settings
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Warehouse
from resources.warehouse.io_manager import WarehouseIOManager
from resources.warehouse.tables import (
    AB_EXPERIMENTS,
    CREATIVE_EMBEDDINGS,
    CREATIVE_FEATURES,
    QUARANTINE,
    RANKING_TABLES,
)
from tests.aelp_assets.creative_examples import ARM_COLUMNS, photograph

MORNING = date(2026, 7, 1)
MOMENT = datetime(2026, 7, 1, 9, tzinfo=UTC)
GOOD = ("Sleep better with", "Wake up rested thanks to", "No more tired mornings:")
POOR = ("Terms and conditions of", "Quarterly report about", "Invoice number for")
SUBJECTS = (
    *("our weighted blanket", "a herbal tea", "the night light", "a course of six weeks", "silk pillows"),
    *("the breathing coach", "a cooling mattress", "ear plugs of wax", "blackout curtains", "a warm bath"),
    *(
        "the evening walk",
        "lavender oil",
        "an alarm that dims",
        "merino socks",
        "a quiet fan",
        "the sleep diary",
    ),
    *("magnesium drops", "a bedtime story", "the family doctor", "a white noise machine"),
)
LEARN_MORE = "LEARN_MORE"
_CELLS = {
    **dict.fromkeys(("platform", "account_id", "test_id", "arm"), pl.String),
    **{"period_end": pl.Date, "impressions": pl.Int64, "link_clicks": pl.Int64},
}


@dataclass(frozen=True)
class RankedAccount:
    """A home and its settings; `rank` materialises the asset over the account's creatives and days."""

    environment: Environment
    settings: Settings
    creatives: pl.DataFrame
    days: pl.DataFrame

    @property
    def warehouse(self) -> Warehouse:
        return open_warehouse(self.environment)

    def rank(self, days: pl.DataFrame | None = None) -> dg.ExecuteInProcessResult:
        frames = {
            "creative_objects": self.creatives,
            "int_creative_placement_daily": self.days if days is None else days,
            # It runs no split tests.
            "ab_experiments": pl.DataFrame(schema=AB_EXPERIMENTS.polars_schema),
            "int_experiment_cells": pl.DataFrame(schema=_CELLS),
            "int_experiment_arms": pl.DataFrame(schema=dict.fromkeys(ARM_COLUMNS, pl.String)),
        }
        self.warehouse.ensure_tables([*RANKING_TABLES])
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                [
                    dg.AssetSpec(["gaelp_training", "creative_objects"]),
                    dg.AssetSpec(
                        ["intermediate", "int_creative_placement_daily"], partitions_def=decision_days
                    ),
                    dg.AssetSpec(["gaelp_training", "ab_experiments"], partitions_def=decision_days),
                    dg.AssetSpec(["intermediate", "int_experiment_cells"]),
                    dg.AssetSpec(["intermediate", "int_experiment_arms"]),
                    ranking,
                ],
                selection=[ranking],
                partition_key=MORNING.isoformat(),
                instance=instance,
                resources={
                    "settings": self.settings,
                    "environment": self.environment,
                    "warehouse": self.warehouse,
                    "io_manager": _Given(frames, WarehouseIOManager(self.warehouse)),
                },
            )


class _Given(dg.IOManager):
    """Inputs from frames, outputs into the warehouse."""

    def __init__(self, frames: Mapping[str, pl.DataFrame], stored: WarehouseIOManager) -> None:
        self._frames, self._stored = frames, stored

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        self._stored.handle_output(context, obj)

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        return self._frames[context.asset_key.path[-1]]


def ranked_account(environment: Environment, seed: int = 1) -> RankedAccount:
    """Creatives read by the real networks, and their deliveries; nothing is ranked yet."""
    settings = load_settings(PROJECT_ROOT / "aelp.yaml")
    rng = np.random.default_rng(seed)
    store = AssetStore(environment.home / FOLDER)
    written = [f"{opening} {subject}" for opening, subject in product((*GOOD, *POOR), SUBJECTS)]
    order = rng.permutation(len(written))
    headlines = [written[index] for index in order]
    good = [headline.startswith(GOOD) for headline in headlines]
    images = [store.put(photograph(1 + index), "png") if index < 2 else None for index in range(len(written))]
    creatives = pl.DataFrame(
        {
            "platform": "meta",
            "account_id": "1",
            "creative_id": [f"{index:03d}" for index in range(len(written))],
            "headline": headlines,
            "body": None,
            "call_to_action": LEARN_MORE,
            "content_hash": [text_sha256(headline) for headline in headlines],
            "content_sha256": images,
        },
        schema_overrides={"body": pl.String, "content_sha256": pl.String},
    )
    rows = []
    for index, likes in enumerate(good):
        for place, level in (("facebook_feed", 4.0), ("instagram_reels", 4.6)):
            shown = int(rng.poisson(30_000))
            odds = level - (0.5 if likes else -0.5) + rng.normal(0.0, 0.05)
            clicks = int(rng.binomial(shown, 1 / (1 + np.exp(odds))))
            rows.append(
                {
                    "date": MORNING - timedelta(days=118 - index % 100),
                    "platform": "meta",
                    "account_id": "1",
                    "creative_id": f"{index:03d}",
                    "track": "security",
                    "campaign_id": f"c{index % 4}",
                    "placement": place,
                    "impressions": shown,
                    "clicks": clicks,
                    "cost": 1.0,
                    "conversions_click": float(rng.binomial(clicks, 0.04)),
                    "conversions_view": 0.0,
                }
            )
    account = RankedAccount(environment, settings, creatives, pl.DataFrame(rows))
    _read(account, store)
    return account


def _read(account: RankedAccount, store: AssetStore) -> None:
    warehouse, creatives, chosen = account.warehouse, account.creatives, account.settings.creatives
    warehouse.ensure_tables([CREATIVE_EMBEDDINGS, CREATIVE_FEATURES, QUARANTINE])
    keeper = VectorKeeper(warehouse, 1, MOMENT, lambda _: None)
    texts = text_contents(creatives.select(joined_text()).to_series())
    keeper.read_texts(texts, space_of("text", chosen.text_embedder))
    images = CreativeImages(image_contents(creatives), images_set_aside(warehouse), store, MOMENT)
    keeper.read_images(images, space_of("image", chosen.image_embedder), 0, lambda *_: None)
    measures = FeatureKeeper(warehouse, lexicons_of(account.settings), MOMENT, lambda _: None)
    pairs = measures.unmeasured(creatives)
    images = CreativeImages(image_contents(pairs), images_set_aside(warehouse), store, MOMENT)
    measures.measure(pairs, measures.known_images(pairs), images, lambda *_: None)
