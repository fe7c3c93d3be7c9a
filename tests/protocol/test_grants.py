"""What an approval would allow, in sentences that are true of the request and its session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codex_nb.protocol.approvals import Decision, answer_for, legal_decisions, parse_approval
from codex_nb.protocol.grants import Bounds
from codex_nb.protocol.messages import JsonObject, ServerRequest
from tests.protocol.reducing import BOUNDS, Reducing

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json

UNTRUSTED = Bounds(sandbox="workspace-write", ask="untrusted", writable=("/work",))
READ_ONLY = Bounds(sandbox="read-only", ask="on-request")
NO_SANDBOX = Bounds(sandbox="danger-full-access", ask="untrusted")
COMMAND, FILES, PERMISSIONS = (
    f"item/{kind}/requestApproval" for kind in ("commandExecution", "fileChange", "permissions")
)
TOOL = "mcpServer/elicitation/request"
EVERYTHING = "read and write every file of your account on this machine, and use the network."
META: JsonObject = {"codex_approval_kind": "mcp_tool_call"}
WIDER: JsonObject = {
    "fileSystem": {
        "read": None,
        "write": ["/other"],
        "entries": [
            {"path": {"type": "path", "path": "/other"}, "access": "write"},
            {"path": {"type": "glob_pattern", "pattern": "/logs/*.txt"}, "access": "read"},
            {"path": {"type": "special", "value": {"kind": "root"}}, "access": "read"},
            {"path": {"type": "special", "value": {"kind": "slash_tmp"}}, "access": "write"},
            {"path": {"type": "path", "path": "/secret"}, "access": "deny"},
        ],
    },
    "network": {"enabled": True},
}
WISHES = [
    "write /other",
    "read every file that fits /logs/*.txt",
    "read every file",
    "write what Codex calls slash_tmp",
    "use the network",
]
UNTIL = "It holds until the turn ends, or until the session ends if you accept it for that."


def opened(run: Reducing, method: str, params: JsonObject, bounds: Bounds = BOUNDS) -> JsonObject:
    """An approval as the transcript holds it."""
    named: JsonObject = {"threadId": "th", "turnId": "t1", **params}
    request = ServerRequest(id=1, method=method, params=named)
    approval = parse_approval(request, key="k", host="local", at=1.0, expires_at=None)
    assert approval is not None
    run.take(run.reducer.open_approval(approval, request=request, bounds=bounds))
    return run.records("approvals")[-1]


@pytest.mark.parametrize(
    ("method", "bounds", "params", "expected"),
    [
        pytest.param(
            COMMAND, BOUNDS, {"reason": "To publish."},
            [f"Runs outside the sandbox: it may {EVERYTHING}"],
            id="a command that the model wants outside",
        ),
        pytest.param(
            COMMAND, BOUNDS, {},
            [f"May run outside the sandbox, which Codex does not say: it may then {EVERYTHING}"],
            id="a command without a reason",
        ),
        pytest.param(
            COMMAND, UNTRUSTED, {},
            [
                "May run outside the sandbox, at once or after the sandbox stopped it: it may then "
                f"{EVERYTHING}"
            ],
            id="a command in a session that asks before everything",
        ),
        pytest.param(
            COMMAND, NO_SANDBOX, {},
            [f"Runs without a sandbox, as all commands of this session: it may {EVERYTHING}"],
            id="a command where there is no sandbox",
        ),
        pytest.param(
            COMMAND, BOUNDS, {"reason": "j", "additionalPermissions": WIDER},
            [f"Runs in the sandbox, and may there {wish}." for wish in WISHES],
            id="a command in a wider sandbox",
        ),
        pytest.param(
            COMMAND, UNTRUSTED, {"additionalPermissions": {"network": {"enabled": True}}},
            [
                "Runs in the sandbox, and may there use the network.",
                f"May run outside the sandbox if that stops it, to {EVERYTHING}",
            ],
            id="a command in a wider sandbox that may not be enough",
        ),
        pytest.param(
            COMMAND, BOUNDS,
            {"networkApprovalContext": {"host": "example.org", "protocol": "socks5Tcp"}},
            ["Lets the command connect to example.org by TCP."],
            id="the network",
        ),
        pytest.param(
            COMMAND, BOUNDS, {"kind": "writeStdin"},
            ["Types into a command that runs already, with the rights that it was started with."],
            id="input to a running command",
        ),
        pytest.param(
            PERMISSIONS, BOUNDS, {"permissions": WIDER},
            [*(f"Commands may then {wish}." for wish in WISHES), UNTIL],
            id="more than the sandbox allows",
        ),
        pytest.param(
            PERMISSIONS, BOUNDS, {"permissions": {"fileSystem": {"read": ["/a"], "write": ["/b"]}}},
            ["Commands may then read /a.", "Commands may then write /b.", UNTIL],
            id="the same in the form of older versions",
        ),
        pytest.param(
            TOOL, BOUNDS, {"serverName": "kernel", "_meta": META},
            ["Runs in kernel, which no sandbox confines: the server decides what it may do."],
            id="a tool",
        ),
        pytest.param(
            TOOL, BOUNDS,
            {"serverName": "k", "_meta": {**META, "tool_annotations": {"destructiveHint": True}}},
            [
                "Runs in k, which no sandbox confines: the server decides what it may do.",
                "k says that it may destroy something.",
            ],
            id="a tool that may destroy",
        ),
    ],
)  # fmt: skip
def test_the_grants_tell_what_accepting_allows(
    method: str, bounds: Bounds, params: JsonObject, expected: list[str]
) -> None:
    assert opened(Reducing(), method, params, bounds)["grants"] == expected


@pytest.mark.parametrize(
    ("bounds", "root", "expected"),
    [
        (
            BOUNDS,
            None,
            [
                "Changes what commands may not write by themselves: "
                "/etc/a, /work/../b, /workshop/c.",
                "Changes what commands may write as well: /work/d, /work/e.",
            ],
        ),
        (
            READ_ONLY,
            None,
            [
                "Changes what commands may not write by themselves: "
                "/etc/a, /work/../b, /workshop/c, /work/d, /work/e.",
            ],
        ),
        (
            NO_SANDBOX,
            "/work",
            [
                "Changes /etc/a, /work/../b, /workshop/c, /work/d, /work/e.",
                "May then change every file below /work without asking, in this session.",
            ],
        ),
    ],
)
def test_a_file_change_tells_where_it_writes(
    bounds: Bounds, root: str | None, expected: list[str]
) -> None:
    run = Reducing()
    run.start_turn()
    paths = ("/etc/a", "/work/../b", "/workshop/c", "/work/d")
    changes: list[Json] = [{"path": path, "kind": {"type": "add"}, "diff": ""} for path in paths]
    changes[-1] = {"path": "/work/d", "kind": {"type": "update", "move_path": "/work/e"}}
    run.tell("item/started", item={"type": "fileChange", "id": "f", "changes": changes})
    params: JsonObject = {"itemId": "f", "grantRoot": root}
    assert opened(run, FILES, params, bounds)["grants"] == expected


def test_a_file_change_of_many_files_names_the_first_and_counts_the_rest() -> None:
    run = Reducing()
    run.start_turn()
    changes: list[Json] = [{"path": f"/work/{number}"} for number in range(8)]
    run.tell("item/started", item={"type": "fileChange", "id": "f", "changes": changes})
    assert opened(run, FILES, {"itemId": "f"})["grants"] == [
        "Changes what commands may write as well: "
        "/work/0, /work/1, /work/2, /work/3, /work/4 and 3 more."
    ]
    assert opened(run, FILES, {"itemId": "x"})["grants"] == [
        "Changes the files that its patch names."
    ]


def call(key: str, *, server: str = "kernel", tool: str = "run") -> JsonObject:
    return {"type": "mcpToolCall", "id": key, "server": server, "tool": tool, "arguments": {}}


@pytest.mark.parametrize(
    ("calls", "meta", "item", "title"),
    [
        ([call("a")], {}, "a", "Run the tool run of kernel"),
        ([call("a"), call("b", tool="read")], {"tool_name": "read"}, "b", None),
        ([call("a"), call("b", tool="read")], {}, "a", "Run the tool run of kernel"),
        ([call("a"), call("b")], {}, "", "Run a tool of kernel"),
        ([call("a", server="other")], {}, "", "Run a tool of kernel"),
        ([], {"tool_name": "run"}, "", "Run the tool run of kernel"),
    ],
)
def test_a_tool_is_linked_to_its_call_when_only_one_fits(
    calls: list[JsonObject], meta: JsonObject, item: str, title: str | None
) -> None:
    run = Reducing()
    run.start_turn()
    run.tell("item/started", item=call("old"))
    run.tell("item/completed", item={**call("old"), "status": "completed"})
    run.tell("item/started", turn="t2", item=call("elsewhere"))
    for each in calls:
        run.tell("item/started", item=each)
    asked = opened(
        run,
        TOOL,
        {
            "serverName": "kernel",
            "message": 'Allow the kernel MCP server to run tool "run"?',
            "_meta": {**META, **meta},
        },
    )
    assert (asked["item"], asked["title"]) == (item, title or "Run the tool read of kernel")


def test_a_tool_is_accepted_for_the_session_where_codex_can_remember_it() -> None:
    params: JsonObject = {"_meta": {**META, "persist": ["session", "always"]}}
    request = ServerRequest(id=1, method=TOOL, params=params)
    accept, for_session, decline, cancel = legal_decisions(request)
    assert [accept, for_session, decline, cancel] == [
        *(Decision.ACCEPT, Decision.ACCEPT_FOR_SESSION, Decision.DECLINE, Decision.CANCEL)
    ]
    assert answer_for(request, for_session) == {
        "action": "accept",
        "content": {},
        "_meta": {"persist": "session"},
    }
