"""Short lists of English words, and whether a text is plainly no English.

Here: words and the rule. Not here: what is measured with them (`text_features`), words a business may edit
(the settings).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import pyphen  # type: ignore[import-untyped]

_HYPHENS = pyphen.Pyphen(lang="en_US")


def _words(spaced: str) -> frozenset[str]:
    return frozenset(spaced.split())


DETERMINERS = _words("a an the this that these those some any every each all both no")
QUESTION_WORDS = _words("what why how who when where which whose whom")
FIRST_PERSON = _words("i i'm i've i'd i'll me my mine myself we we're we've we'll us our ours ourselves")
SECOND_PERSON = _words("you you're you've you'd you'll your yours yourself yourselves ya y'all u ur")
THIRD_PERSON = _words(
    "he he's she she's it it's they they're him her hers his its them their theirs himself herself"
)
DEMONSTRATIVES = _words("this that these those here there")
NEGATIONS = _words(
    "no not never none nobody nothing nowhere neither nor cannot can't don't doesn't didn't won't isn't "
    "aren't wasn't weren't wouldn't couldn't shouldn't hasn't haven't ain't without"
)
PREPOSITIONS = _words(
    "of in on at by for with from to into about over under after before between through during against "
    "as than like near off out up down"
)
CONJUNCTIONS = _words("and but or so because if while though although when until unless")
AUXILIARIES = _words(
    "is are was were be been being am do does did done have has had can could will would shall should "
    "may might must just very too also only then"
)
# Verbs that open an advertisement or a headline as an order.
IMPERATIVES = _words(
    "add apply ask avoid become begin book boost bring build buy call change check choose claim click "
    "come connect create cut discover do don't download enjoy enter experience explore feel find fix "
    "follow get give go grab grow have hear help hurry improve invest join keep know learn let let's "
    "listen live look love make meet order play plan protect read reduce register remember reserve save "
    "say see send share shop sign sleep start stay stop subscribe switch take talk tell think treat try "
    "turn unlock upgrade use visit wait wake want watch win"
)
FUNCTION_WORDS = frozenset().union(
    *(DETERMINERS, QUESTION_WORDS, FIRST_PERSON, SECOND_PERSON, THIRD_PERSON, DEMONSTRATIVES, NEGATIONS),
    *(PREPOSITIONS, CONJUNCTIONS, AUXILIARIES),
)
_IRREGULAR_SUPERLATIVES = _words("best worst most least greatest")
_NO_SUPERLATIVES = _words(
    "interest request guest test rest forest honest suggest harvest protest invest west east nest chest "
    "quest arrest modest contest digest priest latest breast feast least beast yeast midwest pest vest "
    "zest"
)
# The commonest words of Spanish, Portuguese, French, German, Dutch and Italian, less what is English too.
_FOREIGN = _words(
    "el los las una unos unas que para con por como más pero sus tu tus su se lo les del al es está "
    "sobre este esta muy nuestra nuestro o os um uma não com seu sua você mais ao dos das em é ser le "
    "la une des du et est pas pour dans avec vous votre vos nous sur ce cette ces qui sont au aux ou où "
    "chez notre je il elle ils der und ist nicht mit für ein eine einen einem einer dem sie ihr ihre "
    "wir auf auch von zu im sich wie oder het een en niet voor zijn jouw ik wij naar gli di che non "
    "sono della delle degli nel nella più tuo tua questo questa e ed"
)
_LATIN_SHARE = 0.5
_FOREIGN_WORDS = 2


def plainly_not_english(words: Sequence[str], text: str) -> bool:
    """Whether measures that presume English would say nothing true of a text.

    No letters at all; fewer than half of the letters from A to Z; or two common words of another language
    and more of them than of English function words. A short text of names alone passes: the rule rejects only
    what is plain.

    Args:
        words: in lower case.
        text: the whole text.
    """
    letters = sum(map(str.isalpha, text))
    latin = sum(letter.isascii() and letter.isalpha() for letter in text)
    if not letters or latin < _LATIN_SHARE * letters:
        return True
    foreign = sum(word in _FOREIGN for word in words)
    return foreign >= _FOREIGN_WORDS and foreign > sum(word in FUNCTION_WORDS for word in words)


def is_superlative(word: str) -> bool:
    """Whether a lower-case word is a superlative in form: best, largest; not forest."""
    regular = len(word) > 5 and word.endswith("est") and word not in _NO_SUPERLATIVES
    return regular or word in _IRREGULAR_SUPERLATIVES


@lru_cache(maxsize=50_000)
def syllables(word: str) -> int:
    """Syllables of a word, at least one: the places where it may be hyphenated, and one.

    A hyphenation dictionary leaves out breaks no printer wants (`i-dea`), so long words count a little low.
    """
    return len(_HYPHENS.positions(word)) + 1
