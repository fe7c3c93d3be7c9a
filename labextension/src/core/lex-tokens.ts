/** What the lexer of Markdown makes: tokens with the fields that prose.ts draws and markdown.ts compares. */

export interface TextToken {
  type: "text";
  text: string;
}
/** A character after a backslash: it stands for itself, and begins no character reference. */
export interface EscapeToken {
  type: "escape";
  text: string;
}
export interface CodeSpanToken {
  type: "codespan";
  text: string;
}
export interface BreakToken {
  type: "br";
}
export interface SpanToken {
  type: "strong" | "em" | "del";
  tokens: InlineToken[];
}
/** The address still holds character references. */
export interface LinkToken {
  type: "link";
  href: string;
  tokens: InlineToken[];
}
export interface ImageToken {
  type: "image";
  href: string;
  text: string;
}
/** HTML as it is written; nobody parses it. */
export interface HtmlToken {
  type: "html";
  text: string;
  isBlock: boolean;
}
export interface FormulaToken {
  type: "formula";
  text: string;
  isDisplay: boolean;
}
export interface CheckboxToken {
  type: "checkbox";
  isChecked: boolean;
}
export type InlineToken =
  | TextToken
  | EscapeToken
  | CodeSpanToken
  | BreakToken
  | SpanToken
  | LinkToken
  | ImageToken
  | HtmlToken
  | FormulaToken
  | CheckboxToken;

export interface HeadingToken {
  type: "heading";
  depth: number;
  tokens: InlineToken[];
}
/** Bare words are the paragraph of an item in a tight list, which gets no box of its own. */
export interface ParagraphToken {
  type: "paragraph" | "words";
  tokens: InlineToken[];
}
export interface QuoteToken {
  type: "blockquote";
  tokens: BlockToken[];
}
export interface CodeToken {
  type: "code";
  text: string;
  lang: string;
}
export interface RuleToken {
  type: "hr";
}
/** Blank lines, or the definitions of references: nothing to draw. */
export interface SilentToken {
  type: "space" | "def";
}
export interface ListItem {
  type: "item";
  raw: string;
  isTask: boolean;
  tokens: BlockToken[];
}
export interface ListToken {
  type: "list";
  isOrdered: boolean;
  start: number;
  isLoose: boolean;
  items: ListItem[];
}
export type Align = "left" | "center" | "right" | null;
export interface TableCell {
  text: string;
  align: Align;
  tokens: InlineToken[];
}
export interface TableToken {
  type: "table";
  header: TableCell[];
  rows: TableCell[][];
}
export type BlockToken =
  | HeadingToken
  | ParagraphToken
  | QuoteToken
  | CodeToken
  | RuleToken
  | SilentToken
  | ListToken
  | TableToken
  | HtmlToken
  | FormulaToken;
