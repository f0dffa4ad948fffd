"""What real engines cannot be made to show: hosts that fail, answers that are lost or malformed."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from bellwether_airflow.elasticsearch.bulk import BulkFailed, bulk
from bellwether_airflow.elasticsearch.client import Answer, SearchClient
from bellwether_airflow.elasticsearch.documents import Work, create, search
from bellwether_airflow.elasticsearch.errors import (
    Answered,
    Malformed,
    OutcomeUnknown,
    Partial,
    Unreachable,
)
from bellwether_airflow.elasticsearch.jobs import EngineTask, renamed
from bellwether_airflow.elasticsearch.operators import (
    ElasticsearchOperator,
    ElasticsearchReindexOperator,
)
from bellwether_airflow.elasticsearch.settings import SearchSettings, from_connection
from bellwether_airflow.errors import Refused
from bellwether_airflow.hooks.search import SearchHook
from bellwether_airflow.triggers.search import ElasticsearchTaskTrigger
from bellwether_airflow.version_compat import AirflowException, AirflowFailException
from scripted import DROP, Scripted, dead_address
from searching import Store, context_of

Serve = Callable[..., Scripted]
FINE = (200, {"fine": True})


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Makes servers that answer by a list, or by a function."""
    made: list[Scripted] = []

    def of(*answers: tuple[int, Any], **more: Any) -> Scripted:
        made.append(Scripted(list(answers), **more))
        return made[-1]

    yield of
    for server in made:
        server.close()


def with_client(
    hosts: list[str], work: Callable[[SearchClient], Coroutine[Any, Any, Any]]
) -> Any:
    async def main() -> Any:
        settings = SearchSettings(tuple(hosts), timeout=30.0, connect_timeout=5.0)
        async with SearchClient(settings) as client:
            return await work(client)

    return asyncio.run(main())


def ask(hosts: list[str], method: str = "GET", resend: bool = True, **more: Any) -> Answer:
    answer: Answer = with_client(
        hosts, lambda client: client.ask(method, "/x", resend=resend, **more)
    )
    return answer


def test_a_dead_host_is_passed_over_also_by_what_is_not_repeated(serve: Serve) -> None:
    server = serve(FINE)
    answer = ask([dead_address(), server.address], "POST", resend=False)
    assert answer.host == server.address and answer.engine == "elasticsearch"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_host_that_cannot_serve_is_passed_over(serve: Serve, status: int) -> None:
    bad, good = serve((status, {"error": "busy"})), serve(FINE)
    assert ask([bad.address, good.address]).host == good.address
    assert len(bad.asked) == 1


def test_the_same_host_is_asked_again_when_there_is_no_other(serve: Serve) -> None:
    server = serve((503, b"<html>"), (503, {}), FINE)
    assert ask([server.address]).status == 200
    assert len(server.asked) == 3


def test_a_service_that_stays_away_is_told(serve: Serve) -> None:
    server = serve(*[(503, {"error": {"type": "no_leader", "reason": "none"}})] * 3)
    with pytest.raises(Answered, match="503 no_leader: none"):
        ask([server.address])
    with pytest.raises(Unreachable, match="cannot be reached"):
        ask([dead_address()], "POST", resend=False)


def test_a_lost_answer_is_repeated_only_if_that_is_harmless(serve: Serve) -> None:
    first, second = serve((DROP, None)), serve(FINE)
    assert ask([first.address, second.address]).host == second.address
    first, second = serve((DROP, None)), serve(FINE)
    with pytest.raises(OutcomeUnknown, match="did not answer"):
        ask([first.address, second.address], "POST", resend=False)
    assert second.asked == []
    busy = serve((503, {}))
    with pytest.raises(Answered):
        ask([busy.address, second.address], "POST", resend=False)
    assert second.asked == []


