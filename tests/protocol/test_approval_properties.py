"""Approvals under any parameters: nothing raises, and refusal is always possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from codex_nb.protocol.approvals import (
    Decision,
    answer_for,
    automatic_answer,
    legal_decisions,
    parse_approval,
)
from codex_nb.protocol.messages import ServerRequest
from tests.protocol.values import JSON, objects

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

METHODS = [
    "item/commandExecution/requestApproval",
    "item/fileChange/requestApproval",
    "item/permissions/requestApproval",
    "mcpServer/elicitation/request",
    "execCommandApproval",
    "applyPatchApproval",
    "item/tool/call",
]
RULE: Json = {"acceptWithExecpolicyAmendment": {"execpolicy_amendment": ["ls"]}}
DECISIONS = st.sampled_from(["accept", "acceptForSession", "cancel", RULE]) | JSON
PARAMS = objects(
    **dict.fromkeys(["threadId", "itemId", "command", "permissions", "fileChanges"], JSON),
    **dict.fromkeys(["grantRoot", "networkApprovalContext", "kind", "serverName"], JSON),
    availableDecisions=st.lists(DECISIONS, max_size=4) | JSON,
    proposedExecpolicyAmendment=st.lists(JSON, max_size=3) | JSON,
    _meta=objects(codex_approval_kind=st.just("mcp_tool_call"), tool_name=JSON) | JSON,
)


@given(st.sampled_from(METHODS), PARAMS)
def test_hostile_parameters_never_raise_and_can_always_be_declined(
    method: str, params: JsonObject
) -> None:
    request = ServerRequest(id=1, method=method, params=params)
    approval = parse_approval(request, key="k", host="local", at=5.0, expires_at=None)
    automatic_answer(request, now=0.0)

    if approval is not None:
        assert approval["decisions"] == [str(one) for one in legal_decisions(request)]
        for decision in legal_decisions(request):
            assert answer_for(request, decision)
        assert Decision.DECLINE in legal_decisions(request)
