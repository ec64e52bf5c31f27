"""A few creatives and their images, and runs of the assets that read them, on a real warehouse.

Here: what several tests of creatives' assets need. Not here: what they expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from resources import creative_images
from resources.clock import FixedClock
from resources.creative_assets import FOLDER, AssetStore
from resources.creative_media.images import DecodedImage
from resources.creative_media.refusals import Reason, Refused
from resources.settings import PROJECT_ROOT, Environment, Settings, load_settings
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Warehouse
from resources.warehouse.schema import TableName
from tests.resources.creative_media.media import picture, saved

MOMENT = datetime(2026, 6, 30, 13, tzinfo=UTC)
ARM_COLUMNS = (
    *("platform", "account_id", "test_id", "arm", "creative_id", "headline", "body", "call_to_action"),
    *("description", "image_id", "content_hash", "content_sha256"),
)
COLUMNS = ("platform", "account_id", "creative_id", "headline", "body", "call_to_action", "content_hash")
CREATIVES = {
    "c1": {
        "headline": "Sleep well tonight",
        "body": "A course of six weeks.",
        "call_to_action": "LEARN_MORE",
    },
    "c2": {"headline": "What would you change first?", "body": None, "call_to_action": " "},
    "c3": {
        "headline": "Sleep well tonight",
        "body": "A course of six weeks.",
        "call_to_action": "LEARN_MORE",
    },
    "c4": {"headline": None, "body": None, "call_to_action": None},
}


@dataclass
class Studio:
    """A home with creatives in it; `read` materialises one asset over them."""

    environment: Environment
    creatives: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {name: dict(values) for name, values in CREATIVES.items()}
    )
    arms: list[dict[str, Any]] = field(default_factory=list)
    """Rows of int_experiment_arms."""
    settings: Settings = field(default_factory=lambda: load_settings(PROJECT_ROOT / "aelp.yaml"))

    @property
    def warehouse(self) -> Warehouse:
        return open_warehouse(self.environment)

    @property
    def store(self) -> AssetStore:
        return AssetStore(self.environment.home / FOLDER)

    def show(self, creative: str, content: bytes, extension: str = "png") -> str:
        """A creative gets an image of these bytes; returns their hash."""
        sha256 = self.store.put(content, extension)
        self.creatives[creative]["content_sha256"] = sha256
        return sha256

    def film(self, creative: str, content: bytes) -> str:
        """A creative gets a video of these bytes; returns their hash."""
        sha256 = self.store.put(content, "mp4")
        self.creatives[creative]["video_sha256"] = sha256
        return sha256

    def choose(self, **values: Any) -> None:
        """Other settings of the section `creatives`."""
        section = self.settings.creatives.model_copy(update=values)
        self.settings = self.settings.model_copy(update={"creatives": section})

    def objects(self) -> pl.DataFrame:
        rows = [
            {
                "platform": "meta",
                "account_id": "1",
                "creative_id": name,
                "content_hash": str(hash(tuple(values.items()))),
                "content_sha256": None,
                "video_sha256": None,
                **values,
            }
            for name, values in self.creatives.items()
        ]
        return pl.DataFrame(
            rows, schema=dict.fromkeys((*COLUMNS, "content_sha256", "video_sha256"), pl.String)
        )

    def shown(self) -> pl.DataFrame:
        """Rows of int_experiment_arms."""
        return pl.DataFrame(self.arms, schema=dict.fromkeys(ARM_COLUMNS, pl.String))

    def read(self, asset: dg.AssetsDefinition) -> Outcome:
        @dg.asset(key=["gaelp_training", "creative_objects"], io_manager_key="memory")
        def creative_objects():
            return self.objects()

        @dg.asset(key=["intermediate", "int_experiment_arms"], io_manager_key="memory")
        def int_experiment_arms():
            return self.shown()

        with dg.DagsterInstance.ephemeral() as instance:
            ran = dg.materialize(
                [creative_objects, int_experiment_arms, asset],
                instance=instance,
                resources={
                    "settings": self.settings,
                    "environment": self.environment,
                    "warehouse": self.warehouse,
                    "clock": FixedClock(MOMENT),
                    "memory": dg.mem_io_manager,
                },
            )
        (made,) = ran.asset_materializations_for_node(asset.node_def.name)[-1:]
        checks = {one.check_name: one for one in ran.get_asset_check_evaluations()}
        return Outcome({name: one.value for name, one in made.metadata.items()}, checks)

    def rows(self, table: str) -> pl.DataFrame:
        found = self.warehouse.read(TableName.parse(table))
        return found.sort(found.columns)


@dataclass(frozen=True)
class Outcome:
    """What a run said."""

    metadata: Mapping[str, Any]
    checks: Mapping[str, dg.AssetCheckEvaluation]

    @property
    def failed(self) -> set[str]:
        return {name for name, one in self.checks.items() if not one.passed}


def photograph(seed: int = 1) -> bytes:
    """A whole PNG."""
    return saved(picture(120, 90, seed=seed), "PNG")


def worse_reader(monkeypatch: pytest.MonkeyPatch, refused: bytes) -> None:
    """An earlier Pillow, which could not read some image."""
    honest = creative_images.decode_image

    def decode(path: Path) -> DecodedImage | Refused:
        if path.read_bytes() == refused:
            return Refused(Reason.BROKEN, "The image is cut off or corrupt (unknown chunk).")
        return honest(path)

    monkeypatch.setattr(creative_images, "decode_image", decode)
    monkeypatch.setattr(creative_images, "version", lambda package: "1.0")
