"""What is committed: no key in any file, and a lock that names everything by hash, version and licence."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import pytest
from detect_secrets import SecretsCollection
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.settings import transient_settings

from resources.settings import PROJECT_ROOT

# file -> sha1 of what looks like a secret there and is none: a made-up one of a test, an example.
BASELINE = PROJECT_ROOT / "tests" / "known_secrets.json"
# Digests and ids of data stand everywhere here, and an address is no secret.
LEFT_OUT = {"HexHighEntropyString", "Base64HighEntropyString", "IPPublicDetector"}
# Lines in which a detector can find anything; reading the others as well takes half a minute.
CANDIDATE = re.compile(
    r"""(?ix) [A-Za-z0-9+/=_-]{20,} | ://[^/\s:@]*:[^@\s]+@ | -----BEGIN
    | (?: key | pass | pwd | pw | secret | token | auth ) [^\n]{0,30} [=:] \s* f?["'] [^"'\s]{4,} """
)
HASH = re.compile(r"\s*--hash=sha256:[0-9a-f]{64}( \\)?\s*")

LOCKS = ("requirements.lock", "requirements-weights.lock", "requirements-bqemulator.lock")
ALLOWED_LICENCES = re.compile(
    r"\b(MIT|MIT-0|MIT-CMU|Apache|BSD|0BSD|ISC|ISCL|PSF-2\.0|Python Software Foundation|MPL|Mozilla"
    r"|Zlib|LGPL|LGPL-2\.1-only|EPL-2\.0|Artistic)\b"
)
# Tell a file or nothing. Their LICENSE: LGPL-3.0; BSD-3-Clause; twice Meta's own, for use with its APIs.
LICENCE_ELSEWHERE = frozenset({"cons", "minikanren", "facebook-business", "capi-param-builder-python"})


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: nothing says which files are committed")
    return [name for name in listed.stdout.split("\0") if name]


def secrets_in(root: Path, names: Iterable[str], scratch: Path) -> dict[str, set[str]]:
    """sha1 of each thing that looks like a secret, by file."""
    kept = []
    for name in names:
        try:
            lines = (root / name).read_text(encoding="utf-8").splitlines()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        wanted = [line[:2_000] for line in lines if CANDIDATE.search(line) and not HASH.fullmatch(line)]
        if wanted:
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).write_text("\n".join(wanted))
            kept.append(name)
    plugins = {kind.__name__ for kind in get_mapping_from_secret_type_to_class().values()} - LEFT_OUT
    found: dict[str, set[str]] = {}
    with transient_settings({"plugins_used": [{"name": name} for name in sorted(plugins)]}):
        for name in kept:
            collection = SecretsCollection()
            collection.scan_file(str(scratch / name))
            for _, secret in collection:
                found.setdefault(name, set()).add(secret.secret_hash)
    return found


def test_no_committed_file_holds_a_secret_that_nobody_knows(tmp_path):
    known = {name: set(hashes) for name, hashes in json.loads(BASELINE.read_text()).items()}
    found = secrets_in(PROJECT_ROOT, tracked(), tmp_path)
    new = {name: sorted(hashes - known.get(name, set())) for name, hashes in found.items()}
    new = {name: hashes for name, hashes in new.items() if hashes}
    assert not new, f"looks like a secret (revoke it); if it is none, add its sha1 to {BASELINE.name}: {new}"
    gone = {name: sorted(hashes - found.get(name, set())) for name, hashes in known.items()}
    assert not any(gone.values()), f"no longer there; take it out of {BASELINE.name}: {gone}"


@pytest.mark.parametrize(
    "line",
    [
        "aws = 'AKIA" + "IOSFODNN7EXAMPLQ'",
        "-----BEGIN " + "RSA PRIVATE KEY-----",
        "url: postgresql://reader:" + "hunter2hunter2@db.internal/shop",
        'smtp_password = "' + 'correct-horse-battery"',
        "ghp_" + "a8Kq" * 9,
        "xoxb-" + "123456789012-123456789012-abcdefghijklmnopqrstuvwx",
    ],
    ids=["aws", "private key", "link", "password", "github", "slack"],
)
def test_a_planted_secret_is_found(tmp_path, line):
    (tmp_path / "planted.py").write_text(f"import os\n{line}\n")
    assert secrets_in(tmp_path, ["planted.py"], tmp_path / "scratch")


def requirements(lock: str) -> dict[str, tuple[str, int]]:
    """Version and number of hashes by normalised name."""
    found: dict[str, tuple[str, int]] = {}
    text = re.sub(r"\\\n", " ", (PROJECT_ROOT / lock).read_text())
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        head = re.match(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?(==(?P<version>[^\s;]+)| @ \S+)", line)
        assert head, f"{lock}: {line[:80]} is not held at a version"
        name = normal(head["name"])
        version = head["version"] or ""
        # Once for itself and once for each set of extras.
        assert found.get(name, (version, 0))[0] == version, f"{lock}: {name} in two versions"
        found[name] = (version, line.count("--hash=sha256:"))
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_one_version_and_its_hashes(lock):
    found = requirements(lock)
    assert found
    assert not [name for name, (_, hashes) in found.items() if hashes == 0]


def test_what_is_installed_is_what_is_locked_and_may_be_used():
    locked = requirements("requirements.lock")
    # setuptools brings copies of its own, which join the path once it is imported.
    here = importlib.metadata.distributions(path=[sysconfig.get_path("purelib")])
    installed = {normal(one.metadata["Name"]): one for one in here}
    other = {
        name: (one.version, locked[name][0])
        for name, one in installed.items()
        if name in locked and one.version != locked[name][0]
    }
    assert not other, f"installed in another version than locked: {other}"
    unclear = {
        name: licence
        for name, licence in ((name, licence_of(installed[name])) for name in locked if name in installed)
        if not ALLOWED_LICENCES.search(licence) and name not in LICENCE_ELSEWHERE
    }
    assert not unclear, f"read these licences before using them: {unclear}"


def licence_of(installed: importlib.metadata.Distribution) -> str:
    """What a package says of its licence, in whichever of three places."""
    told = installed.metadata
    classified = [c for c in told.get_all("Classifier") or [] if c.startswith("License")]
    return " | ".join([told.get("License-Expression") or "", *classified, (told.get("License") or "")[:200]])
