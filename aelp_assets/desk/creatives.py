"""What the desk knows of creatives, read without keeping anybody waiting: the list, and one creative's card.

Here: rows of the newest cards with their scores, drivers, look-alikes and days. Not here: routes and pictures
(`creative_pages`), drawings (`creative_drawings`), layout (the templates), the numbers (`score_cards`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

from aelp_assets.desk.creative_drawings import Curve, fatigue_curve
from resources.control.records import Record
from resources.warehouse.interface import Parameter, Warehouse, WarehouseError
from resources.warehouse.schema import TableName

MOST_LISTED = 200
ORDERS = {
    "bound": ("ctr_lower_bound", True),
    "score": ("ctr_score", True),
    "lead": ("lead", True),
    "delivered": ("impressions", True),
    "name": ("creative_name", False),
}
"""What the list can be sorted by: column, and whether the largest come first."""
_NEEDED = ("score_cards", "ad_scores", "ad_score_drivers", "ad_look_alikes", "creative_objects")

_NEWEST = "select max(as_of_date) as as_of_date from gaelp_training.score_cards"
_PLACES = """
select track, placement, count(*) as creatives, count(ctr_score) as scored
from gaelp_training.ad_scores
where as_of_date = $morning
group by track, placement
order by scored desc, creatives desc, sum(delivered_impressions) desc, track, placement
"""
_LISTED = """
select
    cards.*,
    scores.placement,
    scores.ctr_score,
    scores.ctr_lower_bound,
    scores.cvr_score,
    coalesce(creatives.creative_name, cards.creative_id) as creative_name,
    creatives.headline
from gaelp_training.score_cards as cards
inner join gaelp_training.ad_scores as scores
    on cards.as_of_date = scores.as_of_date and cards.track = scores.track
    and cards.platform = scores.platform and cards.account_id = scores.account_id
    and cards.creative_id = scores.creative_id
left join gaelp_training.creative_objects as creatives
    on cards.platform = creatives.platform and cards.account_id = creatives.account_id
    and cards.creative_id = creatives.creative_id
where cards.as_of_date = $morning and cards.track = $track and scores.placement = $placement
"""
_CARDLESS = """
select creatives.platform, creatives.account_id, creatives.creative_id, creatives.creative_name
from gaelp_training.creative_objects as creatives
left join gaelp_training.score_cards as cards
    on cards.as_of_date = $morning and creatives.platform = cards.platform
    and creatives.account_id = cards.account_id and creatives.creative_id = cards.creative_id
where cards.creative_id is null
order by creatives.platform, creatives.account_id, creatives.creative_id
"""
_ONE = "platform = $platform and account_id = $account_id and creative_id = $creative_id"
_OF_CARD = {
    "cards": "select * from gaelp_training.score_cards where as_of_date = $morning and {one} order by track",
    "scores": "select * from gaelp_training.ad_scores where as_of_date = $morning and {one} "
    "order by track, ctr_lower_bound desc nulls last, placement",
    "drivers": "select * from gaelp_training.ad_score_drivers where as_of_date = $morning and {one} "
    "order by track, kind, abs(contribution) desc, driver",
}
_ALIKE = """
select alikes.*, coalesce(creatives.creative_name, alikes.alike_creative_id) as creative_name,
    creatives.headline, creatives.content_sha256
from gaelp_training.ad_look_alikes as alikes
left join gaelp_training.creative_objects as creatives
    on alikes.alike_platform = creatives.platform and alikes.alike_account_id = creatives.account_id
    and alikes.alike_creative_id = creatives.creative_id
where alikes.as_of_date = $morning and alikes.platform = $platform
    and alikes.account_id = $account_id and alikes.creative_id = $creative_id
order by alikes.track, alikes.space, alikes.rank
"""
_DAYS = """
select track, placement, date, sum(impressions) as impressions, sum(clicks) as clicks
from intermediate.int_creative_placement_daily
where {one}
group by track, placement, date
order by track, placement, date
"""
_HISTORY = """
select * from gaelp_training.creative_history where {one} order by track, impressions desc, placement
"""
_REVIEW = """
select * from gaelp_training.policy_reviews where {one} order by as_of_date desc, track limit 1
"""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class CreativeList:
    """The creatives of one track on one placement.

    Attributes:
        morning: of the cards; None: there are none yet.
        rows: cards with their score there, at most MOST_LISTED of `count`.
        places: track, placement, how many creatives are scored on each.
        cardless: creatives without a card.
        missing: why nothing can be read, in words.
    """

    morning: date | None = None
    rows: Sequence[Record] = ()
    count: int = 0
    places: Sequence[Record] = ()
    place: Record | None = None
    order: str = "bound"
    cardless: Sequence[Record] = ()
    missing: str | None = None


@dataclass(frozen=True)
class TrackCard:
    """What is known of a creative in one track: the card's row and what belongs to it."""

    row: Record
    scores: Sequence[Record]
    blocks: Sequence[Record]
    traits: Sequence[Record]
    look_alikes: Mapping[str, Sequence[Record]]
    flags: Sequence[Record]
    hits: Mapping[str, float]
    history: Sequence[Record]
    curve: Curve | None


