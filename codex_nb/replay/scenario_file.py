"""Reading a scenario from TOML.

Every refusal names the file, the turn, the step and the key, and its hint says what is legal there.
Unknown keys are refused: a typing mistake must not become a step that is left out.
"""

from __future__ import annotations

import re
import tomllib

from codex_nb.errors import ReplayError
from codex_nb.replay.scenario import (
    Command,
    Failure,
    PlanStatus,
    RateLimits,
    Scenario,
    Step,
    ToolCall,
    Turn,
    Usage,
    Window,
)
from codex_nb.replay.scenario_table import Table

_PLAN_MARKS: dict[str, PlanStatus] = {"x": "completed", ">": "in_progress", " ": "pending"}
_PLAN_LINE = re.compile(r"\[([x> ])\] (.+)")


def parse_scenario(text: str, *, name: str) -> Scenario:
    """Make a scenario of the text of a file.

    Args:
        text: TOML.
        name: What errors call the file.

    Raises:
        ReplayError: It is not TOML or not a scenario.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ReplayError(f"{name}: not TOML: {exc}") from exc
    table = Table(data, name, "title speed turn")
    speed = table.number("speed")
    return Scenario(
        title=table.need_text("title"),
        turns=tuple(_turn(each) for each in table.tables("turn", "match step")),
        speed=60.0 if speed is None else speed,
    )


def _turn(table: Table) -> Turn:
    match = table.text("match")
    try:
        pattern = None if match is None else re.compile(match, re.IGNORECASE)
    except re.error as exc:
        table.refuse(f'"match" is no regular expression: {exc}')
    legal = "think say plan run patch tool error drop wait hold rate_limits usage"
    tables = table.tables("step", legal)
    steps = [_step(each) for each in tables]
    for place, step in zip(tables[:-1], steps[:-1], strict=True):
        if not step.asks:
            place.refuse(
                "codex would end the turn here, but more steps follow",
                hint="Every step but the last of a turn needs run, patch, tool or plan.",
            )
    if steps[-1].asks:
        tables[-1].refuse(
            "codex comes back after this, but no step follows",
            hint="The last step of a turn only thinks and says, or fails with error or drop.",
        )
    return Turn(steps=tuple(steps), match=pattern)


def _step(table: Table) -> Step:
    asks = [key for key in ("run", "patch", "tool") if key in table]
    if len(asks) > 1:
        table.refuse(f"{' and '.join(asks)} in one step", hint="Use one of them per step.")
    step = Step(
        think=table.text("think"),
        say=table.text("say"),
        plan=_plan(table),
        run=_command(table),
        patch=_patch(table),
        tool=_tool(table),
        error=_failure(table),
        drop=table.flag("drop"),
        wait=table.number("wait") or 0.0,
        hold=table.text("hold"),
        rate_limits=_rate_limits(table),
        usage=_usage(table),
    )
    fails = step.error is not None or step.drop
    if fails and (step.asks or (step.error is not None and step.drop)):
        table.refuse(
            "a step that fails cannot ask for anything",
            hint="Use error or drop alone, or with think and say.",
        )
    if step.drop and step.say is None:
        table.refuse('"drop" without "say"', hint="The stream is cut in the middle of say.")
    if not fails and not step.asks and step.say is None:
        table.refuse("the step does nothing", hint="Give it say, run, patch, tool or plan.")
    return step


def _plan(table: Table) -> tuple[tuple[str, PlanStatus], ...]:
    lines = table.texts("plan")
    plan = []
    for line in lines:
        found = _PLAN_LINE.fullmatch(line)
        if found is None:
            table.refuse(
                f'"plan" has the line {line!r}',
                hint='A line starts with "[x] " (done), "[>] " (in progress) or "[ ] " (to do).',
            )
        plan.append((found[2], _PLAN_MARKS[found[1]]))
    return tuple(plan)


def _command(table: Table) -> Command | None:
    run = table.text_or_table("run", "cmd cwd escalate justification timeout")
    if run is None:
        return None
    if isinstance(run, str):
        return Command(cmd=run)
    timeout = run.number("timeout")
    command = Command(
        cmd=run.need_text("cmd"),
        cwd=run.text("cwd"),
        escalate=run.flag("escalate"),
        justification=run.text("justification"),
        timeout=120.0 if timeout is None else timeout,
    )
    if command.justification is not None and not command.escalate:
        run.refuse('"justification" without "escalate = true"')
    return command


def _patch(table: Table) -> str | None:
    text = table.text("patch")
    if text is None:
        return None
    text = text.strip() + "\n"
    if not text.startswith("*** Begin Patch\n") or not text.endswith("\n*** End Patch\n"):
        table.refuse(
            '"patch" is not in the format of apply_patch',
            hint='Its first line is "*** Begin Patch" and its last is "*** End Patch".',
        )
    return text


def _tool(table: Table) -> ToolCall | None:
    tool = table.table("tool", "name namespace arguments input")
    if tool is None:
        return None
    if "arguments" in tool and "input" in tool:
        tool.refuse("arguments and input", hint="A tool takes one of them.")
    return ToolCall(
        name=tool.need_text("name"),
        namespace=tool.text("namespace"),
        arguments=tool.json("arguments"),
        input=tool.text("input"),
    )


def _failure(table: Table) -> Failure | None:
    error = table.table("error", "status type event code message resets_in")
    if error is None:
        return None
    message = error.text("message") or "The replayed model failed on purpose."
    if ("status" in error) == ("event" in error):
        error.refuse(
            "neither or both of status and event",
            hint='Write {status = 429, type = "…"} or {event = "response.failed", code = "…"}.',
        )
    status = error.whole("status")
    if status is not None:
        if not 400 <= status <= 599:
            error.refuse(f'"status" is {status}', hint="An HTTP error is between 400 and 599.")
        if "code" in error:
            error.refuse('"code" belongs to event', hint='Beside status it is called "type".')
        return Failure(
            status=status,
            code=error.text("type") or "server_error",
            message=message,
            resets_in=error.number("resets_in"),
        )
    if error.text("event") != "response.failed" or "type" in error or "resets_in" in error:
        error.refuse(
            "not a failing event",
            hint='Legal is {event = "response.failed", code = "…", message = "…"}.',
        )
    return Failure(status=None, code=error.need_text("code"), message=message)


def _rate_limits(table: Table) -> RateLimits | None:
    limits = table.table("rate_limits", "primary secondary")
    if limits is None:
        return None
    return RateLimits(primary=_window(limits, "primary"), secondary=_window(limits, "secondary"))


def _window(table: Table, key: str) -> Window | None:
    window = table.table(key, "used_percent window_minutes resets_in")
    if window is None:
        return None
    used, minutes, resets_in = (
        window.number("used_percent"),
        window.whole("window_minutes"),
        window.number("resets_in"),
    )
    if used is None or minutes is None or resets_in is None:
        window.refuse("incomplete", hint="Give used_percent, window_minutes and resets_in.")
    return Window(used_percent=used, window_minutes=minutes, resets_in=resets_in)


def _usage(table: Table) -> Usage | None:
    usage = table.table("usage", "input cached output reasoning")
    if usage is None:
        return None
    return Usage(
        input=usage.whole("input"),
        cached=usage.whole("cached"),
        output=usage.whole("output"),
        reasoning=usage.whole("reasoning"),
    )
