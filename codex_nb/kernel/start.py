"""From a cell's request to a run that is shown: finds the session that goes on, or starts one."""

from __future__ import annotations

import asyncio
import atexit
from concurrent.futures import TimeoutError as WaitTimeoutError
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.codex.binary import find_codex
from codex_nb.errors import CodexNBError, SessionError, UsageError
from codex_nb.kernel.follower import Follower
from codex_nb.kernel.host_questions import answer_while_starting
from codex_nb.kernel.loop import end, submit
from codex_nb.kernel.run import Run
from codex_nb.sessions.registry import (
    forget_older_than,
    list_sessions,
)
from codex_nb.sessions.roots import default_root, fallback_root, root_for
from codex_nb.sessions.spare import keep_spare

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from codex_nb.kernel.config import CodexNB
    from codex_nb.kernel.display import Shown
    from codex_nb.kernel.options import Request
    from codex_nb.sessions.spec import SessionSpec

START_LIMIT = 120.0
"""Seconds that a session may take until its terminal is open."""

FAREWELL = 10.0
"""Seconds that the sessions of an unattended notebook have to end when its kernel ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """A cell of this kernel that shows a session."""

    follower: Follower
    shown: Shown


_cells: list[_Cell] = []


def start_run(shell: InteractiveShell, request: Request, config: CodexNB) -> Run:
    """Start or go on with a session, show it, and wait for it where that was asked for.

    Raises:
        CodexNBError: It cannot be started, or, when the cell waits, the turn failed.
    """
    from codex_nb.kernel.display import show

    follower = _follower_for(request, config)
    run = Run(follower)
    shown = show(shell, run, follower, "terminal" if request.tui else "conversation")
    if request.variable:
        shell.user_ns[request.variable] = run
    if not _cells:
        atexit.register(_say_farewell)
    earlier = [cell.follower for cell in _cells if cell.follower.spec.id == follower.spec.id]
    _cells.append(_Cell(follower=follower, shown=shown))
    begun = submit(follower.begin(request.prompt, earlier, tui=request.tui))
    if getattr(shell, "kernel", None) is not None and not request.spec.unattended:
        # When it is over and the machine has nothing to do.
        follower.settled.add_done_callback(lambda _: submit(asyncio.to_thread(keep_spare)))
    if request.spec.host:
        answer_while_starting(follower, begun)
    if request.wait:
        try:
            begun.result()
            run.wait()
        except KeyboardInterrupt:
            raise _interrupted(run, request) from None
        finally:
            shown.update()
        run.raise_for_status()
    return run


def show_terminal(run: Run, follower: Follower) -> None:
    """Open the terminal of a run and show it below the running cell, beside the conversation.

    Raises:
        UsageError: There is no notebook to show it in.
        CodexNBError: It cannot be opened.
    """
    from IPython import get_ipython

    from codex_nb.kernel.display import show

    shell = get_ipython()
    if getattr(shell, "kernel", None) is None:
        raise UsageError("A terminal needs a notebook.", hint="Use run.text and run.send() here.")
    beside = follower.beside()
    submit(beside.begin("", [], tui=True)).result(START_LIMIT)
    _cells.append(_Cell(follower=beside, shown=show(shell, Run(beside), beside, "terminal")))


def session_names(config: CodexNB) -> list[str]:
    """Names of the sessions that could go on."""
    return sorted({e.name for e in list_sessions(*_roots(config)) if e.ended != "closed"})


def _follower_for(request: Request, config: CodexNB) -> Follower:
    spec, roots = request.spec, _roots(config)
    if request.is_named:
        key = (spec.name, spec.cwd, spec.host)
        for cell in reversed(_cells):
            known = cell.follower
            was = known.spec
            if (was.name, was.cwd, was.host) == key and not known.is_closed():
                taken_up = _taken_up(request, known.spec.id, known.spec.fixed(), is_running=True)
                return Follower(taken_up, known.root, predecessor=known)
        for entry in reversed(list_sessions(*roots)):
            if (entry.name, entry.cwd, entry.host) == (
                *key[:2],
                spec.host or "local",
            ) and entry.ended != "closed":
                taken_up = _taken_up(request, entry.id, entry.fixed, is_running=entry.is_running)
                return Follower(taken_up, Path(entry.folder).parent, entry=entry)
    if not spec.host:
        find_codex(spec.codex)  # the sooner it is missed, the better
    forget_older_than(timedelta(days=config.keep_days), *roots)
    writes_here = spec.sandbox == "workspace-write" and not spec.host
    writable = (spec.cwd, *spec.allow) if writes_here else ()
    return Follower(spec, root_for(roots[0], writable))


def _taken_up(
    request: Request, session: str, was: dict[str, object], *, is_running: bool
) -> SessionSpec:
    """The spec with which a session goes on: what the cell does not say stays as it was.

    Raises:
        UsageError: The cell says something else about a running session than it was started with.
    """
    asked = request.spec.fixed()
    for option in request.given & was.keys() if is_running else ():
        if asked[option] != was[option]:
            name = "-c" if option == "settings" else f"--{option}"
            raise UsageError(
                f"The session {request.spec.name!r} was started with another {name} "
                "than this cell gives.",
                hint="Leave the option out, use another --name, or close the session first.",
            )
    kept = {option: value for option, value in was.items() if option not in request.given}
    # A default must not undo what a person chose meanwhile.
    model = request.spec.model if "model" in request.given else ""
    effort = request.spec.effort if "effort" in request.given else ""
    return replace(request.spec.with_fixed(kept), id=session, model=model, effort=effort)


def _roots(config: CodexNB) -> tuple[Path, Path]:
    first = Path(config.state_dir).expanduser() if config.state_dir else default_root()
    return first, fallback_root()


def _interrupted(run: Run, request: Request) -> CodexNBError:
    if request.spec.unattended:
        run.close()
        return SessionError("The cell was interrupted, and the session was closed.")
    return SessionError(
        "The cell was interrupted while it waited; the turn goes on.",
        hint="Stop it with its Stop button or run.interrupt(), or wait again with run.wait().",
    )


def _say_farewell() -> None:
    """When the kernel ends: close what nobody watches, leave static transcripts in the notebook."""
    unattended = [cell.follower for cell in _cells if cell.follower.spec.unattended]
    for closing in [submit(follower.close()) for follower in unattended]:
        with suppress(CodexNBError, WaitTimeoutError):
            closing.result(FAREWELL)
    for cell in _cells:
        cell.shown.freeze()
    end()
