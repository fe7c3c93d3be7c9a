"""The reducer under any notifications: no exception, and every replica stays equal."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from codex_nb.protocol.approvals import parse_approval
from codex_nb.protocol.messages import Json, JsonObject, Notification, ServerRequest
from tests.protocol.reducing import BOUNDS, Reducing
from tests.protocol.values import JSON, TEXT, objects

IDS: st.SearchStrategy[Json] = st.sampled_from(["a", "b", "", "a~2"]) | JSON
KINDS: st.SearchStrategy[Json] = (
    st.sampled_from(["agentMessage", "reasoning", "commandExecution", "fileChange", "userMessage"])
    | JSON
)
STATUS: st.SearchStrategy[Json] = (
    st.sampled_from(["inProgress", "completed", "failed", "interrupted", "declined"]) | JSON
)
ITEM = objects(
    **dict.fromkeys(["text", "summary", "content", "aggregatedOutput", "changes"], JSON),
    id=IDS,
    type=KINDS,
    status=STATUS,
)
METHODS = [
    *("turn/started", "turn/completed", "turn/plan/updated", "turn/diff/updated"),
    *("thread/tokenUsage/updated", "thread/settings/updated", "account/rateLimits/updated"),
    *("item/started", "item/completed", "item/agentMessage/delta", "item/plan/delta"),
    *("item/reasoning/summaryPartAdded", "item/reasoning/summaryTextDelta"),
    *("item/reasoning/textDelta", "item/commandExecution/outputDelta"),
    *("item/fileChange/outputDelta", "item/fileChange/patchUpdated", "item/mcpToolCall/progress"),
    *("serverRequest/resolved", "error", "warning", "configWarning", "deprecationNotice"),
    *("guardianWarning", "model/rerouted", "thread/started", "unknown"),
]
PARAMS = objects(
    **dict.fromkeys(["message", "summary", "details", "plan", "diff", "changes", "toModel"], JSON),
    **dict.fromkeys(["startedAtMs", "completedAtMs", "contentIndex", "explanation"], JSON),
    threadId=IDS,
    turnId=IDS,
    itemId=IDS,
    item=ITEM | JSON,
    turn=objects(id=IDS, status=STATUS, error=objects(codexErrorInfo=JSON) | JSON) | JSON,
    delta=TEXT | JSON,
    requestId=st.sampled_from([0, 1, "1"]) | JSON,
    willRetry=st.booleans() | JSON,
    error=objects(message=JSON, codexErrorInfo=JSON) | JSON,
    tokenUsage=objects(total=JSON, modelContextWindow=JSON) | JSON,
    threadSettings=objects(model=JSON, effort=JSON) | JSON,
    rateLimits=JSON,
)
MESSAGES = st.builds(
    Notification,
    method=st.sampled_from(METHODS),
    params=PARAMS,
    emitted_at=st.none() | st.floats(0, 1e12),
)
PERMISSIONS: st.SearchStrategy[Json] = JSON | objects(
    fileSystem=JSON | objects(entries=JSON | st.lists(JSON | objects(path=JSON, access=JSON))),
    network=JSON,
)
REQUESTS = st.builds(
    ServerRequest,
    id=st.sampled_from([0, 1, "1"]),
    method=st.sampled_from(
        [
            "item/fileChange/requestApproval",
            "item/commandExecution/requestApproval",
            "item/permissions/requestApproval",
            "mcpServer/elicitation/request",
        ]
    ),
    params=objects(
        threadId=IDS,
        turnId=IDS,
        itemId=IDS,
        permissions=PERMISSIONS,
        additionalPermissions=PERMISSIONS,
        networkApprovalContext=JSON,
        grantRoot=JSON,
        _meta=JSON,
    ),
)
TOP_LEVEL = {
    **dict.fromkeys(["turns", "items", "approvals", "notices"], list),
    "session": dict,
    "diff": str,
}


def take(run: Reducing, message: Notification | ServerRequest) -> None:
    if isinstance(message, ServerRequest):
        approval = parse_approval(message, key=str(message.id), host="h", at=1.0, expires_at=None)
        if approval is None:
            return
        run.take(run.reducer.open_approval(approval, request=message, bounds=BOUNDS))
    else:
        assert run.apply(message), "every notification leaves a change in the log"


@given(st.lists(MESSAGES | REQUESTS, max_size=15), st.sampled_from(["", "a"]))
def test_no_message_raises_and_every_replica_stays_equal(
    messages: list[Notification | ServerRequest], thread: str
) -> None:
    run = Reducing()
    run.take(run.reducer.session(thread_id=thread))
    for message in messages:
        take(run, message)
    run.take(run.reducer.close_open(status="interrupted", at=2.0))

    transcript: JsonObject = run.transcript
    assert json.loads(json.dumps(transcript, allow_nan=False)) == transcript
    assert {key: type(transcript[key]) for key in TOP_LEVEL} == TOP_LEVEL
    for name in ("turns", "items", "approvals", "notices"):
        ids = [record["id"] for record in run.records(name)]
        assert len(ids) == len(set(map(str, ids)))
        assert all(isinstance(key, str) and key for key in ids)
    for record in (*run.records("turns"), *run.records("items")):
        assert record["status"] != "in_progress"
    for item in run.records("items"):
        assert (type(item["text"]), type(item["output"])) == (str, str)
