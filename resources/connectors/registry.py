"""Which sources there are and how each is opened from the settings and the environment.

Here: names, the variables that say where and with what, one Puller per source. Not here: any platform's
calls. An SDK is imported once its source has credentials: all of them take seconds.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from resources.clock import Clock, SystemClock
from resources.connectors.errors import MissingCredentials
from resources.connectors.pulling import Puller
from resources.connectors.saved_credentials import SavedCredentials, is_key_file, variables_of
from resources.connectors.source import Source
from resources.control.ingestion import IngestionControl, Stop
from resources.control.store import control_url, has_control_store, open_control_store
from resources.creative_assets import FOLDER, AssetStore
from resources.settings import Environment, Settings, SourceName

if TYPE_CHECKING:
    from resources.connectors.ga4_credentials import Ga4Credentials
    from resources.connectors.ga4_tables import ExportedTables

Variables = Mapping[str, str]


@dataclass(frozen=True)
class Sources:
    """The live sources the settings name.

    Attributes:
        control: opened on first use: a graph that is only looked at touches no control store.
        pacing_clock: goes on while `sleep` sleeps, also where `clock` stands still.
        work_folder: where pages go.
        home: AELP_HOME: folders of the settings lie below it unless absolute, and what sources keep.
        variables: the environment; None is this process's.
        has_control_store: whether there is one without creating it.
    """

    settings: Settings
    clock: Clock
    pacing_clock: Clock
    sleep: Callable[[float], None]
    control_store: Callable[[], sa.Engine]
    work_folder: Path
    home: Path
    variables: Variables | None = None
    has_control_store: Callable[[], bool] = lambda: True

    @property
    def saved(self) -> SavedCredentials:
        """What `aelp connect --save` kept."""
        return SavedCredentials(self.home)

    def variables_of(self, name: SourceName) -> Variables:
        """What says where and as whom a source is called: the environment's variables, else the saved ones.

        Never some of each: a login would be half another's, and a saved token go to an endpoint set since.

        Raises:
            SettingsError: the saved ones are needed, and their file is not its owner's alone.
        """
        if name == "vendor_files" and self.settings.sources[name].inbox is not None:
            return {}  # a folder of this machine
        return variables_of(name, self._environment) or self.saved.of(name)

    def credential_hash(self, name: SourceName) -> str:
        """Tells two sets of credentials apart without giving either away; of key files, by their content.

        Raises:
            SettingsError: as `variables_of`.
        """
        told: list[str] = []
        for variable, value in self.variables_of(name).items():
            told += [variable, value.strip(), *([_content(value.strip())] if is_key_file(variable) else [])]
        return hashlib.sha256("\x1f".join(told).encode(errors="surrogateescape")).hexdigest()[:16]

    def stopped(self, name: SourceName) -> Stop | None:
        """Why a source is not called with the credentials it has now, if it is not.

        Raises:
            SettingsError: as `variables_of`.
        """
        return IngestionControl(self.control_store()).stopped(name, self.credential_hash(name))

    def puller(self, name: SourceName) -> Puller:
        """Pulls accounts of one source.

        Raises:
            KeyError: the settings do not name it.
        """
        configured = self.settings.sources[name]
        return Puller(
            source=name,
            open_source=lambda: self.open(name),
            credential_hash=lambda: self.credential_hash(name),
            control=IngestionControl(self.control_store()),
            clock=self.clock,
            pacing_clock=self.pacing_clock,
            sleep=self.sleep,
            rng=np.random.default_rng(),  # only jitter: two runs should not wait alike
            folder=self.work_folder,
            calls_per_hour=configured.calls_per_hour,
            backfill_days=configured.backfill_days,
            history_start=self.settings.history_start,
        )

    def with_credentials(self) -> list[SourceName]:
        """The sources that can be called; the others say what they lack when they are opened."""
        found = []
        for name in self.settings.source_names:
            with suppress(MissingCredentials):
                self.open(name)
                found.append(name)
        return found

    def open(self, name: SourceName) -> Source:
        """A source with its credentials; nothing is called yet.

        Raises:
            MissingCredentials: naming the variables to set.
            SettingsError: as `variables_of`.
        """
        try:
            return _OPENERS[name](self, self.variables_of(name))
        except MissingCredentials as missing:
            said, given = str(missing), variables_of(name, self._environment)
        if given and self.saved.of(name):
            said += f" What {self.saved.path} holds counts only while {', '.join(given)} is not set."
        raise MissingCredentials(said)

    @property
    def _environment(self) -> Variables:
        return os.environ if self.variables is None else self.variables


def open_sources(environment: Environment, settings: Settings, clock: Clock) -> Sources:
    """The live sources of this environment: control store at AELP_CONTROL_URL, by default in AELP_HOME."""
    url = control_url(environment.home, os.environ)
    return Sources(
        settings,
        clock,
        SystemClock(),
        time.sleep,
        cache(lambda: open_control_store(url)),
        environment.home / "work" / "pulls",
        environment.home,
        has_control_store=lambda: has_control_store(url),
    )


def _content(key_file: str) -> str:
    """The hash of a key file's content: a new key often comes under the old name."""
    try:
        return hashlib.sha256(Path(key_file).read_bytes()).hexdigest()
    except OSError:
        return "unreadable"


