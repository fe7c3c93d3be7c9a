"""The handle of a run: what `%codex_run` returns.

A run is a person's view of one session from the turn that its cell started onward. When a later
cell goes on with the same session, the run of the earlier cell ends where that cell begins. All
talk with the session host happens on the background loop; the methods here belong to the kernel's
threads.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from codex_nb.errors import SessionError, TurnTimeoutError, UsageError
from codex_nb.kernel.host_questions import retry_host
from codex_nb.kernel.loop import submit
from codex_nb.kernel.records import Records
from codex_nb.sessions.log import read_events

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from codex_nb.kernel.display import Shown
    from codex_nb.kernel.follower import Follower
    from codex_nb.protocol.messages import JsonObject

ANSWER_LIMIT = 60.0
"""Seconds that the session host has for an operation; an interrupt may take some."""


class Run:
    """One conversation with codex, as a cell started it.

    Args:
        follower: Keeps up with the session.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._shown: Shown | None = None
        self._quiet = _execution()

    def __repr__(self) -> str:
        return f"<codex run {self.name!r}: {self.status}, {len(self.items)} items>"

    def _ipython_display_(self) -> None:
        # A cell that starts a run, sends or waits has it on the page already; its value is the
        # handle. A later cell that ends in it wants to see it.
        if self._shown is not None and self._quiet != _execution():
            self._shown.show_again()

    def shown_by(self, shown: Shown) -> None:
        """Remember what shows this run, for when it is the value of a later cell."""
        self._shown = shown

    # What it is

    @property
    def name(self) -> str:
        """Name of the session."""
        return self._follower.spec.name

    @property
    def id(self) -> str:
        """Id of the session."""
        return self._follower.spec.id

    @property
    def status(self) -> str:
        """How it goes.

        starting, running, waiting (for an answer of yours), completed, interrupted or failed, as
        the latest turn of this run; closed when the session ended before it had one.
        """
        return self._follower.status

    @property
    def thread_id(self) -> str:
        """Codex's id of the thread; empty until codex has started."""
        return str(self._session.get("thread_id") or "")

    @property
    def text(self) -> str:
        """The latest answer of Codex: the last message of this run so far."""
        said = [item for item in self.items if item.get("type") == "agentMessage"]
        return str(said[-1].get("text", "")) if said else ""

    @property
    def items(self) -> Records:
        """What happened, in order: messages, commands, … `.to_pandas()` makes a DataFrame."""
        return Records("item", self._follower.records("items"), key="type")

    @property
    def events(self) -> Records:
        """Every event of the session so far, from its log. `.to_pandas()` makes a DataFrame."""
        return Records("event", read_events(self._follower.events_path), key="op")

    @property
    def approvals(self) -> list[JsonObject]:
        """The questions that wait for an answer."""
        pending = self._follower.records("approvals")
        return [approval for approval in pending if approval.get("status") == "pending"]

    @property
    def diff(self) -> str:
        """Unified diff of what the latest turn changed."""
        return str(self._follower.transcript.get("diff") or "")

    @property
    def plan(self) -> JsonObject | None:
        """The plan as Codex last told it: {"explanation", "steps": [{"step", "status"}]}."""
        plan = self._follower.transcript.get("plan")
        return plan if isinstance(plan, dict) else None

    @property
    def usage(self) -> JsonObject | None:
        """Tokens: {"total", "last", "context_window"}; the first two count by kind."""
        usage = self._follower.transcript.get("usage")
        return usage if isinstance(usage, dict) else None

    @property
    def error(self) -> str:
        """Why the latest turn or the session failed; empty otherwise."""
        found = self._follower.failure()
        return found.message if found else ""

    # What to do with it

    def send(self, text: str, *, timeout: float = 0) -> Run:
        """Tell Codex the next thing. It is taken up when the turns before it are over.

        A session that ended by its idle limit or by a crash is taken up again, with the same
        thread.

        Args:
            text: What to tell it.
            timeout: Seconds after which the turn is interrupted; 0 takes the session's limit.

        Raises:
            SessionClosedError: The session was closed.
        """
        if not text.strip():
            raise UsageError("The prompt is empty.", hint="Say what Codex is to do.")
        self._ask(self._follower.send(text, timeout=timeout))
        return self

    def steer(self, text: str) -> Run:
        """Tell the running turn something, without waiting for its end."""
        self._ask(self._follower.request("steer", text=text))
        return self

    def terminal(self) -> None:
        """Show the Codex terminal of this session below the cell.

        It is on the same thread as the conversation: what is typed in one is seen in the other.

        Raises:
            SessionError: Codex cannot be joined by a terminal.
            HostError: tmux is missing, or does not start.
        """
        from codex_nb.kernel.start import show_terminal

        self._quiet = _execution()
        show_terminal(self, self._follower)

    def type(self, text: str, *, submit: bool = True) -> Run:
        """Type a message in the terminal, as one paste.

        Nothing is typed into what a person types there: this waits for a moment, then refuses.

        Args:
            text: The message; it may have several lines.
            submit: Press Enter afterwards.

        Raises:
            SessionError: No terminal is open, or it takes no message now.
        """
        self._ask(self._follower.request("type", text=text, submit=submit))
        return self

    def key(self, name: str) -> Run:
        """Press a key in the terminal, such as "Enter", "Escape", "Up" or "C-c".

        Raises:
            UsageError: There is no such key; the hint lists them.
            SessionError: No terminal is open.
        """
        self._ask(self._follower.request("key", key=name))
        return self

    def interrupt(self) -> Run:
        """Stop the running turn and its commands. The session goes on."""
        self._ask(self._follower.request("interrupt"))
        return self

    def approve(self, approval: str = "", *, for_session: bool = False) -> Run:
        """Allow what Codex asks for.

        Args:
            approval: Id of the question; empty means the only one that is open.
            for_session: Allow the same again in this session without asking.

        Raises:
            SessionError: There is none, or more than one and no id was given.
        """
        return self._decide(approval, "accept_for_session" if for_session else "accept")

    def decline(self, reason: str = "", *, approval: str = "") -> Run:
        """Refuse what Codex asks for. The turn goes on, and Codex is told the reason."""
        return self._decide(approval, "decline", reason)

    def wait(self, timeout: float | None = None) -> Run:
        """Block until every turn that this run started is over, or the session ended.

        Args:
            timeout: Seconds; None means no limit.

        Raises:
            TurnTimeoutError: The time ran out; the turn goes on.
        """
        self._quiet = _execution()
        settled = self._follower.settled
        try:
            settled.result(timeout)
        except TimeoutError:
            raise TurnTimeoutError(
                f"The turn was not over after {timeout:g} s; it goes on.",
                hint="Wait longer, or stop it with run.interrupt().",
            ) from None
        return self

    def __await__(self) -> Generator[object, None, Run]:
        """Wait without blocking the kernel: `await run`."""
        self._quiet = _execution()
        yield from asyncio.shield(asyncio.wrap_future(self._follower.settled)).__await__()
        return self

    def close(self) -> None:
        """End the session. Its transcript stays; nothing is left running."""
        self._ask(self._follower.close())

    def retry(self) -> Run:
        """Try at once to reach the SSH host of the session, when it is out of reach.

        What that needs of you, such as a password, is asked in the cell.

        Raises:
            SessionError: It is still out of reach.
        """
        self._quiet = _execution()
        retry_host(self._follower)
        return self

    def raise_for_status(self) -> Run:
        """Raise what went wrong, if the latest turn or the session failed; else return the run."""
        failure = self._follower.failure()
        if failure is not None:
            raise failure
        return self

    # How it is done

    @property
    def _session(self) -> JsonObject:
        session = self._follower.transcript.get("session")
        return session if isinstance(session, dict) else {}

    def _decide(self, approval: str, decision: str, reason: str = "") -> Run:
        if not approval:
            waiting = self.approvals
            if len(waiting) != 1:
                count = "No approval is" if not waiting else f"{len(waiting)} approvals are"
                raise SessionError(
                    f"{count} waiting.",
                    hint="Name one by its id: run.approvals lists them." if waiting else "",
                )
            approval = str(waiting[0]["id"])
        self._ask(
            self._follower.request("answer", approval=approval, decision=decision, reason=reason)
        )
        return self

    def _ask(self, work: Coroutine[object, object, object]) -> None:
        self._quiet = _execution()
        submit(work).result(ANSWER_LIMIT)


def _execution() -> int:
    """The number of the cell that runs now."""
    from IPython import get_ipython

    shell = get_ipython()
    return 0 if shell is None else int(shell.execution_count)
