"""Public exports of real businesses, replayed by the sandbox servers in their platforms' own shapes.

Here: reading each export, and what it leaves unsaid, chosen once and said. Not here: protocols (`servers`),
the file drop, whose mappings read the same columns.

An export holds numbers, not an account: a replayed account has the ids, currency and zone of the sandbox's
own, and neither budgets nor edits nor creatives. Every row is served; what is odd in some is counted by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import polars as pl

from resources.sandbox.backend_frames import CREATIVE_COLUMNS, LEVER_COLUMNS
from resources.sandbox.catalogue import CURRENCY, GOOGLE, META, PLATFORMS
from resources.sandbox.frames import GOOGLE_NAMES, META_NAMES, Reports
from resources.sandbox.servers.account import BudgetEdit, Report, account_day
from resources.sandbox.servers.ga4_export import Event

MERCHANDISE_ZONE = "America/Los_Angeles"
CDNOW = "cdnow"
_MICROS = 1_000_000
_MICROS_PER_CENT = 10_000
_DISPLAY_YEAR = 2020  # the export has none
_PLACEMENT = ("Platform", "Placement", "Impression device")
# Universal Analytics' actions of hits that are no page views, by GA4's names for them.
_ACTIONS = {"1": "select_item", "3": "add_to_cart", "4": "remove_from_cart"}
_OTHER_ACTION = "ua_event"


@dataclass(frozen=True)
class Export:
    """The published numbers of one account.

    Attributes:
        reports: rows by report, in the report's columns.
        ads: as `Served.ads` gives them.
        oddities: how many ad-days look odd, by what is odd. They are served like all others.
    """

    name: str
    reports: Mapping[Report, pl.DataFrame]
    ads: pl.DataFrame
    oddities: Mapping[str, int]


@dataclass
class ReplayedAccount:
    """An export behind a server, which asks it as it asks a simulated business (`Served`).

    Attributes:
        export: what was published.
        now: the server's present moment, with its zone; days after yesterday are not told yet.
    """

    export: Export
    now: Callable[[], datetime]

    @property
    def today(self) -> date:
        return account_day(self.now())

    @property
    def start(self) -> date:
        return self._days[0]

    @property
    def known(self) -> date:
        return min(self._days[1], self.today - timedelta(days=1))

    @cached_property
    def _days(self) -> tuple[date, date]:
        """The first and the last day of the export."""
        days = pl.concat(rows[:, 0] for rows in self.export.reports.values()).str.to_date()
        first, last = days.min(), days.max()
        assert isinstance(first, date)
        assert isinstance(last, date)
        return first, last

    def account_name(self, platform: int) -> str:
        return self.export.name

    def rows(self, report: Report, first: date, last: date) -> pl.DataFrame:
        return self._between(report, first, min(last, self.today - timedelta(days=1)))

    def rows_today(self, report: Report) -> pl.DataFrame:
        return self._between(report, self.today, self.today)

    def _between(self, report: Report, first: date, last: date) -> pl.DataFrame:
        low, high = pl.lit(first.isoformat()), pl.lit(last.isoformat())
        return self.export.reports[report].filter(pl.nth(0).is_between(low, high))

    def ads(self, platform: int) -> pl.DataFrame:
        return self.export.ads

    def levers(self, platform: int, first: date, last: date) -> pl.DataFrame:
        return pl.DataFrame(schema=LEVER_COLUMNS)

    def creatives(self, platform: int) -> pl.DataFrame:
        return pl.DataFrame(schema=dict.fromkeys(CREATIVE_COLUMNS, pl.String()))

    def images(self, platform: int) -> Mapping[str, bytes]:
        return {}

    def budget_edits(self, platform: int) -> Sequence[BudgetEdit]:
        return ()

    def take_write(self, entity_id: str, *, budget: Decimal | None, runs: bool | None) -> None:
        """Nothing: what was published is over."""


# --- advertising -------------------------------------------------------------------------------------------


def kag_facebook(path: Path, day: date) -> Export:
    """A Facebook account, a row per ad, as Meta's insights of one day.

    The export has no days: `day` is the caller's choice, and all of the account's life happens on it. Its one
    column of clicks is served as clicks and as link clicks, its enquiries (Total_Conversion, windows mixed)
    as purchases by 7-day click: the file drop's mapping reads the same. Its placements are unknown.

    Raises:
        ValueError: a column is missing, a number is none, an ad comes twice.
    """
    rows = _numbers(
        path,
        _csv(path, ("xyz_campaign_id", "fb_campaign_id", "ad_id")),
        # Cents bring back what 32-bit floats (1.429999948) made of the account's own numbers.
        {"Impressions": 1, "Clicks": 1, "Spent": 100, "Total_Conversion": 1},
    )
    twice = rows.filter(pl.col("ad_id").is_duplicated())
    if twice.height:
        raise ValueError(f"{path}: ad {twice['ad_id'][0]} comes more than once. The export has a row per ad.")
    daily = rows.select(
        date=pl.lit(day),
        campaign_id="xyz_campaign_id",
        campaign_name="xyz_campaign_id",
        adset_id="fb_campaign_id",
        adset_name="fb_campaign_id",
        ad_id="ad_id",
        ad_name="ad_id",
        impressions="Impressions",
        clicks="Clicks",
        cost=pl.col("Spent") * _MICROS_PER_CENT,
        conversions="Total_Conversion",
    )
    name = "KAG Facebook account"
    by_day = _labelled(daily, name, META, META_NAMES).select(
        *META_NAMES,
        pl.col("impressions").alias("Impressions"),
        pl.lit(None, dtype=pl.Int64).alias("Reach"),
        pl.col("clicks").alias("Clicks (all)"),
        pl.col("clicks").alias("Link clicks"),
        pl.lit(None, dtype=pl.Int64).alias("Unique link clicks"),
        (pl.col("cost") / _MICROS).alias(f"Amount spent ({CURRENCY})"),
        pl.col("conversions").alias("Purchases (7-day click)"),
        pl.lit(0, dtype=pl.Int64).alias("Purchases (1-day view)"),
        *(
            pl.lit(None, dtype=pl.Float64).alias(f"Purchases conversion value ({window})")
            for window in ("7-day click", "1-day view")
        ),
    )
    placed = by_day.drop("Unique link clicks").with_columns(
        pl.lit("unknown").alias(key) for key in _PLACEMENT
    )
    reports: dict[Report, pl.DataFrame] = {Reports.meta: by_day, Reports.meta_by_placement: placed}
    return Export(name, reports, _ads(daily, channel=None), _oddities(daily))


def display_firm(path: Path) -> Export:
    """A display firm's campaigns, as Google Ads of 2020 on the display network.

    A banner in a campaign is an ad group with one ad; ids are made of their words (`stable_id`). Cost is the
    `revenue` column: what the advertiser paid. Rows of one ad and day, which the export splits by placement
    and engagement, are added up, for Google's ad reports know neither. There is no device: all are Other.

    Raises:
        ValueError: a column is missing, a number is none, a month or day does not exist.
    """
    rows = _numbers(
        path,
        _csv(path, ("month", "day", "campaign_number", "banner")),
        {
            "displays": 1,
            "clicks": 1,
            "revenue": _MICROS,
            "post_click_conversions": 1,
            "post_click_sales_amount": _MICROS,
        },
    )
    written = pl.format("{} {} {}", "day", "month", pl.lit(_DISPLAY_YEAR))
    rows = rows.with_columns(date=written.str.to_date("%d %B %Y", strict=False))
    _require(path, rows, pl.col("date").is_not_null(), written, "is no day")
    campaign, banner = pl.col("campaign_number"), pl.col("banner")
    daily = (
        rows.group_by("date", campaign, banner, maintain_order=True)
        .agg(
            impressions=pl.col("displays").sum(),
            clicks=pl.col("clicks").sum(),
            cost=pl.col("revenue").sum(),
            conversions=pl.col("post_click_conversions").sum(),
            value=pl.col("post_click_sales_amount").sum(),
        )
        .sort("date", campaign, banner)
        .with_columns(
            campaign_id=_stable_ids(campaign),
            campaign_name=campaign,
            adset_id=_stable_ids(campaign, banner),
            adset_name=banner,
            ad_id=_stable_ids(campaign, banner, pl.lit("ad")),
            ad_name=pl.concat_str(campaign, banner, separator="|"),
        )
    )
    name = "Online advertising performance"
    by_day = _labelled(daily, name, GOOGLE, GOOGLE_NAMES).select(
        *GOOGLE_NAMES,
        pl.lit("Google Display Network").alias("Network (with search partners)"),
        pl.lit("Other").alias("Device"),
        pl.lit(CURRENCY).alias("Currency code"),
        pl.col("impressions").alias("Impr."),
        pl.col("clicks").alias("Clicks"),
        (pl.col("cost") / _MICROS).alias("Cost"),
        pl.col("conversions").cast(pl.Float64).alias("Conversions"),
        pl.lit(0, dtype=pl.Int64).alias("View-through conv."),
        (pl.col("value") / _MICROS).alias("Conv. value"),
        pl.col("conversions").cast(pl.Float64).alias("All conv."),
    )
    return Export(name, {Reports.google_ads: by_day}, _ads(daily, channel="DISPLAY"), _oddities(daily))


def stable_id(*words: str) -> int:
    """A positive number below 2⁴⁰ that these words always have."""
    return int.from_bytes(blake2b("\n".join(words).encode(), digest_size=5).digest(), "big")


def _stable_ids(*words: pl.Expr) -> pl.Expr:
    return pl.concat_str(words, separator="\n").map_elements(
        lambda text: str(stable_id(*text.split("\n"))), return_dtype=pl.String
    )


def _labelled(daily: pl.DataFrame, name: str, platform: int, names: Mapping[str, str]) -> pl.DataFrame:
    """With the report's label columns under its headers."""
    known = daily.with_columns(
        pl.col("date").dt.to_string("iso").alias("day"),
        account_id=pl.lit(PLATFORMS[platform].account_id),
        account_name=pl.lit(name),
        creative_id=pl.lit(None, dtype=pl.String),
        currency=pl.lit(CURRENCY),
    )
    return known.with_columns(
        pl.col("day" if label == "date" else label).alias(header) for header, label in names.items()
    )


