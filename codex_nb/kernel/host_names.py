"""The hosts that a person may mean: those of the settings, and those of ~/.ssh/config."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DEEPEST = 8
_MOST = 1024 * 1024


def host_names(named: Iterable[str], config: Path | None = None) -> list[str]:
    """Names for `--host`, sorted.

    Args:
        named: Those of `CodexNB.hosts`.
        config: OpenSSH's configuration of the user; None is ~/.ssh/config.
    """
    path = Path("~/.ssh/config").expanduser() if config is None else config
    return sorted({*named, *_names_in(path, _DEEPEST)})


def _names_in(path: Path, depth: int) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:_MOST]
    except OSError:
        return
    for line in text.splitlines():
        try:
            keyword, *words = shlex.split(line.replace("=", " ", 1), comments=True) or [""]
        except ValueError:  # a quote is not closed
            continue
        if keyword.lower() == "host":
            # Patterns are no hosts, and what begins with a dash is no name.
            yield from (word for word in words if not set(word) & set("*?!") and word[0] != "-")
        elif keyword.lower() == "include" and depth:
            for word in words:
                place = Path(word).expanduser()
                pattern = place if place.is_absolute() else path.parent / word
                try:
                    found = sorted(Path("/").glob(str(pattern).lstrip("/")))
                except (OSError, ValueError, NotImplementedError):
                    continue
                for each in found:
                    yield from _names_in(each, depth - 1)


__all__ = ["host_names"]
