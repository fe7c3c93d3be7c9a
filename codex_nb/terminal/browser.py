"""A stand-in for the browser that a program in the terminal looks for.

It is a shell script that adds the link to a file, which a process beside the terminal reads to us;
a person opens it, or does not. It stands in front of the session's own PATH under the names by
which programs look for a browser, and BROWSER names it.

* The file is none of the named pipes that would do the same: Codex's sandbox lets a command read
  the whole disk and write to every pipe on it. This file it keeps from them, and the stand-in says
  so to whoever asked.
* `gio` is left out: it is a tool for much else, and opens links for those only who know that they
  are on a desktop.

Checked against codex 0.142.5, 0.163.0 and 0.169.0: they follow BROWSER; without it they ask
xdg-settings and look for a browser in the .desktop files of the machine.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import signal
from typing import TYPE_CHECKING

from codex_nb.errors import HostError
from codex_nb.hosts.tether import tethered
from codex_nb.terminal.links import LONGEST, Lines, link_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_nb.hosts.base import Host, Process

logger = logging.getLogger(__name__)

NAMES = (
    *("xdg-open", "open", "sensible-browser", "x-www-browser", "www-browser"),
    *("gnome-open", "kde-open", "kde-open5", "wslview"),
)
"""The names by which programs look for a browser."""

_LIMIT = 10.0
_GRACE = 1.0

# The exit status is what xdg-open means by 3: what it takes is not there.
_STAND_IN = """#!/bin/sh
# Passes a link to the person at the notebook.
LC_ALL=C
file={file}
link=
for word; do
    case $word in http://* | https://*) link=$word && break ;; esac
done
if [ -z "$link" ]; then
    echo "There is no browser here, and no desktop. Links of http and https go to the person." >&2
    exit 3
fi
case $link in
*[!!-~]*) ;;
*)
    if [ "${{#link}}" -le {longest} ] && [ -f "$file" ]; then
        {{ printf '%s\\n' "$link" >>"$file"; }} 2>/dev/null && exit 0
    fi
    ;;
esac
printf '%s\\n' "There is no browser here. The person is to open this link: $link" >&2
exit 3
"""

_LAY_OUT = r"""
umask 077
cd -- "$1" && : >links && chmod 700 bin/browser && shift || exit
for name; do ln -sf browser "bin/$name" || exit; done
"""


class Browser:
    """A stand-in for a browser. Made by `start`, ended by `close`.

    Attributes:
        env: What the program in the terminal gets, to find it.
    """

    def __init__(self, host: Host, process: Process, folder: str, path: str) -> None:
        self.env = {"PATH": f"{folder}/bin:{path}", "BROWSER": f"{folder}/bin/browser"}
        self._host = host
        self._process = process
        self._folder = folder
        self._lines = Lines()

    @classmethod
    async def start(cls, host: Host, *, folder: str, env: Mapping[str, str]) -> Browser:
        """Put it there, and begin to read. Nothing is left running when that fails.

        Args:
            host: Where it runs.
            folder: A private folder, which commands in the sandbox cannot write.
            env: The environment of the program in the terminal; that of the reader as well, so that
                its marks are found on both.

        Raises:
            HostError: The host does not let us.
        """
        file, path = f"{folder}/links", env.get("PATH", "/usr/bin:/bin")
        script = _STAND_IN.format(file=shlex.quote(file), longest=LONGEST)
        await host.make_folder(f"{folder}/bin")
        await host.write_file(f"{folder}/bin/browser", script.encode())
        argv = ["/bin/sh", "-c", _LAY_OUT, "sh", folder, *NAMES]
        done = await host.run(argv, cwd="/", env=env, timeout=_LIMIT)
        if done.exit_status != 0:
            words = done.stderr.decode(errors="replace").strip()
            raise HostError(f"could not write in {folder} on {host.name}: {words}")
        quiet = ["/bin/sh", "-c", 'exec tail -c +1 -f "$1" 2>/dev/null', "sh", file]
        process = await host.start(tethered(quiet, grace=_GRACE), cwd="/", env=env)
        return cls(host, process, folder, path)

    async def links(self) -> list[str]:
        """What was asked for since the last call, as soon as there is something.

        Raises:
            HostError: The reader has ended, or was ended.
        """
        while True:
            data = await self._process.read_stdout()
            if not data:
                raise HostError("links of the terminal are not read any more")
            found = [link for line in self._lines.feed(data) if (link := link_of(line))]
            if found:
                return found

    async def close(self) -> None:
        """End it and remove its files. Calling it again is fine."""
        try:
            await self._process.close_stdin()
            async with asyncio.timeout(_GRACE + 1):
                await self._process.wait()
        except TimeoutError:
            logger.warning("the reader of the terminal's links had to be killed")
        finally:
            self._process.signal(signal.SIGKILL)
        for name in ("bin", "links"):
            await self._host.remove_tree(f"{self._folder}/{name}")
