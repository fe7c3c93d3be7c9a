"""A store as a whole: its keys, its examination, its name, a move."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import (
    CodexNBError,
    UsageError,
    VaultError,
)
from codex_nb.seeds.opened import FINGERPRINT_NOTE
from codex_nb.seeds.seeds import Seeds
from codex_nb.seeds.settings import SeedSettings, file_of
from codex_nb.seeds.upkeep import Rekeyed, examine, rekey
from codex_nb.seeds.vault import Key, Vault
from tests.seeds.place import Place, add_two, chatgpt

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_change_of_keys_leaves_every_login_readable_by_old_and_new_processes(
    place: Place,
) -> None:
    async def do() -> None:
        async with place.open() as old, place.open() as seeds:
            await add_two(seeds)
            before = [await seeds.store.read_blob(seed.id) for seed in await seeds.list()]

            done = await rekey(seeds)

            assert seeds.keys is not None
            assert done == Rekeyed(key=seeds.keys.keys[0].id, wrapped=2)
            after = [await seeds.store.read_blob(seed.id) for seed in await seeds.list()]
            assert [blob.data[73:] for blob in after] == [blob.data[73:] for blob in before]
            assert {seeds.vault.key_id(blob.data) for blob in after} == {done.key}
            for reader in (old, seeds):
                for seed in await reader.list():
                    await reader.open(seed)
            assert (await rekey(seeds, given=True)).wrapped == 0
            note = await seeds.store.note(FINGERPRINT_NOTE)
            assert note is not None
            assert seeds.vault.key_id(note) == done.key
        async with place.open() as later:
            assert [len((await later.open(seed))[0].to_bytes()) > 0 for seed in await later.list()]

    asyncio.run(do())


def test_the_wrong_key_opens_no_store_and_says_so(place: Place) -> None:
    place.run(add_two)
    place.env["CODEX_NB_KEY"] = Key.new().secret.hex()

    with pytest.raises(VaultError, match="does not open with CODEX_NB_KEY"):
        place.run(add_two)


def test_logins_in_clear_are_kept_only_when_that_is_written_out(place: Place) -> None:
    async def do() -> None:
        async with place.open(encryption="none") as seeds:
            seed = await seeds.add("work", chatgpt())
            assert "in clear" in seeds.warning
            assert (await seeds.store.read_blob(seed.id)).data.startswith(b"CNB1\x00{")
            with pytest.raises(VaultError, match="no key to change"):
                await rekey(seeds)
        with pytest.raises(VaultError, match="without encryption"):
            async with place.open():
                pass

    asyncio.run(do())
    with pytest.raises(UsageError, match="cannot be 'aes'"):
        Seeds(SeedSettings(encryption="aes"))


def test_on_binder_there_is_a_warning(place: Place) -> None:
    place.env["BINDER_SERVICE_HOST"] = "somewhere"

    async def work(seeds: Seeds) -> None:
        assert "memory only" in seeds.warning

    place.run(work)


def states(place: Place) -> dict[str, str]:
    found = asyncio.run(examine(place.settings, place.env))
    return {each.name: each.state for each in found}


def test_the_doctor_is_content_with_a_good_store(place: Place) -> None:
    place.run(add_two)

    assert set(states(place).values()) <= {"ok", "warn"}
    assert {"key": "ok", "logins": "ok", "spool": "ok"}.items() <= states(place).items()


def test_the_doctor_finds_a_wrong_key_and_a_damaged_login(place: Place) -> None:
    async def damage(seeds: Seeds) -> None:
        await add_two(seeds)
        seed = await seeds.find("work")
        blob = await seeds.store.read_blob(seed.id)
        assert await seeds.store.replace_blob(seed.id, replace(blob, data=blob.data[:-1] + b"!"))

    place.run(damage)
    damaged = asyncio.run(examine(place.settings, place.env))
    place.env["CODEX_NB_KEY"] = Key.new().secret.hex()

    assert [each.text for each in damaged if each.name == "logins"] == ["these do not open: work"]
    assert states(place)["key"] == "fail"


def test_seeds_are_moved_to_another_store(place: Place, tmp_path: Path) -> None:
    login = chatgpt()

    async def do() -> None:
        async with place.open() as here, place.open(store=str(tmp_path / "there.db")) as there:
            await here.add("work", login, pool="team")
            moved = await here.move_to(there)
            assert [seed.name for seed in moved] == ["work"]
            assert await here.list() == []
            assert (await there.open(await there.find("work")))[0] == login

    asyncio.run(do())


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("", "/data/codex_nb/seeds.db"),
        ("/x/s.db", "/x/s.db"),
        ("sqlite:/x/s.db", "/x/s.db"),
        ("sqlite:///x/s.db", "/x/s.db"),
        ("mongodb://h/d", None),
        ("mongodb+srv://u:p@h/d", None),
    ],
)
def test_a_store_is_named_by_a_path_or_a_uri(uri: str, file: str | None) -> None:
    found = file_of(uri, {"XDG_DATA_HOME": "/data"})

    assert (str(found) if found else None) == file
    assert file_of("", {"CODEX_NB_STORE": "mongodb://h/d"}) is None


@pytest.mark.parametrize("uri", ["sqlite:", "redis://u:geheim@h", "http://h"])
def test_what_names_no_store_is_refused_without_its_password(uri: str) -> None:
    with pytest.raises(UsageError) as caught:
        file_of(uri, {})
    assert "geheim" not in caught.value.message + caught.value.hint


def test_settings_never_show_the_password_of_a_store() -> None:
    settings = SeedSettings(store="mongodb://u:geheim@h/d", encryption="none")

    assert "geheim" not in repr(settings) + str(settings)
    with pytest.raises(UsageError, match="contradict"):
        SeedSettings(key_file="k", keyring=True).check()


def test_an_error_while_opening_leaves_nothing_open(place: Place) -> None:
    place.env["CODEX_NB_KEY"] = "no key"

    with pytest.raises(CodexNBError, match="no key of 32 bytes"):
        place.run(add_two)
    place.env.pop("CODEX_NB_KEY")
    place.run(add_two)


def test_a_blob_of_another_seed_does_not_open(place: Place) -> None:
    async def work(seeds: Seeds) -> None:
        await add_two(seeds)
        one, two = await seeds.list()
        blob = await seeds.store.read_blob(one.id)
        assert await seeds.store.replace_blob(two.id, blob)
        with pytest.raises(VaultError, match="belongs to another seed"):
            await seeds.open(two)

    place.run(work)


def test_a_vault_without_a_key_does_not_open_a_store(place: Place) -> None:
    async def work(seeds: Seeds) -> None:
        await add_two(seeds)
        assert Vault([]).is_sealed is False

    place.run(work)
    place.settings = replace(place.settings, encryption="none")
    with pytest.raises(VaultError, match="encryption none"):
        place.run(work)
