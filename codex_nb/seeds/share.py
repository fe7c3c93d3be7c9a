"""A login for one person: sealed for an age recipient, and opened with an age identity.

The file is what the program `age` writes and reads, with the auth.json inside. Recipients are age
keys ("age1…") and SSH keys ("ssh-ed25519 …", "ssh-rsa …"). Checked against pyrage 1.4.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from codex_nb.errors import LoginError, UsageError

if TYPE_CHECKING:
    from types import ModuleType

AGE = b"age-encryption.org/"
"""How such a file begins."""


def seal_for(recipient: str, data: bytes) -> bytes:
    """The data for whoever holds the recipient's private key.

    Raises:
        UsageError: It is no recipient, or the library for it is not installed.
    """
    age = _library()
    text = recipient.strip()
    if re.match(r"AGE-SECRET-KEY-", text, re.IGNORECASE) or "PRIVATE KEY" in text:
        raise UsageError(
            "That is a private key, and it is in the open now.",
            hint="Make a new one, and give its public half, which begins with age1 or ssh-.",
        )
    kind = age.ssh if text.startswith("ssh-") else age.x25519
    try:
        known = kind.Recipient.from_str(text)
    except age.RecipientError:
        raise UsageError(
            "The recipient is no age or SSH key.",
            hint="Give the person's public key, which begins with age1 or ssh-.",
        ) from None
    sealed: bytes = age.encrypt(data, [known])
    return sealed


def open_with(identity: bytes, data: bytes) -> bytes:
    """What was sealed for this identity.

    Args:
        identity: Content of an age identity file or of an SSH private key without a passphrase.
        data: The sealed file.

    Raises:
        UsageError: It is no identity, or the library for it is not installed.
        LoginError: The file is for somebody else, or damaged.
    """
    age = _library()
    try:
        if b"PRIVATE KEY" in identity:
            known = [age.ssh.Identity.from_buffer(identity)]
        else:
            words = re.findall(r"^AGE-SECRET-KEY-\S+", identity.decode("ascii", "replace"), re.M)
            known = [age.x25519.Identity.from_str(word) for word in words]
    except age.IdentityError:
        known = []
    if not known:
        raise UsageError(
            "The identity file holds no private key of age or SSH that could be used.",
            hint="Give the file that `age-keygen` wrote, or an SSH key without a passphrase.",
        )
    try:
        opened: bytes = age.decrypt(data, known)
    except age.DecryptError:
        raise LoginError(
            "The file does not open with this identity.",
            hint="Ask for one that is sealed for your public key.",
        ) from None
    return opened


def _library() -> ModuleType:
    try:
        import pyrage
    except ImportError:
        raise UsageError(
            "Sharing a seed needs the library pyrage, which is not installed.",
            hint='Install it with: pip install "codex-nb[share]"',
        ) from None
    library: ModuleType = pyrage
    return library


__all__ = ["AGE", "open_with", "seal_for"]
