"""Launch plans: a slate's creatives as paused ad sets of their own, each with a lane, a budget and tracking.

Here: lanes, budgets a platform can take, the parent campaign, tracked links, start times. Not here: which
creatives (`slates`), whether they may run (`policy`), approvals and calls (`resources.control`).

A launch keeps its slate's budget to the cent, or it does not happen: what cannot be placed stays unspent and
is told with its reason. The one exception is the test lane, whose creatives pool their money, because a lane
below its minimum would not even screen: the best of them get the minimum, the others wait.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from zoneinfo import ZoneInfo

import polars as pl

from models.guardrails import FreezeWindow
from models.policy import UTM_PARAMETERS

KEY = ("platform", "account_id", "creative_id")
_CENT = Decimal("0.01")
# The level whose budget one creative can have to itself. Google keeps budgets at campaigns.
LEVELS = {"meta": "adset", "tiktok": "adgroup", "linkedin": "adgroup", "google_ads": "campaign"}

PLAN_SCHEMA = pl.Schema(
    {
        "as_of_date": pl.Date(),
        **dict.fromkeys(("launch_id", "track"), pl.String()),
        "rank": pl.Int64(),
        **dict.fromkeys(("platform", "account_id", "creative_id", "creative_name", "theme"), pl.String()),
        **dict.fromkeys(("role", "lane", "lane_reason", "status", "lever_level"), pl.String()),
        **dict.fromkeys(("parent_campaign_id", "entity_name", "currency"), pl.String()),
        "advisory": pl.Boolean(),
        "daily_budget": pl.Decimal(38, 9),
        "daily_budget_cents": pl.Int64(),
        "minimum_budget": pl.Decimal(38, 9),
        "frequency_cap": pl.Int64(),
        "frequency_days": pl.Int64(),
        "placements": pl.String(),
        **dict.fromkeys(("link", *UTM_PARAMETERS), pl.String()),
        "starts_at": pl.Datetime("us", "UTC"),
        **dict.fromkeys(("p_best", "p_meets_cap", "p_one_click"), pl.Float64()),
    }
)


@dataclass(frozen=True)
class LaunchRules:
    """How launches are set up.

    frequency_cap: impressions a person may see in `frequency_days`. placements: by platform, where the main
    lane may show. test_excluded: placements the test lane leaves out. test_above_cap: P(CAC > cap) above
    which a creative is only screened. test_minimum: dollars a day, at least, in the test lane. test_hour:
    local hour at which tests start. timezone: the business's. utm_sources, utm_mediums: by platform.
    freeze_windows: days on which nothing is launched.

    Raises:
        ValueError: a probability outside [0, 1], an hour outside 0-23, or nowhere left to test.
    """

    frequency_cap: int
    frequency_days: int
    placements: Mapping[str, tuple[str, ...]]
    test_excluded: tuple[str, ...]
    test_above_cap: float
    test_minimum: Decimal
    test_hour: int
    timezone: ZoneInfo
    utm_sources: Mapping[str, str]
    utm_mediums: Mapping[str, str]
    freeze_windows: tuple[FreezeWindow, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.test_above_cap <= 1 or not 0 <= self.test_hour <= 23:
            raise ValueError("needs test_above_cap in [0, 1] and test_hour in 0-23")
        for platform, shown in self.placements.items():
            if not set(shown) - set(self.test_excluded):
                raise ValueError(f"placements: no placement of {platform} is left for the test lane")

    def placed(self, platform: str, lane: str) -> list[str]:
        """Where a launch may show; a platform without a list decides itself."""
        shown = self.placements.get(platform, ())
        return [place for place in shown if lane == "main" or place not in self.test_excluded]

    def starts_at(self, morning: date, lane: str) -> datetime:
        """Tests start at `test_hour` of the morning's day, the others with the next: a whole day's budget."""
        day, hour = (morning, self.test_hour) if lane == "test" else (morning + timedelta(days=1), 0)
        return datetime.combine(day, time(hour), tzinfo=self.timezone)

    def frozen(self, track: str, *days: date) -> str | None:
        """Why a track launches nothing on one of these days; None: it may."""
        for window in self.freeze_windows:
            if window.track in (None, track) and any(map(window.covers, days)):
                return f"nothing is launched during {window.name}; it is planned anew after its last day"
        return None


def tracked_link(
    link: str | None, utm: Mapping[str, str], landing_parameters: Sequence[str] = UTM_PARAMETERS
) -> str | None:
    """A landing page with exactly these UTM parameters; its other parameters stay. None where it is unknown.

    A link that cannot be read is returned as it is: the policy review names it.
    """
    if not link:
        return None
    try:
        parts = urlsplit(link)
    except ValueError:
        return link
    others = [
        (k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in landing_parameters
    ]
    query = urlencode([*others, *((name, utm[name]) for name in landing_parameters)])
    return urlunsplit(parts._replace(query=query))


def launch_links(
    slate: pl.DataFrame, creatives: pl.DataFrame, levers: pl.DataFrame, rules: LaunchRules
) -> pl.DataFrame:
    """A slate's creatives with texts, parent campaign, UTM values and the link they would be launched with.

    Args:
        slate: rows of `gaelp_training.slates`.
        creatives: rows of `gaelp_training.creative_objects`; creatives it does not know keep nulls.
        levers: rows of `gaelp_training.budget_levers` of one or more days; each account's newest counts.

    Returns:
        The slate's rows and order, with creative_name, theme, headline, body, call_to_action,
        parent_campaign_id, `UTM_PARAMETERS` and link.
    """
    known = creatives.select(
        *KEY, "creative_name", "theme", "headline", "body", "call_to_action", "link_url"
    ).unique(subset=KEY, keep="first", maintain_order=True)
    parents = _parents(levers)
    joined = slate.join(known, on=KEY, how="left", maintain_order="left")
    rows = []
    for row in joined.iter_rows(named=True):
        parent = parents.get((row["platform"], row["account_id"], row["track"]))
        utm = {
            "utm_source": rules.utm_sources.get(row["platform"], row["platform"]),
            "utm_medium": rules.utm_mediums.get(row["platform"], "paid"),
            # Orders are joined to campaigns by their id; a campaign still to be made has only a name.
            "utm_campaign": parent or f"{row['track']}-{row['as_of_date']:%Y%m%d}",
            "utm_content": row["creative_id"],
        }
        rows.append({"parent_campaign_id": parent, **utm, "link": tracked_link(row["link_url"], utm)})
    schema = dict.fromkeys(("parent_campaign_id", *UTM_PARAMETERS, "link"), pl.String())
    return pl.concat([joined.drop("link_url"), pl.DataFrame(rows, schema=schema)], how="horizontal")


def plan_launches(
    slate: pl.DataFrame, reviews: pl.DataFrame, levers: pl.DataFrame, rules: LaunchRules
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Paused launches of the creatives that passed, and what of the slate's money is left out.

    Args:
        slate: of `launch_links`.
        reviews: of `policy.review_creatives`; a creative without a review does not pass.
        levers: as for `launch_links`: they say minimums, currency and whether anything can be written there.

    Returns:
        plans: `PLAN_SCHEMA`, sorted by track and rank, one lever each. left_out: track, creative_id, budget,
        reason. Plans and left_out add up to the slate, to the cent and by track.
    """
    passed = set(reviews.filter("passed").select("track", *KEY).iter_rows())
    facts = _account_facts(levers)
    placed: list[dict[str, Any]] = []
    tests: dict[str, list[dict[str, Any]]] = {}
    left: list[dict[str, Any]] = []
    for row in slate.sort("track", "rank").iter_rows(named=True):
        fact = facts.get((row["platform"], row["account_id"]), _AccountFacts())
        lane, lane_reason = _lane(row, rules)
        planned = {**row, **_set_up(row, lane, rules, fact), "lane": lane, "lane_reason": lane_reason}
        if (row["track"], *(row[name] for name in KEY)) not in passed:
            left.append(_left(row, row["budget"], "it has not passed the policy review"))
        elif frozen := rules.frozen(row["track"], row["as_of_date"], planned["starts_at"].date()):
            left.append(_left(row, row["budget"], frozen))
        elif lane == "test":
            tests.setdefault(row["track"], []).append(planned)
        else:
            budget = row["budget"] // planned["increment"] * planned["increment"]
            if objection := fact.objection(budget):
                left.append(_left(row, row["budget"], objection))
                continue
            placed.append({**planned, "budget": budget})
            if budget < row["budget"]:
                left.append(
                    _left(row, row["budget"] - budget, "less than one step of the platform's budgets")
                )
    for waiting in tests.values():
        funded, spare = _fund_tests(waiting, rules.test_minimum)
        placed += funded
        left += spare
    frame = pl.DataFrame([_row(row) for row in placed], schema=PLAN_SCHEMA).sort("track", "rank")
    money = pl.Decimal(38, 9)
    schema = pl.Schema(
        {"track": pl.String(), "creative_id": pl.String(), "budget": money, "reason": pl.String()}
    )
    return frame, pl.DataFrame(left, schema=schema).sort("track", "creative_id")


