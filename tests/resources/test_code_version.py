"""A code version names everything the code runs."""

import os
from pathlib import Path

import pytest

from resources import code_version
from resources.code_version import module_hash, source_hash


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(code_version, "PROJECT_ROOT", tmp_path)
    for name, text in {
        "models/__init__.py": "",
        "models/slates.py": "import math\nfrom models import rewards\n",
        "models/rewards.py": "def reward():\n    from .bandits.posteriors import cdf\n    return cdf\n",
        "models/bandits/__init__.py": "",
        "models/bandits/posteriors.py": "from ..shared import unit\ncdf = 1\n",
        "models/shared.py": "from models import slates\nunit = 1\n",
        "models/other.py": "x = 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def hash_now():
        module_hash.cache_clear()
        code_version.source_hash.cache_clear()
        return module_hash("models.slates")

    yield tmp_path, hash_now
    module_hash.cache_clear()
    code_version.source_hash.cache_clear()


@pytest.mark.parametrize(
    "edited",
    [
        "models/slates.py",
        "models/rewards.py",
        "models/bandits/posteriors.py",
        "models/bandits/__init__.py",
        "models/shared.py",
    ],
)
def test_an_edit_of_anything_a_module_imports_is_a_new_version(project, edited):
    folder, hash_now = project
    before = hash_now()
    path = folder / edited
    path.write_text(path.read_text() + "# edited\n")
    assert hash_now() != before


def test_an_edit_of_what_it_does_not_import_is_not(project):
    folder, hash_now = project
    before = hash_now()
    (folder / "models/other.py").write_text("x = 2\n")
    assert hash_now() == before


def test_a_module_that_does_not_exist_is_refused():
    with pytest.raises(FileNotFoundError, match=r"models\.nowhere is no module"):
        module_hash("models.nowhere")


def test_slates_are_versioned_by_the_rewards_they_rank_by():
    closure = {path.name for path in code_version._closure(("models.slates",))}
    assert {"slates.py", "rewards.py", "posteriors.py"} <= closure


def test_what_dbt_writes_beside_its_sources_is_not_entered(project, monkeypatch):
    # A run that ended removed its own folder there while another was looking into it.
    for folder in ("dbt_project/models", "dbt_project/target/run"):
        (code_version.PROJECT_ROOT / folder).mkdir(parents=True)
    entered = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: entered.append(Path(path).name) or scandir(path))
    code_version.source_hash.cache_clear()
    source_hash("dbt_project")
    assert entered == ["dbt_project", "models"]
