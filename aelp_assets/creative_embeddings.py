"""Creative asset: a vector of every text and image, made once.

Here: reading creatives and split tests' arms, calling `resources.creative_vectors`, checks, drawing. Not
here: what is new, the networks (`resources.embedders`), what vectors are for.
"""

from collections.abc import Iterable

import dagster as dg
import numpy as np
import polars as pl

from aelp_assets.contact_sheet import ContactSheet
from aelp_assets.metadata import asset_key, check, markdown_table, table_metadata
from aelp_assets.ownership import DATA_FRESHNESS, MARKETING_SCIENCE
from aelp_assets.partitions import WAREHOUSE_POOL
from models.creatives.contents import (
    CREATIVE,
    image_contents,
    joined_text,
    text_contents,
    with_arms_of_tests,
)
from models.policy import TEXTS
from resources.clock import Clock
from resources.code_version import module_hash, used_by
from resources.creative_assets import FOLDER, AssetStore
from resources.creative_images import CreativeImages, Unshown, images_set_aside
from resources.creative_vectors import VectorKeeper, read_vectors, space_of
from resources.settings import Environment, Settings
from resources.warehouse.interface import Warehouse
from resources.warehouse.retrying import tried_again_while_locked
from resources.warehouse.tables import CREATIVE_EMBEDDINGS, QUARANTINE

_NAME = str(CREATIVE_EMBEDDINGS.name)
_TOLERANCE = 1e-5  # of a length, float32
_CHECKS = {
    "each_content_once": f"One row per {', '.join(CREATIVE_EMBEDDINGS.grain)}.",
    "vectors_have_length_one": "Those just written, read back.",
    "vectors_do_not_mix": "An embedder has one set of weights, and those one number of dimensions.",
    "every_image_is_shown": "No image of a creative is missing or set aside.",
}


@dg.asset(
    key=asset_key(_NAME),
    ins={
        "creative_objects": dg.AssetIn(
            key=["gaelp_training", "creative_objects"],
            metadata={"columns": [*CREATIVE, *TEXTS, "content_sha256"]},
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
    description=CREATIVE_EMBEDDINGS.description,
    code_version=module_hash(*used_by(__name__), "resources.creative_vectors"),
    pool=WAREHOUSE_POOL,
)
def creative_embeddings(
    context: dg.AssetExecutionContext,
    creative_objects: pl.DataFrame,
    int_experiment_arms: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    warehouse: dg.ResourceParam[Warehouse],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """Vectors of new texts and images of creatives and of split tests' arms; what has one is left alone."""
    shown_anywhere = with_arms_of_tests(creative_objects, int_experiment_arms)
    moment, sheet = clock.now(), ContactSheet()
    of_text = space_of("text", settings.creatives.text_embedder)
    of_image = space_of("image", settings.creatives.image_embedder)
    keeper = VectorKeeper(warehouse, settings.creatives.threads, moment, context.log.info)
    with tried_again_while_locked():
        warehouse.ensure_tables([CREATIVE_EMBEDDINGS, QUARANTINE])
        shown = image_contents(shown_anywhere)
        new = keeper.without_vector(shown, of_image)
        images = CreativeImages(
            new, images_set_aside(warehouse), AssetStore(environment.home / FOLDER), moment
        )
    texts = text_contents(shown_anywhere.select(joined_text()).to_series())
    readings = {
        "texts": keeper.read_texts(texts, of_text),
        "images": keeper.read_images(images, of_image, shown.height - new.height, sheet.add),
    }
    if images.changes_quarantine:
        context.log_event(dg.AssetMaterialization(asset_key(str(QUARANTINE.name))))
    spaces = _stored(warehouse)
    return dg.MaterializeResult(
        metadata={
            "preview": markdown_table(spaces),
            "contact_sheet": sheet.markdown(),
            **{f"new_{name}": reading.new for name, reading in readings.items()},
            **{f"known_{name}": reading.known for name, reading in readings.items()},
            **{f"{name}_per_second": round(reading.rate, 1) for name, reading in readings.items()},
            "refused_images": dict(images.unshown.refused),
            "missing_images": images.unshown.missing,
            "images_set_aside_before": images.unshown.aside,
            "dagster/row_count": int(spaces["vectors"].sum()),
        },
        check_results=[
            *_stored_checks(spaces),
            _length_check(read_vectors(warehouse, space, moment)[1] for space in (of_text, of_image)),
            _shown_check(images.unshown, shown.height),
        ],
    )


def _stored(warehouse: Warehouse) -> pl.DataFrame:
    """What the table holds: a row per modality, embedder, weights and number of dimensions."""
    return warehouse.query(
        """
        select
            modality,
            embedder,
            weights_sha256,
            dimensions,
            count(*) as vectors,
            count(distinct content_sha256) as contents
        from gaelp_training.creative_embeddings
        group by modality, embedder, weights_sha256, dimensions
        order by modality, embedder, weights_sha256, dimensions
        """
    )


def _stored_checks(spaces: pl.DataFrame) -> Iterable[dg.AssetCheckResult]:
    twice = int((spaces["vectors"] - spaces["contents"]).sum())
    yield check("each_content_once", twice == 0, f"{twice} contents have a vector more than once.", _NAME)
    mixed = spaces.filter(spaces.select("modality", "embedder").is_duplicated())
    torn = spaces.select("modality", "embedder", "weights_sha256").is_duplicated().any()
    yield check(
        "vectors_do_not_mix",
        mixed.is_empty(),
        "Vectors of one number of dimensions stand beside others of the same weights: delete them."
        if torn
        else "An embedder's weights have changed. Vectors of the earlier ones are kept, and never read "
        "together with the new ones; delete them when nobody needs them.",
        _NAME,
        metadata={"embedders": markdown_table(mixed)},
        severity=dg.AssetCheckSeverity.ERROR if torn else dg.AssetCheckSeverity.WARN,
    )


def _length_check(written: Iterable[np.ndarray]) -> dg.AssetCheckResult:
    off = sum(int((abs(np.linalg.norm(vectors, axis=1) - 1) > _TOLERANCE).sum()) for vectors in written)
    return check("vectors_have_length_one", off == 0, f"{off} vectors have another length than 1.", _NAME)


def _shown_check(unshown: Unshown, images: int) -> dg.AssetCheckResult:
    share = unshown.count / images if images else 0.0
    return check(
        "every_image_is_shown",
        unshown.count == 0,
        f"{unshown.count} of {images} images ({share:.1%}) have no vector: {unshown.missing} files are "
        f"missing, the others stand in ops.quarantine, each with its reason. {unshown.first or ''}".strip(),
        _NAME,
        metadata={"unread_share": share},
        severity=dg.AssetCheckSeverity.WARN,
    )
