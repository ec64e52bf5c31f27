"""Scores of creatives that somebody handed over in a folder, before any of them runs.

Here: the rankers that may score now, the folder's creatives read as the account's own are, a table. Not here:
what a folder holds (`resources.creative_folder`), the mathematics (`models.ranking`).

Creatives are read by the keepers of the assets in a warehouse that is thrown away: the same code gives the
same numbers, and the account's own warehouse learns nothing of somebody's drafts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table as Grid

from aelp_assets.ranker_models import reading_of
from models.creatives.contents import CREATIVE, image_contents, joined_text, text_contents
from models.ranking.blocks import Vectors, creative_blocks
from models.ranking.candidates import IMAGE, TRAITS
from models.ranking.kernels import Values
from models.ranking.placements import PLACE, rated
from models.ranking.storage import RankerModel, Reading
from resources.creative_assets import FOLDER, AssetStore
from resources.creative_folder import CreativeFolder, SetAside, read_creative_folder
from resources.creative_images import CreativeImages, images_set_aside
from resources.creative_measures import FeatureKeeper, lexicons_of, present_versions, read_features
from resources.creative_vectors import VectorKeeper, VectorSpace, read_vectors, space_of
from resources.ranker_models import load_ranker
from resources.settings import Environment, Settings
from resources.warehouse import open_warehouse
from resources.warehouse.interface import Warehouse
from resources.warehouse.tables import (
    CREATIVE_EMBEDDINGS,
    CREATIVE_FEATURES,
    QUARANTINE,
    RANKER_EVALUATIONS,
    RANKER_MODELS,
)

_RATES = ("ctr", "cvr")
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
SCORES = pl.Schema(
    {
        **dict.fromkeys((*PLACE, "creative"), pl.String()),
        **dict.fromkeys(("ctr_score", "ctr_lower_bound", "p_above_placement", "cvr_score"), pl.Float64()),
    }
)


@dataclass(frozen=True)
class Judges:
    """Who may score now.

    Attributes:
        as_of: the morning of their evaluation.
        models: by rate.
        reasons: why a rate has none.
    """

    as_of: date
    models: Mapping[str, RankerModel]
    reasons: Mapping[str, str]

    @property
    def levels(self) -> pl.DataFrame:
        """What the account's placements are known by: of CTR's ranker, else of CVR's."""
        return next(self.models[rate].levels for rate in _RATES if rate in self.models)


@dataclass(frozen=True)
class FolderScores:
    """SCORES of a folder's creatives, and what of it was set aside."""

    scores: pl.DataFrame
    set_aside: tuple[SetAside, ...]


def creative_spaces(settings: Settings) -> tuple[VectorSpace, VectorSpace]:
    """The spaces of texts and of images that the settings name."""
    chosen = settings.creatives
    return space_of("text", chosen.text_embedder), space_of("image", chosen.image_embedder)


def newest_judges(warehouse: Warehouse, artifacts: Path, settings: Settings) -> Judges:
    """The rankers of the newest evaluation; one that was let score before and is refused now scores nothing.

    Raises:
        LookupError: nothing may score, with the reasons.
        RankerFileError: a ranker that may score cannot be used.
    """
    counts = warehouse.row_counts([RANKER_EVALUATIONS.name, RANKER_MODELS.name])
    if not counts[str(RANKER_EVALUATIONS.name)]:
        raise LookupError(
            "Nobody may score yet: no ranker was judged. Run the job rank_creatives, or `aelp demo`."
        )
    champions = warehouse.read(RANKER_EVALUATIONS.name).filter("is_champion")
    as_of = champions["as_of_date"].max()
    assert isinstance(as_of, date)
    files = pl.DataFrame(schema=RANKER_MODELS.polars_schema)
    if counts[str(RANKER_MODELS.name)]:
        files = warehouse.read(RANKER_MODELS.name)
    found = {row["rate"]: row for row in files.filter(as_of_date=as_of).iter_rows(named=True)}
    reading = reading_now(settings)
    models, reasons = {}, {}
    for row in champions.filter(as_of_date=as_of).sort("rate").iter_rows(named=True):
        rate = row["rate"]
        if not row["may_score"]:
            reasons[rate] = row["reasons"]
        elif rate not in found:
            reasons[rate] = "Its ranker was not kept in a file: run the job rank_creatives again."
        else:
            models[rate] = load_ranker(artifacts, found[rate]["artifact"], found[rate]["sha256"], reading)
    if not models:
        told = " ".join(f"{rate}: {reason}" for rate, reason in sorted(reasons.items()))
        raise LookupError(f"Nobody may score as of {as_of}. {told}")
    return Judges(as_of, models, reasons)


