"""One program in a tmux server of its own, in which people look on and type.

Viewers come and go; the program does not notice. In the folder lie tmux.sock and tmux.conf, and
from a shell around the program: `pid`, `exit` with the exit status, and `alive`, a pipe that the
shell holds open. The end of the pipe tells that the shell ended, however that came about: tmux 3.3a
in the foreground misses the end of one program in ten.

* Targets are always "=codex:": a bare name would also match the beginning of another.
* Values travel as arguments, in files or on stdin; an environment never on a command line, where
  every user of the machine could read it.

Checked against tmux 3.3a.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from itertools import cycle
from typing import TYPE_CHECKING

from codex_nb.errors import HostError, SessionError
from codex_nb.terminal.keyboard import finished, known_key, pasted
from codex_nb.terminal.screen import FACTS, Screen, plain, read_screen
from codex_nb.terminal.tmux_server import TmuxServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from codex_nb.hosts.base import Host, Process

logger = logging.getLogger(__name__)

KILLED = 137
"""The exit status of a program of which nobody is left to tell another one."""

QUIT_KEYS = ("C-d", "C-c")
"""Keys that make Codex quit, pressed in turn until it has ended.

Checked against 0.142.5, 0.163.0 and 0.169.0: Ctrl+D ends it, also during a turn, unless its editor
holds text or a dialog is open; Ctrl+C clears the one and refuses the other.
"""

_NAME = "codex"
_TARGET = f"={_NAME}:"
_BUFFER = "paste"
_CHANGED = "changed"
# Keys would go to the view of what was scrolled out, and not to the program.
_BACK = f"copy-mode -q -t {_TARGET}"
_STEP = 0.3
_HANG_UP_GRACE = 2.0
_BUSY = 2.0
_PROBE = 0.02
_KEPT_ROWS = 200

# The shell outlives Ctrl+C, to tell how the program ended. When its terminal is gone it goes too,
# and the program is hung up on: the system sees to that for the first process of a terminal.
_WRAPPER = r"""
trap : INT QUIT
folder=$1
shift
mask=$(umask)
umask 077
exec 9>"$folder/alive"
/bin/sh -c 'echo "$$" >"$1"; umask "$2"; shift 2; exec "$@"' sh "$folder/pid" "$mask" "$@" 9>&-
echo "$?" >"$folder/exit.new" && mv "$folder/exit.new" "$folder/exit"
"""
_IS_RAW = 'stty -a <"$1" | grep -q -e -isig'
_HANG_UP = 'kill -s HUP "$(cat "$1")"'


class Tmux:
    """One program in a terminal. Made by `start`, ended by `end`."""

    def __init__(
        self,
        host: Host,
        server: TmuxServer,
        reader: Process,
        folder: str,
        refusal: Callable[[Screen], str] | None,
    ) -> None:
        self._host = host
        self._server = server
        self._reader = reader
        self._folder = folder
        self._refusal = refusal
        self._status: int | None = None
        self._last_screen: str | None = None
        self._typing = asyncio.Lock()
        self._ending = asyncio.Lock()

    @classmethod
    async def start(
        cls,
        host: Host,
        *,
        program: str,
        folder: str,
        argv: Sequence[str],
        cwd: str,
        env: Mapping[str, str],
        mark: str,
        size: tuple[int, int] = (120, 32),
        refusal: Callable[[Screen], str] | None = None,
    ) -> Tmux:
        """Start a program in a terminal. Nothing is left running when that fails.

        Args:
            host: Where it runs.
            program: The path of tmux, or its name on the PATH of `env`.
            folder: A private folder for the socket and files; what an earlier terminal left there
                is replaced.
            argv: The program in the terminal and its arguments. One that cannot be started shows
                as exit status 126 or 127.
            cwd: Its working folder.
            env: Its whole environment, but for the mark and what tmux adds: TERM, TMUX and such.
            mark: "NAME=value", put into its environment as well. No other process may carry it:
                whatever does is killed at the end.
            size: Columns and rows, until somebody looks.
            refusal: Tells why the program takes no message at the moment, from what it shows, or
                "" when it does. Asked before each paste.

        Raises:
            HostError: tmux is missing, too old, or did not start; or the path of the socket is too
                long.
            ValueError: The mark is none.
        """
        server = await TmuxServer.start(
            host, program=program, folder=folder, cwd=cwd, env=env, mark=mark
        )
        try:
            reader = await server.pipe(f"{folder}/alive")
        except BaseException:
            await server.close()
            raise
        self = cls(host, server, reader, folder, refusal)
        try:
            for name in ("exit", "pid"):
                await host.remove_tree(f"{folder}/{name}")
            columns, rows = size
            place = ["-s", _NAME, "-x", str(columns), "-y", str(rows), "-c", cwd]
            wrapped = ["/bin/sh", "-c", _WRAPPER, "sh", folder, *argv]
            await server.command("new-session", "-d", *place, "--", *wrapped)
            await server.wait_opened(reader)
        except BaseException:
            await self._clear()
            raise
        return self

    def attach_argv(self, *, read_only: bool) -> list[str]:
        """What shows the terminal to one viewer, on a terminal of its own.

        Args:
            read_only: The viewer does not type, nor has a say in the size while others look on.
        """
        flags = ["-f", "read-only,ignore-size"] if read_only else []
        attach = ["attach-session", "-E", *flags, "-t", f"={_NAME}"]
        return [self._server.program, "-u", "-S", self._server.socket, *attach]

    async def wait(self) -> int:
        """The exit status of the program as soon as it ended; 128 + n for signal n."""
        if self._status is None:
            await self._reader.wait()
            self._status = await self._read_status()
        return self._status

    async def screen(self, *, scrollback: int = 0) -> str:
        """The text that the terminal shows, or showed at last, without blanks at its ends.

        Args:
            scrollback: How many rows to tell of those that were scrolled out.

        Raises:
            HostError: The terminal is gone, and nobody looked at it before.
        """
        if self._last_screen is not None:
            return self._last_screen
        look = ["capture-pane", "-p", "-t", _TARGET, "-S", str(-scrollback)]
        return plain(await self._server.command(*look))

    async def paste(self, text: str, *, submit: bool) -> None:
        """Type a text for the person, as one paste.

        Nothing is typed into what a person types: while somebody is typing, or the program takes no
        message, this waits for a moment and then refuses. Text and Enter reach the program
        together, with no key of anybody in between.

        Args:
            text: The text; control characters but newline and tab are left out.
            submit: Press Enter afterwards. A name with @ or $ at the end gets a blank behind it.

        Raises:
            UsageError: There is nothing to type, or too much.
            SessionError: The program has ended, or takes no message now.
        """
        text = pasted(text)
        data = (finished(text) if submit else text).encode(errors="replace")
        async with self._typing:
            self._check_running()
            if self._refusal is None:
                await self._put(data, submit=submit, condition="1")
                return
            deadline = asyncio.get_running_loop().time() + _BUSY
            while True:
                screen = await self._look()
                is_late = asyncio.get_running_loop().time() > deadline
                why = self._refusal(screen)
                # A key that the program has not shown yet is younger than that. Whoever moves the
                # mouse all the time only delays it.
                is_free = not why and (is_late or screen.is_quiet)
                same = f"#{{==:{FACTS},{screen.facts}}}"
                if is_free and await self._put(data, submit=submit, condition=same):
                    return
                if is_late:
                    raise SessionError(
                        f"Nothing was typed: {why or 'somebody is typing in the terminal'}.",
                        hint="Wait for it, or press keys: Escape leaves a dialog, and C-c clears a "
                        "message that is half typed, which Up brings back.",
                    )
                await asyncio.sleep(_PROBE)

    async def key(self, name: str) -> None:
        """Press a key for the person.

        Args:
            name: One of `keyboard.KEYS`.

        Raises:
            UsageError: There is no such key.
            SessionError: The program has ended.
        """
        known = known_key(name)
        async with self._typing:
            self._check_running()
            await self._press(known)

    async def end(self, *, keys: Sequence[str] = QUIT_KEYS, grace: float = 5) -> int:
        """End the program and everything that it started, and return its exit status.

        It is told to quit and waited for; then it is hung up on, as when a terminal is closed; then
        the server ends, and whatever carries the mark is killed. Calling it again is fine, and
        `screen` still tells what was seen last. Cancelling leaves out the waiting.

        Args:
            keys: What to press, in turn, until it has ended; none to hang up at once.
            grace: Seconds for quitting by the keys.
        """
        async with self._ending:
            if self._last_screen is None:
                try:
                    await self._ask_to_end(keys, grace)
                    self._last_screen = await self.screen(scrollback=_KEPT_ROWS)
                except HostError as exc:
                    # The server was killed; all that is left is to tidy up.
                    logger.info("the terminal was gone before its end: %s", exc)
                    self._last_screen = ""
                finally:
                    await self._clear()
        return await self.wait()

    async def _look(self) -> Screen:
        tell = ["display-message", "-p", "-t", _TARGET, f"%s {FACTS}"]
        capture = ["capture-pane", "-e", "-p", "-t", _TARGET]
        return read_screen(await self._server.command(*tell, ";", *capture))

    async def _put(self, data: bytes, *, submit: bool, condition: str) -> bool:
        """Paste if the format `condition` is true at that moment; whether it was."""
        enter = f"; send-keys -t {_TARGET} Enter" if submit else ""
        paste = f"{_BACK} ; paste-buffer -p -r -d -b {_BUFFER} -t {_TARGET} {enter}"
        leave = f"delete-buffer -b {_BUFFER} ; display-message -p {_CHANGED}"
        load = ["load-buffer", "-b", _BUFFER, "-"]
        choose = ["if-shell", "-F", "-t", _TARGET, condition, paste, leave]
        return _CHANGED not in await self._server.command(*load, ";", *choose, stdin=data)

    async def _press(self, key: str) -> None:
        await self._server.command(*_BACK.split(), ";", "send-keys", "-t", _TARGET, key)

    async def _ask_to_end(self, keys: Sequence[str], grace: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        if await self._ends_within(0):
            return
        took_keys = await self._takes_keys()
        for key in cycle(keys):
            if loop.time() > deadline:
                break
            # One that gave the terminal back is about to end, and Ctrl+C would kill it.
            if await self._takes_keys() or not took_keys:
                await self._press(key)
            if await self._ends_within(_STEP):
                return
        await self._server.shell(_HANG_UP, f"{self._folder}/pid")
        await self._ends_within(_HANG_UP_GRACE)

    async def _takes_keys(self) -> bool:
        """Whether the program reads every key itself, so that Ctrl+C is no signal."""
        tty = await self._server.command("display-message", "-p", "-t", _TARGET, "#{pane_tty}")
        return await self._server.shell(_IS_RAW, tty.strip()) == 0

    async def _ends_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wait()
                return True
        return False

    async def _clear(self) -> None:
        await self._server.close()
        self._reader.signal(signal.SIGKILL)
        await self._reader.close_stdin()
        await self._reader.wait()

    async def _read_status(self) -> int:
        try:
            return int(await self._host.read_file(f"{self._folder}/exit", limit=20))
        except (HostError, ValueError):
            return KILLED

    def _check_running(self) -> None:
        if self._status is not None or self._last_screen is not None:
            raise SessionError("The program in the terminal has ended.", hint="Open it again.")
