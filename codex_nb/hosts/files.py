"""Files of this machine: the operations of a host, without waiting.

For callers that have no event loop, and for `LocalHost`. Errors are `HostError`, and name the path.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def translated(what: str, path: str) -> Iterator[None]:
    """Turn an OSError of the block into a HostError: what could not be done, to which path."""
    try:
        yield
    except OSError as exc:
        raise HostError(f"could not {what} {path}: {exc.strerror or exc}") from exc


def exists(path: str) -> bool:
    """See `Host.exists`."""
    return os.path.lexists(path)


def is_folder(path: str) -> bool:
    """See `Host.is_folder`."""
    return Path(path).is_dir()


def real_path(path: str) -> str:
    """See `Host.real_path`."""
    try:
        return str(Path(path).expanduser().resolve())
    except (OSError, RuntimeError) as exc:  # a loop of links, an unknown user
        raise HostError(f"could not resolve {path}: {exc}") from exc


def make_folder(path: str, *, mode: int) -> None:
    """See `Host.make_folder`."""
    folder = Path(path)
    with translated("make the folder", path):
        missing = [folder, *folder.parents]
        for each in reversed([each for each in missing if not each.is_dir()]):
            with suppress(FileExistsError):  # someone else was faster, or it is no folder
                each.mkdir(mode)
                # The umask has its say in mkdir; here it shall not.
                each.chmod(mode)
        if not folder.is_dir():
            raise HostError(f"could not make the folder {path}: a file is in its place")


def write_file(path: str, data: bytes, *, mode: int) -> None:
    """See `Host.write_file`."""
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.urandom(6).hex()}")
    with translated("write", path):
        try:
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                os.fchmod(fd, mode)
                file.write(data)
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def read_file(path: str, *, limit: int) -> bytes:
    """See `Host.read_file`."""
    with translated("read", path), Path(path).open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise HostError(f"could not read {path}: it is longer than {limit:,} bytes")
    return data


def remove_tree(path: str) -> None:
    """See `Host.remove_tree`."""
    with translated("remove", path):
        try:
            _remove(Path(path))
        except PermissionError:
            # Caches of build tools hold folders that their owner may not write to.
            for folder, _, _ in os.walk(path):
                Path(folder).chmod(0o700)
            _remove(Path(path))


def remove_folder_if_empty(path: str) -> bool:
    """See `Host.remove_folder_if_empty`."""
    try:
        Path(path).rmdir()
    except OSError:
        return False
    return True


def list_folder(path: str) -> list[str]:
    """See `Host.list_folder`."""
    with translated("list", path):
        return sorted(entry.name for entry in Path(path).iterdir())


def file_stamp(path: str) -> str:
    """See `Host.file_stamp`."""
    with translated("look at", path):
        facts = Path(path).stat()
    # The change time cannot be set back by whoever rewrites a file in place.
    return f"{facts.st_ino}:{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ctime_ns}"


def file_digest(path: str) -> str:
    """See `Host.file_digest`."""
    with translated("read", path), Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def linux_boot() -> str:
    """The boot of this machine and the container we are in; "" where that is not Linux."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # Containers share the boot of their machine; each has a mount namespace of its own.
        return f"{boot}:{Path('/proc/self/ns/mnt').readlink()}"
    except OSError:
        return ""


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path)
