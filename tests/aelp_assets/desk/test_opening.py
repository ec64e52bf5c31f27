"""The review desk as it is opened: by whom, as it is installed, in a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from aelp_assets.desk.application import open_desk
from resources.clock import FixedClock
from resources.control.records import Refused
from resources.control.store import open_control_store
from resources.settings import PROJECT_ROOT, load_settings, read_environment
from tests.aelp_assets.desk.browsing import PORT, Browser, said, words
from tests.resources.control.proposing import TEN, governing, lever, proposed, status_of


def test_only_an_approver_of_the_settings_opens_a_desk_and_a_keyless_one_only_looks(
    governance, tmp_environment, monkeypatch
):
    monkeypatch.delenv("AELP_APPROVER_KEY_JO", raising=False)
    settings = load_settings(PROJECT_ROOT / "aelp.yaml")
    with pytest.raises(Refused, match="eve may not decide"):
        open_desk(tmp_environment, settings, governance, "eve", PORT)
    with pytest.raises(Refused, match="in the sandbox only"):
        open_desk(tmp_environment, settings, governance, "robot", PORT)
    desk = open_desk(tmp_environment, settings, governance, "jo", PORT)
    assert "You can look, not decide. jo cannot sign: set AELP_APPROVER_KEY_JO" in words(Browser(desk).get())


@pytest.mark.parametrize("edit", ["tighter", "broken", "gone"])
def test_a_desk_decides_by_no_settings_but_those_in_force(governance, tmp_path, monkeypatch, edit):
    monkeypatch.setenv("AELP_APPROVER_KEY_JO", "a long secret of jo")
    path = tmp_path / "aelp.yaml"
    told = (PROJECT_ROOT / "aelp.yaml").read_text()
    path.write_text(told)
    environment = read_environment({"AELP_HOME": str(tmp_path), "AELP_SETTINGS": str(path)})
    (proposal_id,) = proposed(governance, lever("l1"))
    desk = replace(open_desk(environment, load_settings(path), governance, "jo", PORT), clock=FixedClock(TEN))
    browser = Browser(desk)
    assert "not decide" not in words(browser.get())
    path.write_text(told + "# a comment changes no limit\n")
    assert "not decide" not in words(browser.get())
    if edit == "gone":
        path.unlink()
    else:
        path.write_text(
            told.replace("valid_hours: 24", "valid_hours: 12")
            if edit == "tighter"
            else told + "governanc: 1\n"
        )
    assert "You can look and stop everything, not decide. aelp.yaml" in words(browser.get())
    assert "open it again" in said(browser.post(f"/proposals/{proposal_id}/approve", reason="it pays"))
    assert status_of(governance, proposal_id) == "pending"
    assert said(browser.post("/kill/on", reason="strange")) == "Everything is stopped."
    assert "open it again" in said(browser.post("/kill/off", reason="fine"))


def test_an_installed_desk_has_its_pages():
    package = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"
    ]
    root = PROJECT_ROOT / "aelp_assets"
    packed = {file for pattern in package["aelp_assets"] for file in root.glob(pattern)}
    needed = {file for file in (root / "desk").iterdir() if file.suffix in (".html", ".css")}
    assert needed
    assert needed <= packed


def test_a_real_browser_shows_what_waits_on_a_desk_that_only_loopback_reaches(tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium is installed to look at the page with")
    engine = open_control_store(f"sqlite:///{tmp_path / 'control.sqlite'}")
    (proposal_id,) = proposed(governing(engine), lever("l1"))
    engine.dispose()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AELP_")},
        "AELP_HOME": str(tmp_path),
        "AELP_CLOCK": TEN.isoformat(),
        "AELP_APPROVER_KEY_MAYA": "a long secret of maya",
    }
    command = [str(Path(sys.executable).parent / "aelp"), "desk", "--by", "maya", "--port", str(port)]
    served = subprocess.Popen(command, cwd=PROJECT_ROOT, env=variables, stdout=subprocess.PIPE, text=True)
    try:
        _wait_for(served, port)
        bound = {
            each.laddr.ip for each in psutil.Process(served.pid).net_connections() if each.status == "LISTEN"
        }
        assert bound == {"127.0.0.1"}
        picture = tmp_path / "desk.png"
        look = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
        ]
        assert served.stdout is not None
        address = served.stdout.readline().split()[-1]
        assert address.startswith(f"http://127.0.0.1:{port}/enter?key=")
        rendered = subprocess.run(
            [*look, "--dump-dom", address], capture_output=True, text=True, timeout=120, check=True
        ).stdout
        subprocess.run(
            [*look, "--window-size=1280,800", f"--screenshot={picture}", address],
            capture_output=True,
            timeout=120,
            check=True,
        )
    finally:
        served.terminate()
        served.wait(timeout=30)
    assert "You decide as <strong>maya</strong>" in rendered
    assert proposal_id in rendered
    assert "Ad set l1" in rendered
    assert _colours(picture) > 100, "the style sheet was not applied, or nothing was drawn"


def _colours(picture: Path) -> int:
    from PIL import Image

    with Image.open(picture) as image:
        return len(image.convert("RGB").getcolors(maxcolors=2**24) or [])


def _wait_for(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, "the desk ended before it answered"
            assert time.monotonic() < deadline, "the desk did not answer in a minute"
            time.sleep(0.2)
