"""Which code made a number: content hashes of the project's own sources.

Here: hashing source files. Not here: package versions (the lock file) or git (a wheel has none).
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from resources.settings import PROJECT_ROOT

_SOURCES = (".py", ".sql", ".yml", ".yaml")
_IMPORT = re.compile(
    r"^[ \t]*(?:import[ \t]+[^\n]+|from[ \t]+[.\w]+[ \t]+import[ \t]*(?:\([^)]*\)|[^\n]+))", re.MULTILINE
)
_WRITTEN = ("target", "logs", "dbt_packages")  # dbt's compiled SQL and packages


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
        files = [path] if path.is_file() else sorted(_sources(path))
        for file in files:
            digest.update(file.relative_to(PROJECT_ROOT).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@cache
def module_hash(*modules: str) -> str:
    """Hash of the named modules and of everything of the project they import, directly or not.

    A list of files by hand forgets the one that is imported next month, and a changed formula then shows as
    the same version. Imports inside functions count; nothing is executed.

    Args:
        modules: dotted names, such as `models.slates`; a package stands for its `__init__` and what that
            imports.

    Raises:
        FileNotFoundError: no such module in the project.
    """
    return source_hash(*sorted(path.relative_to(PROJECT_ROOT).as_posix() for path in _closure(modules)))


def used_by(*glue: str) -> tuple[str, ...]:
    """The modules below `models` that the named modules import themselves, for `module_hash`.

    So that an asset's version follows what its own file computes with: a package by name stands only for its
    `__init__`, and a list by hand missed the modules inside of ten of them.

    Args:
        glue: dotted names of modules with assets, `__name__` mostly, and of helpers they compute through.

    Raises:
        FileNotFoundError: no such module in the project.
    """
    found: set[str] = set()
    for module in glue:
        path = _module_file(module)
        if path is None:
            raise FileNotFoundError(f"{module} is no module of {PROJECT_ROOT}")
        found |= {name for name, _ in _imported_files(module, path) if name.startswith("models.")}
    return tuple(sorted(found))


def _closure(modules: tuple[str, ...]) -> set[Path]:
    found: set[Path] = set()
    pending = []
    for module in modules:
        path = _module_file(module)
        if path is None:
            raise FileNotFoundError(f"{module} is no module of {PROJECT_ROOT}")
        pending.append((module, path))
    while pending:
        module, path = pending.pop()
        if path in found:
            continue
        found.add(path)
        pending += _imported_files(module, path)
    return found


@cache
def _imported_files(module: str, path: Path) -> list[tuple[str, Path]]:
    """Modules of the project that a file imports.

    Read once a process: reading each file for every asset anew was a quarter of importing the graph.
    """
    named = ((name, _module_file(name)) for name in _imports(module, path))
    return [(name, file) for name, file in named if file is not None]


def _imports(module: str, path: Path) -> set[str]:
    """Dotted names a file imports: of `from a.b import c` both `a.b` and `a.b.c`, whichever is a file."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in _import_statements(path.read_text(encoding="utf-8")):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        else:
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    parents = {name.rsplit(".", cut)[0] for name in names for cut in range(1, name.count(".") + 1)}
    return names | parents


def _import_statements(source: str) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import of a source, at any depth.

    Only lines that begin as one are parsed: all of 330 files would be a sixth of importing the graph. A
    sentence of a docstring that begins so is no statement, or names no module of the project.
    """
    for found in _IMPORT.finditer(source):
        try:
            (statement,) = ast.parse(found.group().strip()).body
        except (SyntaxError, ValueError):
            continue
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield statement


def _module_file(module: str) -> Path | None:
    place = PROJECT_ROOT.joinpath(*module.split("."))
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file():
            return file
    return None


def _sources(folder: Path) -> Iterator[Path]:
    """Source files below a folder, those of what dbt writes beside them left out.

    Such folders are not entered: a run that ends removes its own while another one looks.
    """
    for path, inside, names in os.walk(folder):
        inside[:] = [name for name in inside if not name.startswith(_WRITTEN)]
        yield from (Path(path, name) for name in names if name.endswith(_SOURCES))
