"""How a program is started on the other machine: what sshd is asked for, and what goes to stdin.

sshd hands a command to the user's login shell, which may be any. So the command is always COMMAND,
which sh, csh, fish and their relatives read alike, and everything else goes to its stdin: folder,
environment and what we do there are seen by nobody in a list of processes. What the start files of
the login shell write comes before a marker of ours, and is dropped.

sshd makes the login shell the leader of a session, and `exec` keeps the process: the program is
sshd's own child, so sshd tells how it really ended. Beside the program, in its group, waits a
*keeper*. As long as it waits the system gives the number of the group to no other process, and
when our connection has gone it ends the group.

Checked with OpenSSH 9.2, and with bash, busybox, csh, dash, fish, tcsh and zsh as login shells.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_READ = 'IFS= read -r line; eval "$line"'

COMMAND = f"exec /usr/bin/env -i /bin/sh -c '{_READ}'"
"""Runs the first line of its stdin in a POSIX shell that has no environment."""

COMMAND_WITH_ENVIRONMENT = f"exec /bin/sh -c '{_READ}'"
"""The same in the environment that the user has on the host."""

TOOLS = "/usr/bin:/bin:/usr/sbin:/sbin:/run/current-system/sw/bin"
"""Where the tools of a system are."""

ANSWERS = 9
"""The file descriptor on which a program that starts detached says how that went."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAKEN = re.compile(
    r"_|PWD|OLDPWD|SHLVL|E?UID|PPID|GROUPS|IFS|PS[124]|OPTIND|OPTARG|OPTERR|LINENO|RANDOM|SECONDS"
    r"|SRANDOM|SHELLOPTS|TMOUT|DIRSTACK|HISTCMD|FUNCNAME|PIPESTATUS|(BASH|EPOCH|CODEX_NB_)\w*"
)
"""Names to which a shell, or our script, gives a meaning of its own."""

# `kill` is a builtin everywhere, and `kill -SIGNAL -GROUP` the form that all shells know.
# setsid keeps the process, because it leads nothing here.
_LEAD = r"""
PATH=%(tools)s
if ! kill -0 "-$$" 2>/dev/null; then
    next='%(read)s'
    command -v setsid >/dev/null && exec setsid /bin/sh -c "$next"
    command -v perl >/dev/null &&
        exec perl -e 'use POSIX; POSIX::setsid(); exec @ARGV' /bin/sh -c "$next"
    command -v python3 >/dev/null &&
        exec python3 -c '
import os, sys
os.setsid()
os.environ.pop("LC_CTYPE", None)  # its own, where the locale is C
os.execv(sys.argv[1], sys.argv[1:])' /bin/sh -c "$next"
    printf '\n%%s - %%s\n' %(mark)s 'the host has no setsid, perl or python3'
    exit 126
fi
%(read)s
"""

_PREPARE = r"""
fail() {
    printf '\n%s - %s\n' "$mark" "$1" >&"$answers"
    exit 126
}

PATH=$tools
perl=$(command -v perl) python=$(command -v python3)
[ -z "$odd" ] || [ -n "$perl$python" ] ||
    fail "the host needs perl or python3 to pass on the variable $odd"

cd -- "$cwd" 2>/dev/null || {
    [ -e "$cwd" ] || fail "$cwd: No such file or directory"
    [ -d "$cwd" ] || fail "$cwd: Not a directory"
    fail "$cwd: Permission denied"
}

found=
case $1 in
*/*) found=$1 ;;
*)
    set -f
    IFS=:
    for folder in $path; do
        file=${folder:-.}/$1
        [ -z "$found" ] && [ -f "$file" ] && [ -x "$file" ] && found=$file
    done
    unset IFS
    set +f
    ;;
esac
[ -n "$found" ] && [ -e "$found" ] || fail "$1: No such file or directory"
[ -f "$found" ] && [ -x "$found" ] || fail "$1: Permission denied"
"""

_KEEP = r"""
(
    cd /
    # A signal to the group is for the program, from the first moment.
    trap '' HUP INT QUIT TERM USR1 USR2
    {
        while kill -0 "$control"; do sleep 2; done
        kill -KILL "-$$"
    } &
) </dev/null >/dev/null 2>&1
"""

_UNSET = r"""
unset PATH PWD OLDPWD SHLVL
PATH=$path
"""

# bash leaves these two of its own to a program, whatever was unset.
_CLEAN = 'if [ -n "$BASH_VERSION" ]; then set -- /usr/bin/env -u _ -u SHLVL "$@"; fi'

_RENAME = r"""
if [ -n "$perl" ]; then
    set -- "$perl" -e '
        delete @ENV{qw(_ SHLVL)};
        for my $i (1 .. delete $ENV{CODEX_NB_COUNT}) {
            $ENV{delete $ENV{"CODEX_NB_NAME_$i"}} = delete $ENV{"CODEX_NB_VALUE_$i"};
        }
        exec {$ARGV[0]} @ARGV' -- "$@"
else
    # Python adds a variable where the locale is C, unless it is told not to.
    export PYTHONCOERCECLOCALE=0
    set -- "$python" -c '
import os, sys
names = os.environb
for name in (b"_", b"SHLVL", b"PYTHONCOERCECLOCALE"):
    names.pop(name, None)
for i in range(int(names.pop(b"CODEX_NB_COUNT"))):
    name = names.pop(b"CODEX_NB_NAME_%d" % (i + 1))
    names[name] = names.pop(b"CODEX_NB_VALUE_%d" % (i + 1))
os.execvp(sys.argv[1], sys.argv[1:])' "$@"
fi
"""

