"""A folder handed over: which creatives it holds, and what of it is set aside with which words."""

from __future__ import annotations

import os

import pytest

from resources.creative_assets import AssetStore
from resources.creative_folder import FolderError, read_creative_folder
from resources.creative_media.images import DEFAULT_IMAGE_LIMITS
from tests.resources.creative_media.media import bomb_png, picture, saved, video


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "new"
    found.mkdir()
    return found


@pytest.fixture
def read(tmp_path, folder):
    return lambda: read_creative_folder(folder, AssetStore(tmp_path / "store"))


def photograph(seed: int = 1) -> bytes:
    return saved(picture(60, 40, seed=seed), "PNG")


def said(found) -> dict[str, str]:
    return {one.name: one.reason for one in found.set_aside}


def test_images_texts_beside_them_and_texts_alone_are_creatives(folder, read):
    (folder / "bare.jpg").write_bytes(photograph(1))
    (folder / "spring").mkdir()
    (folder / "spring" / "hero.png").write_bytes(photograph(2))
    (folder / "spring" / "hero.txt").write_text("Sleep well\n\nA course of six weeks.\nFor you.\n")
    (folder / "alone.txt").write_text("Wake up rested")
    (folder / ".DS_Store").write_bytes(b"x")
    rows = {row["creative_id"]: row for row in read().creatives.to_dicts()}
    assert set(rows) == {"bare.jpg", "spring/hero.png", "alone.txt"}
    hero = rows["spring/hero.png"]
    assert (hero["headline"], hero["body"]) == ("Sleep well", "A course of six weeks.\nFor you.")
    assert (rows["alone.txt"]["headline"], rows["alone.txt"]["content_sha256"]) == ("Wake up rested", None)
    assert rows["bare.jpg"]["headline"] is None
    assert hero["content_sha256"] not in (None, rows["bare.jpg"]["content_sha256"])


def test_a_list_tells_the_texts_of_files_and_may_tell_several_of_one(folder, read):
    (folder / "a.png").write_bytes(photograph(1))
    (folder / "b.png").write_bytes(photograph(2))
    (folder / "b.txt").write_text("not read: the list says it")
    (folder / "c.png").write_bytes(photograph(3))
    (folder / "creatives.csv").write_text(
        "File;Headline;Primary text;Description;Call to action;Notes\n"
        "a.png;One;Body;Never read;LEARN_MORE;x\n"
        "a.png;Two;;Described;;\n"
        "./b.png;Three;;;;\n"
        ";Text alone;;;;\n"
        "c.png;;;;;;\n",
        encoding="utf-8-sig",
    )
    found = read()
    rows = {row["creative_id"]: row for row in found.creatives.to_dicts()}
    assert set(rows) == {
        *("creatives.csv line 2", "creatives.csv line 3", "b.png", "creatives.csv line 5", "c.png"),
    }
    assert rows["creatives.csv line 2"]["body"] == "Body"
    assert rows["creatives.csv line 3"]["body"] == "Described"
    assert rows["creatives.csv line 2"]["call_to_action"] == "LEARN_MORE"
    assert rows["creatives.csv line 2"]["content_sha256"] == rows["creatives.csv line 3"]["content_sha256"]
    assert rows["b.png"]["headline"] == "Three"
    assert said(found) == {
        "creatives.csv line 6": "It has 7 cells, the header has 6. Quote cells that hold commas."
    }


def test_what_cannot_be_scored_is_set_aside_and_the_rest_goes_on(folder, read):
    whole = photograph(1)
    (folder / "whole.png").write_bytes(whole)
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "bomb.png").write_bytes(bomb_png(20_000))
    (folder / "huge.png").write_bytes(whole + bytes(DEFAULT_IMAGE_LIMITS.most_bytes))
    (folder / "notes.pdf").write_bytes(b"%PDF-1.7 notes")
    (folder / "spot.mp4").write_bytes(video(frames=4))
    (folder / "binary.txt").write_bytes(b"\x00\x01\xff")
    (folder / "blank.txt").write_text(" \n ")
    os.mkfifo(folder / "pipe.txt")
    found = read()
    assert found.creatives["creative_id"].to_list() == ["whole.png"]
    words = {
        "cut.png": "cut off or corrupt",
        "empty.png": "The file is empty",
        "bomb.png": "more than 50 million pixels",
        "huge.png": "more than 31,457,280 bytes",
        "notes.pdf": "no JPEG, PNG, GIF or WebP",
        "spot.mp4": "A video is not scored yet",
        "binary.txt": "is no UTF-8 text",
        "blank.txt": "nothing to score",
        "pipe.txt": "no ordinary file",
    }
    reasons = said(found)
    assert set(reasons) == set(words)
    assert {name: part in reasons[name] for name, part in words.items()} == dict.fromkeys(words, True)


def test_a_text_that_cannot_be_read_sets_its_image_aside(folder, read):
    (folder / "hero.png").write_bytes(photograph(1))
    (folder / "hero.txt").write_bytes(b"\xff\xfe\xff")
    found = read()
    assert found.creatives.is_empty()
    assert "hero.txt" in said(found)["hero.png"]


def test_a_list_that_names_missing_files_scores_nothing_and_names_them(folder, read):
    (folder / "a.png").write_bytes(photograph(1))
    (folder / "creatives.csv").write_text("file,headline\na.png,One\nA.PNG,Two\n../secret.png,Three\n")
    with pytest.raises(FolderError) as fault:
        read()
    assert "creatives.csv line 3 names A.PNG; creatives.csv line 4 names ../secret.png" in str(fault.value)
    assert "put it there" in str(fault.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,price\nx,1\n", "there is no column file, headline or primary text (found name, price)"),
        ("headline,Headline\nx,1\n", "two columns are named headline"),
        ('headline\n"x\n', "A quote there is not closed"),
        ("", "The file is empty"),
    ],
)
def test_a_list_nobody_can_read_is_refused_with_its_line(folder, read, content, words):
    (folder / "creatives.csv").write_text(content)
    with pytest.raises(FolderError) as fault:
        read()
    assert f"{folder}/creatives.csv: " in str(fault.value)
    assert words in str(fault.value)


def test_a_folder_that_is_none_is_told(folder, read, tmp_path):
    store = AssetStore(tmp_path / "store")
    with pytest.raises(FolderError, match="holds no file: put images"):
        read()
    with pytest.raises(FolderError, match="no such folder"):
        read_creative_folder(folder / "absent", store)
    (folder / "file").write_text("x")
    with pytest.raises(FolderError, match="is a file; name the folder it lies in"):
        read_creative_folder(folder / "file", store)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_nobody_may_enter_is_told(folder, read):
    (folder / "inner").mkdir(mode=0o000)
    with pytest.raises(FolderError, match="inner: cannot be read"):
        read()
