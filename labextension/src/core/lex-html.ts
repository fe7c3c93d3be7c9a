/** Where HTML begins and ends in Markdown, so that it can be shown as it is written. */

/** Beyond it nobody looks for the end of a tag, so that many beginnings without an end take no time. */
const LONGEST = 1000;
const TAG =
  /^<(?:\/[A-Za-z][\w-]*\s*|[A-Za-z][\w-]*(?:\s+[A-Za-z_:][\w.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|'[^']*'|"[^"]*"))?)*\s*\/?)>/;
const COMMENT = /^<!--[^]*?-->/;

/** The tag or comment that a text begins with, or "". */
export function tagOf(text: string): string {
  const near = text.slice(0, LONGEST);
  return (TAG.exec(near) ?? COMMENT.exec(near))?.[0] ?? "";
}

/** The elements that make a block wherever they begin a line. */
const BLOCK = new RegExp(
  "^</?(?:a(?:ddress|rticle|side)|blockquote|body|caption|center|col(?:group)?|d(?:[dlt]|etails|ialog|iv)|f(?:ieldset|igcaption|igure|ooter|orm)|" +
    "h(?:[1-6r]|ead|eader|tml)|iframe|legend|li(?:nk)?|main|menu|nav|o(?:l|ption)|p|section|summary|t(?:[dhr]|able|body|foot|head|itle)|ul)(?:\\s|/?>|$)",
  "i",
);
/** The elements whose text is no HTML, so that blank lines are a part of it. */
const RAW = /^<(?:script|pre|style|textarea)(?:[\s>]|$)/i;
const RAW_END = /<\/(?:script|pre|style|textarea)>/i;

/** How the block of HTML ends that begins with a line, null standing for a blank line; undefined where none begins. */
export function htmlEnd(words: string, isInParagraph: boolean): RegExp | null | undefined {
  if (!words.startsWith("<")) return undefined;
  if (words.startsWith("<!--")) return /-->/;
  if (RAW.test(words)) return RAW_END;
  if (BLOCK.test(words)) return null;
  // Any other tag must stand alone, and cuts no paragraph in two.
  const tag = isInParagraph ? "" : tagOf(words);
  return tag !== "" && words.slice(tag.length).trim() === "" ? null : undefined;
}
