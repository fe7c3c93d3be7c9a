/** The box for a message: it grows with its text, and its arrow keys leaf through what was asked before. */

import { element, setAttributes } from "./dom";

const MOST_LINES = 10;

/** Leafs through earlier prompts as a shell does: what was typed stays at the end, and changes stay until the next send. */
function makeHistory(prompts: () => readonly string[]) {
  let entries: string[] | null = null;
  let place = 0;
  return {
    /** The entry before (-1) or after (1) the one that holds `text` now; null at either end. */
    step(by: -1 | 1, text: string): string | null {
      if (entries === null) {
        entries = [...prompts().filter((it, i, all) => it !== all[i - 1]), text];
        place = entries.length - 1;
      }
      const found = entries[place + by];
      if (found === undefined) return null;
      entries[place] = text;
      place += by;
      return found;
    },
    forget(): void {
      entries = null;
    },
  };
}

export interface MessageBox {
  /** The box itself. */
  readonly element: HTMLTextAreaElement;
  /** What stands in the document. */
  readonly holder: HTMLElement;
  set(text: string): void;
  /** Says what the box is for while it is empty. */
  hint(words: string): void;
  /** Puts text where the caret is, apart from the words around it. */
  insert(text: string): void;
  /** Takes an arrow key that leaves the text upwards or downwards; false when it is an ordinary move of the caret. */
  leaf(key: string): boolean;
  forgetHistory(): void;
  dispose(): void;
}

/** Draws a box that grows with its text. */
export function drawBox(prompts: () => readonly string[]): MessageBox {
  const box = element("textarea", "cnb-box");
  /** Lies invisible over the box and tells how high a text would be. */
  const mirror = element("textarea", "cnb-mirror");
  const history = makeHistory(prompts);
  let width = 0;

  box.rows = mirror.rows = 1;
  box.setAttribute("aria-label", "Message to Codex");
  setAttributes(mirror, { "aria-hidden": "true", tabindex: "-1", readonly: "" });

  const heightOf = (text: string): number => {
    mirror.value = text;
    return mirror.scrollHeight;
  };
  const grow = (): void => {
    const line = heightOf("");
    // Outside of a document nothing has a height.
    if (line === 0) return;
    const most = line + (MOST_LINES - 1) * parseFloat(getComputedStyle(mirror).lineHeight);
    const wanted = heightOf(box.value || box.placeholder);
    box.style.height = `${Math.min(wanted, most)}px`;
    box.style.overflowY = wanted > most ? "auto" : "hidden";
  };
  const tell = (): void => void box.dispatchEvent(new Event("input", { bubbles: true }));
  const set = (text: string): void => {
    box.value = text;
    grow();
  };
  const sizes = new ResizeObserver(() => {
    if (width === box.clientWidth) return;
    width = box.clientWidth;
    grow();
  });
  sizes.observe(box);
  box.addEventListener("input", grow);

  return {
    element: box,
    holder: element("div", "cnb-boxholder", box, mirror),
    set,
    hint(words) {
      if (box.placeholder === words) return;
      box.placeholder = words;
      grow();
    },
    insert(text) {
      const { value, selectionStart: start, selectionEnd: end } = box;
      const before = /\S$/.test(value.slice(0, start)) ? " " : "";
      const after = /^\S/.test(value.slice(end)) ? " " : "";
      box.setRangeText(`${before}${text}${after}`, start, end, "end");
      tell();
    },
    leaf(key) {
      const { value, selectionStart: start, selectionEnd: end } = box;
      const isUp = key === "ArrowUp";
      if ((!isUp && key !== "ArrowDown") || start !== end) return false;
      // The line of the caret is the first one, or the last.
      if (heightOf(value.slice(0, start)) !== heightOf(isUp ? "" : value)) return false;
      const found = history.step(isUp ? -1 : 1, value);
      if (found === null) return false;
      set(found);
      // The next press goes on leafing.
      const caret = isUp ? 0 : found.length;
      box.setSelectionRange(caret, caret);
      tell();
      return true;
    },
    forgetHistory: history.forget,
    dispose: () => sizes.disconnect(),
  };
}
