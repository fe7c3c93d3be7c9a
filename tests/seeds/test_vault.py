"""The vault: what it writes, and that it opens for nobody and nothing else."""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.errors import VaultError
from codex_nb.seeds.vault import Binding, Fingerprints, Key, Vault

if TYPE_CHECKING:
    from codex_nb.seeds.auth import Login

MIB = 1024 * 1024
HEAD = 73
"""Bytes before the first frame."""

KEY = Key.of(bytes(range(32)))
OTHER = Key.of(bytes(range(32, 64)))
VAULT = Vault([KEY])
BINDING = Binding("8f14e45f-0000-4000-8000-000000000001", "a" * 32, "login", 7)

GOLDEN = {
    b"": (
        "434e4231014452f33efec357fa202122232425262728292a2b9c4a4183a602ea19b211a900993e003bc8bcf1f4"
        "aab272c69403e02d2d8ec6d698a575646e7a2fc8681d87f2188254db79ecca3f8bb8a1998250e6528883cb17"
    ),
    b"a login": (
        "434e4231014452f33efec357fa202122232425262728292a2b9c4a4183a602ea19b211a900993e003bc8bcf1f4"
        "aab272c69403e02d2d8ec6d698a575646e7a2fc8681d87f2188254db07aca185e03593badcc7f5dfe047902d0f"
        "3df710bc344e"
    ),
}
"""Blobs that every later version has to open, by what they hold."""


def sealed_by_hand(data: bytes, key: Key, binding: Binding) -> bytes:
    """A second writer of the format, straight from its description."""
    data_key, nonce = bytes(range(64, 96)), bytes(range(32, 44))
    head = b"CNB1\x01" + hmac.digest(key.secret, b"codex_nb id", "sha256")[:8]
    wrapping = AESGCM(hmac.digest(key.secret, b"codex_nb wrap", "sha256"))
    bound = b"CNB1\x01"
    for text in (binding.store, binding.seed, binding.kind):
        bound += len(text).to_bytes(8, "big") + text.encode()
    bound += binding.version.to_bytes(8, "big")
    parts = [data[at : at + MIB] for at in range(0, len(data), MIB)] or [b""]
    blob = head + nonce + wrapping.encrypt(nonce, data_key, head)
    for number, part in enumerate(parts):
        last = int(number == len(parts) - 1)
        blob += AESGCM(data_key).encrypt(
            struct.pack(">IQ", last, number), part, hashlib.sha256(bound).digest()
        )
    return blob


def flipped(blob: bytes, at: int) -> bytes:
    return blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]