_GO = r"""
printf '\n%%s .\n' %(mark)s >&2
printf '\n%%s %%s\n' %(mark)s "$$"
exec "$@"
"""

_GO_DETACHED = r"""
printf '\n%%s %%s\n' %(mark)s "$$" >&%(answers)s
exec %(answers)s>&-
exec "$@"
"""

_CONTROL = r"""
PATH=%(tools)s
printf '\n%%s %%s\n' %(mark)s "$$"
while read -r number signal group over; do
    [ -e "$over" ] || kill "-$signal" "-$group" 2>/dev/null
    printf '%%s\n' "$number"
done
"""


# /proc has what the shell was given, before it added anything of its own.
_ENVIRONMENT = r"""
printf '\n%%s %%s\n' %(mark)s "$$"
cat "/proc/$$/environ" 2>/dev/null || env -0
printf '%%s' %(mark)s
"""


@dataclass(frozen=True, slots=True)
class Launch:
    """What is started, and how the start shows.

    Attributes:
        mark: The word that shows where the output of the program begins.
        control: The process whose end means that our connection has gone.
    """

    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    mark: str
    control: int

    def __post_init__(self) -> None:
        if not self.argv:
            raise ValueError("there is no program to start")
        for text in (*self.argv, self.cwd, *self.env, *self.env.values()):
            if "\0" in text:
                raise ValueError("a NUL can be in no argument, folder or variable")
        if any("=" in name or not name for name in self.env):
            raise ValueError("the name of a variable is empty or has an equals sign")

    @property
    def lines(self) -> bytes:
        """What COMMAND reads before its stdin is the program's.

        On stdout comes then an empty line and "MARK PID", or "MARK - REASON"; on stderr "MARK .".
        A program that exists and cannot be run, because of its format, ends with status 126 or 127.
        """
        lead = _LEAD % {"tools": TOOLS, "read": _READ, "mark": self.mark}
        return _line(lead) + _line("\n".join(self._script(detached=False)))

    @property
    def file(self) -> bytes:
        """What a shell sources, as the leader of a group, to become the program without a keeper.

        What it says to the starter it writes to the file descriptor ANSWERS, and closes that.
        """
        return os.fsencode("\n".join(self._script(detached=True)))

    def _script(self, *, detached: bool) -> Iterator[str]:
        odd = [name for name in self.env if _is_odd(name)]
        for name, value in {
            "mark": self.mark,
            "control": str(self.control),
            "tools": TOOLS,
            "cwd": self.cwd,
            "path": self.env.get("PATH", "/bin:/usr/bin"),
            "odd": odd[0] if odd else "",
            "answers": str(ANSWERS if detached else 1),
        }.items():
            yield f"{name}={quoted(value)}"
        if detached:
            yield 'PATH=$tools; rm -f -- "$0/start"'
        yield f"set -- {' '.join(map(quoted, self.argv))}"
        yield _PREPARE
        if not detached:
            yield _KEEP
        yield _UNSET
        yield _RENAME if odd else _CLEAN
        for name, value in self.env.items():
            if name not in odd:
                yield f"export {name}={quoted(value)}"
        for index, name in enumerate(odd, 1):
            yield f"export CODEX_NB_NAME_{index}={quoted(name)}"
            yield f"export CODEX_NB_VALUE_{index}={quoted(self.env[name])}"
        if odd:
            yield f"export CODEX_NB_COUNT={len(odd)}"
        go = _GO_DETACHED if detached else _GO
        yield go % {"mark": self.mark, "answers": ANSWERS}


def control_line(mark: str) -> bytes:
    """What COMMAND reads to become a shell that signals groups.

    It then reads lines "NUMBER SIGNAL GROUP FILE" and answers each with "NUMBER". Where there is
    such a file nothing is signalled. It ends with its stdin.
    """
    return _line(_CONTROL % {"tools": TOOLS, "mark": mark})


def environment_line(mark: str) -> bytes:
    """What COMMAND_WITH_ENVIRONMENT reads to write its environment.

    It comes after the mark, each variable ends with NUL, and the mark once more ends it.
    """
    return _line(_ENVIRONMENT % {"mark": mark})


def quoted(text: str) -> str:
    """`text` as one word of a POSIX shell."""
    return "'" + text.replace("'", r"'\''") + "'"


def _is_odd(name: str) -> bool:
    return _NAME.fullmatch(name) is None or _TAKEN.fullmatch(name) is not None


def _line(script: str) -> bytes:
    """A script as one line that runs it."""
    text = quoted(script).replace("\n", "'\"$newline\"'")
    return os.fsencode(f"newline=$(printf '\\nx'); newline=${{newline%x}}; eval {text}\n")
