"""LookML and the metrics it comes from: nothing drifts, every ratio is of sums, lineage reaches explores."""

from __future__ import annotations

import copy
import re
import shutil
from fnmatch import fnmatch

import dagster as dg
import duckdb
import lkml
import pytest
import typer

from aelp_assets import looker
from aelp_assets.commands.looker import looker as command
from aelp_assets.transform import parsed_manifest, reporting, transform
from resources.looker import FOLDER
from resources.looker.lookml import EXPLORE_FILE, MODEL_FILE, render
from resources.looker.project import differences, refinement_faults
from resources.looker.semantics import SemanticsError, read_views
from resources.warehouse.schema import DUCKDB_TYPES
from tests.resources.looker.lookml_sql import key_sql, measure_sql, select_measures

MANIFEST = parsed_manifest()
FILES = render(read_views(MANIFEST))
VIEWS = {
    name.removesuffix(".view.lkml"): lkml.load(text)["views"][0]
    for name, text in FILES.items()
    if name.endswith(".view.lkml")
}
EXPLORES = {explore["name"]: explore for explore in lkml.load(FILES[EXPLORE_FILE])["explores"]}
MODELS = {node["name"]: node for node in MANIFEST["nodes"].values() if node["resource_type"] == "model"}
TYPES = {
    view: {name: column["data_type"] for name, column in MODELS[view]["columns"].items()} for view in VIEWS
}


def edited(**parts):
    """The manifest with its own copy of what semantic models and metrics say, or of the parts given."""
    own = {name: copy.deepcopy(MANIFEST[name]) for name in ("semantic_models", "metrics")}
    return {**MANIFEST, **own, **parts}


def measure_of(manifest, name):
    models = manifest["semantic_models"].values()
    return next(one for model in models for one in model["measures"] if one["name"] == name)


def looker_fields(view):
    """Names Looker knows in a view: of a dimension group its timeframes, not itself."""
    frames = {f"{told['name']}_{frame}" for told in view["dimension_groups"] for frame in told["timeframes"]}
    return {told["name"] for told in view["dimensions"]} | frames


def always_filtered(explore):
    told = explore.get("always_filter", {}).get("filters__all", ())
    return {field: value for filters in told for one in filters for field, value in one.items()}


def composed(measure):
    return re.findall(r"\$\{(\w+)\}", measure["sql"])


def test_the_committed_lookml_is_what_the_metrics_give():
    assert differences(FOLDER, FILES) == [], "run `aelp looker`"
    assert refinement_faults(FOLDER, FILES) == []


def test_the_same_metrics_give_the_same_bytes_in_any_order():
    turned = {name: dict(reversed(MANIFEST[name].items())) for name in ("semantic_models", "metrics")}
    assert render(read_views({**MANIFEST, **turned})) == FILES


def test_a_changed_metric_is_noticed_with_its_file_and_both_versions():
    manifest = edited()
    measure_of(manifest, "cost")["expr"] = "cost + 1"
    (diff,) = differences(FOLDER, render(read_views(manifest)))
    assert diff.splitlines()[0].endswith("ads_campaign_daily.view.lkml (committed)")
    assert "-    sql: ${TABLE}.cost ;;" in diff
    assert "+    sql: ${TABLE}.cost + 1 ;;" in diff


def test_a_dropped_or_new_metric_is_noticed():
    manifest = edited()
    del manifest["metrics"]["metric.aelp.roas"]
    assert "-  measure: roas {" in differences(FOLDER, render(read_views(manifest)))[0]
    faults = refinement_faults(FOLDER, render(read_views(manifest)))
    assert faults
    for fault in faults:
        assert "roas" in fault
        assert "performance.lkml" in fault


