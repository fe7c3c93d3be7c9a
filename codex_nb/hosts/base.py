"""What a host must be able to do: run processes and keep files.

Everything that touches a file or a process of the machine where codex runs goes through a `Host`,
so that another machine can take the place of this one. Paths are those of the host, as strings.
Every failure of the machine is a `HostError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

OUTPUT_LIMIT = 8 * 1024 * 1024
"""The most bytes that `Host.run` takes from each of stdout and stderr."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A process that ran to its end.

    Attributes:
        exit_status: 0 to 255, or the negative number of the signal that ended it.
        stdout: Everything it wrote there.
        stderr: Everything it wrote there.
    """

    exit_status: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What programs must have been built for, in the words of `uname`.

    Attributes:
        system: "Linux", "Darwin" and the like.
        machine: "x86_64", "aarch64", "arm64" and the like.
    """

    system: str
    machine: str


class Process(Protocol):
    """A running process, the leader of a process group of its own.

    What is left of the group when the leader ends is killed. Each stream has one reader at a time.
    """

    @property
    def pid(self) -> int:
        """The process id on its host, which is the id of its group as well."""

    async def read_stdout(self) -> bytes:
        """Some bytes as soon as there are any; empty at the end.

        What is not read makes the process wait.
        """

    async def read_stderr(self) -> bytes:
        """Some bytes as soon as there are any; empty at the end."""

    async def write_stdin(self, data: bytes) -> None:
        """Hand bytes over, and wait while the process is far behind with reading.

        The bytes are taken before the first wait: cancelling never cuts them, calls never mix.

        Raises:
            HostError: The process does not read any more.
        """

    async def close_stdin(self) -> None:
        """Tell the process that no more input comes; harmless when it is gone."""

    async def wait(self) -> int:
        """The exit status, negative for a signal, as soon as the process itself ended."""

    def signal(self, signum: int) -> None:
        """Send a signal to the whole group; nothing happens when the process has ended."""


class Channel(Protocol):
    """A connection to a unix socket of a host. Each direction has one user at a time."""

    async def read(self) -> bytes:
        """Some bytes as soon as there are any; empty at the end.

        What is not read makes the other side wait.
        """

    async def write(self, data: bytes) -> None:
        """Hand bytes over, and wait while the other side is far behind with reading.

        The bytes are taken before the first wait: cancelling never cuts them, calls never mix.

        Raises:
            HostError: The other side hung up.
        """

    async def close(self) -> None:
        """Hang up. Doing it again is fine."""


class Pty(Protocol):
    """A program in a pseudo-terminal. Each direction has one user at a time."""

    async def read(self) -> bytes:
        """Some bytes as soon as there are any; empty when it ended, or its connection.

        What is not read makes the program wait.
        """

    async def write(self, data: bytes) -> None:
        """Type, and wait while the program is far behind with reading.

        Raises:
            HostError: It has ended.
        """

    def resize(self, columns: int, rows: int) -> None:
        """Tell it how large it is."""

    async def close(self) -> None:
        """Hang up. Doing it again is fine."""


class Host(Protocol):
    """A machine, as one user sees it."""

    @property
    def name(self) -> str:
        """What a person calls the host: "local" for this one."""

    @property
    def endures(self) -> bool:
        """Whether processes go on while the host is out of reach; what `connect` made does not."""

    def patience(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """A limit of time for what the host does, as `asyncio.timeout` is one.

        It does not run while the host is out of reach.
        """

    async def start(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str]) -> Process:
        """Start a process with exactly this environment, in a session and group of its own.

        Raises:
            HostError: The program or the folder does not exist or cannot be used.
        """

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        timeout: float,
        stdin: bytes = b"",
    ) -> Completed:
        """Run a process to its end. Its group never outlives the call, however that ends.

        Raises:
            HostError: It could not start, took longer than `timeout` seconds, or wrote more than
                OUTPUT_LIMIT.
        """

    async def connect(self, path: str) -> Channel:
        """Connect to a unix socket.

        Raises:
            HostError: Nobody listens there.
        """

    async def make_folder(self, path: str, *, mode: int = 0o700) -> None:
        """Make a folder, and those above it, with this mode; one that exists stays as it is."""

    async def write_file(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        """Write a file so that a reader sees the old content or the new, never a part."""

    async def read_file(self, path: str, *, limit: int) -> bytes:
        """The content of a file.

        Raises:
            HostError: It cannot be read, or is longer than `limit` bytes.
        """

    async def exists(self, path: str) -> bool:
        """Whether there is anything of this name; a link counts, wherever it leads."""

    async def is_folder(self, path: str) -> bool:
        """Whether this is a folder, or a link to one."""

    async def is_writable(self, path: str) -> bool:
        """Whether the user may write to this file, or into this folder."""

    async def real_path(self, path: str) -> str:
        """The absolute path with `~` expanded and links resolved, as far as it exists."""

    async def remove_tree(self, path: str) -> None:
        """Remove a file, a link, or a folder with all in it, if there is one.

        No link is followed.
        """

    async def remove_folder_if_empty(self, path: str) -> bool:
        """Remove a folder that has nothing in it; whether it was removed."""

    async def list_folder(self, path: str) -> list[str]:
        """The names in a folder, sorted."""

    async def environment(self) -> dict[str, str]:
        """The environment of the user on the host."""

    async def file_digest(self, path: str) -> str:
        """The SHA-256 of a file's content, in hexadecimal; takes a second for 300 MB.

        Raises:
            HostError: The file cannot be read.
        """

    async def file_stamp(self, path: str) -> str:
        """A text that changes whenever the file is replaced or rewritten."""

    async def identity(self) -> str:
        """A text for this boot of this machine, this container on it and this user."""

    async def moment(self) -> float:
        """A moment that has just passed, in seconds, to be told to `end_marked`."""

    async def end_marked(self, mark: str, *, since: float = 0) -> int:
        """Kill the processes of this user that have a mark, and tell how many there were.

        Where the system does not tell the environment of processes, as on macOS, none is found.

        Args:
            mark: "NAME=value" in their environment.
            since: A `moment`; those that were born before it are left alone.

        Raises:
            HostError: The host could not be asked.
        """

    async def platform(self) -> Platform:
        """The system and the machine."""

    async def free_bytes(self, path: str) -> int:
        """How much more the user may write to the disk that this file or folder is on.

        Raises:
            HostError: There is no such path.
        """

    async def clock(self) -> float:
        """What the host takes for the time, in seconds of Unix, at least to the whole second."""
