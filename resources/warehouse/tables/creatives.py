"""What is read in creatives: vectors of their texts and images, and what those are like.

Here: contents, each once. Not here: the creatives themselves (`raw.py`, dbt's `creative_objects`).
"""

from __future__ import annotations

from resources.warehouse.schema import Table, TableName
from resources.warehouse.tables.columns import columns

CREATIVE_EMBEDDINGS = Table(
    name=TableName("gaelp_training", "creative_embeddings"),
    description="Vectors of the texts, images and videos of creatives, each content once per embedder. "
    "Vectors of two embedders, or of two weights of one, are never compared.",
    columns=columns(
        (
            "content_sha256",
            "STRING",
            "sha256 of the content: of a text's UTF-8 bytes (headline, body and call to action, a line "
            "each), or of an image's or video's bytes, as in creative_objects.",
            True,
        ),
        ("modality", "STRING", "text, image, or video: of its key frames, a space of its own.", True),
        ("embedder", "STRING", "Specification of the embedder.", True),
        ("weights_sha256", "STRING", "Hash of all files the vector depends on.", True),
        ("dimensions", "INT64", "Numbers in the vector.", True),
        ("vector", "STRING", "The numbers as float32, little-endian, in base64; of length 1.", True),
        ("embedded_at", "TIMESTAMP", "When it was made.", True),
    ),
    grain=("content_sha256", "modality", "embedder", "weights_sha256"),
    cluster=("modality", "embedder", "content_sha256"),
)

_TEXT = {
    "characters": "Characters.",
    "words": "Words.",
    "sentences": "Sentences.",
    "mean_word_length": "Characters a word.",
    "longest_word": "Characters of the longest word.",
    "long_word_share": "Share of words of seven characters or more.",
    "distinct_word_share": "Share of words that are distinct.",
    "is_question": "1: holds a question mark.",
    "is_quoted": "1: begins with a quotation mark.",
    "has_quote": "1: holds a quotation.",
    "numbers": "Numbers in digits.",
    "starts_with_number": "1: begins with a number.",
    "has_percent": "1: holds a percentage.",
    "has_money": "1: holds an amount of money.",
    "exclamations": "Exclamation marks.",
    "commas": "Commas.",
    "colons": "Colons and semicolons.",
    "dashes": "Dashes between words.",
    "brackets": "Opening brackets.",
    "ellipses": "Ellipses.",
    "capital_share": "Share of letters that are capitals.",
    "title_case_share": "Share of words that begin with a capital.",
    "shouted_share": "Share of words in capitals.",
    "hashtags": "Hash signs.",
    "pictographs": "Pictographs such as emoji.",
    "over_headline_limit": "Characters of the headline above policy.text_limits.",
    "over_body_limit": "Characters of the body above policy.text_limits.",
    "over_call_to_action_limit": "Characters of the call to action above policy.text_limits.",
    "is_english": "0: plainly another language; what presumes English is NULL then.",
    "sentiment_negative": "VADER's share of negative feeling.",
    "sentiment_positive": "VADER's share of positive feeling.",
    "sentiment_compound": "VADER's feeling in all, -1 to 1.",
    "syllables_per_word": "Syllables a word.",
    "flesch_reading_ease": "Flesch reading ease; the higher, the easier.",
    "flesch_kincaid_grade": "Flesch-Kincaid grade, school years.",
    "first_person_share": "Share of words such as I, we, our.",
    "second_person_share": "Share of words such as you, your.",
    "third_person_share": "Share of words such as they, her.",
    "demonstrative_share": "Share of words such as this, those.",
    "negation_share": "Share of words such as not, never.",
    "function_word_share": "Share of words such as the, of, and.",
    "superlative_share": "Share of words such as best, fastest.",
    "contraction_share": "Share of words such as don't.",
    "leads_with_question_word": "1: the first word asks.",
    "leads_with_determiner": "1: the first word is such as the, this.",
    "leads_with_pronoun": "1: the first word is a personal pronoun.",
    "leads_with_preposition": "1: the first word is a preposition.",
    "leads_with_imperative": "1: the first word tells to do something.",
    **{
        f"trigger_{name}": f"Words of {name.replace('_', ' ')} a word, by creative_texts.{name}."
        for name in (
            *("fear", "curiosity", "urgency", "social_proof"),
            *("trust", "exclusivity", "gain", "empathy"),
        )
    },
    "regulated_terms": "Words of policy.regulated_terms.",
    "regulated_density": "Words of policy.regulated_terms a word.",
}
_IMAGE = {
    "width": "Pixels of the file, upright.",
    "height": "Pixels of the file, upright.",
    "aspect_ratio": "Width by height.",
    "brightness": "Mean luma, 0 to 1.",
    "contrast": "Standard deviation of luma.",
    "colourfulness": "Hasler and Süsstrunk's measure.",
    "edge_density": "Share of pixels on an edge: clutter.",
    "text_box_count": "Lines of text found.",
    "text_share": "Share of the picture under text.",
    "text_contrast": "Median contrast of the lines of text, 1 to 21; NULL without text.",
    "face_count": "Faces found.",
    "largest_face_share": "Share of the picture that the largest face takes.",
    "unsafe_probability": "Of nudity, by a detector.",
    "is_unsafe": "1: from a probability of one half on.",
    **{
        f"palette_{place}_{part}": f"Main colour {place}: {said}."
        for place in range(1, 6)
        for part, said in (
            ("lightness", "lightness, 0 to 100"),
            ("a", "green to red, CIE Lab"),
            ("b", "blue to yellow, CIE Lab"),
            ("share", "share of the picture"),
        )
    },
}
CREATIVE_FEATURES = Table(
    name=TableName("gaelp_training", "creative_features"),
    description="What texts and images of creatives are like, each pair once per version of what measures "
    "them. NULL is not available, never zero.",
    columns=columns(
        ("content_hash", "STRING", "What a viewer sees, as in creative_objects.", True),
        ("content_sha256", "STRING", "Image, as in creative_objects; NULL where none was fetched."),
        ("text_version", "STRING", "Formulas and lists that measured the text.", True),
        (
            "image_version",
            "STRING",
            "Formulas, detectors and weights that measured the image; of a refused one, its reader beside.",
            True,
        ),
        ("image_status", "STRING", "measured, refused (ops.quarantine says why) or none.", True),
        ("image_content_type", "STRING", "What the image's bytes are, whatever its file is called."),
        ("image_frames", "INT64", "1, or frames of an animation; the first is measured."),
        *((f"text_{name}", "FLOAT64", said) for name, said in _TEXT.items()),
        *((f"image_{name}", "FLOAT64", said) for name, said in _IMAGE.items()),
        ("measured_at", "TIMESTAMP", "When it was.", True),
    ),
    grain=("content_hash", "content_sha256", "text_version", "image_version"),
    cluster=("content_hash",),
)

