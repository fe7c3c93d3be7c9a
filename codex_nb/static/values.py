"""Reading foreign JSON without trust: every function takes any value and never raises."""

from __future__ import annotations

import json
import math
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

# Splitting a command line is slow, and a longer one is not a wrapper that codex wrote.
_LONGEST_WRAPPER = 50_000
_SHELLS = frozenset({"bash", "dash", "ksh", "sh", "zsh"})


def mapping(value: Json) -> JsonObject:
    """The object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def mappings(value: Json) -> list[JsonObject]:
    """The objects of a list; whatever else is in it is skipped."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def words(value: Json) -> str:
    """A string as it is, null as "", anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else as_json(value)


def number(value: Json) -> float | None:
    """A finite number, or None; true and false are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def as_json(value: Json, *, indent: int | None = None) -> str:
    """The value as JSON text for people to read."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent)
    except (RecursionError, ValueError):
        # Nested too deeply, or an integer with more digits than Python converts.
        return "(too large to show)"


def duration(seconds: float | None) -> str:
    """A time span for people, like "0.4 s" or "3 min 05 s"; "" for none and for no time at all."""
    if seconds is None or seconds < 0.05:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def without_shell(command: str) -> str:
    """The script of `/bin/bash -lc '…'`; any other command line as it is."""
    if len(command) > _LONGEST_WRAPPER:
        return command
    shell = command.split(" ", 1)[0].rpartition("/")[2]
    if shell not in _SHELLS:
        return command
    try:
        argv = shlex.split(command)
    except ValueError:
        return command
    return argv[2] if len(argv) == 3 and argv[1] in ("-lc", "-c") else command


def relative(path: str, folder: str) -> str:
    """The path as seen from a folder that contains it; any other path as it is."""
    base = folder.rstrip("/") + "/"
    return path[len(base) :] if len(base) > 1 and path.startswith(base) else path
