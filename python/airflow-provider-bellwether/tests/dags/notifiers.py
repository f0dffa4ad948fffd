"""DAGs that tell nodes how they end; the run's configuration says which."""

from airflow.sdk import DAG, task
from bellwether_airflow.notifications.zookeeper import ZooKeeperNotifier

PATH = "{{ dag_run.conf['path'] }}"

with DAG("notifiers"):

    @task(on_success_callback=ZooKeeperNotifier(PATH + "/news", "{{ ti.task_id }} is done"))
    def well() -> None:
        """Nothing."""

    @task(on_failure_callback=[ZooKeeperNotifier(PATH + "/deep/news")])
    def unwell() -> None:
        """Fails."""
        raise ValueError("as asked")

    @task(
        on_success_callback=[
            ZooKeeperNotifier(PATH, "x", zookeeper_conn_id="no_such"),
            ZooKeeperNotifier("{{ no_such.thing }}"),
            ZooKeeperNotifier("relative"),
            ZooKeeperNotifier(PATH + "/last", {"of": 4}),
        ]
    )
    def wrong() -> None:
        """Nothing; most of its notifiers cannot tell anything."""

    well()
    unwell()
    wrong()
