"""A creative as a person reads it: its score, what goes with it, and what it and its like delivered.

Here: from scores, blocks and deliveries to rows of cards. Not here: the scores (`ad_scores`), drivers,
look-alikes and slopes themselves (`drivers`, `look_alikes`, `models.creatives.fatigue`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from models.creatives.contents import CREATIVE
from models.creatives.fatigue import creative_fatigue
from models.ranking.candidates import IMAGE, TEXT, TRAITS, WORDS
from models.ranking.drivers import block_parts, blocks_read, leads, trait_associations
from models.ranking.kernels import Values, chosen_rows
from models.ranking.look_alikes import RESULT_COLUMNS, delivered_results, nearest

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
CARD = ("track", *CREATIVE)
LOOK_ALIKES = 5
TRAITS_SHOWN = 5
SUMS = ("impressions", "clicks", "expected_clicks", "matured_clicks", "matured_cost", "conversions")
_SLOPE = ("slope_p10", "slope_p50", "slope_p90", "p_fatigues", "ctr_at_start")
_NOTHING = 1e-9  # log-odds: the trait is the rivals' average
_PLACE = ("track", "platform", "placement")


@dataclass(frozen=True)
class ScoreCards:
    """Rows by CARD.

    Attributes:
        cards: lead, lead_rank, rivals, drivers_tell, SUMS, RESULT_COLUMNS, fatigue_placement, the slope's
            figures, no_fatigue; one row per creative and track that was asked for, sorted.
        drivers: kind, driver, contribution, contribution_low, contribution_high, value, average.
        look_alikes: space, rank, cosine, alike_platform, alike_account_id, alike_creative_id, SUMS and
            RESULT_COLUMNS of the look-alike.
    """

    cards: pl.DataFrame
    drivers: pl.DataFrame
    look_alikes: pl.DataFrame


def score_cards(
    scores: pl.DataFrame,
    creatives: pl.DataFrame,
    values: Mapping[str, Values],
    trait_names: Sequence[str],
    days: pl.DataFrame,
    *,
    champion: str | None,
    matured_through: date,
    generator: np.random.Generator,
) -> ScoreCards:
    """Cards of the creatives that were scored, or asked for a score.

    Args:
        scores: CARD, placement, ctr_score (null where nothing scored).
        creatives: CREATIVE, content_sha256 (of the image); row i is row i of the blocks.
        values: blocks of the creatives.
        trait_names: of the columns of the block of traits.
        days: date, CARD, placement, impressions, clicks, cost, conversions_click.
        champion: candidate that gave the CTR scores; None: nobody.
        matured_through: last day whose conversions have come.
    """
    numbered = creatives.select(*CREATIVE, "content_sha256").with_row_index("row")
    asked = (
        scores.select(CARD)
        .unique()
        .join(numbered, on=CREATIVE)
        .sort(CARD)
        .with_row_index("card")
        .cast({"card": pl.Int64, "row": pl.Int64})
    )
    rows = asked["row"].to_numpy()
    here = {name: chosen_rows(of_block, rows) for name, of_block in values.items()}
    lead = _leads(scores, asked)
    told, drivers = _drivers(lead, asked, here, trait_names, champion, generator)
    results = delivered_results(_sums(days, asked, matured_through))
    standing = asked.select("card", "track", "platform", lead=pl.Series(lead).fill_nan(None)).select(
        "card",
        "lead",
        lead_rank=pl.col("lead").rank("min", descending=True).over("track", "platform").cast(pl.Int64),
        rivals=pl.col("lead").count().over("track", "platform").cast(pl.Int64),
        drivers_tell=pl.lit(told).fill_nan(None),
    )
    cards = (
        asked.join(standing, on="card")
        .join(results, on="card")
        .join(_fatigue(days, asked), on="card", how="left")
        .sort("card")
    )
    return ScoreCards(
        cards.drop("card", "row", "content_sha256"), drivers, _look_alikes(asked, here, results)
    )


def _leads(scores: pl.DataFrame, asked: pl.DataFrame) -> FloatArray:
    of_cards = scores.join(asked.select(*CARD, "card"), on=CARD).sort("card", "placement")
    place = _number(of_cards, _PLACE)
    score = of_cards["ctr_score"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return leads(score, place, of_cards["card"].to_numpy())


def _drivers(
    lead: FloatArray,
    asked: pl.DataFrame,
    here: Mapping[str, Values],
    trait_names: Sequence[str],
    champion: str | None,
    generator: np.random.Generator,
) -> tuple[float, pl.DataFrame]:
    """Share of leads that blocks tell, and rows of drivers."""
    scored = np.flatnonzero(np.isfinite(lead)).astype(np.int64)
    of_scored = {name: chosen_rows(rows, scored) for name, rows in here.items()}
    rivals = asked[scored]
    group = _number(rivals, ("track", "platform"))
    read = tuple(here) if champion is None else blocks_read(champion)
    blocks = block_parts(lead[scored], of_scored, group, read=read, generator=generator)
    tables = [
        pl.DataFrame({"card": rivals["card"], "kind": "block", "driver": name, "contribution": part})
        for name, part in blocks.parts.items()
    ]
    if TRAITS in of_scored and TRAITS in read:
        traits = np.asarray(of_scored[TRAITS], dtype=np.float64)
        # What shares its text shares every trait of it; images likewise.
        for start, cluster in (("text_", _texts(of_scored, rivals)), ("image_", _images(rivals))):
            columns = [place for place, name in enumerate(trait_names) if name.startswith(start)]
            names = [trait_names[place] for place in columns]
            found = trait_associations(lead[scored], traits[:, columns], names, group, cluster)
            tables += [
                pl.DataFrame(
                    {
                        "card": rivals["card"],
                        "kind": "trait",
                        "driver": name,
                        "contribution": found.contribution[:, place],
                        "contribution_low": found.low[:, place],
                        "contribution_high": found.high[:, place],
                        "value": traits[:, columns[names.index(name)]],
                        "average": found.average[:, place],
                    }
                )
                for place, name in enumerate(found.names)
            ]
    empty = pl.DataFrame(
        schema={
            "card": pl.Int64,
            **dict.fromkeys(("kind", "driver"), pl.String),
            **dict.fromkeys(
                ("contribution", "contribution_low", "contribution_high", "value", "average"), pl.Float64
            ),
        }
    )
    largest = pl.col("contribution").abs().rank("ordinal", descending=True).over("card", "kind")
    rows = (
        pl.concat([empty, *tables], how="diagonal")
        .filter(pl.col("contribution").is_finite())
        .filter((pl.col("kind") == "block") | (pl.col("contribution").abs() > _NOTHING))
        .sort("card", "kind", "driver")
        .filter((pl.col("kind") == "block") | (largest <= TRAITS_SHOWN))
    )
    return blocks.told, asked.select("card", *CARD).join(rows, on="card").drop("card")


def _texts(values: Mapping[str, Values], rows: pl.DataFrame) -> IntArray:
    if WORDS not in values:
        return np.arange(rows.height, dtype=np.int64)
    return _number(pl.DataFrame({"text": list(values[WORDS])}, schema={"text": pl.String}), ("text",))


def _images(rows: pl.DataFrame) -> IntArray:
    """Numbers of images; a creative without one stands alone."""
    alone = pl.concat_str(pl.lit("-"), pl.col("card").cast(pl.String))
    return _number(rows.select(image=pl.coalesce("content_sha256", alone)), ("image",))


def _number(frame: pl.DataFrame, columns: Sequence[str]) -> IntArray:
    """Equal rows of the columns by one number, from 0 without gaps."""
    numbers = frame.select(pl.struct(columns).rank("dense")).to_series().to_numpy().astype(np.int64)
    return np.asarray(numbers - 1, dtype=np.int64)


def _sums(days: pl.DataFrame, asked: pl.DataFrame, matured_through: date) -> pl.DataFrame:
    """SUMS by card, 0 where it never ran."""
    mature = pl.col("date").cast(pl.Date) <= matured_through
    counted = days.with_columns(pl.col("impressions", "clicks", "cost", "conversions_click").cast(pl.Float64))
    rate = counted.group_by(_PLACE).agg(rate=pl.col("clicks").sum() / pl.col("impressions").sum())
    sums = (
        counted.join(rate, on=_PLACE)
        .join(asked.select("card", *CARD), on=CARD)
        .group_by("card")
        .agg(
            pl.col("impressions", "clicks").sum(),
            expected_clicks=(pl.col("impressions") * pl.col("rate")).fill_nan(0).sum(),
            matured_clicks=pl.col("clicks").filter(mature).sum(),
            matured_cost=pl.col("cost").filter(mature).sum(),
            conversions=pl.col("conversions_click").filter(mature).sum(),
        )
    )
    whole = ["impressions", "clicks", "matured_clicks"]
    return (
        asked.select("card")
        .join(sums, on="card", how="left", maintain_order="left")
        .with_columns(pl.col(SUMS).fill_null(0))
        .cast(dict.fromkeys(whole, pl.Int64))
    )


def _look_alikes(asked: pl.DataFrame, here: Mapping[str, Values], results: pl.DataFrame) -> pl.DataFrame:
    shown = results.sort("card")["impressions"].to_numpy().astype(np.float64)
    found = []
    for space, content in ((TEXT, _texts(here, asked)), (IMAGE, _images(asked))):
        if space not in here:
            continue
        vectors = np.asarray(here[space])
        for (_,), rows in asked.group_by("track", maintain_order=True):
            cards = rows["card"].to_numpy()
            one, other, cosine = nearest(vectors[cards], content[cards], shown[cards], count=LOOK_ALIKES)
            found.append(
                pl.DataFrame(
                    {"card": cards[one], "alike": cards[other], "cosine": cosine, "space": space},
                    schema={"card": pl.Int64, "alike": pl.Int64, "cosine": pl.Float64, "space": pl.String},
                )
            )
    empty = pl.DataFrame(
        schema={"card": pl.Int64, "alike": pl.Int64, "cosine": pl.Float64, "space": pl.String}
    )
    names = {name: f"alike_{name}" for name in CREATIVE}
    return (
        pl.concat([empty, *found])
        .with_columns(rank=pl.int_range(1, pl.len() + 1).over("space", "card").cast(pl.Int64))
        .join(asked.select("card", *CARD), on="card")
        .join(asked.select(pl.col("card").alias("alike"), *CREATIVE).rename(names), on="alike", how="left")
        .join(results.rename({"card": "alike"}), on="alike", how="left")
        .sort("card", "space", "rank")
        .select(*CARD, "space", "rank", "cosine", *names.values(), *SUMS, *RESULT_COLUMNS)
    )


def _fatigue(days: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """The slope of each card on the placement where it was shown most."""
    daily = (
        days.join(asked.select("card", *CARD), on=CARD)
        .group_by("card", *_PLACE, "date")
        .agg(pl.col("impressions", "clicks").sum().cast(pl.Int64))
        .with_columns(clicks=pl.col("clicks").clip(0, pl.col("impressions")))
    )
    # Creatives are pooled where they are rivals; \x1f stands in no name.
    place = pl.concat_str(_PLACE, separator="\x1f")
    slopes = creative_fatigue(
        daily.select(
            pl.col("card").cast(pl.String).alias("creative_id"),
            place.alias("placement"),
            pl.col("date").cast(pl.Date),
            "impressions",
            "clicks",
        )
    )
    return (
        slopes.with_columns(card=pl.col("creative_id").cast(pl.Int64))
        .sort("card", "impressions", "placement", descending=[False, True, False])
        .unique("card", keep="first", maintain_order=True)
        .select(
            "card",
            *_SLOPE,
            fatigue_placement=pl.col("placement").str.split("\x1f").list.last(),
            no_fatigue="not_enough_data",
        )
    )
