/**
 * Tokens of Markdown as elements, made one by one from an allow-list.
 *
 * No HTML is parsed: what the model wrote enters the document as text, and as the address of a link that links.ts allows.
 * Raw HTML is shown as it is written, pictures are links to themselves, and no id, class, style or data-* is the model's.
 */

import type { Context } from "./context";
import { copyButton, element, makeScrollable, scrollBox, spoken } from "./dom";
import { decodeEntities } from "./entities";
import { mayTypeset } from "./formula";
import type { ImageToken, LinkToken, ListItem, ListToken, TableCell, TableToken } from "./lex-tokens";
import type { ProseToken } from "./lexer";
import { linkTo, openerOf, otherHost, pathOf, safeUrl } from "./links";
import { reveal, revealOrder } from "./text";

/** What prose needs of the view around it. */
export type ProseContext = Pick<Context, "services" | "session">;

const LANGUAGE = /^[\w+#.-]{1,30}/;
const HEADINGS = ["h4", "h5", "h6"] as const;

export function drawTokens(tokens: ProseToken[], context: ProseContext): (Node | string)[] {
  return tokens.flatMap((token) => drawToken(token, context));
}

function drawToken(token: ProseToken, context: ProseContext): (Node | string)[] {
  const inner = (inside: ProseToken[]): (Node | string)[] => drawTokens(inside, context);
  switch (token.type) {
    case "heading":
      // The headings of the page around a view are above those of a message.
      return [element(HEADINGS[token.depth - 1] ?? "h6", "", ...inner(token.tokens))];
    case "paragraph":
      return [element("p", "", ...inner(token.tokens))];
    case "blockquote":
      return [element("blockquote", "", ...inner(token.tokens))];
    case "list":
      return [drawList(token, context)];
    case "table":
      return [drawTable(token, context)];
    case "code":
      return [drawCode(token.text, token.lang)];
    case "hr":
      return [element("hr")];
    case "strong":
      return [element("strong", "", ...inner(token.tokens))];
    case "em":
      return [element("em", "", ...inner(token.tokens))];
    case "del":
      return [element("del", "", ...inner(token.tokens))];
    case "codespan":
      return [element("code", "", reveal(token.text))];
    case "br":
      return [element("br")];
    case "link":
      return drawLink(token, context);
    case "image":
      return drawPicture(token);
    case "formula":
      return [drawFormula(token.text, token.isDisplay)];
    case "html":
      if (/^<br\s*\/?>$/i.test(token.text)) return [element("br")];
      return [token.isBlock ? element("p", "cnb-raw", revealOrder(token.text)) : revealOrder(token.text)];
    case "words":
      return inner(token.tokens);
    case "text":
      return [revealOrder(decodeEntities(token.text))];
    case "escape":
      return [revealOrder(token.text)];
    case "checkbox":
      return [drawBox(token.isChecked)];
    case "space":
    case "def":
      return [];
  }
}

function drawItem(item: ListItem, context: ProseContext): HTMLElement {
  return element("li", item.isTask ? "cnb-task" : "", ...drawTokens(item.tokens, context));
}

function drawList(list: ListToken, context: ProseContext): HTMLElement {
  const holder = element(list.isOrdered ? "ol" : "ul", "", ...list.items.map((item) => drawItem(item, context)));
  if (list.isOrdered && list.start !== 1) holder.setAttribute("start", String(list.start));
  return holder;
}

function drawBox(isChecked: boolean): HTMLElement {
  const box = element("span", "cnb-check", isChecked ? "☑" : "☐");
  box.ariaHidden = "true";
  return element("span", "", box, spoken(isChecked ? "done: " : "to do: "));
}

function drawRow(cells: TableCell[], name: "th" | "td", context: ProseContext): HTMLElement {
  return element(
    "tr",
    "",
    ...cells.map((cell) => {
      // A heading that says nothing is none.
      const made = element(cell.text === "" ? "td" : name, "", ...drawTokens(cell.tokens, context));
      if (cell.align !== null) made.align = cell.align;
      return made;
    }),
  );
}

function drawTable(table: TableToken, context: ProseContext): HTMLElement {
  const head = element("thead", "", drawRow(table.header, "th", context));
  const body = element("tbody", "", ...table.rows.map((row) => drawRow(row, "td", context)));
  const box = scrollBox("div", "cnb-table", "Table");
  box.append(element("table", "", head, body));
  return box;
}

/**
 * Draws into a block what came to a list or a table since, and leaves alone what stands; false when it must be drawn anew.
 */
export function extendBlock(block: HTMLElement, old: ProseToken, now: ProseToken, context: ProseContext): boolean {
  if (old.type === "list" && now.type === "list") {
    const list = block.firstElementChild;
    if (list === null || old.isOrdered !== now.isOrdered || old.start !== now.start || old.isLoose !== now.isLoose) return false;
    return extend(list, old.items, now.items, ({ raw }) => raw.trimEnd(), (item) => drawItem(item, context));
  }
  if (old.type === "table" && now.type === "table") {
    const body = block.querySelector("tbody");
    const key = (row: TableCell[]): string => row.map((cell) => cell.text).join("|");
    const isSame = key(old.header) === key(now.header) && old.header.every((cell, i) => cell.align === now.header[i]?.align);
    if (body === null || !isSame) return false;
    return extend(body, old.rows, now.rows, key, (row) => drawRow(row, "td", context));
  }
  return false;
}

function extend<T>(holder: Element, old: T[], now: T[], key: (part: T) => string, draw: (part: T) => HTMLElement): true {
  const changed = now.findIndex((part, i) => {
    const before = old[i];
    return before === undefined || key(before) !== key(part);
  });
  const kept = changed < 0 ? now.length : changed;
  while (holder.childElementCount > kept) holder.lastElementChild?.remove();
  holder.append(...now.slice(kept).map(draw));
  return true;
}

function drawCode(text: string, info: string): HTMLElement {
  const language = LANGUAGE.exec(info)?.[0] ?? "";
  const code = element("code", "", reveal(text));
  if (language !== "") code.dataset.cnbLanguage = language;
  const pre = element("pre", "", code);
  makeScrollable(pre);
  const head = element("div", "cnb-codehead", element("span", "cnb-language", language || "text"));
  head.append(copyButton(() => text, "Copy the code"));
  return element("div", "cnb-code", head, pre);
}

function drawLink(token: LinkToken, context: ProseContext): (Node | string)[] {
  const label = drawTokens(token.tokens, context);
  const href = decodeEntities(token.href);
  const url = safeUrl(href);
  if (url !== null) {
    const words = label.map((part) => (typeof part === "string" ? part : (part.textContent ?? ""))).join("");
    const host = otherHost(words, url);
    // A link inside of a link's words, as a picture becomes one, would be cut out of it by nobody else.
    const plain = label.some((part) => part instanceof Element && part.closest("a") !== null) ? [words] : label;
    return [linkTo(url, ...plain), ...(host === "" ? [] : [element("span", "cnb-otherhost", ` (${host})`)])];
  }
  const path = pathOf(href, context.session.cwd);
  const open = openerOf(path, context.services);
  if (open === null) return label;
  const made = element("button", "cnb-openlink", ...label);
  made.type = "button";
  made.title = `Open ${reveal(path)}`;
  made.addEventListener("click", open);
  return [made];
}

/** Nothing is loaded from the network, so a picture is a link to where it is. */
function drawPicture(token: ImageToken): (Node | string)[] {
  const href = decodeEntities(token.href);
  const words = revealOrder(decodeEntities(token.text)) || "picture";
  const url = safeUrl(href);
  return [url === null ? `[${words}]` : linkTo(url, `[${words}]`)];
}

function drawFormula(source: string, isDisplay: boolean): HTMLElement {
  const made = element("span", isDisplay ? "cnb-formula cnb-display" : "cnb-formula", reveal(source));
  if (mayTypeset(source)) made.dataset.cnbFormula = "";
  return made;
}

/** Lets the page typeset and highlight what is drawn; only for what will not be drawn again. */
export function finish(block: HTMLElement, { services }: ProseContext): void {
  for (const formula of block.querySelectorAll<HTMLElement>("[data-cnb-formula]")) {
    delete formula.dataset.cnbFormula;
    services.typeset?.(formula);
  }
  for (const code of block.querySelectorAll<HTMLElement>("code[data-cnb-language]")) {
    const language = code.dataset.cnbLanguage ?? "";
    delete code.dataset.cnbLanguage;
    services.highlight?.(code.textContent ?? "", language, code);
  }
}
