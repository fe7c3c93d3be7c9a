"""Seeds of the older system: documents and archives as its code wrote them, read and imported."""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import gridfs
import pymongo
import pytest

from codex_nb.errors import StoreError
from codex_nb.seeds.archive import unpack
from codex_nb.seeds.auth import Login
from codex_nb.seeds.legacy import Imported, LegacySeed, import_legacy, legacy_seeds
from codex_nb.seeds.mongo import MongoStore
from codex_nb.seeds.move import Side
from codex_nb.seeds.records import Seed, Status
from codex_nb.seeds.vault import Fingerprints, Key, Vault
from tests.seeds.mongod import fresh_database
from tests.support.openai_state import OpenAIState
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AUTHORITY = OpenAIState(strict=True)
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
KEY = Key.new()


def an_archive(auth: bytes, config: bytes = b'model = "gpt-5"\nnotify = ["rm"]\n') -> bytes:
    """What `tar -czf … -C <home> .codex/auth.json .codex/config.toml` writes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in ((".codex/auth.json", auth), (".codex/config.toml", config)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


class OldSystem:
    """The database of an older system."""

    def __init__(self, uri: str, database: Any) -> None:
        self.uri = uri
        self.database = database
        self._bucket = gridfs.GridFSBucket(database)

    def add(self, archive: bytes | None, **fields: object) -> str:
        """A seed, as its capture left it; the id."""
        document: dict[str, object] = {"createdAt": AT, "manifestVersion": 1}
        if archive is not None:
            document["blobId"] = self._bucket.upload_from_stream("seed", archive)
        return str(self.database["app_codex_seeds"].insert_one(document | fields).inserted_id)

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All documents of all collections."""
        names = sorted(self.database.list_collection_names())
        return {name: list(self.database[name].find()) for name in names}


@pytest.fixture
def old(mongo_uri: str) -> Iterator[OldSystem]:
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        yield OldSystem(mongo_uri, client.get_default_database())


def auth_json(account: str = "one") -> bytes:
    return AUTHORITY.auth_json(account, expires_in=3600)


def imported(old: OldSystem, seeds: Sequence[LegacySeed]) -> tuple[list[Imported], list[Seed]]:
    """What becomes of seeds, imported twice, and what is in the store then."""

    async def go(uri: str) -> tuple[list[Imported], list[Seed]]:
        async with MongoStore(uri) as store:
            vault = Vault([KEY])
            side = Side(store=store, vault=vault, fingerprints=Fingerprints(b"secret"))
            results = list(await import_legacy(seeds, side))
            kept = list(await store.list())
            for seed, result in zip(kept, await import_legacy(seeds, side), strict=False):
                assert result.seed is None, seed
            assert await store.list() == kept
            for seed in kept:
                login, config = unpack(await side.payload(seed))
                assert seed.account == side.fingerprints.account(login)
                assert config == {"model": "gpt-5"}
            return results, kept

    with fresh_database("replica set") as uri:
        return run(go(uri))


def test_a_seed_is_read_with_all_that_was_known_of_it(old: OldSystem) -> None:
    archive = an_archive(auth_json())
    checked = {"alive": True, "checkedAt": AT}
    seed_id = old.add(
        archive,
        updatedAt=AT + timedelta(hours=1),
        poolKey="team",
        status="dead",
        lease=None,
        lastLeasedAt=AT + timedelta(hours=2),
        metadata={"verify": checked, "label": "Ann's login", "accounts": ["a"]},
    )
    before = old.everything()
    (seed,) = run(legacy_seeds(old.uri, "app"))
    assert seed == LegacySeed(
        id=seed_id,
        pool="team",
        is_dead=True,
        dates={
            "createdAt": AT.timestamp(),
            "updatedAt": AT.timestamp() + 3600,
            "lastLeasedAt": AT.timestamp() + 7200,
        },
        metadata={
            "verify": {"alive": True, "checkedAt": {"$date": "2026-03-01T12:30:00Z"}},
            "label": "Ann's login",
            "accounts": ["a"],
        },
        blob=archive,
    )
    assert seed.name == "Ann-s-login"
    assert old.everything() == before


