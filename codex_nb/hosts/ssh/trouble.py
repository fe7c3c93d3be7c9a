"""What went wrong on the way to a host, as one sentence, and what to do, as another."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import asyncssh

from codex_nb.errors import HostError
from codex_nb.hosts.ssh.client import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_nb.hosts.ssh.asking import UnknownKey
    from codex_nb.hosts.ssh.client import Client, Steps

_NO_ANSWER = {
    Step.CONNECT: "Check that the host is up, and that the network or VPN that leads to it is on.",
    Step.KEY_EXCHANGE: "Check that an SSH server is at this port, and is not overloaded.",
    Step.LOGIN: "Try `ssh` to the same host; its server may be waiting for a directory service.",
}


def no_answer(where: str, steps: Steps) -> HostError:
    """A step took too long."""
    return HostError(
        f"{where} did not answer: {steps.current} took longer than {steps.limit:g} s",
        hint=_NO_ANSWER[steps.current],
    )


def refused_key(question: UnknownKey) -> HostError:
    """A person did not take the key for that of the host, or there was nobody to ask."""
    return HostError(
        f"the key of {question.host} is not known, and was not accepted: "
        f"{question.key_type} {question.fingerprint}",
        hint="Compare the fingerprint with one that the host's owner gives you, then connect again "
        "and accept it, or connect once with `ssh`.",
    )


def changed_key(host: str, key: str) -> HostError:
    """A host that is known by another key; `key` says which one it shows."""
    return HostError(
        f"the key of {host} has changed{key}: the host was set up anew, or somebody is in between",
        hint="Ask its owner. If the new key is right, forget the old one with "
        f"`ssh-keygen -R '{host}'` and connect again.",
    )


def explained(exc: Exception, *, where: str, name: str, client: Client | None) -> HostError:
    """Any other failure before a connection was made.

    Args:
        exc: What asyncssh or the system says.
        where: How the host is called in messages.
        name: How known_hosts calls it.
        client: The attempt, when it came so far.
    """
    text = getattr(exc, "reason", "") or str(exc)
    match exc:
        case asyncssh.HostKeyNotVerifiable() if "revoked" in text:
            return HostError(
                f"the key of {name} was revoked",
                hint="Ask its owner for the new key; known_hosts says that nobody may trust this.",
            )
        case asyncssh.HostKeyNotVerifiable():
            return HostError(
                f"the certificate of {name} cannot be trusted: {text}",
                hint="Ask its owner, or put the authority that signs its keys into known_hosts.",
            )
        case asyncssh.KeyExchangeFailed() if "host key" in text:
            return changed_key(name, "")
        case asyncssh.PermissionDenied():
            return _denied(where, client)
        case asyncssh.DisconnectError() if "Too many authentication failures" in text:
            return HostError(
                f"{where} refused the login after too many keys",
                hint="Name the right one in ~/.ssh/config: `IdentityFile`, `IdentitiesOnly yes`.",
            )
        case asyncssh.KeyImportError() | asyncssh.KeyEncryptionError():
            return HostError(
                f"a key for {where} cannot be used: {text}",
                hint="Check its passphrase, or add it to the agent with `ssh-add`.",
            )
        case asyncssh.DisconnectError() | asyncssh.ChannelOpenError():
            step = Step.CONNECT if client is None else client.step
            return HostError(
                f"{where} ended {step}: {text}",
                hint="Try `ssh -v` to the same host; its own log tells more.",
            )
        case socket.gaierror():
            return HostError(
                f"there is no host of the name {where}",
                hint="Check the spelling, ~/.ssh/config, and the network or VPN.",
            )
        case OSError() if errno.ECONNREFUSED in _numbers(exc):
            return HostError(
                f"{where} refuses connections",
                hint="Check the port, and that an SSH server runs there.",
            )
        case OSError() if exc.filename is not None:
            return HostError(
                f"{exc.filename}, which ~/.ssh/config names, cannot be read: {exc.strerror}",
                hint="Correct ~/.ssh/config, or bring the file back.",
            )
        case OSError():
            return HostError(
                f"{where} cannot be reached: {exc.strerror or exc}",
                hint=_NO_ANSWER[Step.CONNECT],
            )
        case _:
            return HostError(
                f"the SSH configuration for {where} cannot be used: {text}",
                hint="Correct ~/.ssh/config.",
            )


def _denied(where: str, client: Client | None) -> HostError:
    tried: Sequence[str] = () if client is None else client.tried
    offered: Sequence[str] = () if client is None else client.offered
    if client is not None and client.locked:
        keys = " and ".join(dict.fromkeys(client.locked))
        return HostError(
            f"{where} refused the login (tried {', '.join(tried)}), or a passphrase is not right",
            hint=f"Check the passphrase of {keys}, or add the key to the agent with `ssh-add`.",
        )
    takes = f", takes {', '.join(offered)}" if offered else ""
    return HostError(
        f"{where} refused the login (tried {', '.join(tried) or 'nothing'}{takes})",
        hint="Check the user name, and that your key is in ~/.ssh or in the agent (`ssh-add -l`) "
        "and in authorized_keys on the host.",
    )


def _numbers(exc: OSError) -> set[int | None]:
    """The error numbers of all addresses that were tried."""
    # asyncio joins several into one text.
    return {exc.errno} | {number for number in errno.errorcode if f"[Errno {number}]" in str(exc)}
