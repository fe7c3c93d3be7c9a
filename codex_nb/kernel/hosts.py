"""The magic `%codex_hosts`: which SSH hosts there are, and whether a session could run on one."""

from __future__ import annotations

import argparse
import queue
import shlex
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from IPython.display import DisplayHandle

from codex_nb.errors import UsageError
from codex_nb.kernel.host_choice import host_from
from codex_nb.kernel.host_names import host_names
from codex_nb.kernel.host_questions import CellAsker
from codex_nb.kernel.loop import submit
from codex_nb.seeds.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from codex_nb.kernel.config import CodexNB
    from codex_nb.kernel.host_choice import HostChoice

VERBS = ("check", "list")


def run_hosts(shell: InteractiveShell, line: str, config: CodexNB) -> Table | None:
    """Do what a line says, and return the table that it gives.

    Raises:
        CodexNBError: It cannot be meant.
    """
    try:
        words = shlex.split(line)
    except ValueError:
        raise UsageError(
            "A quote is not closed.", hint="Close it, or put a \\ before it."
        ) from None
    try:
        options = _parser().parse_args(words)
    except SystemExit:  # help was asked for, and is printed
        return None
    if options.verb != "check":
        return host_table(config)
    host = host_from(options.host, config.hosts)
    if host is None:
        raise UsageError("This machine is no SSH host.", hint="Name one: %codex_hosts lists them.")
    _Check(shell, host, config).run(send=options.send)
    return None


def host_table(config: CodexNB) -> Table:
    """The hosts that have a name."""
    rows = []
    for name in host_names(config.hosts):
        host = host_from(name, config.hosts)
        if host is not None:
            address = host.address if host.address != name else "~/.ssh/config"
            rows.append((name, address, host.cwd, host.codex or "found or sent"))
    return Table(
        columns=("host", "address", "folder", "codex"),
        rows=tuple(rows),
        caption="SSH hosts",
        empty="No host has a name yet. Add one to ~/.ssh/config or to CodexNB.hosts, or write "
        "`--host user@host:port`.",
    )


class _Check:
    """A check whose findings are shown as they come."""

    def __init__(self, shell: InteractiveShell, host: HostChoice, config: CodexNB) -> None:
        self._is_notebook = getattr(shell, "kernel", None) is not None
        self._host = host
        self._config = config
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._rows: list[tuple[str, str, str]] = []
        self._handle: DisplayHandle | None = None

    def run(self, *, send: bool) -> None:
        """Check, and serve it from this thread until it is done."""
        work = submit(self._check(send=send))
        work.add_done_callback(lambda _: self._calls.put(None))
        try:
            while (call := self._calls.get()) is not None:
                call()
        except KeyboardInterrupt:
            work.cancel()
            raise UsageError("The check was stopped.") from None
        work.result()
        self._draw()

    async def _check(self, *, send: bool) -> None:
        from codex_nb.hosts.ssh.host import SshHost
        from codex_nb.sessions.host_check import check_host

        asker = CellAsker(self._calls.put)
        host = SshHost(self._host.address, name=self._host.name, asker=asker)
        try:
            async for finding in check_host(
                host,
                codex=self._host.codex,
                tmux=self._host.tmux,
                ttyd=self._config.ttyd,
                send=send,
                progress=lambda text: self._calls.put(partial(self._draw, text)),
            ):
                row = (finding.name, finding.state, finding.text)
                self._calls.put(partial(self._add, row))
        finally:
            await host.close()

    def _add(self, row: tuple[str, str, str]) -> None:
        self._rows.append(row)
        if self._is_notebook:
            self._draw()
        else:
            print(f"{row[0]:<15} {row[1]:<5} {row[2]}")  # noqa: T201 - this is the answer

    def _draw(self, doing: str = "") -> None:
        if not self._is_notebook:
            return
        rows = [*self._rows, *([("", "", f"{doing} …")] if doing else [])]
        table = Table(
            columns=("tried", "state", "found"),
            rows=tuple(rows),
            caption=f"Host {self._host.name}",
            empty="Connecting …",
            toned=1,
        )
        if self._handle is None:
            self._handle = DisplayHandle()
            self._handle.display(table.forms(), raw=True)
        else:
            self._handle.update(table.forms(), raw=True)


def candidates_for_hosts(rest: str, config: CodexNB) -> tuple[str, list[str]]:
    """The word at the end of what was typed after the magic, and what could stand there."""
    *words, word = rest.split(" ")
    words = [each for each in words if each]
    if not words:
        return word, list(VERBS)
    if words[0] != "check":
        return word, []
    if word.startswith("-"):
        return word, ["--send"]
    return word, host_names(config.hosts) if all(it.startswith("-") for it in words[1:]) else []


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%codex_hosts: {message}.", hint="%codex_hosts -h lists the verbs.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="%codex_hosts")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    verbs.add_parser("list", help="the hosts that have a name")
    check = verbs.add_parser(
        "check", help="whether a session could run on a host, and what mends it"
    )
    check.add_argument("host", metavar="HOST", help="a name of the list, or user@host:port")
    check.add_argument("--send", action="store_true", help="send codex if it is missing there")
    return parser


__all__ = ["candidates_for_hosts", "host_table", "run_hosts"]
