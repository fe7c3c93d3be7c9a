from __future__ import annotations

import pytest

from codex_nb.codex.posture import Posture
from codex_nb.errors import UsageError


@pytest.mark.parametrize(
    ("posture", "options"),
    [
        (Posture(sandbox="read-only", network=True), "--network and --sandbox read-only"),
        (Posture(sandbox="read-only", writable_roots=("/x",)), "--allow and --sandbox read-only"),
        (
            Posture(sandbox="danger-full-access", network=True),
            "--network and --sandbox danger-full-access",
        ),
        (
            Posture(sandbox="danger-full-access", writable_roots=("/x",)),
            "--allow and --sandbox danger-full-access",
        ),
    ],
)
def test_options_that_contradict_each_other_are_named(posture: Posture, options: str) -> None:
    with pytest.raises(UsageError, match=f"^{options} contradict each other") as caught:
        posture.check()
    assert caught.value.hint


@pytest.mark.parametrize(
    "posture",
    [
        Posture(),
        Posture(network=True, writable_roots=("/x", "/y"), ask="never"),
        Posture(sandbox="read-only", ask="untrusted"),
        Posture(sandbox="danger-full-access"),
    ],
)
def test_everything_else_can_be_meant(posture: Posture) -> None:
    posture.check()


def test_a_posture_becomes_settings() -> None:
    assert Posture(network=True, writable_roots=("/x",)).config() == {
        "sandbox_mode": "workspace-write",
        "approval_policy": "on-request",
        "sandbox_workspace_write": {
            "writable_roots": ["/x"],
            "network_access": True,
            "exclude_slash_tmp": True,
        },
    }


def test_a_policy_that_new_versions_refuse_in_settings_travels_with_the_thread_only() -> None:
    posture = Posture(sandbox="read-only", ask="untrusted")
    assert posture.config() == {"sandbox_mode": "read-only"}
    assert posture.thread_params() == {"sandbox": "read-only", "approvalPolicy": "untrusted"}
