"""The models that codex offers, and the one that this session uses.

Checked against codex 0.142.5, 0.163.0 and 0.169.0: model and effort of a turn hold for the turns
after it as well, and an effort holds on when another model is chosen, whether that one takes it or
not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_nb.errors import RemoteError, UsageError
from codex_nb.protocol.values import obj, objects_of, text_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codex_nb.protocol.messages import Json, JsonObject, Notification

_MAX_PAGES = 50
_NEAR = 8


class Models:
    """What can be chosen, and what was.

    Args:
        model: What was chosen before; "" leaves it to codex.
        effort: The same.
        request: Asks codex something and returns its answer.

    Attributes:
        model: The chosen model, or "".
        effort: The chosen effort, or "".
        used: Model and effort that codex said last that it uses.
    """

    def __init__(
        self, model: str, effort: str, *, request: Callable[[str, JsonObject], Awaitable[Json]]
    ) -> None:
        self.model = model
        self.effort = effort
        self._request = request
        self._known: list[JsonObject] | None = None
        self.used = ("", "")

    async def offered(self) -> list[JsonObject]:
        """The models to choose from, as docs/architecture.md describes them.

        Codex is asked once.

        Raises:
            RemoteError: Codex does not tell.
        """
        return [_described(model) for model in await self._all() if model.get("hidden") is not True]

    async def select(self, model: str, effort: str, *, current: tuple[str, str]) -> None:
        """Choose a model, an effort, or both, from the next turn on.

        An effort that the new model does not take gives way to its default.

        Args:
            model: As `offered` calls it, or "" to stay with the one in use.
            effort: Of that model, or "" to leave it.
            current: Model and effort in use.

        Raises:
            UsageError: Nothing is chosen, or codex does not know it.
        """
        if not model and not effort:
            raise UsageError("Neither a model nor an effort is chosen.", hint="Give one of them.")
        try:
            known = {text_of(each["id"]): each for each in map(_described, await self._all())}
        except RemoteError:
            known = {}
        # Of a provider that codex has no catalog of, it lists the models of another one.
        if current[0] in known:
            effort = _checked(known, model or current[0], effort, self.effort or current[1])
        self.use(model, effort)

    def use(self, model: str, effort: str) -> None:
        """Go on with a model and an effort; "" leaves what was chosen before."""
        self.model, self.effort = model or self.model, effort or self.effort

    def follow(self, message: Notification) -> None:
        """Go on with what codex says that the thread uses: a terminal may have chosen it."""
        if message.method == "thread/settings/updated":
            settings = obj(message.params.get("threadSettings"))
            model, effort = text_of(settings.get("model")), text_of(settings.get("effort"))
            if self.used != (model, effort):
                self.use(model, effort)
            self.used = model, effort

    async def tell(self, thread: str) -> None:
        """Show a terminal what was chosen; codex itself would tell it with the next turn only."""
        await self._request(
            "thread/settings/update", {"threadId": thread, **self.turn_params("", "")}
        )

    def turn_params(self, model: str, effort: str) -> JsonObject:
        """The parameters of a turn that asks for these itself, or for nothing by ""."""
        chosen = {"model": model or self.model, "effort": effort or self.effort}
        return {key: value for key, value in chosen.items() if value}

    async def _all(self) -> list[JsonObject]:
        if self._known is None:
            known: list[JsonObject] = []
            params: JsonObject = {"includeHidden": True}
            for _ in range(_MAX_PAGES):
                page = obj(await self._request("model/list", params))
                known += objects_of(page.get("data"))
                cursor = page.get("nextCursor")
                if not isinstance(cursor, str):
                    break
                params = {**params, "cursor": cursor}
            self._known = known
        return self._known


def _described(model: JsonObject) -> JsonObject:
    """One model, in our words."""
    efforts: list[Json] = [
        effort
        for option in objects_of(model.get("supportedReasoningEfforts"))
        if (effort := text_of(option.get("reasoningEffort")))
    ]
    # A turn takes "model"; "id" is the same in all versions that we know.
    key = text_of(model.get("model")) or text_of(model.get("id"))
    return {
        "id": key,
        "name": text_of(model.get("displayName")) or key,
        "description": text_of(model.get("description")),
        "efforts": efforts,
        "default_effort": text_of(model.get("defaultReasoningEffort")) or None,
        "is_default": model.get("isDefault") is True,
    }


def _checked(known: dict[str, JsonObject], model: str, effort: str, before: str) -> str:
    """The effort to use with a model."""
    found = known.get(model)
    if found is None:
        raise UsageError(f"Codex knows no model {model!r}.", hint=_near(model, list(known)))
    efforts = found["efforts"] if isinstance(found["efforts"], list) else []
    if effort and effort not in efforts:
        raise UsageError(
            f"The model {model!r} takes no effort {effort!r}.",
            hint=f"It takes: {', '.join(map(str, efforts)) or 'none at all'}.",
        )
    if not effort and before and before not in efforts:
        return text_of(found["default_effort"])
    return effort


def _near(name: str, names: list[str]) -> str:
    if len(names) > _NEAR:
        from difflib import get_close_matches

        names = get_close_matches(name, names, n=_NEAR, cutoff=0.3) or names[:_NEAR]
    return f"Try one of: {', '.join(names)}."
