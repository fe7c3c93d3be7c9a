/**
 * The choice of model and effort: a button that says what is chosen, and two lists that it opens.
 *
 * The lists lie in the browser's top layer, because an output cuts off what stands out of it; where there is no such layer
 * they stand in the row.
 */

import type { Session } from "../tokens";
import type { Context } from "./context";
import { button, element, focusOn, icon, setAttributes, setText } from "./dom";
import { type Model, readModels } from "./read";
import { messageOf, reveal } from "./text";

interface Choice {
  id: string;
  name: string;
  description?: string;
}

const GAP = 4;

export interface ModelPicker {
  readonly element: HTMLElement;
  update(session: Session): void;
  close(): void;
}

export function drawModelPicker(context: Context): ModelPicker {
  const words = element("span", "cnb-chosen");
  const opener = button("", "cnb-quiet", () => (panel.hidden ? open() : close()));
  const models = drawList("Model", (id) => selectModel(id));
  const efforts = drawList("Effort", async (id) => (await select({ effort: id })) && close());
  const note = element("p", "cnb-muted");
  const panel = element("div", "cnb-picker", models.element, efforts.element, note);
  const isLayered = "showPopover" in panel;
  let known: Model[] | null = null;
  let session: Session = context.session;

  opener.append(words, icon("down"));
  opener.title = "Model and effort, from the next turn on";
  setAttributes(opener, { "aria-haspopup": "dialog", "aria-expanded": "false" });
  setAttributes(panel, { role: "dialog", "aria-label": "Model and effort", tabindex: "-1" });
  panel.hidden = true;
  if (isLayered) panel.popover = "auto";
  // The browser closes what lies in its top layer when the person presses elsewhere.
  panel.addEventListener("toggle", () => panel.matches(":popover-open") || afterClose());
  panel.addEventListener("keydown", (event) => event.key === "Escape" && close());

  const open = (): void => {
    panel.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    if (isLayered) panel.showPopover();
    document.addEventListener("scroll", onScroll, true);
    note.textContent = "";
    draw();
    if (known === null) void load();
    else focusChosen();
  };
  const close = (): void => {
    if (panel.hidden) return;
    const hadFocus = panel.contains(document.activeElement);
    if (isLayered && panel.isConnected) panel.hidePopover();
    afterClose();
    if (hadFocus) focusOn(opener);
  };
  const afterClose = (): void => {
    panel.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    document.removeEventListener("scroll", onScroll, true);
  };
  /** The lists would stay where they are while their button moves away. */
  const onScroll = (): void => {
    if (isLayered) place();
  };

  const load = async (): Promise<void> => {
    note.textContent = "Loading the models…";
    focusOn(panel);
    try {
      known = readModels((await context.request({ op: "models" })).models);
      note.textContent = known.length === 0 ? "Codex names no models." : "";
    } catch (problem) {
      note.textContent = reveal(messageOf(problem));
    }
    if (panel.hidden) return;
    const hasFocus = panel.contains(document.activeElement);
    draw();
    if (hasFocus) focusChosen();
  };

  const draw = (): void => {
    const chosen = known?.find((it) => (session.model === "" ? it.isDefault : it.id === session.model));
    models.update(known ?? [], chosen?.id ?? "");
    const levels = (chosen?.efforts ?? []).map((id) => ({ id, name: id }));
    efforts.update(levels, session.effort || (chosen?.defaultEffort ?? ""));
    note.hidden = note.textContent === "";
    if (isLayered) place();
  };
  /** Above the button, or below where there is no room; never outside of the window. */
  const place = (): void => {
    const at = opener.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height, style } = panel;
    const top = at.top - height - GAP;
    style.left = `${Math.max(GAP, Math.min(at.left, window.innerWidth - width - GAP))}px`;
    style.top = `${top >= GAP ? top : Math.max(GAP, Math.min(at.bottom + GAP, window.innerHeight - height - GAP))}px`;
  };
  const focusChosen = (): void => {
    focusOn(panel.querySelector<HTMLElement>("[tabindex='0']") ?? panel);
  };

  const selectModel = (id: string): void => {
    const model = known?.find((it) => it.id === id);
    const { effort } = session;
    // An effort that the new model does not know would be refused.
    const isKept = effort === "" || model === undefined || model.efforts.includes(effort);
    void select(isKept ? { model: id } : { model: id, effort: model.defaultEffort });
  };
  const select = async (choice: { model?: string; effort?: string }): Promise<boolean> => {
    const problem = await context.request({ op: "select", ...choice }).then(
      () => "",
      (found: unknown) => reveal(messageOf(found)),
    );
    note.textContent = problem;
    if (!panel.hidden) draw();
    return problem === "";
  };

  return {
    element: element("span", "cnb-pick", opener, panel),
    update(value) {
      session = value;
      const name = reveal(session.model) || "Default model";
      setText(words, [name, reveal(session.effort)].filter(Boolean).join(" · "));
      if (!panel.hidden) draw();
    },
    close,
  };
}

/** A listbox: one stop of the tab key, the arrows move inside, Enter and Space choose. */
function drawList(label: string, choose: (id: string) => unknown) {
  const list = element("div", "cnb-options");
  const holder = element("div", "", element("div", "cnb-parthead", label), list);
  setAttributes(list, { role: "listbox", "aria-label": label });
  const options = (): HTMLElement[] => [...list.querySelectorAll<HTMLElement>("[role=option]")];
  let ids: string[] = [];
  list.addEventListener("focusin", ({ target }) => {
    for (const it of options()) it.tabIndex = it === target ? 0 : -1;
  });
  list.addEventListener("keydown", (event) => {
    const all = options();
    const place = all.findIndex((it) => it === event.target);
    const next = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") all[place]?.click();
    else if (next === undefined) return;
    else all[next]?.focus();
    event.preventDefault();
  });
  return {
    element: holder,
    /** Draws the options, and keeps the focus on the one that had it. */
    update(choices: Choice[], chosen: string): void {
      const kept = ids[options().findIndex((it) => it === document.activeElement)];
      ids = choices.map(({ id }) => id);
      const stop = [kept, chosen].find((id) => id !== undefined && ids.includes(id)) ?? ids[0];
      holder.hidden = choices.length === 0;
      list.replaceChildren(
        ...choices.map(({ id, name, description = "" }) => {
          const option = element("div", "cnb-option", icon("check"), element("span", "", reveal(name)));
          if (description !== "") option.append(element("span", "cnb-muted", reveal(description)));
          setAttributes(option, {
            role: "option",
            "aria-selected": String(id === chosen),
            tabindex: id === stop ? "0" : "-1",
          });
          option.addEventListener("click", () => choose(id));
          return option;
        }),
      );
      if (kept !== undefined) focusOn(options()[ids.indexOf(kept)]);
    },
  };
}
