"""Which code made a number: content hashes of the project's own sources.

Here: hashing source files. Not here: package versions (the lock file) or git (a wheel has none).
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from resources.settings import PROJECT_ROOT


@cache
def source_hash(*folders_or_files: str) -> str:
    """First 16 hex digits of sha256 over the named Python, SQL and YAML sources, by path and content.

    Raises:
        FileNotFoundError: a name that is neither a folder nor a file of the project.
    """
    digest = hashlib.sha256()
    for name in folders_or_files:
        path = PROJECT_ROOT / name
        if not path.exists():
            raise FileNotFoundError(path)
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if _is_source(p))
        for file in files:
            digest.update(file.relative_to(PROJECT_ROOT).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _is_source(path: Path) -> bool:
    # dbt writes compiled SQL and packages beside its sources.
    written = any(
        part.startswith(("target", "logs", "dbt_packages")) for part in path.relative_to(PROJECT_ROOT).parts
    )
    return path.suffix in (".py", ".sql", ".yml", ".yaml") and not written
