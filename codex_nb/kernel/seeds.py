"""The magic `%codex_seed`: the verbs of seeds in a cell.

The work is done on the background loop while the cell waits. What a person has to see or answer
meanwhile comes back to the thread of the cell, because only there the kernel can ask and print.
"""

from __future__ import annotations

import asyncio
import os
import queue
import shlex
from concurrent.futures import Future
from dataclasses import replace
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.error import StdinNotImplementedError
from IPython.display import DisplayHandle

from codex_nb.errors import CodexNBError, UsageError
from codex_nb.kernel.loop import submit
from codex_nb.seeds.opened import open_store
from codex_nb.seeds.perform import perform
from codex_nb.seeds.person import code_life
from codex_nb.seeds.settings import SeedSettings, file_of
from codex_nb.seeds.table import Table
from codex_nb.seeds.verbs import NAMED, parsed, seed_parser, verbs_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from codex_nb.kernel.config import CodexNB
    from codex_nb.seeds.person import Answer

_TAB = 1.5
"""Seconds that Tab waits for the names of a store."""

_BAR_STYLE = (
    "width:14em;margin-right:.7em;vertical-align:middle;"
    "accent-color:var(--jp-brand-color1,auto);color-scheme:light dark"
)


def run_verb(shell: InteractiveShell, line: str, config: CodexNB) -> Table | None:
    """Do what a line says, and return the table that it gives.

    Raises:
        CodexNBError: It cannot be done, or not be meant.
    """
    try:
        words = shlex.split(line)
    except ValueError:
        raise UsageError(
            "A quote is not closed.", hint="Close it, or put a \\ before it."
        ) from None
    try:
        options = parsed(seed_parser("%codex_seed"), words)
    except SystemExit:  # help was asked for, and is printed
        return None
    settings = settings_of(config)
    is_notebook = getattr(shell, "kernel", None) is not None
    if options.verb == "login" and not options.api_key and is_notebook:
        from codex_nb.kernel.magics import is_unattended
        from codex_nb.kernel.seed_login import show_login

        if is_unattended(shell):
            raise UsageError(
                "Nobody watches this notebook, and a person has to enter the code.",
                hint="Log in where a person does, or use an API key from `codex-nb seed login`.",
            )
        show_login(options, settings, config)
        return None
    answer = Cell(config).wait(options, settings)
    if isinstance(answer.shown, Table):
        # The verbs are those of the command line, too; in a cell, the whole line can be copied.
        empty = answer.shown.empty.replace("`login ", "`%codex_seed login ")
        return replace(answer.shown, empty=empty)
    if answer.shown:
        print(answer.shown)  # noqa: T201 - this is the answer
    return None


def settings_of(config: CodexNB) -> SeedSettings:
    """The settings of seeds among those of the kernel."""
    return SeedSettings(
        store=config.store,
        encryption=config.encryption,
        key_file=config.key_file,
        keyring=config.keyring,
    )


