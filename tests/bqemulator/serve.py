"""The emulator, parsing each text once: some thirty passes of its own over a statement each parse it anew.

    .venv-bqemulator/bin/python tests/bqemulator/serve.py start …

Here: what is kept between those passes. Not here: anything the emulator does.
"""

import copy
import functools
import sys
from typing import Any

from bqemulator.cli import main
from sqlglot.dialects.dialect import Dialect
from sqlglot.expressions import Expression, core

_parse = Dialect.parse


@functools.lru_cache(maxsize=64)
def _parsed(dialect: type[Dialect], sql: str, **options: Any) -> tuple[Expression | None, ...]:
    return tuple(_parse(dialect(), sql, **options))


def _parse_once(self: Dialect, sql: str, **options: Any) -> list[Expression | None]:
    if self.settings:
        return _parse(self, sql, **options)
    # A copy each: passes change what they get.
    return [tree and tree.copy() for tree in _parsed(type(self), sql, **options)]


def _copied(value: Any) -> Any:
    # Where in the text a word stood and what was said beside it: every word has it, half of a tree's copying.
    if (type(value) is dict and "line" in value) or (type(value) is list and set(map(type, value)) == {str}):
        return value.copy()
    return copy.deepcopy(value)


Dialect.parse = _parse_once
core.deepcopy = _copied

if __name__ == "__main__":
    sys.exit(main())
