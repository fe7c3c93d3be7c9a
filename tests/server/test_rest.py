"""The REST part: what it answers, and that openapi.yaml says so."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jupyter_events.yaml import load

from codex_nb.server.app import ROUTES
from codex_nb.server.rest import RestHandler
from tests.server.serving import ROOT, Server
from tests.support.waiting import run

if TYPE_CHECKING:
    import httpx

    from codex_nb.protocol.messages import JsonObject
    from tests.server.speaker import Speaker

API = load(ROOT / "codex_nb/server/openapi.yaml")
METHODS = ("get", "head", "post", "put", "patch", "delete")
UNKNOWN = {"message": "There is no such session.", "hint": "Look at the list of sessions."}
ENDED = {"message": "The session has ended.", "hint": "Start it again with %codex_run."}


def checked(answer: httpx.Response, path: str) -> httpx.Response:
    """The answer, which is as the description says."""
    method = answer.request.method.lower()
    described = API["paths"][path][method]["responses"][str(answer.status_code)]
    name = described.get("$ref", "").rpartition("/")[2]
    described = API["components"]["responses"][name] if name else described
    if "content" not in described:
        assert answer.content == b""
        return answer
    if "text/html" in described["content"]:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        return answer
    assert answer.headers["Content-Type"] == "application/json"
    schema = described["content"]["application/json"]["schema"]
    # A reference leads to another part of the description.
    Draft202012Validator({**schema, "components": API["components"]}).validate(answer.json())
    return answer


def entry_of(speaker: Speaker) -> JsonObject:
    entry = speaker.entry
    return {
        "id": entry.id,
        "name": "spoken",
        "host": entry.host,
        "cwd": "/somewhere",
        "notebook": "/somewhere/a.ipynb",
        "status": entry.status,
        "waiting": entry.waiting,
        "turn_started_at": entry.turn_started_at,
        "thread_id": "thread-1",
        "created_at": entry.created_at,
        "ended": entry.ended,
    }


def test_the_description_names_every_route_and_every_method_and_no_other() -> None:
    registered = {
        (re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", f"/{pattern}"), method)
        for pattern, handler in ROUTES
        if issubclass(handler, RestHandler)
        for method in METHODS
        if hasattr(getattr(handler, method), "__wrapped__")
    }

    described = {
        (path, method)
        for path, item in API["paths"].items()
        for method in METHODS
        if method in item
    }

    assert described == registered


def test_the_description_is_legal_and_its_schemas_are() -> None:
    assert API["openapi"].startswith("3.1")
    for schema in API["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for ref in re.findall(r"\$ref': '#/([^']+)'", str(API)):
        part = API
        for key in ref.split("/"):
            part = part[key]


def test_sessions_are_listed_and_described(server: Server, speaker: Speaker) -> None:
    speaker.note(status="waiting", waiting=2, turn_started_at=12.5, host="local")

    with server.http() as client:
        listed = checked(client.get("sessions"), "/codex-nb/sessions").json()
        one = checked(client.get(f"sessions/{speaker.entry.id}"), "/codex-nb/sessions/{session}")

    assert one.json() == entry_of(speaker)
    assert [it for it in listed["sessions"] if it["id"] == speaker.entry.id] == [one.json()]
    created = [it["created_at"] for it in listed["sessions"]]
    assert created == sorted(created)


def test_a_session_that_nobody_knows_is_not_found(server: Server) -> None:
    path = "/codex-nb/sessions/{session}"
    with server.http() as client:
        answers = [
            checked(client.get("sessions/none"), path),
            checked(client.delete("sessions/none"), path),
            checked(client.post("sessions/none/interrupt"), f"{path}/interrupt"),
            checked(client.post("sessions/none/terminal"), f"{path}/terminal"),
            checked(client.get("sessions/none/bundle"), f"{path}/bundle"),
        ]

    assert [(it.status_code, it.json()) for it in answers] == [(404, UNKNOWN)] * 5


@pytest.mark.parametrize(
    ("method", "path", "op"),
    [
        ("DELETE", "", "close"),
        ("POST", "/interrupt", "interrupt"),
        ("POST", "/terminal", "open_terminal"),
    ],
)
def test_what_a_person_does_is_what_the_host_is_asked_for(
    server: Server, speaker: Speaker, method: str, path: str, op: str
) -> None:
    def do() -> tuple[int, JsonObject | None]:
        with server.http() as client:
            answer = client.request(method, f"sessions/{speaker.entry.id}{path}")
        checked(answer, f"/codex-nb/sessions/{{session}}{path}")
        return answer.status_code, answer.json() if answer.content else None

    async def check() -> None:
        async with speaker.listening():
            assert await asyncio.to_thread(do) == (204, None)
            assert speaker.heard == [{"id": 1, "op": op}]
            speaker.answer = {"error": {"kind": "SessionError", "message": "No.", "hint": "So."}}
            assert await asyncio.to_thread(do) == (409, {"message": "No.", "hint": "So."})
            speaker.greeting = None
            silent = {
                "message": f"The session {speaker.entry.id} does not answer.",
                "hint": "Try again in a moment, or look at host.log of its folder.",
            }
            assert await asyncio.to_thread(do) == (502, silent)
        assert await asyncio.to_thread(do) == (502, silent)  # nobody listens

    run(check())


def test_an_ended_session_is_closed_already_and_has_no_turn_to_interrupt(
    server: Server, speaker: Speaker
) -> None:
    speaker.note(ended="idle", status="closed")
    session = f"sessions/{speaker.entry.id}"

    with server.http() as client:
        assert client.delete(session).status_code == 204
        answer = client.post(f"{session}/interrupt")
        assert (answer.status_code, answer.json()) == (409, ENDED)
        assert client.get(session).json()["ended"] == "idle"


def test_a_bundle_is_what_a_notebook_keeps_of_a_window_of_turns(
    server: Server, speaker: Speaker
) -> None:
    second: JsonObject = {
        "id": "turn-2",
        "status": "completed",
        "started_at": 2.0,
        "completed_at": 3.0,
        "error": None,
    }
    speaker.log.append(
        [
            {"op": "put", "in": "turns", "value": second},
            {"op": "put", "in": "items", "value": _message("item-1", "turn-1")},
            {"op": "put", "in": "items", "value": _message("item-2", "turn-2")},
        ],
        at=2.0,
    )
    path = f"sessions/{speaker.entry.id}/bundle"

    with server.http() as client:
        answers = {
            query: checked(
                client.get(f"{path}{query}"), "/codex-nb/sessions/{session}/bundle"
            ).json()
            for query in ("", "?from=1", "?from=0&to=1", "?from=&to=")
        }

    assert {query: it["n"] for query, it in answers.items()} == dict.fromkeys(answers, 5)
    key = "application/vnd.codex-nb.session+json"
    kept = {query: it["data"][key] for query, it in answers.items()}
    assert {query: it["window"] for query, it in kept.items()} == {
        "": {"from": 0, "to": None},
        "?from=1": {"from": 1, "to": None},
        "?from=0&to=1": {"from": 0, "to": 1},
        "?from=&to=": {"from": 0, "to": None},
    }
    assert {
        query: [item["id"] for item in it["transcript"]["items"]] for query, it in kept.items()
    } == {
        "": ["item-1", "item-2"],
        "?from=1": ["item-2"],
        "?from=0&to=1": ["item-1"],
        "?from=&to=": ["item-1", "item-2"],
    }
    assert kept[""]["session"] == speaker.entry.id
    assert "said in item-1" in answers[""]["data"]["text/plain"]


@pytest.mark.parametrize("query", ["from=-1", "to=x", "from=1.5", "from=2&to=1", "to=\u0661"])
def test_a_window_that_cannot_be_meant_is_refused(
    server: Server, speaker: Speaker, query: str
) -> None:
    with server.http() as client:
        answer = client.get(f"sessions/{speaker.entry.id}/bundle?{query}")

    assert checked(answer, "/codex-nb/sessions/{session}/bundle").status_code == 400


def test_a_fault_says_nothing_of_its_reason(server: Server, speaker: Speaker) -> None:
    # A log that is no log: a folder in its place.
    speaker.entry.events.unlink()
    speaker.entry.events.mkdir()

    with server.http() as client:
        answer = client.get(f"sessions/{speaker.entry.id}/bundle")

    assert (answer.status_code, answer.json()) == (
        500,
        {"message": "Internal Server Error", "hint": "Look at the log of the Jupyter server."},
    )


def test_a_folder_of_somebody_else_is_no_place_of_sessions(
    server: Server, speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codex_nb.server.sessions import Sessions

    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(server.runtime))

    async def ids() -> set[str]:
        return {entry.id for entry in await Sessions().list_all()}

    assert speaker.entry.id in run(ids())
    # Only root can give a folder away, and these tests need not be root's.
    monkeypatch.setattr("os.getuid", lambda: 12345)
    assert speaker.entry.id not in run(ids())


def _message(key: str, turn: str) -> JsonObject:
    return {
        "id": key,
        "turn": turn,
        "thread": "thread-1",
        "type": "agentMessage",
        "status": "completed",
        "text": f"said in {key}",
        "output": "",
        "started_at": 1.0,
        "completed_at": 2.0,
        "body": {},
    }
