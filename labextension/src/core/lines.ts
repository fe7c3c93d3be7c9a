/**
 * Lines of a terminal in a box that scrolls and follows its end.
 *
 * Few lines wrap. Of many, only those in sight are in the document: each is as high as the next, and does not wrap.
 */

import { type Line, plainText } from "./ansi";
import { element, scrollBox } from "./dom";
import { plural, revealOrder } from "./text";

/** The height of a line, which the style sheet gives to rows of a long list. */
const LINE_PX = 18;
const FEW = 300;
const MARGIN = 30;
const LEAST_HEIGHT_PX = 16 * LINE_PX;
const LONGEST_LINE = 5000;
/** So much of one long line is shown on demand. */
const LONGEST_WHOLE_LINE = 100_000;
const MOST_SPANS = 400;

export function isCut(line: Line): boolean {
  return plainText(line).length > LONGEST_LINE;
}

export class LineBox {
  readonly element = scrollBox("div", "cnb-terminal", "Output");
  readonly #rows = element("div", "cnb-rows");
  #lines: readonly Line[] = [];
  #isWhole = false;
  #first = 0;
  #last = 0;
  #lastTop = 0;
  #isLong = false;
  /** Lines still come, and the box is to stay at their end. */
  #isLive = false;
  /** The person has not scrolled away from the end. */
  #isAtEnd = true;

  constructor() {
    this.element.append(this.#rows);
    this.element.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    new ResizeObserver(() => {
      this.#stayAtEnd();
      if (this.#isLong) this.#drawWindow(Infinity);
    }).observe(this.element);
  }

  /** Shows lines, of which those before `changed` are as they were. */
  show(lines: readonly Line[], changed: number, options: { isWhole: boolean; isLive: boolean }): void {
    const isOther = options.isWhole !== this.#isWhole;
    this.#lines = lines;
    this.#isWhole = options.isWhole;
    this.#isLive = options.isLive;
    const isLong = lines.length > FEW;
    if (isLong !== this.#isLong || isOther) changed = 0;
    this.#isLong = isLong;
    this.element.classList.toggle("cnb-long", isLong);
    if (isLong) {
      this.#rows.style.height = `${lines.length * LINE_PX}px`;
      this.#drawWindow(changed);
    } else {
      this.#rows.style.height = this.#rows.style.paddingTop = "";
      while (this.#rows.childElementCount > changed) this.#rows.lastElementChild?.remove();
      const most = options.isWhole ? LONGEST_WHOLE_LINE : LONGEST_LINE;
      this.#rows.append(...lines.slice(this.#rows.childElementCount).map((line) => drawLine(line, most)));
      [this.#first, this.#last] = [0, lines.length];
    }
    this.#stayAtEnd();
  }

  #stayAtEnd(): void {
    if (!this.#isLive || !this.#isAtEnd) return;
    this.element.scrollTop = this.element.scrollHeight;
    this.#lastTop = this.element.scrollTop;
  }

  #onScroll(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    // Only a move upwards leaves the end: lines that come move the end away by themselves.
    if (scrollTop < this.#lastTop - 1) this.#isAtEnd = false;
    if (scrollHeight - scrollTop - clientHeight < 8) this.#isAtEnd = true;
    this.#lastTop = scrollTop;
    if (this.#isLong) this.#drawWindow(Infinity);
  }

  /** Draws the lines in sight, unless they stand there and `changed` is behind them. */
  #drawWindow(changed: number): void {
    const { length } = this.#lines;
    const height = Math.max(LEAST_HEIGHT_PX, this.element.clientHeight);
    const inSight = Math.ceil(height / LINE_PX);
    const isEnd = this.#isLive && this.#isAtEnd;
    const top = isEnd ? length - inSight : Math.floor(this.element.scrollTop / LINE_PX);
    const start = Math.max(0, Math.min(top, length - inSight));
    if (changed >= this.#last && start >= this.#first && Math.min(length, start + inSight) <= this.#last) return;
    this.#first = Math.max(0, start - MARGIN);
    this.#last = Math.min(length, start + inSight + MARGIN);
    this.#rows.style.paddingTop = `${this.#first * LINE_PX}px`;
    this.#rows.replaceChildren(...this.#lines.slice(this.#first, this.#last).map((line) => drawLine(line, LONGEST_LINE)));
  }
}

function drawLine(line: Line, most: number): HTMLElement {
  const row = element("div", "cnb-row");
  const text = plainText(line);
  if (text.length > most || line.length > MOST_SPANS) {
    const left = text.length - most;
    row.append(revealOrder(text.slice(0, most)) + (left > 0 ? ` … ${plural(left, "more character")}` : ""));
    return row;
  }
  for (const span of line) {
    const words = revealOrder(span.text);
    row.append(span.style === "" ? words : element("span", span.style, words));
  }
  return row;
}
