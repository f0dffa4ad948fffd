"""Records the latest journey every quarter of an hour, under a lock.

Several deployments may run this DAG: the lock lets one write at a time, and its fence, which is the
document's version, has the engine refuse a holder that was paused while the lock went on.

Needs the connections `journeys` (Elasticsearch or OpenSearch) and `zookeeper_default`.
"""

from airflow.sdk import DAG
from bellwether_airflow.elasticsearch.operators import ElasticsearchOperator
from bellwether_airflow.elasticsearch.sensors import ElasticsearchDocumentSensor

latest_journey = {"from": "Delft", "to": "Gouda", "recorded_by": "{{ run_id }}"}

with DAG("elasticsearch_journey", schedule="*/15 * * * *", catchup=False):
    record = ElasticsearchOperator(
        task_id="record",
        es_conn_id="journeys",
        index="journeys",
        doc=latest_journey,
        operation="index",
        id="latest",
        refresh="wait_for",
        lock="/locks/journeys",
    )
    seen = ElasticsearchDocumentSensor(
        task_id="seen",
        es_conn_id="journeys",
        index="journeys",
        id="latest",
        expected={"/recorded_by": "{{ run_id }}"},
        poke_interval=1,
        timeout=300,
    )
    how_many = ElasticsearchOperator(
        task_id="how_many", es_conn_id="journeys", index="journeys", operation="count"
    )
    record >> seen >> how_many
