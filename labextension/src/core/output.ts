/** What a command printed: it follows its end while it grows, and folds to its last lines when the command is done. */

import { Screen, plainText } from "./ansi";
import { button, copyButton, element } from "./dom";
import { LineBox, isCut } from "./lines";
import { plural } from "./text";

const FOLDED = 6;
const FOLDED_AFTER_FAILURE = 16;
/** A fold that would hide fewer lines than this is not worth a button. */
const WORTH_FOLDING = 3;

export class OutputBox {
  readonly element = element("div", "cnb-output");
  readonly #more: HTMLButtonElement;
  readonly #box = new LineBox();
  #screen = new Screen();
  #seen = "";
  #isWhole = false;
  #isLive = true;
  #hasFailed = false;

  constructor() {
    this.#more = button("", "cnb-more", () => {
      this.#isWhole = !this.#isWhole;
      this.#draw(0);
    });
    const copy = copyButton(() => this.#screen.lines.map(plainText).join("\n"), "Copy the output");
    this.element.append(this.#more, this.#box.element, copy);
  }

  update(text: string, state: { isLive: boolean; hasFailed: boolean }): void {
    const isOther = state.isLive !== this.#isLive || state.hasFailed !== this.#hasFailed;
    this.#isLive = state.isLive;
    this.#hasFailed = state.hasFailed;
    if (text === this.#seen && !isOther) return;
    let first = 0;
    if (text.startsWith(this.#seen)) {
      // In memory of its own: lines are cut out of it, and would keep alive all of the text that it is a part of.
      first = this.#screen.write(` ${text.slice(this.#seen.length)}`.slice(1));
    } else {
      this.#screen = new Screen();
      this.#screen.write(text);
    }
    this.#seen = text;
    this.#draw(isOther ? 0 : first);
  }

  /** The number of lines, not counting an empty last one. */
  get #size(): number {
    const { lines } = this.#screen;
    const last = lines[lines.length - 1];
    return last !== undefined && plainText(last) === "" ? lines.length - 1 : lines.length;
  }

  #draw(changed: number): void {
    const [size, isWhole, isLive] = [this.#size, this.#isWhole, this.#isLive];
    this.element.hidden = size === 0;
    this.#box.element.classList.toggle("cnb-tall", isWhole);
    const limit = this.#hasFailed ? FOLDED_AFTER_FAILURE : FOLDED;
    const from = isLive || isWhole || size - limit < WORTH_FOLDING ? 0 : size - limit;
    const { lines } = this.#screen;
    const shown = from === 0 && size === lines.length ? lines : lines.slice(from, size);
    const isFolded = from > 0 || (!isWhole && shown.length <= limit && shown.some(isCut));
    this.#box.show(shown, from > 0 ? 0 : changed, { isWhole, isLive });
    const isUnfolded = isWhole && !isLive;
    this.#more.textContent = isUnfolded ? "Show less" : `Show all ${plural(size, "line")}`;
    this.#more.hidden = isLive || !(isUnfolded || isFolded);
    this.#more.setAttribute("aria-expanded", String(isWhole));
  }
}
