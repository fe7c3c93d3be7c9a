"""The magics: `%codex_run` and `%%codex_run`, and `%codex_seed`.

Loading this module must stay cheap: everything that a run needs is imported when the first one
starts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.error import UsageError as ParserError
from IPython.core.magic import (
    Magics,
    line_cell_magic,
    line_magic,
    magics_class,
    no_var_expand,
)
from IPython.core.magic_arguments import argument, magic_arguments

from codex_nb.errors import UsageError
from codex_nb.kernel.config import CodexNB

if TYPE_CHECKING:
    import argparse

    from IPython.core.interactiveshell import InteractiveShell

    from codex_nb.kernel.run import Run
    from codex_nb.seeds.table import Table

_ATTRIBUTE = "_codex_nb"


@magics_class
class CodexMagics(Magics):
    """Codex in a cell.

    Args:
        shell: The IPython that the magics belong to.
        config: The defaults of all options.
    """

    def __init__(self, shell: InteractiveShell, config: CodexNB) -> None:
        super().__init__(shell)
        self.defaults = config

    @no_var_expand
    @line_cell_magic
    @magic_arguments()
    @argument("-h", "--help", action="store_true", help="Show this help.")
    @argument(
        "--cwd", metavar="FOLDER", help="Folder that Codex works in. Default: the notebook's."
    )
    @argument(
        "--host",
        metavar="NAME",
        help="Run Codex on this SSH host: a name of CodexNB.hosts or of ~/.ssh/config, or "
        "user@host:port. Default: this machine.",
    )
    @argument("--model", help="Model of this session.")
    @argument("--effort", help="Reasoning effort: none, minimal, low, medium, high or xhigh.")
    @argument(
        "--sandbox",
        metavar="MODE",
        help="What commands may write: read-only, workspace-write (default) or danger-full-access.",
    )
    @argument("--network", action="store_true", help="Let sandboxed commands use the network.")
    @argument(
        "--allow",
        metavar="PATH",
        action="append",
        help="A further folder that commands may write. Can be given more than once.",
    )
    @argument(
        "--ask",
        metavar="WHEN",
        help="When Codex asks before it acts: untrusted, on-request (default) or never.",
    )
    @argument(
        "--env",
        metavar="NAME[=VALUE]",
        action="append",
        help="A variable for Codex and its commands; without a value, this kernel's. "
        "Can be given more than once.",
    )
    @argument(
        "--tui",
        action="store_true",
        help="Show the Codex terminal, on the thread of the conversation. Needs no prompt.",
    )
    @argument(
        "--plain",
        action="store_true",
        help="Show the Codex terminal alone, without a conversation: to log in to Codex itself, "
        "and for versions of Codex before 0.142. Takes no prompt.",
    )
    @argument("--wait", action="store_true", help="Wait until the turn is over.")
    @argument("--no-wait", action="store_true", help="Return at once, also where cells wait.")
    @argument(
        "--timeout",
        metavar="SECONDS",
        help="Interrupt the turn after this time. Default: 0, which means no limit.",
    )
    @argument(
        "-c",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        help="Any Codex setting, as in its config.toml. Can be given more than once.",
    )
    @argument(
        "--replay",
        metavar="NAME",
        help="Play a written or recorded model instead of a real one: a name, or the path of "
        "a file.",
    )
    @argument(
        "--seed",
        metavar="NAME",
        help="Seed to log in with, pool:NAME for any of a pool, or {function} that names one. "
        "Default: the only one that there is.",
    )
    @argument(
        "--name",
        help="Name of the session. A cell with the same name and folder goes on with the same "
        "thread.",
    )
    @argument("-o", "--output", metavar="VAR", help="Name of the variable that gets the handle.")
    def codex_run(self, line: str, cell: str | None = None) -> Run | None:
        """Run Codex on a prompt and draw the conversation below the cell.

        The options come first, then the prompt; with `%%codex_run` the body of the cell belongs to
        the prompt. Nothing in the prompt is expanded. The cell returns at once, and the handle that
        it returns can be awaited.

            %codex_run --sandbox read-only What does this project do?

            %%codex_run --name tidy -o run
            Sort the imports of every module here.

            %codex_run --tui --name tidy
        """
        from codex_nb.kernel.options import split_line

        parser = self.codex_run.parser
        tokens, rest = split_line(line, parser)
        try:
            values = parser.parse_args(tokens)
        except ParserError as exc:
            message = f"{str(exc)[:1].upper()}{str(exc)[1:]}."
            raise UsageError(message, hint="%codex_run? lists the options.") from None
        if values.help:
            # IPython begins it with the mark of a reStructuredText block.
            print(parser.format_help().removeprefix("::").strip())  # noqa: T201 - this is the answer
            return None
        prompt = "\n".join(filter(None, (rest, cell))).strip()
        return self._start(values, prompt)

    @no_var_expand
    @line_magic
    def codex_seed(self, line: str) -> Table | None:
        """Keep logins of Codex, and lend them to sessions.

        `%codex_seed -h` lists the verbs, and `%codex_seed VERB -h` shows one. No key and no token
        is ever given in the line.

            %codex_seed login work
            %codex_seed list
            %codex_seed verify --all
        """
        from codex_nb.kernel.seeds import run_verb

        return run_verb(self.shell, line, self.defaults)

    @no_var_expand
    @line_magic
    def codex_hosts(self, line: str) -> Table | None:
        """SSH hosts on which Codex can run.

        `%codex_hosts` lists those that have a name, in CodexNB.hosts or in ~/.ssh/config.
        `%codex_hosts check HOST` tries all that a session needs there: one line each, with what
        mends it. `--send` sends codex if it is missing.

            %codex_hosts
            %codex_hosts check gpu1
        """
        from codex_nb.kernel.hosts import run_hosts

        return run_hosts(self.shell, line, self.defaults)

    def _start(self, values: argparse.Namespace, prompt: str) -> Run:
        from codex_nb.kernel.options import build_request
        from codex_nb.kernel.start import start_run

        shell = self.shell
        notebook = notebook_of(shell)
        request = build_request(
            values,
            prompt,
            config=self.defaults,
            notebook=notebook,
            folder=str(Path(notebook).parent) if notebook else str(Path.cwd()),
            unattended=is_unattended(shell),
            terminal=getattr(shell, "kernel", None) is None,
            lookup=lambda expression: shell.ev(expression),
            environment=os.environ,
        )
        return start_run(shell, request, self.defaults)


def notebook_of(shell: InteractiveShell) -> str:
    """Path of the notebook that this kernel serves; "" if it is unknown or not on this machine.

    Jupyter servers tell it in JPY_SESSION_NAME (jupyter_server 2.x), VS Code in a variable of the
    notebook.
    """
    for path in (os.environ.get("JPY_SESSION_NAME"), shell.user_ns.get("__vsc_ipynb_file__")):
        if isinstance(path, str) and path.endswith(".ipynb") and Path(path).is_file():
            return str(Path(path).resolve())
    return ""


def is_unattended(shell: InteractiveShell) -> bool:
    """Whether a program executes this notebook, such as nbclient: nobody can be asked."""
    kernel = getattr(shell, "kernel", None)
    return kernel is not None and not getattr(kernel, "_allow_stdin", True)


def register(shell: InteractiveShell) -> None:
    """Add the magics, their settings and their completion to a running IPython."""
    from codex_nb.kernel.completion import add_completion
    from codex_nb.kernel.prompts import add_prompt_lines

    if hasattr(shell, _ATTRIBUTE):
        return
    config = CodexNB(parent=shell)
    magics = CodexMagics(shell, config)
    shell.register_magics(magics)
    shell.configurables.append(config)
    removers = (add_completion(shell, magics), add_prompt_lines(shell))
    setattr(shell, _ATTRIBUTE, (config, removers))


def unregister(shell: InteractiveShell) -> None:
    """Take away what `register` added."""
    if not hasattr(shell, _ATTRIBUTE):
        return
    config, removers = getattr(shell, _ATTRIBUTE)
    delattr(shell, _ATTRIBUTE)
    shell.configurables.remove(config)
    for kind in ("line", "cell"):
        for name in ("codex_run", "codex_seed", "codex_hosts"):
            shell.magics_manager.magics[kind].pop(name, None)
    for remove in removers:
        remove()


__all__ = ["CodexMagics", "is_unattended", "notebook_of", "register", "unregister"]
