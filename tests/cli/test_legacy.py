"""Taking the seeds of the older system over, as whoever runs it does: on the command line."""

from __future__ import annotations

import base64
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from tests.seeds.mongod import TOPOLOGIES, Topology, end_shared, fresh_database
from tests.seeds.test_legacy import AUTHORITY, OldSystem, an_archive
from tests.support.openai_state import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Command, Done

TOLD = "Stop the older system before these seeds are used: it has the same logins.\n"


@pytest.fixture(scope="module", autouse=True)
def _no_server_left() -> Iterator[None]:
    """End the servers that only this file started."""
    yield
    end_shared()


@pytest.fixture(params=TOPOLOGIES)
def old(request: pytest.FixtureRequest) -> Iterator[OldSystem]:
    """The empty database of an older system, on each kind of server in turn."""
    topology: Topology = request.param
    with (
        fresh_database(topology) as uri,
        pymongo.MongoClient[dict[str, Any]](uri) as client,
    ):
        yield OldSystem(uri, client.get_default_database())


def archive_of(account: str) -> bytes:
    return an_archive(AUTHORITY.auth_json(account, expires_in=3600))


def take(command: Command, old: OldSystem, *words: str) -> Done:
    return command("seed", "import", old.uri, "--legacy", "app", *words)


def test_all_seeds_are_listed_with_their_new_names_and_work_from_then_on(
    command: Command, old: OldSystem
) -> None:
    ann = old.add(archive_of("ann"), poolKey="team", metadata={"label": "Ann's login"})
    bob = old.add(archive_of("bob"), status="dead")
    before = old.everything()

    done = take(command, old)

    assert (done.status, done.err) == (0, TOLD)
    assert [line.split() for line in done.out.splitlines()] == [
        ["older", "id", "name", "trouble"],
        [ann, "Ann-s-login"],
        [bob, f"legacy-{bob[-6:]}"],
    ]
    listed = command("seed", "list", "--json").json
    assert isinstance(listed, list)
    assert {
        str(seed["name"]): (seed["pool"], seed["kind"], seed["status"], seed["reason"])
        for seed in listed
        if isinstance(seed, dict)
    } == {
        "Ann-s-login": ("team", "chatgpt", "alive", ""),
        f"legacy-{bob[-6:]}": ("", "chatgpt", "dead", "the older system marked it dead"),
    }
    assert command("seed", "verify", "Ann-s-login").status == 0
    assert old.everything() == before


def test_what_stays_behind_is_told_and_makes_the_command_fail(
    command: Command, old: OldSystem
) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    used = old.add(archive_of("ann"), lease={"holder": "process 12", "expiresAt": until})
    lost = old.add(None)
    good = old.add(archive_of("bob"))

    done = take(command, old, "--json")

    assert done.status == 1
    assert isinstance(done.json, list)
    told = [each for each in done.json if isinstance(each, dict)]
    assert [(each["older_id"], each["trouble"], each["seed"] is not None) for each in told] == [
        (used, f"process 12 uses it until {until:%Y-%m-%d %H:%M:%S} UTC.", False),
        (lost, "Its archive is missing in the database.", False),
        (good, "", True),
    ]
    assert MARKER not in json.dumps(done.json) + done.err


ENCRYPTED = """
import base64

def reveal(data: bytes) -> bytes:
    return base64.b85decode(data[::-1])

def fail(data: bytes) -> bytes:
    raise RuntimeError(data)
"""


def test_what_the_older_system_encrypted_is_opened_by_a_function_of_ones_own(
    command: Command, old: OldSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.add(base64.b85encode(archive_of("ann"))[::-1], metadata={"label": "ann"})
    (tmp_path / "old_crypto_for_test.py").write_text(ENCRYPTED)
    monkeypatch.setenv("OLD", old.uri)

    def taken(function: str) -> Done:
        words = ("env:OLD", "--legacy", "app", "--decrypt", function)
        return command("seed", "import", *words)

    missing = [taken(name) for name in ("nothing:reveal", "old_crypto_for_test:no", ":")]
    failed = taken("old_crypto_for_test:fail")
    done = taken("old_crypto_for_test:reveal")

    assert [each.status for each in missing] == [2, 2, 2]
    assert all("MODULE:FUNCTION" in each.err for each in missing)
    assert (failed.status, "does not open with this key" in failed.out) == (1, True)
    assert (done.status, done.out.splitlines()[1].split()[1]) == (0, "ann")
    assert command("seed", "verify", "ann").status == 0
    assert str(tmp_path) not in sys.path


def test_taking_them_over_again_makes_no_second_copy(command: Command, old: OldSystem) -> None:
    old.add(archive_of("ann"), metadata={"label": "ann"})
    assert take(command, old).status == 0
    before = command("seed", "list", "--json").json

    again = take(command, old)

    assert again.status == 1
    assert "ann" not in again.out.splitlines()[1].split()
    assert command("seed", "list", "--json").json == before


def test_they_go_into_the_shared_store_of_the_same_server(command: Command, old: OldSystem) -> None:
    old.add(archive_of("ann"), metadata={"label": "ann"})

    assert take(command, old, "--store", old.uri).status == 0

    assert command("seed", "list", "--store", old.uri).out.splitlines()[1].startswith("ann ")
    assert command("seed", "list").out.startswith("There are no seeds")
    assert old.database["app_codex_seeds"].count_documents({}) == 1


def test_a_prefix_without_seeds_is_told(command: Command, old: OldSystem) -> None:
    done = take(command, old)

    assert (done.status, done.out) == (0, "There are no seeds of that prefix.\n")
