/**
 * The blocks of a Markdown text, line by line.
 *
 * As in CommonMark, "A parsing strategy": each line first continues the containers (quotes, items) that are open, then
 * opens new ones, and what is left of it goes to a leaf. No line is read twice, but for the few below the start of a
 * formula; containers nest to DEEPEST, and a mark beyond that is text.
 */

import { findFormula } from "./formula";
import { type Block, type TopToken, blockOf, closeContainer, withRaws } from "./lex-containers";
import { htmlEnd } from "./lex-html";
import { type References, inlineOf, takeDefinitions, unescape } from "./lex-inline";
import { Line } from "./lex-line";
import { alignsOf, cellsOf } from "./lex-table";
import type { Align, BlockToken, InlineToken, TableCell } from "./lex-tokens";

const DEEPEST = 24;
const CODE_INDENT = 4;
const FORMULA_LINES = 40;
/** Rows that are too short are filled, but no wide table makes cells without number. */
const FILLED_CELLS = 100;
const ITEM = /^(?:[-+*]|(\d{1,9})[.)])(?=[ \t]|$)/;
const FENCE = /^(?:(`{3,})([^`]*)|(~{3,})(.*))$/;
const TASK = /^\[([ xX])\][ \t]+(?=\S)/;

export function lexBlocks(source: string): TopToken[] {
  const rows = source.replace(/\n$/, "").split("\n");
  const references: References = new Map();
  /** What is read when all references are known. */
  const later: [string, InlineToken[]][] = [];
  const root = blockOf({ type: "blockquote", tokens: [] }, 0);
  const open = [root];
  let row = 0;

  /** The block that takes the next lines as text, those lines, and by its kind: */
  let leaf: Block | null = null;
  let lines: string[] = [];
  /** of a paragraph, whether its last line lacks the marks of the containers; */
  let isLazy = false;
  /** of code, its fence, "" where it is indented, and how far the fence is; */
  let fence = "";
  let margin = 0;
  /** of HTML, what is in its last line, null standing for a blank line after it; */
  let stop: RegExp | null = null;
  /** of a table, its columns. */
  let aligns: Align[] = [];

  const isIn = (type: BlockToken["type"]): boolean => leaf?.token.type === type;
  const innermost = (): Block => open[open.length - 1] ?? root;

  function readRow(line: Line): void {
    const depth = descend(line, open.length);
    for (const block of open.slice(1, depth)) if (block.indent === 0) block.end = row + 1;
    const isWhole = depth === open.length;
    if (isWhole && continueLeaf(line)) return;
    if (line.isBlank) return closeTo(depth);
    // A line without the marks of its containers can go on with a paragraph in them, and nothing else.
    if (!isWhole && !isIn("paragraph")) closeTo(depth);
    if (openBlocks(line, depth, isWhole)) return;
    if (isIn("paragraph")) {
      extend(line.words);
      isLazy = !isWhole;
    } else if (leaf?.token.type === "table") {
      leaf.token.rows.push(rowOf(line.words));
      leaf.end = row + 1;
    } else {
      start({ type: "paragraph", tokens: [] }, open.length);
      extend(line.words);
      isLazy = false;
    }
  }

  /** Takes from a line what continues the first open containers, at most `most`, and returns how many it continues. */
  function descend(line: Line, most: number): number {
    let depth = 1;
    for (; depth < most; depth += 1) {
      const { indent, children } = open[depth] ?? root;
      if (indent === 0 ? !line.dropQuote() : line.isBlank ? children.length === 0 : line.indent < indent) break;
      line.dropSpace(indent);
    }
    return depth;
  }

  /** Gives a line to the code or HTML that is open; false when that does not take it. */
  function continueLeaf(line: Line): boolean {
    const { isBlank, words } = line;
    if (isIn("code")) {
      const isCode = line.indent >= CODE_INDENT;
      if (fence === "" && !isBlank && !isCode) return false;
      const isEnd = fence !== "" && !isCode && words.startsWith(fence) && /^(?:`+|~+)$/.test(words.trimEnd());
      line.dropSpace(fence === "" ? CODE_INDENT : margin);
      if (fence === "" && isBlank) lines.push(line.rest);
      else if (isEnd) finish(1);
      else extend(line.rest);
      return true;
    }
    if (!isIn("html") || (stop === null && isBlank)) return false;
    extend(line.rest);
    if (stop?.test(words)) finish(0);
    return true;
  }

  function extend(text: string): void {
    lines.push(text);
    if (leaf !== null) leaf.end = row + 1;
  }

  /** Closes the leaf, which ends so many rows after it was last extended. */
  function finish(more: number): void {
    if (leaf !== null) leaf.end = more > 0 ? row + more : leaf.end;
    closeTo(open.length);
  }

  /** Opens the containers that a line begins, and a leaf; true when nothing of the line is left. */
  function openBlocks(line: Line, matched: number, isWhole: boolean): boolean {
    let depth = matched;
    let isInside = isWhole && (isIn("paragraph") || isIn("table"));
    while (!line.isBlank) {
      if (line.indent >= CODE_INDENT) {
        if (isIn("paragraph")) return false;
        line.dropSpace(CODE_INDENT);
        start({ type: "code", text: "", lang: "" }, depth);
        extend(line.rest);
        fence = "";
        return true;
      }
      if (openLeaf(line, depth, isInside)) return true;
      if (open.length >= DEEPEST || !openContainer(line, depth, isInside)) return false;
      depth = open.length;
      isInside = false;
    }
    return true;
  }

  function openContainer(line: Line, depth: number, isInside: boolean): boolean {
    const { indent, words } = line;
    if (line.dropQuote()) {
      closeTo(depth);
      open.push(add({ type: "blockquote", tokens: [] }));
      return true;
    }
    const [mark, number] = ITEM.exec(words) ?? [];
    // Within a paragraph, `1986. A great year` and a lone `-` begin no list.
    if (mark === undefined || (isInside && (words.trim() === mark || Number(number ?? 1) !== 1))) return false;
    closeTo(depth);
    const kind = mark.slice(-1);
    let list = innermost().children.at(-1);
    if (list?.mark !== kind) {
      list = add({ type: "list", isOrdered: number !== undefined, start: Number(number ?? 1), isLoose: false, items: [] });
      list.mark = kind;
    }
    line.dropSpace(indent);
    line.dropMark(mark.length);
    const space = line.isBlank || line.indent > CODE_INDENT ? 1 : line.indent;
    line.dropSpace(space);
    const item = blockOf({ type: "item", raw: "", isTask: false, tokens: [] }, row);
    item.indent = indent + mark.length + space;
    list.children.push(item);
    open.push(item);
    return true;
  }

  /** Opens a leaf with a line; false when it begins none but a paragraph. */
  function openLeaf(line: Line, depth: number, isInside: boolean): boolean {
    const words = line.words.trimEnd();
    const heading = /^#{1,6}(?![^ \t])/.exec(words)?.[0].length ?? 0;
    if (heading > 0) {
      closeTo(depth);
      const text = words.slice(heading).trim().replace(/(^|[ \t])#+$/, "");
      add({ type: "heading", depth: heading, tokens: textOf(text.trim()) });
      return true;
    }
    const [fenced, ticks, tickInfo, tildes = "", tildeInfo = ""] = FENCE.exec(words) ?? [];
    if (fenced !== undefined) {
      start({ type: "code", text: "", lang: unescape((tickInfo ?? tildeInfo).trim()) }, depth);
      fence = ticks ?? tildes;
      margin = line.indent;
      return true;
    }
    const end = htmlEnd(words, isIn("paragraph"));
    if (end !== undefined) {
      start({ type: "html", text: "", isBlock: true }, depth);
      stop = end;
      return continueLeaf(line);
    }
    if (isInside && isIn("paragraph") && underline(words)) return true;
    // The head of a table below a list, without a blank line between, was a part of the list until now.
    if (isIn("paragraph") && (isInside || isLazy) && openTable(words, depth)) return true;
    if (/^[-_*]/.test(words) && /^(.)\1{2,}$/.test(words.replace(/[ \t]/g, ""))) {
      closeTo(depth);
      add({ type: "hr" });
      return true;
    }
    return addFormula(words, depth);
  }

  /** Makes of a paragraph the heading that a line of `=` or `-` makes of it. */
  function underline(words: string): boolean {
    if (leaf === null || !/^(?:=+|-+)$/.test(words)) return false;
    define(leaf);
    if (lines.length === 0) return false;
    leaf.token = { type: "heading", depth: words.startsWith("=") ? 1 : 2, tokens: textOf(lines.join("\n").trim()) };
    finish(1);
    return true;
  }

  function openTable(words: string, depth: number): boolean {
    const columns = alignsOf(words);
    const head = lines.at(-1) ?? "";
    if (leaf === null || columns === null || cellsOf(head).length !== columns.length) return false;
    lines.pop();
    leaf.end -= 1;
    aligns = columns;
    start({ type: "table", header: rowOf(head), rows: [] }, depth).start -= 1;
    return true;
  }

  function rowOf(words: string): TableCell[] {
    const cells = cellsOf(words).slice(0, aligns.length);
    while (cells.length < Math.min(aligns.length, FILLED_CELLS)) cells.push("");
    return cells.map((text, i) => ({ text, align: aligns[i] ?? null, tokens: textOf(text) }));
  }

  /** Adds the formula that stands alone in this and the next lines of a container. */
  function addFormula(words: string, depth: number): boolean {
    const close = words.startsWith("$$") ? "$$" : "\\]";
    if (close !== "$$" && !words.startsWith("\\[")) return false;
    const parts = [words];
    while (!parts.at(-1)?.includes(close, parts.length > 1 ? 0 : 2)) {
      const next = new Line(rows[row + parts.length] ?? "");
      if (descend(next, depth) < depth || next.isBlank || parts.length > FORMULA_LINES) return false;
      parts.push(next.rest);
    }
    const text = parts.join("\n").trimEnd();
    if (findFormula(text)?.raw !== text) return false;
    closeTo(depth);
    row += parts.length - 1;
    const block = add({ type: "formula", text, isDisplay: true });
    block.start -= parts.length - 1;
    return true;
  }

  function start(token: BlockToken, depth: number): Block {
    closeTo(depth);
    lines = [];
    leaf = add(token);
    return leaf;
  }

  function add(token: BlockToken): Block {
    const block = blockOf(token, row);
    innermost().children.push(block);
    return block;
  }

  function textOf(text: string): InlineToken[] {
    const tokens: InlineToken[] = [];
    later.push([text, tokens]);
    return tokens;
  }

  /** Closes the leaf, and all containers but the first `depth`. */
  function closeTo(depth: number): void {
    if (leaf !== null) closeLeaf(leaf);
    leaf = null;
    while (open.length > depth) closeContainer(open.pop() ?? root, rows);
  }

  function closeLeaf(block: Block): void {
    const { token } = block;
    if (token.type === "paragraph") return closeParagraph(block, token.tokens);
    if (token.type !== "code" && token.type !== "html") return;
    if (token.type === "code" && fence === "") lines.length = block.end - block.start;
    token.text = lines.join("\n");
  }

  function closeParagraph(block: Block, tokens: InlineToken[]): void {
    define(block);
    const { children, token } = innermost();
    if (lines.length === 0) {
      children.pop();
      return;
    }
    const text = lines.join("\n").trimEnd();
    const [mark = "", sign] = token.type === "item" && children[0] === block ? (TASK.exec(text) ?? []) : [];
    if (token.type === "item" && sign !== undefined) {
      token.isTask = true;
      tokens.push({ type: "checkbox", isChecked: sign !== " " });
    }
    later.push([text.slice(mark.length), tokens]);
  }

  /** Takes away the definitions of references that a paragraph begins with. */
  function define(paragraph: Block): void {
    const count = lines[0]?.startsWith("[") ? takeDefinitions(lines, references) : 0;
    if (count === 0) return;
    const made = blockOf({ type: "def" }, paragraph.start);
    paragraph.start += count;
    made.end = paragraph.start;
    innermost().children.splice(-1, 0, made);
  }

  for (; row < rows.length; row += 1) readRow(new Line(rows[row] ?? ""));
  closeTo(0);
  // A spread of very many arguments would exhaust the stack.
  for (const [text, tokens] of later) for (const token of inlineOf(text, references)) tokens.push(token);
  return withRaws(root.children, source, rows);
}
