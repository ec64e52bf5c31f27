"""The file of saved credentials: who may read it, what survives a crash, and what goes before it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from resources.clock import FixedClock, SystemClock
from resources.connectors.errors import MissingCredentials
from resources.connectors.registry import Sources
from resources.connectors.saved_credentials import SavedCredentials
from resources.settings import PROJECT_ROOT, LiveVendorFiles, SettingsError, load_settings

TIKTOK = {"AELP_TIKTOK_ACCESS_TOKEN": "a-token-nobody-prints"}
META = {"AELP_META_ACCESS_TOKEN": "EAAB", "AELP_META_APP_SECRET": "s3cret"}


@pytest.fixture
def saved(tmp_path) -> SavedCredentials:
    return SavedCredentials(tmp_path)


def sources(folder, variables: dict[str, str], **settings) -> Sources:
    def no_control_store():
        raise AssertionError("only asked who calls")

    loaded = load_settings(PROJECT_ROOT / "aelp.yaml").model_copy(update=settings)
    clock = FixedClock(datetime(2026, 6, 30, 12, tzinfo=UTC))
    return Sources(
        loaded, clock, SystemClock(), lambda _: None, no_control_store, folder / "pulls", folder, variables
    )


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_is_its_owners_alone_from_its_first_byte_whatever_the_umask(saved, monkeypatch):
    seen, really_fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: seen.append(os.fstat(fd).st_mode) or really_fsync(fd))
    created, really_open = [], os.open

    def noting(path, flags, *mode):
        created.append((flags, mode))
        return really_open(path, flags, *mode)

    monkeypatch.setattr(os, "open", noting)
    before = os.umask(0)
    try:
        saved.save("tiktok", TIKTOK)
        saved.save("meta", META)
    finally:
        os.umask(before)
    assert mode(saved.path) == 0o600
    assert [stat.S_IMODE(m) for m in seen if stat.S_ISREG(m)] == [0o600, 0o600]
    writing = [(flags, given) for flags, given in created if flags & os.O_WRONLY]
    assert len(writing) == 2
    assert all(flags & os.O_EXCL and given == (0o600,) for flags, given in writing)


@pytest.mark.parametrize(
    "value",
    ["two\nlines", "q\"uo'te", " spaces ", "back\\slash", "#no comment", "$HOME `id`", "ü€", "a=b", "\udcff"],
)
def test_any_value_comes_back_as_it_was(saved, value):
    saved.save("tiktok", {"AELP_TIKTOK_ACCESS_TOKEN": value})
    saved.save("meta", META)
    assert saved.of("tiktok") == {"AELP_TIKTOK_ACCESS_TOKEN": value}


def test_saving_one_source_keeps_the_others_lines_and_replaces_all_of_its_own(saved):
    saved.save("meta", META)
    saved.path.write_text("# of the marketing team\n" + saved.path.read_text())
    saved.save("tiktok", TIKTOK)
    saved.save("meta", {"AELP_META_ACCESS_TOKEN": "EAAC"})
    assert saved.of("tiktok") == TIKTOK
    assert saved.of("meta") == {"AELP_META_ACCESS_TOKEN": "EAAC"}
    assert saved.path.read_text().startswith("# of the marketing team\n")


def test_only_the_source_s_own_variables_are_saved_and_the_exports_salt_is_ga4_s(saved):
    given = {**META, **TIKTOK, "AELP_GA4_ACCESS_TOKEN": "t", "AELP_IDENTIFIER_SALT": "s", "AELP_HOME": "/h"}
    saved.save("ga4", {**given, "AELP_GA4_SERVICE_ACCOUNT_FILE": ""})
    assert saved.of("ga4") == {"AELP_GA4_ACCESS_TOKEN": "t", "AELP_IDENTIFIER_SALT": "s"}
    assert saved.of("meta") == saved.of("tiktok") == {}


def test_the_path_of_a_key_file_is_kept_as_it_will_be_found_from_anywhere(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved.save("ga4", {"AELP_GA4_SERVICE_ACCOUNT_FILE": "keys/ga4.json"})
    assert saved.of("ga4") == {"AELP_GA4_SERVICE_ACCOUNT_FILE": str(tmp_path / "keys" / "ga4.json")}


def test_a_rename_that_fails_leaves_the_old_file_and_nothing_beside_it(saved, tmp_path, monkeypatch):
    saved.save("tiktok", TIKTOK)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(SettingsError, match="No space left"):
            saved.save("meta", META)
    assert saved.of("tiktok") == TIKTOK
    assert saved.of("meta") == {}
    assert [path.name for path in tmp_path.iterdir()] == ["credentials.env"]


KILLED = """
import os, signal, sys
from pathlib import Path
from resources.connectors.saved_credentials import SavedCredentials
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
SavedCredentials(Path(sys.argv[1])).save("meta", {"AELP_META_ACCESS_TOKEN": "EAAB"})
"""


def test_killed_before_the_rename_the_old_file_stands_and_the_next_save_goes_through(saved, tmp_path):
    saved.save("tiktok", TIKTOK)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=PROJECT_ROOT, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert (saved.of("tiktok"), saved.of("meta")) == (TIKTOK, {})
    assert all(mode(path) == 0o600 for path in tmp_path.iterdir())
    saved.save("meta", META)
    assert (saved.of("tiktok"), saved.of("meta")) == (TIKTOK, META)
    assert [path.name for path in tmp_path.iterdir()] == ["credentials.env"]


SAVE = """
import sys
from pathlib import Path
from resources.connectors.saved_credentials import SavedCredentials
for number in range(40):
    SavedCredentials(Path(sys.argv[1])).save(sys.argv[2], {f"AELP_{sys.argv[2].upper()}_ACCESS_TOKEN": "t"})
