/** What holds blocks of Markdown: where each of them stands, what becomes of a list, and the text of each. */

import type { BlockToken, ListItem, ListToken } from "./lex-tokens";

/** A token with the rows of the text that it stands in; blank ones after it are not its own. */
export interface Block {
  token: BlockToken | ListItem;
  start: number;
  end: number;
  /** What is in it, where it is a container or a list. */
  children: Block[];
  /** How far what is in an item is indented. */
  indent: number;
  /** The sign of all items of a list. */
  mark: string;
}

/** A token of the outermost level; the `raw` of all of them together is the text. */
export type TopToken = BlockToken & { raw: string };

/** The block that a row begins. */
export function blockOf(token: Block["token"], row: number): Block {
  return { token, start: row, end: row + 1, children: [], indent: 0, mark: "" };
}

/** Finishes a container and the lists in it, when all containers in them are finished. */
export function closeContainer(block: Block, rows: string[]): void {
  const { children, token } = block;
  for (const child of children) if (child.token.type === "list") closeList(child, child.token);
  block.end = Math.max(block.end, children.at(-1)?.end ?? 0);
  if (token.type === "blockquote" || token.type === "item") {
    for (const child of children) if (child.token.type !== "item") token.tokens.push(child.token);
    if (token.type === "item") token.raw = rows.slice(block.start, block.end).join("\n");
  }
}

function closeList(block: Block, token: ListToken): void {
  const { children } = block;
  block.end = children.at(-1)?.end ?? block.end;
  const isApart = (part: Block, i: number, all: Block[]): boolean => i > 0 && part.start > (all[i - 1]?.end ?? 0);
  token.isLoose = [block, ...children].some((part) => part.children.some(isApart));
  for (const item of children) {
    if (item.token.type !== "item") continue;
    token.items.push(item.token);
    for (const part of item.token.tokens) if (part.type === "paragraph" && !token.isLoose) part.type = "words";
  }
}

/** The tokens of the outermost blocks, with the text of each. */
export function withRaws(blocks: Block[], source: string, rows: string[]): TopToken[] {
  const found: TopToken[] = [];
  let [row, offset] = [0, 0];
  const add = (token: Block["token"], end: number): void => {
    const start = offset;
    for (; row < end; row += 1) offset += (rows[row]?.length ?? 0) + 1;
    const raw = source.slice(start, offset);
    if (raw !== "" && token.type !== "item") found.push(Object.assign(token, { raw }));
  };
  for (const { token, start, end } of blocks) {
    add({ type: "space" }, start);
    add(token, end);
  }
  add({ type: "space" }, rows.length);
  return found;
}