def _ads(daily: pl.DataFrame, channel: str | None) -> pl.DataFrame:
    nothing = pl.lit(None, dtype=pl.String)
    labels = ("campaign_id", "campaign_name", "adset_id", "adset_name", "ad_id", "ad_name")
    return (
        daily.group_by(labels, maintain_order=True)
        .agg(first_day=pl.col("date").min())
        .with_columns(
            creative_id=nothing,
            lever_id=nothing,
            format=nothing,
            channel=pl.lit(channel, dtype=pl.String),
            last_day=pl.lit(None, dtype=pl.Date),
        )
    )


def _oddities(daily: pl.DataFrame) -> dict[str, int]:
    odd = {
        "more clicks than impressions": pl.col("clicks") > pl.col("impressions"),
        "more conversions than clicks": pl.col("conversions") > pl.col("clicks"),
    }
    return {name: count for name, such in odd.items() if (count := daily.filter(such).height)}


# --- the site and the shop ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hits:
    """What a site's visitors did.

    Attributes:
        events: by property-local day, in order; every day of the export has some.
        oddities: how many hits or rows look odd, by what is odd. None is left out.
    """

    events: Mapping[date, Sequence[Event]]
    oddities: Mapping[str, int]


def merchandise_store(path: Path) -> Hits:
    """Google's Merchandise Store, hits of Universal Analytics with one row a product, as events of GA4.

    Rows of one hit are one event: `page_view`, or the action of a hit that is none. Hits with `transactions`
    also send a `purchase` worth the visit's total; a visit without a transaction id gets one made of its
    number. Visitor ids were rounded, so a visit stands for the browser. Nobody was asked for consent
    (`Unset`), and traffic has a channel but no source: a parameter of its own. Products are not served.

    Raises:
        ValueError: a column is missing, a number is none, a day does not exist.
    """
    texts = (
        "fullVisitorId", "visitId", "date", "type", "country", "channelGrouping", "currencyCode", "pageTitle",
        "pagePathLevel1", "eCommerceAction_type", "transactionId",
    )  # fmt: skip
    rows = _numbers(
        path,
        _csv(path, texts).with_columns(start=pl.col("visitId")),
        {"start": 1, "time": 1, "transactions": 1, "totalTransactionRevenue": 1},
        optional=("transactions", "totalTransactionRevenue"),
    ).with_columns(day=pl.col("date").str.to_date("%Y%m%d", strict=False))
    _require(path, rows, pl.col("day").is_not_null(), pl.col("date"), "is no day")
    midnight = pl.col("day").cast(pl.Datetime).dt.replace_time_zone(MERCHANDISE_ZONE).dt.epoch("s")
    visit = ("fullVisitorId", "visitId")
    hits = (
        rows.unique((*visit, "time"), keep="first", maintain_order=True)
        .with_columns(
            # A visit still going on at midnight begins again there; its number stays the earlier moment.
            at=pl.max_horizontal("start", midnight) * _MICROS + pl.col("time") * 1_000,
            is_carried_over=pl.col("start") < midnight,
            transaction_id=pl.coalesce(
                pl.col("transactionId").drop_nulls().first().over(visit), pl.format("visit-{}", "visitId")
            ),
        )
        .sort("at", maintain_order=True)
    )
    paid = hits.filter(pl.col("transactions") > 0)
    odd = {
        "rows that are a further product of a hit": rows.height - hits.height,
        "hits of visits carried over midnight": hits.filter("is_carried_over").height,
        "purchases told again by another hit of their visit": paid.height - paid.unique(visit).height,
        "purchases of several transactions": paid.filter(pl.col("transactions") > 1).height,
    }
    events: dict[date, list[Event]] = {day: [] for day in hits["day"].unique().sort()}
    for hit in hits.iter_rows(named=True):
        events[hit["day"]] += _hit_events(hit)
    return Hits(events, {name: count for name, count in odd.items() if count})