def reading_now(settings: Settings) -> Reading:
    """How creatives are read by the present settings and code."""
    return reading_of(*creative_spaces(settings), present_versions(lexicons_of(settings)))


def chosen_levels(judges: Judges, track: str | None, placement: str | None) -> pl.DataFrame:
    """The placements asked for, those with most traffic first.

    Raises:
        LookupError: none is known by these names; names those that are.
    """
    chosen = judges.levels.sort("trials", *PLACE, descending=[True, False, False, False])
    for name, wanted in (("track", track), ("placement", placement)):
        known = sorted(set(chosen[name]))
        if wanted is not None and wanted not in known:
            of_track = "" if name == "track" or track is None else f" of {track}"
            raise LookupError(
                f"{wanted}: no {name}{of_track} with enough delivered ads; {', '.join(known)} have."
            )
        if wanted is not None:
            chosen = chosen.filter(pl.col(name) == wanted)
    return chosen


def busiest(levels: pl.DataFrame, placement: str | None) -> pl.DataFrame:
    """Of each track its placement with most traffic, where none was named: a ranking is the same on all."""
    return levels if placement is not None else levels.unique("track", keep="first", maintain_order=True)


def score_folder(
    folder: Path,
    judges: Judges,
    levels: pl.DataFrame,
    environment: Environment,
    settings: Settings,
    scratch: Path,
    moment: datetime,
    say: Callable[[str], None],
) -> FolderScores:
    """What each creative of a folder may be expected to do on each of the placements.

    Args:
        scratch: an empty folder, thrown away afterwards.
        moment: noted with what is written there.
        say: told of progress.
    Raises:
        FolderError: as `read_creative_folder`.
    """
    elsewhere = environment.model_copy(update={"home": scratch, "warehouse": "duckdb", "dataset_prefix": ""})
    store = AssetStore(scratch / FOLDER)
    found = read_creative_folder(folder, store)
    wanted = {name for model in judges.models.values() for name in model.widths}
    say(f"{found.creatives.height:,} creatives to read, {len(found.set_aside):,} files set aside")
    if found.creatives.is_empty():
        return FolderScores(pl.DataFrame(schema=SCORES), found.set_aside)
    read = _read(found, wanted, open_warehouse(elsewhere), store, settings, moment, say)
    blocks = creative_blocks(read.creatives, *read.vectors, read.features)
    names = read.creatives.select(creative="creative_id").with_row_index("number").cast({"number": pl.Int64})
    asked = levels.select(PLACE).join(names, how="cross").rename({"creative": "name", "number": "creative"})
    scores = asked.select(*PLACE, creative="name").with_columns(
        **{name: pl.lit(None, pl.Float64) for name in list(SCORES)[4:]}
    )
    for rate, model in judges.models.items():
        scored = model.ranker.scores(_as_learnt(model, blocks, names.height))
        said = rated(
            asked, scored, model.levels, model.bound, screening_impressions=model.screening_impressions
        )
        told = {"ctr_score": "score", "ctr_lower_bound": "lower_bound", "p_above_placement": "p_above"}
        shown = told if rate == "ctr" else {"cvr_score": "score"}
        scores = scores.with_columns(**{name: pl.Series(said[key]) for name, key in shown.items()})
    ordered = scores.with_columns(pl.selectors.float().fill_nan(None)).sort(
        *PLACE, "ctr_score", "cvr_score", "creative", descending=[False] * 3 + [True, True, False]
    )
    return FolderScores(ordered.cast(SCORES), (*found.set_aside, *read.set_aside))


@dataclass(frozen=True)
class _Read:
    """Creatives with their vectors and measures."""

    creatives: pl.DataFrame
    vectors: tuple[Vectors, Vectors]
    features: pl.DataFrame
    set_aside: tuple[SetAside, ...]


