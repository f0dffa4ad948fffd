"""Operators for indices, templates and aliases: done at once, by one request.

Keeps true: a retry finds what a try before has done, and takes it for its own.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import Refused
from ..version_compat import Context
from .base import SearchOperator, parsed
from .client import SearchClient, path_of
from .errors import Answered, told


class _AtOnce(SearchOperator):
    """The base: one request."""

    def execute(self, context: Context) -> Any:
        """Sends it."""
        with told(f"task {self.task_id!r}: {self.doing()}"):
            return self.ask(context, self.work, self.doing())

    @abc.abstractmethod
    def doing(self) -> str:
        """What it does, for messages."""

    @abc.abstractmethod
    async def work(self, client: SearchClient) -> dict[str, Any]:
        """Does it."""


class ElasticsearchCreateIndexOperator(_AtOnce):
    """Creates an index.

    :param index: its name
    :param settings: its settings
    :param mappings: its fields
    :param aliases: its aliases
    :param if_exists: ignore or fail; a try cannot tell the index of another from its own, whose
        answer was lost
    """

    template_fields: Sequence[str] = (
        *SearchOperator.template_fields,
        "index",
        "settings_given",
        "mappings",
        "aliases",
    )

    def __init__(
        self,
        *,
        index: str,
        settings: Any = None,
        mappings: Any = None,
        aliases: Any = None,
        if_exists: str = "ignore",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.index = index
        # `settings` is the base's, for the session with ZooKeeper.
        self.settings_given = settings
        self.mappings = mappings
        self.aliases = aliases
        self.if_exists = if_exists
        if if_exists not in ("ignore", "fail"):
            raise ValueError(
                f"task {self.task_id!r}: if_exists is {if_exists!r}; ignore or fail is expected"
            )

    def doing(self) -> str:
        """For messages."""
        return f"create the index {self.index}"

    async def work(self, client: SearchClient) -> dict[str, Any]:
        """Creates it."""
        given = {
            "settings": parsed(self.settings_given, "settings"),
            "mappings": parsed(self.mappings, "mappings"),
            "aliases": parsed(self.aliases, "aliases"),
        }
        body = {name: value for name, value in given.items() if value is not None}
        resend = self.if_exists == "ignore"
        try:
            await client.ask("PUT", path_of(self.index), body=body, resend=resend)
        except Answered as error:
            there = error.kind == "resource_already_exists_exception"
            if not there or self.if_exists == "fail":
                raise
            return {"index": self.index, "created": False}
        return {"index": self.index, "created": True}


class ElasticsearchDeleteIndexOperator(_AtOnce):
    """Deletes indices with all their documents.

    :param index: the indices, separated by commas
    :param missing_ok: that there is none is as good
    :param wildcards: take stars in names; by default they are refused
    """

    template_fields: Sequence[str] = (*SearchOperator.template_fields, "index")

    def __init__(
        self, *, index: str, missing_ok: bool = True, wildcards: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.index = index
        self.missing_ok = missing_ok
        self.wildcards = wildcards

    def doing(self) -> str:
        """For messages."""
        return f"delete the index {self.index}"

    async def work(self, client: SearchClient) -> dict[str, Any]:
        """Deletes them."""
        names = [name.strip() for name in self.index.split(",")]
        if not all(names) or "_all" in names or "*" in names:
            raise Refused(f"index is {self.index!r}: all indices are not deleted by one task")
        if not self.wildcards and any("*" in name for name in names):
            raise Refused(f"index is {self.index!r}: with wildcards=True its stars are taken")
        deleted = []
        for name in names:
            answer = await client.ask("DELETE", path_of(name), resend=True, allow=(404,))
            if answer.status != 404:
                deleted.append(name)
            elif not self.missing_ok:
                raise Refused(f"there is no index {name}")
        return {"index": self.index, "deleted": deleted}


class ElasticsearchPutIndexTemplateOperator(_AtOnce):
    """Writes the template that new indices of certain names get.

    :param name: its name
    :param index_patterns: the names of indices, with stars
    :param template: settings, mappings and aliases
    :param priority: the highest of several that fit is taken
    :param composed_of: component templates
    :param version: a number of yours
    """

    template_fields: Sequence[str] = (
        *SearchOperator.template_fields,
        "name",
        "index_patterns",
        "template",
    )

    def __init__(
        self,
        *,
        name: str,
        index_patterns: str | Sequence[str],
        template: Any = None,
        priority: int | None = None,
        composed_of: Sequence[str] | None = None,
        version: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.index_patterns = index_patterns
        self.template = template
        self.priority = priority
        self.composed_of = composed_of
        self.version = version

    def doing(self) -> str:
        """For messages."""
        return f"put the index template {self.name}"

    async def work(self, client: SearchClient) -> dict[str, Any]:
        """Writes it."""
        patterns = self.index_patterns
        given = {
            "index_patterns": patterns.split(",") if isinstance(patterns, str) else list(patterns),
            "template": parsed(self.template, "template"),
            "priority": self.priority,
            "composed_of": None if self.composed_of is None else list(self.composed_of),
            "version": self.version,
        }
        body = {name: value for name, value in given.items() if value is not None}
        await client.ask("PUT", path_of("_index_template", self.name), body=body, resend=True)
        return {"template": self.name}


class ElasticsearchAliasOperator(_AtOnce):
    """Moves an alias, or changes several, in one step that readers see in whole.

    :param alias: the alias, which then leads to `index` alone
    :param index: where to
    :param keep: other indices keep the alias too
    :param actions: in place of these the actions of a request, such as
        `[{"add": {"index": "a", "alias": "b"}}]`
    """

    template_fields: Sequence[str] = (
        *SearchOperator.template_fields,
        "alias",
        "index",
        "actions",
    )

    def __init__(
        self,
        *,
        alias: str | None = None,
        index: str | None = None,
        keep: bool = False,
        actions: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alias = alias
        self.index = index
        self.keep = keep
        self.actions = actions
        if (actions is None) == (alias is None) or (alias is None) != (index is None):
            raise ValueError(
                f"task {self.task_id!r}: either alias and index are expected, or actions"
            )

    def doing(self) -> str:
        """For messages."""
        return f"move the alias {self.alias}" if self.alias else "change aliases"

    async def work(self, client: SearchClient) -> dict[str, Any]:
        """Moves it."""
        actions = parsed(self.actions, "actions")
        if self.alias is None or self.index is None:
            if not isinstance(actions, list) or not all(isinstance(a, Mapping) for a in actions):
                raise Refused("actions is no list of actions")
            await client.ask("POST", "/_aliases", body={"actions": actions})
            return {"actions": len(actions)}
        before = [] if self.keep else await self._others(client, self.alias, self.index)
        moves: list[dict[str, Any]] = [
            {"remove": {"index": name, "alias": self.alias}} for name in before
        ]
        moves.append({"add": {"index": self.index, "alias": self.alias}})
        await client.ask("POST", "/_aliases", body={"actions": moves}, resend=True)
        return {"alias": self.alias, "index": self.index, "before": before}

    async def _others(self, client: SearchClient, alias: str, index: str) -> list[str]:
        answer = await client.ask("GET", path_of("_alias", alias), resend=True, allow=(404,))
        return [] if answer.status == 404 else sorted(set(answer.body) - {index})
