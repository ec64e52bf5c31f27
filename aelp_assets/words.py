"""Numbers and sentences as people read them, wherever the machinery speaks."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """As people say it: 1 table, 2 tables."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def shortened(text: str, longest: int) -> str:
    """On one line, cut to so many letters."""
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
