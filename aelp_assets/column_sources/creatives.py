"""Sources of what creatives are like: vectors and measures of contents.

Here: what is read from texts, images and videos. Tables name a content, its bytes lie in files.
"""

from aelp_assets.column_sources.notation import Maker, computed, declared, made, rows_by

_CREATIVES = "gaelp_training.creative_objects"
_ARMS = "intermediate.int_experiment_arms"

_CREATIVE = "platform account_id creative_id"
_TEXTS = "headline body call_to_action"
_SAID = {_CREATIVES: _TEXTS, _ARMS: _TEXTS}
_SHOWN = {_CREATIVES: "content_sha256", _ARMS: "content_sha256"}
_OF_ARMS = "platform account_id test_id arm creative_id description image_id"
CREATIVE_EMBEDDINGS = declared(
    "gaelp_training.creative_embeddings",
    computed("content_sha256 vector", _SAID, _SHOWN),
    made("modality", Maker.CODE),
    made("embedder", Maker.SETTINGS),
    made("content_sha256 vector weights_sha256 dimensions", Maker.MEDIA),  # videos' come with their measures
    made("embedded_at", Maker.CLOCK),
    rows_by({_CREATIVES: _CREATIVE, _ARMS: f"{_OF_ARMS} content_hash"}),
)
CREATIVE_FEATURES = declared(
    "gaelp_training.creative_features",
    computed("content_hash", {_CREATIVES: "content_hash", _ARMS: "content_hash"}),
    computed("content_sha256", _SHOWN),
    made("text_version image_version", Maker.CODE, Maker.SETTINGS, Maker.MEDIA),
    computed("text_*", _SAID),
    computed("image_*", _SHOWN),
    made("image_*", Maker.MEDIA),
    made("measured_at", Maker.CLOCK),
    rows_by({_CREATIVES: _CREATIVE, _ARMS: _OF_ARMS}),
)
CREATIVE_VIDEO_FEATURES = declared(
    "gaelp_training.creative_video_features",
    computed("platform", {_CREATIVES: "platform"}),
    computed("account_id", {_CREATIVES: "account_id"}),
    computed("creative_id", {_CREATIVES: "creative_id"}),
    computed("content_sha256", {_CREATIVES: "video_sha256"}),
    computed("video_* origin", {_CREATIVES: "video_sha256"}),
    made("platform account_id creative_id origin content_sha256 video_*", Maker.MEDIA),
    made("video_version", Maker.CODE),
    made("measured_at", Maker.CLOCK),
)
