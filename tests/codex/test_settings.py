from __future__ import annotations

import math
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_nb.codex.settings import as_toml, merged, parse_setting, parse_settings
from codex_nb.errors import UsageError

if TYPE_CHECKING:
    from codex_nb.protocol.messages import Json, JsonObject

TEXT = st.text()
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
VALUES = st.recursive(
    st.booleans() | NUMBERS | TEXT,
    lambda values: st.lists(values) | st.dictionaries(TEXT, values),
    max_leaves=12,
)
SETTINGS = st.dictionaries(TEXT, VALUES)


@given(SETTINGS)
def test_settings_come_back_from_toml(settings: JsonObject) -> None:
    assert tomllib.loads(as_toml(settings)) == settings


def test_numbers_that_are_none_come_back_as_well() -> None:
    assert math.isnan(tomllib.loads(as_toml({"x": math.nan}))["x"])
    assert tomllib.loads(as_toml({"x": -math.inf})) == {"x": -math.inf}


def test_settings_are_dotted_keys() -> None:
    settings: JsonObject = {
        "model": 'a"b\n\x7f',
        "projects": {"/home/me/a b": {"trust_level": "trusted"}},
        "tools": {"empty": {}, "list": [{"a": 1, "b c": True}, []]},
    }
    assert as_toml(settings) == (
        'model = "a\\"b\\n\\u007f"\n'
        'projects."/home/me/a b".trust_level = "trusted"\n'
        "tools.empty = {}\n"
        'tools.list = [{ a = 1, "b c" = true }, []]\n'
    )


def test_a_path_that_is_not_utf8_cannot_be_written() -> None:
    with pytest.raises(UsageError, match=r"'.*\\udcff' in the settings is not valid text"):
        as_toml({"projects": {"/home/\udcff": {"trust_level": "trusted"}}})


def test_null_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="TOML has no null"):
        as_toml({"a": [None]})


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("model=gpt-x", {"model": "gpt-x"}),
        ('model="gpt-x"', {"model": "gpt-x"}),
        ("a.b.c=1", {"a": {"b": {"c": 1}}}),
        (" a . b = true ", {"a": {"b": True}}),
        ("a=1.5", {"a": 1.5}),
        ("a=[1, 'x']", {"a": [1, "x"]}),
        ('p={name="n", args=["a"]}', {"p": {"name": "n", "args": ["a"]}}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a='half", {"a": "half"}),
        ("a=1979-05-27", {"a": "1979-05-27"}),
        ("a=" + 5000 * "[", {"a": 5000 * "["}),
        ("a=1\nsandbox_mode='x'", {"a": "1\nsandbox_mode='x"}),
        ('mcp_servers."my.server".command="x"', {"mcp_servers": {"my.server": {"command": "x"}}}),
        ("a.'b.c'.d=1", {"a": {"b.c": {"d": 1}}}),
    ],
)
def test_a_setting_is_read_as_codex_reads_it(text: str, setting: JsonObject) -> None:
    assert parse_setting(text) == setting


@pytest.mark.parametrize("text", ["", "model", "=x", ".a=1", "a.=1", "a..b=1", 'a."b=1'])
def test_what_is_no_setting_is_shown(text: str) -> None:
    with pytest.raises(UsageError, match="is not a setting of codex") as caught:
        parse_setting(text)
    assert repr(text) in caught.value.message


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("sandbox_mode=danger-full-access", "--sandbox"),
        ("sandbox_workspace_write.network_access=true", "--network or --allow"),
        ('"sandbox_workspace_write".writable_roots=["/"]', "--network or --allow"),
        ("approval_policy=never", "--ask"),
        ("approvals_reviewer=auto_review", "--ask"),
        ("profiles.x.sandbox_mode=danger-full-access", "--sandbox and --ask"),
    ],
)
def test_security_has_options_of_its_own(text: str, option: str) -> None:
    with pytest.raises(UsageError, match="decides what codex may do") as caught:
        parse_setting(text)
    assert caught.value.hint == f"Use {option}."


@given(st.text(), st.text())
def test_any_text_is_a_setting_or_a_usage_error(key: str, value: str) -> None:
    try:
        setting = parse_setting(f"{key}={value}")
    except UsageError:
        return
    document = as_toml(setting)
    assert as_toml(tomllib.loads(document)) == document


def test_later_settings_win_and_tables_are_joined() -> None:
    texts = ["a.x=1", "a.y=2", "a.x=3", "b={c=1}", "b.d=2", "e=1", "e.f=1"]
    expected: Json = {"a": {"x": 3, "y": 2}, "b": {"c": 1, "d": 2}, "e": {"f": 1}}
    assert parse_settings(texts) == expected


def test_joining_leaves_the_layers_alone() -> None:
    lower: JsonObject = {"a": {"x": 1}}
    upper: JsonObject = {"a": {"y": 2}}
    joined = merged(lower, upper)
    table = joined["a"]
    assert isinstance(table, dict)
    table["z"] = 3
    assert (lower, upper) == ({"a": {"x": 1}}, {"a": {"y": 2}})
