"""What a session is to be, as one value that was checked before anything starts.

A spec travels from the one who asks (a magic, a script) to the session host on the host's stdin,
never in argv, because `env` may hold secrets. Only the names of those variables are kept after the
start.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_nb.codex.posture import Ask, Posture, Sandbox
from codex_nb.errors import ProtocolError, UsageError
from codex_nb.protocol.grants import Bounds
from codex_nb.seeds.settings import SeedSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_nb.protocol.messages import JsonObject

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
"""Reasoning efforts that codex 0.142 to 0.169 name; which of them a model takes is the model's own
matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpec:
    """What a session is to be.

    Attributes:
        id: Names the session folder; made by `new_id` unless an ended session is taken up again.
        name: What a person calls it.
        cwd: Absolute path of the folder that codex works in.
        notebook: Path of the notebook that asked for it, or "".
        host: What a person calls the host where codex runs; "" is this machine. On another host
            `cwd`, `allow`, `codex` and `tmux` are paths there, and `~` is the home there.
        address: How the host is reached: a name of ~/.ssh/config, or "user@host:port".
        ssh_config: OpenSSH configuration files to use in place of the usual ones.
        host_timeout: How long a host may be out of reach before the session is ended there.
        model: Model of every turn, or "" for codex's own default.
        effort: Reasoning effort of every turn, or "" for the model's default.
        sandbox: What commands may write.
        network: Whether sandboxed commands may use the network.
        allow: Absolute paths of further writable folders.
        ask: When codex asks before it acts.
        env: Variables for codex and its commands beyond the allow-list.
        settings: Codex settings as a nested dictionary, as `-c` gave them.
        replay: Path of a scenario or recording that stands in for the model, or "".
        seed: Name of the seed whose login codex gets, "pool:NAME" for any of a pool, or "" for the
            one that there is.
        seeds: Where seeds are kept.
        seed_wait: How long to wait for a seed that is in use.
        login_file: Whether codex holds the login itself, in an auth.json, instead of asking the
            session host for access tokens. An API key always is in a file.
        codex: Configured path of the program, or "" to look for it.
        tmux: Configured path of tmux, or "" to look for it.
        ttyd: Configured path of ttyd, or "" to look for it.
        plain: Codex's interactive program alone, without the app-server and without a conversation:
            to log in to it, and for versions that are too old for a conversation.
        unattended: Nobody can be asked: every approval is declined at once.
        turn_timeout: A turn that takes longer is interrupted; zero means no limit.
        idle_timeout: Time without a turn after which the session ends; zero means never.
        approval_timeout: An approval that nobody answered is declined after this time.
        reconnect_timeout: A turn fails when its model is out of reach for so long; zero waits for
            ever.
        start_timeout: Time that codex has to start and to answer.
        resume: Thread id to take up again, or "".
    """

    id: str
    name: str
    cwd: str
    notebook: str = ""
    host: str = ""
    address: str = ""
    ssh_config: tuple[str, ...] = ()
    host_timeout: timedelta = timedelta(minutes=30)
    model: str = ""
    effort: str = ""
    sandbox: Sandbox = "workspace-write"
    network: bool = False
    allow: tuple[str, ...] = ()
    ask: Ask = "on-request"
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    settings: JsonObject = field(default_factory=dict, repr=False)
    replay: str = ""
    seed: str = ""
    seeds: SeedSettings = field(default_factory=SeedSettings, repr=False)
    seed_wait: timedelta = timedelta(minutes=1)
    login_file: bool = False
    codex: str = ""
    tmux: str = ""
    ttyd: str = ""
    plain: bool = False
    unattended: bool = False
    turn_timeout: timedelta = timedelta(0)
    idle_timeout: timedelta = timedelta(hours=1)
    approval_timeout: timedelta = timedelta(minutes=30)
    reconnect_timeout: timedelta = timedelta(minutes=2)
    start_timeout: timedelta = timedelta(seconds=30)
    resume: str = ""

    @property
    def posture(self) -> Posture:
        """What the sandbox allows in this session."""
        return Posture(
            sandbox=self.sandbox, network=self.network, writable_roots=self.allow, ask=self.ask
        )

    @property
    def bounds(self) -> Bounds:
        """What commands may do unasked, for the sentences of an approval."""
        writable = (self.cwd, *self.allow) if self.sandbox == "workspace-write" else ()
        return Bounds(sandbox=self.sandbox, ask=self.ask, writable=writable)

    @property
    def needs_login(self) -> bool:
        """Whether codex is to be logged in.

        Without a seed it is not where a replay, or a provider of the user's own, answers.
        """
        return bool(self.seed) or not (self.replay or "model_provider" in self.settings)

    def check(self) -> None:
        """Refuse what cannot be meant, before anything starts.

        Raises:
            UsageError: A value is impossible, or two of them contradict each other.
        """
        self.posture.check()
        if self.replay and self.model:
            raise UsageError(
                "--replay and --model contradict each other: a replay brings its own model.",
                hint="Leave --model out, or run without --replay.",
            )
        if self.replay and {"model_provider", "model_providers", "model"} & self.settings.keys():
            raise UsageError(
                "--replay and -c model_provider contradict each other: a replay is the provider.",
                hint="Leave one of the two out.",
            )
        if self.replay and self.seed:
            raise UsageError(
                "--replay and --seed contradict each other: a replay needs no login.",
                hint="Leave one of the two out.",
            )
        if self.plain and self.network:
            # Its keyboard is a socket, and with the network commands reach sockets.
            raise UsageError(
                "--plain and --network contradict each other: commands that may use the network "
                "could type in the terminal.",
                hint="Leave one of the two out.",
            )
        self.seeds.check()
        for option, value in (
            ("--timeout", self.turn_timeout),
            ("CodexNB.seed_wait", self.seed_wait),
            ("CodexNB.idle_timeout", self.idle_timeout),
            ("CodexNB.reconnect_timeout", self.reconnect_timeout),
        ):
            if value < timedelta(0):
                raise UsageError(
                    f"{option} is {value.total_seconds():g} s, and a time cannot be negative.",
                    hint="Give a number of seconds; 0 means no limit.",
                )
        for option, value in (
            ("CodexNB.approval_timeout", self.approval_timeout),
            ("CodexNB.start_timeout", self.start_timeout),
        ):
            if value <= timedelta(0):
                raise UsageError(
                    f"{option} is {value.total_seconds():g} s and must be above zero.",
                    hint="Give a number of seconds.",
                )
        self._check_host()
        for path in (self.cwd, *self.allow):
            if not Path(path).is_absolute() and not (self.host and path.startswith("~")):
                raise UsageError(f"{path!r} is not an absolute path.", hint="Give the whole path.")

    def _check_host(self) -> None:
        if not self.host:
            return
        if self.login_file:
            raise UsageError(
                "CodexNB.login_file and --host contradict each other: the refresh token of the "
                "login would leave this machine.",
                hint="Switch CodexNB.login_file off for sessions on other hosts.",
            )
        if self.plain and self.seed:
            raise UsageError(
                "--plain, --seed and --host contradict each other: the refresh token of the login "
                "would leave this machine.",
                hint="Leave --plain out, or log in in the terminal.",
            )
        if self.host_timeout < timedelta(seconds=5):
            raise UsageError(
                f"CodexNB.host_timeout is {self.host_timeout.total_seconds():g} s, which is less "
                "than a host may need to connect.",
                hint="Give at least 5 seconds.",
            )

    def described(self) -> JsonObject:
        """What the transcript's session shows of it; holds no secret."""
        return {
            "id": self.id,
            "name": self.name,
            "cwd": self.cwd,
            "notebook": self.notebook,
            "model": self.model or None,
            "effort": self.effort or None,
            "sandbox": self.sandbox,
            "network": self.network,
            "plain": self.plain,
            "ask": self.ask,
            "replay": Path(self.replay).stem,
            "seed": self.seed,
        }

    def fixed(self) -> dict[str, object]:
        """What a session keeps all its life, by the names of the options; holds no secret."""
        settings = json.dumps(self.settings, sort_keys=True).encode()
        return {
            "host": self.host,
            "sandbox": self.sandbox,
            "network": self.network,
            "allow": list(self.allow),
            "ask": self.ask,
            "replay": self.replay,
            "seed": self.seed,
            "plain": self.plain,
            "env": sorted(self.env),
            "settings": hashlib.sha256(settings).hexdigest(),
        }

    def with_fixed(self, values: Mapping[str, object]) -> SessionSpec:
        """The spec with what `fixed` told, as far as it can be had back from that."""
        kept: dict[str, Any] = {k: v for k, v in values.items() if k not in ("env", "settings")}
        if isinstance(allow := kept.get("allow"), list):
            kept["allow"] = tuple(allow)
        return replace(self, **kept)

    def to_json(self) -> str:
        """The spec as one JSON text; it holds the values of `env`."""
        values = asdict(self)
        return json.dumps(
            {k: v.total_seconds() if isinstance(v, timedelta) else v for k, v in values.items()}
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> SessionSpec:
        """Read what `to_json` wrote.

        Raises:
            ProtocolError: It is no spec.
        """
        try:
            values = json.loads(text)
            for name in [*(it for it in values if it.endswith("_timeout")), "seed_wait"]:
                values[name] = timedelta(seconds=values[name])
            values["seeds"] = SeedSettings(**values["seeds"])
            values["allow"] = tuple(values["allow"])
            values["ssh_config"] = tuple(values["ssh_config"])
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ProtocolError(f"The session host got a spec that it cannot read: {exc}.") from exc


def new_id() -> str:
    """A session id: sorts by time of birth, is a safe file name and cannot be guessed."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(4).hex()}"