"""


def test_two_that_save_at_once_lose_neither(saved, tmp_path):
    names = ("meta", "tiktok", "linkedin")
    workers = [
        subprocess.Popen([sys.executable, "-c", SAVE, str(tmp_path), name], cwd=PROJECT_ROOT)
        for name in names
    ]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    assert all(saved.of(name) for name in names)


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602])
def test_a_file_others_may_read_or_write_is_refused_with_the_remedy(saved, tmp_path, bits):
    saved.save("tiktok", TIKTOK)
    saved.path.chmod(bits)
    for use in (
        lambda: saved.of("tiktok"),
        lambda: saved.save("meta", META),
        lambda: sources(tmp_path, {}).open("tiktok"),
    ):
        with pytest.raises(SettingsError, match=f"chmod 600 {saved.path}") as caught:
            use()
        assert TIKTOK["AELP_TIKTOK_ACCESS_TOKEN"] not in str(caught.value)
    assert mode(saved.path) == bits, "a person must see that it was open"


def test_a_file_of_another_user_is_refused(saved, monkeypatch):
    saved.save("tiktok", TIKTOK)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(SettingsError, match="belongs to another user"):
        saved.of("tiktok")


def test_nothing_is_kept_in_a_folder_anyone_may_write_to(saved, tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(SettingsError, match=f"chmod o-w {tmp_path}"):
        saved.save("tiktok", TIKTOK)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("AELP_TIKTOK_ACCESS_TOKEN=hush", 'line 2: write it as NAME="value"'),
        ('AELP_TIKTOK_ACCESS_TOKEN="hush', 'line 2: write it as NAME="value"'),
        ('AELP_TIKTOK_ACCESS_TOKEN="hush\\x"', 'line 2: write it as NAME="value"'),
        ('AELP_CONTROL_URL="hush"', "line 2: AELP_CONTROL_URL is no live source's variable"),
        ('AELP_META_ACCESS_TOKEN="hush"', "line 2: sets AELP_META_ACCESS_TOKEN again"),
    ],
)
def test_a_line_that_means_nothing_is_named_and_what_it_holds_is_not(saved, line, said):
    saved.path.touch(0o600)
    saved.path.write_text(f'AELP_META_ACCESS_TOKEN="EAAB"\n{line}\n')
    with pytest.raises(SettingsError) as caught:
        saved.of("tiktok")
    assert said in str(caught.value)
    assert "hush" not in f"{caught.value!r} {caught.value.__context__!r}"


def test_saved_credentials_are_used_and_known_to_the_scrubbing(saved, tmp_path):
    saved.save("tiktok", TIKTOK)
    assert list(sources(tmp_path, {}).open("tiktok").secrets) == ["a-token-nobody-prints"]
    assert sources(tmp_path, {}).with_credentials() == ["tiktok"]


def test_the_environment_goes_before_what_was_saved(saved, tmp_path):
    saved.save("tiktok", TIKTOK)
    opened = sources(tmp_path, {"AELP_TIKTOK_ACCESS_TOKEN": "newer"}).open("tiktok")
    assert list(opened.secrets) == ["newer"]
    nothing = sources(tmp_path, {"AELP_TIKTOK_ACCESS_TOKEN": ""}).open("tiktok")
    assert list(nothing.secrets) == ["a-token-nobody-prints"], "an empty variable says nothing"


def test_two_logins_are_never_mixed(saved, tmp_path):
    saved.save("meta", META)
    assert "s3cret" not in sources(tmp_path, {"AELP_META_ACCESS_TOKEN": "newer"}).open("meta").secrets
    elsewhere = sources(tmp_path, {"AELP_META_ENDPOINT": "http://127.0.0.1:1"})
    with pytest.raises(MissingCredentials, match="only while AELP_META_ENDPOINT is not set") as caught:
        elsewhere.open("meta")
    assert "EAAB" not in str(caught.value)


def test_an_unsafe_file_is_no_matter_where_the_environment_says_everything(saved, tmp_path):
    saved.save("tiktok", TIKTOK)
    saved.path.chmod(0o644)
    assert list(sources(tmp_path, {"AELP_TIKTOK_ACCESS_TOKEN": "mine"}).open("tiktok").secrets) == ["mine"]


def test_a_folder_of_this_machine_takes_no_credentials_from_anywhere(saved, tmp_path):
    saved.save("vendor_files", {"AELP_VENDOR_FILES_HOST": "sftp.example"})
    inbox = {"vendor_files": LiveVendorFiles(accounts=["studio"], inbox="inbox")}
    here = sources(tmp_path, {"AELP_VENDOR_FILES_PASSWORD": "p"}, sources=inbox)
    assert here.variables_of("vendor_files") == {}