def plan_faults(
    plans: pl.DataFrame,
    left_out: pl.DataFrame,
    slate: pl.DataFrame,
    reviews: pl.DataFrame,
    rules: LaunchRules,
) -> list[str]:
    """What is wrong with plans, by a reading of its own: it sees the tables, not how they were made."""
    faults = [f"{row} is planned without a passed review" for row in _unreviewed(plans, reviews)]
    faults += [f"{name} is launched {status}" for name, status in _awake(plans)]
    faults += [
        f"{row['entity_name']} is launched during {window.name}"
        for row in plans.iter_rows(named=True)
        for window in rules.freeze_windows
        for day in (row["as_of_date"], row["starts_at"].astimezone(rules.timezone).date())
        if window.track in (None, row["track"]) and window.covers(day)
    ]
    for track, promised in slate.group_by("track").agg(pl.col("budget").sum()).sort("track").iter_rows():
        told = [
            Decimal(frame.filter(pl.col("track") == track)[name].sum() or 0)
            for frame, name in ((plans, "daily_budget"), (left_out, "budget"))
        ]
        if sum(told, Decimal(0)) != promised:
            faults.append(f"{track}: {told[0]} planned and {told[1]} left out are not the slate's {promised}")
    below = plans.filter(
        (pl.col("daily_budget") < pl.col("minimum_budget"))
        | (pl.col("daily_budget") != pl.col("daily_budget_cents") * _CENT)
        | ((pl.col("lane") == "test") & (pl.col("daily_budget") < rules.test_minimum))
    )
    faults += [f"{name}: a budget its platform or lane does not take" for name in below["entity_name"]]
    twice = plans.filter(plans.select("track", *KEY).is_duplicated() | plans["launch_id"].is_duplicated())
    return faults + [f"{name}: more than one lever" for name in twice["entity_name"]]