def refused(blob: bytes, vault: Vault = VAULT, binding: Binding = BINDING) -> bool:
    try:
        vault.open(blob, binding)
    except VaultError:
        return True
    return False


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 5])
def test_what_was_sealed_opens_and_grows_by_a_head_and_a_tag_for_each_frame(size: int) -> None:
    data = bytes(size)

    blob = VAULT.seal(data, BINDING)

    frames = max(1, -(-size // MIB))
    assert len(blob) == HEAD + size + 16 * frames
    assert VAULT.open(blob, BINDING) == data


@pytest.mark.parametrize("size", [0, 5, MIB, 2 * MIB + 3])
def test_a_blob_that_another_program_wrote_by_the_description_opens(size: int) -> None:
    data = (b"login" * size)[:size]

    assert VAULT.open(sealed_by_hand(data, KEY, BINDING), BINDING) == data


@pytest.mark.parametrize("data", GOLDEN, ids=repr)
def test_a_blob_of_the_first_version_opens(data: bytes) -> None:
    assert VAULT.open(bytes.fromhex(GOLDEN[data]), BINDING) == data


def test_the_same_login_is_sealed_differently_each_time() -> None:
    assert VAULT.seal(b"login", BINDING) != VAULT.seal(b"login", BINDING)


@given(data=st.binary(max_size=200), at=st.integers(min_value=0))
def test_no_bit_of_a_small_blob_can_change(data: bytes, at: int) -> None:
    blob = VAULT.seal(data, BINDING)

    assert refused(flipped(blob, at % len(blob)))


@pytest.mark.parametrize(
    "at",
    [
        *(HEAD + frame * (MIB + 16) + offset for frame in range(3) for offset in (0, 99)),
        HEAD + MIB + 15,  # the tag of the first frame
        -1,
    ],
)
def test_no_frame_can_change(at: int) -> None:
    blob = VAULT.seal(bytes(3 * MIB), BINDING)

    assert refused(flipped(blob, at % len(blob)))


@pytest.mark.parametrize("frames", [0, 1, 2])
@pytest.mark.parametrize("more", [0, 1, 16])
def test_a_blob_that_was_cut_does_not_open(frames: int, more: int) -> None:
    blob = VAULT.seal(bytes(3 * MIB), BINDING)

    assert refused(blob[: HEAD + frames * (MIB + 16) + more])


@pytest.mark.parametrize("size", [0, 3, 4, 5, 12, 80])
def test_what_is_shorter_than_a_head_does_not_open(size: int) -> None:
    assert refused(VAULT.seal(b"", BINDING)[:size])


def test_frames_cannot_change_places_nor_be_left_out_nor_added() -> None:
    blob = VAULT.seal(bytes(3 * MIB), BINDING)
    frames = [blob[at : at + MIB + 16] for at in range(HEAD, len(blob), MIB + 16)]

    orders = [(1, 0, 2), (0, 2, 1), (0, 0, 2), (1, 2), (0, 2), (0, 1), (2,), (0, 1, 2, 2)]
    changed = [blob[:HEAD] + b"".join(frames[number] for number in order) for order in orders]

    assert [refused(each) for each in changed] == [True] * len(orders)


def test_frames_of_another_blob_of_the_same_seed_do_not_fit() -> None:
    one, two = VAULT.seal(bytes(2 * MIB), BINDING), VAULT.seal(bytes(2 * MIB), BINDING)

    assert refused(one[: HEAD + MIB + 16] + two[HEAD + MIB + 16 :])
    assert refused(one[:HEAD] + two[HEAD:])


@pytest.mark.parametrize(
    "other",
    [
        replace(BINDING, store="8f14e45f-0000-4000-8000-000000000002"),
        replace(BINDING, seed="b" * 32),
        replace(BINDING, kind="spool"),
        replace(BINDING, version=6),
        replace(BINDING, store=BINDING.store + "a", seed="a" * 31),
    ],
    ids=["store", "seed", "kind", "version", "what moves from one name to the next"],
)
def test_a_blob_opens_only_for_what_it_was_sealed_for(other: Binding) -> None:
    assert refused(VAULT.seal(b"login", BINDING), binding=other)


def test_another_key_does_not_open_and_the_message_names_the_key_that_does() -> None:
    blob = VAULT.seal(b"login", BINDING)

    with pytest.raises(VaultError, match=KEY.id):
        Vault([OTHER]).open(blob, BINDING)


def test_another_key_under_the_id_of_the_right_one_does_not_open() -> None:
    assert refused(VAULT.seal(b"login", BINDING), Vault([Key(KEY.id, OTHER.secret)]))


def test_an_older_key_opens_what_it_sealed_and_the_current_one_seals() -> None:
    old = VAULT.seal(b"login", BINDING)
    vault = Vault([OTHER, KEY])

    new = vault.seal(b"login", BINDING)

    assert vault.open(old, BINDING) == vault.open(new, BINDING) == b"login"
    assert (vault.key_id(old), vault.key_id(new)) == (KEY.id, OTHER.id)


def test_a_key_that_was_added_since_is_looked_for_once_it_is_needed() -> None:
    looks: list[int] = []

    def look() -> list[Key]:
        looks.append(1)
        return [OTHER, KEY]

    vault = Vault([KEY], look)
    new = Vault([OTHER]).seal(b"login", BINDING)

    assert (vault.open(vault.seal(b"old", BINDING), BINDING), looks) == (b"old", [])
    assert (vault.open(new, BINDING), vault.open(new, BINDING)) == (b"login", b"login")
    assert (looks, vault.current) == ([1], KEY.id)


def test_a_change_of_keys_rewrites_the_wrap_and_nothing_else() -> None:
    old = VAULT.seal(bytes(MIB + 1), BINDING)
    vault = Vault([OTHER, KEY])

    new = vault.rewrap(old, BINDING)

    assert new is not None
    assert new[HEAD:] == old[HEAD:]
    assert new[:HEAD] != old[:HEAD]
    assert Vault([OTHER]).open(new, BINDING) == bytes(MIB + 1)
    assert vault.rewrap(new, BINDING) is None


def test_a_damaged_blob_is_not_wrapped_anew() -> None:
    with pytest.raises(VaultError):
        Vault([OTHER, KEY]).rewrap(flipped(VAULT.seal(b"login", BINDING), -3), BINDING)


def test_without_a_key_data_is_kept_as_it_is_and_sealed_once_there_is_one() -> None:
    plain = Vault([])
    blob = plain.seal(b"login", BINDING)

    sealed = VAULT.rewrap(blob, BINDING)

    assert (plain.is_sealed, VAULT.is_sealed) == (False, True)
    assert blob == b"CNB1\x00login"
    assert plain.open(blob, BINDING) == b"login"
    assert plain.rewrap(blob, BINDING) is None
    assert sealed is not None
    assert VAULT.open(sealed, BINDING) == b"login"


def test_a_login_in_clear_cannot_be_put_in_place_of_a_sealed_one() -> None:
    with pytest.raises(VaultError, match="without encryption"):
        VAULT.open(Vault([]).seal(b"theirs", BINDING), BINDING)


def test_a_sealed_login_does_not_open_without_a_key() -> None:
    assert refused(VAULT.seal(b"login", BINDING), Vault([]))


def test_a_key_never_shows_and_its_id_is_no_part_of_it() -> None:
    secret = KEY.secret.hex()

    assert secret not in repr(KEY) + str(KEY) + repr(Vault([KEY]))
    assert KEY.id not in secret
    assert Key.new().id != Key.new().id


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="not 31"):
        Key.of(bytes(31))


def login(**facts: str) -> Login:
    # The four facts that count, so that these tests need no whole auth.json.
    blank = dict.fromkeys(
        ("kind", "refresh_token", "access_token", "api_key", "account_id", "user_id"), ""
    )
    return cast("Login", SimpleNamespace(**{**blank, "kind": "chatgpt", **facts}))


NAMES = Fingerprints(b"secret of the store")


def test_a_rotation_keeps_the_account_and_changes_the_credential() -> None:
    one = login(refresh_token="r1", account_id="team", user_id="ada")
    two = login(refresh_token="r2", account_id="team", user_id="ada")

    assert NAMES.account(one) == NAMES.account(two)
    assert NAMES.credential(one) != NAMES.credential(two)


def test_two_people_of_one_workspace_have_two_accounts() -> None:
    ada = login(refresh_token="r1", account_id="team", user_id="ada")
    bob = login(refresh_token="r2", account_id="team", user_id="bob")

    assert NAMES.account(ada) != NAMES.account(bob)


def test_an_api_key_is_its_own_account() -> None:
    one = login(kind="apikey", api_key="k1", account_id="team")
    two = login(kind="apikey", api_key="k2", account_id="team")

    assert NAMES.account(one) == NAMES.credential(one)
    assert NAMES.account(one) != NAMES.account(two)


def test_a_fingerprint_is_no_bare_hash_and_differs_from_store_to_store() -> None:
    one = login(refresh_token="r1", account_id="team", user_id="ada")
    others = Fingerprints(b"secret of another")

    assert NAMES.credential(one) != others.credential(one)
    assert NAMES.account(one) != others.account(one)
    assert NAMES.credential(one) != hashlib.sha256(b"r1").hexdigest()
    assert len(NAMES.credential(one)) == 64
