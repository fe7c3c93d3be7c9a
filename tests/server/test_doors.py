"""Who may ask: every route refuses strangers, foreign pages and forged requests."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from tornado.httpclient import HTTPClientError

from codex_nb.server.app import ROUTES
from codex_nb.server.sockets import Socket
from codex_nb.server.terminal import TerminalSocket
from tests.server.serving import TOKEN, Server
from tests.server.speaker import Speaker
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET_KINDS = (Socket, TerminalSocket)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
PATHS = [
    pattern.removeprefix("codex-nb/").replace("(?P<session>[^/]+)", "20260101-000000-00000000")
    for pattern, _ in ROUTES
]
SOCKETS = [
    path for path, (_, kind) in zip(PATHS, ROUTES, strict=True) if issubclass(kind, SOCKET_KINDS)
]
FOREIGN = {"Origin": "https://elsewhere.example"}
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@pytest.fixture
def speaker(any_server: Server) -> Iterator[Speaker]:
    """A session of the server, that nobody serves."""
    speaker = Speaker(any_server.sessions)
    yield speaker
    speaker.note(ended="closed", status="closed")


def test_the_table_of_routes_is_what_the_server_registered(any_server: Server) -> None:
    # Every path of the table is known to the server, and one beside it is not.
    with any_server.http() as client:
        found = {path: client.get(path).status_code for path in [*PATHS, "other"]}

    assert found == {
        "sessions": 200,
        "sessions/20260101-000000-00000000": 404,
        "sessions/20260101-000000-00000000/interrupt": 405,
        "sessions/20260101-000000-00000000/terminal": 405,
        "sessions/20260101-000000-00000000/bundle": 404,
        "sessions/20260101-000000-00000000/events": 400,
        "watch": 400,
        "terminal/20260101-000000-00000000/": 404,
        "terminal/20260101-000000-00000000/token": 404,
        "terminal/20260101-000000-00000000/ws": 400,
        "terminal/20260101-000000-00000000/view/": 404,
        "terminal/20260101-000000-00000000/view/token": 404,
        "terminal/20260101-000000-00000000/view/ws": 400,
        "other": 404,
    }


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_stranger_is_refused_on_every_route(
    any_server: Server, path: str, method: str, token: str
) -> None:
    with any_server.http(token=token) as client:
        answer = client.request(method, path, headers=HANDSHAKE)

    assert answer.status_code == 403
    if method != "HEAD":
        assert set(answer.json()) == {"message", "hint"}


@pytest.mark.parametrize("path", SOCKETS)
def test_a_stranger_opens_no_socket(any_server: Server, path: str) -> None:
    async def check() -> None:
        for token in ("", "wrong"):
            with pytest.raises(HTTPClientError) as caught:
                async with any_server.socket(path, token=token):
                    pass
            assert caught.value.code == 403

    run(check())


@pytest.mark.parametrize("path", PATHS)
def test_a_foreign_page_is_refused_even_with_a_token_in_the_url(
    any_server: Server, path: str
) -> None:
    with any_server.http(token="") as client:
        for method in ("GET", "POST", "DELETE"):
            answer = client.request(
                method, path, params={"token": TOKEN}, headers={**HANDSHAKE, **FOREIGN}
            )
            assert answer.status_code == 403
            assert answer.json() == {
                "message": "This page is of another origin than the Jupyter server.",
                "hint": "Open it from this server, or set ServerApp.allow_origin.",
            }


def test_a_socket_looks_at_the_origin_even_with_a_token_in_the_url(any_server: Server) -> None:
    host = any_server.url.split("/")[2]

    async def check() -> None:
        for origin in ("https://elsewhere.example", "null", f"http://{host}.example", "file://"):
            with pytest.raises(HTTPClientError) as caught:
                async with any_server.socket("watch", headers={"Origin": origin}):
                    pass
            assert caught.value.code == 403
        async with any_server.socket("watch", headers={"Origin": f"http://{host}"}) as browser:
            assert (await browser.next())["frame"] == "sessions"
        async with any_server.socket("watch") as browser:  # no browser, no origin
            assert (await browser.next())["frame"] == "sessions"

    run(check())


def test_a_browser_that_says_same_origin_is_let_in_through_a_proxy_that_renames_the_host(
    any_server: Server,
) -> None:
    headers = {**FOREIGN, "Sec-Fetch-Site": "same-origin"}

    async def check() -> None:
        async with any_server.socket("watch", headers=headers) as browser:
            assert (await browser.next())["frame"] == "sessions"
        with pytest.raises(HTTPClientError):
            async with any_server.socket("watch", headers={**headers, "Sec-Fetch-Site": "none"}):
                pass

    with any_server.http() as client:
        assert client.get("sessions", headers=headers).status_code == 200
        crossed = {**headers, "Sec-Fetch-Site": "cross-site"}
        assert client.get("sessions", headers=crossed).status_code == 403
    run(check())


def test_cookies_open_every_door_that_a_token_opens(any_server: Server, speaker: Speaker) -> None:
    session = f"sessions/{speaker.entry.id}"
    with any_server.logged_in() as client:
        assert client.get(session).status_code == 200
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())

    async def check() -> None:
        async with speaker.listening():
            headers = {"Cookie": cookies}
            async with any_server.socket(f"{session}/events", token="", headers=headers) as one:
                assert await one.next() == speaker.snapshot()

    run(check())


def test_a_request_with_a_cookie_and_no_xsrf_token_changes_nothing(
    any_server: Server, speaker: Speaker
) -> None:
    session = f"sessions/{speaker.entry.id}"

    def try_all(headers: dict[str, str]) -> list[int]:
        with any_server.logged_in() as client:
            token = headers or {"X-XSRFToken": client.cookies["_xsrf"]}
            return [
                client.delete(session, headers=token).status_code,
                client.post(f"{session}/interrupt", headers=token).status_code,
            ]

    async def check() -> None:
        async with speaker.listening():
            forged = await asyncio.to_thread(try_all, {"X-XSRFToken": "forged"})
            assert (forged, speaker.heard) == ([403, 403], [])
            assert await asyncio.to_thread(try_all, {}) == [204, 204]
            assert [it["op"] for it in speaker.heard] == ["close", "interrupt"]

    run(check())


AUTHORIZER = """
from jupyter_server.auth import Authorizer

