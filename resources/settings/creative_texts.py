"""Words that touch a reader: a short list per emotion, each of which the settings may replace.

Here: the lists. Not here: words that are regulated (`policy.py`), what is counted (`models.creatives`).

The lists are short on purpose: what they miss an embedding of the text still sees, and a person can read them
in a minute. Each entry is a regular expression of a word or a phrase, matched without case, as a whole.
"""

from __future__ import annotations

from resources.settings.policy import Words
from resources.settings.values import Section

FEAR = (
    *("afraid", r"danger\w*", "deadly", r"dread\w*", "fears?", r"fright\w*", r"harm\w*", r"horr\w+", "lose"),
    *("losing", "loss", "mistakes?", r"nightmare\w*", r"panic\w*", r"risk\w*", "scar(?:e|ed|es|y)"),
    *(r"shock\w*", r"terrif\w+", r"threat\w*", "toxic", "unsafe", "victims?", "warning", r"worr\w+", "worst"),
)
CURIOSITY = (
    *(r"discover\w*", r"ever wonder\w*", "find", "find out", "guess", "here'?s (?:why|what|how)", "hidden"),
    *(r"myster\w+", "mystery", "no one (?:tells|told|talks)", r"reveal\w*", "secrets?"),
    *("see (?:why|what|how)", "strange", r"surpris\w+", "the (?:reason|truth)", "turns out"),
    *(r"unexpected\w*", "weird", "what happen(?:s|ed)(?: next)?"),
    *("wonder(?:ed|ing)?", "you (?:didn't|never) (?:know|knew)"),
)
URGENCY = (
    *("before it'?s too late", "deadline", "don'?t (?:miss|wait)", "ends? (?:soon|today|tonight)"),
    *(r"expir\w+", "final", "hurry", "immediately", "instant(?:ly)?", "last chance", "last days?"),
    *("limited(?: time)?", "now", r"only \d+ left", "right away", "soon", "today"),
    *("tonight", "while (?:supplies|stocks?) last"),
)
SOCIAL_PROOF = (
    r"\d[\d,.]*\s?(?:k|m)?\+? (?:people|families|parents|customers|users|members|reviews)",
    *("as seen (?:in|on)", r"best[- ]?sell\w+", "community", "customers?", "everybody", "everyone"),
    *("families (?:like|who)", "join(?:ed)?", "loved by", "millions?", "most (?:popular|loved)"),
    *("people are", "popular", "rated", r"recommend\w*", "reviews?", "stars?", "testimonials?", "thousands"),
    *("trending", "viral"),
)
TRUST = (
    *("accredited", "authentic", "backed by", "certified", "doctors?", "evidence[- ]based", "experts?"),
    *(r"guarantee\w*", r"honest\w*", "licen[sc]ed", "money[- ]back", "official", "privacy", "private"),
    *("proven", "reliable", r"research\w*", "safe(?:ly|ty)?", r"scien\w+", r"secure\w*", "stud(?:y|ies)"),
    *(r"trust\w*", "verified"),
)
EXCLUSIVITY = (
    *("by invitation", "early access", r"exclusiv\w+", "insiders?", r"invit\w+", "members? only", "only for"),
    *("premium", "rare", "selected", "special", "vip"),
)
GAIN = (
    *(r"\d+\s?% off", "bonus", "deals?", r"discount\w*", "free", "gifts?", "no cost", "offers?", "rewards?"),
    *("sales?", "sav(?:e|es|ing|ings)", "try", "win(?:s|ning)?"),
)
EMPATHY = (
    *("alone", r"belong\w*", "care[sd]?", "caring", r"comfort\w*", r"compassion\w*", r"feel\w*", "gentle"),
    *("heard", r"help\w*", r"hope\w*", "hugs?", "kind(?:ness)?", "love[ds]?", r"overwhelm\w*", r"struggl\w+"),
    *(r"support\w*", "together", r"understand\w*", "understood"),
)


class CreativeTexts(Section):
    """Emotional triggers counted in texts. A list given here takes the place of the built-in one."""

    fear: tuple[Words, ...] = FEAR
    curiosity: tuple[Words, ...] = CURIOSITY
    urgency: tuple[Words, ...] = URGENCY
    social_proof: tuple[Words, ...] = SOCIAL_PROOF
    trust: tuple[Words, ...] = TRUST
    exclusivity: tuple[Words, ...] = EXCLUSIVITY
    gain: tuple[Words, ...] = GAIN
    empathy: tuple[Words, ...] = EMPATHY