@dataclass(frozen=True)
class CreativeCard:
    """One creative. tracks: none where it has no card. review: its newest policy review as a launch."""

    creative: Record | None = None
    morning: date | None = None
    tracks: Sequence[TrackCard] = ()
    review: Record | None = None
    missing: str | None = None
    review_flags: Sequence[Record] = field(default=())


def read_list(warehouses: Sequence[Warehouse], order: str, track: str, placement: str) -> CreativeList:
    """The newest cards; an unknown order, track or placement is the first there is."""
    chosen = order if order in ORDERS else next(iter(ORDERS))

    def read(warehouse: Warehouse) -> CreativeList | None:
        morning = _newest(warehouse)
        if morning is None:
            return None
        asked = {"morning": morning}
        places = warehouse.query(_PLACES, asked).to_dicts()
        cardless = warehouse.query(_CARDLESS, asked).to_dicts()
        named = [row for row in places if (row["track"], row["placement"]) == (track, placement)]
        place = next(iter([*named, *places]), None)
        if place is None:
            return CreativeList(morning, order=chosen, cardless=cardless)
        rows = warehouse.query(_LISTED, {**asked, "track": place["track"], "placement": place["placement"]})
        column, largest_first = ORDERS[chosen]
        ordered = rows.sort(
            column,
            "platform",
            "account_id",
            "creative_id",
            descending=[largest_first, *[False] * 3],
            nulls_last=True,
        )
        shown = ordered.head(MOST_LISTED).to_dicts()
        return CreativeList(morning, shown, rows.height, places, place, chosen, cardless)

    found, missing = _first(warehouses, read)
    return found or CreativeList(order=chosen, missing=missing)


def read_card(
    warehouses: Sequence[Warehouse], platform: str, account_id: str, creative_id: str
) -> CreativeCard:
    """All that is known of one creative; `creative` is None where no such creative is."""
    key = {"platform": platform, "account_id": account_id, "creative_id": creative_id}
    without_cards: CreativeCard | None = None

    def read(warehouse: Warehouse) -> CreativeCard | None:
        nonlocal without_cards
        morning = _newest(warehouse)
        known = warehouse.query(
            f"select * from gaelp_training.creative_objects where {_ONE}",  # noqa: S608 - our own words
            key,
        ).to_dicts()
        if not known:
            return None
        if morning is None:
            without_cards = CreativeCard(known[0])
            return None
        asked: dict[str, Parameter] = {**key, "morning": morning}
        rows = {
            name: warehouse.query(sql.format(one=_ONE), asked).to_dicts() for name, sql in _OF_CARD.items()
        }
        rows["alike"] = warehouse.query(_ALIKE, asked).to_dicts()
        rows["days"] = warehouse.query(_DAYS.format(one=_ONE), key).to_dicts()
        rows["history"] = _of_creative(warehouse, "creative_history", _HISTORY, key)
        review = next(iter(_of_creative(warehouse, "policy_reviews", _REVIEW, key)), None)
        tracks = [_track_card(card, rows) for card in rows["cards"]]
        flags = json.loads(review["flags"]) if review else ()
        return CreativeCard(known[0], morning, tracks, review, review_flags=flags)

    found, missing = _first(warehouses, read)
    return found or without_cards or CreativeCard(missing=missing)


def _first(
    warehouses: Sequence[Warehouse], read: Callable[[Warehouse], Answer | None]
) -> tuple[Answer | None, str | None]:
    """The first warehouse's answer, and what was said where none had one."""
    said: str | None = None
    for warehouse in warehouses:
        try:
            tables = warehouse.row_counts([TableName("gaelp_training", name) for name in _NEEDED])
            if None in tables.values():
                said = "No ranking has made cards here yet."
                continue
            found = read(warehouse)
        except WarehouseError as error:
            said = str(error)
            continue
        if found is not None:
            return found, None
        said = None
    return None, said or ("There is no warehouse here yet." if not warehouses else None)


def _newest(warehouse: Warehouse) -> date | None:
    found: date | None = warehouse.query(_NEWEST)["as_of_date"][0]
    return found


def _of_creative(warehouse: Warehouse, table: str, sql: str, key: Mapping[str, str]) -> list[dict[str, Any]]:
    """None where the table was not made yet."""
    if not warehouse.exists(TableName("gaelp_training", table)):
        return []
    return warehouse.query(sql.format(one=_ONE), dict(key)).to_dicts()


def _track_card(card: Record, rows: Mapping[str, Sequence[Record]]) -> TrackCard:
    def own(name: str) -> list[Record]:
        return [row for row in rows[name] if row["track"] == card["track"]]

    days = [row for row in own("days") if row["placement"] == card["fatigue_placement"]]
    hits: dict[str, Any] = json.loads(card["lexicon_hits"]) if card["lexicon_hits"] else {}
    alike: dict[str, list[Record]] = {}
    for row in own("alike"):
        alike.setdefault(row["space"], []).append(row)
    return TrackCard(
        row=card,
        scores=own("scores"),
        blocks=[row for row in own("drivers") if row["kind"] == "block"],
        traits=[row for row in own("drivers") if row["kind"] == "trait"],
        look_alikes=alike,
        flags=json.loads(card["text_flags"]),
        hits=hits,
        history=own("history"),
        curve=fatigue_curve(days, card),
    )
