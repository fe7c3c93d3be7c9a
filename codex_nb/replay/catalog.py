"""The replayed model as codex's model catalog describes it, and the settings that choose it.

Checked against codex 0.142.5, 0.163.0 and 0.169.0: 0.142.5 requires every key below, later versions
fewer. Without an entry codex warns that it does not know the model and offers no apply_patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

MODEL = "replay"
PROVIDER = "replay"


def model_catalog(*, code_mode: bool) -> JsonObject:
    """Describe the model.

    Args:
        code_mode: Whether it calls all tools from JavaScript, as the newest models do.
    """
    model: JsonObject = {
        "slug": MODEL,
        "display_name": "Replay",
        "description": "Plays a conversation that is written down; the commands are real.",
        "priority": 1,
        "visibility": "list",
        "supported_in_api": True,
        "default_reasoning_level": "medium",
        "supported_reasoning_levels": [
            {"effort": "low", "description": "Plays the same conversation"},
            {"effort": "medium", "description": "Plays the same conversation"},
            {"effort": "high", "description": "Plays the same conversation"},
        ],
        "shell_type": "unified_exec",
        "apply_patch_tool_type": "freeform",
        "base_instructions": "You play a conversation that is written down.",
        "supports_reasoning_summaries": True,
        "support_verbosity": False,
        "supports_parallel_tool_calls": True,
        "experimental_supported_tools": [],
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
        "context_window": 200_000,
    }
    if code_mode:
        model["tool_mode"] = "code_mode_only"
    return {"models": [model]}


def codex_settings(*, base_url: str, catalog_path: str) -> JsonObject:
    """Make the settings with which codex talks to the model.

    Args:
        base_url: Where the model is served.
        catalog_path: An absolute path of a file with the catalog.
    """
    return {
        "model": MODEL,
        "model_provider": PROVIDER,
        "model_catalog_json": catalog_path,
        # Later versions offer update_plan only on request; 0.142.5 always does and ignores this.
        "tools": {"update_plan": {"enabled": True}},
        "model_providers": {
            PROVIDER: {
                "name": "Replay",
                "base_url": base_url,
                "wire_api": "responses",
                "requires_openai_auth": False,
                "request_max_retries": 0,
                "stream_max_retries": 0,
            }
        },
    }
