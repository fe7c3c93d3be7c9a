"""Logins at rest: AES-256-GCM in frames, under a random key that a named key of the store wraps.

A sealed blob is

    "CNB1" | alg 1 | key id 8 | nonce 12 | data key 32 + tag 16 | frame | frame | …

in bytes. `alg` 1 is this layout; 0 means that the rest is the plain data, for a store whose owner
chose no encryption. Each frame but the last holds 1 MiB; all end in a tag of 16 bytes. The nonce of
a frame is 4 bytes that are 1 in the last frame and else 0, then its number from 0 in 8 bytes
(big-endian), so that a blob that was cut, extended or reordered does not open. A data key seals
one blob once, which is why such nonces never repeat. The associated data of every frame is the
hash of what the blob belongs to: store, seed, kind and version. The wrap does not enter it, so that
a change of keys rewrites the wrap and leaves the frames as they are.

The construction of the frames is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from codex_nb.errors import VaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from codex_nb.seeds.auth import Login

_MAGIC = b"CNB1"
_PLAIN = _MAGIC + b"\x00"
_SEALED = _MAGIC + b"\x01"
_ID = 8
_NONCE = 12
_TAG = 16
_KEY = 32
_WRAP = len(_SEALED) + _ID + _NONCE + _KEY + _TAG
_FRAME = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Binding:
    """What a blob belongs to; it opens for nothing else.

    Attributes:
        store: Id of the store.
        seed: Id of the seed, or the name of the note.
        kind: What it is: the login of a seed, a rotation on its way to the store, a small value.
        version: Of the login.
    """

    store: str
    seed: str
    kind: Literal["login", "spool", "note"]
    version: int

    def digest(self) -> bytes:
        """32 bytes that differ for every other binding."""
        digest = hashlib.sha256(_SEALED)
        for text in (self.store, self.seed, self.kind):
            data = text.encode()
            digest.update(struct.pack(">Q", len(data)) + data)
        digest.update(struct.pack(">Q", self.version))
        return digest.digest()


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a store.

    Attributes:
        id: 16 hexadecimal digits that tell keys apart and nothing about them.
        secret: 32 random bytes.
    """

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: bytes) -> Key:
        """The key with this secret, under the id that follows from it.

        Raises:
            ValueError: It is not 32 bytes.
        """
        if len(secret) != _KEY:
            raise ValueError(f"A key has {_KEY} bytes, not {len(secret)}.")
        return cls(_derived(secret, b"id")[:_ID].hex(), secret)

    @classmethod
    def new(cls) -> Key:
        """A key that nobody has had before."""
        return cls.of(os.urandom(_KEY))


