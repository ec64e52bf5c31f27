"""The hidden truth of a simulated business, for tests and studies only.

Here: what each lever, ad, channel and law really does, as frames, and files of it in a folder of
their own when asked. Nothing that decides may read this module or that folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from resources.sandbox import laws
from resources.sandbox.catalogue import AUDIENCES, PLATFORMS, TRACKS
from resources.sandbox.ledger import Ledger
from resources.sandbox.world import Business


def true_levers(business: Business, ledger: Ledger, first_day: int, last_day: int) -> pl.DataFrame:
    """What each lever's spend on these days really caused.

    Columns: platform, account_id, track, lever_id, audience, spend (dollars), incremental_orders (mean
    over the noise of response, given the impressions and clicks that happened), incremental_cac
    (dollars, null without spend), click_incrementality, view_incrementality, design_cac (the reported
    CAC the lever was drawn with).
    """
    rows, lever = _rows(business, ledger, first_day, last_day)
    levers, count = business.levers, len(business.levers.id)
    spend = laws.totals(lever, ledger.delivery.cents[rows], count) / 100.0
    caused = laws.totals(lever, ledger.delivery.expected_incremental[rows], count)
    return pl.DataFrame(
        {
            "platform": [PLATFORMS[p].name for p in levers.platform],
            "account_id": [PLATFORMS[p].account_id for p in levers.platform],
            "track": [TRACKS[t].name for t in levers.track],
            "lever_id": levers.id,
            "audience": [AUDIENCES[a].name for a in levers.audience],
            "spend": spend,
            "incremental_orders": caused,
            "incremental_cac": _ratio(spend, caused),
            "click_incrementality": levers.click_incrementality,
            "view_incrementality": levers.view_incrementality,
            "design_cac": levers.target_cac,
        }
    )


def true_ads(business: Business, ledger: Ledger, first_day: int, last_day: int) -> pl.DataFrame:
    """The same per ad, with its true log effects on click and conversion rate; ads with spend only."""
    rows, _ = _rows(business, ledger, first_day, last_day)
    ads, count = business.ads, len(business.ads.id)
    ad = business.cells.ad[ledger.delivery.cell[rows]]
    spend = laws.totals(ad, ledger.delivery.cents[rows], count) / 100.0
    caused = laws.totals(ad, ledger.delivery.expected_incremental[rows], count)
    return pl.DataFrame(
        {
            "ad_id": ads.id,
            "creative_id": pl.Series(business.creative_ids).gather(ads.creative),
            "lever_id": pl.Series(business.levers.id).gather(business.adsets.lever[ads.adset]),
            "spend": spend,
            "incremental_orders": caused,
            "incremental_cac": _ratio(spend, caused),
            "log_ctr": ads.log_ctr,
            "log_cvr": ads.log_cvr,
        }
    ).filter(pl.col("spend") > 0)


def true_delays(business: Business) -> pl.DataFrame:
    """P(a conversion is shown `age` days after its click or view), by track and window."""
    return pl.DataFrame(
        [
            {
                "track": track.name,
                "conversion_window": "1d_view" if view else "7d_click",
                "age": age,
                "probability": float(probability),
            }
            for index, track in enumerate(TRACKS)
            for view in (False, True)
            for age, probability in enumerate(laws.reported_delay(business.order_delays[index, view]))
        ]
    )


def write_truth(business: Business, ledger: Ledger, folder: Path) -> None:
    """Write the truth of the whole history and of its last 28 days into `folder`, nowhere else."""
    folder.mkdir(parents=True, exist_ok=True)
    last = business.days - 1
    true_levers(business, ledger, 0, last).write_parquet(folder / "levers.parquet")
    true_levers(business, ledger, max(0, last - 27), last).write_parquet(folder / "levers_28d.parquet")
    true_ads(business, ledger, 0, last).write_parquet(folder / "ads.parquet")
    true_delays(business).write_parquet(folder / "delays.parquet")
    laws_of_world: dict[str, Any] = {
        "seed": business.seed,
        "scale": business.scale.name,
        "start": business.start.isoformat(),
        "days": business.days,
        "creative_effects_log_ctr": business.creative_effects,
        "audiences": {
            audience.name: {
                "click_incrementality": audience.click_incrementality,
                "view_incrementality": audience.view_incrementality,
            }
            for audience in AUDIENCES
        },
        "events": sorted(set(business.weather.event[: business.days]) - {""}),
    }
    (folder / "world.json").write_text(json.dumps(laws_of_world, indent=2, sort_keys=True), encoding="utf-8")


def read_truth(folder: Path) -> dict[str, pl.DataFrame]:
    """The frames `write_truth` and `studies.write_studies` left in a truth folder, by file name."""
    return {path.stem: pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


def _rows(business: Business, ledger: Ledger, first_day: int, last_day: int) -> tuple[slice, laws.IntArray]:
    if not 0 <= first_day <= last_day < ledger.days:
        raise ValueError(f"days {first_day} to {last_day}: the ledger holds 0 to {ledger.days - 1}")
    start, stop = np.searchsorted(ledger.delivery.day, [first_day, last_day + 1])
    rows = slice(int(start), int(stop))
    ad = business.cells.ad[ledger.delivery.cell[rows]]
    return rows, business.adsets.lever[business.ads.adset[ad]]


def _ratio(spend: laws.FloatArray, orders: laws.FloatArray) -> pl.Series:
    values = [s / o if o > 0 else None for s, o in zip(spend.tolist(), orders.tolist(), strict=True)]
    return pl.Series(values, dtype=pl.Float64)
