"""`bellwether-airflow`: the commands, their options, and what they print.

Results go to standard output, everything else to standard error. It ends with 0, with 1 if
something differs or was not done, with 2 if the user has to mend something.
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import bellwether
from bellwether.recipes import Claim, Lock

from . import agent, registry, render
from .run import Launcher, Plan, component_of
from .service import Ensemble, Trouble, log, part_of_path, path_of, told

_ENVIRONMENT = "BELLWETHER_AIRFLOW_"


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command: list[str] = []
    if "--" in given:
        at = given.index("--")
        given, command = given[:at], given[at + 1 :]
    asked = _parser().parse_args(given)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s bellwether-airflow: %(message)s"
    )
    try:
        if command and asked.name != "run":
            raise Trouble(f"{asked.name} takes no command behind --")
        return int(asked.does(asked, command))
    except Trouble as trouble:
        log.error("%s", trouble)
        return 2
    except bellwether.ZooKeeperError as error:
        log.error("%s: %s", asked.name, told(error))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bellwether-airflow", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    run = commands.add_parser("run", help="run a component: bellwether-airflow run … -- COMMAND")
    run.add_argument("--register", action="store_true", help="register it while it runs")
    run.add_argument("--component", help="its name; by default the command of airflow")
    run.add_argument("--port", type=int, action="append", default=[], help="for the registry")
    run.add_argument("--config", metavar="ROOT", help="the node above its configuration")
    run.add_argument("--election", metavar="PATH", help="run it only while elected there")
    run.add_argument("--restart-lock", metavar="PATH", help="who holds it may restart")
    run.add_argument("--agent", metavar="SOCKET", help="keep an agent of the machine there")
    run.add_argument("--grace", type=_seconds, default=60.0, help="seconds to end by itself")
    run.add_argument("--settle", type=_seconds, default=10.0, help="seconds until it is up")
    run.set_defaults(does=_run)
    serve = commands.add_parser("agent", help="serve nodes to the processes of this machine")
    serve.add_argument("--socket", required=True, help="a Unix socket")
    serve.add_argument("--wait", action="store_true", help="until another agent has ended")
    serve.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    serve.set_defaults(does=_agent)
    config = commands.add_parser("config", help="the configuration's tree, by hand")
    configs = config.add_subparsers(dest="what", required=True)
    for name, does, what in (
        ("push", _push, "have a tree say what a file says"),
        ("diff", _diff, "what differs; 1 if something does"),
    ):
        group = configs.add_parser(name, help=what)
        group.add_argument("root", help="the node above the configuration")
        group.add_argument("file", help="in the form of airflow.cfg")
        group.add_argument("--prune", action="store_true", help="what the file lacks goes")
        group.set_defaults(does=does)
    listing = commands.add_parser("registry", help="what is registered, as JSON")
    listing.set_defaults(does=_registry)
    locks = commands.add_parser("locks", help="locks and leases, by hand")
    of_locks = locks.add_subparsers(dest="what", required=True)
    listed = of_locks.add_parser("list", help="who holds a lock, and who waits, as JSON")
    listed.add_argument("path", help="the lock's node")
    listed.set_defaults(does=_locks_list)
    broken = of_locks.add_parser("break", help="take a lock or a lease from its holder")
    broken.add_argument("path", help="the lock's node")
    meant = broken.add_mutually_exclusive_group(required=True)
    meant.add_argument("--fence", type=int, help="of the holder of a lock that is meant")
    meant.add_argument("--owner", help="of the lease that is meant")
    broken.set_defaults(does=_locks_break)
    for each in (run, listing):
        each.add_argument("--deployment", default=_default("deployment", "default"))
    for each in (run, serve, listing, *configs.choices.values(), *of_locks.choices.values()):
        _add_ensemble(each)
    return parser


def _default(name: str, otherwise: str | None = None) -> str | None:
    return os.environ.get(_ENVIRONMENT + name.upper().replace("-", "_"), otherwise)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text}: a number of seconds is expected")
    return seconds


def _add_ensemble(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "ensemble", f"each is also read from {_ENVIRONMENT}HOSTS and the like"
    )
    helps = {
        "hosts": "host:port, separated by commas, and a chroot behind the last",
        "user": "of the scheme digest",
        "password-file": "a file with the user's password alone",
        "ca-cert": "PEM file: connect by TLS, and trust these",
        "client-cert": "PEM file: who to be, where servers ask",
        "client-key": "PEM file, if the key is not beside the certificate",
    }
    for name, text in helps.items():
        group.add_argument(f"--{name}", default=_default(name), help=text)
    timeout = _default("session-timeout", "30")
    group.add_argument("--session-timeout", type=_seconds, default=timeout, help="seconds")


def _ensemble(asked: argparse.Namespace) -> Ensemble:
    if not asked.hosts:
        raise Trouble(f"which ensemble? --hosts or {_ENVIRONMENT}HOSTS is expected")
    if asked.password_file and not asked.user:
        raise Trouble("--password-file is given without --user")
    if (asked.client_cert or asked.client_key) and not asked.ca_cert:
        raise Trouble("--client-cert and --client-key are for TLS, which needs --ca-cert")
    return Ensemble(
        asked.hosts,
        asked.user,
        asked.password_file,
        asked.ca_cert,
        asked.client_cert,
        asked.client_key,
        asked.session_timeout,
    )


def _run(asked: argparse.Namespace, command: list[str]) -> int:
    if not command:
        raise Trouble("run what? -- airflow scheduler is expected at the end")
    component = part_of_path("--component", asked.component or component_of(command))
    plan = Plan(
        ensemble=_ensemble(asked),
        command=tuple(command),
        component=component,
        deployment=part_of_path("--deployment", asked.deployment),
        register=asked.register,
        ports=tuple(asked.port),
        config=path_of("--config", asked.config) if asked.config else None,
        election=path_of("--election", asked.election) if asked.election else None,
        restart_lock=path_of("--restart-lock", asked.restart_lock) if asked.restart_lock else None,
        agent_socket=os.path.abspath(asked.agent) if asked.agent else None,
        grace=asked.grace,
        settle=asked.settle,
    )
    return Launcher(plan).run()


def _agent(asked: argparse.Namespace, _command: list[str]) -> int:
    return agent.serve(_ensemble(asked), asked.socket, asked.wait, asked.parent)


def _changes(
    asked: argparse.Namespace, client: bellwether.Client
) -> tuple[str, list[render.Change]]:
    root = path_of("the root", asked.root)
    try:
        text = Path(asked.file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(f"{asked.file} cannot be read: {error}") from None
    shall = render.parse(text, asked.file)
    known = render.known()
    problems = [
        f"  {section}/{option}: {problem}"
        for (section, option), value in sorted(shall.items())
        if (problem := render.refusal(section, option, value, known)) is not None
    ]
    if problems:
        raise Trouble(f"{asked.file} is refused:\n" + "\n".join(problems))
    return root, render.compare(shall, render.read(client, root), root, asked.prune)


def _push(asked: argparse.Namespace, _command: list[str]) -> int:
    with _ensemble(asked).connect() as client:
        root, changes = _changes(asked, client)
        render.push(client, root, changes)
    for change in changes:
        print(change)
    return 0


def _diff(asked: argparse.Namespace, _command: list[str]) -> int:
    with _ensemble(asked).connect() as client:
        _, changes = _changes(asked, client)
    for change in changes:
        print(change)
    return 1 if changes else 0


def _registry(asked: argparse.Namespace, _command: list[str]) -> int:
    deployment = part_of_path("--deployment", asked.deployment)
    with _ensemble(asked).connect() as client:
        print(json.dumps(registry.registered(client, deployment), indent=2, sort_keys=True))
    return 0


def _locks_list(asked: argparse.Namespace, _command: list[str]) -> int:
    path = path_of("the lock", asked.path)
    with _ensemble(asked).connect() as client:
        contenders = Lock(client, path).contenders()
        claimant = None if contenders else Claim(client, path).claimant()
    found: dict[str, object] = {
        "contenders": [
            {
                "node": contender.name,
                "fence": contender.fence,
                "session": f"{contender.session:#x}",
                "since_ms": contender.since_ms,
                "says": contender.data.decode(errors="replace"),
            }
            for contender in contenders
        ],
        "lease": None
        if claimant is None
        else {"owner": claimant.owner, "deadline_ms": claimant.deadline_ms},
    }
    print(json.dumps(found, indent=2, sort_keys=True))
    return 0


def _locks_break(asked: argparse.Namespace, _command: list[str]) -> int:
    path = path_of("the lock", asked.path)
    with _ensemble(asked).connect() as client:
        if asked.owner is not None:
            return _break_lease(client, path, asked.owner)
        found = Lock(client, path).contenders()
        if not found or found[0].fence != asked.fence:
            holder = f"fence {found[0].fence}" if found else "nobody"
            log.error("%s is held by %s: nothing is done", path, holder)
            return 1
        client.delete(f"{path}/{found[0].name}")
    print(f"taken from the holder with fence {asked.fence}")
    return 0


def _break_lease(client: bellwether.Client, path: str, owner: str) -> int:
    # The version is read first: whoever takes the lease after that is not meant.
    stat = client.exists(path)
    claimant = None if stat is None else Claim(client, path).claimant()
    if stat is None or claimant is None or claimant.owner != owner:
        holder = "nobody" if claimant is None else f"owner {claimant.owner}"
        log.error("%s is held by %s: nothing is done", path, holder)
        return 1
    client.set(path, b"", stat.version)
    print(f"taken from the owner {owner}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
