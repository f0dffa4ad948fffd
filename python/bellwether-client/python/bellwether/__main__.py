"""A small shell: `python -m bellwether -s HOST:PORT COMMAND …`, or a prompt without a command.

Results go to standard output, everything else to standard error; a command that fails ends with
exit code 1, and one that is wrong with 2. Passwords stand in files, of which the first line is
taken, or are asked for; never among the arguments, which everybody can see. `bellwether cli` is
the large one.
"""

import argparse
import getpass
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from . import Client, Sasl, Stat, Tls, ZooKeeperError

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
    _add_security(parser)
    _add_commands(parser, required=False)
    return parser


def _add_security(parser: argparse.ArgumentParser) -> None:
    tls = parser.add_argument_group("TLS", "used if trusted certificates are given")
    sasl = parser.add_argument_group("SASL DIGEST-MD5", "used if a user is given")
    for group, option, about in [
        (tls, "--trust-pem", "certificates to trust; may be repeated"),
        (tls, "--trust-pkcs12", "a PKCS12 store with certificates to trust"),
        (tls, "--trust-password-file", "what opens it; without, it is asked for"),
        (tls, "--identity-pem", "this client's certificate and those that lead to its CA"),
        (tls, "--identity-key", "its private key, if it is not in the same file"),
        (tls, "--key-password-file", "what opens the key, if it is encrypted"),
        (tls, "--identity-pkcs12", "a PKCS12 store with this client's key and certificates"),
        (tls, "--identity-password-file", "what opens it; without, it is asked for"),
        (sasl, "--sasl-password-file", "the user's password; without, it is asked for"),
    ]:
        action = "append" if option == "--trust-pem" else "store"
        group.add_argument(option, metavar="FILE", type=Path, action=action, help=about)
    tls.add_argument("--server-name", metavar="NAME", help="what servers' certificates must carry")
    tls.add_argument("--no-verify-host-name", action="store_true", help="they may carry any name")
    sasl.add_argument("--sasl-user", metavar="USER")


class _Mistake(Exception):
    """What is wrong with the arguments."""


def _password(arguments: Arguments, what: str) -> str:
    """The first line of the file that `--WHAT-password-file` names, or what is typed."""
    file = getattr(arguments, what + "_password_file")
    option = f"--{what}-password-file"
    if file is not None:
        try:
            text: str = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise _Mistake(f"{option} {file}: {error}") from error
        return text.partition("\n")[0]
    if not sys.stdin.isatty():
        raise _Mistake(f"{option} is missing, and there is no terminal to ask at")
    return getpass.getpass(f"{what} password: ")


def _asked(arguments: Arguments, what: str, *, given: object) -> str | None:
    """The password, if there is something that it opens, or a file with one."""
    if given is None and getattr(arguments, what + "_password_file") is None:
        return None
    return _password(arguments, what)


def _tls(arguments: Arguments) -> Tls | None:
    trusted = bool(arguments.trust_pem or arguments.trust_pkcs12)
    if not trusted:
        for name in ("identity_pem", "identity_key", "identity_pkcs12", "server_name"):
            if getattr(arguments, name) is not None:
                option = "--" + name.replace("_", "-")
                raise _Mistake(f"{option} goes with --trust-pem or --trust-pkcs12")
        if arguments.no_verify_host_name:
            raise _Mistake("--no-verify-host-name goes with --trust-pem or --trust-pkcs12")
        return None
    return Tls(
        trust_pem=arguments.trust_pem or (),
        trust_pkcs12=arguments.trust_pkcs12,
        trust_password=_asked(arguments, "trust", given=arguments.trust_pkcs12),
        identity_pem=arguments.identity_pem,
        identity_key=arguments.identity_key,
        key_password=_asked(arguments, "key", given=None),
        identity_pkcs12=arguments.identity_pkcs12,
        identity_password=_asked(arguments, "identity", given=arguments.identity_pkcs12),
        server_name=arguments.server_name,
        verify_host_name=not arguments.no_verify_host_name,
    )


def _sasl(arguments: Arguments) -> Sasl | None:
    if arguments.sasl_user is None:
        if arguments.sasl_password_file is not None:
            raise _Mistake("--sasl-password-file goes with --sasl-user")
        return None
    return Sasl(arguments.sasl_user, _password(arguments, "sasl"))


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
    parser = _parser()
    arguments = parser.parse_args()
    try:
        tls, sasl, server = _tls(arguments), _sasl(arguments), arguments.server
        with Client.connect(
            server, connect_timeout=arguments.timeout, tls=tls, sasl=sasl
        ) as client:
            if arguments.command is None:
                done = _prompt(client)
            else:
                done = _perform(client, arguments)
    except _Mistake as mistake:
        parser.error(str(mistake))
    except ZooKeeperError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