def _unreviewed(plans: pl.DataFrame, reviews: pl.DataFrame) -> list[str]:
    keys = ["track", *KEY]
    return plans.join(reviews.filter("passed"), on=keys, how="anti")["creative_id"].to_list()


def _awake(plans: pl.DataFrame) -> list[tuple[str, str]]:
    return plans.filter(pl.col("status") != "paused").select("entity_name", "status").rows()


@dataclass(frozen=True)
class _AccountFacts:
    """What budgets of an account's launch level obey; unknown where its platform says nothing."""

    minimum: Decimal | None = None
    increment: Decimal | None = None
    currency: str | None = None
    is_real: bool = False

    def objection(self, budget: Decimal) -> str | None:
        if self.minimum is not None and budget < self.minimum:
            return f"its budget of {budget:.2f} is below the platform's minimum of {self.minimum:.2f}"
        return None if budget > 0 else "its budget is not one step of the platform's"


def _newest(levers: pl.DataFrame) -> pl.DataFrame:
    return levers.filter(pl.col("date") == pl.col("date").max().over("platform", "account_id"))


def _at_launch_level(levers: pl.DataFrame) -> pl.DataFrame:
    levels = pl.col("platform").replace_strict(LEVELS, default=None, return_dtype=pl.String)
    return _newest(levers).filter(pl.col("lever_level") == levels)


