"""Documents in runs of DAGs, against both engines."""

from collections.abc import Callable
from typing import Any

from conftest import Ran

Succeeds = Callable[..., dict[str, Any]]
Run = Callable[..., Ran]


def test_the_life_of_a_document(succeeds: Succeeds, engine: Any) -> None:
    said = succeeds("search_life", **engine.conf)
    assert said["index"]["result"] == "created" and said["index"]["version"] == 1
    assert said["upsert_there"]["result"] == "updated"
    source = said["get"]["source"]
    assert source["size"] == {"width": 2, "height": 3} and source["colour"] == "red"
    assert "{{" not in source["run"]
    assert said["count"] == {"index": engine.index, "count": 2}
    found = said["search"]
    assert found["ids"] == ["1"] and found["total"] == 1 and found["relation"] == "eq"
    assert found["hits"][0]["source"] == source and found["aggregations"]["n"]["value"] == 1
    assert "hits" not in said["search_ids"] and sorted(said["search_ids"]["ids"]) == ["1", "2"]
    assert (said["delete"]["deleted"], said["delete_again"]["deleted"]) == (True, False)
    assert (said["exists"]["exists"], said["exists_other"]["exists"]) == (False, True)


def test_a_retry_overwrites_what_the_first_try_wrote(succeeds: Succeeds, engine: Any) -> None:
    said = succeeds("search_retry", **engine.conf)
    assert engine.count() == 5
    assert said["index"]["version"] == 2 and said["create"]["result"] == "unchanged"
    assert said["bulk"] == {
        "items": 2,
        "updated": 1,
        "unchanged": 1,
        "ids": said["bulk"]["ids"],
    }
    assert len({said[name]["id"] for name in ("index", "create", "upsert")}) == 3


def test_conflicts(run: Run, engine: Any) -> None:
    done = run("search_conflicts", **engine.conf)
    assert done.tasks == {
        "create": "success",
        "same": "success",
        "other": "failed",
        "get": "failed",
        "update": "failed",
    }
    assert done.xcoms["same"]["result"] == "unchanged"
    assert engine.source("1") == {"a": 1}


def test_writing_if_nobody_has_written_since(run: Run, engine: Any) -> None:
    done = run("search_if", **engine.conf)
    assert done.tasks == {"index": "success", "if_so": "success", "if_still_so": "failed"}
    assert engine.source("1") == {"a": 2}


def test_mapped_tasks_have_ids_of_their_own(succeeds: Succeeds, engine: Any) -> None:
    said = succeeds("search_mapped", **engine.conf)
    ids = {told["id"] for told in said.values()}
    assert len(ids) == 3 and {engine.source(name)["n"] for name in ids} == {1, 2, 3}


def test_operators_inside_another(succeeds: Succeeds, engine: Any) -> None:
    said = succeeds("search_nested", **engine.conf)
    for hits in (said["first"], said["second"]):
        assert sorted(hit["source"]["n"] for hit in hits) == [0, 1]


def test_indices_templates_and_aliases(succeeds: Succeeds, engine: Any) -> None:
    said = succeeds("search_indices", **engine.conf)
    one, two = engine.index + "-1", engine.index + "-2"
    assert (said["one"]["created"], said["again"]["created"]) == (True, False)
    assert said["to_two"] == {"alias": engine.index, "index": two, "before": [one]}
    assert list(engine.ask("GET", f"/_alias/{engine.index}")) == [two]
    mapping = engine.ask("GET", f"/{two}/_mapping")[two]["mappings"]
    assert mapping["properties"]["at"]["type"] == "date"
    assert said["merge"]["shards"] >= 1 and said["health"]["status"] == "green"
    assert (said["delete"]["deleted"], said["delete_again"]["deleted"]) == ([one], [])


def test_what_is_not_done_to_indices(run: Run, engine: Any) -> None:
    engine.put("1", {})
    assert set(run("search_indices_refused", **engine.conf).tasks.values()) == {"failed"}
    assert engine.count() == 1


def test_sensors(
    succeeds: Succeeds, engine: Any, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    """The index is not there when they begin."""

    def write() -> None:
        engine.put("1", {"is": ["ready"], "n": 1})
        engine.put("2", {"n": 1})

    meanwhile(write)
    said = succeeds("search_sensors", **engine.conf)
    assert said["document"]["id"] == "1" and said["query"]["count"] == 2
    assert said["health"]["nodes"] == 1 and said["asks"]["id"] == "1"


def test_sensors_whose_time_is_over(run: Run, engine: Any, repository: None) -> None:
    engine.put("2", {})
    assert run("search_sensors_late", **engine.conf).tasks == {
        "fails": "failed",
        "skips": "skipped",
        "alone": "failed",
        "none": "failed",
        "bad": "failed",
        "colour": "failed",
    }
