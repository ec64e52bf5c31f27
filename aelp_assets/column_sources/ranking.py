"""Sources of scores of ads, of the cards people read, and of drift.

Here: the weekly ranking. Not here: what creatives are like (`creatives`), slates (`launches`).
"""

from aelp_assets.column_sources.notation import Columns, Maker, carried, computed, declared, made, rows_by
from resources.warehouse.tables import CREATIVE_FEATURES

_CREATIVES = "gaelp_training.creative_objects"
_DELIVERED = "intermediate.int_creative_placement_daily"
_EMBEDDED = "gaelp_training.creative_embeddings"
_MEASURED = "gaelp_training.creative_features"
_TESTS = "gaelp_training.ab_experiments"
_CELLS = "intermediate.int_experiment_cells"
_ARMS = "intermediate.int_experiment_arms"
_SCORES = "gaelp_training.ad_scores"
_EVALUATIONS = "gaelp_training.ranker_evaluations"

_CREATIVE = "platform account_id creative_id"
_TEXTS = "headline body call_to_action"
_TRAITS = " ".join(name for name in CREATIVE_FEATURES.column_names if name.startswith(("text_", "image_")))
_RATES: Columns = {_DELIVERED: "date impressions clicks conversions_click"}
_CONTENT = {
    _EMBEDDED: "content_sha256 vector modality embedder weights_sha256",
    _MEASURED: f"content_hash content_sha256 {_TRAITS}",
    _CREATIVES: f"{_TEXTS} content_hash content_sha256",
}
_TAUGHT = {
    _CELLS: "impressions link_clicks conversions_click period_start period_end is_control",
    _ARMS: f"{_TEXTS} content_sha256 content_hash",
    _TESTS: "is_valid verdict",
}
_LEARNT = (_RATES, _CONTENT, _TAUGHT)
_OF_EVERY_RANKING = rows_by(
    {
        _CREATIVES: _CREATIVE,
        _DELIVERED: f"date track campaign_id placement {_CREATIVE} cost conversions_view",
        _TESTS: "as_of_date platform account_id test_id kind metric first_day last_day track",
        _CELLS: "platform account_id test_id arm kind primary_metric cell track users",
        _ARMS: "platform account_id test_id arm creative_id description image_id",
    }
)
RANKER_EVALUATIONS = declared(
    _EVALUATIONS,
    made("as_of_date", Maker.MORNING),
    made("rate candidate", Maker.CODE, Maker.SETTINGS),
    computed("is_champion may_score reasons judged_on judged_arms learnt_from", *_LEARNT),
    computed("pairs_right significant_pairs_right area_under_curve top_one precision_*", *_LEARNT),
    computed("calibration_error chance_calibration_error lowest_coverage", *_LEARNT),
    made("is_champion may_score pairs_right", Maker.SEED),
    _OF_EVERY_RANKING,
)
RANKER_MODELS = declared(
    "gaelp_training.ranker_models",
    made("as_of_date", Maker.MORNING),
    made("rate candidate format_version code_version", Maker.CODE),
    computed("sha256 artifact bytes model_version", *_LEARNT),
    made("sha256 artifact bytes", Maker.ARTIFACT, Maker.SEED),
    computed("text_embedder image_embedder text_weights_sha256 image_weights_sha256", _CONTENT),
    computed("text_version image_version", {_MEASURED: "text_version image_version"}),
    computed("arms creatives learnt_through", _RATES, _TAUGHT),
    made("text_embedder image_embedder", Maker.SETTINGS),
    _OF_EVERY_RANKING,
)
AD_SCORES = declared(
    _SCORES,
    made("as_of_date", Maker.MORNING),
    carried(_CREATIVES, _CREATIVE),
    carried(_DELIVERED, "track placement"),
    computed("ctr_score ctr_lower_bound p_above_placement ctr_multiplier p_one_click", *_LEARNT),
    computed("cvr_score cvr_multiplier", *_LEARNT),
    computed("delivered_impressions", {_DELIVERED: "impressions"}),
    computed("model_version", *_LEARNT),
    made("model_version", Maker.CODE, Maker.SETTINGS),
    _OF_EVERY_RANKING,
)
_FALLING: Columns = {_DELIVERED: "date impressions clicks"}
CREATIVE_FATIGUE = declared(
    "gaelp_training.creative_fatigue",
    made("as_of_date method_version", Maker.MORNING, Maker.CODE),
    carried(_DELIVERED, f"{_CREATIVE} track placement impressions clicks"),
    computed("basis days exposure", {_DELIVERED: "date impressions"}),
    computed("slope_* p_fatigues ctr_at_start days_to_half_* placement_slope", _FALLING),
    computed("season_slope_* not_enough_data", _FALLING),
    rows_by({_DELIVERED: "campaign_id cost conversions_click conversions_view"}),
)
_SCORED = {_SCORES: "ctr_score cvr_score placement delivered_impressions model_version"}
_OF_EVERY_CARD = rows_by(
    {
        _CREATIVES: _CREATIVE,
        _DELIVERED: f"date track campaign_id placement {_CREATIVE} conversions_view",
        _SCORES: f"as_of_date track {_CREATIVE} placement ctr_lower_bound p_above_placement ctr_multiplier "
        "cvr_multiplier p_one_click",
        _EVALUATIONS: "as_of_date rate candidate is_champion may_score judged_on learnt_from",
    }
)
_BROUGHT = "impressions clicks expected_clicks matured_* conversions ctr* cvr* cac*"
_RESULTS: Columns = {_DELIVERED: "date placement impressions clicks cost conversions_click"}
SCORE_CARDS = declared(
    "gaelp_training.score_cards",
    made("as_of_date", Maker.MORNING),
    carried(_SCORES, f"track {_CREATIVE}"),
    computed("lead lead_rank rivals", _SCORED),
    computed("not_scored", {_EVALUATIONS: "reasons may_score"}, _SCORED),
    computed("drivers_tell", _SCORED, _CONTENT),
    made("policy_profile", Maker.SETTINGS),
    computed("texts_pass text_flags", {_CREATIVES: _TEXTS}),
    made("texts_pass text_flags", Maker.SETTINGS),
    computed("lexicon_hits", {_MEASURED: _TRAITS}),
    carried(_CREATIVES, "content_sha256"),
    computed(_BROUGHT, _RESULTS),
    computed("fatigue_placement slope_* p_fatigues ctr_at_start no_fatigue", _FALLING),
    _OF_EVERY_CARD,
)
AD_SCORE_DRIVERS = declared(
    "gaelp_training.ad_score_drivers",
    made("as_of_date", Maker.MORNING),
    carried(_SCORES, f"track {_CREATIVE}"),
    made("kind driver", Maker.CODE),
    computed("contribution*", _SCORED, _CONTENT),
    computed("value average", {_MEASURED: _TRAITS}),
    made("contribution*", Maker.SEED),
    _OF_EVERY_CARD,
)
AD_LOOK_ALIKES = declared(
    "gaelp_training.ad_look_alikes",
    made("as_of_date", Maker.MORNING),
    carried(_SCORES, f"track {_CREATIVE}"),
    made("space", Maker.CODE),
    computed("rank cosine", {_EMBEDDED: "vector"}),
    computed("embedder", {_EMBEDDED: "embedder weights_sha256"}),
    made("embedder", Maker.SETTINGS),
    computed("alike_platform", {_CREATIVES: "platform"}),
    computed("alike_account_id", {_CREATIVES: "account_id"}),
    computed("alike_creative_id", {_CREATIVES: "creative_id"}),
    computed(_BROUGHT, _RESULTS),
    _OF_EVERY_CARD,
)
CREATIVE_DRIFT = declared(
    "gaelp_training.creative_drift",
    made("as_of_date", Maker.MORNING),
    made("kind name drift_limit", Maker.CODE),
    computed("scored_on", {_SCORES: "as_of_date"}),
    computed("value* is_drift", _CONTENT, _RESULTS, _SCORED, {_SCORES: "ctr_lower_bound"}),
    computed("learnt since cases not_told", {_CREATIVES: "first_seen"}, _RESULTS),
    _OF_EVERY_CARD,
)
