"""Words that touch a reader: a short list per emotion, each of which the settings may replace.

Here: the lists. Not here: words that are regulated (`policy.py`), what is counted (`models.creatives`).

The lists are short on purpose: what they miss an embedding of the text still sees, and a person can read them
in a minute. Each entry is a regular expression of a word or a phrase, matched without case, as a whole.
"""

from __future__ import annotations

from resources.settings.policy import Words
from resources.settings.values import Section

FEAR = (
    *(
        r"afraid",
        r"danger\w*",
        r"deadly",
        r"dread\w*",
        r"fears?",
        r"fright\w*",
        r"harm\w*",
        r"horr\w+",
        r"lose",
    ),
    *(r"losing", r"loss", r"mistakes?", r"nightmare\w*", r"panic\w*", r"risk\w*", r"scar(?:e|ed|es|y)"),
    *(
        r"shock\w*",
        r"terrif\w+",
        r"threat\w*",
        r"toxic",
        r"unsafe",
        r"victims?",
        r"warning",
        r"worr\w+",
        r"worst",
    ),
)
CURIOSITY = (
    *(
        r"discover\w*",
        r"ever wonder\w*",
        r"find out",
        r"find",
        r"guess",
        r"here'?s (?:why|what|how)",
        r"hidden",
    ),
    *(
        r"mystery",
        r"myster\w+",
        r"no one (?:tells|told|talks)",
        r"reveal\w*",
        r"secrets?",
        r"see (?:why|what|how)",
    ),
    *(r"strange", r"surpris\w+", r"the (?:reason|truth)", r"turns out", r"unexpected\w*", r"weird"),
    *(r"what happen(?:s|ed)(?: next)?", r"wonder(?:ed|ing)?", r"you (?:didn't|never) (?:know|knew)"),
)
URGENCY = (
    *(
        r"before it'?s too late",
        r"deadline",
        r"don'?t (?:miss|wait)",
        r"ends? (?:soon|today|tonight)",
        r"expir\w+",
    ),
    *(
        r"final",
        r"hurry",
        r"immediately",
        r"instant(?:ly)?",
        r"last chance",
        r"last days?",
        r"limited(?: time)?",
    ),
    *(
        r"now",
        r"only \d+ left",
        r"right away",
        r"soon",
        r"today",
        r"tonight",
        r"while (?:supplies|stocks?) last",
    ),
)
SOCIAL_PROOF = (
    *(
        r"\d[\d,.]*\s?(?:k|m)?\+? (?:people|families|parents|customers|users|members|reviews)",
        r"as seen (?:in|on)",
    ),
    *(r"best[- ]?sell\w+", r"community", r"customers?", r"everyone", r"everybody", r"families (?:like|who)"),
    *(
        r"join(?:ed)?",
        r"loved by",
        r"millions?",
        r"most (?:popular|loved)",
        r"people are",
        r"popular",
        r"rated",
    ),
    *(r"recommend\w*", r"reviews?", r"stars?", r"testimonials?", r"thousands", r"trending", r"viral"),
)
TRUST = (
    *(
        r"accredited",
        r"authentic",
        r"backed by",
        r"certified",
        r"doctors?",
        r"evidence[- ]based",
        r"experts?",
    ),
    *(
        r"guarantee\w*",
        r"honest\w*",
        r"licen[sc]ed",
        r"money[- ]back",
        r"official",
        r"privacy",
        r"private",
        r"proven",
    ),
    *(
        r"reliable",
        r"research\w*",
        r"safe(?:ly|ty)?",
        r"scien\w+",
        r"secure\w*",
        r"stud(?:y|ies)",
        r"trust\w*",
    ),
    *(r"verified",),
)
EXCLUSIVITY = (
    *(
        r"by invitation",
        r"early access",
        r"exclusiv\w+",
        r"insiders?",
        r"invit\w+",
        r"members? only",
        r"only for",
    ),
    *(r"premium", r"rare", r"selected", r"special", r"vip"),
)
GAIN = (
    *(
        r"bonus",
        r"deals?",
        r"discount\w*",
        r"free",
        r"gifts?",
        r"no cost",
        r"offers?",
        r"\d+\s?% off",
        r"rewards?",
    ),
    *(r"sales?", r"sav(?:e|es|ing|ings)", r"try", r"win(?:s|ning)?"),
)
EMPATHY = (
    *(
        r"alone",
        r"belong\w*",
        r"care[sd]?",
        r"caring",
        r"comfort\w*",
        r"compassion\w*",
        r"feel\w*",
        r"gentle",
    ),
    *(
        r"heard",
        r"help\w*",
        r"hope\w*",
        r"hugs?",
        r"kind(?:ness)?",
        r"love[ds]?",
        r"overwhelm\w*",
        r"struggl\w+",
    ),
    *(r"support\w*", r"together", r"understand\w*", r"understood"),
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
