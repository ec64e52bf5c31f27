"""The Google account's numbers by day, columns named by field path.

Here: ad by day, network and device, what adds up from it and how it falls upon hours and people. Not here:
entities (`tables`), GAQL (`gaql`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl

from resources.sandbox.catalogue import TIMEZONE
from resources.sandbox.frames import Reports
from resources.sandbox.servers.account import Served
from resources.sandbox.servers.breakdowns import BY_AGE, BY_GENDER, HOURS, Parts, broken_down
from resources.sandbox.servers.google_ads.tables import CUSTOMER_ID, NEWSLETTER, PURCHASE, Tables
from resources.sandbox.servers.hours import told_hours

REPORTING_DELAY = timedelta(hours=3)  # the most Google announces for costs
_MILLIONTHS = 1_000_000
_CENT = 10_000
_NETWORKS = {
    "Google search": "SEARCH",
    "Search partners": "SEARCH_PARTNERS",
    "Google Display Network": "CONTENT",
}
# Google's own ids of these criteria, in the order of the parts.
_AGES = {
    503001: "AGE_RANGE_18_24",
    503002: "AGE_RANGE_25_34",
    503003: "AGE_RANGE_35_44",
    503004: "AGE_RANGE_45_54",
    503005: "AGE_RANGE_55_64",
    503006: "AGE_RANGE_65_UP",
    503999: "AGE_RANGE_UNDETERMINED",
}
_GENDERS = {11: "FEMALE", 10: "MALE", 20: "UNDETERMINED"}
_DEVICES = {"Mobile phones": "MOBILE", "Computers": "DESKTOP", "Tablets": "TABLET", "Other": "OTHER"}


class Performance:
    """Reports of the account as known now; `tables` has what its rows belong to."""

    def __init__(self, served: Served, tables: Tables, without_ads: frozenset[str]) -> None:
        self._served = served
        self._tables = tables
        self._without_ads = [int(campaign) for campaign in without_ads]

    def table(self, resource: str, first: date, last: date, *, by_hour: bool = False) -> pl.DataFrame | None:
        """A resource's report with what may be selected beside it; None where there is none.

        Args:
            by_hour: whether the hour is asked for; campaigns alone are served by hour.
        """
        if by_hour:
            return self._by_hour(first, last) if resource == "campaign" else None
        reports = {
            "age_range_view": self._by_age,
            "gender_view": self._by_gender,
            "ad_group_ad": self._by_ad,
            "ad_group": self._by_ad_group,
            "campaign": self._by_campaign,
            "keyword_view": self._by_keyword,
        }
        return reports[resource](first, last) if resource in reports else None

    def _by_ad(self, first: date, last: date) -> pl.DataFrame:
        ads = self._tables.ads().join(self._tables.customer(), how="cross")
        return self._days(first, last).join(
            ads, on=["campaign.id", "ad_group.id", "ad_group_ad.ad.id"], how="inner", maintain_order="left"
        )

    def _by_campaign(self, first: date, last: date) -> pl.DataFrame:
        return self._of_campaigns(_with_actions(self._days(first, last)))

    def _of_campaigns(self, rows: pl.DataFrame) -> pl.DataFrame:
        campaigns = self._tables.campaigns().join(self._tables.customer(), how="cross")
        return rows.join(campaigns, on="campaign.id", how="inner", maintain_order="left")

    def _by_ad_group(self, first: date, last: date) -> pl.DataFrame:
        groups = self._tables.ad_groups().join(self._tables.customer(), how="cross")
        return _with_actions(self._days(first, last)).join(
            groups, on=["campaign.id", "ad_group.id"], how="inner", maintain_order="left"
        )

    def _by_hour(self, first: date, last: date) -> pl.DataFrame:
        if first == last == self._served.today:
            return self._of_campaigns(self._hours_today())
        hours = self._parted(first, last, ["segments.date", "campaign.id"], HOURS)
        return self._of_campaigns(hours.rename({"part": "segments.hour"}))

    def _hours_today(self) -> pl.DataFrame:
        """Today's delivery by the hour of the account's clock, as far as it is told by now."""
        served = self._served
        told = told_hours(served.today, served.now(), TIMEZONE, REPORTING_DELAY)
        cells = self._cells(served.rows_today(Reports.google_ads))
        counts = [
            name for name in cells.columns if name.startswith("metrics.") and cells[name].dtype == pl.Int64
        ]

        def by(name: str, share: float) -> pl.Expr:
            return (pl.col(name) * share).floor().cast(pl.Int64)

        hours = [
            cells.with_columns(
                pl.lit(hour.hour).alias("segments.hour"),
                *(by(name, hour.after) - by(name, hour.before) for name in counts),
            )
            for hour in told
        ]
        whole = cells.clear().with_columns(pl.lit(0).alias("segments.hour"))
        return pl.concat([whole, *hours])

    def _by_age(self, first: date, last: date) -> pl.DataFrame:
        return self._by_criterion(first, last, BY_AGE, _AGES, "ad_group_criterion.age_range.type")

    def _by_gender(self, first: date, last: date) -> pl.DataFrame:
        return self._by_criterion(first, last, BY_GENDER, _GENDERS, "ad_group_criterion.gender.type")

    def _by_criterion(
        self, first: date, last: date, parts: Parts, criteria: Mapping[int, str], path: str
    ) -> pl.DataFrame:
        """Ad groups by day and criterion; campaigns without ad groups have none."""
        groups = self._tables.ad_groups().join(self._tables.customer(), how="cross")
        named = pl.DataFrame(
            {
                "part": list(range(len(criteria))),
                "ad_group_criterion.criterion_id": list(criteria),
                path: list(criteria.values()),
            }
        )
        rows = self._parted(first, last, ["segments.date", "campaign.id", "ad_group.id"], parts)
        return rows.join(named, on="part", maintain_order="left").join(
            groups, on=["campaign.id", "ad_group.id"], how="inner", maintain_order="left"
        )

    def _parted(self, first: date, last: date, keys: list[str], parts: Parts) -> pl.DataFrame:
        names = ("impressions", "clicks", "cost_micros", "conversions", "conversions_value")
        metrics = [f"metrics.{name}" for name in names]
        totals = (
            self._days(first, last)
            .group_by(keys, maintain_order=True)
            .agg(pl.col(name).sum().cast(pl.Int64) for name in metrics)
        )
        # The same day is told to the cent, so millionths are divided as cents.
        cost = (pl.col(metrics[2]) // _CENT, pl.col(metrics[2]) * _CENT)
        seeds = totals.select(pl.concat_str(pl.col(keys).cast(pl.String), separator="|"))
        return broken_down(
            totals.with_columns(cost[0]),
            parts,
            seeds.to_series(),
            delivery=(metrics[0], metrics[2]),
            clicks=(metrics[1],),
            purchases={metrics[3]: _MILLIONTHS},
            values={metrics[4]: metrics[3]},
        ).with_columns(cost[1])

    def _by_keyword(self, first: date, last: date) -> pl.DataFrame:
        """An ad group's numbers shared between its two keywords: a third, and what remains."""
        keywords = self._tables.keywords().join(self._tables.customer(), how="cross")
        parts = self._days(first, last).join(
            keywords, on=["campaign.id", "ad_group.id"], how="inner", maintain_order="left"
        )
        metrics = [name for name in parts.columns if name.startswith("metrics.")]
        third = {name: pl.col(name) // 3 for name in metrics}
        return parts.with_columns(
            pl.when(pl.col("nth") == 1).then(third[name]).otherwise(pl.col(name) - third[name]).alias(name)
            for name in metrics
        )

    def _days(self, first: date, last: date) -> pl.DataFrame:
        return self._cells(self._served.rows(Reports.google_ads, first, last))

    def _cells(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Ad by day, network and device; money and conversions in millionths."""
        is_max = pl.col("campaign.id").is_in(self._without_ads)

        def millionths(column: str) -> pl.Expr:
            return (pl.col(column) * _MILLIONTHS).round(0).cast(pl.Int64)

        # Of ten clicks one signs up for the newsletter, unless the account says what else it counts.
        sign_ups = pl.col("Clicks") // 10 * _MILLIONTHS
        everything = (
            millionths("All conv.") if "All conv." in rows.columns else millionths("Conversions") + sign_ups
        )

        return rows.select(
            pl.col("Day").alias("segments.date"),
            pl.col("Campaign ID").cast(pl.Int64).alias("campaign.id"),
            pl.col("Ad group ID").cast(pl.Int64).alias("ad_group.id"),
            pl.col("Ad ID").cast(pl.Int64).alias("ad_group_ad.ad.id"),
            pl.col("Network (with search partners)")
            .replace_strict(_NETWORKS)
            .alias("segments.ad_network_type"),
            pl.col("Device").replace_strict(_DEVICES).alias("segments.device"),
            pl.col("Impr.").alias("metrics.impressions"),
            pl.col("Clicks").alias("metrics.clicks"),
            millionths("Cost").alias("metrics.cost_micros"),
            millionths("Conversions").alias("metrics.conversions"),
            millionths("Conv. value").alias("metrics.conversions_value"),
            pl.col("View-through conv.").alias("metrics.view_through_conversions"),
            everything.alias("metrics.all_conversions"),
            millionths("Conv. value").alias("metrics.all_conversions_value"),
            pl.lit(0).alias("metrics.video_trueview_views"),
            *(
                pl.lit(0.0).alias(f"metrics.video_{rate}_rate")
                for rate in ("trueview_view", "quartile_p25", "quartile_p50", "quartile_p75", "quartile_p100")
            ),
        ).with_columns(
            pl.when(is_max)
            .then(pl.lit("MIXED"))
            .otherwise(pl.col("segments.ad_network_type"))
            .alias("segments.ad_network_type")
        )


def _with_actions(cells: pl.DataFrame) -> pl.DataFrame:
    """Every row once per conversion action; other metrics ride on the first, so that sums stay right."""
    action = pl.lit(f"customers/{CUSTOMER_ID}/conversionActions/")
    other = pl.col("metrics.all_conversions") - pl.col("metrics.conversions")
    named = (
        "segments.conversion_action",
        "segments.conversion_action_name",
        "segments.conversion_action_category",
    )
    metrics = [name for name in cells.columns if name.startswith("metrics.")]
    purchases = cells.with_columns(
        (action + str(PURCHASE)).alias(named[0]),
        pl.lit("Purchase").alias(named[1]),
        pl.lit("PURCHASE").alias(named[2]),
        pl.col("metrics.conversions").alias("metrics.all_conversions"),
    )
    newsletter = cells.with_columns(
        (action + str(NEWSLETTER)).alias(named[0]),
        pl.lit("Newsletter sign-up").alias(named[1]),
        pl.lit("SIGNUP").alias(named[2]),
        *((pl.col(name) * 0).alias(name) for name in metrics if name != "metrics.all_conversions"),
        other.alias("metrics.all_conversions"),
    ).filter(pl.col("metrics.all_conversions") > 0)
    return pl.concat([purchases, newsletter])
