"""A small shell: `python -m bellwether -s HOST:PORT COMMAND …`, or a prompt without a command.

Results go to standard output, everything else to standard error; a command that fails ends with
exit code 1, and one that is wrong with 2. `bellwether cli` is the large one.
"""

import argparse
import shlex
import sys
from collections.abc import Callable

from . import Client, Stat, ZooKeeperError

Arguments = argparse.Namespace


def _ls(client: Client, arguments: Arguments) -> None:
    for name in sorted(client.children(arguments.path)):
        print(name)


def _get(client: Client, arguments: Arguments) -> None:
    data, _ = client.get(arguments.path)
    sys.stdout.flush()
    sys.stdout.buffer.write(data + b"\n")
    sys.stdout.flush()


def _set(client: Client, arguments: Arguments) -> None:
    client.set(arguments.path, arguments.data.encode(), arguments.version)


def _create(client: Client, arguments: Arguments) -> None:
    created = client.create(
        arguments.path,
        arguments.data.encode(),
        ephemeral=arguments.ephemeral,
        sequential=arguments.sequential,
        makepath=arguments.parents,
    )
    print(created.path)


def _delete(client: Client, arguments: Arguments) -> None:
    client.delete(arguments.path, arguments.version, arguments.recursive)


def _stat(client: Client, arguments: Arguments) -> None:
    _, stat = client.get(arguments.path)
    for name in Stat.__match_args__:
        print(f"{name} = {getattr(stat, name)}")


def _watch(client: Client, arguments: Arguments) -> None:
    with client.watch(arguments.path, arguments.recursive) as watch:
        print("watching; interrupt to end", file=sys.stderr, flush=True)
        for number, news in enumerate(watch, start=1):
            print(news, flush=True)
            if number == arguments.count:
                break


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bellwether", description=__doc__)
    parser.add_argument("-s", "--server", default="127.0.0.1:2181", help="host:port,…/chroot")
    parser.add_argument("-t", "--timeout", type=float, default=30.0, help="to connect, seconds")
    _add_commands(parser, required=False)
    return parser


def _add_commands(parser: argparse.ArgumentParser, *, required: bool) -> None:
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=required)

    def command(
        name: str, about: str, run: Callable[[Client, Arguments], None]
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(run=run)
        added.add_argument("path")
        return added

    command("ls", "the names of a node's children", _ls)
    command("get", "a node's data", _get)
    command("stat", "a node's stat", _stat)
    added = command("set", "set a node's data", _set)
    added.add_argument("data")
    added.add_argument("--version", type=int)
    added = command("create", "create a node and print its path", _create)
    added.add_argument("data", nargs="?", default="")
    added.add_argument("-e", "--ephemeral", action="store_true")
    added.add_argument("-q", "--sequential", action="store_true")
    added.add_argument("-p", "--parents", action="store_true", help="and what is missing above")
    added = command("delete", "delete a node", _delete)
    added.add_argument("--version", type=int)
    added.add_argument("-r", "--recursive", action="store_true")
    added = command("watch", "print what happens to a node", _watch)
    added.add_argument("-r", "--recursive", action="store_true")
    added.add_argument("-n", "--count", type=int, help="end after so many events")


def _perform(client: Client, arguments: Arguments) -> bool:
    try:
        arguments.run(client, arguments)
    except ZooKeeperError as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    return True


def _prompt(client: Client) -> bool:
    parser = argparse.ArgumentParser(prog="", add_help=False, exit_on_error=False)
    _add_commands(parser, required=True)
    done = True
    while True:
        try:
            words = shlex.split(input(f"[{client.server} {client.state}] "))
            if words in (["quit"], ["exit"]):
                return done
            if words:
                done = _perform(client, parser.parse_args(words))
        except EOFError:
            return done
        except KeyboardInterrupt:
            print(file=sys.stderr)
        except (argparse.ArgumentError, ValueError) as error:
            print(f"error: {error}", file=sys.stderr)
            done = False
        except SystemExit:  # The parser has said why.
            done = False


def main() -> int:
    """Runs one command, or a prompt; gives the exit code."""
    arguments = _parser().parse_args()
    try:
        with Client.connect(arguments.server, connect_timeout=arguments.timeout) as client:
            if arguments.command is None:
                done = _prompt(client)
            else:
                done = _perform(client, arguments)
    except ZooKeeperError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
