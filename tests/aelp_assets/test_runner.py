"""A morning goes on where what fails decides nothing: real readers of creatives between jobs stood in."""

from __future__ import annotations

from datetime import UTC, date, datetime

import dagster as dg
import polars as pl
import pytest

from aelp_assets.creative_embeddings import creative_embeddings
from aelp_assets.creative_features import creative_features
from aelp_assets.runner import Morning, MorningFailed, run_morning
from resources.clock import FixedClock
from resources.warehouse.interface import Append
from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import columns
from tests.aelp_assets.creative_examples import Studio

TODAY = date(2026, 7, 1)
NINE = FixedClock(datetime(2026, 7, 1, 13, tzinfo=UTC))


def table(name: str, **row: str | date) -> tuple[Table, pl.DataFrame]:
    """A mart as dbt leaves it, with one row."""
    kinds = [(column, "DATE" if isinstance(value, date) else "STRING", "") for column, value in row.items()]
    return Table(TableName.parse(name), "A mart.", columns(*kinds), tuple(row)), pl.DataFrame([row])


CAMPAIGN = {"platform": "meta", "account_id": "1", "campaign_id": "c1"}
MARTS = (
    table("gaelp_training.creative_objects", creative_id="c1"),
    table("intermediate.int_campaign_tracks", **CAMPAIGN, track="security"),
    table("gaelp_training.ads_campaign_daily", **CAMPAIGN, date=date(2026, 6, 30)),
)


class Account:
    """A home whose marts are built; `run` is its morning."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.said: list[str] = []
        studio.warehouse.ensure_tables([mart for mart, _ in MARTS])
        studio.warehouse.write(*(Append(mart, rows) for mart, rows in MARTS))

    def run(self, decide_fails: str | None = None) -> Morning:
        studio = self.studio

        class Creatives(dg.IOManager):
            def load_input(self, context: dg.InputContext) -> pl.DataFrame:
                is_arms = context.asset_key.path[-1] == "int_experiment_arms"
                return studio.shown() if is_arms else studio.objects()

            def handle_output(self, context: dg.OutputContext, obj: object) -> None:
                raise AssertionError("nothing here is written")

        @dg.asset(key=["gaelp_training", "slates"], partitions_def=dg.DailyPartitionsDefinition("2026-06-01"))
        def slates() -> dg.MaterializeResult:
            if decide_fails:
                raise RuntimeError(decide_fails)
            return dg.MaterializeResult()

        @dg.asset
        def landed() -> dg.MaterializeResult:
            return dg.MaterializeResult()

        definitions = dg.Definitions(
            assets=[
                dg.AssetSpec(["gaelp_training", "creative_objects"]),
                dg.AssetSpec(["intermediate", "int_experiment_arms"]),
                *(creative_embeddings, creative_features, slates, landed),
            ],
            jobs=[
                dg.define_asset_job("land_files", dg.AssetSelection.assets(landed)),
                dg.define_asset_job("read_creatives", dg.AssetSelection.groups("creatives")),
                dg.define_asset_job("decide", dg.AssetSelection.assets(slates)),
            ],
            resources={
                "settings": studio.settings,
                "environment": studio.environment,
                "warehouse": studio.warehouse,
                "clock": NINE,
                "io_manager": Creatives(),
            },
        )
        with dg.DagsterInstance.ephemeral() as instance:
            return run_morning(
                definitions, instance, studio.warehouse, studio.settings, NINE, self.said.append
            )


@pytest.fixture
def account(tmp_environment, monkeypatch) -> Account:
    monkeypatch.setenv("AELP_HOME", str(tmp_environment.home))
    studio = Studio(tmp_environment)
    studio.settings = studio.settings.model_copy(update={"as_of": "wall"})
    return Account(studio)


def test_a_morning_decides_though_the_network_of_creatives_cannot_be_opened(account, tmp_path):
    account.studio.choose(text_embedder=f"path:{tmp_path / 'gone'}")
    morning = account.run()
    assert morning.decided == [TODAY]
    (failure,) = [line for line in account.said if "failed" in line]
    assert failure.startswith("read_creatives failed at gaelp_training__creative_embeddings")
    assert str(tmp_path / "gone") in failure
    assert account.said.index(failure) < account.said.index(f"Deciding the morning of {TODAY}")
    measured = account.studio.rows("gaelp_training.creative_features")
    assert measured.height == 3, "what needs no network of texts goes on: each pair once"


def test_weights_that_are_broken_cost_no_decision(account, tmp_path):
    broken = tmp_path / "checkpoint"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    (broken / "model.safetensors").write_bytes(b"cut off")
    account.studio.choose(text_embedder=f"path:{broken}")
    morning = account.run()
    assert morning.decided == [TODAY]
    assert any(line.startswith("read_creatives failed at") for line in account.said)


def test_where_creatives_are_read_nothing_is_said_of_failure(account):
    assert account.run().decided == [TODAY]
    assert not any("failed" in line for line in account.said)
    assert account.studio.rows("gaelp_training.creative_embeddings").height == 2


def test_a_morning_that_cannot_decide_fails(account):
    with pytest.raises(MorningFailed, match=r"decide failed at gaelp_training__slates.* no budget"):
        account.run(decide_fails="no budget")