class Vault:
    """Seals and opens what a store keeps.

    All methods compute and do not wait; a login takes some 10 microseconds, 100 MB some 0.1 s.

    Args:
        keys: The current key, then older ones that still open. None of them is no encryption.
        look: Asked for further keys when a blob names one that is not here, because somebody else
            may have changed the keys since. They open; the current one goes on sealing.
    """

    def __init__(
        self, keys: Sequence[Key], look: Callable[[], Sequence[Key]] | None = None
    ) -> None:
        self._look = look
        self.change(keys)

    def change(self, keys: Sequence[Key]) -> None:
        """Seal and open with these keys from now on, for all who share this vault."""
        self._wraps = _wraps_of(keys)
        self._current = keys[0].id if keys else ""

    @property
    def is_sealed(self) -> bool:
        """Whether there is a key; else everything is kept as it is."""
        return bool(self._current)

    @property
    def current(self) -> str:
        """Id of the key that seals; "" without encryption."""
        return self._current

    def seal(self, data: bytes, binding: Binding) -> bytes:
        """The blob that opens to `data`, for this binding only."""
        if not self.is_sealed:
            return _PLAIN + data
        data_key = os.urandom(_KEY)
        digest = binding.digest()
        frames = AESGCM(data_key)
        return b"".join(
            (
                self._wrapped(data_key),
                *(frames.encrypt(nonce, part, digest) for nonce, part in _parts(data, _FRAME)),
            )
        )

    def open(self, blob: bytes, binding: Binding) -> bytes:
        """What was sealed for this binding.

        Raises:
            VaultError: The key of the blob is not here, or the blob was damaged, cut, or sealed
                for another store, seed, kind or version. Nothing of it is returned then.
        """
        if blob.startswith(_PLAIN):
            # Else whoever can write to the store could put a login of theirs in place of a sealed.
            if self.is_sealed:
                raise VaultError(
                    "The login is stored without encryption, and this store has a key.",
                    hint="Seal what is there with `codex-nb seed rekey`.",
                )
            return blob[len(_PLAIN) :]
        frames = AESGCM(self._unwrapped(blob))
        digest = binding.digest()
        try:
            return b"".join(
                frames.decrypt(nonce, part, digest)
                for nonce, part in _parts(memoryview(blob)[_WRAP:], _FRAME + _TAG)
            )
        except (InvalidTag, ValueError):
            raise VaultError(
                "The sealed login is damaged, or belongs to another seed, version or store.",
                hint="Leave it where it is, and look at it with `codex-nb store doctor`.",
            ) from None

    def rewrap(self, blob: bytes, binding: Binding) -> bytes | None:
        """The same blob under the current key.

        Only the wrap changes. A blob without encryption is sealed whole; trust the store when you
        ask for that.

        Returns:
            None when nothing is to be done.

        Raises:
            VaultError: As for `open`.
        """
        if not self.is_sealed:
            self.open(blob, binding)
            return None
        if blob.startswith(_PLAIN):
            return self.seal(blob[len(_PLAIN) :], binding)
        if self.key_id(blob) == self._current:
            return None
        self.open(blob, binding)  # what does not open shall stay as it is
        return self._wrapped(self._unwrapped(blob)) + blob[_WRAP:]

    def key_id(self, blob: bytes) -> str:
        """Id of the key that wraps a blob; "" without encryption.

        Raises:
            VaultError: It is no blob of ours.
        """
        if blob.startswith(_PLAIN):
            return ""
        if not blob.startswith(_SEALED) or len(blob) < _WRAP + _TAG:
            raise VaultError(
                "This is no sealed login, or one of a later version.",
                hint="Update codex_nb if another machine wrote it.",
            )
        return blob[len(_SEALED) : len(_SEALED) + _ID].hex()

    def _wrapped(self, data_key: bytes) -> bytes:
        head = _SEALED + bytes.fromhex(self._current)
        nonce = os.urandom(_NONCE)
        return head + nonce + self._wraps[self._current].encrypt(nonce, data_key, head)

    def _unwrapped(self, blob: bytes) -> bytes:
        key_id = self.key_id(blob)
        if key_id not in self._wraps and self._look is not None:
            self._wraps = {**_wraps_of(self._look()), **self._wraps}
        if key_id not in self._wraps:
            raise VaultError(
                f"The login is sealed with the key {key_id}, which is not here.",
                hint="Give that key in CODEX_NB_KEY or in the key file, after the current one.",
            )
        wrap = _Wrap(*struct.unpack(f"{len(_SEALED) + _ID}s{_NONCE}s{_KEY + _TAG}s", blob[:_WRAP]))
        try:
            return self._wraps[key_id].decrypt(wrap.nonce, wrap.sealed, wrap.head)
        except InvalidTag:
            raise VaultError(
                "The wrap of a sealed login is damaged.",
                hint="Leave it where it is, and look at it with `codex-nb store doctor`.",
            ) from None


class Fingerprints:
    """Names for logins and accounts that tell nothing about them to who lacks the secret.

    Args:
        secret: Of the store; other stores give other names.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def credential(self, login: Login) -> str:
        """The lineage of a login: changes with every rotation of its refresh token."""
        return self._name(
            "credential", login.kind, login.refresh_token or login.api_key or login.access_token
        )

    def account(self, login: Login) -> str:
        """The account, or the API key: stays through rotations.

        A workspace has one account id for all its users, so that the user counts as well.
        """
        if login.kind == "apikey" or not (login.account_id or login.user_id):
            return self.credential(login)
        return self._name("account", login.account_id, login.user_id)

    def _name(self, *parts: str | None) -> str:
        message = b"".join(
            struct.pack(">Q", len(data)) + data
            for data in ((part or "").encode() for part in parts)
        )
        return hmac.digest(self._secret, message, "sha256").hex()


class _Wrap(NamedTuple):
    head: bytes
    nonce: bytes
    sealed: bytes


def _parts(data: bytes | memoryview, size: int) -> Iterator[tuple[bytes, memoryview]]:
    """The frames of some data with their nonces; one empty frame when there is none."""
    view = memoryview(data)
    last = max(0, (len(view) - 1) // size)
    for number in range(last + 1):
        nonce = struct.pack(">IQ", number == last, number)
        yield nonce, view[number * size : (number + 1) * size]


def _wraps_of(keys: Iterable[Key]) -> dict[str, AESGCM]:
    return {key.id: AESGCM(_derived(key.secret, b"wrap")) for key in keys}


def _derived(secret: bytes, purpose: bytes) -> bytes:
    # One secret, two uses: neither tells anything about the other.
    return hmac.digest(secret, b"codex_nb " + purpose, "sha256")


__all__ = ["Binding", "Fingerprints", "Key", "Vault"]