def _read(
    found: CreativeFolder,
    wanted: set[str],
    warehouse: Warehouse,
    store: AssetStore,
    settings: Settings,
    moment: datetime,
    say: Callable[[str], None],
) -> _Read:
    """The folder's creatives as the assets read an account's; what no ranker asks for is not made."""
    warehouse.ensure_tables([CREATIVE_EMBEDDINGS, CREATIVE_FEATURES, QUARANTINE])
    text, image = creative_spaces(settings)
    lexicons = lexicons_of(settings)
    vectors = VectorKeeper(warehouse, settings.creatives.threads, moment, say)
    measures = FeatureKeeper(warehouse, lexicons, moment, say)
    creatives, nothing = found.creatives, images_set_aside(warehouse)
    vectors.read_texts(text_contents(creatives.select(joined_text()).to_series()), text)
    if IMAGE in wanted:
        images = CreativeImages(image_contents(creatives), nothing, store, moment)
        vectors.read_images(images, image, 0, lambda *_: None)
    if TRAITS in wanted:
        pairs = measures.unmeasured(creatives)
        known = measures.known_images(pairs)
        images = CreativeImages(image_contents(pairs), images_set_aside(warehouse), store, moment)
        measures.measure(pairs, known, images, lambda *_: None)
    aside = warehouse.read(QUARANTINE.name).select(content_sha256="file_hash", reason="reason")
    refused = creatives.join(aside.unique("content_sha256"), on="content_sha256")
    return _Read(
        creatives.join(refused, on=CREATIVE, how="anti").sort("creative_id"),
        (Vectors(*read_vectors(warehouse, text)), Vectors(*read_vectors(warehouse, image))),
        read_features(warehouse, lexicons),
        tuple(SetAside(row["creative_id"], row["reason"]) for row in refused.iter_rows(named=True)),
    )


def _as_learnt(model: RankerModel, blocks: Mapping[str, Values], creatives: int) -> dict[str, Values]:
    """The blocks that a ranker learnt from; of what no creative has, all is missing."""
    return {
        name: blocks.get(name, np.full((creatives, width), np.nan)) for name, width in model.widths.items()
    }


def scores_csv(found: FolderScores) -> bytes:
    """All scores, a row per placement and creative; a name that a spreadsheet would compute is quoted."""
    begins = pl.any_horizontal(pl.col("creative").str.starts_with(sign) for sign in _FORMULAS)
    quoted = pl.when(begins).then("'" + pl.col("creative")).otherwise("creative")
    return found.scores.with_columns(creative=quoted).write_csv().encode()


def print_scores(console: Console, found: FolderScores, judges: Judges, levels: pl.DataFrame) -> None:
    """The placements' creatives, the best first, who scored them, and what was set aside.

    Args:
        levels: the placements to show.
    """
    for rate, model in judges.models.items():
        console.print(
            f"{rate.upper()} by the {model.candidate} ranker of {model.as_of_date}: learnt from "
            f"{model.creatives:,} creatives to {model.learnt_through}"
        )
    for rate, reason in judges.reasons.items():
        console.print(f"No {rate.upper()}: {reason}")
    for place in [] if found.scores.is_empty() else levels.iter_rows(named=True):
        rate = place["successes"] / place["trials"]
        console.print(
            f"\n{place['track']} · {place['platform']} · {place['placement']}: its ads "
            f"{'click' if 'ctr' in judges.models else 'convert'} {rate:.2%} of {place['trials']:,.0f}"
        )
        at = [pl.col(name) == place[name] for name in PLACE]
        console.print(_grid(found.scores.filter(at)))
    others = found.scores.select(PLACE).unique().height - levels.height
    if others > 0:
        console.print(f"\nOn {others} more in the same order: --placement or --csv shows them.")
    if found.set_aside:
        console.print(f"\n{len(found.set_aside)} set aside, not scored:")
    for one in found.set_aside:
        console.print(f"  {one.name}: {one.reason}", soft_wrap=True)


def _grid(scores: pl.DataFrame) -> Grid:
    grid = Grid(box=None, header_style="dim")
    for name in ("creative", "CTR", "9 in 10 above", "P(above average)", "CVR"):
        grid.add_column(name, justify="left" if name == "creative" else "right", overflow="fold")
    for row in scores.iter_rows(named=True):
        grid.add_row(
            row["creative"],
            *(_percent(row[name], 2) for name in ("ctr_score", "ctr_lower_bound")),
            _percent(row["p_above_placement"], 0),
            _percent(row["cvr_score"], 2),
        )
    return grid


def _percent(share: float | None, digits: int) -> str:
    return "–" if share is None else f"{share:.{digits}%}"
