"""Which platforms may be written to in which mode, with whose credentials.

Here: the gates before any connection (AELP_LIVE, loopback), one writer per platform. Not here: what is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Literal, cast, get_args

from resources.connectors.http import is_loopback
from resources.connectors.registry import Sources, Variables, endpoint_of
from resources.control.records import Mode
from resources.platform_writers.interface import PlatformWriter
from resources.settings import SettingsError

WritablePlatform = Literal["meta", "google_ads", "tiktok", "linkedin"]


class PlatformWriters(AbstractContextManager["PlatformWriters"]):
    """A writer per platform, opened when it is first asked for with what reads the platform, too.

    Args:
        sources: the live sources the settings name, with their credentials.
        mode: `live` needs AELP_LIVE=1; `sandbox` needs every platform's endpoint on this machine.
        is_live: whether AELP_LIVE is 1.
        timeout_seconds: longest wait for an answer.
    Raises:
        SettingsError: the mode's condition does not hold.
    """

    def __init__(
        self, sources: Sources, mode: Mode, *, is_live: bool = False, timeout_seconds: float = 60.0
    ) -> None:
        self._sources, self._mode, self._timeout_seconds = sources, mode, timeout_seconds
        self._open: dict[str, PlatformWriter] = {}
        if mode == "live" and not is_live:
            raise SettingsError("governance.mode is live: set AELP_LIVE=1 too, or nothing is sent.")
        if mode == "sandbox":
            for name in get_args(WritablePlatform):
                if name in sources.settings.sources:
                    self._require_loopback(name)

    def __call__(self, platform: str) -> PlatformWriter:
        """The writer of a platform.

        Raises:
            SettingsError: shadow, an unknown platform, or as the class.
            MissingCredentials: naming the variables to set.
        """
        if platform not in self._open:
            if self._mode == "shadow":
                raise SettingsError("governance.mode is shadow: no platform is ever written to.")
            if platform not in self._sources.settings.sources or platform not in _OPENERS:
                raise SettingsError(f"{platform}: the settings' `sources` name no such platform to write to.")
            name = cast(WritablePlatform, platform)
            if self._mode == "sandbox":
                self._require_loopback(name)
            variables = self._sources.variables_of(name)
            self._open[platform] = _OPENERS[name](self._sources, variables, self._timeout_seconds)
        return self._open[platform]

    def _require_loopback(self, name: WritablePlatform) -> None:
        variable = f"AELP_{name.upper()}_ENDPOINT"
        endpoint = self._sources.variables_of(name).get(variable, "")
        if not is_loopback(endpoint):
            raise SettingsError(
                f"governance.mode is sandbox, but {variable} is {endpoint or 'not set'}: what was approved "
                "in the sandbox is sent to servers on this machine alone (127.0.0.1)."
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._open.values():
            writer.close()
        self._open.clear()


# The SDKs are imported with their platform: each takes a second.
def _meta(_: Sources, variables: Variables, timeout_seconds: float) -> PlatformWriter:
    from resources.connectors.meta.credentials import MetaCredentials  # noqa: PLC0415
    from resources.connectors.meta.graph import LIVE  # noqa: PLC0415
    from resources.platform_writers.meta import MetaWriter  # noqa: PLC0415

    return MetaWriter(
        MetaCredentials.from_environment(variables),
        endpoint=endpoint_of(variables, "META", LIVE),
        timeout_seconds=timeout_seconds,
    )


def _google_ads(_: Sources, variables: Variables, timeout_seconds: float) -> PlatformWriter:
    from resources.connectors.google_ads.api import LIVE_ENDPOINT  # noqa: PLC0415
    from resources.connectors.google_ads.credentials import GoogleAdsCredentials  # noqa: PLC0415
    from resources.platform_writers.google_ads import GoogleAdsWriter  # noqa: PLC0415

    return GoogleAdsWriter(
        GoogleAdsCredentials.from_environment(variables),
        endpoint=endpoint_of(variables, "GOOGLE_ADS", LIVE_ENDPOINT),
        timeout_seconds=timeout_seconds,
    )


def _tiktok(_: Sources, variables: Variables, timeout_seconds: float) -> PlatformWriter:
    from resources.connectors.tiktok import ENDPOINT, TikTokCredentials  # noqa: PLC0415
    from resources.platform_writers.tiktok import TikTokWriter  # noqa: PLC0415

    return TikTokWriter(
        TikTokCredentials.from_environment(variables),
        endpoint=endpoint_of(variables, "TIKTOK", ENDPOINT),
        timeout_seconds=timeout_seconds,
    )


def _linkedin(sources: Sources, variables: Variables, timeout_seconds: float) -> PlatformWriter:
    from resources.connectors.linkedin import ENDPOINT, LinkedInCredentials  # noqa: PLC0415
    from resources.platform_writers.linkedin import LinkedInWriter  # noqa: PLC0415

    return LinkedInWriter(
        LinkedInCredentials.from_environment(variables),
        sources.clock.now,
        endpoint=endpoint_of(variables, "LINKEDIN", ENDPOINT),
        timeout_seconds=timeout_seconds,
    )


_OPENERS: Mapping[WritablePlatform, Callable[[Sources, Variables, float], PlatformWriter]] = {
    "meta": _meta,
    "google_ads": _google_ads,
    "tiktok": _tiktok,
    "linkedin": _linkedin,
}
