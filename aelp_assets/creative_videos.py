"""Creative asset: what every video is like, and a vector of its key frames, made once.

Here: reading creatives, calling `resources.creative_videos`, checks, drawing. Not here: what is new, the
formulas (`models.creatives`), what features are for.
"""

import dagster as dg
import polars as pl

from aelp_assets.contact_sheet import ContactSheet
from aelp_assets.metadata import PREVIEW_ROWS, asset_key, check, markdown_table, table_metadata
from aelp_assets.ownership import DATA_FRESHNESS, MARKETING_SCIENCE
from aelp_assets.partitions import WAREHOUSE_POOL
from models.creatives.contents import CREATIVE
from resources.clock import Clock
from resources.code_version import module_hash, used_by
from resources.creative_assets import FOLDER, AssetStore
from resources.creative_images import CreativeVideos, images_set_aside
from resources.dropped_videos import DROP_FOLDER, take_in
from resources.settings import Environment, Settings
from resources.warehouse.interface import Warehouse
from resources.warehouse.retrying import tried_again_while_locked
from resources.warehouse.tables import CREATIVE_EMBEDDINGS, CREATIVE_VIDEO_FEATURES, QUARANTINE

_NAME = str(CREATIVE_VIDEO_FEATURES.name)
_SHOWN = [
    *("creative_id", "origin", "video_status", "video_duration_seconds", "video_aspect_ratio"),
    *("video_hook_cuts", "video_hook_motion", "video_hook_has_text", "video_hook_has_face", "video_notes"),
]
_CHECKS = {
    "each_creative_and_video_once": f"One row per {', '.join(CREATIVE_VIDEO_FEATURES.grain)}.",
    "every_video_is_shown": "No video of a creative is missing, set aside or left in its folder.",
}


@dg.asset(
    key=asset_key(_NAME),
    ins={
        "creative_objects": dg.AssetIn(
            key=["gaelp_training", "creative_objects"], metadata={"columns": [*CREATIVE, "video_sha256"]}
        )
    },
    check_specs=[
        dg.AssetCheckSpec(name, asset=asset_key(_NAME), description=said) for name, said in _CHECKS.items()
    ],
    group_name="creatives",
    kinds={"polars"},
    owners=MARKETING_SCIENCE,
    freshness_policy=DATA_FRESHNESS,
    metadata=table_metadata(_NAME),
    description=CREATIVE_VIDEO_FEATURES.description,
    code_version=module_hash(
        *used_by(__name__),
        "resources.creative_videos",
        "resources.dropped_videos",
    ),
    pool=WAREHOUSE_POOL,
)
def creative_video_features(
    context: dg.AssetExecutionContext,
    creative_objects: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
    environment: dg.ResourceParam[Environment],
    warehouse: dg.ResourceParam[Warehouse],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult:
    """Features and vectors of new videos, of platforms and of the folder; what is known is left alone."""
    from resources.creative_videos import VideoKeeper  # noqa: PLC0415 - OpenCV

    moment, sheet, store = clock.now(), ContactSheet(), AssetStore(environment.home / FOLDER)
    dropped = take_in(environment.home / DROP_FOLDER, store, moment.date())
    videos = videos_of(creative_objects, dropped.videos)
    keeper = VideoKeeper(
        warehouse, settings.creatives.image_embedder, settings.creatives.threads, moment, context.log.info
    )
    with tried_again_while_locked():
        warehouse.ensure_tables([CREATIVE_VIDEO_FEATURES, CREATIVE_EMBEDDINGS, QUARANTINE])
        known = keeper.states(videos)["video_status"].count()
        new, aside = keeper.unwatched(videos), images_set_aside(warehouse)
    files = CreativeVideos(new, aside, store, moment)
    watched = keeper.watch(videos, files, sheet.add)
    if files.changes_quarantine:
        context.log_event(dg.AssetMaterialization(asset_key(str(QUARANTINE.name))))
    rows = keeper.rows(videos)
    return dg.MaterializeResult(
        metadata={
            "preview": markdown_table(rows.tail(PREVIEW_ROWS), columns=_SHOWN),
            "contact_sheet": sheet.markdown(),
            "new_creatives": watched.rows,
            "known_creatives": known,
            "new_videos": watched.videos,
            "shown_seconds_per_second": round(watched.shown_seconds / max(watched.seconds, 1e-9), 2),
            "refused_videos": dict(files.unshown.refused),
            "missing_videos": files.unshown.missing,
            "left_in_folder": len(dropped.left),
            "dagster/row_count": warehouse.row_counts([CREATIVE_VIDEO_FEATURES.name])[_NAME] or 0,
        },
        check_results=[
            _once(rows),
            _all_shown(keeper.states(videos), [*dropped.left, files.unshown.first or ""]),
        ],
    )


def videos_of(creative_objects: pl.DataFrame, dropped: pl.DataFrame) -> pl.DataFrame:
    """The video of each creative that has one: a dropped file goes before the platform's own.

    Args:
        creative_objects: platform, account_id, creative_id, video_sha256.
        dropped: platform, account_id, creative_id, content_sha256.
    Returns:
        platform, account_id, creative_id, content_sha256, origin; sorted.
    """
    own = creative_objects.select(*CREATIVE, content_sha256="video_sha256").drop_nulls("content_sha256")
    both = pl.concat(
        [
            dropped.with_columns(origin=pl.lit("folder")),
            own.join(dropped, on=CREATIVE, how="anti").with_columns(origin=pl.lit("platform")),
        ]
    )
    return both.sort(CREATIVE)


def _once(rows: pl.DataFrame) -> dg.AssetCheckResult:
    twice = int(rows.select(*CREATIVE, "content_sha256").is_duplicated().sum())
    return check(
        "each_creative_and_video_once", twice == 0, f"{twice} rows say the same of one video.", _NAME
    )


def _all_shown(states: pl.DataFrame, said: list[str]) -> dg.AssetCheckResult:
    missing = int(states["video_status"].is_null().sum())
    refused = int((states["video_status"] == "refused").sum())
    words = " ".join(filter(None, said))
    return check(
        "every_video_is_shown",
        missing + refused == 0 and not words,
        f"Of {states.height} creatives' videos {missing} wait for their file, and {refused} stand in "
        f"ops.quarantine with their reason. {words}".strip(),
        _NAME,
        metadata={"by_status": markdown_table(states.group_by("origin", "video_status").len().sort("len"))},
        severity=dg.AssetCheckSeverity.WARN,
    )