def test_hosts_are_asked_in_turn_and_the_bad_one_last(serve: Serve) -> None:
    servers = [serve(reply=lambda *_: FINE) for _ in range(2)]
    dead = dead_address()

    async def work(client: SearchClient) -> list[str]:
        return [(await client.ask("GET", "/x", resend=True)).host for _ in range(6)]

    hosts = with_client([dead, *(server.address for server in servers)], work)
    assert {hosts.count(server.address) for server in servers} <= {2, 3, 4}


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"[1]", b"", b'{"a":'])
def test_what_is_no_engines_answer_is_told(serve: Serve, body: bytes) -> None:
    server = serve((200, body), headers={"Content-Type": "text/html"})
    with pytest.raises(Malformed, match=r"text/html.*is it an engine"):
        ask([server.address])


def test_which_engine_answers_is_read_from_headers(serve: Serve) -> None:
    one = serve(FINE, headers={"X-OpenSearch-Version": "OpenSearch/3.4.0 (opensearch)"})
    assert ask([one.address]).engine == "opensearch"
    assert ask([serve(FINE, headers={}).address]).engine is None


def test_no_value_of_a_document_is_in_a_message(serve: Serve) -> None:
    reason = "failed to parse field [a] of type [long]. Preview of field's value: 'hunter2'"
    server = serve((400, {"error": {"type": "document_parsing_exception", "reason": reason}}))
    with pytest.raises(Answered) as told:
        ask([server.address], "PUT")
    assert "hunter2" not in str(told.value) and "field [a]" in str(told.value)
    assert told.value.hopeless


def test_a_body_that_is_no_json_is_refused_before_it_is_sent(serve: Serve) -> None:
    server = serve()
    with pytest.raises(Refused, match="a set is not JSON"):
        ask([server.address], "PUT", body={"a": {1}})
    with pytest.raises(Refused, match="cannot be written as JSON"):
        ask([server.address], "PUT", body={"a": float("nan")})
    assert server.asked == []


def items(*statuses: tuple[str, int]) -> tuple[int, Any]:
    told = []
    for kind, status in statuses:
        outcome: dict[str, Any] = {"status": status, "result": "created"}
        if status >= 300:
            outcome = {"status": status, "error": {"type": "t", "reason": f"r{status}"}}
        told.append({kind: outcome})
    return 200, {"items": told}


def test_of_a_bulk_only_items_of_a_busy_engine_are_sent_again(serve: Serve) -> None:
    server = serve(
        items(("index", 201), ("index", 429), ("delete", 404)),
        items(("index", 201)),
    )
    documents = [{"n": 0}, {"n": 1}, {"_op_type": "delete", "_id": "x"}]
    work = Work("bulk", "i", "me", document=documents)
    told = with_client([server.address], lambda client: bulk(client, work))
    assert told == {"items": 3, "created": 2, "not_found": 1, "ids": ["me-0", "me-1", "x"]}
    again = [json.loads(line) for line in server.asked[1][2].splitlines()]
    assert again == [{"index": {"_index": "i", "_id": "me-1"}}, {"n": 1}]


def test_what_is_refused_of_a_bulk_is_told_item_by_item(serve: Serve) -> None:
    work = Work("bulk", "i", "me", document=[{"n": n} for n in range(6)])
    answers = items(*[("index", 400)] * 5, ("index", 201))
    server = serve(answers)
    with pytest.raises(BulkFailed) as told:
        with_client([server.address], lambda client: bulk(client, work))
    assert told.value.hopeless
    assert "5 of 6 items were refused" in str(told.value) and "and 2 more" in str(told.value)
    server = serve(items(*[("index", 400)] * 4, ("index", 500), ("index", 201)))
    with pytest.raises(BulkFailed) as told:
        with_client([server.address], lambda client: bulk(client, work))
    assert not told.value.hopeless


