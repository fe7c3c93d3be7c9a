"""The connection to a MongoDB server, which is asked again after an unclear answer.

A connection can break after the server did what it was asked and before it said so. Every operation
that comes here can therefore be repeated: its repetition has the same outcome, and tells it. The
repetitions end when the server was not heard for as long as one waits for a server at all.

No URI is logged or put into an error: it may hold a password. Checked with pymongo 4.20.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from pymongo import AsyncMongoClient, ReadPreference, WriteConcern
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    ConnectionFailure,
    InvalidURI,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)
from pymongo.uri_parser import parse_uri

from codex_nb.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from pymongo.asynchronous.database import AsyncDatabase

    from codex_nb.seeds.mongo.documents import Document

T = TypeVar("T")

_DEFAULT_DATABASE = "codex_nb"
_WRITE_LIMIT = 10_000
"""Milliseconds for a majority of the servers to have a write in their journals."""

_AUTHENTICATION = {18, 8000}
_UNAUTHORIZED = {13}
_DISK_FULL = {14031, 28}
_INTERRUPTED = {91, 189, 11600, 11602}
"""The server shuts down, or another becomes the primary."""


class Link:
    """A client of one server or replica set, and one database of it.

    Args:
        uri: As of MongoDB; its path names the database.
        timeout: How long to look for a server that can be written to.

    Raises:
        StoreError: The URI cannot be meant.
    """

    def __init__(self, uri: str, *, timeout: timedelta) -> None:
        self._uri = uri
        self._timeout = timeout.total_seconds()
        self.uri, self.database_name = _public(uri)
        self._client: AsyncMongoClient[Document] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Connect, and find out whether the server answers.

        Raises:
            StoreError: It does not, or refuses us.
        """
        milliseconds = round(self._timeout * 1000)
        try:
            self._client = AsyncMongoClient(
                self._uri,
                serverSelectionTimeoutMS=milliseconds,
                connectTimeoutMS=milliseconds,
                socketTimeoutMS=milliseconds * 4,
                appname="codex_nb",
            )
        except (ConfigurationError, TypeError, ValueError):
            # Its text may hold the URI.
            raise _malformed() from None
        self._loop = asyncio.get_running_loop()
        try:
            await self.ask(lambda _: self.database.command("ping"))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @property
    def client(self) -> AsyncMongoClient[Document]:
        """The client, for the event loop in which it was opened.

        Raises:
            StoreError: It is not open, or this is another event loop.
        """
        if self._client is None:
            raise StoreError("The store is not open.", hint="Enter it with `async with`.")
        if asyncio.get_running_loop() is not self._loop:
            raise StoreError(
                "The store was opened in another event loop.", hint="Open one for each event loop."
            )
        return self._client

    @property
    def database(self) -> AsyncDatabase[Document]:
        """The database, with the promises that every write of ours needs."""
        return self.client.get_database(
            self.database_name,
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern(w="majority", j=True, wtimeout=_WRITE_LIMIT),
        )

    async def ask(self, operation: Callable[[bool], Awaitable[T]]) -> T:
        """The outcome of an operation that can be repeated.

        Args:
            operation: Is told whether an earlier try of it may have taken place.

        Raises:
            StoreError: The server cannot be reached, or refuses.
        """
        end, pause, is_repeated = None, 0.05, False
        loop = asyncio.get_running_loop()
        while True:
            try:
                if is_repeated:
                    await self._settle()
                return await operation(is_repeated)
            except PyMongoError as exc:
                end = loop.time() + self._timeout if end is None else end
                if not _is_unclear(exc) or loop.time() > end:
                    raise self.translated(exc) from exc
            is_repeated = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.5)

    async def _settle(self) -> None:
        # Changes nothing, and is confirmed once a majority has whatever the server did before: an
        # earlier try that is found done now cannot be undone by a change of the primary.
        await self.database.notes.update_one({"_id": ""}, {"$set": {"_id": ""}})

    def translated(self, error: PyMongoError) -> StoreError:
        """What an error of the library means to a person."""
        where = f"MongoDB at {self.uri}"
        if isinstance(error, NotPrimaryError):
            return StoreError(
                f"{where} has no server that takes writes now.",
                hint="Wait until the replica set has a primary, and name all its members.",
            )
        if isinstance(error, ConnectionFailure):
            return StoreError(
                f"{where} cannot be reached.",
                hint="Check that the server runs, that its replica set has a primary, and that "
                "this machine may connect to it.",
            )
        if isinstance(error, WTimeoutError):
            return StoreError(
                f"{where} did not get a majority of its servers to confirm a write.",
                hint="Check that most members of the replica set run.",
            )
        if isinstance(error, OperationFailure):
            return _refused(where, error)
        if isinstance(error, ConfigurationError):
            return _malformed()
        return StoreError(f"{where} failed: {type(error).__name__}.")


def _is_unclear(error: PyMongoError) -> bool:
    """Whether the server may have done what it was asked, or may do it when asked again."""
    if isinstance(error, ServerSelectionTimeoutError):
        return False
    return (
        isinstance(error, AutoReconnect | WriteConcernError)
        or error.has_error_label("RetryableWriteError")
        or (isinstance(error, OperationFailure) and error.code in _INTERRUPTED)
    )


def _refused(where: str, error: OperationFailure) -> StoreError:
    if error.code in _AUTHENTICATION:
        return StoreError(
            f"{where} does not take the user and password.",
            hint="Check both, and name the user's database with `authSource=`.",
        )
    if error.code in _UNAUTHORIZED:
        return StoreError(
            f"{where} does not let this user read and write the database.",
            hint="Give the user the role readWrite on it.",
        )
    if error.code in _DISK_FULL:
        return StoreError(f"{where} has no room left.", hint="Make room on its disk.")
    name = (error.details or {}).get("codeName", "an unnamed error")
    return StoreError(
        f"{where} refused an operation: {name} ({error.code}).",
        hint="See what the server lacks with `codex-nb store doctor`.",
    )


def _public(uri: str) -> tuple[str, str]:
    """The URI without password and options, and the name of the database."""
    try:
        # As if servers were named: DNS, where mongodb+srv finds them, would have to be waited for.
        # An option with a typing error is refused, lest `tls` be one.
        scheme, _, rest = uri.partition("://")
        parts: dict[str, Any] = parse_uri(f"mongodb://{rest}", warn=False)
        if scheme not in ("mongodb", "mongodb+srv"):
            raise InvalidURI
    except (PyMongoError, TypeError, ValueError):
        raise _malformed() from None
    database = parts["database"] or _DEFAULT_DATABASE
    hosts = rest.partition("?")[0].partition("/")[0].rpartition("@")[2]
    user = f"{parts['username']}@" if parts["username"] else ""
    return f"{scheme}://{user}{hosts}/{database}", database


def _malformed() -> StoreError:
    return StoreError(
        "The URI of the MongoDB server cannot be used.",
        hint='Write mongodb://user:password@host:27017/database, with "%40" for an "@" in the '
        'password; mongodb+srv needs `pip install "pymongo[srv]"`.',
    )


__all__ = ["Link"]