def _hit_events(hit: Mapping[str, str | int | None]) -> list[Event]:
    at, visit, country = hit["at"], str(hit["visitId"]), str(hit["country"])
    assert isinstance(at, int)
    seen: dict[str, str | int | float] = {
        "page_location": f"https://shop.example{hit['pagePathLevel1']}",
        "page_title": str(hit["pageTitle"] or ""),
        "ga_session_id": int(visit),
        "channel_grouping": str(hit["channelGrouping"]),
    }
    action = _ACTIONS.get(str(hit["eCommerceAction_type"]), _OTHER_ACTION)
    name = "page_view" if hit["type"] == "PAGE" else action
    events = [Event(name, at, seen, "Unset", visit, country=country)]
    if hit["transactions"]:
        revenue = int(hit["totalTransactionRevenue"] or 0) / _MICROS
        bought = seen | {"currency": str(hit["currencyCode"]), "value": revenue}
        events.append(
            Event(
                "purchase", at + 1_000, bought, "Unset", visit,
                country=country, transaction_id=str(hit["transaction_id"]), revenue=revenue,
            )
        )  # fmt: skip
    return events


def cdnow(path: Path) -> pl.DataFrame:
    """CDNOW's transactions of 1997 and 1998, as rows of a shop's table of orders.

    An order is named after its customer and counted on. All customers came in the first quarter of 1997, so
    the first order of each is a new customer's. There are days and no times; equal rows are two orders.

    Raises:
        ValueError: a column is missing, a line has another number of values, a number is none.
    """
    header, *lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    for number, values in enumerate(lines, start=2):
        if len(values) != len(header):
            raise ValueError(f"{path} line {number}: {len(values)} values for {len(header)} columns.")
    table = pl.DataFrame(lines, schema=header, orient="row")
    rows = _numbers(path, _having(path, table, ("customer_id", "date")), {"dollar_value": 100})
    day = pl.col("date").str.to_date("%Y%m%d", strict=False)
    _require(path, rows, day.is_not_null(), pl.col("date"), "is no day")
    customer, nth = pl.col("customer_id"), pl.int_range(1, pl.len() + 1).over("customer_id")
    return rows.sort("customer_id", "date", maintain_order=True).select(
        order_id=pl.concat_str(customer, nth.cast(pl.String).str.zfill(3), separator="-"),
        store_id=pl.lit(CDNOW),
        ordered_at=day.dt.to_string("iso"),
        customer_id=customer,
        currency=pl.lit("USD"),
        value=pl.col("dollar_value") / 100,
        is_new_customer=nth == 1,
    )


