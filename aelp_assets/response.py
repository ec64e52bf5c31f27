"""Response assets: which levers compete for the same people, and how signups answer to their spend.

Here: reading levers, what platforms say of them and their days; calling `models.overlap` and
`models.response_curves`. Not here: the mathematics, forecasts and decisions that use the curves.
"""

from datetime import date

import dagster as dg
import polars as pl

from aelp_assets import plots
from aelp_assets.forecasts import LEVER_INPUTS, calendar, weighted
from aelp_assets.metadata import asset_key, check, markdown_table, picture, result, table_out
from aelp_assets.ownership import DECISION_FRESHNESS, MARKETING_SCIENCE
from aelp_assets.partitions import WAREHOUSE_POOL, decision_days, morning_of
from models import overlap
from models import response_curves as curve_models
from models.eligibility import of_eligible
from models.maturity import is_matured
from resources.code_version import module_hash, used_by
from resources.settings import Settings

_KEY = ["platform", "account_id", "lever_id"]
_CURVES_SHOWN = [
    *("cluster", "levers", "usual_spend", "elasticity_p10", "elasticity_p50", "elasticity_p90"),
    *("prior_share", "basis", "evidence_days"),
]
_CLUSTERS_SHOWN = ["track", "lever_id", "cluster", "is_brand_search", "basis"]
_CODE = module_hash(*used_by(__name__))


@dg.multi_asset(
    name="response",
    ins={
        **LEVER_INPUTS,
        "int_lever_traits": dg.AssetIn(key=["intermediate", "int_lever_traits"]),
    },
    outs={
        "lever_clusters": table_out(
            "gaelp_training.lever_clusters", MARKETING_SCIENCE, DECISION_FRESHNESS, _CODE
        ),
        "response_curves": table_out(
            "gaelp_training.response_curves", MARKETING_SCIENCE, DECISION_FRESHNESS, _CODE
        ),
    },
    check_specs=[
        dg.AssetCheckSpec(
            "brand_search_is_told_apart",
            asset=asset_key("gaelp_training.lever_clusters"),
            description="Where the settings name brand search, some lever is brand search or no lever is a "
            "Google search campaign.",
        ),
        dg.AssetCheckSpec(
            "returns_diminish",
            asset=asset_key("gaelp_training.response_curves"),
            blocking=True,
            description="0 < p10 <= p50 <= p90 < 1, and no belief is wider than its prior: else the sampler "
            "would divide money by a broken curve.",
        ),
    ],
    group_name="forecasts",
    partitions_def=decision_days,
    pool=WAREHOUSE_POOL,
)
def response(
    context: dg.AssetExecutionContext,
    int_lever_daily: pl.DataFrame,
    budget_levers: pl.DataFrame,
    decision_accounts: pl.DataFrame,
    int_lever_traits: pl.DataFrame,
    settings: dg.ResourceParam[Settings],
) -> tuple[dg.MaterializeResult, dg.MaterializeResult]:
    """Overlap clusters and their curves of one morning."""
    morning = morning_of(context)
    clusters = lever_clusters(budget_levers, int_lever_traits, settings, morning)
    curves = morning_curves(int_lever_daily, budget_levers, decision_accounts, clusters, settings, morning)
    return by_lever(clusters, int_lever_traits, settings), by_cluster(curves)


def lever_clusters(
    budget_levers: pl.DataFrame, traits: pl.DataFrame, settings: Settings, morning: date
) -> pl.DataFrame:
    """LEVER_CLUSTERS of every lever in a track that was ever seen in these snapshots."""
    known = budget_levers.filter(pl.col("track").is_in(list(settings.tracks)), pl.col("date") <= morning)
    newest = known.sort("date").group_by(_KEY).agg(pl.col("track", "currency").last())
    brand = settings.overlap.brand_search
    rules = overlap.OverlapRules(
        brand_campaigns=brand.campaigns,
        brand_terms=brand.terms,
        path_segments=settings.overlap.landing_path_segments,
    )
    clusters = overlap.overlap_clusters(newest, traits, rules)
    return clusters.select(pl.lit(morning).alias("as_of_date"), pl.all())