def _parents(levers: pl.DataFrame) -> dict[tuple[str, str, str], str]:
    """The campaign a new ad set goes into: the track's largest whose ad sets hold the budgets themselves."""
    open_to_sets = (
        _at_launch_level(levers)
        .filter(pl.col("lever_level") != "campaign", pl.col("status") == "active")
        .group_by("platform", "account_id", "track", "campaign_id")
        .agg(pl.col("current_budget").sum())
        .sort("current_budget", "campaign_id", descending=[True, False])
    )
    found: dict[tuple[str, str, str], str] = {}
    for platform, account, track, campaign, _ in open_to_sets.iter_rows():
        found.setdefault((platform, account, track), campaign)
    return found


def _account_facts(levers: pl.DataFrame) -> dict[tuple[str, str], _AccountFacts]:
    facts = (
        _at_launch_level(levers)
        .group_by("platform", "account_id")
        .agg(
            pl.col("minimum_budget", "budget_increment").max(),
            pl.col("currency").drop_nulls().min(),
            (pl.col("lever_source") == "platform").all().alias("is_real"),
        )
    )
    return {(row[0], row[1]): _AccountFacts(*row[2:]) for row in facts.iter_rows()}


def _lane(row: Mapping[str, Any], rules: LaunchRules) -> tuple[str, str]:
    above = 1 - row["p_meets_cap"]
    if above > rules.test_above_cap:
        return "test", f"P(CAC > cap) is {above:.0%}: it is screened on its click rate alone"
    return "main", f"P(CAC > cap) is {above:.0%}"


def _set_up(row: Mapping[str, Any], lane: str, rules: LaunchRules, fact: _AccountFacts) -> dict[str, Any]:
    morning = row["as_of_date"]
    labels = ["AELP", "TEST" if lane == "test" else "MAIN", row["track"], row["creative_id"]]
    return {
        "launch_id": "_".join(["launch", f"{morning:%Y%m%d}", row["track"], *(row[name] for name in KEY)]),
        "entity_name": " | ".join([*labels, f"{morning:%Y-%m-%d}"]),
        "lever_level": LEVELS.get(row["platform"], "campaign"),
        "status": "paused",
        "currency": fact.currency,
        "minimum_budget": fact.minimum,
        # Where no platform says what its smallest budget is, nobody may write one.
        "advisory": not fact.is_real or fact.minimum is None,
        "frequency_cap": rules.frequency_cap,
        "frequency_days": rules.frequency_days,
        "placements": json.dumps(rules.placed(row["platform"], lane)),
        "starts_at": rules.starts_at(morning, lane),
        "increment": fact.increment or _CENT,
    }


def _fund_tests(
    tests: list[dict[str, Any]], minimum: Decimal
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """As many of a track's tests, by rank, as their pooled money pays for; what the rest had is left out."""
    pool = sum((row["budget"] for row in tests), Decimal(0))
    funded = []
    for row in tests:
        increment = row["increment"]
        needed = max(minimum, row["minimum_budget"] or minimum)
        steps = -(-needed // increment)
        if steps * increment <= pool:
            pool -= steps * increment
            funded.append({**row, "budget": steps * increment})
    names = {row["launch_id"] for row in funded}
    left = []
    for row in (row for row in tests if row["launch_id"] not in names):
        spare = min(row["budget"], pool)
        pool -= spare
        left.append(_left(row, spare, f"the test lane's money does not pay another {minimum:.2f} a day"))
    if pool:
        left.append(_left(tests[-1], pool, "what the test lane's minimum leaves over"))
    return funded, left


def _left(row: Mapping[str, Any], budget: Decimal, reason: str) -> dict[str, Any]:
    return {"track": row["track"], "creative_id": row["creative_id"], "budget": budget, "reason": reason}


def _row(planned: Mapping[str, Any]) -> dict[str, Any]:
    budget = planned["budget"]
    amounts = {"daily_budget": budget, "daily_budget_cents": int(budget / _CENT)}
    return {name: amounts.get(name, planned.get(name)) for name in PLAN_SCHEMA.names()}