# --- reading -----------------------------------------------------------------------------------------------


def _csv(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    return _having(path, pl.read_csv(path, infer_schema=False), columns)


def _having(path: Path, table: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(
            f"{path}: no column {', '.join(missing)}. Replay reads the export as published; it has "
            f"{', '.join(table.columns)}."
        )
    return table


def _numbers(
    path: Path, table: pl.DataFrame, scales: Mapping[str, int], optional: Sequence[str] = ()
) -> pl.DataFrame:
    """These columns as whole numbers of 1/scale; optional ones may be empty."""
    _having(path, table, tuple(scales))
    for name, scale in scales.items():
        number = (pl.col(name).cast(pl.Float64, strict=False) * scale).round().cast(pl.Int64, strict=False)
        readable = number.is_not_null()
        if name in optional:
            readable |= pl.col(name).is_null()
        _require(path, table, readable, pl.col(name), f"is no number of {name}")
        table = table.with_columns(number.alias(name))
    return table


def _require(path: Path, table: pl.DataFrame, wanted: pl.Expr, value: pl.Expr, fault: str) -> None:
    wrong = table.with_row_index("line", offset=2).filter(~wanted).select("line", value.alias("found"))
    if wrong.height:
        line, found = wrong.row(0)
        raise ValueError(
            f"{path} line {line}: {found!r} {fault}. {wrong.height} of {table.height} rows are like this; "
            "mend the file, or fetch it again."
        )
