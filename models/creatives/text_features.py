"""What a text is like: its shape, feeling, ease of reading, emotional triggers and regulated words.

Here: measuring texts by lists and formulas. Not here: the lists a business may edit (the settings), what a
text may not say (`models.policy`), what it means (embeddings).

Measures that presume English are null for a text that plainly is none, and every measure is null for a text
that is unknown: a guess would be learned from.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property

import polars as pl
from vaderSentiment.vaderSentiment import (  # type: ignore[import-untyped]
    SentimentIntensityAnalyzer,
)

from models.creatives import english
from models.policy import TEXTS, as_read

TEXT_FEATURES_VERSION = "text_v1"
"""Of the formulas; the lists have a hash of their own (`TextLexicons.content_hash`)."""

TRIGGERS = ("fear", "curiosity", "urgency", "social_proof", "trust", "exclusivity", "gain", "empathy")
_LEADING: dict[str, frozenset[str]] = {
    "question_word": english.QUESTION_WORDS,
    "determiner": english.DETERMINERS,
    "pronoun": english.FIRST_PERSON | english.SECOND_PERSON | english.THIRD_PERSON,
    "preposition": english.PREPOSITIONS,
    "imperative": english.IMPERATIVES,
}
_SHARES: dict[str, frozenset[str]] = {
    "first_person_share": english.FIRST_PERSON,
    "second_person_share": english.SECOND_PERSON,
    "third_person_share": english.THIRD_PERSON,
    "demonstrative_share": english.DEMONSTRATIVES,
    "negation_share": english.NEGATIONS,
    "function_word_share": english.FUNCTION_WORDS,
}
SHAPE_FEATURES = (
    *("characters", "words", "sentences", "mean_word_length", "longest_word", "long_word_share"),
    *("distinct_word_share", "is_question", "is_quoted", "has_quote", "numbers", "starts_with_number"),
    *("has_percent", "has_money", "exclamations", "commas", "colons", "dashes", "brackets", "ellipses"),
    *("capital_share", "title_case_share", "shouted_share", "hashtags", "pictographs"),
    *(f"over_{text}_limit" for text in TEXTS),
)
"""Measured whatever the language."""
ENGLISH_FEATURES = (
    *("sentiment_negative", "sentiment_positive", "sentiment_compound"),
    *("syllables_per_word", "flesch_reading_ease", "flesch_kincaid_grade"),
    *_SHARES,
    *("superlative_share", "contraction_share"),
    *(f"leads_with_{name}" for name in _LEADING),
    *(f"trigger_{name}" for name in TRIGGERS),
    *("regulated_terms", "regulated_density"),
)
"""Null where the text is plainly no English."""
TEXT_FEATURES = (*SHAPE_FEATURES, "is_english", *ENGLISH_FEATURES)

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$|[\"')\]])")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_MONEY = re.compile(r"[$€£¥₹]\s?\d|\d\s?(?:[$€£¥₹]|usd\b|eur\b|dollars?\b|euros?\b)", re.IGNORECASE)
_QUOTE = re.compile("[\"\u201c\u201d\u00ab\u00bb]|(?:^|\\s)'[^']+'(?=\\s|$|[.,!?])")
_OPENING_QUOTES = ('"', "\u201c", "\u00ab", "'")
_DASH = re.compile(r"\s[-\u2013\u2014]\s|\u2014")
_PICTOGRAPH = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
_LONG_WORD = 7


@dataclass(frozen=True)
class TextLexicons:
    """The editable lists.

    triggers: for each of `TRIGGERS`, regular expressions of words. regulated_terms: the same, of words an
    advertisement of the business is looked at closely for. length_limits: characters by text (headline, body,
    call_to_action), those of the policy; over_*_limit is null for a text without one.

    Raises:
        ValueError: a list of triggers that is missing or unknown, or a limit of an unknown text.
    """

    triggers: Mapping[str, Sequence[str]]
    regulated_terms: Sequence[str]
    length_limits: Mapping[str, int]

    def __post_init__(self) -> None:
        if set(self.triggers) != set(TRIGGERS):
            raise ValueError(f"triggers: needs exactly {list(TRIGGERS)}, got {sorted(self.triggers)}")
        if strangers := sorted(set(self.length_limits) - set(TEXTS)):
            raise ValueError(f"length_limits: {strangers} are none of {list(TEXTS)}")

    @cached_property
    def content_hash(self) -> str:
        """sha256 of the lists: stored beside what was measured with them."""
        said = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    @cached_property
    def trigger_patterns(self) -> dict[str, re.Pattern[str]]:
        return {name: _any_of(self.triggers[name]) for name in TRIGGERS}

    @cached_property
    def regulated_pattern(self) -> re.Pattern[str]:
        return _any_of(self.regulated_terms)


def _any_of(terms: Sequence[str]) -> re.Pattern[str]:
    """Any of the terms as whole words; of none, what matches nothing."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(terms)})(?!\w)" if terms else r"(?!)", re.IGNORECASE)


