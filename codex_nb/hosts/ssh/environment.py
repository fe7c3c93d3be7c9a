"""The environment that a user has on the other machine, as its login shell makes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from codex_nb.errors import HostError
from codex_nb.hosts.ssh.duplex import CommandSession
from codex_nb.hosts.ssh.launcher import COMMAND_WITH_ENVIRONMENT, environment_line
from codex_nb.hosts.ssh.link import new_mark

if TYPE_CHECKING:
    from codex_nb.hosts.ssh.link import Link


async def ask_environment(link: Link) -> dict[str, str]:
    """The variables of a command there, without what only a login sets.

    Raises:
        HostError: The host does not tell them, or has gone.
    """
    mark = new_mark()
    session = CommandSession(mark)
    await link.session(session, COMMAND_WITH_ENVIRONMENT)
    try:
        await link.begun(session, environment_line(mark))
        listing = b""
        async with asyncio.timeout(link.limits.channel):
            while not listing.endswith(mark.encode()):
                data = await session.receive(session.out)
                if not data:
                    raise link.lost("the environment was listed")
                listing += data
    except TimeoutError:
        raise HostError(f"{link.name} did not list its environment in time") from None
    finally:
        session.abort()
    entries = listing.decode(errors="surrogateescape").split("\0")[:-1]
    pairs = (entry.partition("=") for entry in entries)
    return {name: value for name, equals, value in pairs if equals}
