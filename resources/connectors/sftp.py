"""A vendor's SFTP folder as an inbox, trusted by its pinned host key only.

Here: logging in, listing, reading. Not here: which files are settled and what they hold (`vendor_files`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

import asyncssh

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.vendor_files import LARGEST_FILE, Listed

_PREFIX = "AELP_VENDOR_FILES_"
_BLOCK = 32_768  # bytes every server gives in one answer
Result = TypeVar("Result")
Task = Callable[[asyncssh.SFTPClient, Callable[[], None]], Awaitable[Result]]


@dataclass(frozen=True)
class SftpCredentials:
    """Where a vendor's server is, who logs in, and the one key the server may show.

    Attributes:
        host_key: the server's public key as in known_hosts, such as `ssh-ed25519 AAAA…`.
        key_file: path of a private key without passphrase, instead of a password.
        folder: where the files are.
    """

    host: str
    user: str
    host_key: str
    port: int = 22
    password: str | None = field(default=None, repr=False)
    key_file: str | None = None
    folder: str = "."

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> SftpCredentials:
        """Read AELP_VENDOR_FILES_HOST, _PORT, _USER, _PASSWORD or _KEY_FILE, _HOST_KEY and _FOLDER.

        Raises:
            MissingCredentials: one is not set; names it.
        """
        given = {
            name: variables.get(_PREFIX + name, "").strip()
            for name in ("HOST", "PORT", "USER", "PASSWORD", "KEY_FILE", "HOST_KEY", "FOLDER")
        }
        missing = [_PREFIX + name for name in ("HOST", "USER", "HOST_KEY") if not given[name]]
        if not given["PASSWORD"] and not given["KEY_FILE"]:
            missing.append(f"{_PREFIX}PASSWORD or {_PREFIX}KEY_FILE")
        if missing or not (given["PORT"] or "22").isdecimal():
            raise MissingCredentials(
                f"vendor files: set {', '.join(missing) or _PREFIX + 'PORT to a number'}. HOST_KEY is the "
                "server's public key, asked of the vendor by another way than the network (`ssh-keyscan` "
                "shows what to compare it with). `aelp connect vendor_files` checks them."
            )
        return cls(
            given["HOST"], given["USER"], given["HOST_KEY"], int(given["PORT"] or "22"),
            given["PASSWORD"] or None, given["KEY_FILE"] or None, given["FOLDER"] or ".",
        )  # fmt: skip


class SftpInbox:
    """Regular files of one folder of an SFTP server; nothing is written or removed there."""

    def __init__(self, credentials: SftpCredentials, *, timeout_seconds: float = 60.0) -> None:
        self._credentials = credentials
        self._timeout = timeout_seconds

    @property
    def secrets(self) -> Sequence[str]:
        return (self._credentials.password,) if self._credentials.password else ()

    def listed(self) -> Sequence[Listed]:
        """The folder's regular files, links left aside.

        Raises:
            PlatformError: AUTH where the host key is another one or the login is refused.
        """

        async def look(client: asyncssh.SFTPClient, alive: Callable[[], None]) -> list[Listed]:
            entries = await client.readdir(self._credentials.folder)
            return [
                Listed(str(entry.filename), int(entry.attrs.size or 0), float(entry.attrs.mtime or 0))
                for entry in entries
                if entry.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR
            ]

        return self._do(look)

    def read(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Content of those files; one that has gone is left out, one too large is cut at its limit."""
        for name in names:

            async def fetch(
                client: asyncssh.SFTPClient, alive: Callable[[], None], name: str = name
            ) -> bytes | None:
                content = bytearray()
                try:
                    async with client.open(f"{self._credentials.folder}/{name}", "rb") as file:
                        # Block by block: one large read is many requests at once, whose errors go astray.
                        while len(content) <= LARGEST_FILE:
                            block = cast(bytes, await file.read(_BLOCK))
                            if not block:
                                break
                            content += block
                            alive()
                except asyncssh.SFTPNoSuchFile:
                    return None
                return bytes(content)

            content = self._do(fetch)
            if content is not None:
                yield name, content

    def _do(self, task: Task[Result]) -> Result:
        try:
            return asyncio.run(self._connected(task))
        except (asyncssh.Error, OSError, TimeoutError, ValueError) as error:
            # asyncssh's texts hold no password, but its exceptions hold the options that do.
            raised = self._sorted(error)
        raise raised

    async def _connected(self, task: Task[Result]) -> Result:
        """Run a task, given up when it has not called `alive` for as long as the time limit."""
        told = self._credentials
        async with asyncssh.connect(
            told.host,
            told.port,
            username=told.user,
            password=told.password,
            client_keys=[told.key_file] if told.key_file else None,
            known_hosts=([asyncssh.import_public_key(told.host_key)], [], []),
            # Nothing of this machine's own ssh set-up: no agent, no config that could relax the pinning.
            config=None,
            agent_path=None,
            connect_timeout=self._timeout,
            login_timeout=self._timeout,
        ) as connection:
            loop = asyncio.get_running_loop()
            # Cut, not cancelled: a cancelled task still waits for the server to close its files.
            limit = loop.call_later(self._timeout, connection.abort)

            def alive() -> None:
                nonlocal limit
                limit.cancel()
                limit = loop.call_later(self._timeout, connection.abort)

            try:
                async with connection.start_sftp_client() as client:
                    return await task(client, alive)
            finally:
                limit.cancel()

    def _sorted(self, error: Exception) -> PlatformError:
        told = self._credentials
        where = f"vendor files: {told.host}:{told.port}"
        match error:
            case asyncssh.HostKeyNotVerifiable():
                return PlatformError(
                    ErrorClass.AUTH,
                    f"{where} shows another host key than {_PREFIX}HOST_KEY. Nothing was sent. Ask the "
                    "vendor whether they changed it: if not, someone stands in between.",
                )
            case asyncssh.KeyImportError():
                return PlatformError(
                    ErrorClass.AUTH,
                    f"{where}: {_PREFIX}HOST_KEY is no public key (ssh-ed25519 AAAA…), or {_PREFIX}KEY_FILE "
                    "no private key without passphrase.",
                )
            case asyncssh.PermissionDenied() | asyncssh.SFTPPermissionDenied():
                return PlatformError(
                    ErrorClass.AUTH,
                    f"{where} refuses {told.user}. Check {_PREFIX}USER and its password or key.",
                )
            case asyncssh.SFTPNoSuchFile() | asyncssh.SFTPNoSuchPath():
                return PlatformError(
                    ErrorClass.PERMANENT, f"{where} has no folder {told.folder}. Check {_PREFIX}FOLDER."
                )
            case TimeoutError():
                return PlatformError(ErrorClass.TRANSIENT, f"{where} gave no answer in {self._timeout:g} s")
            case _:
                return PlatformError(ErrorClass.TRANSIENT, f"{where}: {type(error).__name__}")
