"""Airflow's configuration from nodes: `ROOT/<section>/<option>` becomes AIRFLOW__SECTION__OPTION.

Keeps true: nothing is rendered that Airflow does not know, that belongs into a secrets backend, or
that Airflow would expand to something else than what stands there. A tree with one such node is
refused as a whole, and every reason is told; a reason has no value in it.
"""

import configparser
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import bellwether
from bellwether import Client, Multi

from .service import Trouble

Known = Mapping[str, Mapping[str, bool]]
"""Options by their sections, and whether they are sensitive."""

Options = dict[tuple[str, str], str]

_KNOWN_LIMIT_S = 120


@dataclass(frozen=True)
class Rendering:
    """What a tree says."""

    options: Options
    problems: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """As Airflow reads it."""
        return {variable(*name): value for name, value in sorted(self.options.items())}


def variable(section: str, option: str) -> str:
    """The name of an option in the environment."""
    return f"AIRFLOW__{section.replace('.', '_').upper()}__{option.upper()}"


def known() -> dict[str, dict[str, bool]]:
    """What this Airflow knows; asked of a process of its own.

    Raises:
        Trouble: Airflow cannot say.
    """
    command = [sys.executable, "-m", "bellwether_airflow.launcher.known"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_KNOWN_LIMIT_S)
        # What Airflow warns of may stand before it.
        found = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, IndexError, ValueError) as error:
        raise Trouble(f"Airflow does not say which options it knows: {error}") from None
    if not isinstance(found, dict):
        raise Trouble(f"Airflow does not say which options it knows: {done.stderr.strip()}")
    return found


def refusal(section: str, option: str, value: str, known: Known) -> str | None:
    """Why an option may not stand in the tree; None if it may."""
    if section != section.lower() or option != option.lower():
        return "names are written in lower case"
    if section not in known:
        return "Airflow has no such section"
    if option not in known[section]:
        return "Airflow has no such option"
    if known[section][option]:
        return f"it is sensitive: set {option}_secret in airflow.cfg, and keep it as a secret"
    if "$" in value:
        return "its value has a $, which Airflow would expand"
    if value.startswith("~"):
        return "its value begins with ~, which Airflow would expand"
    if "\0" in value:
        return "its value has a NUL, which no environment can hold"
    return None


def unreadable(client: Client, root: str, nodes: Mapping[str, bytes]) -> list[str]:
    """Which nodes of a tree this user may not read, with the reason: a snapshot lacks them.

    Raises:
        bellwether.ZooKeeperError: the servers cannot be asked.
    """
    above = [path for path in nodes if path == root or path.rpartition("/")[0] == root]
    lacking = [] if root in nodes else [root]
    for parent in above:
        try:
            below = [f"{parent}/{name}" for name in client.children(parent)]
        except bellwether.NoNodeError:
            continue
        lacking += [path for path in below if path not in nodes]
    problems = []
    for path in sorted(lacking):
        try:
            client.get(path)
        except bellwether.NoAuthError:
            problems.append(f"{path}: this user may not read it")
        except bellwether.NoNodeError:
            pass
    return problems


def render(root: str, nodes: Mapping[str, bytes], known: Known) -> Rendering:
    """Reads a tree, given as data by paths. What lies below an option (its history) is not read."""
    options: Options = {}
    problems: list[str] = []
    for path, data in sorted(nodes.items()):
        parts = path.removeprefix(root).strip("/").split("/")
        if len(parts) != 2:
            continue
        try:
            value = data.decode()
        except UnicodeDecodeError:
            problems.append(f"{path}: it is not text in UTF-8")
            continue
        section, option = parts
        problem = refusal(section, option, value, known)
        if problem is not None:
            problems.append(f"{path}: {problem}")
        options[section, option] = value
    return Rendering(options, tuple(problems))


def read(client: Client, root: str) -> dict[str, bytes]:
    """The tree by hand: its options, as data by paths; nothing if the root is not there."""
    found: dict[str, bytes] = {}
    for section in _children(client, root):
        for option in _children(client, f"{root}/{section}"):
            path = f"{root}/{section}/{option}"
            try:
                found[path] = client.get(path)[0]
            except bellwether.NoNodeError:
                continue
    return found


def _children(client: Client, path: str) -> list[str]:
    try:
        return sorted(client.children(path))
    except bellwether.NoNodeError:
        return []


def parse(text: str, where: str) -> Options:
    """The options of a file in the form of airflow.cfg.

    Raises:
        Trouble: it has another form.
    """
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text, where)
    except configparser.Error as error:
        raise Trouble(f"{where} is not in the form of airflow.cfg: {error}") from None
    if parser.defaults():
        raise Trouble(f"{where} has a section [DEFAULT], which Airflow does not have")
    return {
        (section, option): value
        for section in parser.sections()
        for option, value in parser.items(section)
    }


@dataclass(frozen=True)
class Change:
    """What differs between a file and a tree."""

    section: str
    option: str
    was: str | None
    """In the tree; None: it is not there."""
    shall: str | None
    """In the file; None: it is not there."""

    def __str__(self) -> str:
        """A line for a person."""
        name = f"{self.section}/{self.option}"
        if self.was is None:
            return f"+ {name} = {self.shall}"
        if self.shall is None:
            return f"- {name} = {self.was}"
        return f"~ {name} = {self.was} -> {self.shall}"


def compare(shall: Options, nodes: Mapping[str, bytes], root: str, prune: bool) -> list[Change]:
    """What has to change for the tree to say what the file does."""
    was: Options = {}
    for path, data in nodes.items():
        section, option = path.removeprefix(root).strip("/").split("/")
        was[section, option] = data.decode(errors="replace")
    names = set(shall) | (set(was) if prune else set())
    changes = (Change(*name, was.get(name), shall.get(name)) for name in sorted(names))
    return [change for change in changes if change.was != change.shall]


def push(client: Client, root: str, changes: list[Change]) -> None:
    """Changes the tree, all of it at once: whoever watches sees no half of it.

    Raises:
        Trouble: an option has nodes below it, and would have to be deleted.
        bellwether.ZooKeeperError: nothing was changed, or it is not known.
    """
    multi = Multi()
    client.ensure_path(root)
    sections = set(client.children(root))
    for change in changes:
        path = f"{root}/{change.section}/{change.option}"
        if change.shall is None:
            if client.children(path):
                raise Trouble(f"{path} has nodes below it: delete it by hand")
            multi.delete(path)
        elif change.was is None:
            if change.section not in sections:
                sections.add(change.section)
                multi.create(f"{root}/{change.section}")
            multi.create(path, change.shall.encode())
        else:
            multi.set(path, change.shall.encode())
    if len(multi):
        client.commit(multi)
