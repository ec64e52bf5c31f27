"""A day as an option: `--since 2026-06-30`."""

from __future__ import annotations

from datetime import date

import typer


def parse_day(text: object) -> date:
    """Raises: typer.BadParameter: the text is no day."""
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise typer.BadParameter(f"{text} is no day; write it as 2026-06-30") from None