def test_the_command_writes_and_its_check_fails_with_a_readable_difference(tmp_path, monkeypatch, capsys):
    copied = shutil.copytree(FOLDER, tmp_path / "looker")
    monkeypatch.setattr("resources.looker.FOLDER", copied)
    command(check=True)
    view = copied / "generated" / "unified_ctr.view.lkml"
    view.write_text(view.read_text().replace("percent_2", "percent_1"))
    (copied / "generated" / "left_over.view.lkml").write_text("view: left_over {}\n")
    with pytest.raises(typer.Exit) as ended:
        command(check=True)
    said = capsys.readouterr().err
    assert ended.value.exit_code == 1
    assert "-    value_format_name: percent_1" in said
    assert "-view: left_over {}" in said
    command()
    command(check=True)
    assert not (copied / "generated" / "left_over.view.lkml").exists()


@pytest.mark.parametrize(
    ("refinement", "fault"),
    [
        (
            "view: +ads_campaign_daily { measure: roax { label: 'x' } }",
            "roax refines a field that",
        ),
        ("view: +ads_campaign_dayly { }", "view +ads_campaign_dayly refines none"),
        ("explore: +preformance { }", "explore +preformance refines none"),
        ("view: +ads_campaign_daily { measure: cac { drill_fields: [campaign] } }", "names campaign, which"),
        ("view: +unified_ctr { measure: m { type: number sql: 2 * ${lnk_ctr} ;; } }", "names lnk_ctr, which"),
        ("view: +unified_ctr { measure: link_ctr { sql: 1 ;; } }", "link_ctr is defined a second time"),
    ],
)
def test_a_refinement_of_what_is_not_there_or_of_a_metric_itself_is_an_error(tmp_path, refinement, fault):
    (tmp_path / "refinements").mkdir()
    (tmp_path / "refinements" / "mine.lkml").write_text(refinement.replace("'", '"'))
    (found,) = refinement_faults(tmp_path, FILES)
    assert fault in found
    assert "mine.lkml" in found


def test_a_refinement_may_add_a_field_and_drill_into_a_timeframe(tmp_path):
    (tmp_path / "refinements").mkdir()
    (tmp_path / "refinements" / "mine.lkml").write_text(
        "view: +ads_campaign_daily { dimension: is_meta { type: yesno sql: ${platform} = 'meta' ;; } "
        "measure: cac { drill_fields: [is_meta, report_week, creative_objects.theme] } }"
    )
    assert refinement_faults(tmp_path, FILES) == []


def test_every_metric_is_one_measure_with_a_label_a_description_and_a_format():
    measures = [told for view in VIEWS.values() for told in view.get("measures", ())]
    metrics = [metric["name"] for metric in MANIFEST["metrics"].values()]
    assert sorted(told["name"] for told in measures) == sorted(metrics)
    for told in measures:
        assert all(told[word] for word in ("label", "description", "value_format_name")), told["name"]


def test_standard_names_are_there():
    labels = {told["label"] for view in VIEWS.values() for told in view.get("measures", ())}
    wanted = "Impressions, Clicks, Spend, Conversions, Revenue, CPM, CTR, CPC, CVR, CAC, ROAS"
    assert labels >= set(wanted.split(", "))
    asked_for = """
        performance ad_performance placement creatives creative_scores forecast_vs_actual media_mix decisions
        exploration_return time_to_decision rollback_time
    """
    assert set(EXPLORES) == set(asked_for.split())


def test_every_ratio_divides_two_sums_safely():
    ratios = [metric["name"] for metric in MANIFEST["metrics"].values() if metric["type"] == "ratio"]
    assert len(ratios) > 20
    for view in VIEWS.values():
        fields = {told["name"]: told for told in view.get("measures", ())}
        for name in set(ratios) & set(fields):
            above, below = composed(fields[name])
            assert fields[name]["sql"] == (
                f"cast(${{{above}}} as float64) / nullif(cast(${{{below}}} as float64), 0)"
            )
            assert {fields[above]["type"], fields[below]["type"]} <= {"sum", "count_distinct"}, name
        # what is derived stands on them or on sums, never on rows
        for told in fields.values():
            assert told["type"] != "number" or set(composed(told)) <= set(fields), told["name"]
            assert told["type"] != "number" or "${TABLE}" not in told["sql"], told["name"]


