/** The pieces that cards and lines are made of. */

import type { Item } from "../../tokens";
import type { Context } from "../context";
import { type IconName, button, element, icon, iconButton, scrollBox, spoken } from "../dom";
import { openerOf } from "../links";
import { cut, duration, relativePath, reveal } from "../text";

/** How long an item took or has been running, or "" when that is not worth a word. */
export function timeOf(item: Item, context: Context): string {
  if (item.startedAt === null || item.status === "declined") return "";
  const seconds = (item.completedAt ?? context.now()) - item.startedAt;
  if (item.status !== "in_progress" && item.completedAt === null) return "";
  return seconds < 0.1 ? "" : duration(seconds);
}

const STATES: Record<string, { name: IconName; word: string }> = {
  completed: { name: "check", word: "completed" },
  failed: { name: "cross", word: "failed" },
  declined: { name: "dash", word: "declined" },
  interrupted: { name: "dash", word: "interrupted" },
};

/** The state of an item: an icon to the eye, a word to the ear. */
export function stateIcon(status: string): HTMLElement {
  const state = STATES[status];
  if (state === undefined) {
    return element("span", "cnb-state cnb-state-live", element("span", "cnb-spinner"), spoken("running "));
  }
  return element("span", `cnb-state cnb-state-${status}`, icon(state.name), spoken(`${state.word} `));
}

/** One line: an icon, a label, details in grey. */
export function line(name: IconName, ...parts: (Node | string)[]): HTMLElement {
  return element("div", "cnb-line", icon(name), element("span", "cnb-linetext", ...parts));
}

/** A line that unfolds. What it unfolds to is made when it is first asked for. */
export class Fold {
  readonly element = element("div", "cnb-fold");
  readonly #words = element("span", "cnb-linetext");
  readonly #picture: SVGSVGElement;
  readonly #details = element("details");
  readonly #body = element("div", "cnb-foldbody");
  #make: (() => Node[]) | null = null;
  #isPlain: boolean | null = null;

  constructor(name: IconName) {
    this.#picture = icon(name);
    this.#details.addEventListener("toggle", () => this.#fill());
  }

  /** Shows what the line says, and what it unfolds to; with null it is a line and no more. */
  show(head: (Node | string)[], make: (() => Node[]) | null): void {
    this.#words.replaceChildren(...head);
    this.#make = make;
    const isPlain = make === null;
    if (isPlain !== this.#isPlain) {
      this.#isPlain = isPlain;
      const row = element(isPlain ? "div" : "summary", "cnb-line", this.#picture, this.#words);
      this.#details.replaceChildren(row, this.#body);
      this.element.replaceChildren(isPlain ? row : this.#details);
    }
    this.#fill();
  }

  #fill(): void {
    if (this.#details.open) this.#body.replaceChildren(...(this.#make?.() ?? []));
  }
}

const MOST_FOLDED = 5000;
const MOST_WHOLE = 100_000;

/** Text that shows its first lines, and the rest on demand; what it hides is made visible. */
export class FoldedText {
  readonly element = element("div", "cnb-foldedtext");
  readonly #text: HTMLElement;
  readonly #more: HTMLButtonElement;
  #isWhole = false;
  #value: string | null = null;

  constructor(
    private readonly most: number,
    tag: "div" | "code" = "div",
  ) {
    this.#text = element(tag, "cnb-pretext");
    this.#more = button("", "cnb-more", () => {
      this.#isWhole = !this.#isWhole;
      this.#draw();
    });
    this.#text.style.setProperty("--cnb-lines", String(most));
    this.element.append(this.#text, this.#more);
  }

  update(text: string): void {
    if (text === this.#value) return;
    this.#value = text;
    const lines = text.slice(0, MOST_FOLDED).split("\n");
    // Long lines wrap, so their length counts as well as their number.
    const height = lines.reduce((sum, line) => sum + 1 + Math.floor(line.length / 120), 0);
    this.#more.hidden = height <= this.most + 1 && text.length <= MOST_FOLDED;
    this.#draw();
  }

  #draw(): void {
    const isCut = !this.#isWhole && !this.#more.hidden;
    this.#text.textContent = reveal(cut(this.#value ?? "", isCut ? MOST_FOLDED : MOST_WHOLE));
    this.#text.classList.toggle("cnb-clamped", isCut);
    this.#more.textContent = this.#isWhole ? "Show less" : "Show more";
    this.#more.setAttribute("aria-expanded", String(this.#isWhole));
  }
}

export function code(text: string): HTMLElement {
  return element("code", "cnb-inlinecode", text);
}

export function muted(text: string): HTMLElement {
  return element("span", "cnb-muted", text);
}

/** A path as a person of this session writes it, and a button that opens the file where the page can. */
export function fileName(path: string, context: Context): HTMLElement[] {
  const name = code(reveal(relativePath(path, context.session.cwd)));
  name.title = reveal(path);
  const open = openButton(path, context);
  return open === null ? [name] : [name, open];
}

export function openButton(path: string, context: Context): HTMLElement | null {
  const open = openerOf(path, context.services);
  const label = `Open ${reveal(relativePath(path, context.session.cwd))}`;
  return open === null ? null : iconButton("open", label, "cnb-open", open);
}

const MOST_TEXT = 50_000;

/** A labelled box of plain text; "" as its label is for the ear only. */
export function textPart(label: string, text: string): HTMLElement {
  const box = scrollBox("pre", "cnb-terminal", label);
  box.textContent = reveal(cut(text, MOST_TEXT));
  return element("div", "cnb-part", element("div", "cnb-parthead", label), box);
}

/** The type, and the first bytes of a file of that type. */
const DATA_IMAGE =
  /^data:image\/(?:png;base64,iVBORw0KGgo|jpeg;base64,\/9j\/|gif;base64,R0lGOD|webp;base64,UklGR)[A-Za-z0-9+/]*={0,2}$/;
const LARGEST_IMAGE = 12_000_000;

/** A picture that came inside the message, or null: nothing is ever loaded from the network. */
export function dataImage(url: string, label: string): HTMLImageElement | null {
  if (url.length > LARGEST_IMAGE || !DATA_IMAGE.test(url)) return null;
  const image = element("img", "cnb-image");
  image.alt = label;
  image.src = url;
  return image;
}
