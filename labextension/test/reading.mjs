// What both lexers read out of a text, ours and that of marked, in one form: types, what is in them, and text.

import { Marked } from "marked";
import { load } from "./loading.mjs";

export const { blocksOf, findFormula } = await load(
  `export { blocksOf } from "./lexer"; export { findFormula } from "./formula";`,
);

const marked = new Marked({
  extensions: [
    {
      name: "formula",
      level: "block",
      start: (text) => /^(?:\$\$|\\\[)/m.exec(text)?.index,
      tokenizer(text) {
        const found = findFormula(text);
        if (found === null || !found.isDisplay) return undefined;
        const rest = /^[ \t]*(?:\n+|$)/.exec(text.slice(found.raw.length));
        return rest === null ? undefined : { type: "formula", text: found.raw, raw: found.raw + rest[0] };
      },
    },
    {
      name: "formula",
      level: "inline",
      start: (text) => /\$|\\[([]/.exec(text)?.index,
      tokenizer(text) {
        const found = findFormula(text);
        return found === null ? undefined : { type: "formula", text: found.raw, raw: found.raw };
      },
    },
  ],
});

const isText = (token) => typeof token === "string";

/** Tokens as nested lists that begin with a type; text as strings, white space in it as one space. */
function form(tokens) {
  const parts = [];
  const add = (text) => {
    if (isText(parts.at(-1))) parts[parts.length - 1] += text;
    else parts.push(text);
  };
  for (const token of tokens) {
    const { type, text = "", tokens: inner = [] } = token;
    const raw = (token.raw ?? text).trimEnd();
    if (type === "list") {
      const start = token.start !== "" && token.start !== 1 ? [token.start] : [];
      const items = token.items.map((item) => ["item", ...boxInside(form(item.tokens))]);
      parts.push([token.ordered || token.isOrdered ? "ol" : "ul", ...start, ...items]);
    } else if (type === "table") {
      const row = (cells) => ["row", ...cells.map((cell) => [cell.align ?? "cell", ...form(cell.tokens)])];
      parts.push(["table", row(token.header), ...token.rows.map(row)]);
    } else if (type === "heading") parts.push([`h${token.depth}`, ...form(inner)]);
    else if (type === "code") parts.push([`code ${/^\S*/.exec(token.lang ?? "")[0]}`.trim(), text.trimEnd()]);
    else if (type === "link") parts.push(["link", token.href, ...form(inner)]);
    else if (type === "image") parts.push(["image", token.href, text]);
    else if (type === "checkbox") parts.push([token.checked || token.isChecked ? "done" : "open"]);
    else if (type === "codespan" || type === "formula") parts.push([type, text.trim()]);
    else if (type === "html" && (token.block || token.isBlock)) parts.push(["html", raw]);
    else if (type === "html" && /^<br *\/?>$/.test(text)) parts.push(["br"]);
    else if (type === "html" || type === "escape") add(text);
    else if (type === "text" && token.tokens === undefined) add(text);
    // The words of a tight list are drawn without a box.
    else if (type === "text" || type === "words") parts.push(...form(inner));
    else if (type !== "space" && type !== "def") parts.push([type, ...form(inner)]);
  }
  return parts.map((part) => (isText(part) ? part.replace(/\s+/g, " ") : part)).map(trimEdge).filter((part) => part !== "");
}

// The box of a task is in the first paragraph; marked puts it before that in some of its lists.
function boxInside([box, paragraph, ...rest]) {
  const isBefore = (box?.[0] === "open" || box?.[0] === "done") && paragraph?.[0] === "paragraph";
  return isBefore ? [["paragraph", box, ...paragraph.slice(1)], ...rest] : [box, paragraph, ...rest].filter((part) => part !== undefined);
}

// White space at the edges of a block, and beside a line break, is not drawn.
function trimEdge(part, i, parts) {
  if (!isText(part)) return part;
  const isEdge = (beside) => beside === undefined || beside[0] === "br";
  const rest = isEdge(parts[i - 1]) ? part.trimStart() : part;
  return isEdge(parts[i + 1]) ? rest.trimEnd() : rest;
}

export const ours = (text) => form(blocksOf(text));
export const theirs = (text) => form(marked.lexer(text));