def test_a_create_that_finds_its_own_document_is_done(serve: Serve) -> None:
    """The first answer was lost on its way, and the document is there."""
    found = {"found": True, "_index": "i", "_id": "1", "_version": 1, "_source": {"a": 1}}
    conflict = (409, {"error": {"type": "version_conflict_engine_exception", "reason": "is"}})
    work = Work("create", "i", "me", id="1", document={"a": 1})
    server = serve((DROP, None), conflict, (200, found))
    told = with_client([server.address], lambda client: create(client, work))
    assert told["result"] == "unchanged" and told["version"] == 1
    server = serve(conflict, (200, {**found, "_source": {"a": 2}}))
    with pytest.raises(Answered, match="version_conflict"):
        with_client([server.address], lambda client: create(client, work))


def test_a_search_that_lacks_a_shard_is_no_result(serve: Serve) -> None:
    """What an engine without a leader answers: 200, and a shard that failed."""
    hits = {"total": {"value": 0, "relation": "eq"}, "hits": []}
    partial = {"took": 1, "_shards": {"total": 2, "failed": 1}, "hits": hits}
    work = Work("search", "i", "me")
    with pytest.raises(Partial, match="1 of 2 shards failed"):
        with_client([serve((200, partial)).address], lambda client: search(client, work))
    late = {**partial, "timed_out": True, "_shards": {"total": 2, "failed": 0}}
    with pytest.raises(Partial, match="time"):
        with_client([serve((200, late)).address], lambda client: search(client, work))
    work = Work("search", "i", "me", allow_partial=True)
    told = with_client([serve((200, partial)).address], lambda client: search(client, work))
    assert told["total"] == 0


