"""Every experiment in one form: what it compares, where it stands, what nobody else may touch meanwhile.

Here: experiments out of the tables of split tests, media-mix tests and draws of apply or hold. Not here: when
planned ones may run (`calendar`), judging them (`split_test_results`, `lift`), valuing them (`models.mmm`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any, Literal

import polars as pl

Kind = Literal["split_test", "media_mix", "apply_hold"]
Status = Literal["planned", "running", "finished", "invalid"]

QUIET_DAYS = 7
"""Arms are told days or weeks; a split test without a day told for longer than this has ended."""
_ACCOUNT = ["platform", "account_id"]

REGISTRY_SCHEMA = pl.Schema(
    {
        "experiment_id": pl.String(),
        "kind": pl.String(),
        "status": pl.String(),
        "compared": pl.String(),
        "unit": pl.String(),
        "metric": pl.String(),
        "track": pl.String(),
        "first_day": pl.Date(),
        "last_day": pl.Date(),
        "verdict": pl.String(),
        "reference": pl.String(),
        "power": pl.Float64(),
        "price": pl.Float64(),
        "value_per_dollar": pl.Float64(),
        "occupies": pl.String(),
        "conflicts": pl.String(),
    }
)


@dataclass(frozen=True)
class Place:
    """Where an experiment acts. None: all of it, or not told, which must be taken for all."""

    platform: str | None = None
    account_id: str | None = None
    track: str | None = None
    channel: str | None = None
    lever_id: str | None = None

    def shared_with(self, other: Place) -> str | None:
        """What both touch, in words; None: nothing, because some part of them differs."""
        parts = []
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine is not None and theirs is not None and mine != theirs:
                return None
            if mine is not None or theirs is not None:
                parts.append(f"{field.name.removesuffix('_id')} {theirs if mine is None else mine}")
        return ", ".join(parts) or "everything"

    def told(self) -> dict[str, str]:
        """The parts that are told, by name."""
        return {field.name: part for field in fields(self) if (part := getattr(self, field.name)) is not None}


@dataclass(frozen=True)
class Experiment:
    """One experiment of any kind.

    Attributes:
        experiment_id: names it among all kinds, the same every morning.
        compared: what is held against what, in words.
        unit: what is split or changed: users, impressions, weeks, regions, lever windows.
        metric: what it is judged by; None where not told.
        status: invalid: its reading is worth nothing, though it may still be going on.
        first_day, last_day: both inclusive. None as first: planned, and nothing free yet (or, of a finished
            one, never told); None as last of one that began: still going on, its end is not told.
        days: how long a planned one takes; None: as its days say.
        places: what it touches; one that touches nothing disturbs nobody.
        verdict: what it showed so far; reference: where its numbers stand.
        power: P(it shows what it looks for), as planned; None: unknown.
        price: dollars it is expected to cost; None: unknown.
        value_per_dollar: dollars of regret expected to be removed per dollar of price; None: not valued.

    Raises:
        ValueError: a planned one without days to place it by, days in the wrong order.
    """

    experiment_id: str
    kind: Kind
    compared: str
    unit: str
    metric: str | None
    status: Status
    places: tuple[Place, ...]
    first_day: date | None = None
    last_day: date | None = None
    days: int | None = None
    verdict: str | None = None
    reference: str | None = None
    power: float | None = None
    price: float | None = None
    value_per_dollar: float | None = None

    def __post_init__(self) -> None:
        if self.first_day is not None and self.last_day is not None and self.last_day < self.first_day:
            raise ValueError(f"{self.experiment_id}: ends before it begins")
        if self.status == "planned" and self.first_day is None and (self.days is None or self.days < 1):
            raise ValueError(f"{self.experiment_id}: planned, but for how many days?")

    @property
    def track(self) -> str | None:
        """The one track it acts on; None: several, or not told."""
        tracks = {place.track for place in self.places}
        return next(iter(tracks)) if len(tracks) == 1 else None

    def shared_with(self, other: Experiment) -> str | None:
        """The first thing both touch, in words; None: nothing."""
        found = (mine.shared_with(theirs) for mine in self.places for theirs in other.places)
        return min((shared for shared in found if shared is not None), default=None)


@dataclass(frozen=True)
class MeasuredTest:
    """A media-mix test people measured: dollars and conversions a week, `error` its standard one."""

    track: str
    channel: str
    change: float
    lift: float
    error: float
    first_day: date | None
    last_day: date | None


class LeverPlaces:
    """Places of levers and of channels, from the levers there are.

    Args:
        levers: platform, account_id, lever_id, track, channel.
    """

    def __init__(self, levers: pl.DataFrame) -> None:
        keys = [*_ACCOUNT, "lever_id"]
        alone = levers.unique([*keys, "channel"]).filter(pl.len().over(keys) == 1)
        self._channels = {tuple(row[:3]): row[3] for row in alone.select(*keys, "channel").iter_rows()}
        self._accounts: dict[tuple[str, str], list[tuple[str, str]]] = {}
        accounts = levers.select("track", "channel", *_ACCOUNT).unique()
        for track, channel, *account in accounts.sort(accounts.columns).iter_rows():
            self._accounts.setdefault((track, channel), []).append((account[0], account[1]))

    def of_lever(self, platform: str, account_id: str, track: str, lever_id: str) -> Place:
        """A lever; its channel where it has one alone."""
        channel = self._channels.get((platform, account_id, lever_id))
        return Place(platform, account_id, track, channel, lever_id)

    def of_channel(self, track: str, channel: str) -> tuple[Place, ...]:
        """A channel in each account that has levers of it; one without levers may be anywhere."""
        accounts: Sequence[tuple[str | None, str | None]] = self._accounts.get(
            (track, channel), [(None, None)]
        )
        return tuple(Place(platform, account, track, channel) for platform, account in accounts)


def landed_split_tests(judged: pl.DataFrame, morning: date) -> list[Experiment]:
    """Split tests that were landed. They do not tell their lever: each may touch all of its account's track.

    Args:
        judged: `ab_experiments` of the morning.
    """
    quiet = morning - timedelta(days=QUIET_DAYS)
    found = []
    for row in judged.iter_rows(named=True):
        is_going_on = row["last_day"] >= quiet
        found.append(
            Experiment(
                experiment_id=_named("split_test", row["platform"], row["account_id"], row["test_id"]),
                kind="split_test",
                compared=f"{row['test_name'] or row['test_id']}: {row['arms']} arms"
                + (f", control {row['control_arm']}" if row["control_arm"] else ""),
                unit=row["unit"],
                metric=row["metric"],
                status="invalid" if not row["is_valid"] else "running" if is_going_on else "finished",
                places=(Place(row["platform"], row["account_id"], row["track"]),),
                first_day=row["first_day"],
                last_day=None if is_going_on else row["last_day"],
                verdict=_split_test_verdict(row),
                reference="gaelp_training.ab_results",
            )
        )
    return found


def _split_test_verdict(row: Mapping[str, Any]) -> str:
    if row["winner"] is None:
        return str(row["verdict"])
    lift = "" if row["winner_lift"] is None else f", {row['winner_lift']:+.1%} expected"
    return f"{row['verdict']}: {row['winner']}{lift}"


def proposed_split_tests(decisions: pl.DataFrame, places: LeverPlaces) -> list[Experiment]:
    """Split tests of two arms that the newest decisions of each account propose.

    What they cost is not known: both arms run already, and how much worse the worse one is, is the question.

    Args:
        decisions: `arm_decisions` of some mornings.
    """
    newest = decisions.filter(pl.col("as_of_date") == pl.col("as_of_date").max().over(_ACCOUNT))
    found = []
    for row in newest.filter(pl.col("type") == "split_test").iter_rows(named=True):
        design = json.loads(row["design"])
        arms = sorted(design["arms"])
        where = row["platform"], row["account_id"]
        found.append(
            Experiment(
                experiment_id=_named(
                    "split_test", *where, "proposed", row["lever_id"], row["arm_kind"], "+".join(arms)
                ),
                kind="split_test",
                compared=f"{row['arm_kind']} {arms[0]} against {arms[1]}",
                unit="impressions",
                metric=design["metric"],
                status="planned",
                places=(places.of_lever(*where, row["track"], row["lever_id"]),),
                days=design["days"],
                reference=f"gaelp_training.arm_decisions of {row['as_of_date']}",
                power=design["power"],
            )
        )
    return found


def planned_media_mix_tests(tests: pl.DataFrame, places: LeverPlaces) -> list[Experiment]:
    """Each channel's best test that is worth it, of the newest plan of its track; one test a channel.

    Args:
        tests: `mmm_tests` of some mornings.
    """
    newest = tests.filter(pl.col("as_of_date") == pl.col("as_of_date").max().over("track"))
    best = newest.filter("worth_it").sort("track", "rank").unique(["track", "channel"], keep="first")
    found = []
    for row in best.iter_rows(named=True):
        design = f"{row['channel']} at {row['change']:+.0%} of its spend for {row['weeks']} weeks"
        against = "regions left alone" if row["design"] == "regions" else "usual weeks"
        found.append(
            Experiment(
                experiment_id=_named(
                    "media_mix", row["track"], row["channel"], "planned", row["design"], row["change"]
                )
                + f"/{row['weeks']}",
                kind="media_mix",
                compared=f"{design}, against {against}",
                unit=row["design"],
                metric="conversions a week",
                status="planned",
                places=places.of_channel(row["track"], row["channel"]),
                days=7 * row["duration_weeks"],
                reference=f"gaelp_training.mmm_tests of {row['as_of_date']}, rank {row['rank']}",
                power=row["power"],
                price=row["cost"],
                value_per_dollar=row["value_per_dollar"],
            )
        )
    return found


def measured_media_mix_tests(
    tests: Sequence[MeasuredTest], places: LeverPlaces, morning: date
) -> list[Experiment]:
    """Tests of channels that the settings book as evidence; without days they are over."""
    found = []
    for number, test in enumerate(tests):
        is_over = test.last_day is None or test.last_day < morning
        is_ahead = test.first_day is not None and test.first_day > morning
        found.append(
            Experiment(
                experiment_id=_named("media_mix", test.track, test.channel, "measured", number),
                kind="media_mix",
                compared=f"{test.channel} at {test.change:+,.0f} dollars a week, against its usual spend",
                unit="weeks",
                metric="conversions a week",
                status="finished" if is_over else "planned" if is_ahead else "running",
                places=places.of_channel(test.track, test.channel),
                first_day=test.first_day,
                last_day=test.last_day,
                verdict=f"{test.lift:+,.1f} ± {test.error:,.1f} conversions a week",
                reference=f"settings: media_mix.lift_tests.{number}",
            )
        )
    return found


def apply_hold_draws(
    assignments: pl.DataFrame, places: LeverPlaces, morning: date, *, sent: Collection[str]
) -> list[Experiment]:
    """Approved raises drawn to be applied or held: one experiment per mode, account, track and morning.

    Its verdict is that of all mornings together. While a window is open its lever is taken, whichever arm was
    drawn: a lever that others change tells nothing about the raise.

    Args:
        assignments: `apply_hold_assignments`.
        sent: modes whose applied arm reaches a platform; draws of the others touch nothing.
    """
    keys = ["mode", *_ACCOUNT, "track", "as_of_date"]
    batches = (
        assignments.group_by(keys)
        .agg(
            pl.col("lever_id").unique().sort(),
            pl.col("window_ends_at").dt.date().max().alias("last_day"),
            (pl.col("arm") == "hold").sum().alias("held"),
            pl.len().alias("drawn"),
        )
        .sort(keys)
    )
    found = []
    for row in batches.iter_rows(named=True):
        where = row["platform"], row["account_id"], row["track"]
        levers = row["lever_id"] if row["mode"] in sent else []
        found.append(
            Experiment(
                experiment_id=_named("apply_hold", row["mode"], *where, row["as_of_date"]),
                kind="apply_hold",
                compared=f"{row['drawn'] - row['held']} raises applied against {row['held']} held",
                unit="lever windows",
                metric="net",
                status="running" if row["last_day"] >= morning else "finished",
                places=tuple(places.of_lever(*where, lever) for lever in levers),
                first_day=row["as_of_date"],
                last_day=max(row["last_day"], row["as_of_date"]),
                reference=f"gaelp_training.apply_hold_lift, comparison {row['mode']}",
            )
        )
    return found


def going_on_at(registry: pl.DataFrame, place: Place, day: date) -> list[str]:
    """Running experiments that touch a place on a day, in words: changed there meanwhile, they tell less.

    Args:
        registry: `REGISTRY_SCHEMA`, of one morning.
    """
    running = registry.filter(
        pl.col("status") == "running", pl.col("last_day").is_null() | (pl.col("last_day") >= day)
    )
    found = []
    for row in running.sort("experiment_id").iter_rows(named=True):
        shared = [Place(**told).shared_with(place) for told in json.loads(row["occupies"])]
        if words := [each for each in shared if each is not None]:
            until = "its end is not told" if row["last_day"] is None else f"until {row['last_day']}"
            found.append(f"{row['compared']} ({min(words)}; {until})")
    return found


def registry_frame(experiments: Sequence[Experiment], conflicts: Mapping[str, str]) -> pl.DataFrame:
    """One row per experiment: what goes on first, then what is planned in its order, then what is over.

    Args:
        conflicts: what stood in the way of planned ones, by experiment.
    Returns:
        `REGISTRY_SCHEMA`; occupies is a JSON list of places, a part left out of one means all of it.
    """
    rows = [
        {
            **{name: getattr(each, name) for name in REGISTRY_SCHEMA if hasattr(each, name)},
            "occupies": json.dumps([place.told() for place in each.places], ensure_ascii=False),
            "conflicts": conflicts.get(each.experiment_id),
        }
        for each in experiments
    ]
    order = pl.col("status").replace_strict({"running": 0, "planned": 1, "invalid": 2, "finished": 3})
    newest = pl.when(pl.col("status") == "planned").then(1).otherwise(-1)
    return pl.DataFrame(rows, schema=REGISTRY_SCHEMA).sort(
        order.cast(pl.Int8), pl.col("first_day").dt.epoch("d") * newest, "experiment_id", nulls_last=True
    )


def _named(*parts: object) -> str:
    return "/".join(map(str, parts))
