"""What the sandbox allows in a session, and when codex asks.

Facts checked against codex 0.142.5, 0.163.0 and 0.169.0: "untrusted" is refused in config.toml by
0.163 and later but taken by the protocol, and a resumed thread forgets sandbox and policy. So both
travel with every start and resume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from codex_nb.errors import UsageError

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

Sandbox: TypeAlias = Literal["read-only", "workspace-write", "danger-full-access"]
Ask: TypeAlias = Literal["untrusted", "on-request", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posture:
    """What commands of a session may do without asking.

    Attributes:
        sandbox: Where commands may write: nowhere, in the working folder, or everywhere.
        network: Whether sandboxed commands may use the network.
        writable_roots: Absolute folders, besides the working folder, that they may write to.
        ask: When codex asks a person: before almost everything, when it wants to leave the
            sandbox, or never.
    """

    sandbox: Sandbox = "workspace-write"
    network: bool = False
    writable_roots: tuple[str, ...] = ()
    ask: Ask = "on-request"

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            UsageError: Two options cannot be meant together.
        """
        options = (("--network", self.network), ("--allow", bool(self.writable_roots)))
        for option, is_given in options:
            if is_given and self.sandbox == "read-only":
                raise UsageError(
                    f"{option} and --sandbox read-only contradict each other: "
                    "read-only commands write nowhere and have no network.",
                    hint=f"Use --sandbox workspace-write, or leave {option} out.",
                )
            if is_given and self.sandbox == "danger-full-access":
                raise UsageError(
                    f"{option} and --sandbox danger-full-access contradict each other: "
                    "without a sandbox commands may do everything already.",
                    hint=f"Leave {option} out, or use --sandbox workspace-write.",
                )

    def config(self) -> JsonObject:
        """The same as codex settings, for config.toml."""
        settings: JsonObject = {"sandbox_mode": self.sandbox}
        if self.ask != "untrusted":
            settings["approval_policy"] = self.ask
        if self.sandbox == "workspace-write":
            settings["sandbox_workspace_write"] = {
                "writable_roots": list(self.writable_roots),
                "network_access": self.network,
                # Everyone's /tmp is not the session's; TMPDIR is, and stays writable.
                "exclude_slash_tmp": True,
            }
        return settings

    def thread_params(self) -> JsonObject:
        """The part of the parameters of thread/start and thread/resume that sets it."""
        return {"sandbox": self.sandbox, "approvalPolicy": self.ask}
