"""DAGs of single nodes; the run's configuration says where."""

from airflow.sdk import DAG

from bellwether_airflow.operators.zookeeper import (
    ZookeeperCreateOperator,
    ZookeeperDeleteOperator,
    ZookeeperExistsOperator,
    ZookeeperGetOperator,
    ZookeeperSetOperator,
)

PATH = "{{ dag_run.conf['path'] }}"

with DAG("nodes"):
    (
        ZookeeperCreateOperator(task_id="create", path=PATH, value={"colour": "red"})
        >> ZookeeperGetOperator(task_id="get", path=PATH, push_value=True)
        >> ZookeeperSetOperator(
            task_id="set",
            path=PATH,
            value="blue",
            expected_version="{{ ti.xcom_pull('get')['version'] }}",
        )
        >> ZookeeperExistsOperator(task_id="exists", path=PATH)
        >> ZookeeperDeleteOperator(task_id="delete", path=PATH)
        >> ZookeeperExistsOperator(task_id="gone", path=PATH)
    )

with DAG("nodes_missing"):
    ZookeeperGetOperator(task_id="get", path=PATH)
    ZookeeperGetOperator(task_id="default", path=PATH, default=7)
    ZookeeperDeleteOperator(task_id="delete", path=PATH)
    ZookeeperDeleteOperator(task_id="must_delete", path=PATH, missing_ok=False)
    ZookeeperExistsOperator(task_id="only_if_there", path=PATH, skip_unless=True)

with DAG("nodes_by_arguments"):
    ZookeeperGetOperator(
        task_id="get", path="/", zookeeper_hosts="{{ dag_run.conf['hosts'] }}", zookeeper_port="1"
    )

with DAG("nodes_sequential"):
    ZookeeperCreateOperator(task_id="create", path=PATH + "/n-", mode="PERSISTENT_SEQUENTIAL")

with DAG("nodes_modes"):
    ZookeeperCreateOperator(task_id="container", path=PATH + "/c", mode="container")
    ZookeeperCreateOperator(task_id="ttl", path=PATH + "/t", mode="ttl", ttl=3600)
    ZookeeperCreateOperator(
        task_id="closed", path=PATH + "/r", acl=["world:anyone:r"], value=b"\xff", push_value=True
    )

with DAG("nodes_refused"):
    ZookeeperDeleteOperator(task_id="root", path="/", retries=3)
    ZookeeperDeleteOperator(task_id="reserved", path="/zookeeper/quota", retries=3)
    ZookeeperGetOperator(task_id="relative", path="a", retries=3)
    ZookeeperSetOperator(task_id="version", path="/", value="", expected_version="x", retries=3)

with DAG("nodes_mapped"):
    ZookeeperCreateOperator.partial(task_id="create", path=PATH).expand(value=["a"])

with DAG("nodes_held"):
    ZookeeperCreateOperator(
        task_id="held", path=PATH + "/e", mode="ephemeral", hold=True, until=PATH + "/stop"
    )
