"""Codex settings as nested JSON values: `-c` texts in, config.toml out.

A setting is read as codex reads it: KEY is a dotted path, VALUE is TOML or else the plain text.
What decides about security has options of its own and is refused here, so that a session never
allows more than it shows. Checked against codex 0.163.0.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from codex_nb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from codex_nb.protocol.messages import Json, JsonObject

_OPTIONS = {
    "sandbox_mode": "--sandbox",
    "sandbox_workspace_write": "--network or --allow",
    "approval_policy": "--ask",
    "approvals_reviewer": "--ask",
    "default_permissions": "--sandbox",
    "permissions": "--sandbox",
    "profile": "--sandbox and --ask",
    "profiles": "--sandbox and --ask",
}
"""What to use in place of each setting that decides about security."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_KEY_PART = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^."']+)\s*(?:\.|$)""")


def parse_setting(text: str) -> JsonObject:
    """Read KEY=VALUE into nested settings.

    Raises:
        UsageError: There is no key or no "=", or the key decides about security.
    """
    key, equals, value = text.partition("=")
    path = _parse_key(key.strip())
    if not equals or not path:
        raise UsageError(
            f"-c {text!r} is not a setting of codex.",
            hint='Write KEY=VALUE, for example -c model_reasoning_effort="high".',
        )
    if path[0] in _OPTIONS:
        raise UsageError(
            f"-c cannot change {path[0]}, which decides what codex may do.",
            hint=f"Use {_OPTIONS[path[0]]}.",
        )
    setting: Json = _parse_value(value.strip())
    for part in reversed(path):
        setting = {part: setting}
    return setting if isinstance(setting, dict) else {}


def parse_settings(texts: Sequence[str]) -> JsonObject:
    """Read several settings; a later one wins over an earlier one.

    Raises:
        UsageError: See `parse_setting`.
    """
    return merged(*map(parse_setting, texts))


def merged(*layers: JsonObject) -> JsonObject:
    """One tree of settings: tables are joined, everything else of a later layer wins."""
    result: JsonObject = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            if isinstance(value, dict):
                value = merged(below if isinstance(below, dict) else {}, value)
            result[key] = value
    return result


def as_toml(settings: JsonObject) -> str:
    """The settings as a TOML document of dotted keys, one setting per line.

    Raises:
        UsageError: A text in it is no Unicode text, such as a path of bytes that are not UTF-8.
        ValueError: There is a null in it, which TOML does not have.
    """
    lines = [f"{key} = {value}\n" for key, value in _lines(settings, ())]
    document = "".join(lines)
    try:
        document.encode()
    except UnicodeEncodeError as exc:
        raise UsageError(
            f"{exc.object[max(0, exc.start - 40) : exc.end]!r} in the settings is not valid text.",
            hint="Paths must be UTF-8 for codex to take them.",
        ) from None
    return document


def _lines(table: JsonObject, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        here = (*path, key)
        if isinstance(value, dict) and value:
            yield from _lines(value, here)
        else:
            yield ".".join(map(_toml_key, here)), _toml_value(value)


def _toml_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _toml_string(key)


def _toml_string(text: str) -> str:
    # A JSON string is a TOML string but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_value(value: Json) -> str:
    match value:
        case None:
            raise ValueError("TOML has no null")
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _toml_string(value)
        case list():
            return f"[{', '.join(map(_toml_value, value))}]"
        case dict():
            items = (f"{_toml_key(key)} = {_toml_value(each)}" for key, each in value.items())
            return f"{{ {', '.join(items)} }}" if value else "{}"


def _parse_key(key: str) -> tuple[str, ...]:
    import tomllib  # here and below, because a session host never needs it

    parts: list[str] = []
    position = 0
    while position < len(key):
        found = _KEY_PART.match(key, position)
        if found is None:
            return ()
        part = found[1].strip()
        parts.append(tomllib.loads(f"k = {part}")["k"] if part[0] in "\"'" else part)
        position = found.end()
    return tuple(parts) if not key.endswith(".") else ()


def _parse_value(text: str) -> Json:
    import tomllib

    try:
        document = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        document = {}
    # A line break could have smuggled in a second setting; a date is no value that codex knows.
    if document.keys() == {"value"} and _is_json(document["value"]):
        value: Json = document["value"]
        return value
    return text.strip("\"'")


def _is_json(value: object) -> bool:
    match value:
        case dict():
            return all(map(_is_json, value.values()))
        case list():
            return all(map(_is_json, value))
        case _:
            return isinstance(value, str | int | float)
