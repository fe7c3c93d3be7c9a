"""Codex's interactive program: how it is started, and when it takes a message. No I/O.

Facts checked against codex 0.142.5, 0.163.0 and 0.169.0: `--no-daemon` exists since 0.163 and
cannot stand beside `--remote`; "untrusted" is no value of `-a` since 0.163; a thread that is
resumed with `--remote` takes no posture of its own. Codex asks nothing at its start where its home
was laid out by `SessionHome`, which writes the trust of the folder down, and a login is there or
not needed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from codex_nb.errors import UsageError

if TYPE_CHECKING:
    from codex_nb.codex.binary import CodexProgram
    from codex_nb.codex.posture import Posture
    from codex_nb.terminal.screen import Screen

_DAEMON = (0, 163)
_PROMPT = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
_STYLE = r"(?:\x1b\[[0-9;:]*m)*"
_DIM = r"\x1b\[(?:[0-9;:]*;)?2m"
_EMPTY = re.compile(rf"{_STYLE}{_PROMPT}{_STYLE}(?:\s*{_STYLE}|\s{_STYLE}{_DIM}.*)")
_EDITOR_COLUMN = 2


def tui_argv(
    program: CodexProgram,
    *,
    cwd: str,
    posture: Posture,
    model: str = "",
    remote: str = "",
    resume: str = "",
) -> list[str]:
    """The argv of Codex in a terminal.

    Args:
        program: The codex program.
        cwd: The working folder; with `remote` that of the thread, on the server's side.
        posture: What commands may do, and when Codex asks.
        model: The model; "" is what the settings say.
        remote: The unix socket of an app-server whose threads it shows; "" to run its own.
        resume: The thread that it goes on with; "" for a new one.

    Raises:
        UsageError: This version of Codex cannot be told to ask before everything on a command line.
    """
    argv = [program.path, *(["resume", resume] if resume else [])]
    has_daemon = _numbers(program.version) >= _DAEMON
    if remote:
        argv += ["--remote", f"unix://{remote}"]
    elif has_daemon:
        # The settings keep it from starting a daemon; this keeps it from using one.
        argv += ["--no-daemon"]
    argv += ["-C", cwd]
    if remote and resume:
        return argv  # the thread has its posture and its model, and takes no other
    argv += ["-s", posture.sandbox]
    if posture.ask != "untrusted" or not has_daemon:
        argv += ["-a", posture.ask]
    elif not remote:
        raise UsageError(
            f"Codex {program.version} in a terminal cannot ask before everything.",
            hint="Use --ask on-request, or a conversation instead of the plain terminal.",
        )
    return [*argv, *(["-m", model] if model else [])]


def refusal(screen: Screen) -> str:
    """Why Codex takes no message at the moment, as half a sentence; "" when it does.

    It does where the cursor stands at the beginning of an empty editor: behind the prompt, in front
    of nothing or of the dim hint that stands there until somebody types. A dialog hides the cursor;
    Enter would answer it.
    """
    if not screen.is_cursor_visible or _PROMPT not in screen.cursor_row:
        return "Codex does not wait for a message, or the one in its editor has several lines"
    if screen.cursor_x != _EDITOR_COLUMN or _EMPTY.fullmatch(screen.cursor_row) is None:
        return "a message is half typed in the terminal"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
