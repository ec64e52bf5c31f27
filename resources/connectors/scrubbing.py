"""Taking secrets out of texts before anyone can read them.

Here: the replacement. Not here: which texts are secret (each source says).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "[secret]"
# Whatever a platform calls it, and even where the value is not one we sent.
# In queries, headers, JSON, and Python's dicts and pairs: name, separator, perhaps a scheme, value.
_NAMED = re.compile(
    r"""(?ix)
    ( (?: (?:access|refresh|developer)[_-]?token | appsecret[_-]?proof | client[_-]?secret | authorization )
      (?: \\*["']? [ \t]* [=:] | \\*["'][ \t]*, ) [ \t]* (?: b(?=["']) )? (?: \\*(["']) )?
      (?: (?:basic|bearer|digest|oauth|token) [ \t]+ )? )
    (?(2) (?: (?!\\*\2) . )+ | [^\s&"',)]+ )
    """
)


class Scrubber:
    """Replaces secrets, and what is named like one, in any text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret for secret in secrets if secret}
        spelt = known | {quote(secret, safe="") for secret in known}
        self._secrets = sorted(spelt, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _NAMED.sub(rf"\1{HIDDEN}", text)