_AVERAGED = (
    *("brightness", "contrast", "colourfulness", "edge_density"),
    *("text_box_count", "text_share", "text_contrast"),
    *("face_count", "largest_face_share", "unsafe_probability"),
)
_VIDEO = {
    "duration_seconds": "Seconds of what is shown.",
    "width": "Pixels, upright.",
    "height": "Pixels, upright.",
    "aspect_ratio": "Width by height.",
    "is_portrait": "1: higher than wide.",
    "is_square": "1: as high as wide, within a twentieth.",
    "has_audio": "1: holds a sound track.",
    "cuts_per_second": "Cuts a second; dissolves are none.",
    "seconds_to_first_cut": "When the second shot begins; NULL without a cut.",
    "motion": "Mean change of luma a second, without cuts.",
    "hook_cuts": "Cuts in the first three seconds.",
    "hook_motion": "Motion in the first three seconds.",
    "hook_has_face": "1: a key frame of the first three seconds shows a face.",
    "hook_has_text": "1: a key frame of the first three seconds shows a line of text.",
    **{
        f"{when}_{name}": f"{_IMAGE[name].removesuffix('.')}; mean over {said}."
        for when, said in (("mean", "the whole"), ("hook", "the first three seconds"))
        for name in _AVERAGED
    },
    "highest_unsafe_probability": "Of nudity, of any key frame.",
    "is_unsafe": "1: from a probability of one half on.",
}
CREATIVE_VIDEO_FEATURES = Table(
    name=TableName("gaelp_training", "creative_video_features"),
    description="What the videos of creatives are like, once per creative, video and version of what "
    "measures them. NULL is not available, never zero.",
    columns=columns(
        ("platform", "STRING", "Source of the account.", True),
        ("account_id", "STRING", "Account as the platform names it.", True),
        ("creative_id", "STRING", "Creative in creative_objects, or one that has not been pulled yet.", True),
        ("content_sha256", "STRING", "sha256 of the video's bytes.", True),
        ("origin", "STRING", "platform: its own file; folder: dropped under creative_videos.", True),
        ("video_version", "STRING", "Formulas, key frames, detectors and weights that measured it.", True),
        ("video_status", "STRING", "measured, or refused (ops.quarantine says why).", True),
        ("video_notes", "STRING", "What is missing of it, for a person; NULL: it was read to its end."),
        *((f"video_{name}", "FLOAT64", said) for name, said in _VIDEO.items()),
        ("measured_at", "TIMESTAMP", "When it was.", True),
    ),
    grain=("platform", "account_id", "creative_id", "content_sha256", "video_version"),
    cluster=("creative_id",),
)
