"""The plugin: listeners, and the page `GET /bellwether/registry` of the api-server.

Keeps true: the page is for users who are logged in. The api-server has no session with the
ensemble: it asks the node agent. Nothing of FastAPI is imported where no api-server asks for it.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from http.client import HTTPException as BrokenAnswer
from typing import Any
from urllib.parse import urlencode

from airflow.plugins_manager import AirflowPlugin

from ..secrets.reading import UnixConnection
from . import listeners

ASK_S = 3.0
"""How long the agent may take."""


class Unanswered(Exception):
    """The agent has not said what is registered; the message says why."""


def ask(agent_socket: str, deployment: str) -> Any:
    """What is registered, by the agent.

    Raises:
        Unanswered: it cannot be asked, or does not know.
    """
    if not agent_socket:
        raise Unanswered("[bellwether] agent_socket is not set: no agent to ask")
    connection = UnixConnection(agent_socket, ASK_S)
    try:
        connection.request("GET", "/v1/registry?" + urlencode({"deployment": deployment}))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status == 503:
            raise Unanswered("the agent has no connection with the ensemble")
        if answer.status != 200:
            raise Unanswered(f"the agent answers {answer.status}")
        return json.loads(body)
    except (OSError, BrokenAnswer, ValueError) as error:
        why = str(error) or type(error).__name__
        raise Unanswered(f"the agent at {agent_socket} does not answer: {why}") from None
    finally:
        connection.close()


@asynccontextmanager
async def _lifespan(_app: Any) -> AsyncIterator[None]:
    """Says that the api-server starts and stops, which no listener is told."""
    listeners.announce_component("start", "api-server")
    yield
    listeners.announce_component("stop", "api-server")


@cache
def build_app() -> Any:
    """The application that Airflow mounts at `/bellwether`."""
    from airflow.api_fastapi.core_api.security import requires_authenticated
    from fastapi import Depends, FastAPI, HTTPException

    from ..owner import deployment
    from ..version_compat import conf

    app = FastAPI(
        title="Bellwether", lifespan=_lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )

    def registry() -> Any:
        """The components that are registered, by their names."""
        try:
            return ask(str(conf.get("bellwether", "agent_socket", fallback="")), deployment())
        except Unanswered as error:
            raise HTTPException(503, str(error)) from None

    app.get("/registry", dependencies=[Depends(requires_authenticated())])(registry)
    return app


class _Apps:
    """Builds the application when somebody looks at the list."""

    def __get__(self, instance: object, owner: type) -> list[dict[str, Any]]:
        return [{"app": build_app(), "url_prefix": "/bellwether", "name": "Bellwether"}]


class BellwetherPlugin(AirflowPlugin):
    """Announces components and states of DAGs, and shows the registry."""

    name = "bellwether"
    listeners = [listeners]
    fastapi_apps = _Apps()


__all__ = ["BellwetherPlugin"]
