"""The smallest model that codex takes for one: it asks for one command, and ends when it ran.

Only for tests of the conversation with codex itself, below the replay package.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from codex_nb.protocol.messages import JsonObject

USAGE: JsonObject = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}


def settings(port: int) -> JsonObject:
    """The codex settings with which it uses the model on this port."""
    return {
        "model": "loopback",
        "model_provider": "loopback",
        "model_providers": {
            "loopback": {
                "name": "Loopback",
                "base_url": f"http://127.0.0.1:{port}/v1",
                "wire_api": "responses",
                "requires_openai_auth": False,
                "request_max_retries": 0,
                "stream_max_retries": 0,
            }
        },
    }


@asynccontextmanager
async def loopback_model(command: str = "") -> AsyncIterator[int]:
    """Serve a model that wants to run `command` outside of the sandbox; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
            body = await reader.readexactly(int(fields.get("content-length", "0")))
            if head.startswith("POST /v1/responses"):
                has_run = b"function_call_output" in body
                item = _message("done") if has_run or not command else _call(command)
                writer.write(_http("200 OK", "text/event-stream", _stream(item)))
            else:
                writer.write(_http("404 Not Found", "text/plain", b""))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # codex went away
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _message(text: str) -> JsonObject:
    content: JsonObject = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "m", "role": "assistant", "content": [content]}


def _call(command: str) -> JsonObject:
    arguments = {
        "cmd": command,
        "sandbox_permissions": "require_escalated",
        "justification": "May I?",
    }
    return {
        "type": "function_call",
        "call_id": "call",
        "name": "exec_command",
        "arguments": json.dumps(arguments),
    }


def _stream(item: JsonObject) -> bytes:
    response: JsonObject = {"id": "r", "usage": USAGE}
    events: list[JsonObject] = [
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response},
    ]
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events
    )


def _http(status: str, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\nconnection: close\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
