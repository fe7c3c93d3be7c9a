"""What was found out about codex programs, kept between sessions in programs.json.

A program is known by its path and the stamp of its file, so that a replaced one is looked at again.
Losing the file, or an entry to another process that wrote at the same moment, costs a second look
and nothing else; that is why nothing here raises. Negative findings are never kept.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.errors import HostError
from codex_nb.hosts import files

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

_FORMAT = 1
_MOST = 50
_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is known of one program.

    Attributes:
        version: Its version; "" while unknown.
        protocol: The fingerprint of the required methods that it was found to have.
        confines: Identities of hosts on which its sandbox was seen to confine, newest last.
    """

    version: str = ""
    protocol: str = ""
    confines: tuple[str, ...] = ()


def cache_folder(env: Mapping[str, str] | None = None) -> Path:
    """The folder for what codex_nb can do without: $XDG_CACHE_HOME/codex-nb."""
    variables = os.environ if env is None else env
    base = variables.get("XDG_CACHE_HOME", "")
    # The specification says that a relative path is to be ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "codex-nb"


def program_key(host: str, path: str, stamp: str) -> str:
    """The key of a program: where it is and what its file looks like."""
    return f"{host}:{path}:{stamp}"


def find(key: str) -> Findings:
    """What is known of a program; empty findings when nothing is."""
    return _read().get(key, Findings())


def note(
    key: str,
    *,
    version: str | None = None,
    protocol: str | None = None,
    confines: str | None = None,
) -> None:
    """Remember something of a program, beside what is known already."""
    programs = _read()
    known = programs.pop(key, Findings())
    if version is not None:
        known = replace(known, version=version)
    if protocol is not None:
        known = replace(known, protocol=protocol)
    if confines is not None:
        others = tuple(each for each in known.confines if each != confines)
        known = replace(known, confines=(*others, confines)[-_MOST:])
    programs[key] = known
    kept = dict(list(programs.items())[-_MOST:])
    document = {"format": _FORMAT, "programs": {key: asdict(kept[key]) for key in kept}}
    folder = cache_folder()
    try:
        files.make_folder(str(folder), mode=0o700)
        files.write_file(str(_file()), json.dumps(document, indent=1).encode(), mode=0o600)
    except HostError as exc:
        logger.debug("could not keep what was found out about codex: %s", exc)


def _file() -> Path:
    return cache_folder() / "programs.json"


def _read() -> dict[str, Findings]:
    try:
        document = json.loads(files.read_file(str(_file()), limit=_LIMIT))
        if document["format"] != _FORMAT:
            return {}
        return {str(key): _findings(value) for key, value in document["programs"].items()}
    except (HostError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _findings(value: dict[str, object]) -> Findings:
    version, protocol, confines = value["version"], value["protocol"], value["confines"]
    if not (isinstance(version, str) and isinstance(protocol, str) and isinstance(confines, list)):
        raise TypeError("not findings")
    return Findings(version=version, protocol=protocol, confines=tuple(map(str, confines)))
