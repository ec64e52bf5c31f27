"""`aelp score` as it is typed, on an account whose rankers the gate lets score: real networks, real files."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from datetime import timedelta
from unittest import mock

import polars as pl
import pytest

from aelp_assets import cli
from models.ranking.two_towers import TorchMissing
from resources.settings import read_environment
from resources.warehouse.interface import ReplacePartitions, ReplaceTable
from resources.warehouse.tables import AD_SCORES, PYTHON_TABLES, RANKER_EVALUATIONS, RANKER_MODELS
from tests.aelp_assets.creative_examples import photograph
from tests.aelp_assets.ranked_account import (
    GOOD,
    LEARN_MORE,
    MORNING,
    POOR,
    RankedAccount,
    ranked_account,
)

FEED = ("--track", "security", "--placement", "facebook_feed")


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    """Ranked once; tests put back what they change."""
    home = tmp_path_factory.mktemp("account") / "home"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AELP_")}
    with mock.patch.dict(os.environ, {**clean, "AELP_HOME": str(home)}, clear=True):
        account = ranked_account(read_environment())
        ran = account.rank()
        assert ran.success
        checks = {one.check_name: one.passed for one in ran.get_asset_check_evaluations()}
        assert checks["kept_rankers_are_whole"]
        yield account


@pytest.fixture
def aelp(account, monkeypatch, capsys):
    """`aelp` as it is typed: exit code, and all it said."""

    def typed(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["aelp", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return ended.value.code or 0, re.sub(r"[ \n]+", " ", said.out + said.err)

    return typed


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "new"
    found.mkdir()
    return found


def stored(account: RankedAccount) -> dict[str, pl.DataFrame]:
    tables = (AD_SCORES, RANKER_EVALUATIONS, RANKER_MODELS)
    return {str(table.name): account.warehouse.read(table.name) for table in tables}


def test_a_draft_scores_as_the_account_s_creative_of_the_same_words_and_changes_nothing(
    account, aelp, folder, tmp_path
):
    before = stored(account)
    lines = [f"{row['headline']},{LEARN_MORE}" for row in account.creatives[:3].to_dicts()]
    # Two of the account's first creatives show an image; the drafts show the same.
    for index in range(2):
        (folder / f"{index}.png").write_bytes(photograph(1 + index))
    headed = [f"{index}.png,{line}" if index < 2 else f",{line}" for index, line in enumerate(lines)]
    (folder / "creatives.csv").write_text("\n".join(["file,headline,call to action", *headed]))
    code, said = aelp("score", folder, *FEED, "--csv", tmp_path / "out.csv")
    assert code == 0, said
    rows = pl.read_csv(tmp_path / "out.csv", schema_overrides={"creative": pl.String})
    wanted = before["gaelp_training.ad_scores"].filter(placement="facebook_feed").sort("creative_id")[:3]
    drafts = {row["creative"]: row for row in rows.to_dicts()}
    for name, row in zip(("0.png", "1.png", "creatives.csv line 4"), wanted.to_dicts(), strict=True):
        for score in ("ctr_score", "ctr_lower_bound", "p_above_placement", "cvr_score"):
            assert drafts[name][score] == pytest.approx(row[score], rel=1e-9), (name, score)
    assert {name: rows.equals(stored(account)[name]) for name, rows in before.items()} == dict.fromkeys(
        before, True
    )


def test_new_words_are_ranked_the_better_first_and_refused_files_are_named(aelp, folder, account):
    for index, opening in enumerate((*GOOD, *POOR)):
        (folder / f"text{index}.txt").write_text(f"{opening} a pillow of wool\n")
    (folder / "cut.png").write_bytes(photograph(1)[:2000])
    (folder / "empty.jpg").write_bytes(b"")
    code, said = aelp("score", folder)
    assert code == 0, said
    (row,) = account.warehouse.read(RANKER_MODELS.name).filter(rate="ctr").to_dicts()
    assert (
        f"CTR by the {row['candidate']} ranker of 2026-07-01: learnt from {row['creatives']} creatives"
        in said
    )
    assert "security · meta · facebook_feed: its ads click" in said
    assert "On 1 more in the same order" in said
    order = re.findall(r"text(\d)\.txt", said)
    assert {int(number) for number in order[:3]} == {0, 1, 2}
    assert "2 set aside, not scored:" in said
    assert "cut.png: The image is cut off or corrupt" in said
    assert "empty.jpg: The file is empty." in said


def test_one_placement_or_all_of_them_by_file(aelp, folder, tmp_path):
    (folder / "one.txt").write_text(f"{GOOD[0]} a pillow of wool")
    (folder / "=one.txt").write_text(f"{POOR[0]} a pillow of wool")
    code, said = aelp("score", folder, "--csv", tmp_path / "out.csv")
    assert code == 0, said
    rows = pl.read_csv(tmp_path / "out.csv")
    assert rows.sort("placement", "creative").select("placement", "creative").rows() == [
        *(("facebook_feed", "'=one.txt"), ("facebook_feed", "one.txt")),
        *(("instagram_reels", "'=one.txt"), ("instagram_reels", "one.txt")),
    ]
    assert (rows["ctr_lower_bound"] < rows["ctr_score"]).all()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--track", "unheard"), 1, "unheard: no track with enough delivered ads; security have."),
        (
            ("--placement", "feed"),
            1,
            "feed: no placement with enough delivered ads; facebook_feed, instagram_reels",
        ),
        (("--csv", "absent/out.csv"), 2, "absent/out.csv: its folder does not exist"),
    ],
)
def test_what_was_mistyped_is_told_before_anything_is_read(aelp, folder, arguments, code, words):
    (folder / "one.txt").write_text("Sleep")
    found, said = aelp("score", folder, *arguments)
    assert (found, words in said) == (code, True), said


def test_a_folder_that_is_none_ends_in_one_message(aelp, tmp_path, folder):
    assert aelp("score", tmp_path / "absent") == (2, f"{tmp_path}/absent: no such folder of creatives ")
    code, said = aelp("score", folder)
    assert (code, "holds no file" in said) == (2, True)
    (folder / "creatives.csv").write_text("file\nabsent.png\n")
    code, said = aelp("score", folder)
    assert (code, "creatives.csv line 2 names absent.png" in said) == (2, True)


def test_a_folder_of_which_nothing_can_be_scored_ends_with_the_reasons(aelp, folder):
    (folder / "cut.png").write_bytes(photograph(1)[:2000])
    code, said = aelp("score", folder)
    assert code == 1
    assert "cut.png: The image is cut off or corrupt" in said


def test_a_changed_ranker_scores_nothing(account, aelp, folder):
    (folder / "one.txt").write_text("Sleep")
    (row,) = account.warehouse.read(RANKER_MODELS.name).filter(rate="ctr").to_dicts()
    path = account.environment.artifacts / row["artifact"]
    content = path.read_bytes()
    path.write_bytes(content + b" ")
    code, said = aelp("score", folder)
    path.write_bytes(content)
    assert code == 1
    assert f"{row['artifact']}: its sha256 is" in said


def test_another_embedder_in_the_settings_scores_nothing(account, aelp, folder, tmp_path, monkeypatch):
    (folder / "one.txt").write_text("Sleep")
    written = account.environment.settings_path.read_text()
    assert "text_embedder" not in written
    other = tmp_path / "other.yaml"
    other.write_text(f"{written}\ncreatives: {{text_embedder: 'bundled:efficientnet-lite0'}}\n")
    monkeypatch.setenv("AELP_SETTINGS", str(other))
    code, said = aelp("score", folder)
    assert code == 1
    assert (
        "it learnt from vectors of bundled:minilm-l6-v2-int8, these are of bundled:efficientnet-lite0" in said
    )


def test_where_the_newest_gate_refused_nothing_is_scored_and_it_says_why(account, aelp, folder):
    (folder / "one.txt").write_text("Sleep")
    before = stored(account)
    week_ago = MORNING - timedelta(days=7)
    earlier = before["gaelp_training.ranker_models"].with_columns(as_of_date=pl.lit(week_ago))
    account.warehouse.write(ReplacePartitions(RANKER_MODELS, earlier, week_ago, week_ago))
    ran = account.rank(account.days.head(20))
    assert ran.success
    assert account.warehouse.read(RANKER_MODELS.name).equals(earlier), (
        "nothing is kept where nothing may score"
    )
    (made,) = ran.asset_materializations_for_node("ranking")[1:2]
    assert set(made.metadata["not_kept"].value) == {"ctr", "cvr"}
    code, said = aelp("score", folder)
    assert code == 1
    assert (
        "Nobody may score as of 2026-07-01. ctr: 10 creatives competed with enough delivery; 40 are" in said
    )
    account.warehouse.write(*(ReplaceTable(PYTHON_TABLES[name], rows) for name, rows in before.items()))


def test_a_new_ranking_removes_files_of_rankers_long_out_of_force_and_their_rows_stay(account):
    before = stored(account)
    now = before["gaelp_training.ranker_models"]
    path = account.environment.artifacts / f"rankers/{'0' * 64}.zip"
    weeks = [now.with_columns(as_of_date=pl.lit(MORNING - timedelta(days=7 * week))) for week in range(1, 8)]
    out = now.head(1).with_columns(
        as_of_date=pl.lit(MORNING - timedelta(days=56)), artifact=pl.lit(f"rankers/{path.name}")
    )
    path.write_bytes(b"an old ranker")
    account.warehouse.write(ReplaceTable(RANKER_MODELS, pl.concat([now, *weeks, out])))
    assert account.rank().success
    assert not path.exists()
    rows = account.warehouse.read(RANKER_MODELS.name)
    assert rows.height == 8 * now.height + 1
    assert all((account.environment.artifacts / artifact).exists() for artifact in now["artifact"])
    account.warehouse.write(*(ReplaceTable(PYTHON_TABLES[name], rows) for name, rows in before.items()))


def test_the_candidates_of_the_settings_rank_and_one_without_its_library_says_what_to_install(
    account, monkeypatch
):
    monkeypatch.setitem(sys.modules, "torch", None)
    chosen = account.settings.creatives.model_copy(update={"candidates": ("ridge", "towers")})
    settings = account.settings.model_copy(update={"creatives": chosen})
    with pytest.raises(TorchMissing, match=r"pip install -e '\.\[checkpoints\]'"):
        replace(account, settings=settings).rank()


def test_a_home_in_which_nobody_was_judged_says_so(aelp, folder, tmp_path, monkeypatch):
    (folder / "one.txt").write_text("Sleep")
    monkeypatch.setenv("AELP_HOME", str(tmp_path / "fresh"))
    code, said = aelp("score", folder)
    assert code == 1
    assert "no ranker was judged. Run the job rank_creatives" in said
