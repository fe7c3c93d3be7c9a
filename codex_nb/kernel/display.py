"""How a run is shown: live, and in the same output as data, text, Markdown and HTML.

Where the Jupyter server carries our extension, JupyterLab draws the data itself and follows the
session without the kernel; elsewhere the widget does. What is saved is brought up to date whenever
a turn is over, so that the notebook can be read anywhere. When the session or the kernel ends, the
widget leaves the output, because a widget without its kernel shows nothing but an error.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from IPython.display import display

from codex_nb.kernel.served import is_served
from codex_nb.static.forms import text_of
from codex_nb.static.saved import SESSION, bundle_of

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from codex_nb.kernel.conversation import Conversation
    from codex_nb.kernel.follower import Follower
    from codex_nb.kernel.run import Run
    from codex_nb.static.saved import Face

logger = logging.getLogger(__name__)

WIDGET = "application/vnd.jupyter.widget-view+json"


class Shown(Protocol):
    """A run below a cell."""

    def update(self) -> None:
        """Bring what is saved with the notebook up to date."""

    def freeze(self) -> None:
        """Leave only what needs no kernel."""

    def show_again(self) -> None:
        """Show the run once more, as the value of a later cell."""


def show(
    shell: InteractiveShell, run: Run, follower: Follower, face: Face = "conversation"
) -> Shown:
    """Show a run below the running cell; in a terminal, as text when its turn is over."""
    if getattr(shell, "kernel", None) is None:
        return _Printed(run, follower)
    from codex_nb.kernel.conversation import Conversation

    return _Output(Conversation(follower, face), run, follower, face)


class _Output:
    """An output of a notebook."""

    def __init__(self, widget: Conversation, run: Run, follower: Follower, face: Face) -> None:
        self._widget = widget
        self._face: Face = face
        self._follower = follower
        self._display_id = f"codex-{follower.spec.id}-{widget.model_id[:8]}"
        run.shown_by(self)
        display(self._bundle(), raw=True, display_id=self._display_id)
        follower.on_milestone = self.update
        follower.on_window = self._on_window

    def _on_window(self) -> None:
        self._widget.show_window()
        if is_served():
            self.update()

    def show_again(self) -> None:
        display(self._bundle(), raw=True)

    def update(self) -> None:
        display(self._bundle(), raw=True, display_id=self._display_id, update=True)

    def freeze(self) -> None:
        display(self._static(), raw=True, display_id=self._display_id, update=True)

    def _bundle(self) -> dict[str, object]:
        follower = self._follower
        # A program that executes a notebook hears nothing of what comes after its last cell.
        is_final = follower.spec.unattended and follower.settled.done()
        if is_final or not follower.is_live():
            return self._static()
        view = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        bundle = {WIDGET: view, **self._static()}
        if not is_served():
            # JupyterLab would draw the data rather than the widget, and have nowhere to follow it.
            del bundle[SESSION]
        return bundle

    def _static(self) -> dict[str, object]:
        follower = self._follower
        return bundle_of(
            follower.transcript,
            session=follower.spec.id,
            n=follower.number,
            window=follower.window,
            face=self._face,
        )


class _Printed:
    """A terminal: the text of the run, once its turn is over."""

    def __init__(self, run: Run, follower: Follower) -> None:
        self._follower = follower
        run.shown_by(self)

    def show_again(self) -> None:
        self.update()

    def update(self) -> None:
        print(text_of(self._follower.transcript, window=self._follower.window))  # noqa: T201 - its purpose

    def freeze(self) -> None:
        return