def test_every_field_and_join_is_on_columns_of_the_mart_with_one_type():
    columns = {}
    for name, view in VIEWS.items():
        assert view["sql_table_name"] == f"`@{{bigquery_project}}.@{{dataset_prefix}}gaelp_training.{name}`"
        for kind in ("dimensions", "dimension_groups", "measures"):
            for told in view.get(kind, ()):
                assert set(re.findall(r"\$\{TABLE\}\.(\w+)", told["sql"])) <= set(TYPES[name]), told["name"]
        for told in (*view.get("dimensions", ()), *view.get("dimension_groups", ())):
            field = f"{told['name']}_raw" if told["type"] == "time" else told["name"]
            columns[f"{name}.{field}"] = told["sql"].removeprefix("${TABLE}.")
    joins = [join for explore in EXPLORES.values() for join in explore.get("joins", ())]
    assert len(joins) >= 6
    for join in joins:
        pairs = re.findall(r"\$\{([\w.]+)\} = \$\{([\w.]+)\}", join["sql_on"])
        assert len(pairs) == join["sql_on"].count("=")
        for pair in pairs:
            types = {TYPES[field.split(".")[0]][columns[field]] for field in pair}
            assert len(types) == 1, pair


def test_the_primary_key_of_a_view_is_the_grain_its_mart_asserts():
    tests = [node for node in MANIFEST["nodes"].values() if node["resource_type"] == "test"]
    grains = {
        test["attached_node"].split(".")[-1]: set(test["test_metadata"]["kwargs"]["columns"])
        for test in tests
        if (test.get("test_metadata") or {}).get("name") == "unique_combination"
    }
    grains["decision_summary"] = {"decision_id"}  # a hash of its morning and lever
    grains["creative_score_summary"] -= {"as_of_date"}  # it has one morning, the newest
    for name, view in VIEWS.items():
        assert set(re.findall(r"seen\.(\w+)", key_sql(view))) == grains[name], name


def test_everything_is_included_before_it_is_refined():
    model = lkml.load(FILES[MODEL_FILE])
    *defining, refining = model["includes"]
    assert refining == "/refinements/*.lkml"
    assert "explores" not in model
    for name in set(FILES) - {MODEL_FILE}:
        assert any(fnmatch(f"/generated/{name}", pattern) for pattern in defining), name


def test_a_row_of_every_morning_is_summed_for_the_newest_unless_asked():
    by_morning = {
        name: explore
        for name, explore in EXPLORES.items()
        if explore["view_name"] in ("decision_summary", "forecast_vs_actual", "media_mix_channels")
    }
    assert set(by_morning) == {"decisions", "forecast_vs_actual", "media_mix"}
    for explore in by_morning.values():
        assert always_filtered(explore) == {f"{explore['view_name']}.is_newest": "Yes"}


def test_explores_filter_fields_that_are_there():
    for explore in EXPLORES.values():
        for field in always_filtered(explore):
            view, name = field.split(".")
            assert name in looker_fields(VIEWS[view]), field


def test_a_filter_on_a_day_names_its_timeframe():
    manifest = edited()
    explores = manifest["semantic_models"]["semantic_model.aelp.decision_summary"]["config"]["meta"]["looker"]
    explores["explores"]["decisions"]["always_filter"] = {"morning_date": "7 days"}
    rendered = lkml.load(render(read_views(manifest))[EXPLORE_FILE])["explores"]
    decisions = next(explore for explore in rendered if explore["name"] == "decisions")
    assert always_filtered(decisions) == {"decision_summary.morning_date": "7 days"}
    assert "morning_date" in looker_fields(VIEWS["decision_summary"])
    explores["explores"]["decisions"]["always_filter"] = {"morning": "7 days", "mornings": "7 days"}
    with pytest.raises(SemanticsError, match="filters morning, mornings, no field of decision_summary"):
        render(read_views(manifest))


