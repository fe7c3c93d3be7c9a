"""Doing what a verb says, for the command line and for the magic alike.

What a person has to see or say on the way goes through a `Person`, which each of the two brings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_nb.codex.scratch import Surroundings
from codex_nb.hosts.local import LocalHost
from codex_nb.seeds.person import Answer, Call
from codex_nb.seeds.seeds import TWO_COPIES, Seeds
from codex_nb.seeds.settings import SeedSettings
from codex_nb.seeds.table import clean, finding_table, seed_card, seed_json
from codex_nb.seeds.upkeep import examine, rekey

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.person import Person
    from codex_nb.seeds.records import Seed

_REDIRECTS = (
    "CODEX_REFRESH_TOKEN_URL_OVERRIDE",
    "CODEX_REVOKE_TOKEN_URL_OVERRIDE",
    "CODEX_APP_SERVER_LOGIN_ISSUER",
)
"""Variables of codex's own that send a login elsewhere; codex gets them from us as well."""


_LOOKING = ("list", "show", "export")
"""The verbs that change nothing in the store."""


async def perform(
    options: argparse.Namespace,
    settings: SeedSettings,
    person: Person,
    *,
    codex: str = "",
    config: JsonObject | None = None,
    environment: Mapping[str, str] | None = None,
) -> Answer:
    """Do what a verb says.

    Args:
        options: Made by the parser of the verbs.
        settings: Which store.
        person: Who asked.
        codex: Path of the codex program, or "" to look for one.
        config: Settings of codex for where it is needed, nested as in its config.toml.
        environment: Of the seeds; this process's by default.

    Raises:
        CodexNBError: It cannot be done.
    """
    seeds = Seeds(settings, environment=environment)
    if options.verb == "doctor":
        return await _doctor(seeds)
    async with seeds:
        if seeds.warning:
            person.say(seeds.warning)
        redirects = {name: seeds.environment.get(name, "") for name in _REDIRECTS}
        surroundings = Surroundings(
            environment={name: url for name, url in redirects.items() if url}, config=config or {}
        )
        call = Call(
            options=options, seeds=seeds, person=person, codex=codex, surroundings=surroundings
        )
        answer = await _VERBS[options.verb](call)
        if options.verb not in _LOOKING:
            await seeds.collector().collect_if_due()
        return answer


# What logs in and what asks OpenAI is imported when it is needed: it takes longer than a list.


async def _login(call: Call) -> Answer:
    from codex_nb.seeds.admit import log_in

    return await log_in(call)


async def _import(call: Call) -> Answer:
    from codex_nb.seeds.admit import take_file

    return await take_file(call)


async def _capture(call: Call) -> Answer:
    from codex_nb.seeds.admit import capture

    return await capture(call)


async def _verify(call: Call) -> Answer:
    from codex_nb.seeds.judge import verify

    return await verify(call)


async def _refresh(call: Call) -> Answer:
    from codex_nb.seeds.judge import refresh

    return await refresh(call)


async def _keep(call: Call) -> Answer:
    from codex_nb.seeds.judge import keep

    return await keep(call)


async def _list(call: Call) -> Answer:
    return await call.many(await call.seeds.list(call.options.pool))


async def _show(call: Call) -> Answer:
    seed = await call.seeds.find(call.options.name)
    return Answer(shown=seed_card(seed, await call.seeds.store.now()), data=seed_json(seed))


async def _rename(call: Call) -> Answer:
    seed = await call.seeds.rename(call.options.name, call.options.new)
    return await call.one(seed, f"was {call.options.name}")


async def _pool(call: Call) -> Answer:
    pool = call.options.pool
    seed = await call.seeds.put_into_pool(call.options.name, pool)
    return await call.one(seed, f"is in the pool {pool}" if pool else "is in no pool")


async def _release(call: Call) -> Answer:
    was_held = await call.seeds.release(call.options.name)
    seed = await call.seeds.find(call.options.name)
    return await call.one(seed, "is free" if was_held else "was free already")


async def _retire(call: Call) -> Answer:
    if call.options.undo:
        seed = await call.seeds.restore(call.options.name)
        return await call.one(seed, f"is {seed.status} again")
    return await call.one(await call.seeds.retire(call.options.name), "is out of use")


async def _delete(call: Call) -> Answer:
    seed = await call.seeds.find(call.options.name)
    if not await _sure(call, f"Remove the seed {seed.name} and its login for ever?"):
        return Answer(shown="Nothing was removed.", data=[], is_good=False)
    return _gone([await call.seeds.delete(seed.id)])


async def _purge(call: Call) -> Answer:
    seeds = await call.seeds.useless(call.options.pool)
    names = ", ".join(seed.name for seed in seeds)
    if seeds and not await _sure(call, f"Remove {names} and their logins for ever?"):
        return Answer(shown="Nothing was removed.", data=[], is_good=False)
    return _gone([await call.seeds.delete(seed.id) for seed in seeds])


async def _export(call: Call) -> Answer:
    options = call.options
    data = await call.seeds.export(options.name, options.to)
    path = options.output or f"{options.name}.age"
    await LocalHost().write_file(path, data)
    if (await call.seeds.find(options.name)).kind == "chatgpt":
        call.person.say(f"{TWO_COPIES} Retire it here if it is to be used there.")
    return Answer(shown=f"The login of {options.name} is in {path}.", data={"file": path})


async def _rekey(call: Call) -> Answer:
    done = await rekey(call.seeds, given=call.options.given)
    text = f"{done.wrapped} logins are wrapped by the key {done.key}; the old key still opens."
    return Answer(shown=text, data={"key": done.key, "wrapped": done.wrapped})


async def _move(call: Call) -> Answer:
    options = call.options
    settings = call.seeds.settings
    there = SeedSettings(
        store=call.uri(options.to),
        encryption=options.to_encryption,
        key_file=settings.key_file,
        keyring=settings.keyring,
    )
    async with Seeds(there, environment=call.seeds.environment) as target:
        moved = await call.seeds.move_to(target)
        text = f"{len(moved)} seeds are in {target.store.uri} now, and not here any more."
    return Answer(shown=text, data=[seed_json(seed) for seed in moved])


async def _doctor(seeds: Seeds) -> Answer:
    found = await examine(seeds.settings, seeds.environment)
    return Answer(
        shown=finding_table(found),
        data=[{"name": each.name, "state": each.state, "text": each.text} for each in found],
        is_good=all(each.state != "fail" for each in found),
    )


def _gone(seeds: Sequence[Seed]) -> Answer:
    names = ", ".join(clean(seed.name) for seed in seeds)
    return Answer(
        shown=f"Removed: {names}." if names else "There was nothing to remove.",
        data=[seed_json(seed) for seed in seeds],
    )


async def _sure(call: Call, question: str) -> bool:
    return call.options.yes or await call.person.is_sure(question)


_VERBS: dict[str, Callable[[Call], Awaitable[Answer]]] = {
    "login": _login,
    "import": _import,
    "capture": _capture,
    "list": _list,
    "show": _show,
    "verify": _verify,
    "refresh": _refresh,
    "rename": _rename,
    "pool": _pool,
    "release": _release,
    "retire": _retire,
    "delete": _delete,
    "purge": _purge,
    "export": _export,
    "keep": _keep,
    "rekey": _rekey,
    "move": _move,
}

__all__ = ["perform"]
