"""A login for one person, as a file of age."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pyrage
import pytest

from codex_nb.errors import CodexNBError, LoginError, UsageError
from codex_nb.seeds.share import AGE, open_with, seal_for

if TYPE_CHECKING:
    from pathlib import Path

DATA = b'{"tokens": "marked"}'


@pytest.fixture(scope="module")
def identity() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


def file_of(identity: pyrage.x25519.Identity) -> bytes:
    """As age-keygen writes it."""
    return f"# created: today\n# public key: {identity.to_public()}\n{identity}\n".encode()


def test_only_the_recipient_opens_what_was_sealed(identity: pyrage.x25519.Identity) -> None:
    sealed = seal_for(f" {identity.to_public()}\n", DATA)

    assert sealed.startswith(AGE)
    assert DATA not in sealed
    assert open_with(file_of(identity), sealed) == DATA
    assert pyrage.decrypt(sealed, [identity]) == DATA
    with pytest.raises(LoginError, match="does not open"):
        open_with(file_of(pyrage.x25519.Identity.generate()), sealed)


def test_an_ssh_key_is_a_recipient_too(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )

    assert open_with(private, seal_for(public.decode(), DATA)) == DATA


@pytest.mark.parametrize("text", ["", "age1nonsense", "somebody", "ssh-ed25519 AAAA"])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no age or SSH key"):
        seal_for(text, DATA)


def test_a_private_key_in_place_of_a_recipient_is_refused_and_not_repeated(
    identity: pyrage.x25519.Identity,
) -> None:
    with pytest.raises(UsageError, match="private key") as caught:
        seal_for(str(identity), DATA)
    assert str(identity) not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("text", [b"", b"nothing", b"AGE-SECRET-KEY-1WRONG", b"\xff\xfe"])
def test_a_file_without_a_private_key_is_refused(text: bytes) -> None:
    with pytest.raises(UsageError, match="holds no private key"):
        open_with(text, b"whatever")


def test_a_damaged_file_does_not_open(identity: pyrage.x25519.Identity) -> None:
    sealed = seal_for(str(identity.to_public()), DATA)

    with pytest.raises(LoginError):
        open_with(file_of(identity), sealed[:-1])


def test_without_the_library_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A Python without it cannot be had in a test; this is how the import system says so.
    monkeypatch.setitem(sys.modules, "pyrage", None)

    with pytest.raises(CodexNBError, match="needs the library pyrage") as caught:
        seal_for("age1", DATA)
    assert "codex-nb[share]" in caught.value.hint
