"""Approvals: what codex asks a person, which answers are legal, and how they look on the wire.

The safe answer is refusal. `decline` is always legal: codex honours it also where it does not offer
it. Checked against the schemas and the traffic of codex 0.142.5, 0.163.0 and 0.169.0. The two
legacy requests are in the schemas only, and no thread that we start asks them; a refusal of theirs
is written as since 0.163.
"""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import TYPE_CHECKING

from codex_nb.errors import UsageError
from codex_nb.protocol.values import obj, objects_of, text_of

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject, ServerRequest

COMMAND = "item/commandExecution/requestApproval"
FILE_CHANGE = "item/fileChange/requestApproval"
PERMISSIONS = "item/permissions/requestApproval"
ELICITATION = "mcpServer/elicitation/request"
LEGACY_COMMAND = "execCommandApproval"
LEGACY_PATCH = "applyPatchApproval"

_GRANTABLE = ("fileSystem", "network")
_LEGACY = (LEGACY_COMMAND, LEGACY_PATCH)
_KINDS = {
    COMMAND: "command",
    FILE_CHANGE: "file_change",
    PERMISSIONS: "permissions",
    ELICITATION: "tool",
    LEGACY_COMMAND: "command",
    LEGACY_PATCH: "file_change",
}


class Decision(StrEnum):
    """What a person can answer."""

    ACCEPT = "accept"
    ACCEPT_FOR_SESSION = "accept_for_session"
    ACCEPT_RULE = "accept_rule"
    DECLINE = "decline"
    CANCEL = "cancel"


_CHANGE_FILES = "Change files"
_WIRE = {
    Decision.ACCEPT: "accept",
    Decision.ACCEPT_FOR_SESSION: "acceptForSession",
    Decision.DECLINE: "decline",
    Decision.CANCEL: "cancel",
}
_LEGACY_WIRE: dict[Decision, Json] = {
    Decision.ACCEPT: "approved",
    Decision.ACCEPT_FOR_SESSION: "approved_for_session",
    Decision.DECLINE: {"denied": {"rejection": "rejected by user"}},
    Decision.CANCEL: "abort",
}


def parse_approval(
    request: ServerRequest, *, key: str, host: str, at: float, expires_at: float | None
) -> JsonObject | None:
    """The approval that a request asks for, open.

    None if the request is no approval, or does not say what a person would allow.
    """
    params = request.params
    if not _is_approval(request) or (
        request.method == PERMISSIONS and not isinstance(params.get("permissions"), dict)
    ):
        return None
    command = params.get("command")
    if isinstance(command, list):
        command = shlex.join(text_of(word) for word in command)
    changes = params.get("fileChanges")
    return {
        "id": key,
        "kind": _KINDS[request.method],
        "item": text_of(params.get("itemId")) or text_of(params.get("callId")),
        "turn": text_of(params.get("turnId")),
        "thread": text_of(params.get("threadId")) or text_of(params.get("conversationId")),
        "title": _title(request),
        "reason": text_of(params.get("reason")) or text_of(params.get("message")),
        "command": text_of(command),
        "cwd": text_of(params.get("cwd")),
        "host": host,
        "changes": _legacy_changes(changes) if isinstance(changes, dict) else [],
        "permissions": _asked_permissions(request),
        "grants": [],
        "decisions": [str(decision) for decision in legal_decisions(request)],
        "rule": _rule(request),
        "status": "pending",
        "decision": None,
        "note": "",
        "created_at": at,
        "expires_at": expires_at,
        "answered_at": None,
    }


def with_item(approval: JsonObject, item: JsonObject) -> JsonObject:
    """The approval with what its item, of the transcript, says about what is asked for."""
    body = obj(item.get("body"))
    filled: JsonObject = {**approval, "item": item.get("id")}
    changes = objects_of(body.get("changes"))
    if changes and not filled.get("changes"):
        filled["changes"] = [*changes]
        if filled.get("title") == _CHANGE_FILES:
            filled["title"] = _change_title(len(changes))
    for field in ("command", "cwd"):
        filled[field] = filled.get(field) or text_of(body.get(field))
    if filled.get("kind") == "tool" and (tool := text_of(body.get("tool"))):
        filled["title"] = f"Run the tool {tool} of {text_of(body.get('server'))}"
    return filled


def call_meant(request: ServerRequest, items: list[JsonObject]) -> JsonObject | None:
    """The tool call, among the items of a transcript, that a question is about.

    The question names server and tool, but no item; None unless exactly one call fits.
    """
    params = request.params
    server, tool = text_of(params.get("serverName")), obj(params.get("_meta")).get("tool_name")
    fitting = []
    for item in items if request.method == ELICITATION else ():
        body = obj(item.get("body"))
        name = text_of(body.get("tool"))
        # Before 0.169 only the sentence for the person tells the tool.
        is_named = name == tool if tool else f'"{name}"' in text_of(params.get("message"))
        is_here = all(item.get(key) == params.get(f"{key}Id") for key in ("thread", "turn"))
        if (
            (item.get("type"), item.get("status")) == ("mcpToolCall", "in_progress")
            and body.get("server") == server
            and is_named
            and is_here
        ):
            fitting.append(item)
    return fitting[0] if len(fitting) == 1 else None


