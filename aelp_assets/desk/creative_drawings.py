"""Drawings of a creative's card as coordinates: how its click rate falls.

Here: points, line and band inside a box. Not here: what is drawn with them (the templates), the slope
(`models.creatives.fatigue`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import exp, hypot, log, sqrt

from aelp_assets.partitions import RANKING_DAYS
from resources.control.records import Record

WIDTH, HEIGHT = 560, 150
_MARGIN = 6
_Z90 = 1.2815515655446004


@dataclass(frozen=True)
class Curve:
    """A click rate by day, in a box of WIDTH by HEIGHT.

    Attributes:
        points: x, y, radius of each day; larger ones have more impressions.
        line, band: of the fitted rate and its 80 % interval, as SVG points; empty without a slope.
        first, last: days drawn. highest: rate at the upper edge.
    """

    points: Sequence[tuple[float, float, float]]
    line: str
    band: str
    first: date
    last: date
    highest: float


def fatigue_curve(days: Sequence[Record], card: Record) -> Curve | None:
    """The days of a card's placement, and the line fitted to them.

    The fit turns about its centre of weight, so its band is narrowest there: log-odds at day x are the
    centre's plus slope (x - centre), centre the mean day by what each tells, impressions p (1 - p) at the
    fitted rate p. By impressions alone it lies too late where the rate falls: of one that halved every 17
    days such a band held the true rate in 1 of 100 in the middle and in 96 on the first day. The centre's own
    rate is uncertain, too, here by counting luck alone.

    Args:
        days: date, impressions, clicks of one placement, by rising date.
        card: as_of_date, slope_p10, slope_p50, slope_p90, ctr_at_start of `score_cards`.
    Returns:
        None where it was not shown on two days.
    """
    shown = [
        (row["date"], float(row["impressions"]), float(row["clicks"]))
        for row in days
        if row["impressions"] > 0 and 0 < (card["as_of_date"] - row["date"]).days <= RANKING_DAYS
    ]
    if len({day for day, _, _ in shown}) < 2:
        return None
    first, last = shown[0][0], shown[-1][0]
    span = (last - first).days
    ages = [(day - first).days for day, _, _ in shown]
    fitted: dict[str, list[float]] = {}
    if card["slope_p50"] is not None:
        start, slope = _logit(card["ctr_at_start"]), card["slope_p50"]
        line = [start + slope * age for age in range(span + 1)]
        rates_then = [_rate(line[age]) for age in ages]
        weights = [row[1] * rate * (1 - rate) for row, rate in zip(shown, rates_then, strict=True)]
        centre = sum(age * weight for age, weight in zip(ages, weights, strict=True)) / sum(weights)
        turned = (card["slope_p90"] - card["slope_p10"]) / 2
        off = [hypot(_Z90 / sqrt(sum(weights)), turned * (age - centre)) for age in range(span + 1)]
        fitted = {
            name: [_rate(odds + side * width) for odds, width in zip(line, off, strict=True)]
            for name, side in (("low", -1), ("line", 0), ("high", 1))
        }
    rates = [clicks / impressions for _, impressions, clicks in shown]
    highest = 1.1 * max([*rates, *(rate for line in fitted.values() for rate in line)]) or 1.0
    most = max(impressions for _, impressions, _ in shown)

    def at(age: float, rate: float) -> tuple[float, float]:
        across = _MARGIN + age / span * (WIDTH - 2 * _MARGIN)
        return round(across, 1), round(HEIGHT - rate / highest * HEIGHT, 1)

    def drawn(places: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{across},{down}" for across, down in places)

    points = [
        (*at(age, rate), round(1.5 + 2.5 * (row[1] / most) ** 0.5, 1))
        for age, rate, row in zip(ages, rates, shown, strict=True)
    ]
    lines = {name: [at(age, rate) for age, rate in enumerate(line)] for name, line in fitted.items()}
    band = [*lines["low"], *reversed(lines["high"])] if lines else []
    return Curve(points, drawn(lines.get("line", [])), drawn(band), first, last, highest)


def _rate(log_odds: float) -> float:
    return 1 / (1 + exp(-log_odds))


def _logit(rate: float) -> float:
    return log(rate / (1 - rate))
