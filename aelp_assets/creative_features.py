"""Creative asset: what every text and image is like, measured once.

Here: reading creatives and split tests' arms, calling `resources.creative_measures`, checks, drawing. Not
here: what is new, the formulas (`models.creatives`), what features are for.
"""

import dagster as dg
import polars as pl

from aelp_assets.contact_sheet import ContactSheet
from aelp_assets.metadata import PREVIEW_ROWS, asset_key, check, markdown_table, table_metadata
from aelp_assets.ownership import DATA_FRESHNESS, MARKETING_SCIENCE
from aelp_assets.partitions import WAREHOUSE_POOL
from models.creatives.contents import CREATIVE, image_contents, with_arms_of_tests
from models.policy import TEXTS
from resources.clock import Clock
from resources.code_version import module_hash, used_by
from resources.creative_assets import FOLDER, AssetStore
from resources.creative_images import CreativeImages, images_set_aside
from resources.settings import Environment, Settings
from resources.warehouse.interface import Warehouse
from resources.warehouse.retrying import tried_again_while_locked
from resources.warehouse.tables import CREATIVE_FEATURES, QUARANTINE

_NAME = str(CREATIVE_FEATURES.name)
_CHECKS = {
    "each_pair_once": f"One row per {', '.join(CREATIVE_FEATURES.grain)}.",
    "every_creative_is_measured": "Every creative has a row, and none an image that is missing or set aside.",
}


@dg.asset(
    key=asset_key(_NAME),
    ins={
        "creative_objects": dg.AssetIn(
            key=["gaelp_training", "creative_objects"],
            metadata={"columns": [*CREATIVE, *TEXTS, "content_hash", "content_sha256"]},
        ),
        "int_experiment_arms": dg.AssetIn(key=["intermediate", "int_experiment_arms"]),
    },
    check_specs=[
        dg.AssetCheckSpec(name, asset=asset_key(_NAME), description=said) for name, said in _CHECKS.items()
    ],
    group_name="creatives",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    freshness_policy=DATA_FRESHNESS,
    metadata=table_metadata(_NAME),
    description=CREATIVE_FEATURES.description,
    code_version=module_hash(*used_by(__name__), "resources.creative_measures"),
    pool=WAREHOUSE_POOL,
)
def creative_features(
    context: dg.AssetExecutionContext,
    creative_objects: pl.DataFrame,
    int_experiment_arms: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    warehouse: dg.ResourceParam[Warehouse],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """Features of new texts and images of creatives and of split tests' arms.

    What has a row of the present versions is left alone.
    """
    from resources.creative_measures import FeatureKeeper, lexicons_of  # noqa: PLC0415 - OpenCV

    moment, sheet = clock.now(), ContactSheet()
    shown_anywhere = with_arms_of_tests(creative_objects, int_experiment_arms)
    keeper = FeatureKeeper(warehouse, lexicons_of(settings), moment, context.log.info)
    with tried_again_while_locked():
        warehouse.ensure_tables([CREATIVE_FEATURES, QUARANTINE])
        pairs = keeper.unmeasured(shown_anywhere)
        known = keeper.known_images(pairs)
        aside = images_set_aside(warehouse)
    new = image_contents(pairs).join(known, on="content_sha256", how="anti", maintain_order="left")
    images = CreativeImages(new, aside, AssetStore(environment.home / FOLDER), moment)
    measured = keeper.measure(pairs, known, images, sheet.add)
    if images.changes_quarantine:
        context.log_event(dg.AssetMaterialization(asset_key(str(QUARANTINE.name))))
    states = keeper.states(shown_anywhere)
    return dg.MaterializeResult(
        metadata={
            "preview": markdown_table(keeper.newest(PREVIEW_ROWS)),
            "contact_sheet": sheet.markdown(),
            "new_creatives": measured.pairs,
            "known_creatives": states.height - pairs.height,
            "new_images": measured.images,
            "images_per_second": round(measured.rate, 2),
            "refused_images": dict(images.unshown.refused),
            "missing_images": images.unshown.missing,
            "dagster/row_count": warehouse.row_counts([CREATIVE_FEATURES.name])[_NAME] or 0,
        },
        check_results=[_once(warehouse), _all_measured(states, images.unshown.first)],
    )


def _once(warehouse: Warehouse) -> dg.AssetCheckResult:
    twice = warehouse.query(
        """
        select count(*) as pairs
        from (
            select 1 as twice
            from gaelp_training.creative_features
            group by content_hash, content_sha256, text_version, image_version
            having count(*) > 1
        ) as repeated
        """
    )["pairs"][0]
    return check(
        "each_pair_once", twice == 0, f"{twice} pairs have several rows of the same versions.", _NAME
    )


def _all_measured(states: pl.DataFrame, first: str | None) -> dg.AssetCheckResult:
    missing = int(states["image_status"].is_null().sum())
    refused = int((states["image_status"] == "refused").sum())
    return check(
        "every_creative_is_measured",
        missing + refused == 0,
        f"Of {states.height} contents of creatives {missing} wait for their image's file, and {refused} have "
        f"an image that stands in ops.quarantine with its reason. {first or ''}".strip(),
        _NAME,
        metadata={"by_status": markdown_table(states.group_by("image_status").len().sort("image_status"))},
        severity=dg.AssetCheckSeverity.WARN,
    )
