/**
 * Markdown as tokens: CommonMark with the tables, tasks, strikethrough and addresses of GFM, and formulas.
 *
 * HTML is not parsed, it stays text. No text makes the lexer fail or take longer than in proportion to its length, and
 * nothing nests deeper than the page can draw.
 */

import { lexBlocks } from "./lex-blocks";
import type { TopToken } from "./lex-containers";
import type { BlockToken, InlineToken } from "./lex-tokens";

export type { TopToken } from "./lex-containers";
export type ProseToken = BlockToken | InlineToken;

/** What is longer stays plain text: drawing it must not freeze the page. */
const LONGEST = 300_000;

/** The top-level blocks of a text with lines that end in line feeds, or null when it is too long to be drawn as Markdown. */
export function blocksOf(text: string): TopToken[] | null {
  if (text.length > LONGEST) return null;
  // In memory of its own: tokens are cut out of it, and would keep alive all of the text that it is a part of.
  return lexBlocks(` ${text}`.slice(1));
}
