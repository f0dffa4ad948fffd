"""A DAG that shows a test what its secrets are, in a file that the environment names."""

import json
import os
from pathlib import Path

from airflow.sdk import DAG, BaseHook, Variable, task

with DAG("secrets"):

    @task
    def show() -> None:
        """Writes what it sees."""
        connection = BaseHook.get_connection("warehouse")
        seen = {
            "colour": Variable.get("colour"),
            "missing": Variable.get("missing", default=None),
            "host": connection.host,
            "password": connection.password,
        }
        Path(os.environ["BELLWETHER_SHOWN"]).write_text(json.dumps(seen))

    show()