class Cell:
    """The person in front of the running cell.

    Args:
        config: Of the kernel.
    """

    def __init__(self, config: CodexNB) -> None:
        self._config = config
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._bar = _Bar()

    def wait(self, options: argparse.Namespace, settings: SeedSettings) -> Answer:
        """Do a verb, and serve it from this thread until it is done."""
        config = self._config
        work = submit(perform(options, settings, self, codex=config.codex, config=config.settings))
        work.add_done_callback(lambda _: self._calls.put(None))
        try:
            while (call := self._calls.get()) is not None:
                call()
        except KeyboardInterrupt:
            work.cancel()
            raise UsageError(f"`{options.verb}` was stopped.") from None
        finally:
            self._bar.remove()
        return work.result()

    def say(self, text: str) -> None:
        """Print a line below the cell."""
        self._calls.put(lambda: print(text))  # noqa: T201 - talks to the person

    def show_code(self, url: str, code: str, expires_at: float) -> None:
        """Print where to log in; a notebook shows more, see seed_login.py."""
        self.say(f"Open {url} and enter the code {code}. {code_life(expires_at)}")

    def show_progress(self, done: int, total: int) -> None:
        """Move the bar."""
        if total > 1:
            self._calls.put(lambda: self._bar.show(done, total))

    async def ask_key(self) -> str:
        """Ask below the cell, without echo. What is typed enters no cell, output or history."""
        return (await self._asked(lambda: getpass("API key (it is not shown): "))).strip()

    async def is_sure(self, question: str) -> bool:
        """Ask for a y below the cell."""
        answer = await self._asked(lambda: input(f"{question} [y/N] "))
        return answer.strip().lower() in ("y", "yes")

    def home_of(self, run: str) -> Path:
        """The CODEX_HOME of a session of this kernel's user."""
        from codex_nb.sessions.roots import default_root, fallback_root
        from codex_nb.sessions.search import codex_home_of

        chosen = self._config.state_dir
        first = Path(chosen).expanduser() if chosen else default_root()
        return codex_home_of(run, first, fallback_root())

    async def _asked(self, ask: Callable[[], str]) -> str:
        answered: Future[str] = Future()

        def call() -> None:
            try:
                answered.set_result(ask())
            except (StdinNotImplementedError, EOFError):
                answered.set_exception(
                    UsageError(
                        "There is nobody to ask here.",
                        hint="Run the cell where a person watches it; to remove, say --yes.",
                    )
                )

        self._calls.put(call)
        return await asyncio.wrap_future(answered)


class _Bar:
    """A progress bar below the cell, gone when the work is done."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None

    def show(self, done: int, total: int) -> None:
        text = f"{done} of {total} seeds"
        bundle = {
            "text/plain": text,
            "text/html": f'<progress max="{total}" value="{done}" aria-label="{text}" '
            f'style="{_BAR_STYLE}"></progress>{text}',
        }
        if self._handle is None:
            self._handle = DisplayHandle()
            self._handle.display(bundle, raw=True)
        else:
            self._handle.update(bundle, raw=True)

    def remove(self) -> None:
        if self._handle is not None:
            self._handle.update({"text/plain": "", "text/html": ""}, raw=True)


def candidates_for_seed(rest: str, config: CodexNB) -> tuple[str, list[str]]:
    """The word at the end of what was typed after the magic, and what could stand there."""
    *words, word = rest.split(" ")
    words = [each for each in words if each]
    verbs = verbs_of(seed_parser("%codex_seed"))
    if not words:
        return word, sorted(verbs)
    verb = words[0]
    if verb not in verbs:
        return word, []
    if word.startswith("-"):
        actions = verbs[verb]._actions  # noqa: SLF001 - argparse has no public list of its options
        return word, sorted(name for action in actions for name in action.option_strings)
    if words[-1] == "--pool" or (verb == "pool" and len(words) == 2):
        return word, _known(config)[1]
    if verb == "capture":
        from codex_nb.kernel.start import session_names

        return word, session_names(config)
    takes_one = verb not in ("verify", "refresh")
    if verb not in NAMED or (takes_one and len(words) > 1):
        return word, []
    return word, [name for name in _known(config)[0] if name not in words]


def seed_names(config: CodexNB) -> list[str]:
    """What `--seed` could be: the seeds, and pools as pool:NAME."""
    names, pools = _known(config)
    return [*names, *(f"pool:{pool}" for pool in pools)]


def _known(config: CodexNB) -> tuple[list[str], list[str]]:
    """Names of the seeds and of the pools; none of a store that does not answer at once."""
    work = submit(_listed(settings_of(config)))
    try:
        return work.result(_TAB)
    except (CodexNBError, TimeoutError):
        work.cancel()
        return [], []


async def _listed(settings: SeedSettings) -> tuple[list[str], list[str]]:
    file = file_of(settings.store, os.environ)
    if file is not None and not file.exists():  # Tab makes no store
        return [], []
    async with open_store(settings.store, os.environ) as store:
        seeds = await store.list()
    return [seed.name for seed in seeds], sorted({seed.pool for seed in seeds if seed.pool})


__all__ = ["Cell", "candidates_for_seed", "run_verb", "seed_names", "settings_of"]