def test_explores_of_some_metrics_show_what_these_are_made_of():
    left_out = {field.removeprefix("-proposal_history.") for field in EXPLORES["rollback_time"]["fields"]}
    assert {"proposals", "approval_rate"} <= left_out
    assert not {"rollback_rate", "changes", "hours_to_rollback"} & left_out


@pytest.fixture(scope="module")
def small():
    """Each view's table with the contract's columns and no row."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        for name, types in TYPES.items():
            columns = ", ".join(f'"{column}" {DUCKDB_TYPES[kind]}' for column, kind in types.items())
            connection.execute(f"create table {name} ({columns})")
        yield connection


@pytest.mark.parametrize("name", [name for name, view in VIEWS.items() if view.get("measures")])
def test_every_measure_runs_and_says_nothing_of_no_rows(small, name):
    found = small.execute(select_measures(VIEWS[name], name, "duckdb")).fetchone()
    assert set(found) <= {None, 0}


def test_ratios_of_several_rows_are_ratios_of_their_sums(small):
    small.execute(
        "insert into ads_campaign_daily by name from (values "
        "('2026-06-01'::date, 'meta', 10, 5, 2.00, 1.0, 8.00), "
        "('2026-06-01'::date, 'tiktok', 990, 10, 4.00, 2.0, null)"
        ") as t(date, platform, impressions, clicks, cost, conversions, revenue)"
    )
    view = VIEWS["ads_campaign_daily"]
    names = ("ctr", "cvr", "cpc", "cac", "cpm", "roas")
    asked = ", ".join(measure_sql(view, name) for name in names).replace("float64", "double")
    found = small.execute(f"select {asked} from ads_campaign_daily as seen").fetchone()
    # 0.015, not the mean of 0.5 and 0.0101; revenue is known of 2.00 of the 6.00 spent
    assert found == pytest.approx((0.015, 0.2, 0.4, 2.0, 6.0, 4.0))


def measured(small, view):
    found = small.execute(select_measures(VIEWS[view], view, "duckdb"))
    return dict(zip([column[0] for column in found.description], found.fetchone(), strict=True))


def test_means_and_rates_of_proposals_count_what_came_about(small):
    small.execute(
        "insert into proposal_history by name from (values "
        "('a', 'rolled_back', 5.5, 'c1', 'applied', 7.25, now()), "
        "('b', 'rejected', 1.5, null, null, null, null), "
        "('c', 'pending', null, null, null, null, null), "
        "('d', 'expired', 2, null, null, null, null), "  # signed by one of two
        "('e', 'rolled_back', 3, 'c2', 'applied', null, null), "  # its rollback was refused
        "('f', 'approved', 3, 'c3', 'held', null, null)"
        ") as t(proposal_id, status, hours_to_first_decision, change_id, change_status, hours_to_rollback, "
        "rolled_back_at)"
    )
    told = measured(small, "proposal_history")
    assert told["mean_hours_to_decision"] == 3
    assert told["approval_rate"] == 3 / 5
    assert (told["rollback_rate"], told["mean_hours_to_rollback"]) == (1 / 2, 7.25)


def test_still_images_and_unknown_values_are_in_no_ratio_of_placements(small):
    small.execute(
        "insert into placement_performance by name from (values "
        "(true, 100, 30, 10, 40), (true, 50, 0, 10, null), (true, 7, null, 20, 20), (false, 900, 0, 60, null)"
        ") as t(is_video, impressions, video_3s_views, spend, purchase_value_7d_click)"
    )
    told = measured(small, "placement_performance")
    assert told["placement_hook_rate"] == 30 / 150
    assert told["placement_roas"] == 60 / 30


def test_what_is_not_known_is_neither_yes_nor_no():
    fields = {told["name"]: told for told in VIEWS["forecast_vs_actual"]["dimensions"]}
    sql = fields["clicks_inside_p10_p90"]["sql"].replace("${TABLE}", "seen")
    rows = "(values (1, true), (2, false), (3, null)) as seen(place, clicks_inside_p10_p90)"
    found = duckdb.sql(f"select {sql} from {rows} order by place").fetchall()
    assert found == [("Yes",), ("No",), (None,)]
    assert not [told for view in VIEWS.values() for told in view["dimensions"] if told["type"] == "yesno"]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda m: measure_of(m, "cost").update(agg="average"), "a mean is a ratio of two sums"),
        (lambda m: measure_of(m, "cost").update(expr="csot"), "uses csot, no column of it"),
        (
            lambda m: m["metrics"]["metric.aelp.ctr"]["type_params"]["denominator"].update(name="ad_clicks"),
            "ads_ad_daily and ads_campaign_daily",
        ),
        (
            lambda m: m["metrics"]["metric.aelp.ctr"]["type_params"]["denominator"].update(name="views"),
            "metric ctr is made of clicks, views",
        ),
        (lambda m: m["metrics"]["metric.aelp.cpm"].update(type="cumulative"), "metric cpm"),
    ],
)
def test_what_lookml_cannot_say_is_refused_by_name(edit, says):
    manifest = edited()
    edit(manifest)
    with pytest.raises(SemanticsError, match=re.escape(says)):
        render(read_views(manifest))


def test_a_model_without_a_contract_is_refused():
    unique_id = "model.aelp.unified_ctr"
    free = {**MANIFEST["nodes"][unique_id], "config": {"contract": {"enforced": False}}}
    manifest = edited(nodes={**MANIFEST["nodes"], unique_id: free})
    with pytest.raises(SemanticsError, match="unified_ctr, whose columns have no enforced contract"):
        read_views(manifest)


def test_lineage_reaches_the_explores_and_the_exposures():
    specs = {spec.key: spec for spec in looker.outside_specs()}
    built = {key for asset in (transform, reporting) for key in asset.keys}
    deps = {key: {dep.asset_key for dep in spec.deps} for key, spec in specs.items()}
    for name in VIEWS:
        view = dg.AssetKey(["looker", "view", name])
        assert deps[view] == {dg.AssetKey(["gaelp_training", name])}
        assert deps[view] <= built
    for name, explore in EXPLORES.items():
        views = {explore["view_name"], *(join["name"] for join in explore.get("joins", ()))}
        assert deps[dg.AssetKey(["looker", "explore", name])] == {
            dg.AssetKey(["looker", "view", view]) for view in views
        }
    opened = deps[dg.AssetKey(["exposure", "looker_explores"])]
    assert {key.path[-1] for key in opened if key.path[:2] == ["looker", "explore"]} == set(EXPLORES)
    assert {key.path[-1] for key in opened if key.path[0] == "gaelp_training"} == set(VIEWS)


def test_every_exposure_is_an_asset_of_its_owner_with_all_it_reads():
    specs = {spec.key.path[-1]: spec for spec in looker.outside_specs() if spec.key.path[0] == "exposure"}
    assert set(specs) == {exposure["name"] for exposure in MANIFEST["exposures"].values()}
    for exposure in MANIFEST["exposures"].values():
        spec = specs[exposure["name"]]
        assert spec.owners == ["team:" + exposure["owner"]["name"].lower().replace(" ", "-")]
        read = {dep.asset_key.path[-1] for dep in spec.deps}
        assert {name.split(".")[-1] for name in exposure["depends_on"]["nodes"]} <= read
    assert specs["approvals_page"].metadata["url"].value == "http://127.0.0.1:3001/"


def test_what_is_kept_of_lineage_is_read_anew_when_lookml_changes(tmp_path, monkeypatch):
    copied = shutil.copytree(FOLDER, tmp_path / "looker")
    before = looker._version()
    monkeypatch.setattr(looker, "FOLDER", copied)
    assert looker._version() == before
    (copied / "refinements" / "more.lkml").write_text("view: +unified_ctr { }\n")
    assert looker._version() != before
