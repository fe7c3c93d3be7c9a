/**
 * Markdown of the model, drawn while it streams.
 *
 * A text that grows is drawn block by block: only its last two blocks can still change, so only they are read and drawn
 * anew. Where even that takes long, as for one list of a thousand lines, it is drawn less often.
 */

import { element } from "./dom";
import { type TopToken, blocksOf } from "./lexer";
import { type ProseContext, drawTokens, extendBlock, finish } from "./prose";
import { cut } from "./text";

/** Drawing may take one part in so many of the time. */
const SHARE = 6;
const QUICK_MS = 4;
const LONGEST_PLAIN = 100_000;

interface Block {
  raw: string;
  token: TopToken;
  element: HTMLElement;
  isFinished: boolean;
}

export class MarkdownBox {
  readonly element = element("div", "cnb-markdown");
  #blocks: Block[] = [];
  #seen = "";
  #isFinal = false;
  #quietUntil = 0;
  #later: ReturnType<typeof setTimeout> | null = null;

  constructor(private readonly context: ProseContext) {}

  /** Shows a text; `isFinal` says that it will not grow, so that references across blocks are resolved. */
  update(text: string, isFinal: boolean): void {
    if (text === this.#seen && isFinal === this.#isFinal) return;
    if (this.#later !== null) clearTimeout(this.#later);
    this.#later = null;
    const start = performance.now();
    if (!isFinal && start < this.#quietUntil) {
      this.#later = setTimeout(() => this.update(text, isFinal), this.#quietUntil - start);
      return;
    }
    this.#draw(text, isFinal);
    const spent = performance.now() - start;
    this.#quietUntil = spent < QUICK_MS ? 0 : start + spent * SHARE;
  }

  #draw(text: string, isFinal: boolean): void {
    const grows = !isFinal && text.startsWith(this.#seen);
    this.#seen = text;
    this.#isFinal = isFinal;
    const kept = grows ? this.#blocks.slice(0, -2) : [];
    const start = kept.reduce((sum, block) => sum + block.raw.length, 0);
    const normal = text.includes("\r") ? text.replace(/\r\n|\r/g, "\n") : text;
    const tokens = blocksOf(normal.slice(start));
    if (tokens === null) return this.#showPlain(text);
    const hasReferences = isFinal && tokens.some((token) => token.type === "def");
    const drawn: Block[] = [...kept];
    for (const token of tokens) {
      const last = drawn[drawn.length - 1];
      if (token.type === "space" && last !== undefined) {
        last.raw += token.raw;
        continue;
      }
      const old = this.#blocks[drawn.length];
      const isSame = old !== undefined && !hasReferences && old.raw.trimEnd() === token.raw.trimEnd();
      if (isSame) drawn.push({ ...old, raw: token.raw });
      else if (grows && old !== undefined && extendBlock(old.element, old.token, token, this.context)) {
        drawn.push({ ...old, raw: token.raw, token });
      } else drawn.push(this.#drawBlock(token));
    }
    this.#blocks = drawn;
    this.#place(kept.length);
    for (const block of isFinal ? drawn : kept) {
      if (!block.isFinished) finish(block.element, this.context);
      block.isFinished = true;
    }
  }

  #drawBlock(token: TopToken): Block {
    const block = element("div", "cnb-block");
    block.dir = "auto";
    try {
      block.append(...drawTokens([token], this.context));
    } catch (problem) {
      // Nested deeper than the stack is.
      if (!(problem instanceof RangeError)) throw problem;
      block.append(element("pre", "cnb-plain", token.raw));
    }
    return { raw: token.raw, token, element: block, isFinished: false };
  }

  /** Puts the blocks into the document, of which the first `kept` stand there. */
  #place(kept: number): void {
    const { children } = this.element;
    for (const [i, block] of this.#blocks.slice(kept).entries()) {
      const standing = children.item(kept + i);
      if (standing === block.element) continue;
      if (standing === null) this.element.append(block.element);
      else standing.replaceWith(block.element);
    }
    while (children.length > this.#blocks.length) this.element.lastElementChild?.remove();
  }

  #showPlain(text: string): void {
    this.#blocks = [];
    this.element.replaceChildren(element("pre", "cnb-plain", cut(text, LONGEST_PLAIN)));
  }
}
