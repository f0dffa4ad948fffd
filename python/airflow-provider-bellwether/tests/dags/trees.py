"""DAGs that dump and restore trees; the run's configuration says what and where."""

from airflow.sdk import DAG

from bellwether_airflow.operators.zookeeper import (
    ZookeeperDumpOperator,
    ZookeeperRecoverOperator,
)

PATH = "{{ dag_run.conf['path'] }}"
FILE = "{{ dag_run.conf['file'] }}"
HOSTS = "{{ dag_run.conf['hosts'] }}"

with DAG("tree_dump"):
    ZookeeperDumpOperator(task_id="dump", path=PATH)

with DAG("tree_dump_to"):
    ZookeeperDumpOperator(task_id="dump", path=PATH, dest=FILE)

with DAG("tree_sessions"):
    ZookeeperDumpOperator(task_id="dump", kind="sessions", dest=FILE)

with DAG("tree_merge"):
    ZookeeperRecoverOperator(task_id="merge", path=PATH, source=FILE)

with DAG("tree_dry"):
    ZookeeperRecoverOperator(task_id="dry", path=PATH, source=FILE, mode="replace", dry_run=True)

with DAG("tree_replace"):
    (
        ZookeeperRecoverOperator(
            task_id="replace", path=PATH, source=FILE, mode="replace", confirm=HOSTS
        )
        >> ZookeeperRecoverOperator(task_id="verify", path=PATH, source=FILE, mode="verify")
    )

with DAG("tree_verify"):
    ZookeeperRecoverOperator(task_id="verify", path=PATH, source=FILE, mode="verify")

with DAG("tree_handed_on"):
    dump = ZookeeperDumpOperator(task_id="dump", path=PATH)
    recover = ZookeeperRecoverOperator(
        task_id="recover", path=PATH + "-copy", source="{{ ti.xcom_pull('dump') }}"
    )
    dump >> recover

with DAG("tree_snapshot"):
    (
        ZookeeperDumpOperator(task_id="dump", kind="snapshot", dest=FILE, zookeeper_conn_id="admin")
        >> ZookeeperRecoverOperator(
            task_id="recover",
            kind="snapshot",
            source=FILE,
            confirm=HOSTS,
            zookeeper_conn_id="admin",
        )
    )
