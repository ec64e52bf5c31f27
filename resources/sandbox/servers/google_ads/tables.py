"""The Google account as one frame per resource, columns named by field path.

Here: what each resource of the API would hold. Not here: GAQL (`gaql`) or the wire (`messages`, `server`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl

from resources.sandbox.backend_frames import google_budget_id
from resources.sandbox.catalogue import CURRENCY, GOOGLE, PLATFORMS, TIMEZONE
from resources.sandbox.servers.account import Served
from resources.sandbox.servers.google_ads.writes import Written

CUSTOMER_ID = PLATFORMS[GOOGLE].account_id.replace("-", "")
PURCHASE, NEWSLETTER = 6_471_180_001, 6_471_180_002
_MICROS = 1_000_000
_SYSTEM_STATUS = {"learning": "LEARNING_BUDGET_CHANGE", "active": "ENABLED", "limited": "LIMITED_BY_DATA"}


def name_of(collection: str, *parts: str) -> pl.Expr:
    """Resource names: customers/{customer}/{collection}/{a}~{b}."""
    tail = pl.concat_str([pl.col(part).cast(pl.String) for part in parts], separator="~")
    return pl.format(f"customers/{CUSTOMER_ID}/{collection}/{{}}", tail)


class Tables:
    """Resources of the account as known now.

    Args:
        removed_ads: ids of ads somebody deleted.
        edits: other values of campaign fields, by campaign id and field path.
        written: changes made through the API, oldest first.
        without_ads: ids of campaigns shown as Performance Max: they have no ad groups and no ads.

    `switched` are the latest statuses of ad groups, ads and keywords set through the API, by resource name.
    """

    def __init__(
        self,
        served: Served,
        removed_ads: set[str],
        edits: Mapping[int, Mapping[str, object]],
        written: list[Written],
        without_ads: frozenset[str],
    ) -> None:
        self._served = served
        self._edits = edits
        self._written = written
        self.switched: dict[str, str] = {}
        self._removed = removed_ads
        self._without_ads = [int(campaign) for campaign in without_ads]

    def table(self, resource: str) -> pl.DataFrame | None:
        """A resource with what may be selected beside it; None where there is no such resource."""
        entities = {
            "customer": self.customer,
            "campaign": lambda: self.campaigns().join(self.customer(), how="cross"),
            "ad_group": self.ad_groups,
            "ad_group_ad": self.ads,
            "ad_group_criterion": self.keywords,
            "asset_group": self.asset_groups,
            "conversion_action": self.conversion_actions,
            "currency_constant": self.currency_constants,
            "recommendation": self.recommendations,
        }
        return entities[resource]() if resource in entities else None

    # --- entities ------------------------------------------------------------------------------------

    def customer(self) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "customer.id": int(CUSTOMER_ID),
                "customer.resource_name": f"customers/{CUSTOMER_ID}",
                "customer.descriptive_name": self._served.account_name(GOOGLE),
                "customer.currency_code": CURRENCY,
                "customer.time_zone": TIMEZONE,
                "customer.status": "ENABLED",
                "customer.manager": False,
            }
        )

    def campaigns(self) -> pl.DataFrame:
        """Campaigns that were ever launched, with their budgets as far as they are known."""
        known = self._served.known
        named = self._served.ads(GOOGLE).select("campaign_id", "campaign_name", "channel")
        levers = named.unique(maintain_order=True).join(
            self.levers(known, known), on="campaign_id", how="left", maintain_order="left"
        )
        budgets = self._last_written("CAMPAIGN_BUDGET")
        statuses = self._last_written("CAMPAIGN")
        is_max = pl.col("campaign.id").is_in(self._without_ads)
        campaigns = levers.select(
            pl.col("campaign_id").cast(pl.Int64).alias("campaign.id"),
            pl.col("campaign_name").alias("campaign.name"),
            pl.col("status")
            .fill_null("active")
            .replace_strict({"active": "ENABLED", "paused": "PAUSED"})
            .alias("campaign.status"),
            pl.col("learning_state")
            .replace_strict(_SYSTEM_STATUS)
            .alias("campaign.bidding_strategy_system_status"),
            pl.lit("SERVING").alias("campaign.serving_status"),
            pl.lit("MAXIMIZE_CONVERSIONS").alias("campaign.bidding_strategy_type"),
            pl.lit(f"{self._served.start} 00:00:00").alias("campaign.start_date_time"),
            google_budget_id(pl.col("campaign_id").cast(pl.Int64)).alias("campaign_budget.id"),
            pl.col("campaign_name").alias("campaign_budget.name"),
            (pl.col("budget") * 100)
            .round(0)
            .cast(pl.Int64)
            .mul(10_000)
            .alias("campaign_budget.amount_micros"),
            pl.lit(None, dtype=pl.Int64).alias("campaign_budget.total_amount_micros"),
            pl.col("is_shared").alias("campaign_budget.explicitly_shared"),
            pl.lit(1).alias("campaign_budget.reference_count"),
            pl.lit("DAILY").alias("campaign_budget.period"),
            pl.lit("ENABLED").alias("campaign_budget.status"),
            "channel",
        ).with_columns(
            name_of("campaigns", "campaign.id").alias("campaign.resource_name"),
            name_of("campaignBudgets", "campaign_budget.id").alias("campaign_budget.resource_name"),
            name_of("campaignBudgets", "campaign_budget.id").alias("campaign.campaign_budget"),
            pl.when(is_max)
            .then(pl.lit("PERFORMANCE_MAX"))
            .otherwise(pl.col("channel"))
            .alias("campaign.advertising_channel_type"),
            pl.coalesce(
                pl.col("campaign.id").replace_strict(budgets, default=None, return_dtype=pl.Int64),
                "campaign_budget.amount_micros",
            ).alias("campaign_budget.amount_micros"),
            pl.coalesce(
                pl.col("campaign.id").replace_strict(statuses, default=None, return_dtype=pl.String),
                "campaign.status",
            ).alias("campaign.status"),
        )
        for campaign, fields in self._edits.items():
            mine = pl.col("campaign.id") == campaign
            campaigns = campaigns.with_columns(
                pl.when(mine).then(pl.lit(value)).otherwise(pl.col(path)).alias(path)
                for path, value in fields.items()
            )
        return campaigns

    def ad_groups(self) -> pl.DataFrame:
        groups = (
            self._served.ads(GOOGLE)
            .select(
                pl.col("adset_id").cast(pl.Int64).alias("ad_group.id"),
                pl.col("adset_name").alias("ad_group.name"),
                pl.col("campaign_id").cast(pl.Int64).alias("campaign.id"),
                pl.lit("ENABLED").alias("ad_group.status"),
            )
            .unique(maintain_order=True)
            .join(self.campaigns(), on="campaign.id", how="inner", maintain_order="left")
        )
        search = pl.col("campaign.advertising_channel_type") == "SEARCH"
        return (
            groups.filter(~pl.col("campaign.id").is_in(self._without_ads))
            .with_columns(
                name_of("adGroups", "ad_group.id").alias("ad_group.resource_name"),
                pl.when(search)
                .then(pl.lit("SEARCH_STANDARD"))
                .otherwise(pl.lit("DISPLAY_STANDARD"))
                .alias("ad_group.type"),
            )
            .pipe(self._as_switched, "ad_group")
        )

    def ads(self) -> pl.DataFrame:
        """Ads that ever ran; those that ended or were deleted are REMOVED. Ads without texts are banners."""
        known, text_ad = self._served.known, "ad_group_ad.ad.responsive_search_ad"
        texts = self._served.creatives(GOOGLE).select("creative_id", "headline", "body", "link_url")
        has_texts = pl.col("headline").is_not_null()
        return (
            self._served.ads(GOOGLE)
            .filter(pl.col("first_day") <= known)
            .join(texts, on="creative_id", how="left", maintain_order="left")
            .select(
                pl.col("ad_id").cast(pl.Int64).alias("ad_group_ad.ad.id"),
                pl.col("adset_id").cast(pl.Int64).alias("ad_group.id"),
                pl.col("ad_name").alias("ad_group_ad.ad.name"),
                pl.when(has_texts)
                .then(pl.lit("RESPONSIVE_SEARCH_AD"))
                .otherwise(pl.lit("IMAGE_AD"))
                .alias("ad_group_ad.ad.type"),
                pl.when(pl.col("ad_id").is_in(list(self._removed)) | (pl.col("last_day") <= known))
                .then(pl.lit("REMOVED"))
                .otherwise(pl.lit("ENABLED"))
                .alias("ad_group_ad.status"),
                pl.when(has_texts).then(pl.concat_list("link_url")).alias("ad_group_ad.ad.final_urls"),
                pl.when(has_texts)
                .then(pl.concat_list("headline", pl.lit("Cancel any time")))
                .alias(f"{text_ad}.headlines"),
                pl.when(has_texts).then(pl.concat_list("body")).alias(f"{text_ad}.descriptions"),
            )
            .join(self.ad_groups(), on="ad_group.id", how="inner", maintain_order="left")
            .with_columns(
                name_of("adGroupAds", "ad_group.id", "ad_group_ad.ad.id").alias("ad_group_ad.resource_name")
            )
            .pipe(self._as_switched, "ad_group_ad")
        )

    def keywords(self) -> pl.DataFrame:
        """Two keywords in every search ad group: its name as a phrase and as an exact match."""
        matches = pl.DataFrame({"ad_group_criterion.keyword.match_type": ["PHRASE", "EXACT"], "nth": [1, 2]})
        return (
            self.ad_groups()
            .filter(pl.col("ad_group.type") == "SEARCH_STANDARD")
            .join(matches, how="cross")
            .with_columns(
                (pl.col("ad_group.id") * 10 + pl.col("nth")).alias("ad_group_criterion.criterion_id"),
                pl.col("ad_group.name").alias("ad_group_criterion.keyword.text"),
                pl.lit("KEYWORD").alias("ad_group_criterion.type"),
                pl.lit("ENABLED").alias("ad_group_criterion.status"),
                pl.lit(False).alias("ad_group_criterion.negative"),
            )
            .with_columns(
                name_of("adGroupCriteria", "ad_group.id", "ad_group_criterion.criterion_id").alias(
                    "ad_group_criterion.resource_name"
                )
            )
            .pipe(self._as_switched, "ad_group_criterion")
        )

    def _as_switched(self, rows: pl.DataFrame, resource: str) -> pl.DataFrame:
        """The rows with what was switched through the API; what is removed stays so."""
        name, status = f"{resource}.resource_name", f"{resource}.status"
        written = pl.col(name).replace_strict(self.switched, default=None, return_dtype=pl.String)
        latest = pl.when(pl.col(status) == "REMOVED").then(pl.col(status)).otherwise(written)
        return rows.with_columns(pl.coalesce(latest, status).alias(status))

    def asset_groups(self) -> pl.DataFrame:
        """One asset group in every Performance Max campaign."""
        return (
            self.campaigns()
            .filter(pl.col("campaign.id").is_in(self._without_ads))
            .with_columns(
                (pl.col("campaign.id") + 9_000_000_000).alias("asset_group.id"),
                pl.col("campaign.name").alias("asset_group.name"),
                pl.col("campaign.status").alias("asset_group.status"),
            )
            .with_columns(name_of("assetGroups", "asset_group.id").alias("asset_group.resource_name"))
        )

    def conversion_actions(self) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "conversion_action.id": [PURCHASE, NEWSLETTER],
                "conversion_action.name": ["Purchase", "Newsletter sign-up"],
                "conversion_action.status": "ENABLED",
                "conversion_action.type": "WEBPAGE",
                "conversion_action.category": ["PURCHASE", "SIGNUP"],
                "conversion_action.primary_for_goal": [True, False],
                "conversion_action.include_in_conversions_metric": [True, False],
                "conversion_action.counting_type": ["MANY_PER_CLICK", "ONE_PER_CLICK"],
                "conversion_action.click_through_lookback_window_days": [30, 90],
                "conversion_action.view_through_lookback_window_days": [1, 1],
                "conversion_action.attribution_model_settings.attribution_model": (
                    "GOOGLE_SEARCH_ATTRIBUTION_DATA_DRIVEN"
                ),
            }
        ).with_columns(
            name_of("conversionActions", "conversion_action.id").alias("conversion_action.resource_name")
        )

    def currency_constants(self) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "currency_constant.code": ["USD", "JPY"],
                "currency_constant.billable_unit_micros": [10_000, _MICROS],
                "currency_constant.demand_gen_info.minimum_budget_per_day_micros": [
                    5 * _MICROS,
                    500 * _MICROS,
                ],
            }
        )

    # --- what is recommended, what was written -------------------------------------------------------

    def _last_written(self, resource_type: str) -> dict[int, int | str]:
        """The newest value by campaign."""
        return {w.campaign_id: w.new for w in self._written if w.resource_type == resource_type}

    def budgets(self) -> dict[str, tuple[int, int]]:
        """Campaign id and amount in micros by the budget's resource name."""
        wanted = ("campaign_budget.resource_name", "campaign.id", "campaign_budget.amount_micros")
        return {
            name: (campaign, value) for name, campaign, value in self.campaigns().select(wanted).iter_rows()
        }

    def statuses(self) -> dict[str, tuple[int, str]]:
        """Campaign id and status by the campaign's resource name."""
        wanted = ("campaign.resource_name", "campaign.id", "campaign.status")
        return {
            name: (campaign, value) for name, campaign, value in self.campaigns().select(wanted).iter_rows()
        }

    def switches(self, resource: str) -> dict[str, tuple[str | None, str]]:
        """The account's own id (a keyword has none) and the status of ad groups, ads or keywords, by name."""
        frames = {"ad_group": self.ad_groups, "ad_group_ad": self.ads, "ad_group_criterion": self.keywords}
        ids = {"ad_group": pl.col("ad_group.id"), "ad_group_ad": pl.col("ad_group_ad.ad.id")}
        own = ids.get(resource, pl.lit(None)).cast(pl.String).alias("own")
        found = frames[resource]().select(f"{resource}.resource_name", own, f"{resource}.status")
        return {name: (entity, status) for name, entity, status in found.iter_rows()}

    def recommendations(self) -> pl.DataFrame:
        """A fifth more budget for every campaign: what the platform likes to recommend."""
        budget = pl.col("campaign_budget.amount_micros")
        kind = "recommendation.campaign_budget_recommendation"
        impact = "recommendation.impact"
        known = self.campaigns().filter(budget.is_not_null())
        return known.select(
            name_of("recommendations", "campaign.id").alias("recommendation.resource_name"),
            pl.lit("CAMPAIGN_BUDGET").alias("recommendation.type"),
            pl.lit(False).alias("recommendation.dismissed"),
            pl.col("campaign.resource_name").alias("recommendation.campaign"),
            pl.col("campaign.id"),
            budget.alias(f"{kind}.current_budget_amount_micros"),
            (budget * 6 // 5).alias(f"{kind}.recommended_budget_amount_micros"),
            budget.alias(f"{impact}.base_metrics.cost_micros"),
            (budget * 6 // 5).alias(f"{impact}.potential_metrics.cost_micros"),
            pl.lit(10.0).alias(f"{impact}.base_metrics.clicks"),
            pl.lit(12.0).alias(f"{impact}.potential_metrics.clicks"),
            pl.lit(2.0).alias(f"{impact}.base_metrics.conversions"),
            pl.lit(2.4).alias(f"{impact}.potential_metrics.conversions"),
        )

    # --- budgets of the past ---------------------------------------------------------------------------

    def levers(self, first: date, last: date) -> pl.DataFrame:
        return self._served.levers(GOOGLE, first, last)

    def levers_lately(self, days: int) -> pl.DataFrame:
        """Every lever at the close of each of the last so many known days."""
        known = self._served.known
        return self.levers(known - timedelta(days=days - 1), known)
