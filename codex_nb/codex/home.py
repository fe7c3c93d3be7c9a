"""The folders of a session in which codex lives: CODEX_HOME, HOME and TMPDIR.

The user's own ~/.codex is neither read nor written. TMPDIR lies beside CODEX_HOME and never above
it: codex refuses to put helper programs below its temporary folder, and commands with a terminal
fail then. Checked against codex 0.142.5, 0.163.0 and 0.169.0; settings that a version does not know
are harmless.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from codex_nb.codex import environment
from codex_nb.codex.settings import as_toml, merged
from codex_nb.hosts import files as local_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.hosts.base import Host
    from codex_nb.protocol.messages import JsonObject

SESSION_VARIABLE = "CODEX_NB_SESSION"
"""Environment variable that marks every process of a session; its value is the session id."""

START_VARIABLE = "CODEX_NB_START"
"""Environment variable that marks every process of one start of codex in a session."""

_KEPT = "sessions"
"""The folder of the rollouts in CODEX_HOME, from which a thread is taken up again."""

AUTH_FILE = "auth.json"
"""Where codex keeps a login in CODEX_HOME."""

_BASE: JsonObject = {
    # A session talks to its model and to nobody else, and copies no 360 MB daemon into its home.
    "check_for_update_on_startup": False,
    "analytics": {"enabled": False},
    # A shell snapshot would write the whole environment, secrets included, into CODEX_HOME.
    "features": {"plugins": False, "daemon_auto_start": False, "shell_snapshot": False},
    # Off by default since 0.163; without it there are no plans to show.
    "tools": {"update_plan": {"enabled": True}},
    # A login goes with the session folder, never into the user's keyring.
    "cli_auth_credentials_store": "file",
}


class SessionHome:
    """The folders of codex in a session folder.

    Attributes:
        folder: The session folder, absolute.
        codex: CODEX_HOME.
        home: HOME.
        tmp: TMPDIR.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.codex, self.home, self.tmp = (f"{folder}/{name}" for name in ("codex", "home", "tmp"))

    async def lay_out(
        self,
        host: Host,
        *,
        config: JsonObject,
        files: Mapping[str, bytes] | None = None,
        cwd: str = "",
        trusted: bool = True,
    ) -> None:
        """Make the folders and write config.toml; what is there already is kept or replaced.

        Args:
            host: Where the session folder is.
            config: Settings, which win over ours. Merge posture, replay and the user's own before.
            files: More files for CODEX_HOME, by their names in it.
            cwd: The working folder, of which codex shall know what to think: it neither asks nor
                writes down an answer.
            trusted: Whether codex may use the settings and instructions that the folder brings.

        Raises:
            HostError: The folders cannot be made or written.
            UsageError: A setting cannot be written as TOML.
            ValueError: A name in `files` leads out of CODEX_HOME.
        """
        names = {name: PurePosixPath(name) for name in files or {}}
        for name, path in names.items():
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{name} is no name inside CODEX_HOME")
        level = "trusted" if trusted else "untrusted"
        trust: JsonObject = {"projects": {cwd: {"trust_level": level}}} if cwd else {}
        document = as_toml(merged(_BASE, trust, config)).encode()
        for folder in (self.folder, self.codex, self.home, self.tmp, f"{self.tmp}/cache"):
            await host.make_folder(folder)
        await host.write_file(f"{self.codex}/config.toml", document)
        for name, path in names.items():
            await host.make_folder(str(self.codex / path.parent))
            await host.write_file(f"{self.codex}/{name}", (files or {})[name])

    def environment(
        self,
        user_env: Mapping[str, str],
        extra: Mapping[str, str],
        program: CodexProgram,
        *,
        session: str,
        offline: bool = False,
    ) -> dict[str, str]:
        """The environment of codex and of every command that it runs.

        Args:
            user_env: The user's environment on the host, of which the listed part passes.
            extra: What the user passes on purpose; wins over the user's environment, never over
                the folders and the mark of the session.
            program: Its own tools come first in PATH.
            session: The session id.
            offline: Nothing but this machine can be reached through a proxy; for a model that is
                on this machine, when the network was not asked for.
        """
        env = environment.allowed(user_env)
        if offline:
            env |= environment.OFFLINE
        env |= extra
        env["PATH"] = ":".join((*program.path_dirs, env["PATH"]))
        return env | {
            "HOME": self.home,
            "CODEX_HOME": self.codex,
            "TMPDIR": self.tmp,
            "XDG_CONFIG_HOME": f"{self.home}/.config",
            "XDG_DATA_HOME": f"{self.home}/.local/share",
            "XDG_STATE_HOME": f"{self.home}/.local/state",
            # Below TMPDIR, since that is where sandboxed commands may write.
            "XDG_CACHE_HOME": f"{self.tmp}/cache",
            SESSION_VARIABLE: session,
        }

    async def prune(self, host: Host, *, keep_login: bool = False) -> None:
        """Remove everything but the rollouts, after codex ended. Doing it again is fine.

        Args:
            host: Where the session folder is.
            keep_login: Leave an auth.json that holds what is stored nowhere else yet.

        Raises:
            HostError: Something could not be removed.
        """
        names = await host.list_folder(self.codex) if await host.is_folder(self.codex) else []
        for path in self._useless(names, keep_login=keep_login):
            await host.remove_tree(path)

    def prune_now(self) -> None:
        """Do the same on this machine after a crash, without an event loop.

        An auth.json stays, since codex may have refreshed its login unseen; whoever opens the store
        of that login next saves and removes it.

        Raises:
            HostError: Something could not be removed.
        """
        names = local_files.list_folder(self.codex) if local_files.is_folder(self.codex) else []
        for path in self._useless(names, keep_login=True):
            local_files.remove_tree(path)

    def _useless(self, names: Iterable[str], *, keep_login: bool) -> list[str]:
        kept = {_KEPT, AUTH_FILE} if keep_login else {_KEPT}
        in_codex = [f"{self.codex}/{name}" for name in names if name not in kept]
        return [self.home, self.tmp, *in_codex]
