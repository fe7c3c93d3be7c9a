"""What a written conversation consists of, and where one is found.

A scenario is played one step per model response: codex runs what the step asks for and comes back
for the next one. The model decides by the history that codex sends, so a scenario has no state of
its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from codex_nb.errors import ReplayError

if TYPE_CHECKING:
    import re
    from os import PathLike

    from codex_nb.protocol.messages import JsonObject

PlanStatus: TypeAlias = Literal["pending", "in_progress", "completed"]

_SHIPPED = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that the model asks codex to run.

    Attributes:
        cmd: What the shell gets.
        cwd: Where it runs; None for the folder of the thread.
        escalate: Whether the model asks to run it outside the sandbox.
        justification: What the person is told when escalate is set.
        timeout: Seconds that the model waits for its end before it goes on; the command is not
            killed.
    """

    cmd: str
    cwd: str | None = None
    escalate: bool = False
    justification: str | None = None
    timeout: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of any tool that codex offers.

    Attributes:
        name: The tool.
        namespace: Of a namespaced tool, such as the one of an MCP server.
        arguments: Of a function tool.
        input: Of a custom tool, which takes free text; None for a function tool.
    """

    name: str
    namespace: str | None = None
    arguments: JsonObject = field(default_factory=dict)
    input: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An answer that is no answer.

    Attributes:
        status: The HTTP status, or None when the stream itself fails.
        code: The type of the HTTP error, or the code of the `response.failed` event.
        message: What it says.
        resets_in: Seconds until a usage limit ends; None when that is not told.
    """

    status: int | None
    code: str
    message: str
    resets_in: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How much of one rate limit is used.

    Attributes:
        used_percent: 0 to 100.
        window_minutes: How long the window is.
        resets_in: Seconds until it starts again.
    """

    used_percent: float
    window_minutes: int
    resets_in: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What a response tells of the account's limits."""

    primary: Window | None = None
    secondary: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that a response reports instead of an estimate; None leaves the estimate."""

    input: int | None = None
    cached: int | None = None
    output: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One response of the model, in the order think, say, plan, then run, patch or tool.

    Attributes:
        think: The reasoning summary.
        say: The message. `{output}` becomes what the last command or tool of the turn gave back,
            `{prompt}` what the person asked; also in think.
        plan: Every step of the plan with its status; empty to leave the plan alone.
        run: The command to run.
        patch: The patch to apply, in codex's own format.
        tool: Any other tool to call.
        error: The failure to answer with, after what is thought and said.
        drop: Whether the connection is cut in the middle of the message.
        wait: Seconds before the answer begins.
        hold: The name that has to be released before the answer begins.
        rate_limits: What to tell of the account's limits.
        usage: Tokens to report.
    """

    think: str | None = None
    say: str | None = None
    plan: tuple[tuple[str, PlanStatus], ...] = ()
    run: Command | None = None
    patch: str | None = None
    tool: ToolCall | None = None
    error: Failure | None = None
    drop: bool = False
    wait: float = 0.0
    hold: str | None = None
    rate_limits: RateLimits | None = None
    usage: Usage | None = None

    @property
    def asks(self) -> bool:
        """Whether codex has something to do after it, and so comes back."""
        return bool(self.plan or self.run or self.patch or self.tool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the model does with one prompt.

    Attributes:
        steps: At least one.
        match: The prompts that it answers, in any order of prompts; None when it answers the prompt
            of its place.
    """

    steps: tuple[Step, ...]
    match: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A written conversation.

    Attributes:
        title: What it shows, as a heading.
        turns: In the order of the prompts that they answer.
        speed: Tokens per second; 0 is as fast as possible.
    """

    title: str
    turns: tuple[Turn, ...]
    speed: float = 60.0

    def turn_for(self, index: int, prompt: str) -> Turn | None:
        """Choose the turn for a prompt: the first whose match fits, or the one of its place.

        Args:
            index: How many prompts came before it.
            prompt: What the person asked.

        Returns:
            None when the scenario has nothing for it.
        """
        for turn in self.turns:
            if turn.match is not None and turn.match.search(prompt):
                return turn
        in_order = [turn for turn in self.turns if turn.match is None]
        return in_order[index] if index < len(in_order) else None


def load_scenario(path: str | PathLike[str]) -> Scenario:
    """Read a scenario from a TOML file.

    Raises:
        ReplayError: The file cannot be read or is not a scenario; the message names file, turn,
            step and key.
    """
    # tomllib and the checks are needed once per session at most, and not for recordings.
    from codex_nb.replay.scenario_file import parse_scenario

    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ReplayError(f"the scenario {path} cannot be read: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise ReplayError(f"the scenario {path} is not UTF-8 text") from exc
    return parse_scenario(text, name=path.name)


def scenario_names() -> list[str]:
    """Name the scenarios that are shipped with this package, in alphabetical order."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def find_scenario(name: str, *, folder: str | PathLike[str]) -> Path:
    """Find a scenario or a recording.

    Args:
        name: The name of a shipped scenario, or the path of a file that ends in .toml or .jsonl.
        folder: What a relative path starts from.

    Returns:
        An absolute path of an existing file.

    Raises:
        ReplayError: There is neither a shipped scenario nor a file of this name.
    """
    if name in scenario_names():
        return (_SHIPPED / f"{name}.toml").resolve()
    path = Path(folder).expanduser().absolute() / Path(name).expanduser()
    if path.suffix in {".toml", ".jsonl"} and path.is_file():
        return path
    raise ReplayError(
        f'There is no scenario "{name}".',
        hint=f"Shipped are {', '.join(scenario_names())}; or give the path of a .toml or .jsonl.",
    )
