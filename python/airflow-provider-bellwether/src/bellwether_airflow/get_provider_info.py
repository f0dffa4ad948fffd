"""What Airflow is told about this package: its form of `provider.yaml`, as a dictionary.

Keeps true: it names modules of `bellwether_airflow` only, and whatever it names can be imported.
"""

from typing import Any

_INTEGRATION = "ZooKeeper"
_SEARCH = "Elasticsearch and OpenSearch"


def _modules(*names: str) -> list[dict[str, Any]]:
    modules = [f"bellwether_airflow.{name}" for name in names]
    return [{"integration-name": _INTEGRATION, "python-modules": modules}]


def _search(name: str) -> dict[str, Any]:
    modules = [f"bellwether_airflow.{name}"]
    return {"integration-name": _SEARCH, "python-modules": modules}


def _field(label: str, about: str, kind: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": about, "schema": {"type": [kind, "null"], **schema}}


def _connection_type() -> dict[str, Any]:
    return {
        "connection-type": "zookeeper",
        "hook-class-name": "bellwether_airflow.hooks.zookeeper.ZooKeeperHook",
        "hook-name": "ZooKeeper",
        "conn-fields": {
            "session_timeout": _field(
                "Session timeout",
                "Seconds after which the servers take a silent session for dead.",
                "number",
                default=10,
                exclusiveMinimum=0,
            ),
            "connect_timeout": _field(
                "Connect timeout",
                "Seconds that opening a session may take.",
                "number",
                default=10,
                exclusiveMinimum=0,
            ),
            "auth_scheme": _field(
                "Authentication",
                "none; digest or sasl-digest with login and password; x509 with a client "
                "certificate. Left out: digest if there is a login.",
                "string",
                enum=["none", "digest", "sasl-digest", "x509"],
            ),
            "use_ssl": _field(
                "TLS",
                "Connect by TLS, to the servers' secureClientPort.",
                "boolean",
                default=False,
            ),
            "ca_cert": _field(
                "CA certificates",
                "PEM file on the workers: whom to trust. TLS needs it.",
                "string",
            ),
            "client_cert": _field(
                "Client certificate",
                "PEM file on the workers; the key may stand in it, too.",
                "string",
            ),
            "client_key": _field("Client key", "PEM file on the workers.", "string"),
            "key_password": _field(
                "Password of the client key",
                "If the key is encrypted.",
                "string",
                format="password",
            ),
            "verify_hostname": _field(
                "Verify host names",
                "A server's certificate has to carry the name that it is connected by.",
                "boolean",
                default=True,
            ),
            "read_only": _field(
                "Read-only",
                "Also take servers that have lost their ensemble and can only be read.",
                "boolean",
                default=False,
            ),
            "admin_url": _field(
                "Admin servers",
                "Addresses of the HTTP admin servers, separated by commas.",
                "string",
            ),
            "admin_auth": _field(
                "Admin authorization",
                "Header Authorization for the admin servers, such as: digest user:password",
                "string",
                format="password",
            ),
        },
        "ui-field-behaviour": {
            "hidden-fields": [],
            "relabeling": {"host": "Ensemble", "schema": "Chroot"},
            "placeholders": {
                "host": "one:2181,two:2181,three:2181",
                "port": "2181",
                "schema": "app",
                "login": "user of the scheme digest",
            },
        },
    }


def _option(about: str, example: str, default: str | None, kind: str = "string") -> dict[str, Any]:
    return {
        "description": about,
        "version_added": "0.1.0",
        "type": kind,
        "example": example,
        "default": default,
    }


def _config() -> dict[str, Any]:
    options = {
        "deployment": _option(
            "Name of this Airflow among those that share a ZooKeeper.", "blue", "default"
        ),
        "console_url": _option(
            "A console for nodes; {path} stands for the path. Tasks get a link to it.",
            "https://console.example/node?path={path}",
            "",
        ),
        "dump_root": _option(
            "Directory or object storage for the dumps of tasks that name none.",
            "s3://backup/zookeeper",
            "",
        ),
        "agent_socket": _option(
            "Unix socket of this machine's node agent, for the registry and for states of DAGs.",
            "/run/bellwether/agent.sock",
            "",
        ),
        "state_dags": _option(
            "Patterns of the DAGs whose last state is written to a node, separated by commas.",
            "report_*,load_*",
            "",
        ),
        "marker_root": _option(
            "Node below which exactly-once writes keep their marks.",
            "/airflow/markers",
            "/airflow/markers",
        ),
    }
    return {"bellwether": {"description": "Airflow on ZooKeeper.", "options": options}}


def get_provider_info() -> dict[str, Any]:
    """The metadata of the provider."""
    return {
        "package-name": "airflow-provider-bellwether",
        "name": "Bellwether",
        "description": "Operators, sensors, triggers and assets for ZooKeeper and Bellwether.",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://zookeeper.apache.org/",
                "tags": ["software"],
            },
            {
                "integration-name": _SEARCH,
                "external-doc-url": "https://opensearch.org/",
                "tags": ["software"],
            },
        ],
        "hooks": [*_modules("hooks.zookeeper", "hooks.admin"), _search("hooks.search")],
        "operators": [
            *_modules("operators.zookeeper", "operators.locks"),
            _search("elasticsearch.operators"),
        ],
        "sensors": [
            *_modules("sensors.zookeeper", "sensors.component"),
            _search("elasticsearch.sensors"),
        ],
        "triggers": [
            *_modules(
                "triggers.zookeeper", "triggers.lock", "triggers.queue", "triggers.component"
            ),
            _search("triggers.search"),
        ],
        "connection-types": [_connection_type()],
        # Airflow reads class-name, though its schema has path.
        "task-decorators": [
            {
                "name": "zookeeper_locked",
                "class-name": "bellwether_airflow.decorators.locked.zookeeper_locked_task",
            }
        ],
        "queues": ["bellwether_airflow.queues.zookeeper.ZooKeeperMessageQueueProvider"],
        "secrets-backends": ["bellwether_airflow.secrets.zookeeper.ZooKeeperSecretsBackend"],
        "notifications": ["bellwether_airflow.notifications.zookeeper.ZooKeeperNotifier"],
        "extra-links": ["bellwether_airflow.links.ZnodeLink"],
        "asset-uris": [
            {
                "schemes": ["zk"],
                "handler": "bellwether_airflow.assets.sanitize_uri",
                "factory": "bellwether_airflow.assets.create_asset",
            }
        ],
        "config": _config(),
    }