class Readers(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        with open({asked!r}, "a") as file:
            print(resource, action, file=file)
        return action == "read"

c.ServerApp.authorizer_class = Readers
c.ServerApp.allow_origin = "https://friend.example"
"""


def test_an_authorizer_and_allow_origin_of_the_server_are_respected(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("readers")
    asked = folder / "asked"
    serving = Server(folder / "server", config=AUTHORIZER.format(asked=str(asked)))
    speaker = Speaker(serving.sessions)
    session = f"sessions/{speaker.entry.id}"

    async def open_both() -> None:
        friend = {"Origin": "https://friend.example"}
        async with serving.socket("watch", headers=friend) as browser:
            assert (await browser.next())["frame"] == "sessions"
        with pytest.raises(HTTPClientError) as caught:
            async with serving.socket("watch", headers=FOREIGN):
                pass
        assert caught.value.code == 403
        asked.write_text("")
        with pytest.raises(HTTPClientError) as caught:
            async with serving.socket(f"{session}/events"):
                pass
        assert caught.value.code == 403

    try:
        with serving.http() as client:
            found = {
                "list": client.get("sessions").status_code,
                "one": client.get(session).status_code,
                "bundle": client.get(f"{session}/bundle").status_code,
                "close": client.delete(session).status_code,
                "interrupt": client.post(f"{session}/interrupt").status_code,
            }
        allowed = asked.read_text().splitlines()
        run(open_both())
        assert asked.read_text().splitlines() == ["codex_nb execute"]
    finally:
        serving.close()

    assert found == {"list": 200, "one": 200, "bundle": 200, "close": 403, "interrupt": 403}
    assert allowed == [*(["codex_nb read"] * 3), *(["codex_nb write"] * 2)]


def test_an_address_that_leads_out_of_the_folder_is_no_session(any_server: Server) -> None:
    outside = any_server.runtime / "outside"
    outside.mkdir(exist_ok=True)
    outside.joinpath("host.json").write_text(
        json.dumps({"id": "outside", "name": "n", "cwd": "/", "ended": "closed"})
    )
    names = ("..%2foutside", "%2e%2e%2Foutside", "..", "%00", "a%0Ab", "a" * 65, ".hidden", "ä")

    with any_server.http() as client:
        found = {name: client.get(f"sessions/{name}/bundle").status_code for name in names}

    # httpx takes ".." out of the address by itself, as browsers do.
    assert found == dict.fromkeys(names, 404)
