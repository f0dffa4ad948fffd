"""The extra link of a task to the node that it is about, in a console of yours.

Keeps true: without `[bellwether] console_url` there is no link, and no error.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .version_compat import BaseOperatorLink, conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


class ZnodeLink(BaseOperatorLink):
    """`console_url` with the node's path in the place of `{path}`, or behind it."""

    name = "Znode"

    def get_link(self, operator: "BaseOperator", *, ti_key: Any) -> str:
        """The address, or nothing if there is no console or no path."""
        console = str(conf.get("bellwether", "console_url", fallback="") or "")
        path = getattr(operator, "path", None)
        if not console or not isinstance(path, str):
            return ""
        quoted = quote(path)
        return console.replace("{path}", quoted) if "{path}" in console else console + quoted