def test_seeds_come_into_a_store_as_they_were(old: OldSystem) -> None:
    ids = [
        old.add(an_archive(auth_json("one")), poolKey="team"),
        old.add(an_archive(auth_json("two")), status="dead", metadata={"label": "two"}),
        old.add(an_archive(auth_json("three")), status="alive", metadata={"label": "two"}),
    ]
    before = old.everything()
    results, kept = imported(old, run(legacy_seeds(old.uri, "app")))
    assert [result.trouble for result in results] == ["", "", ""]
    names = [f"legacy-{ids[0][-6:]}", "two", f"two-{ids[2][-6:]}"]
    assert [result.seed.name for result in results if result.seed] == names
    assert {seed.name: (seed.pool, seed.status, seed.reason) for seed in kept} == {
        names[0]: ("team", Status.ALIVE, ""),
        names[1]: ("", Status.DEAD, "the older system marked it dead"),
        names[2]: ("", Status.ALIVE, ""),
    }
    assert {str(seed.details["email"]) for seed in kept} == {
        Login.parse(auth_json(account)).email for account in ("one", "two", "three")
    }
    assert [result.seed.details["legacy"] for result in results if result.seed] == [
        {"id": each, "dates": {"createdAt": AT.timestamp()}} for each in ids
    ]
    assert old.everything() == before


def test_a_seed_that_is_in_use_is_not_copied(old: OldSystem) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    lease = {"holder": "process 12", "expiresAt": now + timedelta(hours=1)}
    old.add(an_archive(auth_json("one")), lease=lease)
    over = {"holder": "process 13", "expiresAt": now - timedelta(hours=1)}
    old.add(an_archive(auth_json("two")), lease=over)
    seeds = run(legacy_seeds(old.uri, "app"))
    assert [(seed.holder, seed.held_until) for seed in seeds] == [
        ("process 12", (now + timedelta(hours=1)).timestamp()),
        ("", 0.0),
    ]
    results, kept = imported(old, seeds)
    until = (now + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S UTC")
    assert [result.trouble for result in results] == [f"process 12 uses it until {until}.", ""]
    assert [seed.id for seed in kept] == [results[1].seed.id if results[1].seed else ""]


def test_what_cannot_be_read_is_told_and_keeps_nothing_else_back(old: OldSystem) -> None:
    archive = an_archive(auth_json("good"))
    missing = old.add(archive)
    files = old.database["fs.files"]
    files.delete_one({"_id": files.find_one()["_id"]})
    part = old.add(archive)
    old.database["fs.chunks"].delete_one({"files_id": files.find_one()["_id"]})
    old.add(None)
    old.add(archive[: len(archive) // 2])
    old.add(an_archive(b"{}"))
    old.add(archive)
    seeds = run(legacy_seeds(old.uri, "app"))
    assert [seed.id for seed in seeds[:2]] == [missing, part]
    before = old.everything()
    results, kept = imported(old, seeds)
    assert [result.trouble for result in results] == [
        "Its archive is missing in the database.",
        "Its archive is missing in the database.",
        "Its archive is missing in the database.",
        "The archive of the seed is cut off, or far too large.",
        results[4].trouble,
        "",
    ]
    assert "log" in results[4].trouble
    assert len(kept) == 1
    assert old.everything() == before


def test_a_second_copy_of_an_account_is_told(old: OldSystem) -> None:
    for _ in range(2):
        old.add(an_archive(auth_json("one")))
    results, kept = imported(old, run(legacy_seeds(old.uri, "app")))
    assert [result.trouble for result in results] == [
        "",
        "Another usable seed of that pool has the same account.",
    ]
    assert len(kept) == 1


def test_archives_are_decrypted_and_a_wrong_key_is_no_dead_login(old: OldSystem) -> None:
    archive = an_archive(auth_json())
    old.add(archive[::-1])

    def decrypt(data: bytes) -> bytes:
        return data[::-1]

    def fail(data: bytes) -> bytes:
        raise ValueError(data)

    (seed,) = run(legacy_seeds(old.uri, "app", decrypt=decrypt))
    assert seed.blob == archive
    (seed,) = run(legacy_seeds(old.uri, "app", decrypt=fail))
    assert (seed.blob, seed.trouble) == (None, "Its archive does not open with this key.")
    assert not seed.is_dead


def test_an_older_system_without_seeds_has_none(old: OldSystem) -> None:
    assert run(legacy_seeds(old.uri, "other")) == []


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(StoreError, match="cannot be reached"):
        run(legacy_seeds("mongodb://127.0.0.1:1/x", "app", timeout=timedelta(milliseconds=100)))
