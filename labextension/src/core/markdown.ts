/**
 * Markdown of the model, as elements.
 *
 * Two lines of defence: the renderer escapes raw HTML, never emits an image and links only to http, https and mailto;
 * then DOMPurify keeps an allow-list of tags and four attributes. No id, class, style or data-* of the model's survives.
 * A message that streams is drawn block by block: only its last two blocks can still change, so only they are redrawn.
 */

import createPurifier from "dompurify";
import { Marked, type Token } from "marked";
import { copyButton, element, makeScrollable } from "./dom";
import { reveal } from "./text";

const TAGS =
  "a blockquote br code del em h1 h2 h3 h4 h5 h6 hr li ol p pre span strong table tbody td th thead tr ul";
const LINK = /^(?:https?:\/\/|mailto:)/i;
/** What is longer, nested deeper or broken into fewer lines stays plain text: parsing must not freeze the page. */
const LONGEST = 300_000;
const UNREADABLE = /^(?:[ \t]{200}|[> ]{400}|.{20000})/m;

const escapes: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => escapes[character] ?? character);
}

const marked = new Marked({
  gfm: true,
  async: false,
  renderer: {
    html: ({ text }) => escapeHtml(text),
    image: ({ text, href }) => escapeHtml(text || href),
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
    code: ({ text }) => `<pre><code>${escapeHtml(text)}</code></pre>`,
    link({ href, tokens }) {
      const label = this.parser.parseInline(tokens);
      return LINK.test(href) ? `<a href="${escapeHtml(href)}">${label}</a>` : label;
    },
  },
  extensions: [
    {
      // Formulas stay as they were written; Markdown would take their backslashes and underscores.
      name: "formula",
      level: "inline",
      start: (text: string) => /\$|\\[([]/.exec(text)?.index,
      tokenizer(text: string) {
        const found = /^(?:\$\$[^$]+\$\$|\\\([^]+?\\\)|\\\[[^]+?\\\]|\$[^\s$](?:[^$\n]*[^\s$])?\$(?!\d))/.exec(text);
        return found === null ? undefined : { type: "formula", raw: found[0] };
      },
      renderer: ({ raw }) => escapeHtml(raw),
    },
  ],
});

const purifier = createPurifier(window);

function purify(html: string): DocumentFragment {
  const fragment = purifier.sanitize(html, {
    ALLOWED_TAGS: TAGS.split(" "),
    ALLOWED_ATTR: ["href", "start", "align"],
    ALLOWED_URI_REGEXP: LINK,
    ADD_URI_SAFE_ATTR: ["start", "align"],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
  for (const link of fragment.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    link.title = reveal(link.getAttribute("href") ?? "");
  }
  for (const table of fragment.querySelectorAll("table")) {
    const box = element("div", "cnb-table");
    table.replaceWith(box);
    box.append(table);
  }
  for (const pre of fragment.querySelectorAll("pre")) {
    const box = element("div", "cnb-code");
    pre.replaceWith(box);
    makeScrollable(pre);
    box.append(pre, copyButton(() => pre.textContent ?? ""));
  }
  return fragment;
}

/** The top-level blocks of a text, or null when it cannot be parsed. */
function blocksOf(text: string): Token[] | null {
  if (text.length > LONGEST || UNREADABLE.test(text)) return null;
  try {
    return marked.lexer(text);
  } catch {
    // Marked recurses; text nested thousands of levels deep exhausts the stack.
    return null;
  }
}

function drawBlock(token: Token): HTMLElement {
  const block = element("div", "cnb-block");
  try {
    block.append(purify(marked.parser([token])));
  } catch {
    block.append(element("pre", "cnb-plain", token.raw));
  }
  return block;
}

interface Block {
  raw: string;
  element: HTMLElement;
}

export class MarkdownBox {
  readonly element = element("div", "cnb-markdown");
  private blocks: Block[] = [];
  private seen = "";
  private isFinal = false;

  /** Shows a text; `isFinal` says that it will not grow, so that references across blocks are resolved. */
  update(text: string, isFinal: boolean): void {
    if (text === this.seen && isFinal === this.isFinal) return;
    const grows = !isFinal && text.startsWith(this.seen);
    this.seen = text;
    this.isFinal = isFinal;
    const normal = text.replace(/\r\n|\r/g, "\n");
    const kept = grows ? this.blocks.slice(0, -2) : [];
    const start = kept.reduce((sum, block) => sum + block.raw.length, 0);
    const tokens = blocksOf(normal.slice(start));
    if (tokens === null) return this.showPlain(text);
    const hasReferences = isFinal && tokens.some((token) => token.type === "def");
    const drawn: Block[] = [...kept];
    for (const token of tokens) {
      const last = drawn[drawn.length - 1];
      if (token.type === "space" && last !== undefined) {
        last.raw += token.raw;
        continue;
      }
      const old = this.blocks[drawn.length];
      const isSame = old !== undefined && !hasReferences && old.raw.trimEnd() === token.raw.trimEnd();
      drawn.push({ raw: token.raw, element: isSame ? old.element : drawBlock(token) });
    }
    this.blocks = drawn;
    this.place();
  }

  private place(): void {
    const { children } = this.element;
    this.blocks.forEach((block, i) => {
      const standing = children.item(i);
      if (standing === block.element) return;
      if (standing === null) this.element.append(block.element);
      else standing.replaceWith(block.element);
    });
    while (children.length > this.blocks.length) this.element.lastElementChild?.remove();
  }

  private showPlain(text: string): void {
    this.blocks = [];
    this.element.replaceChildren(element("pre", "cnb-plain", text));
  }
}
