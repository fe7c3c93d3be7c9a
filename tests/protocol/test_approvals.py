"""Approvals: what is asked, which answers are legal, and the result that each puts on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import UsageError
from codex_nb.protocol.approvals import (
    Decision,
    answer_for,
    automatic_answer,
    legal_decisions,
    parse_approval,
    with_item,
)
from codex_nb.protocol.messages import ServerRequest

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

COMMAND = "item/commandExecution/requestApproval"
FILES = "item/fileChange/requestApproval"
PERMISSIONS = "item/permissions/requestApproval"
TOOL = "mcpServer/elicitation/request"
ASKED_PERMISSIONS: JsonObject = {"network": {"enabled": True}, "fileSystem": {"write": ["/data"]}}
TOOL_CALL: JsonObject = {
    "serverName": "kernel",
    "message": "Allow it?",
    "_meta": {"codex_approval_kind": "mcp_tool_call", "tool_params": {"code": "x=1"}},
}
PLACE: JsonObject = {"threadId": "th", "turnId": "tu", "itemId": "it"}


def ask(method: str, **params: Json) -> ServerRequest:
    return ServerRequest(id=1, method=method, params={**PLACE, **params})


def approval_of(request: ServerRequest) -> JsonObject | None:
    return parse_approval(request, key="k", host="local", at=5.0, expires_at=65.0)


def parsed(request: ServerRequest) -> JsonObject:
    approval = approval_of(request)
    assert approval is not None
    return approval


def test_a_command_is_shown_with_all_that_codex_says_of_it() -> None:
    rule: Json = ["git", "push"]
    request = ask(
        COMMAND,
        reason="To publish.",
        command="/bin/bash -lc 'git push origin'",
        cwd="/data",
        proposedExecpolicyAmendment=rule,
        availableDecisions=[
            "accept",
            {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": rule}},
            "cancel",
        ],
    )

    assert approval_of(request) == {
        "id": "k",
        "kind": "command",
        "item": "it",
        "turn": "tu",
        "thread": "th",
        "title": "Run a command",
        "reason": "To publish.",
        "command": "/bin/bash -lc 'git push origin'",
        "cwd": "/data",
        "host": "local",
        "changes": [],
        "permissions": None,
        "grants": [],
        "decisions": ["accept", "accept_for_session", "accept_rule", "decline", "cancel"],
        "rule": (
            "Until the session ends, run outside the sandbox and without asking every command "
            "that begins with: git push"
        ),
        "status": "pending",
        "decision": None,
        "note": "",
        "created_at": 5.0,
        "expires_at": 65.0,
        "answered_at": None,
    }
    assert answer_for(request, Decision.ACCEPT_RULE) == {
        "decision": {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": rule}}
    }


RULE: Json = {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["ls"]}}


@pytest.mark.parametrize(
    ("params", "decisions"),
    [
        ({}, "accept accept_for_session decline cancel"),
        ({"availableDecisions": None}, "accept accept_for_session decline cancel"),
        (
            {"proposedExecpolicyAmendment": ["ls"]},
            "accept accept_for_session accept_rule decline cancel",
        ),
        (
            {"proposedExecpolicyAmendment": ["ls"], "availableDecisions": ["accept"]},
            "accept accept_for_session decline cancel",
        ),
        (
            {"availableDecisions": ["accept", "acceptForSession", RULE]},
            "accept accept_for_session accept_rule decline cancel",
        ),
        ({"availableDecisions": ["cancel"]}, "decline cancel"),
        ({"availableDecisions": [5, {"acceptWithExecpolicyAmendment": 1}]}, "decline cancel"),
        ({"proposedExecpolicyAmendment": []}, "accept accept_for_session decline cancel"),
        ({"proposedExecpolicyAmendment": ["a", 1]}, "accept accept_for_session decline cancel"),
    ],
)
def test_only_what_codex_offers_of_a_command_can_be_accepted(
    params: JsonObject, decisions: str
) -> None:
    assert " ".join(legal_decisions(ask(COMMAND, **params))) == decisions


@pytest.mark.parametrize(
    ("request_", "decision", "result"),
    [
        (ask(COMMAND), Decision.ACCEPT, {"decision": "accept"}),
        (ask(COMMAND), Decision.ACCEPT_FOR_SESSION, {"decision": "acceptForSession"}),
        (ask(COMMAND), Decision.DECLINE, {"decision": "decline"}),
        (ask(COMMAND), Decision.CANCEL, {"decision": "cancel"}),
        (ask(FILES), Decision.ACCEPT, {"decision": "accept"}),
        (ask(FILES), Decision.ACCEPT_FOR_SESSION, {"decision": "acceptForSession"}),
        (ask(FILES), Decision.DECLINE, {"decision": "decline"}),
        (ask(FILES), Decision.CANCEL, {"decision": "cancel"}),
        (
            ask(PERMISSIONS, permissions=ASKED_PERMISSIONS),
            Decision.ACCEPT,
            {"permissions": ASKED_PERMISSIONS, "scope": "turn"},
        ),
        (
            ask(PERMISSIONS, permissions=ASKED_PERMISSIONS),
            Decision.ACCEPT_FOR_SESSION,
            {"permissions": ASKED_PERMISSIONS, "scope": "session"},
        ),
        (
            ask(PERMISSIONS, permissions=ASKED_PERMISSIONS),
            Decision.DECLINE,
            {"permissions": {}, "scope": "turn"},
        ),
        (ask(TOOL, **TOOL_CALL), Decision.ACCEPT, {"action": "accept", "content": {}}),
        (ask(TOOL, **TOOL_CALL), Decision.DECLINE, {"action": "decline"}),
        (ask(TOOL, **TOOL_CALL), Decision.CANCEL, {"action": "cancel"}),
        (ask("execCommandApproval"), Decision.ACCEPT, {"decision": "approved"}),
        (
            ask("execCommandApproval"),
            Decision.ACCEPT_FOR_SESSION,
            {"decision": "approved_for_session"},
        ),
        (
            ask("applyPatchApproval"),
            Decision.DECLINE,
            {"decision": {"denied": {"rejection": "rejected by user"}}},
        ),
        (ask("applyPatchApproval"), Decision.CANCEL, {"decision": "abort"}),
    ],
)
def test_a_decision_becomes_the_result_that_the_protocol_wants(
    request_: ServerRequest, decision: Decision, result: JsonObject
) -> None:
    assert answer_for(request_, decision) == result


@pytest.mark.parametrize(
    ("request_", "decision", "hint"),
    [
        (
            ask(COMMAND, availableDecisions=["cancel"]),
            Decision.ACCEPT_FOR_SESSION,
            "It is one of: decline, cancel.",
        ),
        (
            ask(FILES),
            Decision.ACCEPT_RULE,
            "It is one of: accept, accept_for_session, decline, cancel.",
        ),
        (
            ask(PERMISSIONS, permissions={}),
            Decision.CANCEL,
            "It is one of: accept, accept_for_session, decline.",
        ),
        (
            ask(TOOL, **TOOL_CALL),
            Decision.ACCEPT_FOR_SESSION,
            "It is one of: accept, decline, cancel.",
        ),
        (ask("currentTime/read"), Decision.ACCEPT, "It is no approval."),
        (ask(TOOL, message="Your name?"), Decision.ACCEPT, "It is no approval."),
    ],
)
def test_a_decision_that_is_not_legal_is_refused_with_those_that_are(
    request_: ServerRequest, decision: Decision, hint: str
) -> None:
    with pytest.raises(UsageError, match=decision) as caught:
        answer_for(request_, decision)

    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("request_", "title"),
    [
        (ask(COMMAND, kind="writeStdin"), "Type into a running command"),
        (
            ask(COMMAND, networkApprovalContext={"host": "example.org"}),
            "Allow network access to example.org",
        ),
        (ask(COMMAND, networkApprovalContext={"host": 5}), "Allow network access"),
        (ask(FILES), "Change files"),
        (ask(FILES, grantRoot="/data"), "Change files in /data"),
        (ask("applyPatchApproval", fileChanges={"a": {}, "b": {}}), "Change 2 files"),
        (ask(PERMISSIONS, permissions={}), "Allow more than the sandbox allows"),
        (ask(TOOL, **TOOL_CALL), "Run a tool of kernel"),
        (
            ask(TOOL, _meta={"codex_approval_kind": "mcp_tool_call", "tool_name": "plot"}),
            "Run the tool plot of an MCP server",
        ),
    ],
)
def test_the_title_says_in_short_what_is_asked_for(request_: ServerRequest, title: str) -> None:
    assert parsed(request_)["title"] == title


def test_permissions_that_are_asked_for_are_shown() -> None:
    shown = [
        parsed(ask(PERMISSIONS, permissions=ASKED_PERMISSIONS)),
        parsed(ask(COMMAND, additionalPermissions=ASKED_PERMISSIONS)),
        parsed(ask(TOOL, **TOOL_CALL)),
    ]

    assert [(one["kind"], one["permissions"]) for one in shown] == [
        ("permissions", ASKED_PERMISSIONS),
        ("command", ASKED_PERMISSIONS),
        ("tool", {"code": "x=1"}),
    ]


def test_a_legacy_patch_has_the_changes_in_the_shape_of_an_item() -> None:
    changes: JsonObject = {
        "a.py": {"type": "add", "content": "x\n"},
        "b.py": {"type": "update", "unified_diff": "@@", "move_path": None},
    }
    request = ServerRequest(
        id=1,
        method="applyPatchApproval",
        params={"conversationId": "c", "callId": "i", "fileChanges": changes},
    )
    approval = parsed(request)

    assert (approval["thread"], approval["item"], approval["changes"]) == (
        "c",
        "i",
        [
            {"path": "a.py", "kind": {"type": "add"}, "diff": "x\n"},
            {"path": "b.py", "kind": {"type": "update"}, "diff": "@@"},
        ],
    )


def test_an_approval_takes_from_its_item_what_it_does_not_say_itself() -> None:
    changes: Json = [{"path": "a"}, {"path": "b"}]
    files = parsed(ask(FILES))
    command = parsed(ask(COMMAND, command="own"))

    assert with_item(files, {"id": "it~2", "body": {"changes": changes}}) == {
        **files,
        "item": "it~2",
        "changes": changes,
        "title": "Change 2 files",
    }
    assert with_item(command, {"id": "it", "body": {"command": "other", "cwd": "/c"}}) == {
        **command,
        "cwd": "/c",
    }
    assert with_item(files, {"body": "broken", "id": "it"}) == files


@pytest.mark.parametrize(
    "request_",
    [
        ask("item/tool/call", tool="plot"),
        ask(TOOL, message="Your name?"),
        ask(TOOL, _meta={"codex_approval_kind": "other"}),
        ask(TOOL, _meta=[1]),
        ask("unknown"),
        ask(PERMISSIONS),
        ask(PERMISSIONS, permissions=["all"]),
    ],
)
def test_what_is_no_approval_or_does_not_say_what_it_wants_is_none(
    request_: ServerRequest,
) -> None:
    assert approval_of(request_) is None


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (ask(TOOL, message="Your name?"), {"action": "decline"}),
        (ask("item/tool/requestUserInput", questions=[{"id": "a"}]), {"answers": {}}),
        (
            ask("item/tool/call", tool="plot"),
            {
                "success": False,
                "contentItems": [
                    {
                        "type": "inputText",
                        "text": "The tool 'plot' is not available in this session.",
                    }
                ],
            },
        ),
        (ask("currentTime/read"), {"currentTimeAt": 1700000000}),
        (ask("account/chatgptAuthTokens/refresh"), None),
        (ask(COMMAND), None),
    ],
)
def test_what_no_person_is_asked_gets_the_safe_answer(
    request_: ServerRequest, answer: JsonObject | None
) -> None:
    assert automatic_answer(request_, now=1700000000.9) == answer