def morning_curves(
    lever_days: pl.DataFrame,
    budget_levers: pl.DataFrame,
    accounts: pl.DataFrame,
    clusters: pl.DataFrame,
    settings: Settings,
    morning: date,
) -> pl.DataFrame:
    """RESPONSE_CURVES of a morning, from the matured ordinary days of eligible accounts."""
    matured = is_matured(pl.col("date"), morning, pl.col("maturity_days"))
    days = of_eligible(lever_days, accounts).filter(matured).with_columns(conversions=weighted(settings))
    for event in calendar(settings, days, morning):
        inside = pl.col("date").is_between(event.first_day, event.last_day)
        days = days.filter(~(inside if event.track is None else inside & (pl.col("track") == event.track)))
    bandit = settings.bandit
    return curve_models.response_curves(
        days,
        of_eligible(budget_levers.filter(pl.col("date") < morning), accounts),
        clusters,
        as_of_date=morning,
        prior=curve_models.Prior(
            mean=bandit.elasticity,
            sd=bandit.elasticity_sd,
            brand_mean=bandit.brand_search_elasticity,
            brand_sd=bandit.brand_search_elasticity_sd,
        ),
        brand_may_rise=settings.overlap.brand_search.experiment is not None,
    )


def past_curves(
    lever_days: pl.DataFrame,
    budget_levers: pl.DataFrame,
    accounts: pl.DataFrame,
    traits: pl.DataFrame,
    settings: Settings,
    morning: date,
) -> pl.DataFrame:
    """Each lever's curve as a past morning would have learnt it; of traits only today's are kept."""
    clusters = lever_clusters(budget_levers, traits, settings, morning)
    curves = morning_curves(lever_days, budget_levers, accounts, clusters, settings, morning)
    return curve_models.curves_of_levers(clusters, curves)


def by_lever(clusters: pl.DataFrame, traits: pl.DataFrame, settings: Settings) -> dg.MaterializeResult:
    """`lever_clusters` with what it shows and its check."""
    brand = settings.overlap.brand_search
    searches = traits.filter((pl.col("trait") == "campaign_type") & (pl.col("value") == "SEARCH"))
    missing = bool(brand.campaigns or brand.terms) and not clusters["is_brand_search"].any()
    return result(
        clusters,
        checks=[
            check(
                "brand_search_is_told_apart",
                not (missing and searches.height),
                f"None of {searches['lever_id'].n_unique()} search campaigns fits overlap.brand_search in "
                "the settings: what harvests demand would be raised like what makes it.",
                "gaelp_training.lever_clusters",
                severity=dg.AssetCheckSeverity.WARN,
            )
        ],
        columns=_CLUSTERS_SHOWN,
        key="gaelp_training.lever_clusters",
        cluster_count=clusters["cluster"].n_unique(),
        by_basis=markdown_table(clusters.group_by("basis").len("levers").sort("basis")),
    )


def by_cluster(curves: pl.DataFrame) -> dg.MaterializeResult:
    """`response_curves` with what it shows and its check."""
    low, middle, high = (pl.col(f"elasticity_p{level}") for level in (10, 50, 90))
    sound = (low > 0) & (low <= middle) & (middle <= high) & (high < 1)
    wrong = curves.filter(~(sound & pl.col("prior_share").is_between(0, 1 + 1e-9)).fill_null(value=False))
    return dg.MaterializeResult(
        asset_key=asset_key("gaelp_training.response_curves"),
        value=curves,
        metadata={
            "preview": markdown_table(curves.sort("usual_spend", descending=True), columns=_CURVES_SHOWN),
            "plot": picture(plots.response_curves(curves)),
            "learnt_of": int((curves["basis"] != "none").sum()),
        },
        check_results=[
            check(
                "returns_diminish",
                wrong.is_empty(),
                f"{wrong.height} clusters have no usable curve: {wrong['cluster'].to_list()[:5]}.",
                "gaelp_training.response_curves",
            )
        ],
    )