def endpoint_of(variables: Variables, name: str, live: str) -> str:
    """The endpoint to use: the platform's own unless another is set."""
    return variables.get(f"AELP_{name}_ENDPOINT") or live


def _meta(sources: Sources, variables: Variables) -> Source:
    from resources.connectors.meta.credentials import MetaCredentials  # noqa: PLC0415

    credentials = MetaCredentials.from_environment(variables)

    from resources.connectors.meta.graph import LIVE  # noqa: PLC0415
    from resources.connectors.meta.source import MetaSource  # noqa: PLC0415

    return MetaSource(
        credentials,
        sources.settings.sources["meta"].accounts,
        assets=AssetStore(sources.home / FOLDER),
        sleep=sources.sleep,
        now=sources.clock.now,
        base_url=endpoint_of(variables, "META", LIVE),
    )


def _google_ads(sources: Sources, variables: Variables) -> Source:
    from resources.connectors.google_ads.credentials import GoogleAdsCredentials  # noqa: PLC0415

    credentials = GoogleAdsCredentials.from_environment(variables)

    from resources.connectors.google_ads.api import LIVE_ENDPOINT  # noqa: PLC0415
    from resources.connectors.google_ads.source import GoogleAdsSource  # noqa: PLC0415

    return GoogleAdsSource(
        credentials,
        sources.settings.sources["google_ads"].accounts,
        endpoint=endpoint_of(variables, "GOOGLE_ADS", LIVE_ENDPOINT),
    )


def _tiktok(sources: Sources, variables: Variables) -> Source:
    from resources.connectors.tiktok import ENDPOINT, TikTok, TikTokCredentials  # noqa: PLC0415

    return TikTok(
        TikTokCredentials.from_environment(variables),
        sources.settings.sources["tiktok"].accounts,
        sources.clock.now,
        endpoint=endpoint_of(variables, "TIKTOK", ENDPOINT),
    )


def _linkedin(sources: Sources, variables: Variables) -> Source:
    from resources.connectors.linkedin import ENDPOINT, LinkedIn, LinkedInCredentials  # noqa: PLC0415

    return LinkedIn(
        LinkedInCredentials.from_environment(variables),
        sources.settings.sources["linkedin"].accounts,
        sources.clock.now,
        endpoint=endpoint_of(variables, "LINKEDIN", ENDPOINT),
    )


def _impact(sources: Sources, variables: Variables) -> Source:
    from resources.connectors.impact import ENDPOINT, Impact, ImpactCredentials  # noqa: PLC0415

    credentials = ImpactCredentials.from_environment(variables)
    return Impact(credentials, endpoint=endpoint_of(variables, "IMPACT", ENDPOINT))