def legal_decisions(request: ServerRequest) -> tuple[Decision, ...]:
    """The legal answers to an approval, in the order to offer them."""
    offered = request.params.get("availableDecisions")
    match request.method:
        case "item/commandExecution/requestApproval":
            # Codex honours "acceptForSession" wherever it offers "accept".
            can_accept = not isinstance(offered, list) or "accept" in offered
            legal = [Decision.ACCEPT, Decision.ACCEPT_FOR_SESSION] if can_accept else []
            if _amendment(request):
                legal.append(Decision.ACCEPT_RULE)
            return (*legal, Decision.DECLINE, Decision.CANCEL)
        case "mcpServer/elicitation/request":
            kept = obj(request.params.get("_meta")).get("persist")
            for_session = isinstance(kept, list) and "session" in kept
            legal = [Decision.ACCEPT, *([Decision.ACCEPT_FOR_SESSION] if for_session else [])]
            return (*legal, Decision.DECLINE, Decision.CANCEL)
        case "item/permissions/requestApproval":
            return (Decision.ACCEPT, Decision.ACCEPT_FOR_SESSION, Decision.DECLINE)
    return (Decision.ACCEPT, Decision.ACCEPT_FOR_SESSION, Decision.DECLINE, Decision.CANCEL)


def answer_for(request: ServerRequest, decision: Decision) -> JsonObject:
    """The result that answers an approval on the wire.

    Raises:
        UsageError: The decision is not legal for this request.
    """
    legal = legal_decisions(request) if _is_approval(request) else ()
    if decision not in legal:
        raise UsageError(
            f"{decision} is no answer to this question.",
            hint=f"It is one of: {', '.join(legal)}." if legal else "It is no approval.",
        )
    if decision is Decision.ACCEPT_RULE:
        amendment: Json = list(_amendment(request))
        return {"decision": {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": amendment}}}
    if request.method == ELICITATION:
        if decision is Decision.ACCEPT_FOR_SESSION:
            return {"action": "accept", "content": {}, "_meta": {"persist": "session"}}
        answer: JsonObject = {"action": _WIRE[decision]}
        return {**answer, "content": {}} if decision is Decision.ACCEPT else answer
    if request.method == PERMISSIONS:
        asked = obj(request.params.get("permissions")) if decision.startswith("accept") else {}
        # Only what a person was shown: a later codex may ask for more than these two.
        granted: JsonObject = {key: asked[key] for key in _GRANTABLE if key in asked}
        scope = "session" if decision is Decision.ACCEPT_FOR_SESSION else "turn"
        return {"permissions": granted, "scope": scope}
    if request.method in _LEGACY:
        return {"decision": _LEGACY_WIRE[decision]}
    return {"decision": _WIRE[decision]}


def automatic_answer(request: ServerRequest, *, now: float) -> JsonObject | None:
    """The safe answer to a request that no person is asked; None means to refuse the method."""
    match request.method:
        case "mcpServer/elicitation/request":
            return {"action": "decline"}
        case "item/tool/requestUserInput":
            return {"answers": {}}
        case "item/tool/call":
            name = text_of(request.params.get("tool"))
            text = f"The tool {name!r} is not available in this session."
            return {"success": False, "contentItems": [{"type": "inputText", "text": text}]}
        case "currentTime/read":
            return {"currentTimeAt": int(now)}
    return None


def _is_approval(request: ServerRequest) -> bool:
    if request.method == ELICITATION:
        meta = obj(request.params.get("_meta"))
        return meta.get("codex_approval_kind") == "mcp_tool_call"
    return request.method in _KINDS


def _title(request: ServerRequest) -> str:
    params = request.params
    match request.method:
        case "item/permissions/requestApproval":
            return "Allow more than the sandbox allows"
        case "mcpServer/elicitation/request":
            server = text_of(params.get("serverName")) or "an MCP server"
            tool = text_of(obj(params.get("_meta")).get("tool_name"))
            return f"Run the tool {tool} of {server}" if tool else f"Run a tool of {server}"
        case "item/fileChange/requestApproval" | "applyPatchApproval":
            root = text_of(params.get("grantRoot"))
            if root:
                return f"Change files in {root}"
            return _change_title(len(obj(params.get("fileChanges"))))
    if params.get("kind") == "writeStdin":
        return "Type into a running command"
    network = obj(params.get("networkApprovalContext"))
    if network:
        name = text_of(network.get("host"))
        return f"Allow network access to {name}" if name else "Allow network access"
    return "Run a command"


def _change_title(count: int) -> str:
    if count == 0:
        return _CHANGE_FILES
    return "Change 1 file" if count == 1 else f"Change {count} files"


def _asked_permissions(request: ServerRequest) -> Json:
    params = request.params
    if request.method == ELICITATION:
        return obj(params.get("_meta")).get("tool_params")
    asked = params.get("permissions") or params.get("additionalPermissions")
    return asked if isinstance(asked, dict) else None


def _amendment(request: ServerRequest) -> list[str]:
    """The words of the rule that codex proposes; empty if it proposes none or does not offer it."""
    offered = request.params.get("availableDecisions")
    if isinstance(offered, list):
        rules = [offer.get("acceptWithExecpolicyAmendment") for offer in objects_of(offered)]
        words = obj(next(filter(None, rules), None)).get("execpolicy_amendment")
    else:
        words = request.params.get("proposedExecpolicyAmendment")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return []
    return [text_of(word) for word in words]


def _rule(request: ServerRequest) -> str:
    words = _amendment(request) if request.method == COMMAND else []
    if not words:
        return ""
    # Checked by running: such a command is not asked, and runs outside even where it need not.
    return (
        "Until the session ends, run outside the sandbox and without asking every command that "
        f"begins with: {shlex.join(words)}"
    )


def _legacy_changes(changes: JsonObject) -> list[Json]:
    """The files of a legacy request in the shape of an item's changes."""
    shaped: list[Json] = []
    for path, change in changes.items():
        kind = text_of(obj(change).get("type")) or "update"
        diff = obj(change).get("unified_diff") or obj(change).get("content")
        shaped.append({"path": path, "kind": {"type": kind}, "diff": text_of(diff)})
    return shaped
