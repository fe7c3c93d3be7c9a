/**
 * Runs of `*`, `_` and `~` as emphasis: which of them belong together, and the tree that comes of it.
 *
 * The rules are those of CommonMark, "An algorithm for parsing nested emphasis and links", and of GFM for `~`. One pass
 * over the runs pairs them, one over the nodes builds the tree; what is nested deeper than DEEPEST stays text.
 */

import type { InlineToken, SpanToken } from "./lex-tokens";

/** Signs of one kind in a row, some of which become the marks of spans. */
export interface Run {
  type: "run";
  sign: string;
  /** How many there are in the text, and how many of them mark nothing yet. */
  length: number;
  left: number;
  canOpen: boolean;
  canClose: boolean;
  /** The sizes of the marks that it closes and opens, each in the order found: from the innermost span outwards. */
  closes: number[];
  opens: number[];
}
export type InlineNode = InlineToken | Run;

const DEEPEST = 24;
const SPACE = /\s/;
const PUNCTUATION = /[\p{P}\p{S}]/u;
// The name ends in letters, so that `package@1.2.3` is no address.
const EMAIL = /(?<![\w.+-])([\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![\w-])/;

/** The run of a sign from one place to another in a text. */
export function runAt(text: string, start: number, end: number): Run {
  const sign = text.charAt(start);
  // A character may take two places.
  const before = [...text.slice(Math.max(0, start - 2), start)].at(-1) ?? " ";
  const [after = " "] = text.slice(end, end + 2);
  const [spaceBefore, spaceAfter] = [SPACE.test(before), SPACE.test(after)];
  const [signBefore, signAfter] = [PUNCTUATION.test(before), PUNCTUATION.test(after)];
  const isLeft = !spaceAfter && (!signAfter || spaceBefore || signBefore);
  const isRight = !spaceBefore && (!signBefore || spaceAfter || signAfter);
  const isWord = sign === "_";
  return {
    type: "run",
    sign,
    length: end - start,
    left: end - start,
    canOpen: isLeft && (!isWord || !isRight || signBefore),
    canClose: isRight && (!isWord || !isLeft || signAfter),
    closes: [],
    opens: [],
  };
}

function belong(opener: Run, closer: Run): boolean {
  if (opener.sign !== closer.sign) return false;
  if (opener.sign === "~") return opener.length === closer.length;
  // A sum is a multiple of three where both numbers are, or neither.
  return (!opener.canClose && !closer.canOpen) || (opener.length + closer.length) % 3 !== 0 || opener.length % 3 === 0;
}

function pair(runs: Run[]): void {
  const openers: { run: Run; index: number }[] = [];
  // Below it, no opener suits a closer of this kind: it is not looked for again.
  const bottoms = new Map<string, number>();
  for (const [index, run] of runs.entries()) {
    const kind = `${run.sign}${run.canOpen}${run.sign === "~" ? run.length : run.length % 3}`;
    while (run.canClose && run.left > 0) {
      const bottom = bottoms.get(kind) ?? 0;
      let found = openers.length - 1;
      const isAbove = (): boolean => (openers[found]?.index ?? -1) >= bottom;
      while (isAbove() && !belong(openers[found]?.run ?? run, run)) found -= 1;
      const opener = openers[found]?.run;
      if (opener === undefined || !isAbove()) {
        bottoms.set(kind, index);
        break;
      }
      const size = run.sign === "~" ? run.length : Math.min(2, run.left, opener.left);
      opener.left -= size;
      run.left -= size;
      opener.opens.push(size);
      run.closes.push(size);
      openers.length = opener.left > 0 ? found + 1 : found;
    }
    if (run.canOpen && run.left > 0) openers.push({ run, index });
  }
}

function spanType(sign: string, size: number): SpanToken["type"] {
  if (sign === "~") return "del";
  return size === 2 ? "strong" : "em";
}

/** The tokens of nodes in which all links are made; `isInLink` makes of them what may stand inside of a link. */
export function spansOf(nodes: InlineNode[], isInLink: boolean): InlineToken[] {
  pair(nodes.filter((node) => node.type === "run"));
  let tokens: InlineToken[] = [];
  const outer: InlineToken[][] = [];
  const add = (token: InlineToken): void => {
    const last = tokens[tokens.length - 1];
    if (token.type === "text" && last?.type === "text") last.text += token.text;
    else if (token.type === "link" && isInLink) token.tokens.forEach(add);
    else tokens.push(token.type === "text" ? { ...token } : token);
  };
  const finished = (): InlineToken[] => (isInLink || !tokens.some(mayHoldEmail) ? tokens : tokens.flatMap(withEmails));
  let depth = 0;
  for (const node of nodes) {
    if (node.type !== "run") {
      add(node);
      continue;
    }
    const { sign } = node;
    const addSigns = (size: number): void => add({ type: "text", text: sign.repeat(size) });
    for (const size of node.closes) {
      depth -= 1;
      if (depth < DEEPEST) {
        const span: SpanToken = { type: spanType(sign, size), tokens: finished() };
        tokens = outer.pop() ?? [];
        tokens.push(span);
      } else addSigns(size);
    }
    if (node.left > 0) addSigns(node.left);
    for (const size of node.opens.reverse()) {
      depth += 1;
      if (depth <= DEEPEST) {
        outer.push(tokens);
        tokens = [];
      } else addSigns(size);
    }
  }
  return finished();
}

function mayHoldEmail(token: InlineToken): boolean {
  return token.type === "text" && token.text.includes("@");
}

/** A text, with the addresses of mail in it as links. */
function withEmails(token: InlineToken): InlineToken | InlineToken[] {
  if (token.type !== "text") return token;
  // Each second part is an address.
  return token.text.split(EMAIL).flatMap((text, i): InlineToken[] => {
    if (text === "") return [];
    return [i % 2 === 0 ? { type: "text", text } : { type: "link", href: `mailto:${text}`, tokens: [{ type: "text", text }] }];
  });
}