def _ga4(sources: Sources, variables: Variables) -> Source:
    from resources.connectors.ga4_credentials import Ga4Credentials  # noqa: PLC0415

    credentials = Ga4Credentials.from_environment(variables)

    from resources.connectors.ga4 import LIVE, Ga4Source  # noqa: PLC0415
    from resources.connectors.ga4_export import Ga4Export, IdentifierSalt  # noqa: PLC0415

    configured = sources.settings.sources["ga4"]
    tables = _ga4_tables(sources, variables, credentials)
    export = None
    if tables is not None:
        export = Ga4Export(
            tables,
            IdentifierSalt.from_environment(variables),
            unset_is_consent=configured.unset_consent == "given",
        )
    return Ga4Source(
        credentials,
        configured.accounts,
        export=export,
        endpoint=endpoint_of(variables, "GA4", LIVE),
        now=sources.clock.now,
    )


def _ga4_tables(sources: Sources, variables: Variables, credentials: Ga4Credentials) -> ExportedTables | None:
    configured = sources.settings.sources["ga4"]
    if configured.export_folder is not None:
        from resources.connectors.ga4_tables import ParquetTables  # noqa: PLC0415

        return ParquetTables(sources.home / configured.export_folder)
    if configured.export_project is not None:
        from resources.connectors.ga4_bigquery import BigQueryTables  # noqa: PLC0415
        from resources.connectors.ga4_credentials import BIGQUERY  # noqa: PLC0415

        return BigQueryTables(
            configured.export_project,
            credentials.google(BIGQUERY),
            variables.get("AELP_GA4_EXPORT_ENDPOINT"),
            variables.get("AELP_GA4_EXPORT_STORAGE_ENDPOINT"),
        )
    return None


def _orders(sources: Sources, variables: Variables) -> Source:
    from resources.connectors.orders import OrdersCredentials, OrdersDatabase, OrdersTable  # noqa: PLC0415

    configured = sources.settings.sources["orders"]
    table = OrdersTable(
        configured.table,
        dict(configured.columns.items()),
        configured.timezone or sources.settings.business_timezone,
        configured.stored_timezone,
        None if "store_id" in configured.columns else configured.accounts[0],
        configured.currency,
    )
    credentials = OrdersCredentials.from_environment(variables)
    return OrdersDatabase(credentials, table, stores=configured.accounts)


def _vendor_files(sources: Sources, variables: Variables) -> Source:
    from resources.connectors.sftp import SftpCredentials, SftpInbox  # noqa: PLC0415
    from resources.connectors.vendor_files import FolderInbox, Inbox, VendorFiles  # noqa: PLC0415

    configured = sources.settings.sources["vendor_files"]
    inbox: Inbox
    if configured.inbox is not None:
        inbox = FolderInbox(sources.home / configured.inbox)
    else:
        inbox = SftpInbox(SftpCredentials.from_environment(variables))
    (vendor,) = configured.accounts
    return VendorFiles(
        inbox,
        vendor,
        sources.home / "vendor_files",
        sources.settings.business_timezone,
        settle_seconds=configured.settle_seconds,
        now=sources.clock.now,
        sleep=sources.sleep,
    )


def _ad_library(sources: Sources, variables: Variables) -> Source:
    from resources.connectors.ad_library import (  # noqa: PLC0415
        LIVE,
        AdLibrary,
        AdLibraryCredentials,
        AdLibrarySearch,
    )

    configured = sources.settings.sources["ad_library"]
    return AdLibrary(
        AdLibraryCredentials.from_environment(variables),
        [AdLibrarySearch(**search.model_dump()) for search in configured.searches],
        sources.home / "ad_library",
        sources.settings.business_timezone,
        endpoint=endpoint_of(variables, "AD_LIBRARY", LIVE),
        now=sources.clock.now,
        monthly_searches=configured.monthly_searches,
    )


_OPENERS: Mapping[SourceName, Callable[[Sources, Variables], Source]] = {
    "meta": _meta,
    "google_ads": _google_ads,
    "tiktok": _tiktok,
    "linkedin": _linkedin,
    "impact": _impact,
    "ga4": _ga4,
    "orders": _orders,
    "vendor_files": _vendor_files,
    "ad_library": _ad_library,
}