@pytest.fixture
def conn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Makes the connection `scripted` to servers."""

    def of(*servers: Scripted | str) -> str:
        hosts = [server if isinstance(server, str) else server.address for server in servers]
        connection = {"conn_type": "elasticsearch", "host": ",".join(hosts)}
        monkeypatch.setenv("AIRFLOW_CONN_SCRIPTED", json.dumps(connection))
        return "scripted"

    return of


RUNNING = (200, {"completed": False, "task": {"status": {"total": 2, "created": 1}}})
DONE = (200, {"completed": True, "response": {"total": 2, "created": 2, "failures": []}})
LOST = (404, {"error": {"type": "resource_not_found_exception", "reason": "gone"}})


def reindex(conn_id: str, **arguments: Any) -> ElasticsearchReindexOperator:
    return ElasticsearchReindexOperator(
        task_id="copy",
        es_conn_id=conn_id,
        source="a",
        dest="b",
        deferrable=False,
        poke_interval=0.05,
        **arguments,
    )


def test_a_job_that_the_engine_forgot_is_begun_again(serve: Serve, conn: Any) -> None:
    server = serve((200, {"task": "n:1"}), RUNNING, LOST, (200, {"task": "n:2"}), DONE)
    task, store = reindex(conn(server)), Store()
    told = task.execute(context_of(task, store=store))
    assert told == {"task": "n:2", "total": 2, "created": 2}
    assert [path for _, path, _ in server.asked if "_tasks" in path] == [
        "/_tasks/n%3A1",
        "/_tasks/n%3A1",
        "/_tasks/n%3A2",
    ]
    assert "n:2" in str(store.kept)


def test_a_task_that_is_killed_while_its_job_begins_cancels_it(serve: Serve, conn: Any) -> None:
    task: ElasticsearchReindexOperator | None = None

    def reply(method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path.startswith("/_reindex"):
            # The engine has begun, and its answer is on its way.
            assert task is not None
            task.on_kill()
            return 200, {"task": "node:9"}
        return (200, {"nodes": {}}) if path == "/_tasks/node%3A9/_cancel" else (599, {})

    server = serve(reply=reply)
    task = reindex(conn(server))
    with pytest.raises(AirflowException, match="told to end"):
        task.execute(context_of(task))
    assert [path for _, path, _ in server.asked][1:] == ["/_tasks/node%3A9/_cancel"]


def test_a_retry_goes_on_with_the_job_and_a_cleared_task_does_not(serve: Serve, conn: Any) -> None:
    store = Store()
    server = serve((200, {"task": "n:1"}), (500, {"error": "ouch"}), RUNNING, DONE)
    task = reindex(conn(server), timeout=0.01)
    server.answers[1:] = [RUNNING, (200, {})]
    with pytest.raises(AirflowException, match="not within the time"):
        task.execute(context_of(task, store=store))
    assert server.asked[-1][1] == "/_tasks/n%3A1/_cancel"
    task = reindex(conn(server))
    server.answers[:] = [RUNNING, DONE]
    task.execute(context_of(task, number=2, store=store))
    assert not [path for _, path, _ in server.asked[3:] if "_reindex" in path]
    server.answers[:] = [(200, {"task": "n:2"}), DONE]
    told = task.execute(context_of(task, number=3, max_tries=3, store=store))
    assert told["task"] == "n:2"


def test_a_retry_after_a_failure_begins_anew(serve: Serve, conn: Any) -> None:
    failed = {"completed": True, "response": {"failures": [{"cause": {"type": "t"}}]}}
    server = serve((200, {"task": "n:1"}), (200, failed))
    task, store = reindex(conn(server)), Store()
    with pytest.raises(AirflowException, match="1 failures, such as t"):
        task.execute(context_of(task, store=store))
    server.answers[:] = [(200, failed), (200, {"task": "n:2"}), DONE]
    assert task.execute(context_of(task, number=2, store=store))["task"] == "n:2"


def test_a_trigger_has_a_lost_job_begun_again_and_waits_for_hosts(serve: Serve, conn: Any) -> None:
    server = serve((500, {"error": "ouch"}), (503, {}), RUNNING, LOST)
    made = ElasticsearchTaskTrigger(
        target={"es_conn_id": conn(dead_address(), server), "discovery": None},
        awaited=EngineTask("n:1").serialize(),
        pause=0.05,
    )

    async def event() -> Any:
        return await anext(made.run())

    told = asyncio.run(event())
    assert told.payload["status"] == "lost"
    server.answers[:] = [(200, {"task": "n:2"})]
    task = reindex("scripted")
    task.deferrable = True
    from airflow.sdk.exceptions import TaskDeferred

    with pytest.raises(TaskDeferred) as deferred:
        task.execute_complete(context_of(task), event=told.payload)
    assert deferred.value.kwargs == {"deadline": None, "lost": 1}
    assert "n:2" in str(deferred.value.trigger.serialize())
    with pytest.raises(AirflowException, match="does not know"):
        task.execute_complete(context_of(task), event=told.payload, lost=2)


def test_what_another_try_cannot_mend_is_not_tried_again(serve: Serve, conn: Any) -> None:
    server = serve((403, {"error": {"type": "security_exception", "reason": "no"}}))
    task = ElasticsearchOperator(task_id="t", es_conn_id=conn(server), index="i", id="1", doc={})
    with pytest.raises(AirflowFailException, match="403 security_exception"):
        task.execute(context_of(task))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"operation": "idnex"}, "operation is 'idnex'"),
        ({"lock": "/a", "fence": 1}, "lock and fence"),
        ({"operation": "delete_by_query", "lock": "/a"}, "cannot carry a fence"),
        ({"operation": "search", "fence": 1}, "cannot carry a fence"),
        ({"if_seq_no": 1}, "belong together"),
        ({"if_seq_no": 1, "if_primary_term": 1, "fence": 1}, "either a fence or"),
        ({"operation": "update", "pipeline": "p"}, "a pipeline is for"),
    ],
)
def test_arguments_that_exclude_each_other(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ElasticsearchOperator(task_id="t", **arguments)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"index": "i", "doc": "{"}, "doc is text that is no JSON"),
        ({"index": "i", "doc": [1]}, "doc is a list"),
        ({"doc": {}}, "index needs an index"),
        ({"index": "i", "operation": "get"}, "get needs the id"),
        ({"index": "i", "doc": {}, "fence": "x"}, "fence is 'x'"),
        ({"operation": "bulk", "doc": {}}, "a list is expected"),
        ({"operation": "bulk", "doc": [{"_op_type": "drop"}]}, "_op_type 'drop'"),
        ({"operation": "bulk", "doc": [{"a": 1}]}, "item 0 has no _index"),
        ({"operation": "search", "query": {}, "doc": {"query": {}}}, "query is given twice"),
        ({"index": "i", "doc": {}, "discovery": "http://x"}, "zk://CONN_ID/ROOT is expected"),
    ],
)
def test_arguments_that_are_refused(
    arguments: dict[str, Any], why: str, serve: Serve, conn: Any
) -> None:
    server = serve()
    task = ElasticsearchOperator(task_id="t", es_conn_id=conn(server), **arguments)
    with pytest.raises(AirflowFailException, match=why):
        task.execute(context_of(task))
    assert server.asked == []


def test_a_document_is_no_documentation_of_the_task() -> None:
    task = ElasticsearchOperator(task_id="t", index="i", doc={"a": 1})
    assert task.document == {"a": 1} and task.doc is None
    assert "document" in task.template_fields


class Connection:
    """A connection of Airflow."""

    def __init__(self, **fields: Any) -> None:
        self.conn_id, self.conn_type = "c", fields.pop("conn_type", "elasticsearch")
        self.extra_dejson: dict[str, Any] = fields.pop("extra", {})
        self.host = fields.pop("host", "one")
        self.port = fields.pop("port", None)
        self.schema = fields.pop("schema", None)
        self.login = fields.pop("login", None)
        self.password = fields.pop("password", None)


def test_connections_are_read_as_their_providers_write_them() -> None:
    settings = from_connection(
        Connection(
            host="one, two:1, http://three:2",
            port=9201,
            schema="https",
            login="me",
            password="secret",
            extra={"verify_certs": False, "timeout": "7"},
        )
    )
    assert settings.hosts == ("https://one:9201", "https://two:1", "http://three:2")
    assert (settings.user, settings.verify, settings.timeout) == ("me", False, 7.0)
    assert "secret" not in repr(settings)
    opensearch = from_connection(Connection(conn_type="opensearch", extra={"use_ssl": True}))
    assert opensearch.hosts == ("https://one:9200",)
    assert from_connection(Connection(host=None), discovered=True).hosts == ()
    key = from_connection(Connection(extra={"api_key": "k"}))
    assert key.headers() == {"Authorization": "ApiKey k"}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"conn_type": "mysql"}, "its type is 'mysql'"),
        ({"host": ""}, "it has no host"),
        ({"host": "one:port"}, "no possible port"),
        ({"host": "ftp://one"}, "neither host"),
        ({"host": "http://me:pw@one"}, "has a user in it"),
        ({"host": "http://one/path"}, "has a path"),
        ({"extra": {"timeout": "soon"}}, "timeout is 'soon'"),
        ({"extra": {"verify_certs": "perhaps"}}, "true or false"),
        ({"login": "me", "extra": {"api_key": "k"}}, "both a login and an api_key"),
    ],
)
def test_connections_that_are_not_possible(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=f"connection 'c': .*{why}"):
        from_connection(Connection(**fields))


def test_certificates_that_cannot_be_read_are_told() -> None:
    settings = SearchSettings(("https://one:9200",), ca_certs="/nowhere/ca.pem")
    with pytest.raises(Refused, match="certificates"):
        settings.tls()


def test_the_hook_keeps_its_connections_and_tests_them(serve: Serve, conn: Any) -> None:
    server = serve(FINE, FINE, (200, {"status": "green"}))
    with SearchHook(conn(server)) as hook:
        assert hook.request("GET", "/a").body == hook.request("GET", "/b").body == FINE[1]
        assert hook.hosts() == (server.address,)
    assert hook.test_connection() == (True, f"elasticsearch at {server.address}, status green")
    fine, why = SearchHook(conn(dead_address())).test_connection()
    assert not fine and "Unreachable" in why


def test_names_of_restored_indices_are_known_beforehand() -> None:
    assert renamed(["a-1", "b"], "a-(.)", "old-$1") == ["old-1", "b"]
    assert renamed(["a"], None, None) == ["a"]
