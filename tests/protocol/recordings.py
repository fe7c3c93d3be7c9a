"""Recorded conversations of the real app-server, played through our connection.

The files hold both directions. What the client asked is asked again, so that every response has its
request; ids of ours are mapped, because they are numbered anew.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.protocol.messages import is_request_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.protocol.connection import Connection
    from codex_nb.protocol.messages import JsonObject, Message, RequestId

FOLDER = Path(__file__).parents[1] / "data" / "recordings"
NAMES = sorted(path.name.removesuffix(".jsonl.gz") for path in FOLDER.glob("*.jsonl.gz"))


def play(name: str, connection: Connection) -> Iterator[tuple[float, Message]]:
    """Every message of codex, with its second in the recording, as our connection reads it.

    A process of codex that ends and another that begins are one conversation here.
    """
    ids: dict[RequestId, RequestId] = {}
    with gzip.open(FOLDER / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        for text in file:
            message: JsonObject = json.loads(text)
            seconds, direction = message.pop("t"), message.pop("dir")
            if direction == "<":
                if "method" not in message and is_request_id(own_id := message["id"]):
                    message["id"] = ids.pop(own_id)
                connection.receive_data(json.dumps(message).encode() + b"\n")
            else:
                _say(connection, message, ids)
            for event in connection.events_received():
                yield float(str(seconds)), event


def _say(connection: Connection, message: JsonObject, ids: dict[RequestId, RequestId]) -> None:
    method, params, own_id = message.get("method"), message.get("params"), message.get("id")
    named = params if isinstance(params, dict) else None
    if method is None and is_request_id(own_id):
        connection.answer(own_id, message["result"])
    elif is_request_id(own_id):
        ids[own_id] = connection.request(str(method), named)
    else:
        connection.notify(str(method), named)
