"""Four-letter words: what a server says about itself without a session.

Keeps true: an answer is awaited for a limited time; that a word is not allowed is an error of its
own, for no waiting helps.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

ANSWER_S = 5.0
_MODE = re.compile(r"^Mode: (\S+)", re.MULTILINE)
_ZXID = re.compile(r"^Zxid: (0x[0-9a-fA-F]+|-?\d+)", re.MULTILINE)
_NOT_ALLOWED = "is not executed because it is not in the whitelist"


class WordNotAllowed(Exception):
    """The server's `4lw.commands.whitelist` does not have the word."""


async def ask(server: tuple[str, int], word: str) -> str:
    """What a server answers.

    Raises:
        OSError: it cannot be reached, or does not answer in time.
        WordNotAllowed: its whitelist does not have the word.
    """
    host, port = server[0].strip("[]"), server[1]
    async with asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(word.encode())
            await writer.drain()
            answer = (await reader.read()).decode(errors="replace")
        finally:
            writer.close()
    if _NOT_ALLOWED in answer:
        raise WordNotAllowed(
            f"{host}:{port} does not answer {word}: 4lw.commands.whitelist does not have it"
        )
    return answer


@dataclass(frozen=True)
class Server:
    """What `srvr` tells of a server."""

    address: str
    mode: str | None
    """leader, follower, observer, standalone, read-only; nothing if it does not serve."""
    zxid: int | None
    problem: str | None = None

    @property
    def leads(self) -> bool:
        """Whether it decides about writes."""
        return self.mode in ("leader", "standalone")


async def state_of(server: tuple[str, int]) -> Server:
    """What a server is; one that cannot be asked is a server with a problem."""
    address = f"{server[0]}:{server[1]}"
    try:
        answer = await ask(server, "srvr")
    except (OSError, WordNotAllowed) as error:
        return Server(address, None, None, str(error) or type(error).__name__)
    mode, zxid = _MODE.search(answer), _ZXID.search(answer)
    if mode is None:
        return Server(address, None, None, answer.strip().splitlines()[0] if answer else "silent")
    return Server(address, mode.group(1), int(zxid.group(1), 0) if zxid else None)


async def states_of(servers: list[tuple[str, int]]) -> list[Server]:
    """What all servers are, asked at once."""
    return list(await asyncio.gather(*[state_of(server) for server in servers]))


def summary(servers: list[Server]) -> Mapping[str, str]:
    """A word on each server, for XCom."""
    return {server.address: server.mode or f"down: {server.problem}" for server in servers}