def text_features(texts: Sequence[str | None], lexicons: TextLexicons) -> pl.DataFrame:
    """`TEXT_FEATURES` of texts, each measured as a reader sees it (`models.policy.as_read`).

    Counts are counts; shares are fractions of words (of letters: capital_share); flags are 0 or 1;
    sentiment is VADER's (Hutto & Gilbert, ICWSM 2014): shares of negative and positive feeling, compound in
    [-1, 1]; trigger_* and regulated_density are matches per word. over_*_limit: characters above the limit of
    that text, were this text one. Reading ease and grade, with w words, s sentences, y syllables:

        Flesch reading ease   206.835 - 1.015 w/s - 84.6 y/w      (Flesch 1948)
        Flesch-Kincaid grade  0.39 w/s + 11.8 y/w - 15.59         (Kincaid et al. 1975)

    Args:
        texts: one text a row; None: unknown.
    Returns:
        one row per text in the order given, all Float64; null where a measure is not available.
    """
    analyser = _analyser()
    rows = [None if text is None else _measured(as_read(text), lexicons, analyser) for text in texts]
    columns = {
        name: pl.Series([None if row is None else row.get(name) for row in rows], dtype=pl.Float64)
        for name in TEXT_FEATURES
    }
    return pl.DataFrame(columns)


@cache
def _analyser() -> SentimentIntensityAnalyzer:
    """Made once: it reads the word list of its package."""
    return SentimentIntensityAnalyzer()


def _measured(text: str, lexicons: TextLexicons, analyser: SentimentIntensityAnalyzer) -> dict[str, float]:
    spelt = _WORD.findall(text)
    words = [word.lower() for word in spelt]
    measured = _shape(text, spelt, words, lexicons.length_limits)
    if english.plainly_not_english(words, text):
        return measured | {"is_english": 0.0}
    return measured | {"is_english": 1.0} | _english(text, words, measured["sentences"], lexicons, analyser)


def _shape(text: str, spelt: list[str], words: list[str], limits: Mapping[str, int]) -> dict[str, float]:
    letters = [letter for letter in text if letter.isalpha()]
    lengths = [len(word) for word in words]
    many = max(len(words), 1)
    opening = text[:1]
    measured = {
        "characters": len(text),
        "words": len(words),
        "sentences": max(len(_SENTENCE_END.findall(text)), 1) if words else 0,
        "mean_word_length": sum(lengths) / many,
        "longest_word": max(lengths, default=0),
        "long_word_share": sum(length >= _LONG_WORD for length in lengths) / many,
        "distinct_word_share": len(set(words)) / many,
        "is_question": "?" in text,
        "is_quoted": opening in _OPENING_QUOTES if opening else False,
        "has_quote": _QUOTE.search(text) is not None,
        "numbers": len(_NUMBER.findall(text)),
        "starts_with_number": bool(words) and words[0][0].isdigit(),
        "has_percent": "%" in text,
        "has_money": _MONEY.search(text) is not None,
        "exclamations": text.count("!"),
        "commas": text.count(","),
        "colons": text.count(":") + text.count(";"),
        "dashes": len(_DASH.findall(text)),
        "brackets": text.count("(") + text.count("["),
        "ellipses": text.count("..."),
        "capital_share": sum(map(str.isupper, letters)) / max(len(letters), 1),
        "title_case_share": sum(word[0].isupper() for word in spelt) / many,
        "shouted_share": sum(len(word) > 1 and word.isupper() for word in spelt) / many,
        "hashtags": text.count("#"),
        "pictographs": len(_PICTOGRAPH.findall(text)),
    }
    over = {f"over_{name}_limit": max(len(text) - limits[name], 0) for name in TEXTS if name in limits}
    return {name: float(value) for name, value in (measured | over).items()}


def _english(
    text: str,
    words: list[str],
    sentences: float,
    lexicons: TextLexicons,
    analyser: SentimentIntensityAnalyzer,
) -> dict[str, float]:
    many = len(words)
    feeling = analyser.polarity_scores(text)
    per_sentence, per_word = many / sentences, sum(map(english.syllables, words)) / many
    regulated = len(lexicons.regulated_pattern.findall(text))
    return {
        "sentiment_negative": feeling["neg"],
        "sentiment_positive": feeling["pos"],
        "sentiment_compound": feeling["compound"],
        "syllables_per_word": per_word,
        "flesch_reading_ease": 206.835 - 1.015 * per_sentence - 84.6 * per_word,
        "flesch_kincaid_grade": 0.39 * per_sentence + 11.8 * per_word - 15.59,
        **{name: sum(word in listed for word in words) / many for name, listed in _SHARES.items()},
        "superlative_share": sum(map(english.is_superlative, words)) / many,
        "contraction_share": sum("'" in word for word in words) / many,
        **{f"leads_with_{name}": float(words[0] in listed) for name, listed in _LEADING.items()},
        **{
            f"trigger_{name}": len(pattern.findall(text)) / many
            for name, pattern in lexicons.trigger_patterns.items()
        },
        "regulated_terms": float(regulated),
        "regulated_density": regulated / many,
    }
