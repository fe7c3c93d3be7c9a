/**
 * The inside of a paragraph as tokens: code, links, emphasis, formulas, breaks.
 *
 * One pass from left to right. Whatever is looked for ahead is either found in a bounded distance, or looked for once,
 * so that the time grows with the length of the text only. What is not understood stays text.
 */

import { findFormula } from "./formula";
import { type InlineNode, runAt, spansOf } from "./lex-emphasis";
import { tagOf } from "./lex-html";
import type { InlineToken } from "./lex-tokens";

/** The addresses of references, by their labels as `labelKey` writes them. */
export type References = Map<string, string>;

interface Bracket {
  /** Its place in the text, and among the nodes. */
  start: number;
  node: number;
  isImage: boolean;
  hasBrackets: boolean;
}

const DEEPEST_PARENTHESES = 32;
const LONGEST_LABEL = 999;
const SPECIAL = /[\\`*_~[\]!<$\n]|https?:\/\/|www\./gi;
const ESCAPE = /\\([!-/:-@[-`{-~])/g;
const AUTOLINK = /<([A-Za-z][\w+.-]{1,31}:[^\s<>]*|([\w.+-]{1,64}@[\w.-]{1,255}))>/y;
// Neither emphasis around an address is a part of it, nor what ends a sentence in Chinese and Japanese.
const BARE = /(?:https?:\/\/|www\.)[\p{L}\p{N}](?:(?!\*\*)[^\s<，。；：！？、）」』】》])*/iuy;
const ANGLED = "<((?:[^<>\\\\\\n]|\\\\.)*)>";
const TITLED = `(?:"(?:[^"\\\\]|\\\\[^])*"|'(?:[^'\\\\]|\\\\[^])*'|\\((?:[^()\\\\]|\\\\[^])*\\))`;
const LABELED = "\\[((?:[^[\\]\\\\]|\\\\[^]){0,999})\\]";
const ADDRESS = new RegExp(ANGLED, "y");
const TITLE = new RegExp(`\\s+${TITLED}`, "y");
const LABEL = new RegExp(LABELED, "y");
const DEFINITION = new RegExp(`^${LABELED}:[ \\t]*\\n?[ \\t]*(?:${ANGLED}|([^\\s<]\\S*))(?:(?:[ \\t]+|[ \\t]*\\n)${TITLED})?[ \\t]*(?:\\n|$)`);
const TICKS = /`+/g;
const SPACES = /\s*/y;

/** Two labels are the same but for case and white space. */
export function labelKey(label: string): string {
  return label.trim().replace(/\s+/g, " ").toLowerCase();
}

export function unescape(text: string): string {
  return text.replace(ESCAPE, "$1");
}

/** Takes the definitions away that lines begin with, and returns how many of the lines they were. */
export function takeDefinitions(lines: string[], references: References): number {
  let count = 0;
  for (let rest = lines.join("\n").trimEnd(); rest.startsWith("["); ) {
    const [whole, label = "", angled, plain = ""] = DEFINITION.exec(rest) ?? [];
    const key = labelKey(label);
    if (whole === undefined || key === "") break;
    if (!references.has(key)) references.set(key, unescape(angled ?? plain));
    rest = rest.slice(whole.length);
    count = rest === "" ? lines.length : count + whole.split("\n").length - 1;
  }
  lines.splice(0, count);
  return count;
}

function matchAt(pattern: RegExp, text: string, start: number): RegExpExecArray | null {
  pattern.lastIndex = start;
  return pattern.exec(text);
}

export function inlineOf(text: string, references: References): InlineToken[] {
  // As in most cells of a large table.
  if (matchAt(SPECIAL, text, 0) === null && !text.includes("@")) return text === "" ? [] : [{ type: "text", text }];
  const nodes: InlineNode[] = [];
  const brackets: Bracket[] = [];
  /** Of the brackets below it, none becomes a link: there is one in it. */
  let inactive = 0;
  /** The lengths of the runs of backticks that end no code any more. */
  const unpaired = new Set<number>();

  /** Reads what begins with a sign, and returns how much of the text it takes. */
  function readSpecial(sign: string, start: number): number {
    switch (sign) {
      case "\\":
        return readFormula(start) || readEscape(start);
      case "$":
        return readFormula(start) || addText(sign);
      case "`":
        return readCode(start);
      case "*":
      case "_":
      case "~":
        return readRun(sign, start);
      case "!":
        return text.charAt(start + 1) === "[" ? openBracket("![", start) : addText(sign);
      case "[":
        return openBracket(sign, start);
      case "]":
        return closeBracket(start);
      case "<":
        return readAngle(start);
      case "\n":
        return readLineEnd();
      default:
        return readAddress(start) || addText(sign);
    }
  }

  function addText(text: string): number {
    nodes.push({ type: "text", text });
    return text.length;
  }

  function lengthOfRun(sign: string, start: number): number {
    let end = start + 1;
    while (text.charAt(end) === sign) end += 1;
    return end - start;
  }

  function readFormula(start: number): number {
    const found = findFormula(text.slice(start));
    if (found === null) return 0;
    nodes.push({ type: "formula", text: found.raw, isDisplay: found.isDisplay });
    return found.raw.length;
  }

  function readEscape(start: number): number {
    const pair = text.slice(start, start + 2);
    const next = unescape(pair);
    if (pair === "\\\n") nodes.push({ type: "br" });
    else if (next !== pair) nodes.push({ type: "escape", text: next });
    else return addText("\\");
    return 2;
  }

  function readLineEnd(): number {
    const last = nodes[nodes.length - 1];
    const isHard = last?.type === "text" && last.text.endsWith("  ");
    if (last?.type === "text") last.text = last.text.trimEnd();
    if (isHard) nodes.push({ type: "br" });
    else addText("\n");
    return 1;
  }

  function readCode(start: number): number {
    const size = lengthOfRun("`", start);
    TICKS.lastIndex = start + size;
    let found = unpaired.has(size) ? null : TICKS.exec(text);
    while (found !== null && found[0].length !== size) found = TICKS.exec(text);
    if (found === null) {
      unpaired.add(size);
      return addText("`".repeat(size));
    }
    const end = found.index;
    const inner = text.slice(start + size, end).replace(/\n/g, " ");
    const isPadded = inner.startsWith(" ") && inner.endsWith(" ") && inner.trim() !== "";
    nodes.push({ type: "codespan", text: isPadded ? inner.slice(1, -1) : inner });
    return end + size - start;
  }

  function readRun(sign: string, start: number): number {
    const size = lengthOfRun(sign, start);
    if (sign === "~" && size > 2) return addText(sign.repeat(size));
    nodes.push(runAt(text, start, start + size));
    return size;
  }

  function readAngle(start: number): number {
    const found = matchAt(AUTOLINK, text, start);
    if (found !== null) {
      const [whole, words = "", mail] = found;
      addLink(mail === undefined ? words : `mailto:${words}`, words);
      return whole.length;
    }
    const tag = tagOf(text.slice(start));
    if (tag === "") return addText("<");
    nodes.push({ type: "html", text: tag, isBlock: false });
    return tag.length;
  }

  /** An address that stands in the text without any mark. */
  function readAddress(start: number): number {
    if (start > 0 && /\w/.test(text.charAt(start - 1))) return 0;
    let url = matchAt(BARE, text, start)?.[0] ?? "";
    // In words that may become those of a link, the address ends with them.
    if (brackets.length > inactive && url.includes("]")) url = url.slice(0, url.indexOf("]"));
    url = url.slice(0, endOfAddress(url));
    if (url !== "") addLink(/^www/i.test(url) ? `http://${url}` : url, url);
    return url.length;
  }

  function addLink(href: string, words: string): void {
    nodes.push({ type: "link", href, tokens: [{ type: "text", text: words }] });
  }

  function openBracket(mark: "[" | "![", start: number): number {
    const outer = brackets[brackets.length - 1];
    if (outer !== undefined) outer.hasBrackets = true;
    brackets.push({ start: start + mark.length, node: nodes.length, isImage: mark === "![", hasBrackets: false });
    return addText(mark);
  }

  function closeBracket(start: number): number {
    const bracket = brackets.pop();
    const isActive = bracket?.isImage === true || brackets.length >= inactive;
    inactive = Math.min(inactive, brackets.length);
    const target = bracket !== undefined && isActive ? targetAt(start + 1, bracket) : null;
    if (bracket === undefined || target === null) return addText("]");
    const inner = nodes.splice(bracket.node).slice(1);
    if (bracket.isImage) {
      nodes.push({ type: "image", href: target.href, text: unescape(text.slice(bracket.start, start)) });
    } else {
      nodes.push({ type: "link", href: target.href, tokens: spansOf(inner, true) });
      inactive = brackets.length;
    }
    return 1 + target.length;
  }

  /** Where the words lead that end before a place, and how long the text is that says so. */
  function targetAt(start: number, bracket: Bracket): { href: string; length: number } | null {
    const inline = text.charAt(start) === "(" ? inlineTarget(start) : null;
    if (inline !== null || references.size === 0) return inline;
    const [whole = "", label = ""] = matchAt(LABEL, text, start) ?? [];
    const words = text.slice(bracket.start, start - 1);
    if (label === "" && (bracket.hasBrackets || words.length > LONGEST_LABEL)) return null;
    const href = references.get(labelKey(label || words));
    return href === undefined ? null : { href, length: whole.length };
  }

  function inlineTarget(start: number): { href: string; length: number } | null {
    const skip = (from: number): number => from + (matchAt(SPACES, text, from)?.[0].length ?? 0);
    const begin = skip(start + 1);
    const angled = matchAt(ADDRESS, text, begin);
    const end = angled === null ? endOfDestination(begin) : begin + angled[0].length;
    const last = skip(end + (matchAt(TITLE, text, end)?.[0].length ?? 0));
    if (text.charAt(last) !== ")") return null;
    return { href: unescape(angled?.[1] ?? text.slice(begin, end)), length: last + 1 - start };
  }

  /** Where a destination without angles ends: at white space, or at the parenthesis that is not its own. */
  function endOfDestination(start: number): number {
    let [end, depth] = [start, 0];
    for (; end < text.length && depth <= DEEPEST_PARENTHESES; end += 1) {
      const character = text.charAt(end);
      if (character <= " " || (character === ")" && depth === 0)) break;
      if (character === "\\" && text.charAt(end + 1) > " ") end += 1;
      else if (character === "(") depth += 1;
      else if (character === ")") depth -= 1;
    }
    return end;
  }

  for (let start = 0; start < text.length; ) {
    const found = matchAt(SPECIAL, text, start);
    const end = found?.index ?? text.length;
    if (end > start) addText(text.slice(start, end));
    start = found === null ? end : end + readSpecial(found[0], end);
  }
  return spansOf(nodes, false);
}

/** Where an address ends that a sentence goes on after. */
function endOfAddress(url: string): number {
  let excess = 0;
  for (const character of url) excess += character === ")" ? 1 : character === "(" ? -1 : 0;
  let end = url.length;
  for (; end > 0; end -= 1) {
    const last = url.charAt(end - 1);
    const reference = last === ";" ? /&[A-Za-z0-9]{1,10};$/.exec(url.slice(Math.max(0, end - 12), end)) : null;
    if (reference !== null) end -= reference[0].length - 1;
    else if (last === ")" && excess > 0) excess -= 1;
    else if (!/[?!.,:;*_'"~]/.test(last)) break;
  }
  return end;
}
