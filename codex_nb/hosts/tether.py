"""Programs that end with whoever started them, although they do not end with their stdin.

A tethered program is started through a POSIX shell, which becomes the program: process id, exit
status and signals are the program's own. Beside it, in its process group, waits a second shell, the
tether. It alone holds the stdin that the starter gave, and the end of that stdin means that the
starter wants the end, or was killed. While the tether waits its group exists, and the system gives
the number of the group to no other process; so the tether never signals a stranger.

Needs a shell that is dash, bash, busybox or alike, and `sleep`. Processes are found by a mark in
their environment where there is a /proc, with `grep`, `tr` and `xargs`; elsewhere the mark does
nothing.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHELL = "/bin/sh"
_MARK = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=[^\0\n]+")
_TICKS = 10
"""How often in a second the tether looks whether the program ended."""

SWEEP = r"""
# The tools of the system, whatever the program is to find on its own PATH.
PATH=/usr/bin:/bin:/run/current-system/sw/bin
unset IFS

sweep() {
    [ -n "$mark" ] && [ -e /proc/self/environ ] || return 0
    # A process may fork between the look and the kill.
    for round in 1 2 3 4 5; do
        found=
        for file in $(printf '%s\n' /proc/[0-9]*/environ | xargs grep -lsF -e "$mark"); do
            pid=${file#/proc/} pid=${pid%/environ}
            [ "$pid" != "$$" ] || continue
            # Entries end with NUL, and may hold newlines.
            tr '\n\000' '\001\n' <"$file" | grep -qxF -e "$mark" || continue
            kill -s KILL "$pid" && found=yes
        done
        [ -n "$found" ] || return 0
    done
}
"""
"""Sets PATH, and defines the shell function `sweep`, which kills the processes with "$mark"."""

_TETHER = (
    SWEEP
    + r"""
runs() {
    kill -s 0 "$child" || return 1
    # A zombie takes signals, and perhaps nobody ever waits for it.
    read -r state <"/proc/$child/stat" || return 0
    case ${state##*) } in [ZX]*) return 1 ;; esac
}

child=$1 mark=$2 ticks=$3
while read -r ignored; do :; done
kill -s TERM "$child"
while runs && [ "$ticks" -gt 0 ]; do
    # POSIX knows whole seconds only.
    if sleep 0.1; then ticks=$((ticks - 1)); else sleep 1; ticks=$((ticks - 10)); fi
done
kill -s KILL "$child"
sweep
# The last act, because the tether is in this group.
kill -s KILL -- "-$child"
"""
)

# Without the mark in its own environment the tether and its tools never find themselves.
_START = r"""
shell=$1 tether=$2 name=$3 mark=$4 ticks=$5
shift 5
exec 3<&0
(
    # A signal to the group is for the program, from the first moment.
    trap '' HUP INT QUIT TERM
    [ -z "$name" ] || unset "$name"
    exec "$shell" -c "$tether" tether "$$" "$mark" "$ticks" <&3 3<&- >/dev/null 2>&1 &
)
exec "$@" </dev/null 3<&-
"""


def tethered(argv: Sequence[str], *, mark: str = "", grace: float = 5) -> list[str]:
    """The argv with which a program ends as soon as its stdin does.

    The program's own stdin is /dev/null. When the stdin that the starter gave ends, the program
    gets TERM; when it ended, or after `grace` seconds, KILL goes to every process with the mark and
    to what is left of the group. A program that ends by itself leaves the rest to its starter.

    Start it as the leader of a process group, as `Host.start` does. A program that cannot be
    started shows as exit status 126 or 127, and not as a `HostError`.

    Args:
        argv: The program, by its path or a name on PATH, and its arguments.
        mark: "NAME=value" in the environment of every process that belongs to the program, and of
            no other; "" is none. Processes that left the group are found by it (Linux only).
        grace: Seconds between TERM and KILL.

    Raises:
        ValueError: There is no program, or the mark is none.
    """
    if not argv:
        raise ValueError("there is no program to start")
    ticks = str(math.ceil(max(grace, 0) * _TICKS))
    return [_SHELL, "-c", _START, "sh", _SHELL, _TETHER, _name(mark), mark, ticks, *argv]


def sweeping(mark: str) -> list[str]:
    """The argv that kills every process with a mark; the same as the last act of the tether.

    Run it without the mark in its environment.

    Args:
        mark: "NAME=value", as for `tethered`.

    Raises:
        ValueError: The mark is none.
    """
    if not mark:
        raise ValueError("there is no mark to look for")
    _name(mark)
    return [_SHELL, "-c", f"mark=$1\n{SWEEP}sweep", "sh", mark]


def _name(mark: str) -> str:
    if not mark:
        return ""
    found = _MARK.fullmatch(mark)
    if found is None:
        raise ValueError(f"{mark!r} is no variable of an environment")
    return found[1]
