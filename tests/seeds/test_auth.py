from __future__ import annotations

import base64
import json
import traceback
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.errors import LoginError
from codex_nb.seeds.auth import CLIENT_ID, ISSUER, Fault, Login, Tokens, UnusableLoginError
from codex_nb.seeds.claims import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_nb.protocol.messages import Json, JsonObject

NOW = 1_795_000_000.0
DAY = 86_400.0
SECRET = "LEAKEDSECRET"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["auth_mode", "tokens", "access_token", "refresh_token", "last_refresh", "exp", "a"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


def jwt(claims: Json) -> str:
    """A token with these claims, and the secret in its signature."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhIjoxfQ.{payload}.{SECRET}"


def access_token(*, account: str = "acct-1", **claims: Json) -> str:
    auth: JsonObject = {"chatgpt_account_id": account, "chatgpt_plan_type": "plus"}
    return jwt({"https://api.openai.com/auth": auth, **claims})


def id_token(account: str = "acct-1") -> str:
    auth: JsonObject = {
        "chatgpt_account_id": account,
        "chatgpt_user_id": "user-1",
        "chatgpt_plan_type": "pro",
    }
    return jwt({"email": "me@example.com", "https://api.openai.com/auth": auth})


def document(**changes: Json) -> JsonObject:
    """An auth.json of a ChatGPT login that ends an hour from NOW."""
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {
            "id_token": id_token(),
            "access_token": access_token(exp=NOW + 3600, iat=NOW - 60),
            "refresh_token": f"rt-{SECRET}",
            "account_id": "acct-1",
        },
        "last_refresh": "2026-11-22T15:17:00.630228887Z",
        **changes,
    }


def parsed(**changes: Json) -> Login:
    return Login.parse(json.dumps(document(**changes)).encode())


def with_access(token: str, **changes: Json) -> Login:
    tokens = document()["tokens"]
    assert isinstance(tokens, dict)
    return parsed(tokens={**tokens, "access_token": token}, **changes)


def test_a_chatgpt_login_tells_what_its_tokens_claim() -> None:
    whole = document()

    login = Login.parse(json.dumps(whole).encode())

    assert login == Login(
        kind="chatgpt",
        access_token=access_token(exp=NOW + 3600, iat=NOW - 60),
        refresh_token=f"rt-{SECRET}",
        id_token=id_token(),
        account_id="acct-1",
        user_id="user-1",
        email="me@example.com",
        plan="pro",
        expires_at=NOW + 3600,
        issued_at=NOW - 60,
        last_refresh=1_795_360_620.630228,
        issuer=ISSUER,
        client_id=CLIENT_ID,
        document=whole,
    )


def test_an_api_key_needs_no_refresh_ever() -> None:
    login = Login.parse(b'{"auth_mode":"apikey","OPENAI_API_KEY":"sk-1"}')

    assert (login.kind, login.api_key, login.refresh_by) == ("apikey", "sk-1", None)
    assert not login.needs_refresh(NOW * 2)


def test_the_file_of_an_api_key_is_written_as_it_was() -> None:
    data = b'{"auth_mode":"apikey","OPENAI_API_KEY":"sk-1"}'

    assert Login.parse(data).to_bytes() == data


def test_a_login_names_every_account_that_its_tokens_name() -> None:
    login = with_access(access_token(account="acct-2"))

    assert login.accounts == {"acct-1", "acct-2"}


def test_the_key_wins_where_an_old_file_has_both_and_no_mode() -> None:
    old = document(OPENAI_API_KEY="sk-1")
    del old["auth_mode"]

    assert Login.from_document(old).kind == "apikey"
    assert parsed(OPENAI_API_KEY="sk-1").kind == "chatgpt"


def test_the_provenance_says_whom_to_ask() -> None:
    tokens = document()["tokens"]
    assert isinstance(tokens, dict)
    origin: JsonObject = {"issuer": "https://login.example.com/", "client_id": "app-2"}

    login = parsed(tokens={**tokens, "oauth_provenance": origin})

    assert (login.issuer, login.client_id) == ("https://login.example.com", "app-2")


WHOLE = json.dumps(document()).encode()
TOKENS = {"access_token": "a", "refresh_token": "r", "id_token": "i"}


NO_LOGINS = [
    (b"", Fault.EMPTY),
    (b" \n", Fault.EMPTY),
    (WHOLE[:-1], Fault.TORN),
    (WHOLE[: len(WHOLE) // 2], Fault.TORN),
    (b"\0" * 50, Fault.TORN),
    (b"\xff{}", Fault.TORN),
    (b'{"a": NaN}', Fault.TORN),
    (b'{"a": 1e999}', Fault.TORN),
    (b'{"a": ' + b"9" * 5000 + b"}", Fault.TORN),
    (b"[" * 100_000, Fault.TORN),
    (b'{"a":' * 100 + b"1" + b"}" * 100, Fault.MALFORMED),
    (b"{}", Fault.LOGGED_OUT),
    (b'{"auth_mode":"chatgpt","tokens":null}', Fault.LOGGED_OUT),
    (b'{"OPENAI_API_KEY":null}', Fault.LOGGED_OUT),
    (b'{"auth_mode":"apikey"}', Fault.LOGGED_OUT),
    (b"[]", Fault.MALFORMED),
    (b"7", Fault.MALFORMED),
    (b'{"auth_mode":"agentIdentity"}', Fault.MALFORMED),
    (b'{"tokens":[]}', Fault.MALFORMED),
    *(
        (json.dumps({"tokens": {**TOKENS, name: value}}).encode(), Fault.MALFORMED)
        for name in TOKENS
        for value in ("", None, 7, "two words", "line\nbreak", "\ud800", "ü")
    ),
]


@pytest.mark.parametrize(
    ("data", "fault"), NO_LOGINS, ids=[f"{i} {fault}" for i, (_, fault) in enumerate(NO_LOGINS)]
)
def test_what_is_no_login_says_why(data: bytes, fault: Fault) -> None:
    with pytest.raises(LoginError) as caught:
        Login.parse(data)

    assert isinstance(caught.value, UnusableLoginError)
    assert caught.value.fault == fault


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_foreign_bytes_are_a_login_or_a_login_error(data: bytes) -> None:
    try:
        login = Login.parse(data)
    except UnusableLoginError:
        return
    assert Login.parse(login.to_bytes()).refresh_token == login.refresh_token


@given(JSON, JSON, JSON)
def test_foreign_claims_and_times_never_break_a_login(claims: Json, id_: Json, at: Json) -> None:
    tokens: JsonObject = {"access_token": jwt(claims), "refresh_token": "r", "id_token": jwt(id_)}
    login = Login.from_document({"tokens": tokens, "last_refresh": at})

    again = Login.parse(login.to_bytes())

    assert isinstance(again.needs_refresh(NOW), bool)
    assert json.dumps(login.details(), allow_nan=False)


@pytest.mark.parametrize(
    ("left", "needed"),
    [(6 * 60, False), (5 * 60 + 1, False), (5 * 60, True), (0, True), (-9, True)],
)
def test_a_token_that_tells_its_end_is_refreshed_five_minutes_before(
    left: float, needed: bool
) -> None:
    login = with_access(access_token(exp=NOW + left), last_refresh="2020-01-01T00:00:00Z")

    assert login.needs_refresh(NOW) == needed


@pytest.mark.parametrize(("age", "needed"), [(7.9 * DAY, False), (8.1 * DAY, True)])
@pytest.mark.parametrize("token", ["opaque", access_token(), access_token(exp="soon")])
def test_a_token_that_does_not_is_refreshed_after_eight_days(
    token: str, age: float, needed: bool
) -> None:
    assert with_access(token, last_refresh=rfc3339(NOW - age)).needs_refresh(NOW) == needed


def test_a_token_of_which_nothing_is_known_is_refreshed() -> None:
    assert with_access("opaque", last_refresh=None).needs_refresh(NOW)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2026-11-22T15:17:00.630228887Z", "2026-11-22T15:17:00.630228887Z"),
        ("2026-11-22T17:17:00+02:00", "2026-11-22T17:17:00+02:00"),
        (1_795_360_620, "2026-11-22T15:17:00.000000Z"),
        ("1795360620500", "2026-11-22T15:17:00.500000Z"),
        ("2026-11-22 15:17:00", "2026-11-22T15:17:00.000000Z"),
        ("2026-13-99T99:99:99Z", rfc3339(NOW - 60)),  # as old as the token says that it is
        (None, rfc3339(NOW - 60)),
    ],
)
def test_codex_gets_a_time_that_it_can_read(before: Json, after: str) -> None:
    assert json.loads(parsed(last_refresh=before).to_bytes()) == document(last_refresh=after)


def test_what_only_codex_knows_survives() -> None:
    tokens = document()["tokens"]
    assert isinstance(tokens, dict)
    strange = document(
        tokens={**tokens, "login_owner_id": "o", "later": [1]}, later={"deep": [None, 0.5]}
    )

    assert json.loads(Login.from_document(strange).to_bytes()) == strange


def test_a_refresh_changes_the_tokens_and_the_time_and_nothing_else() -> None:
    before = parsed(OPENAI_API_KEY="sk-1", later=1)
    new_access, new_id = access_token(exp=NOW + 9000), jwt({"email": "new@example.com"})
    given = Tokens(access_token=new_access, refresh_token="rt-2", id_token=new_id)

    after = before.rotated(given, NOW)

    assert after.document == {
        **before.document,
        "tokens": {
            "id_token": new_id,
            "access_token": new_access,
            "refresh_token": "rt-2",
            "account_id": "acct-1",
        },
        "last_refresh": rfc3339(NOW),
    }
    assert (after.refresh_token, after.expires_at, after.last_refresh) == ("rt-2", NOW + 9000, NOW)
    assert after.email == "new@example.com"
    assert before.refresh_token == f"rt-{SECRET}"


def test_an_answer_with_an_access_token_only_keeps_the_others() -> None:
    before = parsed()

    after = before.rotated(Tokens(access_token="opaque"), NOW)

    assert (after.access_token, after.refresh_token, after.id_token, after.email) == (
        "opaque",
        before.refresh_token,
        before.id_token,
        before.email,
    )


def test_an_api_key_cannot_be_rotated() -> None:
    with pytest.raises(ValueError, match="only a ChatGPT login"):
        Login.parse(b'{"OPENAI_API_KEY":"sk-1"}').rotated(Tokens(access_token="a"), NOW)


def test_a_person_sees_who_and_until_when() -> None:
    assert parsed().details() == {
        "email": "me@example.com",
        "plan": "pro",
        "expires_at": NOW + 3600,
        "issued_at": NOW - 60,
        "refresh_by": NOW + 3300,
    }


def test_nothing_that_is_shown_holds_a_secret() -> None:
    login = parsed(OPENAI_API_KEY=f"sk-{SECRET}")
    tokens = Tokens(access_token=SECRET, refresh_token=SECRET, id_token=SECRET)

    shown = [repr(login), str(login), repr(tokens), f"{login.details()}", f"{login.accounts}"]

    assert SECRET not in "".join(shown)


@pytest.mark.parametrize(
    "read",
    [
        lambda: Login.parse(json.dumps(document()).encode()[:-1]),
        lambda: Login.parse(json.dumps([document()]).encode()),
        lambda: Login.from_document(document(auth_mode="agentIdentity")),
    ],
    ids=["torn", "malformed", "of another mode"],
)
def test_not_even_the_locals_of_a_traceback_hold_a_secret(read: Callable[[], Login]) -> None:
    with pytest.raises(UnusableLoginError) as caught:
        read()

    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)

    assert SECRET not in "".join(shown.format())
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
