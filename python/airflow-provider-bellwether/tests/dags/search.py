"""DAGs of Elasticsearch and OpenSearch; the run's configuration says which, and names the index."""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, BaseOperator
from bellwether_airflow.elasticsearch.operators import (
    ElasticsearchAliasOperator,
    ElasticsearchCreateIndexOperator,
    ElasticsearchDeleteIndexOperator,
    ElasticsearchForceMergeOperator,
    ElasticsearchOperator,
    ElasticsearchPutIndexTemplateOperator,
    ElasticsearchReindexOperator,
    ElasticsearchRestoreOperator,
    ElasticsearchSnapshotOperator,
)
from bellwether_airflow.elasticsearch.sensors import (
    ElasticsearchClusterHealthSensor,
    ElasticsearchDocumentSensor,
    ElasticsearchQuerySensor,
    ElasticsearchSnapshotSensor,
)

INDEX = "{{ dag_run.conf['index'] }}"
CONF: dict[str, Any] = {
    "default_args": {
        "es_conn_id": "{{ dag_run.conf['engine'] }}",
        "retry_delay": timedelta(0),
        "poke_interval": 0.1,
    }
}


class WritesThenFails(ElasticsearchOperator):
    """Loses its first try after the write."""

    def execute(self, context: Any) -> Any:
        """Writes, and fails once."""
        told = super().execute(context)
        if context["ti"].try_number == 1:
            raise RuntimeError("lost after the write")
        return told


