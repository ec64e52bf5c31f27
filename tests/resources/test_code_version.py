"""A code version names everything the code runs."""

import os
from pathlib import Path

import pytest

from resources import code_version
from resources.code_version import module_hash, source_hash, used_by


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


@pytest.fixture
def edited(monkeypatch):
    """Forgets what was hashed; then reads the named file of the real project as if it were edited."""
    read = Path.read_bytes

    def forget():
        for cached in (source_hash, module_hash):
            cached.cache_clear()

    def edit(name):
        forget()
        monkeypatch.setattr(
            Path,
            "read_bytes",
            lambda path: read(path) + (b"# edited" if path.as_posix().endswith(name) else b""),
        )

    yield edit
    monkeypatch.undo()
    forget()


def test_an_asset_s_version_follows_what_its_own_file_computes_with(project):
    folder, _ = project
    (folder / "aelp_assets").mkdir()
    (folder / "aelp_assets/slates.py").write_text(
        "from models import slates\nfrom aelp_assets import other\n"
    )
    (folder / "aelp_assets/other.py").write_text("from models.other import x\n")
    assert used_by("aelp_assets.slates") == ("models.slates",)
    assert used_by("aelp_assets.slates", "aelp_assets.other") == ("models.other", "models.slates")
    with pytest.raises(FileNotFoundError, match=r"aelp_assets\.nowhere is no module"):
        used_by("aelp_assets.nowhere")


def test_an_edit_two_imports_away_is_a_new_version_of_exactly_the_assets_that_use_it(edited):
    glue = [f"aelp_assets.{name}" for name in ("baselines", "bandits", "planning", "monitoring", "launches")]
    before = {name: module_hash(*used_by(name)) for name in glue}
    edited("models/bandits/learning_cost.py")  # the sampler's, which decisions and slates are made with
    after = {name: module_hash(*used_by(name)) for name in glue}
    changed = {name for name in glue if after[name] != before[name]}
    assert changed == {
        name
        for name in glue
        if "learning_cost.py" in {path.name for path in code_version._closure(used_by(name))}
    }
    assert "aelp_assets.bandits" in changed
    assert "aelp_assets.monitoring" not in changed


def test_a_module_inside_a_package_counts_for_the_assets_that_import_it(edited):
    # `models.monitoring` by name stands for its __init__ alone, which imports nothing.
    before = module_hash(*used_by("aelp_assets.monitoring"))
    edited("models/monitoring/changes.py")
    assert module_hash(*used_by("aelp_assets.monitoring")) != before
