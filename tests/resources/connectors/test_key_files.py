"""A key file that was replaced under its old name is another credential: the source is called again."""

from __future__ import annotations

import base64
import json
from datetime import UTC

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from resources.clock import FixedClock, SystemClock
from resources.connectors.fetching import FetchedAccount
from resources.connectors.pulling import Skipped
from resources.connectors.registry import Sources
from resources.control.store import open_control_store
from resources.landing.ledger import Ledger
from resources.sandbox.servers.faults import FaultScript
from resources.sandbox.servers.ga4 import PROPERTY_ID, Ga4Server
from resources.sandbox.servers.http import Answer, LoopbackServer, Request
from resources.settings import PROJECT_ROOT, LiveGa4, LiveVendorFiles, load_settings

TOKEN = "ya29.sandbox"


def sources(folder, moment, variables: dict[str, str]) -> Sources:
    settings = load_settings(PROJECT_ROOT / "aelp.yaml").model_copy(
        update={
            "sources": {
                "ga4": LiveGa4(accounts=[PROPERTY_ID], backfill_days=3, calls_per_hour=1_000_000),
                "google_ads": load_settings(PROJECT_ROOT / "aelp.yaml").sources["google_ads"],
                "vendor_files": LiveVendorFiles(accounts=["studio"]),
            }
        }
    )
    engine = open_control_store(f"sqlite:///{folder}/control.sqlite")
    return Sources(
        settings, FixedClock(moment), SystemClock(), lambda _: None, lambda: engine, folder / "pulls", folder,
        variables,
    )  # fmt: skip


def write_key(path, key_id: str, token_url: str) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    told = {
        "type": "service_account", "client_email": "aelp@northstar.example", "private_key_id": key_id,
        "private_key": key.decode(), "token_uri": token_url,
    }  # fmt: skip
    path.write_text(json.dumps(told))


def google_revoked(key_id: str, request: Request) -> Answer:
    """A token server that knows every key but one."""
    header = request.form["assertion"].partition(".")[0]
    if json.loads(base64.urlsafe_b64decode(header + "=="))["kid"] == key_id:
        return Answer({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, status=400)
    return Answer({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})


def test_a_new_service_account_key_under_the_old_name_starts_a_stopped_source_again(served, tmp_path):
    key, moment = tmp_path / "service.json", served.now()
    revoking = LoopbackServer(lambda request: google_revoked("old", request), FaultScript())
    with revoking as tokens, Ga4Server(served, TOKEN) as server:
        write_key(key, "old", f"{tokens.url}/token")
        given = {"AELP_GA4_SERVICE_ACCOUNT_FILE": str(key), "AELP_GA4_ENDPOINT": server.endpoint}
        puller = sources(tmp_path, moment, given).puller("ga4")

        def pulled():
            return puller.pull(PROPERTY_ID, Ledger(), moment.astimezone(UTC))

        refused, again = pulled(), pulled()
        assert isinstance(refused, Skipped)
        assert isinstance(again, Skipped)
        assert again.reason.startswith("stopped since")
        assert len(tokens.requests) == 1, "a dead key is not tried again"
        write_key(key, "new", f"{tokens.url}/token")
        assert isinstance(pulled(), FetchedAccount)


@pytest.mark.parametrize(
    ("source", "variable"),
    [
        ("ga4", "AELP_GA4_SERVICE_ACCOUNT_FILE"),
        ("google_ads", "AELP_GOOGLE_ADS_SERVICE_ACCOUNT_FILE"),
        ("vendor_files", "AELP_VENDOR_FILES_KEY_FILE"),
    ],
)
def test_of_a_key_file_the_content_counts_and_its_absence_too(served, tmp_path, source, variable):
    key = tmp_path / "key"
    told = sources(tmp_path, served.now(), {variable: str(key)})
    seen = [told.credential_hash(source)]
    for content in ("old", "new", "old"):
        key.write_text(content)
        seen.append(told.credential_hash(source))
    assert seen[1] == seen[3]
    assert len(set(seen)) == 3


def test_a_corrected_host_key_is_another_credential_and_another_sources_token_is_not(served, tmp_path):
    given = {"AELP_VENDOR_FILES_HOST_KEY": "ssh-ed25519 AAAA", "AELP_VENDOR_FILES_PASSWORD": "p"}

    def seen(**more: str) -> str:
        return sources(tmp_path, served.now(), given | more).credential_hash("vendor_files")

    assert seen() == seen(AELP_META_ACCESS_TOKEN="EAAB")
    assert seen() != seen(AELP_VENDOR_FILES_HOST_KEY="ssh-ed25519 BBBB")
