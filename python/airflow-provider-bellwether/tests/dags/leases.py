"""DAGs that hold leases between tasks; the run's configuration says of which lock."""

from typing import Any

from airflow.sdk import DAG, Asset, BaseOperator, task
from bellwether_airflow.elasticsearch.operators import ElasticsearchAliasOperator
from bellwether_airflow.leases import renew_lease
from bellwether_airflow.operators.locks import (
    ZookeeperAcquireLockOperator,
    ZookeeperReleaseLockOperator,
)

LOCK = "{{ dag_run.conf['path'] }}"

with DAG("leases"):
    acquire = ZookeeperAcquireLockOperator(task_id="acquire", lock=LOCK, ttl=600, retries=1)
    release = ZookeeperReleaseLockOperator(task_id="release", lease=acquire.output)

    @task
    def work(lease: dict[str, Any]) -> int:
        """Uses the fence."""
        return renew_lease(lease)

    # A decorated function is given what its argument will be.
    lease: Any = acquire.output
    work(lease) >> release.as_teardown(setups=acquire)

with DAG("leases_alias"):
    acquire_alias = ZookeeperAcquireLockOperator(task_id="acquire", lock=LOCK, ttl=600)
    release_alias = ZookeeperReleaseLockOperator(task_id="release", lease=acquire_alias.output)
    switch = ElasticsearchAliasOperator(
        task_id="switch", es_conn_id="leases_alias", alias="current", index="new"
    )
    acquire_alias >> switch >> release_alias.as_teardown(setups=acquire_alias)

with DAG("leases_in_process"):
    ZookeeperAcquireLockOperator(
        task_id="acquire", lock=LOCK, ttl=600, deferrable=False, poke_interval=0.1
    ) >> ZookeeperReleaseLockOperator(task_id="release", lease="{{ ti.xcom_pull('acquire') }}")

with DAG("leases_resumed"):
    ZookeeperAcquireLockOperator(
        task_id="acquire", lock=LOCK, ttl=600, outlets=[Asset("leased", uri="x-leased://leased")]
    )

with DAG("leases_time_out"):
    ZookeeperAcquireLockOperator(task_id="fails", lock=LOCK, ttl=600, timeout=0.3)
    ZookeeperAcquireLockOperator(task_id="skips", lock=LOCK, ttl=600, timeout=0.3, soft_fail=True)

with DAG("leases_two"):
    two = [
        ZookeeperAcquireLockOperator(task_id=f"acquire_{number}", lock=LOCK, ttl=600, leases=2)
        for number in range(2)
    ]
    two >> ZookeeperAcquireLockOperator(
        task_id="third", lock=LOCK, ttl=600, leases=2, timeout=0.3
    )

with DAG("leases_refused"):
    ZookeeperAcquireLockOperator(task_id="root", lock="/", ttl=600, retries=3)
    ZookeeperAcquireLockOperator(task_id="none", lock=LOCK, ttl=600, leases=0, retries=3)
    ZookeeperAcquireLockOperator(task_id="never", lock=LOCK, ttl=0, retries=3)
    ZookeeperReleaseLockOperator(task_id="release", lease={"path": "/a"}, retries=3)


class Nest(BaseOperator):
    """Holds a lease inside of itself."""

    def execute(self, context: Any) -> Any:
        """Acquires and releases."""
        lock = context["dag_run"].conf["path"]
        lease = ZookeeperAcquireLockOperator(
            task_id="inner", lock=lock, ttl=600, dag=self.dag
        ).execute(context)
        done = ZookeeperReleaseLockOperator(task_id="end", lease=lease, dag=self.dag).execute(
            context
        )
        return {**lease, **done}


with DAG("leases_nested"):
    Nest(task_id="nest")
