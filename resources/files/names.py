"""Names met in a drop folder: whether one may be opened, and how it is told.

Here: links and characters. Not here: listing the folder (`drop.py`), mapping files (`mapping.py`).
"""

from __future__ import annotations

import os
import unicodedata

from fsspec import AbstractFileSystem

# Control characters, line breaks, and bytes that are no text: they would forge lines of a report or steer a
# terminal, and the last cannot be stored at all.
_UNTELLABLE = ("Cc", "Cs", "Zl", "Zp")


def leads_outside(filesystem: AbstractFileSystem, location: str, root: str) -> bool:
    """Whether a path of a local folder is, or goes through, a link out of it."""
    if not is_local(filesystem):
        return False
    home, real = os.path.realpath(root), os.path.realpath(location)
    return real != home and not real.startswith(home + os.sep)


def is_local(filesystem: AbstractFileSystem) -> bool:
    """Whether its files lie on this machine."""
    protocol = filesystem.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def told(path: str) -> str:
    """The path with what cannot be told written as escapes; unchanged where all of it can."""
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in _UNTELLABLE else letter
        for letter in path
    )
