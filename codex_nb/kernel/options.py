"""The options of `%codex_run`, from the text of a cell to a checked spec.

The options come first; the prompt is everything after them, exactly as it was typed, and after it
the body of the cell. Nothing in a prompt is expanded. An option's whole value may be `{expression}`
or `$name` of the notebook.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from codex_nb.codex.posture import Ask, Sandbox
from codex_nb.codex.settings import merged, parse_settings
from codex_nb.errors import UsageError
from codex_nb.kernel.host_choice import host_from
from codex_nb.kernel.seed_choice import seed_from
from codex_nb.seeds.settings import SeedSettings
from codex_nb.sessions.spec import EFFORTS, SessionSpec, new_id

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection, Mapping

    from codex_nb.kernel.config import CodexNB

_TOKEN = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:\\.|[^"\\])*"|'[^']*')+""", re.DOTALL)
_REFERENCE = re.compile(r"\{.+\}|\$[A-Za-z_]\w*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a cell asks for.

    Attributes:
        prompt: What to tell codex.
        spec: The session to start, or to find by its name.
        is_named: Whether `--name` was given, so that a session of that name goes on.
        given: Names of the options that the cell spelled out.
        wait: Whether the cell waits for the end of the turn.
        variable: Name that gets the handle, or "".
        tui: Whether the cell shows the Codex terminal.
    """

    prompt: str
    spec: SessionSpec
    is_named: bool
    given: frozenset[str]
    wait: bool
    variable: str
    tui: bool = False


def split_line(line: str, parser: argparse.ArgumentParser) -> tuple[list[str], str]:
    """Part the options from the prompt that follows them.

    Raises:
        UsageError: There is no such option, a quote is not closed, or a value is missing.
    """
    takes_value = {
        name: action.nargs is None and action.const is None
        for action in parser._actions  # noqa: SLF001 - argparse has no public list of its options
        for name in action.option_strings
    }
    tokens: list[str] = []
    rest = line.lstrip()
    while re.match(r"--?[A-Za-z]", rest):
        word, rest = _next_token(rest)
        _check_known(word, takes_value)
        tokens.append(word)
        if takes_value.get(word):
            if not rest:
                raise UsageError(f"{word} needs a value.", hint="%codex_run? lists the options.")
            value, rest = _next_token(rest)
            # Joined with "=", so that a value may begin with a dash.
            tokens[-1] = f"{word}={value}" if word.startswith("--") else f"{word}{value}"
    if re.match(r"--(\s|$)", rest):
        rest = rest[2:].lstrip()
    return tokens, rest


def _check_known(word: str, known: Collection[str]) -> None:
    # "-oname" is short for "-o name"; a long option is never cut short.
    name = word.partition("=")[0] if word.startswith("--") else word[:2]
    if name not in known:
        close = get_close_matches(name, known, 1)
        meant = f"Did you mean {close[0]}? " if close else ""
        raise UsageError(
            f"There is no option {name}.",
            hint=f"{meant}%codex_run? lists them; put -- before a prompt that begins with a dash.",
        )


def _next_token(text: str) -> tuple[str, str]:
    found = _TOKEN.match(text)
    if found is None or (found.end() < len(text) and not text[found.end()].isspace()):
        raise UsageError(f"A quote is not closed: {text}", hint="Close it, or put a \\ before it.")
    return shlex.split(found.group())[0], text[found.end() :].lstrip()


def build_request(
    values: argparse.Namespace,
    prompt: str,
    *,
    config: CodexNB,
    notebook: str,
    folder: str,
    unattended: bool,
    terminal: bool = False,
    lookup: Callable[[str], object],
    environment: Mapping[str, str],
) -> Request:
    """Make one checked request of the options, the defaults and where the cell stands.

    Args:
        values: The parsed options; None means not given.
        prompt: What to tell codex.
        config: The defaults.
        notebook: Path of the notebook, or "".
        folder: The notebook's folder.
        unattended: No person watches this notebook.
        terminal: There is no notebook, and nothing that could be drawn live.
        lookup: Evaluates `{expression}` and `$name` in the notebook.
        environment: Where `--env NAME` takes its values from.

    Raises:
        UsageError: Something cannot be meant.
    """
    given = frozenset(name for name, value in vars(values).items() if value not in (None, False))

    def option(name: str) -> object:
        value = getattr(values, name)
        value = getattr(config, name) if value is None else value
        return _referred(value, lookup)

    tui = bool(values.tui or values.plain)
    if tui and (unattended or terminal):
        raise UsageError(
            "--tui needs a person in a notebook.", hint="Leave it out, or open the notebook."
        )
    if values.plain and prompt.strip():
        raise UsageError(
            "A plain terminal takes no prompt.",
            hint="Leave the prompt out, and type in the terminal or with run.type().",
        )
    if not prompt.strip() and (values.wait or not tui):
        raise UsageError("The prompt is empty.", hint="Say what Codex is to do.")
    if values.wait and values.no_wait:
        raise UsageError("--wait and --no-wait contradict each other.", hint="Give one of them.")
    sandbox = _choice("--sandbox", option("sandbox"), get_args(Sandbox))
    host = host_from(str(option("host")), config.hosts)
    if host is not None:
        programs = {"codex": host.codex, "tmux": host.tmux}
        cwd = str(_referred(values.cwd, lookup) or host.cwd)
        allow = tuple(str(_referred(path, lookup)) for path in values.allow or ())
    else:
        programs = {"codex": config.codex, "tmux": config.tmux}
        cwd = _folder("--cwd", str(option("cwd")) or folder, base=folder)
        allow = tuple(
            _folder("--allow", str(_referred(path, lookup)), base=folder)
            for path in (*config.allow, *(values.allow or ()))
        )
        if sandbox == "workspace-write" and not os.access(cwd, os.W_OK):
            raise UsageError(
                f"--cwd: you may not write {cwd}.",
                hint="Give another folder, or --sandbox read-only if Codex is only to look.",
            )
    given_settings = [str(_referred(setting, lookup)) for setting in values.settings or ()]
    settings = merged(config.settings, parse_settings(given_settings))
    effort = str(option("effort"))
    if effort and effort not in EFFORTS:
        raise UsageError(
            f"--effort cannot be {effort!r}.", hint=f"It is one of: {', '.join(EFFORTS)}."
        )
    session_id = new_id()
    replay = _replay(str(option("replay")), folder)
    # A default must not stand in the way of a replay, which needs no login.
    seed = ("" if replay else config.seed) if values.seed is None else values.seed
    spec = SessionSpec(
        id=session_id,
        name=str(_referred(values.name, lookup) or f"run-{session_id[-4:]}"),
        cwd=cwd,
        notebook=notebook,
        model=str(option("model")),
        effort=effort,
        sandbox=cast("Sandbox", sandbox),
        network=bool(values.network or config.network),
        allow=allow,
        ask=cast("Ask", _choice("--ask", option("ask"), get_args(Ask))),
        env=dict(
            _variable(str(_referred(entry, lookup)), environment)
            for entry in (*config.env, *(values.env or ()))
        ),
        settings=settings,
        replay=replay,
        seed=seed_from(
            _looked_up(seed, lookup),
            session=session_id,
            limit=timedelta(seconds=config.start_timeout),
        ),
        seeds=SeedSettings(
            store=config.store,
            encryption=config.encryption,
            key_file=config.key_file,
            keyring=config.keyring,
        ),
        seed_wait=timedelta(seconds=config.seed_wait),
        login_file=config.login_file,
        codex=programs["codex"],
        tmux=programs["tmux"],
        ttyd=config.ttyd,
        host="" if host is None else host.name,
        address="" if host is None else host.address,
        host_timeout=timedelta(seconds=config.host_timeout),
        plain=values.plain,
        unattended=unattended,
        turn_timeout=timedelta(seconds=_seconds("--timeout", option("timeout"))),
        idle_timeout=timedelta(seconds=config.idle_timeout),
        approval_timeout=timedelta(seconds=config.approval_timeout),
        reconnect_timeout=timedelta(seconds=config.reconnect_timeout),
        start_timeout=timedelta(seconds=config.start_timeout),
    )
    spec.check()
    return Request(
        prompt=prompt,
        spec=spec,
        is_named=bool(values.name),
        given=given,
        wait=bool(prompt.strip())
        and not values.no_wait
        and bool(values.wait or config.wait or unattended or terminal),
        variable=_identifier(values.output),
        tui=tui,
    )


def _looked_up(value: object, lookup: Callable[[str], object]) -> object:
    if not isinstance(value, str) or not _REFERENCE.fullmatch(value):
        return value
    return lookup(value[1:-1] if value.startswith("{") else value[1:])


def _referred(value: object, lookup: Callable[[str], object]) -> object:
    found = _looked_up(value, lookup)
    return found if found is value else str(found)


def _choice(option: str, value: object, legal: tuple[str, ...]) -> str:
    if value not in legal:
        raise UsageError(
            f"{option} cannot be {value!r}.", hint=f"It is one of: {', '.join(legal)}."
        )
    return str(value)


def _seconds(option: str, value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise UsageError(
            f"{option} cannot be {value!r}.", hint="Give a number of seconds."
        ) from None


def _folder(option: str, path: str, *, base: str) -> str:
    found = Path(base, Path(path).expanduser()).resolve()
    if not found.is_dir():
        raise UsageError(
            f"{option}: {found} is not a folder.", hint="Make it, or give another one."
        )
    if not os.access(found, os.R_OK | os.X_OK):
        raise UsageError(f"{option}: you may not read {found}.", hint="Give another folder.")
    return str(found)


def _variable(entry: str, environment: Mapping[str, str]) -> tuple[str, str]:
    name, separator, value = entry.partition("=")
    if not name.isidentifier():
        raise UsageError(
            f"--env {name!r} is no name of a variable.", hint="Give NAME or NAME=VALUE."
        )
    if separator:
        return name, value
    if name not in environment:
        raise UsageError(
            f"--env {name}: this kernel has no such variable.",
            hint=f"Set os.environ[{name!r}] first, or give {name}=VALUE.",
        )
    return name, environment[name]


def _replay(name: str, folder: str) -> str:
    if not name:
        return ""
    from codex_nb.replay.scenario import find_scenario

    return str(find_scenario(name, folder=folder))


def _identifier(name: str | None) -> str:
    if name and not name.isidentifier():
        raise UsageError(f"-o {name!r} is no name of a variable.", hint="Give a Python name.")
    return name or ""
