"""Whether codex can confine commands here, and what its sandbox leaves behind.

Facts checked against codex 0.142.5, 0.163.0 and 0.169.0: `codex sandbox -- COMMAND` runs a command
as a turn would. Where it cannot confine, every command fails with what bubblewrap said; there is no
fallback. When a running command is terminated, empty folders stay in every writable root. Codex
0.58.0, 0.101.0 and 0.125.0, which a plain terminal can have, want the name of the system's sandbox
before the command, and read no posture from the settings then.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_nb.codex import cache
from codex_nb.codex.binary import OLDEST
from codex_nb.errors import SandboxUnavailableError
from codex_nb.hosts import files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.hosts.base import Completed, Host

_LIMIT = 60.0
_NAMES = (".git", ".codex", ".agents", ".aws")

_REASONS = (
    (
        "bubblewrap is unavailable",
        "bubblewrap is missing",
        "Install bubblewrap with the system's package manager, or a complete codex: "
        'pip install "codex-nb[codex]".',
    ),
    (
        "max_*_namespaces exceeded",
        "user namespaces are used up or switched off",
        "Raise it as root: sysctl user.max_user_namespaces=15000.",
    ),
    (
        "namespace",
        "this machine or container forbids user namespaces",
        "Allow them: as root sysctl kernel.unprivileged_userns_clone=1, on Ubuntu "
        "kernel.apparmor_restrict_unprivileged_userns=0, in Docker a seccomp profile with them.",
    ),
    (
        "uid map",
        "this machine or container forbids user namespaces",
        "Allow them as root: on Ubuntu sysctl kernel.apparmor_restrict_unprivileged_userns=0.",
    ),
)
"""What codex says on stderr, what it means, and what helps."""

_TRUSTED = "In a container that you trust, --sandbox danger-full-access does without."


async def probe_sandbox(
    program: CodexProgram, host: Host, *, folder: str, env: Mapping[str, str]
) -> None:
    """Make sure that codex can run a command and keep it from writing elsewhere.

    A success is remembered for this program, boot, container and user; a failure never is. Should
    the sandbox stop working after that, codex refuses every command: nothing runs unconfined.

    Args:
        program: The codex program.
        host: Where it runs.
        folder: The session folder; the probe happens in a folder of its own in it.
        env: The environment of the session, of which the probe replaces the homes.

    Raises:
        SandboxUnavailableError: Commands cannot be confined here.
        HostError: The probe could not be carried out.
    """
    stamp = await host.file_stamp(program.path)
    key = cache.program_key(host.name, program.path, stamp)
    identity = await host.identity()
    if identity in cache.find(key).confines:
        return
    scratch = f"{folder}/probe-{os.urandom(6).hex()}"
    names = {"CODEX_HOME": "codex", "HOME": "home", "TMPDIR": "tmp"}
    homes = {variable: f"{scratch}/{name}" for variable, name in names.items()}
    try:
        for name in ("inside", "outside"):
            await host.make_folder(f"{scratch}/{name}")
        for path in homes.values():
            await host.make_folder(path)
        await _probe(program, host, scratch, {**env, **homes})
    finally:
        await host.remove_tree(scratch)
    cache.note(key, confines=identity)


async def _probe(program: CodexProgram, host: Host, scratch: str, env: Mapping[str, str]) -> None:
    async def touch(path: str, words: Sequence[str]) -> Completed:
        return await host.run(
            [program.path, "sandbox", *words, "--", "touch", path],
            cwd=f"{scratch}/inside",
            env=env,
            timeout=_LIMIT,
        )

    inside, outside = f"{scratch}/inside/file", f"{scratch}/outside/file"
    words: Sequence[str] = _SETTINGS
    done = await touch(inside, words)
    if done.exit_status != 0 and program.release < OLDEST:
        words = _OLD_WORDS
        done = await touch(inside, words)
    if done.exit_status != 0 or not await host.exists(inside):
        raise _unavailable(done.stderr.decode(errors="replace"))
    done = await touch(outside, words)
    if done.exit_status == 0 or await host.exists(outside):
        raise SandboxUnavailableError(
            f"codex {program.version} does not confine commands here: "
            "one could write outside of its folder.",
            hint=_TRUSTED,
        )


_SETTINGS = (
    "-c",
    'sandbox_mode="workspace-write"',
    "-c",
    "sandbox_workspace_write.exclude_slash_tmp=true",
)
_OLD_WORDS = ("macos" if sys.platform == "darwin" else "linux", "--full-auto")


def _unavailable(stderr: str) -> SandboxUnavailableError:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if sys.platform == "linux":
        for mark, meaning, hint in _REASONS:
            said = next((line for line in lines if mark in line), "")
            if said:
                return SandboxUnavailableError(
                    f"codex cannot confine commands here, because {meaning}: {said}",
                    hint=f"{hint} {_TRUSTED}",
                )
    said = lines[-1] if lines else "it said nothing"
    return SandboxUnavailableError(f"codex cannot confine commands here: {said}", hint=_TRUSTED)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The folders that codex may leave in writable roots and that were not there before.

    Attributes:
        paths: Absolute paths of which none existed when we looked.
    """

    paths: tuple[str, ...]

    @classmethod
    async def look(cls, host: Host, roots: Sequence[str]) -> Leftovers:
        """Note what is missing in each root, before codex starts."""
        paths = [f"{root}/{name}" for root in dict.fromkeys(roots) for name in _NAMES]
        return cls(tuple([path for path in paths if not await host.exists(path)]))

    async def remove(self, host: Host) -> list[str]:
        """Remove those that are empty folders now, after codex ended; which ones that were."""
        return [path for path in self.paths if await host.remove_folder_if_empty(path)]

    def remove_now(self) -> list[str]:
        """Do the same on this machine, without an event loop."""
        return [path for path in self.paths if files.remove_folder_if_empty(path)]

    def to_json(self) -> str:
        """A text from which `from_json` makes the same again, in another process."""
        return json.dumps(self.paths)

    @classmethod
    def from_json(cls, text: str) -> Leftovers:
        """The opposite of `to_json`.

        Raises:
            ValueError: The text is not from `to_json`.
        """
        paths = json.loads(text)
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise ValueError("not a list of paths")
        return cls(tuple(paths))
