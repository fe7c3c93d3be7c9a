"""The recorder: what it passes on, what it stores, and what it never stores."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import httpx
import pytest

from codex_nb.errors import ReplayError
from codex_nb.replay.loopback import Answer, LoopbackServer, Request, json_answer
from codex_nb.replay.record import Recorder
from tests.support.waiting import run

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.protocol.messages import JsonObject


def test_a_recording_holds_no_credentials_and_none_of_the_history(tmp_path: Path) -> None:
    async def upstream(request: Request) -> Answer:
        assert request.headers["authorization"] == "Bearer SECRET-1"
        item: JsonObject = {"type": "reasoning", "encrypted_content": "SECRET-2", "summary": []}
        events: list[JsonObject] = [
            {"type": "response.created", "response": {"id": "r", "instructions": "SECRET-3"}},
            {"type": "response.output_item.done", "item": item},
            {"type": "response.completed", "response": {"id": "r", "user": "SECRET-4"}},
        ]
        body = "".join(f"event: {e['type']}\r\ndata: {json.dumps(e)}\r\n\r\n" for e in events)
        return Answer(
            headers={"set-cookie": "SECRET-5", "x-codex-primary-used-percent": "1"},
            body=body.encode(),
        )

    async def talk() -> None:
        path = tmp_path / "talk.jsonl"
        async with (
            LoopbackServer(upstream) as server,
            Recorder(
                path, upstream=f"{server.url}/v1", headers={"Authorization": "Bearer SECRET-1"}
            ) as recorder,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            answer = await client.post(
                f"{recorder.base_url}/responses",
                headers={"authorization": "Bearer SECRET-6", "cookie": "SECRET-7"},
                json={
                    "model": "m",
                    "instructions": "SECRET-8",
                    "input": [{"type": "message", "role": "user", "content": "hello"}],
                    "tools": [{"type": "function", "name": "exec", "description": "SECRET-9"}],
                },
            )
            assert answer.headers["x-codex-primary-used-percent"] == "1"
            assert "set-cookie" not in answer.headers
        text = path.read_text(encoding="utf-8")
        assert "SECRET" not in text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        head, line = (json.loads(line) for line in text.splitlines())
        assert {key: head[key] for key in ("format", "version", "title")} == {
            "format": "codex-nb recording",
            "version": 1,
            "title": "talk",
        }
        frames = line.pop("frames")
        assert line == {
            "turn": 0,
            "step": 0,
            "prompt": "hello",
            "running": False,
            "status": 200,
            "cut": False,
            "request": {
                "model": "m",
                "items": ["message"],
                "tools": ["exec"],
                "bytes": line["request"]["bytes"],
            },
        }
        assert [event for _, event in frames] == [
            {"type": "response.created", "response": {"id": "r"}},
            {"type": "response.output_item.done", "item": {"type": "reasoning", "summary": []}},
            {"type": "response.completed", "response": {"id": "r"}},
        ]

    run(talk())


def test_a_retry_after_a_failure_is_recorded_as_the_same_step(tmp_path: Path) -> None:
    statuses = [503, 200, 200]

    async def upstream(_: Request) -> Answer:
        status = statuses.pop(0)
        if status != 200:
            return json_answer({"error": {"message": "later"}}, status=status)
        return Answer(body=b'data: {"type": "response.completed", "response": {}}\n\n')

    async def talk() -> list[tuple[int, int]]:
        path = tmp_path / "talk.jsonl"
        async with (
            LoopbackServer(upstream) as server,
            Recorder(path, upstream=f"{server.url}/v1") as recorder,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            body = {
                "input": [{"type": "message", "role": "user", "content": "hello"}],
                "client_metadata": {"turn_id": "a", "thread_id": "b"},
            }
            for _ in range(3):
                await client.post(f"{recorder.base_url}/responses", json=body)
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        return [(record["step"], record["status"]) for record in map(json.loads, lines)]

    assert run(talk()) == [(0, 503), (0, 200), (1, 200)]


def test_a_provider_that_cannot_be_reached_is_a_bad_gateway(tmp_path: Path) -> None:
    async def talk() -> tuple[int, str]:
        async with (
            Recorder(tmp_path / "a.jsonl", upstream="http://127.0.0.1:9/v1") as recorder,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            answer = await client.post(f"{recorder.base_url}/responses", json={})
            return answer.status_code, answer.json()["error"]["message"]

    assert run(talk()) == (502, "the provider cannot be reached: ConnectError")


def test_a_recorder_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("mine", encoding="utf-8")

    async def start() -> None:
        async with Recorder(path, upstream="http://127.0.0.1:9/v1"):
            pass

    with pytest.raises(ReplayError, match="cannot be written: File exists"):
        run(start())
    assert path.read_text(encoding="utf-8") == "mine"
