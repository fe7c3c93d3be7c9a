/**
 * What a command printed: a box that follows its end while it grows, and folds when the command succeeded.
 *
 * Lines are drawn in chunks; only the open chunk is drawn anew, and old chunks leave the document, so that a stream of
 * any length costs the same per frame.
 */

import { type Line, Screen, plainText } from "./ansi";
import { button, element, scrollBox } from "./dom";
import { plural } from "./text";

const CHUNK = 200;
const CHUNKS_WHILE_LIVE = 10;
const FOLDED = 6;
const FOLDED_AFTER_FAILURE = 16;
/** A fold that would hide fewer lines than this is not worth a button. */
const WORTH_FOLDING = 3;
const LONGEST_LINE = 5000;
const MOST_SPANS = 2000;

export class OutputBox {
  readonly element = element("div", "cnb-output");
  private readonly more: HTMLButtonElement;
  private readonly box = scrollBox("pre", "cnb-terminal", "Output");
  private readonly chunks = new Map<number, HTMLElement>();
  private screen = new Screen();
  private seen = "";
  private isWhole = false;
  private follows = true;
  private isLive = true;
  private hasFailed = false;

  constructor() {
    this.more = button("", "cnb-more", () => {
      this.isWhole = !this.isWhole;
      this.redraw();
    });
    this.box.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.box;
      this.follows = scrollHeight - scrollTop - clientHeight < 8;
    });
    this.element.append(this.more, this.box);
  }

  update(text: string, state: { isLive: boolean; hasFailed: boolean }): void {
    const isOther = state.isLive !== this.isLive || state.hasFailed !== this.hasFailed;
    this.isLive = state.isLive;
    this.hasFailed = state.hasFailed;
    if (text === this.seen && !isOther) return;
    let first = 0;
    if (text.startsWith(this.seen)) {
      first = this.screen.write(text.slice(this.seen.length));
    } else {
      this.screen = new Screen();
      this.screen.write(text);
    }
    const isNew = first === 0 || isOther;
    this.seen = text;
    if (isNew) this.redraw();
    else this.draw(Math.floor(first / CHUNK));
  }

  /** The number of lines, not counting an empty last one. */
  private get size(): number {
    const { lines } = this.screen;
    const last = lines[lines.length - 1];
    return last !== undefined && plainText(last) === "" ? lines.length - 1 : lines.length;
  }

  private redraw(): void {
    this.chunks.clear();
    this.box.replaceChildren();
    this.draw(0);
  }

  private draw(firstChanged: number): void {
    const { size } = this;
    this.element.hidden = size === 0;
    this.box.classList.toggle("cnb-tall", this.isWhole);
    if (this.isLive || this.isWhole) this.drawChunks(firstChanged, size);
    else this.drawEnd(size);
    if (this.follows && this.isLive) this.box.scrollTop = this.box.scrollHeight;
  }

  private drawChunks(firstChanged: number, size: number): void {
    const count = Math.ceil(size / CHUNK);
    const first = this.isWhole ? 0 : Math.max(0, count - CHUNKS_WHILE_LIVE);
    for (const [index, chunk] of this.chunks) {
      if (index >= first && index < count) continue;
      chunk.remove();
      this.chunks.delete(index);
    }
    for (let index = Math.max(first, firstChanged); index < count; index += 1) {
      const chunk = element("div");
      const end = Math.min(size, (index + 1) * CHUNK);
      drawLines(chunk, this.screen.lines.slice(index * CHUNK, end), this.isWhole);
      const old = this.chunks.get(index);
      if (old === undefined) this.box.append(chunk);
      else old.replaceWith(chunk);
      this.chunks.set(index, chunk);
    }
    if (this.isWhole) this.label("Show less", size > FOLDED || first > 0);
    else this.label(`… ${plural(first * CHUNK, "earlier line")}`, first > 0);
  }

  private drawEnd(size: number): void {
    const limit = this.hasFailed ? FOLDED_AFTER_FAILURE : FOLDED;
    const from = size - limit >= WORTH_FOLDING ? size - limit : 0;
    const lines = this.screen.lines.slice(from, size);
    drawLines(this.box, lines, false);
    const isCut = lines.some((line) => plainText(line).length > LONGEST_LINE);
    this.label(`Show all ${plural(size, "line")}`, from > 0 || isCut);
  }

  private label(text: string, isShown: boolean): void {
    this.more.textContent = text;
    this.more.hidden = !isShown;
    this.more.setAttribute("aria-expanded", String(this.isWhole));
  }
}

/** Draws lines into a target; adjacent text without style shares one node. */
function drawLines(target: HTMLElement, lines: Line[], isWhole: boolean): void {
  const isPlain = lines.reduce((sum, line) => sum + line.length, 0) > MOST_SPANS;
  const nodes: (HTMLElement | string)[] = [];
  let plain = "";
  // The end of a block ends a line by itself, unless that line is empty.
  const last = lines.findLastIndex((line) => plainText(line) !== "");
  lines.forEach((line, i) => {
    const text = plainText(line);
    const isCut = !isWhole && text.length > LONGEST_LINE;
    if (isPlain || isCut) {
      plain += isCut ? cut(text) : text;
    } else {
      for (const span of line) {
        if (span.style === "") {
          plain += span.text;
          continue;
        }
        nodes.push(plain, element("span", span.style, span.text));
        plain = "";
      }
    }
    if (i < lines.length - 1 || i > last) plain += "\n";
  });
  nodes.push(plain);
  target.replaceChildren(...nodes.filter((node) => node !== ""));
}

function cut(text: string): string {
  return `${text.slice(0, LONGEST_LINE)} … ${plural(text.length - LONGEST_LINE, "more character")}`;
}
