"""A writer that dies at a chosen step: `python -m tests.faults.killed_writer <point> <store> <server>`.

Store and server are URLs, the token AELP_TIKTOK_ACCESS_TOKEN. The real writer on TikTok's sandbox server with
one call wrapped; the process gets SIGKILL there.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from resources.control.store import open_control_store
from resources.control.writer import Writer
from resources.platform_writers.opening import PlatformWriters
from tests.faults.killed_run import after, before, wrap_at
from tests.resources.control.proposing import governing
from tests.resources.platform_writers.loopback import SOON, sources_at, variables_at

WRITER, FEED, TIKTOK = (
    "resources.control.writer",
    "resources.control.change_feed",
    "resources.platform_writers.tiktok",
)

# point -> where it is, and what happens there
POINTS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "before_the_first_check": (WRITER, "Writer._clear", before),
    "before_the_first_read": (TIKTOK, "TikTokWriter.read", before),
    "before_sending_is_noted": (WRITER, "Writer._begin", before),
    "amid_noting_it": (FEED, "note_sending", after),  # not committed yet
    "before_the_call": (TIKTOK, "TikTokWriter.send", before),
    "after_the_call": (TIKTOK, "TikTokWriter.send", after),
    "before_the_second_read": (TIKTOK, "TikTokWriter.read", partial(before, number=2)),
    "before_settling": (WRITER, "Writer._settle", before),
    "amid_settling": (FEED, "settle", after),  # not committed yet
    "after_settling": (WRITER, "Writer._settle", after),
}


def main() -> None:
    point, control_url, server_url = sys.argv[1:]
    token = os.environ["AELP_TIKTOK_ACCESS_TOKEN"]
    wrap_at(*POINTS[point])
    engine = open_control_store(control_url)
    home = Path(tempfile.gettempdir())
    with PlatformWriters(sources_at(home, variables_at("tiktok", server_url, token)), "sandbox") as writers:
        Writer(engine, governing(engine, mode="sandbox"), writers, lambda: SOON).apply()


if __name__ == "__main__":
    main()
