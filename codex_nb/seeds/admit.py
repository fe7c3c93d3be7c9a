"""The verbs that take logins in: `login`, `import`, `capture`."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.codex.binary import find_codex
from codex_nb.codex.login import DeviceLogin, api_key_login
from codex_nb.errors import UsageError
from codex_nb.hosts.local import LocalHost
from codex_nb.seeds.auth import Login
from codex_nb.seeds.intake import check_name
from codex_nb.seeds.person import Answer
from codex_nb.seeds.seeds import TWO_COPIES
from codex_nb.seeds.table import Table, clean, seed_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from codex_nb.seeds.person import Call


async def log_in(call: Call) -> Answer:
    """Log in through codex, in a home that is thrown away, and keep the login."""
    options = call.options
    check_name(options.name, "seed")
    host, program = LocalHost(), find_codex(call.codex)
    if options.api_key:
        key = await call.person.ask_key()
        data = await api_key_login(host, program, key, call.surroundings)
    else:
        async with DeviceLogin.start(host, program, call.surroundings) as device:
            call.person.show_code(device.url, device.code, device.expires_at)
            data = await device.finished()
    seed = await call.seeds.add(options.name, Login.parse(data), pool=options.pool)
    return await call.one(seed, "is kept")


async def take_file(call: Call) -> Answer:
    """Keep the login of a file or a folder, or all seeds of the older system."""
    options = call.options
    if options.legacy:
        return await _take_legacy(call)
    return await _take(call, Path(options.path))


async def capture(call: Call) -> Answer:
    """Keep the login of a session."""
    return await _take(call, call.person.home_of(call.options.run))


async def _take(call: Call, path: Path) -> Answer:
    options = call.options
    identity = getattr(options, "identity", None)
    seed = await call.seeds.add_file(
        path,
        name=options.name,
        pool=options.pool,
        identity=Path(identity) if identity else None,
    )
    if seed.kind == "chatgpt":
        call.person.say(TWO_COPIES)
    return await call.one(seed, "is kept")


async def _take_legacy(call: Call) -> Answer:
    from codex_nb.seeds.legacy import import_legacy, legacy_seeds

    options = call.options
    found = await legacy_seeds(
        call.uri(options.path),
        options.legacy,
        decrypt=_function_of(options.decrypt) if options.decrypt else None,
    )
    done = await import_legacy(found, call.seeds.side())
    call.person.say("Stop the older system before these seeds are used: it has the same logins.")
    rows = tuple(
        (clean(each.legacy.id), each.seed.name if each.seed else "", each.trouble) for each in done
    )
    return Answer(
        shown=Table(
            columns=("older id", "name", "trouble"),
            rows=rows,
            caption="Seeds of the older system",
            empty="There are no seeds of that prefix.",
        ),
        data=[
            {
                "older_id": each.legacy.id,
                "seed": seed_json(each.seed) if each.seed else None,
                "trouble": each.trouble,
            }
            for each in done
        ],
        is_good=not any(each.trouble for each in done),
    )


def _function_of(name: str) -> Callable[[bytes], bytes]:
    """The function that MODULE:NAME names; the folder of the person is where modules are first.

    Raises:
        UsageError: There is none.
    """
    module, _, attribute = name.partition(":")
    with _importing_from_here():
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as exc:
            raise UsageError(
                f"There is no function {name}: {exc}.",
                hint="Give --decrypt MODULE:FUNCTION, with MODULE in this folder or installed.",
            ) from exc

    def decrypt(data: bytes) -> bytes:
        try:
            return bytes(found(data))
        except Exception as exc:
            raise ValueError(f"{name} failed: {type(exc).__name__}") from exc  # no text of theirs

    return decrypt


@contextmanager
def _importing_from_here() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


__all__ = ["capture", "log_in", "take_file"]
