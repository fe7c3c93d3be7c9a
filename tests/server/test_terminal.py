"""The page, the token and the WebSocket of a terminal: what they answer, and whom they ask."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from tests.server.serving import Server
from tests.server.speaker import Speaker
from tests.server.test_rest import ENDED, UNKNOWN, checked
from tests.server.tty import (
    ACCEPT,
    AGREED,
    KEY,
    RefusedError,
    body_of,
    frame,
    give_terminal,
    path_of,
    pretending,
    viewing,
)
from tests.support.waiting import run, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from codex_nb.protocol.messages import JsonObject

SCRIPTS = (b"\nlet a = '\xc3\xa4';\n", b"let b;")
PAGE = (
    b'<!DOCTYPE html><head><script>%s</script></head><body><script type="x">%s</script>' % SCRIPTS
)
NO_TERMINAL = {"message": "No terminal runs.", "hint": "Open one."}


@pytest.fixture
def speaker(any_server: Server) -> Iterator[Speaker]:
    """A session of the server."""
    speaker = Speaker(any_server.sessions)
    yield speaker
    speaker.note(ended="closed", status="closed")


@pytest.fixture
def page(speaker: Speaker, tmp_path: Path) -> Path:
    """The page of its terminal, which nobody serves."""
    page = tmp_path / "page.html"
    page.write_bytes(PAGE)
    give_terminal(speaker, socket=tmp_path / "nobody.sock", page=page)
    return page


def hash_of(script: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"


def get(server: Server, path: str, **headers: str) -> httpx.Response:
    with server.http() as client:
        answer = client.get(path, headers=headers)
    parts = path.split("/")
    parts[1] = "{session}"
    return checked(answer, f"/codex-nb/{'/'.join(parts)}")


async def asking(server: Server, path: str, **headers: str) -> httpx.Response:
    return await asyncio.to_thread(get, server, path, **headers)


@pytest.mark.usefixtures("page")
def test_the_page_is_the_file_with_jupyters_policy_and_one_of_its_own(
    any_server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening():
            answer = await asking(any_server, path_of(speaker))
        report = f"/{any_server.url.split('/', 3)[3]}api/security/csp-report"
        assert answer.content == PAGE
        headers = answer.headers
        assert headers.get_list("Content-Security-Policy") == [
            f"frame-ancestors 'self'; report-uri {report}",
            f"default-src 'none'; script-src {hash_of(SCRIPTS[0])} {hash_of(SCRIPTS[1])}; "
            "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'",
        ]
        names = ("Content-Type", "X-Content-Type-Options", "Cache-Control", "Referrer-Policy")
        assert [headers[name] for name in (*names, "Cross-Origin-Resource-Policy")] == [
            "text/html; charset=utf-8",
            "nosniff",
            "private, max-age=300",
            "no-referrer",
            "same-origin",
        ]
        assert speaker.heard == [{"id": 1, "op": "terminal", "mode": "write"}]

    run(check())


def test_a_page_that_a_browser_has_is_not_sent_again_and_a_new_one_is(
    any_server: Server, speaker: Speaker, page: Path
) -> None:
    async def check() -> None:
        path = path_of(speaker)
        async with speaker.listening():
            first = await asking(any_server, path)
            again = await asking(any_server, path, **{"If-None-Match": first.headers["Etag"]})
            assert (again.status_code, again.content) == (304, b"")
            await asyncio.to_thread(page.write_bytes, b"<p>new")
            new = await asking(any_server, path, **{"If-None-Match": first.headers["Etag"]})
            assert (new.status_code, new.content) == (200, b"<p>new")
            assert new.headers["Etag"] != first.headers["Etag"]
            assert "script-src 'none';" in new.headers.get_list("Content-Security-Policy")[1]

    run(check())


@pytest.mark.usefixtures("page")
def test_the_page_is_sent_compressed_to_who_can_read_that(
    any_server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening():
            packed = await asking(any_server, path_of(speaker), **{"Accept-Encoding": "br, gzip"})
            plain = await asking(any_server, path_of(speaker), **{"Accept-Encoding": "identity"})
        assert (packed.headers["Content-Encoding"], packed.content) == ("gzip", PAGE)
        assert int(packed.headers["Content-Length"]) == len(gzip.compress(PAGE, 6, mtime=0))
        assert ("Content-Encoding" in plain.headers, plain.content) == (False, PAGE)

    run(check())


@pytest.mark.usefixtures("page")
def test_the_viewers_page_is_that_of_the_terminal_that_cannot_be_typed_into(
    any_server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening():
            answer = await asking(any_server, path_of(speaker, "view/"))
        assert answer.content == PAGE
        assert speaker.heard == [{"id": 1, "op": "terminal", "mode": "view"}]

    run(check())


def test_the_token_is_empty_and_no_session_is_asked_for_it(
    any_server: Server, speaker: Speaker
) -> None:
    for name in ("token", "view/token"):
        answer = get(any_server, path_of(speaker, name))
        assert (answer.json(), speaker.heard) == ({"token": ""}, [])


def test_a_session_that_nobody_knows_has_no_terminal(any_server: Server) -> None:
    for name in ("", "token", "ws", "view/", "view/token", "view/ws"):
        if name.endswith("ws"):
            refused = run(refusal(any_server, f"terminal/none/{name}"))
            assert (refused.status, body_of(refused)) == (404, UNKNOWN)
        else:
            answer = get(any_server, f"terminal/none/{name}")
            assert (answer.status_code, answer.json()) == (404, UNKNOWN)


def test_why_there_is_no_terminal_is_said_by_the_session_or_by_us(
    any_server: Server, speaker: Speaker, tmp_path: Path
) -> None:
    silent = {
        "message": f"The session {speaker.entry.id} does not answer.",
        "hint": "Try again in a moment, or look at host.log of its folder.",
    }
    nameless = {"message": "The session names no {} of its terminal.", "hint": ""}
    unreadable = {
        "message": "The page of the terminal cannot be read.",
        "hint": "Open the terminal again.",
    }
    deaf = {
        "message": "The terminal of the session does not answer.",
        "hint": "Close the terminal and open it again.",
    }

    async def both() -> list[tuple[int, object]]:
        page = await asking(any_server, path_of(speaker))
        refused = await refusal(any_server, path_of(speaker, "ws"))
        return [(page.status_code, page.json()), (refused.status, body_of(refused))]

    async def check() -> None:
        assert await both() == [(502, silent)] * 2  # nobody listens
        async with speaker.listening():
            speaker.answer = {"error": {"kind": "SessionError", **NO_TERMINAL}}
            assert await both() == [(409, NO_TERMINAL)] * 2
            away: JsonObject = {"message": "gpu1 is out of reach.", "hint": "Wait."}
            speaker.answer = {"ok": {"unreachable": away}}
            assert await both() == [(502, away)] * 2
            answers: list[JsonObject] = [{}, {"socket": "", "page": 3}]
            for answer in answers:
                speaker.answer = {"ok": answer}
                assert await both() == [
                    (502, {**nameless, "message": nameless["message"].format(what)})
                    for what in ("page", "socket")
                ]
            give_terminal(speaker, socket=tmp_path / "none.sock", page=tmp_path / "none.html")
            assert await both() == [(502, unreadable), (502, deaf)]
            give_terminal(speaker, socket=tmp_path / ("x" * 200), page=tmp_path)
            assert await both() == [(502, unreadable), (502, deaf)]
        speaker.note(ended="closed", status="closed")
        assert await both() == [(409, ENDED)] * 2

    run(check())


async def refusal(
    server: Server, path: str, headers: dict[str, str | None] | None = None
) -> RefusedError:
    """How a handshake is refused, as the description says."""
    with pytest.raises(RefusedError) as caught:
        async with viewing(server, path, headers=headers):
            pass
    return caught.value


@pytest.mark.parametrize(
    "headers",
    [
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Connection": "keep-alive"},
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Version": None},
        {"Sec-WebSocket-Protocol": None},
        {"Sec-WebSocket-Protocol": "chat, tty2"},
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Key": "short"},
    ],
)
def test_what_is_no_handshake_with_a_terminal_is_refused_before_anybody_is_asked(
    server: Server, headers: dict[str, str | None]
) -> None:
    speaker = Speaker(server.sessions)

    async def check() -> None:
        async with speaker.listening():
            refused = await refusal(server, path_of(speaker, "ws"), headers)
        assert (refused.status, speaker.heard) == (400, [])
        assert set(json.loads(refused.body)) == {"message", "hint"}

    run(check())
    speaker.note(ended="closed", status="closed")


@pytest.mark.parametrize(("name", "mode"), [("ws", "write"), ("view/ws", "view")])
def test_a_terminal_is_asked_with_our_words_and_the_browsers_key_and_nothing_else(
    any_server: Server, speaker: Speaker, tmp_path: Path, name: str, mode: str
) -> None:
    socket = tmp_path / "t.sock"
    give_terminal(speaker, socket=socket)
    foul: dict[str, str | None] = {
        "Cookie": "a=b",
        "X-Forwarded-For": "1.2.3.4",
        "User-Agent": "me",
        "Sec-WebSocket-Protocol": "chat,  tty , x",
    }

    async def check() -> None:
        async def act(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(AGREED + frame(b"0early"))
            writer.write(frame(b"\x03\xe8", first=0x88))
            await writer.drain()

        async with speaker.listening(), pretending(socket, act) as asked:
            path = f"{path_of(speaker, name)}?arg=--evil&fontSize=3"
            async with viewing(any_server, path, headers=foul) as viewer:
                assert viewer.head == [
                    "HTTP/1.1 101 Switching Protocols",
                    "Upgrade: websocket",
                    "Connection: Upgrade",
                    f"Sec-WebSocket-Accept: {ACCEPT}",
                    "Sec-WebSocket-Protocol: tty",
                ]
                assert await viewer.frame() == (2, b"0early")
                assert await viewer.until_closed() == (1000, "")
                assert await viewer.until_gone() == b""
            assert asked == [
                b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\n"
                + f"Sec-WebSocket-Key: {KEY}\r\n".encode()
                + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: tty\r\n\r\n"
            ]
        assert speaker.heard == [{"id": 1, "op": "terminal", "mode": mode}]

    run(check())


def test_beside_the_three_names_there_is_nothing(any_server: Server, speaker: Speaker) -> None:
    names = (
        "w",
        "ws/",
        "ws/x",
        "tokens",
        "x",
        "view",
        "view/x",
        "view/view/",
        "view/ws/",
        "..%2fws",
    )
    with any_server.http(follow_redirects=True) as client:
        found = {name: client.get(path_of(speaker, name)).status_code for name in names}
        bare = client.get(path_of(speaker).removesuffix("/")).status_code

    # Jupyter takes a slash off the end of what it does not know.
    assert found == {**dict.fromkeys(names, 404), "ws/": 400, "view/ws/": 400}
    assert (bare, speaker.heard) == (404, [])


READERS = """
from jupyter_server.auth import Authorizer

