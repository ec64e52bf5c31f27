"""Google Analytics events from the tables of its BigQuery export.

An event is what one browser sent; a conversion is a purchase event, without any attribution.
Here: which table counts for a day, what of an event is kept, what is hashed or dropped for want of consent.
Not here: where the tables lie (`ga4_tables`), sessions and attribution (dbt), the Data API (`ga4`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from resources.connectors.errors import ErrorClass, MissingCredentials, PlatformError
from resources.connectors.ga4_tables import ExportedTables, table_name
from resources.connectors.rows import decimal_text, page_rows, text
from resources.connectors.source import Page, Pull, Report
from resources.landing.streams import STREAMS

STREAM = STREAMS["ga4_events"]
KINDS = ("daily", "fresh", "intraday")  # the first a day has is the one that counts

_CLICK_IDS = frozenset({"gclid", "fbclid", "dclid", "gbraid", "wbraid", "msclkid", "ttclid", "li_fat_id"})
_PERSONAL = re.compile(r"user_?id|client_?id|e?-?mail|phone|first_?name|last_?name|address", re.I)
_ADDRESS = re.compile(r"[^\s@/]+(?:@|%40)[^\s@/]+\.[^\s@/]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VALUE_KINDS = ("string_value", "int_value", "double_value", "float_value")
_WHEN_UNEXPORTED = 3_600.0  # seconds until it is worth looking again


@dataclass(frozen=True)
class IdentifierSalt:
    """The secret without which hashed identifiers cannot be guessed from lists of addresses or ids."""

    salt: str = field(repr=False)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> IdentifierSalt:
        """Raises: MissingCredentials where AELP_IDENTIFIER_SALT is not set or short enough to be guessed."""
        salt = variables.get("AELP_IDENTIFIER_SALT", "").strip()
        if len(salt) < 16:
            raise MissingCredentials(
                "GA4 export: set AELP_IDENTIFIER_SALT to at least 16 random characters and keep it: "
                "identifiers hashed with another salt no longer match."
            )
        return cls(salt)

    def hashed(self, value: str) -> str:
        """HMAC-SHA-256 of an identifier, in hexadecimal digits."""
        return hmac.new(self.salt.encode(), value.encode(), hashlib.sha256).hexdigest()


class Ga4Export:
    """Events of properties from their exported tables.

    Args:
        unset_is_consent: whether `Unset` (the site asks nobody) counts as consent. It does not by itself.
    """

    # Daily tables are rewritten for three days. A day a pull: a missing table holds up no other day. A table
    # without events is never exported, but old ones expire (after 60 days in BigQuery's sandbox).
    report = Report(
        STREAM, "none", lookback_days=4, longest_days=1, final_after_days=4, expires=True, place="export"
    )

    def __init__(
        self, tables: ExportedTables, salt: IdentifierSalt, *, unset_is_consent: bool = False
    ) -> None:
        self._tables = tables
        self._salt = salt
        self._consents = frozenset({"Yes", "Unset"} if unset_is_consent else {"Yes"})

    @property
    def secrets(self) -> Sequence[str]:
        return (self._salt.salt,)

    def newest(self, property_id: str) -> str:
        """The property's newest table, for a person; some of it is read and forgotten.

        Raises:
            PlatformError: as the tables say.
        """
        day, kind = max(self._tables.found(property_id))
        next(iter(self._tables.events(property_id, day, kind)), None)
        return f"exported events: {table_name(day, kind)} is the newest in {self._tables.where(property_id)}"

    def pages(self, pull: Pull) -> Iterator[Page]:
        """Events of the pull's days, each day from its best table alone.

        Raises:
            PlatformError: TRANSIENT where a day is not exported yet, PERMANENT where a table is wrong, or as
                the tables say.
        """
        property_id = pull.account.account_id
        found = self._tables.found(property_id)
        earliest = min(day for day, _ in found)
        for day in pull.days:
            kind = next((kind for kind in KINDS if (day, kind) in found), None)
            if kind is None and day >= earliest:
                # TRANSIENT, not DEFER: that would hold up the days that are there.
                raise PlatformError(
                    ErrorClass.TRANSIENT,
                    f"GA4 export: there is no table of {day} in {self._tables.where(property_id)} yet",
                    _WHEN_UNEXPORTED,
                )
            if kind is not None:
                yield from self._events(property_id, day, kind)
            else:
                yield Page(page_rows([], STREAM))

    def _events(self, property_id: str, day: date, kind: str) -> Iterator[Page]:
        seen: Counter[str] = Counter()
        is_empty = True
        for events in self._tables.events(property_id, day, kind):
            is_empty = False
            yield Page(page_rows([self._row(event, day, kind, seen) for event in events], STREAM))
        if is_empty:
            yield Page(page_rows([], STREAM))

    def _row(
        self, event: Mapping[str, Any], day: date, kind: str, seen: Counter[str]
    ) -> dict[str, str | date | None]:
        at, name = event.get("event_timestamp"), event.get("event_name")
        if not isinstance(at, int) or not isinstance(name, str) or event.get("event_date") != f"{day:%Y%m%d}":
            raise PlatformError(
                ErrorClass.PERMANENT,
                f"GA4 export: {table_name(day, kind)} has an event without name or time, or another day than "
                f"{day}. Export it again.",
            )
        params = _named_values(event.get("event_params"))
        privacy = event.get("privacy_info") or {}
        may_measure = privacy.get("analytics_storage") in self._consents
        may_advertise = privacy.get("ads_storage") in self._consents
        collected, commerce = event.get("collected_traffic_source") or {}, event.get("ecommerce") or {}
        link = _link_query(params.get("page_location"))
        gclid = collected.get("gclid") or params.get("gclid") or link.get("gclid")
        fbclid = params.get("fbclid") or link.get("fbclid")
        user = event.get("user_id")
        browser = event.get("user_pseudo_id")
        return {
            "report_date": day,
            "export_kind": kind,
            "event_hash": self._event_hash(event, seen),
            "event_name": name,
            "event_at": (_EPOCH + timedelta(microseconds=at)).isoformat(),
            "user_pseudo_id_hash": self._salt.hashed(browser) if browser and may_measure else None,
            "user_id_hash": self._salt.hashed(user) if user and may_measure else None,
            "ga_session_id": text(params.get("ga_session_id")) if may_measure else None,
            # Kept as they are, with consent to ads: platforms know conversions by no other name.
            "gclid": text(gclid) if may_advertise else None,
            "fbclid": text(fbclid) if may_advertise else None,
            "analytics_storage": text(privacy.get("analytics_storage")),
            "ads_storage": text(privacy.get("ads_storage")),
            "transaction_id": text(commerce.get("transaction_id") or params.get("transaction_id")),
            "purchase_revenue": _plain(commerce.get("purchase_revenue")),
            "traffic_source": text(collected.get("manual_source") or params.get("source")),
            "traffic_medium": text(collected.get("manual_medium") or params.get("medium")),
            "traffic_campaign": text(collected.get("manual_campaign_name") or params.get("campaign")),
            "device_category": text((event.get("device") or {}).get("category")),
            "country": text((event.get("geo") or {}).get("country")),
            "event_params": _json(_impersonal(params)),
            "user_properties": _json(_impersonal(_named_values(event.get("user_properties"))))
            if may_measure
            else None,
        }

    def _event_hash(self, event: Mapping[str, Any], seen: Counter[str]) -> str:
        """Names an event by all it holds; the export has no id, and two events may be exactly alike."""
        digest = self._salt.hashed(json.dumps(event, sort_keys=True, default=str))
        seen[digest] += 1
        return digest if seen[digest] == 1 else self._salt.hashed(f"{digest}:{seen[digest]}")


def _named_values(records: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """`[{key, value: {string_value, int_value, …}}]` as a mapping; a repeated key keeps all values."""
    values: dict[str, Any] = {}
    for record in records or ():
        typed = record.get("value") or {}
        value = next((typed[kind] for kind in _VALUE_KINDS if typed.get(kind) is not None), None)
        name = str(record.get("key"))
        if name in values:
            earlier = values[name]
            values[name] = [*(earlier if isinstance(earlier, list) else [earlier]), value]
        else:
            values[name] = value
    return values


def _link_query(link: Any) -> dict[str, str]:
    """The parameters of a link; none where it is none: browsers send what they like."""
    try:
        return dict(parse_qsl(urlsplit(str(link or "")).query))
    except ValueError:
        return {}


def _impersonal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without click ids, names of people and addresses, also inside links."""
    kept = {}
    for name, value in values.items():
        if name.casefold() in _CLICK_IDS or name == "ga_session_id" or _PERSONAL.search(name):
            continue
        items = [_without_query(v) for v in (value if isinstance(value, list) else [value])]
        if any(isinstance(item, str) and _ADDRESS.search(item) for item in items):
            continue
        kept[name] = items if isinstance(value, list) else items[0]
    return kept


def _without_query(value: Any) -> Any:
    """A link with its utm parameters only: the others may hold anything a site puts there."""
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        return value
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    query = [(name, v) for name, v in parse_qsl(parts.query) if name.startswith("utm_")]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host, query=urlencode(query), fragment=""))


def _json(values: Mapping[str, Any]) -> str | None:
    if not values:
        return None
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def _plain(value: float | None) -> str | None:
    """Money as the export's double means it: repr is the shortest text that reads back the same."""
    return None if value is None else decimal_text(repr(value), "GA4 export purchase_revenue")
