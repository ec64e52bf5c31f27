"""A loopback SFTP server on which a vendor delivers the simulated business's creatives as CSV files.

Here: the server, its host key, deliveries, uploads under way, and the faults of a connection. Not here: what
the files' rows mean.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import asyncssh

from resources.sandbox.backend_frames import creatives_frame
from resources.sandbox.servers.account import ServedAccount
from resources.sandbox.servers.faults import FaultKind, FaultScript

USER = "aelp"
Result = TypeVar("Result")


class SftpServer:
    """Serves a folder read-only on a free port of 127.0.0.1 until closed; use as a context manager.

    Args:
        token: the password of USER.
        folder: an empty folder; the deliveries lie in its `outgoing`.
        stall_seconds: how long a stalled read is kept waiting.
    """

    def __init__(
        self,
        served: ServedAccount,
        token: str,
        folder: Path,
        faults: FaultScript | None = None,
        *,
        stall_seconds: float = 5.0,
    ) -> None:
        self.requests: list[str] = []
        self.folder = folder / "outgoing"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._served, self._token, self._root = served, token, folder
        self._faults, self._stall = faults or FaultScript(), stall_seconds
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listener = self._run(self._listen())

    @property
    def port(self) -> int:
        return int(self._listener.get_port())

    @property
    def host_key(self) -> str:
        """The public key as known_hosts writes it."""
        return self._key.export_public_key().decode().strip()

    def deliver(self, name: str, content: bytes | str, at: datetime | None = None) -> None:
        """Put a whole file where the vendor drops them, as if it had come at that moment (default: now)."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        if at is not None:
            os.utime(path, (at.timestamp(), at.timestamp()))

    def deliver_creatives(self, name: str, first: date, last: date, at: datetime | None = None) -> int:
        """Deliver the creatives that ran on these days; how many there are."""
        window = self._served.window(first, last)
        if window is None:
            raise ValueError(f"nothing is known of {first} to {last}")
        frame = creatives_frame(self._served.simulated.business, window, {}, "")
        wanted = [
            c for c in frame.columns if c not in ("source", "account_id", "snapshot_date", "image_file")
        ]
        self.deliver(name, frame.select(wanted).write_csv(), at)
        return frame.height

    def _run(self, task: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(task, self._loop).result()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        outer = self

        class Login(asyncssh.SSHServer):
            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                expired = outer._faults.due("login", (FaultKind.EXPIRED_TOKEN,)) is not None
                return not expired and username == USER and password == outer._token

        class Files(asyncssh.SFTPServer):
            def __init__(self, channel: asyncssh.SSHServerChannel[bytes]) -> None:
                super().__init__(channel, chroot=str(outer._root).encode())

            async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
                outer.requests.append(f"open {path.decode()}")
                if pflags & (asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC):
                    raise asyncssh.SFTPPermissionDenied("read only")
                return super().open(path, pflags, attrs)

            async def read(self, file_obj: object, offset: int, size: int) -> bytes:
                able = (FaultKind.STALL, FaultKind.STREAM_BREAK, FaultKind.SERVER_ERROR)
                fault = outer._faults.due("read", able)
                if fault is FaultKind.STALL:
                    await asyncio.sleep(outer._stall)
                if fault is FaultKind.STREAM_BREAK:
                    self.channel.get_connection().abort()
                if fault is FaultKind.SERVER_ERROR:
                    raise asyncssh.SFTPFailure("disk error")
                content = super().read(file_obj, offset, size)
                assert isinstance(content, bytes)
                return content

        return await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Login, sftp_factory=Files, server_host_keys=[self._key]
        )

    def __enter__(self) -> SftpServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._listener.close()
        await self._listener.wait_closed()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
