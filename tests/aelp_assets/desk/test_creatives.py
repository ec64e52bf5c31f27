"""Creatives on the desk: the list by lower bound, a card each, pictures, and that all of it stays text."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date, timedelta

import duckdb
import numpy as np
import polars as pl
import pytest
from PIL import Image

from resources.creative_assets import AssetStore
from resources.warehouse import open_warehouse, publish_analyst_copy, warehouses_to_look_into
from resources.warehouse.interface import ReplaceTable
from resources.warehouse.tables import AD_LOOK_ALIKES, AD_SCORE_DRIVERS, AD_SCORES, SCORE_CARDS
from tests.aelp_assets.desk.browsing import HOSTILE, Browser, desk_of, words

MORNING = date(2026, 6, 30)
SHA256 = "a" * 64


def _rows(table, *rows):
    """Rows of a catalogued table: zeros and empty words where a required column is not given."""
    empty = {"STRING": "", "INT64": 0, "FLOAT64": 0.0, "BOOL": True, "DATE": MORNING}
    required = {column.name: empty[column.type] for column in table.columns if column.required}
    return ReplaceTable(table, pl.DataFrame([required | row for row in rows], schema=table.polars_schema))


def _one(name: str, **row):
    return {"track": "security", "platform": "meta", "account_id": "1", "creative_id": name, **row}


@pytest.fixture
def cards(tmp_environment):
    """Three scored creatives, one that is not, one without a card, as the ranking leaves them."""
    warehouse = open_warehouse(tmp_environment)
    tables = [SCORE_CARDS, AD_SCORES, AD_SCORE_DRIVERS, AD_LOOK_ALIKES]
    warehouse.ensure_tables(tables)
    flags = json.dumps(
        [{"rule": "cure", "severity": "blocks", "text": HOSTILE, "remedy": "Say what it does."}]
    )
    scored = [("low/id", 0.010, 0.004), ("high", 0.009, 0.008), (HOSTILE, 0.02, 0.001)]
    warehouse.write(
        _rows(
            SCORE_CARDS,
            *(
                _one(
                    name,
                    lead=score - 0.01,
                    lead_rank=place,
                    rivals=3,
                    impressions=10_000,
                    ctr=0.0123,
                    ctr_low=0.01,
                    ctr_high=0.015,
                    ctr_index=1.25,
                    cac_low=55.0,
                    drivers_tell=0.83,
                    texts_pass=False,
                    text_flags=flags,
                    lexicon_hits='{"trigger_urgency": 0.25}',
                    fatigue_placement="feed",
                    slope_p10=-0.08,
                    slope_p50=-0.05,
                    slope_p90=-0.02,
                    p_fatigues=0.97,
                    ctr_at_start=0.02,
                    policy_profile="standard",
                )
                for place, (name, score, _) in enumerate(scored, start=1)
            ),
            _one(
                "unscored", not_scored=f"22 creatives competed {HOSTILE}", text_flags="[]", no_fatigue="none"
            ),
        ),
        _rows(
            AD_SCORES,
            *(
                _one(name, placement="feed", ctr_score=score, ctr_lower_bound=bound)
                for name, score, bound in scored
            ),
            _one("unscored", placement="feed"),
            _one("high", placement="stories", ctr_score=0.5, ctr_lower_bound=0.4),
        ),
        _rows(
            AD_SCORE_DRIVERS,
            _one("high", kind="block", driver="text", contribution=0.31),
            _one("high", kind="trait", driver="text_is_question", contribution=-0.2, value=1.0, average=0.4),
        ),
        _rows(
            AD_LOOK_ALIKES,
            _one(
                "high",
                space="text",
                rank=1,
                embedder="minilm@123",
                cosine=0.91,
                alike_platform="meta",
                alike_account_id="1",
                alike_creative_id="low/id",
                impressions=5_000,
                ctr=0.0345,
                ctr_low=0.03,
                ctr_high=0.04,
            ),
        ),
    )
    objects = pl.DataFrame(
        [
            {
                "platform": "meta",
                "account_id": "1",
                "creative_id": name,
                "creative_name": f"Ad {name}",
                "headline": f"Words of {name}",
                "body": None,
                "call_to_action": None,
                "content_sha256": SHA256,
            }
            for name in ("low/id", "high", HOSTILE, "unscored", "idle")
        ],
        schema_overrides={"body": pl.String, "call_to_action": pl.String},
    )
    days = pl.DataFrame(
        [
            {
                "date": MORNING - timedelta(days=age),
                **_one("high", placement="feed", impressions=1_000, clicks=20 - age),
            }
            for age in range(10, 0, -1)
        ]
    )
    ran = _one("high", first_date=MORNING - timedelta(days=30), last_date=MORNING, impressions=9_000)
    history = pl.DataFrame(
        [
            {
                **ran,
                "placement": "feed",
                "days_shown": 28,
                "ctr": 0.0321,
                "ctr_against_others": 1.3,
                "cvr": 0.0456,
                "season_ctr": 0.9,
                "season_cpm": 1.15,
                "cpm_against_trailing": 1.07,
                "competitor_ads": 12.5,
            },
            {**ran, "placement": HOSTILE, "days_shown": 2, "ctr": 0.0, "impressions": 40},
            {**ran, "placement": "feed", "track": "other", "days_shown": 77, "ctr": 0.0},
        ]
    )
    with duckdb.connect(str(tmp_environment.duckdb_path)) as engine:
        engine.execute("create schema if not exists intermediate")
        for name, frame in (
            ("gaelp_training.creative_objects", objects),
            ("gaelp_training.creative_history", history),
            ("intermediate.int_creative_placement_daily", days),
        ):
            engine.register("frame", frame.to_arrow())
            engine.execute(f"create table {name} as select * from frame")
    return tmp_environment


@pytest.fixture
def shop(governance, cards) -> Browser:
    return Browser(desk_of(governance, warehouses=lambda: warehouses_to_look_into(cards)))


def test_cards_made_after_the_copy_was_published_are_shown(shop, cards):
    with duckdb.connect(str(publish_analyst_copy(cards))) as copy:
        copy.execute("delete from gaelp_training.score_cards")
    assert "Not scored" not in words(shop.get("/creatives/meta/1/high"))
    assert "4 creatives, 3 scored" in words(shop.get("/creatives"))


def test_creatives_are_listed_by_their_lower_bound_and_the_unscored_say_why(shop):
    seen = words(shop.get("/creatives"))
    assert "scores of 30 Jun 2026 · security · feed · 4 creatives, 3 scored" in seen
    places = [seen.index(f"Ad {name} ") for name in ("high", "low/id", HOSTILE, "unscored")]
    assert places == sorted(places)
    assert "0.80 % 0.90 %" in seen
    assert "Not scored: 22 creatives competed" in seen
    assert "1 creatives have no card" in seen
    assert "Ad idle" in seen


@pytest.mark.parametrize(
    ("sort", "first"), [("score", HOSTILE), ("name", HOSTILE), ("bound", "high"), ("drop table", "high")]
)
def test_the_list_is_sorted_as_asked(shop, sort, first):
    seen = words(shop.get(f"/creatives?sort={sort}"))
    others = {"high", "low/id", HOSTILE} - {first}
    assert all(seen.index(f"Ad {first} ") < seen.index(f"Ad {name} ") for name in others)


def test_another_placement_has_its_own_list(shop):
    seen = words(shop.get("/creatives?track=security&placement=stories"))
    assert "security · stories · 1 creatives, 1 scored" in seen
    assert "40.00 % 50.00 %" in seen


def test_a_card_shows_score_drivers_results_curve_look_alikes_and_policy_apart(shop):
    page = shop.get("/creatives/meta/1/high")
    seen = words(page)
    for told in (
        "Place 2 of 3 on meta",
        "feed 0.80 % 0.90 %",
        "stories 40.00 % 50.00 %",
        "correlations, not causes",
        "tell 83 % of the differences between scores",
        "text +0.310",
        "text is question 1 0.4 −0.200",
        "CTR 1.23 % 1.00 % to 1.50 %",
        "CAC, platform's count – 55 to no end",
        "log-odds change by −0.050 a day (−0.080 to −0.020), P(it tires) 97 %",
        "Most alike by text of those that ran in this track; cosine of minilm@123",
        "Ad low/id Words of low/id 0.91 5,000 3.45 %",
        "says nothing of what it will deliver",
        "Say what it does.",
        "trigger urgency 0.25",
    ):
        assert told in seen, told
    assert page.count("<circle") == 10
    assert 'class="band"' in page
    assert 'href="/creatives/meta/1/low%252Fid"' in page


@pytest.mark.parametrize(
    "link", ["/creatives/meta/1/low%252Fid", "/creatives/meta/1/low%2Fid", "/creatives/meta/1/low/id"]
)
def test_an_id_with_a_slash_has_its_card(shop, link):
    assert "Words of low/id" in words(shop.get(link))


@pytest.mark.parametrize("account", ["urn/sponsored/7", "50%2F off", "a?b#c&d", "ü/%"])
def test_whatever_an_account_or_a_creative_is_called_its_card_is_found(shop, cards, account):
    with duckdb.connect(str(cards.duckdb_path)) as engine:
        for table in ("creative_objects", "score_cards", "ad_scores", "ad_score_drivers"):
            engine.execute(f"update gaelp_training.{table} set account_id = ?", [account])
        engine.execute(
            "update gaelp_training.ad_look_alikes set account_id = ?, alike_account_id = ?", [account] * 2
        )
    page = shop.get("/creatives")
    links = set(re.findall(r'href="(/creatives/meta/[^"]+)"', page))
    assert len(links) == 5, "four cards and one without"
    seen = [words(shop.get(link)) for link in links]
    for name in ("low/id", "high", HOSTILE, "unscored", "idle"):
        assert sum(f"Words of {name}" in page for page in seen) >= 1, name
    (card,) = [shop.get(link) for link in links if link.endswith("/high")]
    (alike,) = set(re.findall(r'href="(/creatives/meta/[^"]+)"', card))
    assert "Words of low/id" in words(shop.get(alike))


def test_a_card_tells_what_it_did_before_and_a_dash_where_too_little_is_known(shop, cards):
    seen = words(shop.get("/creatives/meta/1/high"))
    assert "feed 31 May 2026 to 30 Jun 2026 28 9,000 3.21 % × 1.3 4.56 % × 0.9 × 1.15 × 1.07 12.5" in seen, (
        seen
    )
    assert "2 40 0.00 % – – – – – –" in seen
    assert "77" not in seen, "another track's"
    with duckdb.connect(str(cards.duckdb_path)) as engine:
        engine.execute("drop table gaelp_training.creative_history")
    assert "What it did before" not in words(shop.get("/creatives/meta/1/high"))


def test_a_creative_that_is_not_scored_says_why(shop):
    assert "Not scored. 22 creatives competed" in words(shop.get("/creatives/meta/1/unscored"))
    assert "Its account advertised no known track in the 120 days" in words(
        shop.get("/creatives/meta/1/idle")
    )


def test_whatever_a_creative_is_called_stays_text(shop):
    for path in ("/creatives", "/creatives/meta/1/high", "/creatives/meta/1/unscored"):
        page = shop.get(path)
        assert "<script" not in page
        assert " style=" not in page, "the policy would drop it"


def test_an_unknown_creative_is_not_found(shop):
    answer = shop.send("GET", "/creatives/meta/1/nobody")
    assert answer.status_code == 404
    assert "There is no such creative." in answer.text


def test_nothing_is_decided_there_and_no_other_page_reads_it(shop):
    assert shop.send("POST", "/creatives", headers={"Origin": "http://127.0.0.1:3001"}).status_code == 405
    assert shop.send("GET", "/creatives", headers={"Host": "evil.example"}).status_code == 421
    assert "script-src 'none'" in shop.send("GET", "/creatives").headers["content-security-policy"]


def test_before_any_ranking_the_pages_say_so(governance, tmp_environment):
    bare = Browser(desk_of(governance))
    assert "There is no warehouse here yet." in words(bare.get("/creatives"))
    open_warehouse(tmp_environment).ensure_tables([SCORE_CARDS])
    young = Browser(desk_of(governance, warehouses=lambda: warehouses_to_look_into(tmp_environment)))
    assert "No ranking has made cards here yet." in words(young.get("/creatives"))
    assert "No ranking has made cards here yet." in words(young.get("/creatives/meta/1/high"))


def test_a_picture_is_a_small_copy_and_only_of_what_was_kept(governance, tmp_path):
    made = tmp_path / "made.png"
    Image.fromarray(np.full((400, 800, 3), 200, dtype=np.uint8)).save(made)
    content = made.read_bytes()
    store = AssetStore(tmp_path / "store")
    sha256 = store.put(content, "png")
    broken = store.put(b"<svg onload=alert(1)>", "png")
    browser = Browser(desk_of(governance, pictures=store))
    answer = browser.send("GET", f"/pictures/{sha256}")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content != content
    assert hashlib.sha256(content).hexdigest() == sha256
    for name in ("b" * 64, broken, "..%2f..%2fcontrol.sqlite", "*" * 64):
        assert browser.send("GET", f"/pictures/{name}").status_code == 404