class Readers(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return action == "read"

c.ServerApp.authorizer_class = Readers
"""


def test_who_may_only_read_sees_the_viewers_terminal_and_not_the_other(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("readers")
    serving = Server(folder / "server", config=READERS)
    speaker = Speaker(serving.sessions)
    socket, page = folder / "t.sock", folder / "page.html"
    page.write_bytes(PAGE)
    give_terminal(speaker, socket=socket, page=page)

    async def check() -> dict[str, int]:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(AGREED)
            await reader.read()

        async with speaker.listening(), pretending(socket, act):
            found = {
                name: (await asking(serving, path_of(speaker, name))).status_code
                for name in ("", "token", "view/", "view/token")
            }
            found["ws"] = (await refusal(serving, path_of(speaker, "ws"))).status
            assert speaker.heard == [{"id": 1, "op": "terminal", "mode": "view"}]
            async with viewing(serving, path_of(speaker, "view/ws")):
                found["view/ws"] = 101
        return found

    try:
        assert run(check()) == {
            "": 403,
            "token": 403,
            "ws": 403,
            "view/": 200,
            "view/token": 200,
            "view/ws": 101,
        }
    finally:
        serving.close()


def test_a_foreign_page_joins_no_terminal_even_with_the_token(
    any_server: Server, speaker: Speaker
) -> None:
    async def check() -> None:
        async with speaker.listening():
            for name in ("ws", "view/ws"):
                headers: dict[str, str | None] = {"Origin": "https://elsewhere.example"}
                refused = await refusal(any_server, path_of(speaker, name), headers)
                assert refused.status == 403
        assert speaker.heard == []

    run(check())


def test_joining_and_leaving_is_recorded_and_a_viewer_is_told_apart(
    any_server: Server, speaker: Speaker, tmp_path: Path
) -> None:
    socket = tmp_path / "t.sock"
    give_terminal(speaker, socket=socket)
    key = speaker.entry.id

    def records() -> list[str]:
        return [str(it["action"]) for it in any_server.recorded() if it["session"] == key]

    async def check() -> None:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(AGREED)
            await reader.read()

        async with speaker.listening(), pretending(socket, act):
            for name in ("ws", "view/ws"):
                count = len(records())
                async with viewing(any_server, path_of(speaker, name)):
                    await wait_until(lambda: len(records()) == count + 1)  # noqa: B023
                await wait_until(lambda: len(records()) == count + 2)  # noqa: B023

    run(check())
    assert records() == ["attached", "detached", "viewed", "detached"]
