"""Credentials a person asked to keep: one file in AELP_HOME that its owner alone may read.

Here: which variables are a source's, writing, reading and refusing that file. Not here: what the variables
mean (each source's own module), when the file counts (`registry`).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import get_args

from resources.settings import SettingsError, SourceName

FILE_NAME = "credentials.env"
_READ_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# Beside those that begin with its name.
_FURTHER: Mapping[str, tuple[str, ...]] = {"ga4": ("AELP_IDENTIFIER_SALT",)}
_HEADING = "# Written by `aelp connect <source> --save`. The environment goes before it.\n"


def variables_of(source: SourceName, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that say where and as whom a source is called; empty ones say nothing."""
    prefix, further = f"AELP_{source.upper()}_", _FURTHER.get(source, ())
    return {
        name: value
        for name, value in sorted(variables.items())
        if (name.startswith(prefix) or name in further) and value.strip()
    }


class SavedCredentials:
    """The file, a line `NAME="value"` each, with JSON's escapes."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.path = home / FILE_NAME

    def of(self, source: SourceName) -> dict[str, str]:
        """What was saved of a source; empty where nothing was.

        Raises:
            SettingsError: others may read the file or own it, or a line cannot be understood.
        """
        said: dict[str, str] = {}
        for number, line in enumerate(self._lines(), start=1):
            pair = self._pair(line, number)
            if pair is not None and pair[0] in said:
                raise SettingsError(f"{self.path} line {number}: sets {pair[0]} again. Remove one.")
            said |= [pair] if pair is not None else []
        return variables_of(source, said)

    def save(self, source: SourceName, variables: Mapping[str, str]) -> None:
        """Write a source's variables in place of those saved of it; other sources' lines stay as they are.

        Paths of key files are made absolute. Killed at any moment, it leaves the old file or the new one.

        Raises:
            SettingsError: anyone may write to the folder, or the file cannot be written or read as `of` does.
        """
        lasting = {
            name: str(Path(value.strip()).absolute()) if is_key_file(name) else value
            for name, value in variables_of(source, variables).items()
        }
        try:
            self._home.mkdir(mode=0o755, parents=True, exist_ok=True)
            with self._alone():
                lines = self._lines() or [_HEADING]
                pairs = [self._pair(line, number) for number, line in enumerate(lines, start=1)]
                kept = [
                    line
                    for line, pair in zip(lines, pairs, strict=True)
                    if pair is None or not variables_of(source, {pair[0]: "set"})
                ]
                written = [f"{name}={json.dumps(value)}\n" for name, value in lasting.items()]
                self._replace("".join([*kept, *written]).encode(errors="surrogateescape"))
        except OSError as error:
            raise SettingsError(f"{self.path}: cannot be written ({error.strerror}).") from None

    def _lines(self) -> list[str]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SettingsError(f"{self.path}: cannot be read ({error.strerror}).") from None
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)  # of what was opened: a path may be changed in between
            if found.st_uid != os.geteuid():
                raise SettingsError(
                    f"{self.path}: belongs to another user and is not read. Remove it, or run "
                    f"`chown {os.geteuid()} {self.path}`."
                )
            if stat.S_IMODE(found.st_mode) & _READ_BY_OTHERS:
                raise SettingsError(
                    f"{self.path}: is not read, for its group or others may read or write it (mode "
                    f"{stat.S_IMODE(found.st_mode):04o}). Run `chmod 600 {self.path}`, and renew what it "
                    "holds if others use this machine."
                )
            return [f"{line.decode(errors='surrogateescape').rstrip()}\n" for line in file]

    def _pair(self, line: str, number: int) -> tuple[str, str] | None:
        """Name and value of a line; None for a comment or an empty one. What it holds is never quoted."""
        if not line.strip() or line.lstrip().startswith("#"):
            return None
        match = re.fullmatch(r'(AELP_[A-Z0-9_]+)=(".*")\s*', line)
        value: object = None
        if match is not None:
            with suppress(ValueError):
                value = json.loads(match[2])
        if match is None or not isinstance(value, str):
            raise SettingsError(f'{self.path} line {number}: write it as NAME="value", a backslash as \\\\.')
        if not any(variables_of(source, {match[1]: "set"}) for source in get_args(SourceName)):
            raise SettingsError(
                f"{self.path} line {number}: {match[1]} is no live source's variable and has no effect here. "
                "Remove the line; if it is meant for something else, set it in the environment."
            )
        return match[1], value

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder: of two that save at once, the second sees what the first wrote."""
        folder = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if os.fstat(folder).st_mode & stat.S_IWOTH:
                raise SettingsError(
                    f"{self._home}: anyone may write here, so no credentials are kept here. Run "
                    f"`chmod o-w {self._home}`."
                )
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
            os.fsync(folder)
        finally:
            os.close(folder)

    def _replace(self, content: bytes) -> None:
        partial = self._home / f".{FILE_NAME}.partial"
        partial.unlink(missing_ok=True)  # of one that was killed
        try:
            # Closed to others from its first byte on: a chmod afterwards would come too late.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.path)
        finally:
            partial.unlink(missing_ok=True)


def is_key_file(variable: str) -> bool:
    """Whether a variable names a file that holds a key."""
    return variable.endswith("_FILE")
