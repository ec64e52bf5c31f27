"""What Google Ads' errors mean for a pull.

Here: gRPC codes and GoogleAdsFailure codes, sorted into the six classes, with the wait the server names.
Not here: making the call (`api`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.ads.googleads.errors import GoogleAdsException
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.api_core.exceptions import GoogleAPICallError
from google.protobuf.message import DecodeError

from resources.connectors.errors import ErrorClass, PlatformError

_FAILURE_KEY = "google.ads.googleads.v26.errors.googleadsfailure-bin"
# A wait beyond this is no throttle any more: the quota of the day is gone.
_LONGEST_THROTTLE_SECONDS = 3600.0

_BY_NAME: Mapping[str, ErrorClass] = {
    "RESOURCE_TEMPORARILY_EXHAUSTED": ErrorClass.THROTTLE,
    "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION": ErrorClass.THROTTLE,
    "RESOURCE_EXHAUSTED": ErrorClass.DEFER,
    "EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION": ErrorClass.DEFER,
    "EXPIRED_PAGE_TOKEN": ErrorClass.TRANSIENT,
    "INVALID_PAGE_TOKEN": ErrorClass.TRANSIENT,
    "CUSTOMER_NOT_ENABLED": ErrorClass.PERMANENT,
    "CUSTOMER_NOT_FOUND": ErrorClass.PERMANENT,
    "ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT": ErrorClass.PERMANENT,
    "DEVELOPER_TOKEN_PARAMETER_MISSING": ErrorClass.AUTH,
    "LOGIN_CUSTOMER_ID_PARAMETER_MISSING": ErrorClass.AUTH,
    "CLOUD_PROJECT_NOT_FOUND": ErrorClass.AUTH,
    "ACCESS_PROHIBITED": ErrorClass.AUTH,
    "DATE_RANGE_TOO_WIDE": ErrorClass.SHRINK,
    "FILTER_HAS_TOO_MANY_VALUES": ErrorClass.SHRINK,
}
_BY_KIND: Mapping[str, ErrorClass] = {
    "authentication_error": ErrorClass.AUTH,
    "authorization_error": ErrorClass.AUTH,
    "internal_error": ErrorClass.TRANSIENT,
    "database_error": ErrorClass.TRANSIENT,
    "size_limit_error": ErrorClass.SHRINK,
}
_BY_STATUS: Mapping[grpc.StatusCode, ErrorClass] = {
    grpc.StatusCode.UNAUTHENTICATED: ErrorClass.AUTH,
    grpc.StatusCode.PERMISSION_DENIED: ErrorClass.AUTH,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ErrorClass.THROTTLE,
    grpc.StatusCode.INVALID_ARGUMENT: ErrorClass.PERMANENT,
    grpc.StatusCode.NOT_FOUND: ErrorClass.PERMANENT,
    grpc.StatusCode.FAILED_PRECONDITION: ErrorClass.PERMANENT,
    grpc.StatusCode.UNIMPLEMENTED: ErrorClass.PERMANENT,
}
_REMEDIES: Mapping[str, str] = {
    "CUSTOMER_NOT_ENABLED": (
        "The account was closed or never activated: reactivate it in Google Ads, or leave it out of "
        "sources.google_ads.accounts in the settings."
    ),
    "CUSTOMER_NOT_FOUND": "Check sources.google_ads.accounts in the settings.",
    "ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT": "Google has suspended the account: appeal in Google Ads.",
    "USER_PERMISSION_DENIED": (
        "Give this login read access to the account; where access comes through a manager account, set "
        "AELP_GOOGLE_ADS_LOGIN_CUSTOMER_ID to the manager's id."
    ),
    "OAUTH_TOKEN_EXPIRED": "Renew AELP_GOOGLE_ADS_REFRESH_TOKEN (or the access token).",
    "OAUTH_TOKEN_REVOKED": "Renew AELP_GOOGLE_ADS_REFRESH_TOKEN.",
    "OAUTH_TOKEN_INVALID": "Renew AELP_GOOGLE_ADS_REFRESH_TOKEN (or the access token).",
    "NOT_ADS_USER": "This login has no Google Ads account: invite it to one.",
    "TWO_STEP_VERIFICATION_NOT_ENROLLED": "Turn on 2-step verification for this login.",
    "UNSUPPORTED_VERSION": "Google has retired this API version: update AELP.",
}


@dataclass(frozen=True)
class _Call:
    """A failed call, whatever the SDK made of it."""

    status: grpc.StatusCode
    details: str
    failure: Any | None

    @classmethod
    def of(cls, error: Exception) -> _Call:
        if isinstance(error, GoogleAdsException):
            return cls(error.error.code(), error.error.details() or "", error.failure)
        rpc: Any = error
        if isinstance(error, GoogleAPICallError):
            # INTERNAL and RESOURCE_EXHAUSTED come without their failure: the SDK leaves it in the trailer.
            rpc = next((cause for cause in error.errors if isinstance(cause, grpc.RpcError)), None)
            if rpc is None:
                return cls(error.grpc_status_code or grpc.StatusCode.UNKNOWN, error.message or "", None)
        return cls(rpc.code(), rpc.details() or "", _trailing_failure(rpc))


def _trailing_failure(rpc: Any) -> Any | None:
    for key, value in rpc.trailing_metadata() or ():
        if key == _FAILURE_KEY:
            try:
                return GoogleAdsFailure.deserialize(value)
            except DecodeError:
                return None
    return None


def platform_error(error: Exception, about: str, responses: int) -> PlatformError:
    """The error as AELP sorts it; the message holds codes and Google's own words only.

    Args:
        error: GoogleAdsException, GoogleAPICallError or grpc.RpcError.
        about: what was asked, for a person.
        responses: how many responses had arrived: a stream that runs out of time under way asks for too much.
    """
    call = _Call.of(error)
    if call.failure is None or not call.failure.errors:
        return _by_status(call, about, responses)
    first = call.failure.errors[0]
    kind, name = _code(first)
    error_class = _BY_NAME.get(name) or _BY_KIND.get(kind) or ErrorClass.PERMANENT
    wait = _retry_seconds(call.failure)
    if error_class is ErrorClass.THROTTLE and (wait or 0.0) > _LONGEST_THROTTLE_SECONDS:
        error_class = ErrorClass.DEFER
    text = f"Google Ads refused {about}: {name or kind}: {first.message}"
    if name in _REMEDIES:
        text = f"{text} {_REMEDIES[name]}"
    return PlatformError(error_class, text, wait)


def _by_status(call: _Call, about: str, responses: int) -> PlatformError:
    error_class = _BY_STATUS.get(call.status, ErrorClass.TRANSIENT)
    if call.status is grpc.StatusCode.DEADLINE_EXCEEDED:
        error_class = ErrorClass.SHRINK if responses else ErrorClass.TRANSIENT
        return PlatformError(error_class, f"Google Ads took too long for {about}.")
    if call.status is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in call.details:
        error_class = ErrorClass.SHRINK  # one streamed message outgrew the channel's limit
    text = f"Google Ads failed at {about}: {call.status.name}: {call.details}"
    if call.status is grpc.StatusCode.PERMISSION_DENIED:
        text = (
            f"{text} Check that the Google Ads API is enabled in the Cloud project and the login may use it."
        )
    return PlatformError(error_class, text)


def _code(error: Any) -> tuple[str, str]:
    """Which error it is: the field of ErrorCode that is set, and the name of its value."""
    code = type(error.error_code).pb(error.error_code)
    kind = code.WhichOneof("error_code")
    if kind is None:
        return "UNKNOWN", ""
    field = code.DESCRIPTOR.fields_by_name[kind]
    value = field.enum_type.values_by_number.get(getattr(code, kind))
    return kind, value.name if value is not None else ""


def _retry_seconds(failure: Any) -> float | None:
    """The longest wait among the errors that name one."""
    waits = [
        error.details.quota_error_details.retry_delay.total_seconds()
        for error in failure.errors
        if error.details.quota_error_details.retry_delay
    ]
    return max(waits) if waits else None
