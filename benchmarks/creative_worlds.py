"""Simulated advertisers whose creatives' effect is known: what rankers read of them, and what is true.

Here: a sandbox world with its images drawn, vectors and features of its creatives, deliveries as a platform
shows them by a morning. Not here: rankers and what a study makes of them (`creative_ranking`).

A click's chance in the sandbox is place × audience × exp(creative's part + the ad's own luck + the day's
mood) × wear. The creative's part is a sum of effects drawn by seed and a part that nothing shows. Texts tell
theme, hook and call to action; the picture alone palette, face and whether it is a video (it repeats headline
and call to action, but nothing reads words in pictures). Images are the sandbox's own: scales too large to
render them for exports have theirs drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.accounts import TODAY
from models.creatives.contents import CREATIVE, image_contents, joined_text, text_contents, text_sha256
from models.policy import TEXTS
from models.ranking.blocks import Vectors
from resources.creative_assets import FOLDER, AssetStore
from resources.creative_images import CreativeImages, images_set_aside
from resources.creative_measures import FeatureKeeper, lexicons_of, read_features
from resources.creative_vectors import VectorKeeper, read_vectors, space_of
from resources.embedders import IMAGE_EMBEDDER, TEXT_EMBEDDER
from resources.sandbox import copywriting
from resources.sandbox.backend_frames import creatives_frame
from resources.sandbox.build import Simulated, simulate_account
from resources.sandbox.catalogue import META, PLACEMENTS, PLATFORMS, TRACKS
from resources.sandbox.frames import Window
from resources.sandbox.ledger import observe
from resources.settings import Settings, read_environment
from resources.warehouse import open_warehouse
from resources.warehouse.tables import CREATIVE_EMBEDDINGS, CREATIVE_FEATURES, QUARANTINE

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_MOMENT = datetime(2026, 6, 30, 13, tzinfo=UTC)
_WORDS_WEIGH = 0.4
"""Of a creative's effect what counts outside Meta: a search ad's wording matters less than the search."""
_TOLD_BY = {
    "theme": "text",
    "hook": "text",
    "call_to_action": "text",
    "palette": "picture",
    "has_face": "picture",
    "format": "picture",
}


@dataclass(frozen=True)
class CreativeWorld:
    """One business after its history, and the creatives that ran in it.

    Attributes:
        simulated: business and ledger.
        creatives: platform, account_id, creative_id, track, texts, content_hash, content_sha256, first_day
            (of the history); by creative number.
        number: the business's number of each row's creative, shape (creatives,).
    """

    simulated: Simulated
    creatives: pl.DataFrame
    number: IntArray

    @cached_property
    def log_ctr(self) -> FloatArray:
        """True effect of each creative on the log of its click rate, shape (creatives,)."""
        return self._weight * self.simulated.business.creatives.log_ctr[self.number]

    @cached_property
    def log_cvr(self) -> FloatArray:
        """The same of conversions by click."""
        return self._weight * self.simulated.business.creatives.log_cvr[self.number]

    @cached_property
    def choices(self) -> FloatArray:
        """Whoever drew the creatives chose these: an indicator each, shape (creatives, choices)."""
        creatives = self.simulated.business.creatives
        columns = [creatives.track[self.number, None] == np.arange(len(TRACKS))]
        for name in _TOLD_BY:
            chosen = np.asarray(getattr(creatives, name), dtype=np.int64)
            if name == "theme":  # each track has themes of its own
                chosen = chosen + creatives.track * (int(chosen.max()) + 1)
            columns.append(chosen[self.number, None] == np.unique(chosen))
        return np.concatenate(columns, axis=1).astype(np.float64)

    @cached_property
    def shown_log_ctr(self) -> FloatArray:
        """The part of `log_ctr` that follows from those choices: all that looking at a creative can tell."""
        return self._weight * np.sum(list(self._effects.values()), axis=0)

    def variance_shares(self) -> dict[str, float]:
        """Of Meta's creatives' true log click rate: share of the variance by what tells it."""
        meta = self._weight == 1.0
        whole = float(np.var(self.log_ctr[meta]))
        shares = dict.fromkeys((*_TOLD_BY.values(), "nothing"), 0.0)
        for name, effect in self._effects.items():
            shares[_TOLD_BY[name]] += float(np.var(effect[meta])) / whole
        return shares | {"nothing": float(np.var((self.log_ctr - self.shown_log_ctr)[meta])) / whole}

    def days(self, morning: int) -> pl.DataFrame:
        """What int_creative_placement_daily holds on the morning of a day of the history.

        Columns: date, platform, account_id, creative_id, track, campaign_id, placement, impressions, clicks,
        conversions_click; those conversions that the platform shows by then.
        """
        business, ledger = self.simulated.business, self.simulated.ledger
        seen = observe(ledger, 0, morning - 1, morning - 1)
        cell = ledger.delivery.cell[seen.rows]
        ad, place = business.cells.ad[cell], business.cells.placement[cell]
        campaign = business.adsets.campaign[business.ads.adset[ad]]
        platform = business.campaigns.platform[campaign]
        placements = ["_".join(p.keys[:2]) if p.platform == META else p.keys[0].lower() for p in PLACEMENTS]
        frame = pl.DataFrame(
            {
                "day": ledger.delivery.day[seen.rows],
                "platform": pl.Series([p.name for p in PLATFORMS]).gather(platform),
                "account_id": pl.Series([p.account_id for p in PLATFORMS]).gather(platform),
                "creative_id": pl.Series(business.creative_ids).gather(business.ads.creative[ad]),
                "track": pl.Series([t.name for t in TRACKS]).gather(business.campaigns.track[campaign]),
                "campaign_id": pl.Series(business.campaigns.id).gather(campaign),
                "placement": pl.Series(placements).gather(place),
                "impressions": ledger.delivery.impressions[seen.rows],
                "clicks": ledger.delivery.link_clicks[seen.rows],
                "conversions_click": seen.click_credit / 100.0,
            }
        )
        start = pl.lit(business.start)
        return frame.select(
            (start + pl.duration(days=pl.col("day"))).cast(pl.Date).alias("date"), pl.exclude("day")
        )

    def date_of(self, day: int) -> date:
        return self.simulated.business.date_of(day)

    @cached_property
    def _effects(self) -> dict[str, FloatArray]:
        """Effect of each choice on the log click rate, shape (creatives,)."""
        drawn, effects = self.simulated.business.creatives, self.simulated.business.creative_effects
        themes = np.array([effects[f"theme_{track.name}"] for track in TRACKS])
        return {
            "theme": themes[drawn.track, drawn.theme][self.number],
            "has_face": effects["face"][0] * drawn.has_face[self.number],
            **{
                name: np.array(effects[name])[getattr(drawn, name)[self.number]]
                for name in ("hook", "call_to_action", "palette", "format")
            },
        }

    @cached_property
    def _weight(self) -> FloatArray:
        return np.where(self.creatives["platform"] == PLATFORMS[META].name, 1.0, _WORDS_WEIGH)


@dataclass(frozen=True)
class Reading:
    """What is known of the creatives of a world: vectors of texts and images, measured features."""

    text: Vectors
    image: Vectors
    features: pl.DataFrame


def draw_world(scale: str, seed: int, store: AssetStore, most_images: int) -> CreativeWorld:
    """Simulate an account and draw the images of all creatives that ran, into `store`.

    Args:
        most_images: creatives with any others are left out; chosen by their hash, which is as good as by lot.
    """
    simulated = simulate_account(scale, seed, TODAY)
    business = simulated.business
    last = business.days - 1
    ran = np.unique(business.ads.creative[business.ads.first_day <= last])
    images = {int(number): store.put(copywriting.render(business.creatives, number), "png") for number in ran}
    first = np.full(len(business.creatives), business.days)
    np.minimum.at(first, business.ads.creative, np.maximum(business.ads.first_day, 0))
    chosen = set(sorted(set(images.values()))[:most_images])
    kept = np.array([images[int(number)] in chosen for number in ran])
    frame = creatives_frame(business, Window(0, last, last), images, FOLDER).filter(pl.Series(kept))
    ran = ran[kept]
    contents = pl.concat_str([*TEXTS, "image_hash"], separator="\n")
    return CreativeWorld(
        simulated,
        frame.select(
            pl.col("source").alias("platform"),
            "account_id",
            "creative_id",
            pl.Series("track", [TRACKS[track].name for track in business.creatives.track[ran]]),
            *TEXTS,
            contents.map_elements(text_sha256, return_dtype=pl.String).alias("content_hash"),
            pl.col("image_hash").alias("content_sha256"),
            pl.Series("first_day", first[ran]),
        ),
        ran,
    )


def read_creatives(creatives: pl.DataFrame, home: Path, settings: Settings) -> Reading:
    """Vectors and features of creatives, by the assets' keepers; what `home` keeps is not read again."""
    warehouse = open_warehouse(read_environment({"AELP_HOME": str(home)}))
    warehouse.ensure_tables([CREATIVE_EMBEDDINGS, CREATIVE_FEATURES, QUARANTINE])
    store, aside = AssetStore(home / FOLDER), images_set_aside(warehouse)
    vectors = VectorKeeper(warehouse, 1, _MOMENT, _untold)
    of_text, of_image = space_of("text", TEXT_EMBEDDER), space_of("image", IMAGE_EMBEDDER)
    vectors.read_texts(text_contents(creatives.select(joined_text()).to_series()), of_text)
    new = vectors.without_vector(image_contents(creatives), of_image)
    vectors.read_images(CreativeImages(new, aside, store, _MOMENT), of_image, 0, _unshown)
    lexicons = lexicons_of(settings)
    measures = FeatureKeeper(warehouse, lexicons, _MOMENT, _untold)
    pairs = measures.unmeasured(creatives.select(*CREATIVE, *TEXTS, "content_hash", "content_sha256"))
    known = measures.known_images(pairs)
    unknown = image_contents(pairs).join(known, on="content_sha256", how="anti", maintain_order="left")
    measures.measure(pairs, known, CreativeImages(unknown, aside, store, _MOMENT), _unshown)
    return Reading(
        Vectors(*read_vectors(warehouse, of_text)),
        Vectors(*read_vectors(warehouse, of_image)),
        read_features(warehouse, lexicons),
    )


def _untold(said: str) -> None:
    """Progress nobody asked for."""


def _unshown(content: dict[str, object], pixels: npt.NDArray[np.uint8]) -> None:
    """Images nobody looks at."""