class Inside(BaseOperator):
    """Executes two operators of one name inside itself."""

    template_fields = ("engine", "index")

    def __init__(self, *, engine: str, index: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.engine = engine
        self.index = index

    def execute(self, context: Any) -> Any:
        """Writes and searches; a sensor and a merge wait in the process."""
        same: dict[str, Any] = {"es_conn_id": self.engine, "index": self.index, "dag": self.dag}
        told = []
        for number in range(2):
            write = ElasticsearchOperator(
                task_id="inner", id=str(number), doc={"n": number}, refresh=True, **same
            )
            told.append(write.execute(context))
        ElasticsearchQuerySensor(task_id="inner", at_least=2, **same).execute(context)
        merge = ElasticsearchForceMergeOperator(task_id="inner", max_num_segments=1, **same)
        merge.execute(context)
        found = ElasticsearchOperator(task_id="inner", operation="search", **same)
        return found.execute(context)["hits"]


def on(operation: str, task_id: str | None = None, **arguments: Any) -> ElasticsearchOperator:
    """A task with one operation."""
    arguments.setdefault("index", INDEX)
    return ElasticsearchOperator(task_id=task_id or operation, operation=operation, **arguments)


with DAG("search_life", **CONF):
    (
        on("index", id="1", doc={"colour": "red", "run": "{{ run_id }}"}, doc_type="thing")
        >> on("update", id="1", doc={"size": {"width": 2}})
        >> on("upsert", "upsert_there", id="1", doc={"size": {"height": 3}})
        >> on("upsert", "upsert_new", id="2", doc={"colour": "blue"})
        >> on("get", id="1", push_value=True)
        >> on("refresh")
        >> on("count", query={"match_all": {}})
        >> on(
            "search",
            doc='{"size": 1, "sort": [{"_doc": "asc"}], "aggs": {"n": {"value_count": '
            '{"field": "colour.keyword"}}}}',
            query={"match": {"colour": "red"}},
            push_value=True,
        )
        >> on("search", "search_ids")
        >> on("delete", id="1")
        >> on("delete", "delete_again", id="1")
        >> on("exists", id="1")
        >> on("exists", "exists_other", id="2")
    )

with DAG("search_retry", **CONF):
    for _operation in ("index", "create", "upsert"):
        WritesThenFails(
            task_id=_operation, operation=_operation, index=INDEX, doc={"is": _operation}, retries=1
        )
    WritesThenFails(
        task_id="bulk",
        operation="bulk",
        index=INDEX,
        doc=[{"n": 1}, {"n": 2, "_op_type": "create"}],
        retries=1,
    )

with DAG("search_conflicts", **CONF):
    (
        on("create", id="1", doc={"a": 1})
        >> on("create", "same", id="1", doc={"a": 1})
        >> on("create", "other", id="1", doc={"a": 2})
    )
    on("get", id="none")
    on("update", id="none", doc={"a": 1})

with DAG("search_if", **CONF):
    (
        on("index", id="1", doc={"a": 1})
        >> on(
            "index",
            "if_so",
            id="1",
            doc={"a": 2},
            if_seq_no="{{ ti.xcom_pull('index')['seq_no'] }}",
            if_primary_term="{{ ti.xcom_pull('index')['primary_term'] }}",
        )
        >> on(
            "index",
            "if_still_so",
            id="1",
            doc={"a": 3},
            if_seq_no="{{ ti.xcom_pull('index')['seq_no'] }}",
            if_primary_term="{{ ti.xcom_pull('index')['primary_term'] }}",
        )
    )

with DAG("search_locked", **CONF):
    (
        on("index", id="1", doc={"n": 1}, lock="{{ dag_run.conf['lock'] }}", lock_timeout=30)
        >> on("update", id="1", doc={"m": 2}, lock="{{ dag_run.conf['lock'] }}")
        >> on("bulk", doc=[{"_id": "2", "n": 2}], lock="{{ dag_run.conf['lock'] }}")
        >> on("get", id="1", push_value=True)
    )

with DAG("search_lock_taken", **CONF):
    on("index", id="1", doc={}, lock="{{ dag_run.conf['lock'] }}", lock_timeout=0.2)

with DAG("search_mapped", **CONF):
    ElasticsearchOperator.partial(task_id="index", index=INDEX).expand(
        doc=[{"n": 1}, {"n": 2}, {"n": 3}]
    )

with DAG("search_nested"):
    (
        Inside(task_id="first", engine="{{ dag_run.conf['engine'] }}", index=INDEX)
        >> Inside(task_id="second", engine="{{ dag_run.conf['engine'] }}", index=INDEX)
    )

with DAG("search_indices", **CONF):
    (
        ElasticsearchPutIndexTemplateOperator(
            task_id="template",
            name=INDEX,
            index_patterns=INDEX + "-*",
            template={"mappings": {"properties": {"at": {"type": "date"}}}},
            priority=7,
        )
        >> ElasticsearchCreateIndexOperator(
            task_id="one", index=INDEX + "-1", settings={"number_of_replicas": 0}
        )
        >> ElasticsearchCreateIndexOperator(task_id="again", index=INDEX + "-1")
        >> ElasticsearchCreateIndexOperator(task_id="two", index=INDEX + "-2")
        >> ElasticsearchAliasOperator(task_id="to_one", alias=INDEX, index=INDEX + "-1")
        >> ElasticsearchAliasOperator(task_id="to_two", alias=INDEX, index=INDEX + "-2")
        >> ElasticsearchAliasOperator(
            task_id="actions",
            actions=[{"add": {"index": INDEX + "-1", "alias": INDEX + "-old"}}],
        )
        >> ElasticsearchForceMergeOperator(
            task_id="merge", index=INDEX + "-2", max_num_segments=1, deferrable=False
        )
        >> ElasticsearchClusterHealthSensor(task_id="health", index=INDEX + "-1", status="green")
        >> ElasticsearchDeleteIndexOperator(task_id="delete", index=INDEX + "-1")
        >> ElasticsearchDeleteIndexOperator(task_id="delete_again", index=INDEX + "-1")
    )

with DAG("search_indices_refused", **CONF):
    ElasticsearchDeleteIndexOperator(task_id="all", index="*", wildcards=True)
    ElasticsearchDeleteIndexOperator(task_id="stars", index=INDEX + "*")
    ElasticsearchDeleteIndexOperator(task_id="missing", index=INDEX + "-none", missing_ok=False)
    ElasticsearchAliasOperator(task_id="no_index", alias="a", index=INDEX + "-none")

with DAG("search_jobs", **CONF):
    (
        on("bulk", doc=[{"n": n} for n in range(20)], refresh=True)
        >> ElasticsearchReindexOperator(
            task_id="copy",
            source=INDEX,
            dest=INDEX + "-copy",
            query={"range": {"n": {"lt": 15}}},
            script={"source": "ctx._source.twice = 2 * ctx._source.n"},
            refresh=True,
            end_in_trigger=False,
        )
        >> on(
            "update_by_query",
            index=INDEX + "-copy",
            query={"term": {"n": 3}},
            doc={"script": {"source": "ctx._source.twice = 0"}},
            refresh=True,
            outlets=[Asset("of-a-test", uri="x-search://copy")],
        )
        >> on(
            "delete_by_query",
            index=INDEX + "-copy",
            query={"range": {"n": {"gte": 10}}},
            refresh=True,
            deferrable=False,
        )
        >> on("count", index=INDEX + "-copy")
    )

with DAG("search_snapshots", **CONF):
    (
        on("bulk", doc=[{"n": n} for n in range(20)], refresh=True)
        >> ElasticsearchSnapshotOperator(
            task_id="snapshot", repository="tests", index=INDEX, end_in_trigger=False
        )
        >> ElasticsearchSnapshotSensor(
            task_id="complete",
            repository="tests",
            snapshot="{{ ti.xcom_pull('snapshot')['snapshot'] }}",
        )
        >> ElasticsearchRestoreOperator(
            task_id="restore",
            repository="tests",
            snapshot="{{ ti.xcom_pull('snapshot')['snapshot'] }}",
            rename_pattern="(.+)",
            rename_replacement="$1-restored",
            end_in_trigger=False,
        )
        >> on("count", index=INDEX + "-restored")
        # The index is there, and open.
        >> ElasticsearchRestoreOperator(
            task_id="over_itself",
            repository="tests",
            snapshot="{{ ti.xcom_pull('snapshot')['snapshot'] }}",
        )
    )

with DAG("search_deferred", **CONF):
    ElasticsearchForceMergeOperator(task_id="merge", index=INDEX)

with DAG("search_sensors", **CONF):
    ElasticsearchDocumentSensor(
        task_id="document", index=INDEX, id="1", expected={"/is/0": "ready"}
    )
    ElasticsearchQuerySensor(task_id="query", index=INDEX, query={"term": {"n": 1}}, at_least="2")
    ElasticsearchClusterHealthSensor(task_id="health")
    ElasticsearchDocumentSensor(task_id="asks", index=INDEX, id="1", deferrable=False)

with DAG("search_sensors_late", **CONF):
    ElasticsearchDocumentSensor(task_id="fails", index=INDEX, id="1", timeout=0.2)
    ElasticsearchDocumentSensor(
        task_id="skips", index=INDEX, id="1", timeout=0.2, soft_fail=True
    )
    ElasticsearchClusterHealthSensor(task_id="alone", min_nodes=2, timeout=0.2)
    ElasticsearchSnapshotSensor(task_id="none", repository="tests", snapshot="none", timeout=0.2)
    ElasticsearchQuerySensor(task_id="bad", index=INDEX, query={"nonsense": {}}, retries=3)
    ElasticsearchClusterHealthSensor(task_id="colour", status="blue", retries=3)

with DAG("search_discovered"):
    on(
        "index",
        id="1",
        doc={"a": 1},
        es_conn_id="search_nowhere",
        discovery="{{ dag_run.conf['discovery'] }}",
    )
