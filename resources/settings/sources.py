"""The live sources: which accounts are pulled, and what each source needs to know.

Here: everything under `sources`. Not here: their secrets (environment variables), how they are read
(`resources.connectors`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from typing_extensions import TypedDict  # pydantic refuses typing's own before Python 3.12

from resources.settings.values import Country, PageId, Section, TimeZone, written_as

SourceName = Literal[
    "meta", "google_ads", "tiktok", "linkedin", "impact", "ga4", "orders", "vendor_files", "ad_library"
]


def _dashed(customer_id: str) -> str:
    digits = customer_id.replace("-", "")
    return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"


_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_$]{0,62}"

CustomerId = Annotated[
    str, written_as(r"\d{3}-?\d{3}-?\d{4}", "a customer id such as 123-456-7890"), AfterValidator(_dashed)
]
PropertyId = Annotated[
    str, written_as(r"\d+", "a property id, a number such as 312345678 (G-… is a measurement id)")
]
ProjectName = Annotated[
    str, written_as("[a-z][a-z0-9-]{4,28}[a-z0-9]", "a Google Cloud project id such as northstar-web")
]
LibraryName = Annotated[str, written_as("ad_library", "ad_library, the one account there is")]
Currency = Annotated[str, written_as("[A-Z]{3}", "an ISO currency code such as USD")]
ColumnName = Annotated[str, written_as(_IDENTIFIER, "a plain column name: letters, digits and _")]
TableName = Annotated[
    str,
    written_as(
        rf"{_IDENTIFIER}(\.{_IDENTIFIER})?", "a table or view, perhaps schema.table: letters, digits, _"
    ),
]
FolderName = Annotated[str, Field(min_length=1)]
"""A folder: an absolute path, or one below AELP_HOME."""


class LiveSource(Section):
    """A platform that is read through its API; its secrets stand elsewhere.

    `accounts` as the platform names them. `calls_per_hour` is what one account may be called by all runs
    together; what the platform says while it is called goes before it.
    """

    accounts: Annotated[list[str], Field(min_length=1)]
    calls_per_hour: Annotated[float, Field(ge=1.0, le=1_000_000.0)] = 600.0
    backfill_days: Annotated[int, Field(ge=1, le=1125)] = 90


class LiveGoogleAds(LiveSource):
    """`accounts` are customer ids, with or without dashes."""

    accounts: Annotated[list[CustomerId], Field(min_length=1)]


class LiveGa4(LiveSource):
    """`accounts` are property ids.

    The properties' exported events are read from BigQuery where `export_project` names the Google Cloud
    project they are linked to, or from Parquet files in `export_folder`; either holds an
    `analytics_<property id>` per property. `unset_consent` says what it means that the site asked nobody.
    """

    accounts: Annotated[list[PropertyId], Field(min_length=1)]
    export_folder: FolderName | None = None
    export_project: ProjectName | None = None
    unset_consent: Literal["refused", "given"] = "refused"

    @model_validator(mode="after")
    def _exported_to_one_place(self) -> LiveGa4:
        if self.export_folder is not None and self.export_project is not None:
            raise ValueError("give export_folder or export_project, not both: events would be read twice")
        return self


OrderField = Literal[
    "order_id",
    "store_id",
    "customer_id",
    "ordered_at",
    "value",
    "currency",
    "is_new_customer",
    "track",
    "refunded_at",
    "trial_started_at",
    "paid_at",
    "utm_source",
    "utm_campaign",
    "utm_content",
]


class LiveOrders(LiveSource):
    """One table or view of the shop's database with one row an order; `accounts` are its stores.

    `columns` maps what an order has to the table's columns; what is left out is not read. `timezone` is that
    of the stores' days (default: the business's), `stored_timezone` that of moments stored without an offset.
    """

    table: TableName
    columns: dict[OrderField, ColumnName]
    currency: Currency | None = None
    timezone: TimeZone | None = None
    stored_timezone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _can_be_meant(self) -> LiveOrders:
        missing = [name for name in ("order_id", "ordered_at", "value") if name not in self.columns]
        if missing:
            raise ValueError(f"columns: name the column of {', '.join(missing)}")
        if "store_id" not in self.columns and len(self.accounts) > 1:
            raise ValueError("columns: name the column of store_id, or a single account: the one store")
        if ("currency" in self.columns) == (self.currency is not None):
            raise ValueError("currency: give either a column for it or one currency for all orders")
        return self


class LiveVendorFiles(LiveSource):
    """Creatives that one vendor, the one account, drops as CSV files.

    They are fetched over SFTP (AELP_VENDOR_FILES_*), or from `inbox`, a folder, where it is given. A file
    that changes within `settle_seconds` is still being written.
    """

    accounts: Annotated[list[str], Field(min_length=1, max_length=1)]
    inbox: FolderName | None = None
    settle_seconds: Annotated[float, Field(ge=0.0, le=600.0)] = 5.0


class LibrarySearch(Section):
    """One search: words, or up to ten pages by id, in the countries the ads reached."""

    terms: Annotated[str, Field(max_length=100)] = ""
    page_ids: Annotated[tuple[PageId, ...], Field(max_length=10)] = ()
    countries: Annotated[tuple[Country, ...], Field(min_length=1)] = ("US",)
    ad_type: Literal["ALL", "POLITICAL_AND_ISSUE_ADS", "HOUSING_ADS", "EMPLOYMENT_ADS"] = "ALL"
    active_status: Literal["ALL", "ACTIVE", "INACTIVE"] = "ALL"

    @model_validator(mode="after")
    def _words_or_pages(self) -> LibrarySearch:
        if bool(self.terms.strip()) == bool(self.page_ids):
            raise ValueError("a search needs either terms or page_ids")
        return self


class LiveAdLibrary(LiveSource):
    """What others advertise on Meta: `searches`, each repeated weekly while `monthly_searches` last."""

    accounts: Annotated[list[LibraryName], Field(min_length=1, max_length=1)] = ["ad_library"]
    searches: Annotated[tuple[LibrarySearch, ...], Field(min_length=1)]
    monthly_searches: Annotated[int, Field(ge=1, le=100_000)] = 100


class LiveSources(TypedDict, total=False):
    """The sources to pull, each with what it needs to know."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    meta: LiveSource
    google_ads: LiveGoogleAds
    tiktok: LiveSource
    linkedin: LiveSource
    impact: LiveSource
    ga4: LiveGa4
    orders: LiveOrders
    vendor_files: LiveVendorFiles
    ad_library: LiveAdLibrary
