"""What only the MongoDB store does; that it is a store at all is for the contract suite."""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pymongo
import pytest
from pymongo import monitoring

from codex_nb.cli import Terminal
from codex_nb.errors import SeedError, SeedTakenError, StoreError
from codex_nb.protocol.values import obj
from codex_nb.seeds.mongo import MongoStore
from codex_nb.seeds.mongo.blobs import INLINE_LIMIT
from codex_nb.seeds.mongo.probe import examine_server
from codex_nb.seeds.perform import perform
from codex_nb.seeds.records import Blob, Intent, Seed, Status
from codex_nb.seeds.settings import SeedSettings
from codex_nb.seeds.vault import Key
from codex_nb.seeds.verbs import parsed, seed_parser
from tests.seeds.mongod import fresh_database, shared_mongod
from tests.seeds.proxy import Proxy
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from codex_nb.seeds.records import Lease
    from tests.seeds.conftest import StartMongod
    from tests.seeds.mongod import Mongod, Topology

TTL = timedelta(seconds=60)
LARGE = os.urandom(1024) * (INLINE_LIMIT // 1024 + 1)


def a_seed(name: str = "one", **fields: Any) -> Seed:
    fields = {"account": f"account of {name}", "fingerprint": "first"} | fields
    return Seed(id=uuid.uuid4().hex, name=name, kind="chatgpt", **fields)


def a_blob(version: int = 1, data: bytes = b"sealed") -> Blob:
    return Blob(data=data, version=version)


@pytest.fixture
def database(mongo_uri: str) -> Iterator[Any]:
    """The database of the store, to look into it and to age it."""
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        yield client.get_default_database()


async def leased(store: MongoStore, seed: Seed) -> Lease:
    found = await store.acquire(holder="a test", ttl=TTL, seed_id=seed.id)
    assert found is not None
    return found[1]


# Answers that get lost (C15)


async def acquire(store: MongoStore, seed: Seed) -> object:
    found = await store.acquire(holder="a test", ttl=TTL, seed_id=seed.id, lease_id="lease-1")
    assert found is not None
    return (found[1].id, found[1].fence)


async def acquire_without_id(store: MongoStore, seed: Seed) -> object:
    return (await leased(store, seed)).fence


async def save(store: MongoStore, seed: Seed) -> object:
    saved = await store.save(
        seed.id,
        parent="first",
        blob=a_blob(2, b"next"),
        fingerprint="second",
        details={"plan": "pro"},
    )
    return (saved.version, saved.fingerprint, saved.details)


async def mark(store: MongoStore, seed: Seed) -> object:
    return await store.mark(seed.id, Status.DEAD, "it was refused", fingerprint="first", fence=0)


async def delete(store: MongoStore, seed: Seed) -> object:
    await store.delete(seed.id)
    return await store.list()


async def rename(store: MongoStore, seed: Seed) -> object:
    return (await store.change(seed.id, name="other")).name


async def reseal(store: MongoStore, seed: Seed) -> object:
    return await store.replace_blob(seed.id, a_blob(1, b"sealed anew"))


LOST = {
    "acquire": ("findAndModify", acquire, ("lease-1", 1)),
    "acquire without an id": ("findAndModify", acquire_without_id, 1),
    "save": ("findAndModify", save, (2, "second", {"plan": "pro"})),
    "mark": ("findAndModify", mark, True),
    "delete": ("findAndModify", delete, []),
    "rename": ("findAndModify", rename, "other"),
    "reseal": ("findAndModify", reseal, True),
    "find": ("aggregate", lambda store, seed: store.find(seed.name), None),
}


@asynccontextmanager
async def behind_proxy(uri: str, topology: Topology) -> AsyncIterator[tuple[MongoStore, Proxy]]:
    proxy = Proxy(shared_mongod(topology).socket)
    name = urlsplit(uri).path.strip("/")
    # The driver repeats a write itself where it can; here it is to be this store's own doing.
    options = "directConnection=true&retryWrites=false&retryReads=false"
    async with (
        proxy.listening() as port,
        MongoStore(f"mongodb://127.0.0.1:{port}/{name}?{options}") as store,
    ):
        yield store, proxy


@pytest.fixture
def local_uri(mongo_topology: Topology, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database on a server of ours, to whose socket a proxy can be put."""
    monkeypatch.delenv("CODEX_NB_TEST_MONGODB_URI", raising=False)
    with fresh_database(mongo_topology) as uri:
        yield uri


@pytest.mark.parametrize("name", LOST)
def test_an_operation_whose_answer_was_lost_is_done_once_and_tells_so(
    local_uri: str, mongo_topology: Topology, name: str
) -> None:
    word, operation, expected = LOST[name]

    async def test() -> None:
        async with behind_proxy(local_uri, mongo_topology) as (store, proxy):
            seed = await store.create(a_seed(), a_blob())
            proxy.lose_answer_to(word)
            got = await operation(store, seed)
            assert proxy.lost == 1
            assert got == (seed if name == "find" else expected)

    run(test())


def test_a_creation_whose_answer_was_lost_is_not_taken_for_somebody_elses(
    local_uri: str, mongo_topology: Topology
) -> None:
    async def test() -> None:
        async with behind_proxy(local_uri, mongo_topology) as (store, proxy):
            proxy.lose_answer_to("findAndModify")
            seed = await store.create(a_seed(), a_blob())
            assert proxy.lost == 1
            assert await store.list() == [seed]
            with pytest.raises(SeedTakenError):
                await store.create(seed, a_blob())

    run(test())


def test_a_lease_whose_release_or_renewal_was_not_answered(
    local_uri: str, mongo_topology: Topology
) -> None:
    async def test() -> None:
        async with behind_proxy(local_uri, mongo_topology) as (store, proxy):
            seed = await store.create(a_seed(), a_blob())
            lease = await leased(store, seed)
            proxy.lose_answer_to("findAndModify")
            renewed = await store.renew(lease, ttl=TTL)
            assert (renewed.id, renewed.fence) == (lease.id, lease.fence)
            intent = Intent(attempt="a", fence=1, parent="first", host="here", at=1.0)
            proxy.lose_answer_to("findAndModify")
            await store.begin_refresh(renewed, intent)
            assert (await store.find("one")).intent == intent
            proxy.lose_answer_to("findAndModify")
            assert await store.end_refresh(seed.id, "a")
            proxy.lose_answer_to("findAndModify")
            assert await store.release(renewed)
            assert proxy.lost == 4
            assert not await store.release(renewed)

    run(test())


def test_a_note_whose_answer_was_lost_is_replaced_once(
    local_uri: str, mongo_topology: Topology
) -> None:
    async def test() -> None:
        async with behind_proxy(local_uri, mongo_topology) as (store, proxy):
            proxy.lose_answer_to("update")
            assert await store.note("key", b"first") == b"first"
            proxy.lose_answer_to("update")
            assert await store.replace_note("key", b"first", b"next")
            assert proxy.lost == 2
            assert await store.note("key") == b"next"

    run(test())


# Servers that go away (C16)


async def save_until_it_fails(uri: str, several: asyncio.Event) -> int:
    """Save one login after the other; the last version that the store acknowledged."""
    async with MongoStore(uri, timeout=timedelta(milliseconds=500)) as store:
        seed = await store.find("one")
        for version in count(seed.version + 1):
            try:
                seed = await store.save(
                    seed.id,
                    parent=seed.fingerprint,
                    blob=a_blob(version, f"login {version}".encode()),
                    fingerprint=f"fingerprint {version}",
                    details={},
                )
            except StoreError:
                return seed.version
            if version % 4 == 0:
                several.set()
    raise AssertionError


def test_what_was_acknowledged_survives_a_killed_server(own_mongod: Mongod) -> None:
    async def test() -> None:
        uri = own_mongod.uri("seeds")
        async with MongoStore(uri) as store:
            await store.create(a_seed(), a_blob())
        for _ in range(2):
            several = asyncio.Event()
            saving = asyncio.create_task(save_until_it_fails(uri, several))
            await several.wait()
            await asyncio.to_thread(own_mongod.kill)
            acknowledged = await saving
            await asyncio.to_thread(own_mongod.start)
            async with MongoStore(uri) as store:
                found = await store.find("one")
                # The one that was under way may have been stored as well.
                assert found.version in (acknowledged, acknowledged + 1)
                assert found.fingerprint == f"fingerprint {found.version}"
                login = f"login {found.version}".encode()
                assert await store.read_blob(found.id) == a_blob(found.version, login)

    run(test())


def test_a_primary_that_steps_down_is_waited_for(start_mongod: StartMongod) -> None:
    server = start_mongod("replica set")

    async def test() -> None:
        async with MongoStore(server.uri("seeds")) as store:
            seed = await store.create(a_seed(), a_blob())
            stepping = asyncio.create_task(asyncio.to_thread(server.step_down))
            fences: list[int] = []
            while not stepping.done() or len(fences) < 3:
                lease = await leased(store, seed)
                fences.append(lease.fence)
                assert await store.release(lease)
            await stepping
            assert fences == list(range(1, len(fences) + 1))

    run(test())


def test_a_server_that_is_gone_is_told_in_one_sentence(start_mongod: StartMongod) -> None:
    server = start_mongod("standalone")

    async def test() -> None:
        uri = server.uri("seeds")
        async with MongoStore(uri, timeout=timedelta(milliseconds=200)) as store:
            await asyncio.to_thread(server.kill)
            with pytest.raises(StoreError) as error:
                await store.list()
            assert error.value.message == f"MongoDB at {store.uri} cannot be reached."
            assert error.value.hint

    run(test())


# URIs and users


@pytest.mark.parametrize(
    ("uri", "public"),
    [
        ("mongodb://db.example", "mongodb://db.example/codex_nb"),
        ("mongodb://ann:pass%40word@a:1,b/team?w=1", "mongodb://ann@a:1,b/team"),
        ("mongodb+srv://ann:word@db.example/team", "mongodb+srv://ann@db.example/team"),
    ],
)
def test_a_store_is_named_without_its_password(uri: str, public: str) -> None:
    store = MongoStore(uri)
    assert store.uri == public
    assert "word" not in repr(vars(store))


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "db.example",
        "http://db.example",
        "mongodb://",
        "mongodb://ann:pass@word@db.example",
        "mongodb://ann:password@db.example:port/team",
        "mongodb://ann:pass/word@db.example",
        "mongodb://ann:password@db.example/?tls=perhaps",
    ],
)
def test_a_uri_that_cannot_be_meant_is_refused_without_repeating_it(uri: str) -> None:
    with pytest.raises(StoreError) as error:
        MongoStore(uri)
    assert error.value.message == "The URI of the MongoDB server cannot be used."
    assert error.value.__cause__ is None
    assert "word" not in error.value.hint.replace("password", "")


def test_users_and_their_rights_are_judged(start_mongod: StartMongod) -> None:
    server = start_mongod("standalone", arguments=["--auth"])
    with server.client() as client:
        # Until there is a user, a server lets this machine make one.
        create = {"createUser": "root", "pwd": "word", "roles": ["root"]}
        client.admin.command(create)
    root = {"username": "root", "password": "word"}
    with pymongo.MongoClient[dict[str, Any]](server.uri(), **root) as client:  # type: ignore[arg-type]  # options
        for name, roles in (("writer", ["readWrite"]), ("reader", ["read"])):
            client["seeds"].command({"createUser": name, "pwd": "word", "roles": roles})

    def uri(user: str) -> str:
        return server.uri("seeds").replace("mongodb://", f"mongodb://{user}")

    async def opened(user: str) -> str:
        try:
            async with MongoStore(uri(user)) as store:
                await store.create(a_seed(), a_blob())
        except StoreError as exc:
            return re.sub(r"MongoDB at \S+", "it", exc.message)
        return "opened"

    async def test() -> None:
        assert {
            "writer": await opened("writer:word@"),
            "reader": await opened("reader:word@"),
            "wrong password": await opened("writer:sesame@"),
            "nobody": await opened(""),
        } == {
            "writer": "opened",
            "reader": "it does not let this user read and write the database.",
            "wrong password": "it does not take the user and password.",
            "nobody": "it does not let this user read and write the database.",
        }
        states = {found.name: found.state for found in await examine_server(uri("reader:word@"))}
        assert states == {
            "version": "ok",
            "topology": "ok",
            "durable writes": "fail",
            "clock": "fail",
            "lease": "fail",
            "conditional update": "fail",
            "unique account": "fail",
            "large logins": "fail",
        }
        found = await examine_server(uri("writer:sesame@"))
        assert [(line.name, line.state) for line in found] == [("connection", "fail")]
        assert "sesame" not in repr(found)

    run(test())


# The doctor


def test_the_doctor_finds_nothing_wrong_and_leaves_nothing_behind(
    mongo_uri: str, mongo_topology: Topology, database: Any
) -> None:
    async def test() -> None:
        async with MongoStore(mongo_uri) as store:
            before = database.list_collection_names()
            findings = await store.examine()
            assert [(found.name, found.state) for found in findings] == [
                ("version", "ok"),
                ("topology", "ok"),
                ("durable writes", "ok"),
                ("clock", "ok"),
                ("lease", "ok"),
                ("conditional update", "ok"),
                ("unique account", "ok"),
                ("large logins", "ok"),
            ]
            kinds = {"replica set": "A replica set", "standalone": "One server"}
            assert findings[1].text.startswith(kinds[mongo_topology])
            assert all(found.text.endswith(".") for found in findings)
            assert database.list_collection_names() == before

    run(test())


async def diagnosis(uri: str, folder: Path) -> tuple[dict[str, str], bool]:
    """What the verb `doctor` finds, and whether it is content."""
    answer = await perform(
        parsed(seed_parser("codex-nb seed"), ["doctor"]),
        SeedSettings(store=uri),
        Terminal(),
        environment={"XDG_STATE_HOME": str(folder), "CODEX_NB_KEY": Key.new().secret.hex()},
    )
    assert isinstance(answer.data, list)
    lines = [obj(line) for line in answer.data]
    return {str(line["name"]): str(line["state"]) for line in lines}, answer.is_good


def test_the_verb_doctor_says_what_a_user_without_rights_lacks_and_changes_nothing(
    start_mongod: StartMongod, tmp_path: Path
) -> None:
    server = start_mongod("standalone", arguments=["--auth"])
    with server.client() as client:
        create = {"createUser": "root", "pwd": "word", "roles": ["root"]}
        client.admin.command(create)
    root = {"username": "root", "password": "word"}
    with pymongo.MongoClient[dict[str, Any]](server.uri(), **root) as client:  # type: ignore[arg-type]  # options
        client["seeds"].command({"createUser": "reader", "pwd": "word", "roles": ["read"]})

        uri = server.uri("seeds").replace("mongodb://", "mongodb://reader:word@")
        states, is_good = run(diagnosis(uri, tmp_path))

        assert not is_good
        assert (states["version"], states["lease"]) == ("ok", "fail")
        assert "store" not in states
        assert client["seeds"].list_collection_names() == []


def test_the_verb_doctor_probes_a_server_before_it_opens_the_store(
    mongo_uri: str, tmp_path: Path
) -> None:
    states, is_good = run(diagnosis(mongo_uri, tmp_path))

    assert is_good
    assert next(iter(states)) == "version"
    assert [*states][-3:] == ["key", "logins", "spool"]


def test_the_doctor_tells_of_a_replica_set_that_was_not_begun(start_mongod: StartMongod) -> None:
    server = start_mongod("standalone", arguments=["--replSet", "never-begun"], is_ready=False)
    found = run(examine_server(server.uri("seeds"), timeout=timedelta(milliseconds=200)))
    assert [(line.name, line.state) for line in found] == [("connection", "fail")]
    assert "that its replica set has a primary" in found[0].text


# Large logins


def test_a_large_login_and_the_one_before_it_are_kept_in_parts(
    mongo_uri: str, database: Any
) -> None:
    async def test() -> None:
        async with MongoStore(mongo_uri) as store:
            seed = await store.create(a_seed(), a_blob(1, LARGE))
            fingerprints = ["first", "second", "third", "fourth"]
            for version, (parent, new) in enumerate(pairwise(fingerprints), start=2):
                blob = a_blob(version, LARGE + new.encode())
                await store.save(seed.id, parent=parent, blob=blob, fingerprint=new, details={})
                # Saying it again changes nothing and leaves nothing behind.
                await store.save(seed.id, parent=parent, blob=blob, fingerprint=new, details={})
            assert await store.read_blob(seed.id) == a_blob(4, LARGE + b"fourth")
            assert await store.read_blob(seed.id, previous=True) == a_blob(3, LARGE + b"third")
            assert database["blobs.files"].count_documents({}) == 2
            assert database["uploads"].count_documents({}) == 2
            assert await store.replace_blob(seed.id, a_blob(4))
            assert database["blobs.chunks"].count_documents({}) == 0
            await store.replace_blob(seed.id, a_blob(4, LARGE))
            await store.delete(seed.id)
            assert database["blobs.chunks"].count_documents({}) == 0
            assert database["uploads"].count_documents({}) == 0

    run(test())


def test_a_login_whose_parts_are_missing_is_an_error_and_no_login(
    mongo_uri: str, database: Any
) -> None:
    async def test() -> None:
        async with MongoStore(mongo_uri) as store:
            seed = await store.create(a_seed(), a_blob(1, LARGE))
            database["blobs.chunks"].delete_one({"n": 1})
            with pytest.raises(StoreError, match="Parts of a stored login are missing"):
                await store.read_blob(seed.id)

    run(test())


def test_what_was_refused_leaves_no_parts(mongo_uri: str, database: Any) -> None:
    async def test() -> None:
        async with MongoStore(mongo_uri) as store:
            seed = await store.create(a_seed(), a_blob())
            large = a_blob(2, LARGE)
            for attempt in (
                store.create(seed, large),
                store.create(a_seed(seed.name, account="other"), large),
                store.save(seed.id, parent="no", blob=large, fingerprint="new", details={}),
            ):
                with pytest.raises(SeedError):
                    await attempt
            assert not await store.replace_blob(seed.id, large)
            assert database["blobs.files"].count_documents({}) == 0

    run(test())


def test_parts_that_no_seed_names_go_after_a_day_and_not_before(
    mongo_uri: str, database: Any
) -> None:
    async def test() -> None:
        async with MongoStore(mongo_uri) as store:
            seed = await store.create(a_seed(), a_blob(1, LARGE))
            # What an upload leaves that was cut off early, and one that ended before its seed did.
            now = await store.now()
            database["blobs.chunks"].insert_one({"files_id": "cut off", "n": 0, "data": b"part"})
            for file, age in (("cut off", 25), ("fresh", 23)):
                database["uploads"].insert_one({"_id": file, "at": now - age * 3600})
            database["uploads"].update_one(
                {"_id": {"$nin": ["cut off", "fresh"]}}, {"$set": {"at": now - 90_000}}
            )
            assert await store.collect() == 1
            assert await store.collect() == 0
            assert database["blobs.chunks"].count_documents({"files_id": "cut off"}) == 0
            assert database["uploads"].count_documents({}) == 2
            assert await store.read_blob(seed.id) == a_blob(1, LARGE)

    run(test())


def test_tombstones_go_after_thirty_days(mongo_uri: str, database: Any) -> None:
    async def test() -> None:
        async with MongoStore(mongo_uri) as store:
            seeds = [await store.create(a_seed(name), a_blob()) for name in ("old", "new")]
            for seed in seeds:
                await store.delete(seed.id)
            graves = database["graves"]
            graves.update_one({"_id": seeds[0].id}, {"$inc": {"at": -31 * 24 * 3600}})
            assert await store.collect() == 1
            assert [grave["_id"] for grave in graves.find()] == [seeds[1].id]

    run(test())


def test_a_seed_that_comes_back_gets_no_fence_again(mongo_uri: str) -> None:
    async def test() -> None:
        async with MongoStore(mongo_uri) as store:
            seed = await store.create(a_seed(), a_blob())
            fences = []
            for _ in range(3):
                lease = await leased(store, seed)
                fences.append(lease.fence)
                await store.release(lease)
                await store.delete(seed.id)
                seed = await store.create(seed, a_blob())
            assert fences == [1, 2, 3]

    run(test())


# Clocks and loops


class Commands(monitoring.CommandListener):
    """Every command that a client sends."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.sent.append(event.command)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to be kept."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to be kept."""


def numbers_in(value: object) -> list[float]:
    """All numbers, however deep."""
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers_in(part)]
    if isinstance(value, list | tuple):
        return [number for part in value for number in numbers_in(part)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


@pytest.fixture
def commands() -> Iterator[Commands]:
    """The commands that are sent during a test."""
    listener = Commands()
    # A store takes no listener; what is registered for all clients stays unless it is removed.
    monitoring.register(listener)
    yield listener
    monitoring._LISTENERS.command_listeners.remove(listener)


def test_no_time_of_a_client_reaches_the_server(mongo_uri: str, commands: Commands) -> None:
    async def test() -> None:
        async with MongoStore(mongo_uri) as store:
            seed = await store.create(replace(a_seed(), created_at=5.0, updated_at=6.0), a_blob())
            assert await store.list() == [seed]
            lease = await store.renew(await leased(store, seed), ttl=TTL)
            await store.begin_refresh(
                lease, Intent(attempt="a", fence=1, parent="first", host="here", at=7.0)
            )
            await save(store, seed)
            await mark(store, seed)
            await store.release(lease)
            await store.break_lease(seed.id)
            await store.collect()
            await store.delete(seed.id)

    run(test())
    ours = [
        {key: value for key, value in command.items() if not key.startswith(("lsid", "$", "txn"))}
        for command in commands.sent
    ]
    names = {next(iter(command)) for command in ours}
    assert {"findAndModify", "update", "delete", "aggregate"} <= names
    # A time of now, in seconds or in milliseconds, is larger than anything else that is sent.
    assert max(numbers_in(ours)) < 10_000_000
    assert "datetime" not in repr(ours)


def test_a_store_belongs_to_the_loop_in_which_it_was_opened(mongo_uri: str) -> None:
    async def open_and_leave() -> MongoStore:
        store = MongoStore(mongo_uri)
        await store.__aenter__()
        return store

    async def use(store: MongoStore) -> None:
        with pytest.raises(StoreError, match="another event loop"):
            await store.list()

    with asyncio.Runner() as runner:
        store = runner.run(open_and_leave())
        run(use(store))
        runner.run(store.__aexit__(None, None, None))
    with pytest.raises(StoreError, match="not open"):
        run(store.list())


def test_a_store_of_a_later_version_is_left_alone(mongo_uri: str, database: Any) -> None:
    async def test() -> None:
        async with MongoStore(mongo_uri) as store:
            identity = store.id
        database["notes"].update_one({"_id": "store"}, {"$set": {"schema": 2}})
        with pytest.raises(StoreError, match="later version"):
            async with MongoStore(mongo_uri):
                pass
        database["notes"].update_one({"_id": "store"}, {"$set": {"schema": 1}})
        async with MongoStore(mongo_uri) as store:
            assert store.id == identity

    run(test())


def test_many_who_open_a_new_store_at_once_open_the_same(mongo_uri: str) -> None:
    async def identity() -> str:
        async with MongoStore(mongo_uri) as store:
            return store.id

    async def test() -> None:
        assert len(set(await asyncio.gather(*(identity() for _ in range(8))))) == 1

    run(test())


def test_a_login_is_kept_even_if_another_seed_has_the_account_by_now(mongo_uri: str) -> None:
    async def test() -> None:
        async with MongoStore(mongo_uri) as store:
            old = await store.create(a_seed("old", account="same"), a_blob())
            await store.mark(old.id, Status.RETIRED, "a person took it out of use")
            await store.create(a_seed("new", account="same"), a_blob())
            saved = await store.save(
                old.id, parent="first", blob=a_blob(2), fingerprint="second", details={}
            )
            assert (saved.status, saved.version, saved.fingerprint) == (Status.RETIRED, 2, "second")

    run(test())
