/** Small words of the view: durations, counts, paths, and text made safe to judge by eye. */

import { reveal } from "./reveal";

export { reveal };

/** The text up to a length that a page draws with ease, and how much is left out. */
export function cut(text: string, most: number): string {
  const left = text.length - most;
  return left > 0 ? `${text.slice(0, most)} … ${plural(left, "more character")}` : text;
}

const REORDERS = /[\u202a-\u202e\u2066-\u2069]|\p{Cc}|[\u{e0000}-\u{e007f}]/gu;

/** Makes visible what reorders prose, and what no prose holds; joiners stay, of which letters and emoji are made. */
export function revealOrder(text: string): string {
  return text.replace(REORDERS, (character) => (character === "\n" || character === "\t" ? character : reveal(character)));
}

/** Whether a text holds characters that `reveal` has to show. */
export function hidesSomething(text: string): boolean {
  return reveal(text) !== text;
}

/** What a refused operation says, hint included. */
export function messageOf(problem: unknown): string {
  if (!(problem instanceof Error)) return String(problem);
  const hint = "hint" in problem && typeof problem.hint === "string" ? problem.hint : "";
  return `${problem.message} ${hint}`.trim();
}

/** 0.4 s · 12.4 s · 3 min 05 s · 1 h 02 min; a negative span counts as none. */
export function duration(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 59.95) return `${s.toFixed(1)} s`;
  const whole = Math.round(s);
  const two = (value: number): string => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** A clock that ticks in whole seconds: 0:07, 12:40, 1:02:03. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours > 0
    ? `${hours}:${two(minutes)}:${two(whole % 60)}`
    : `${minutes}:${two(whole % 60)}`;
}

/** 950 · 12.3k · 1.2M */
export function count(value: number): string {
  if (value < 1000) return String(value);
  if (value < 999_950) return `${(value / 1000).toFixed(1)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

/** 740 bytes · 12 kB · 1.4 MB */
export function bytes(size: number): string {
  if (size < 1000) return plural(size, "byte");
  if (size < 999_500) return `${Math.round(size / 1000)} kB`;
  return `${(size / 1_000_000).toFixed(1).replace(/\.0$/, "")} MB`;
}

export function plural(value: number, word: string): string {
  return `${value.toLocaleString("en")} ${word}${value === 1 ? "" : "s"}`;
}

/** The path as seen from a folder; absolute when it lies outside. */
export function relativePath(path: string, folder: string): string {
  const base = folder.endsWith("/") ? folder : `${folder}/`;
  return folder !== "" && path.startsWith(base) ? path.slice(base.length) : path;
}

const WORD_END = /[\s]/;
const NEEDS_A_SHELL = /[$`;|&<>()*?[\]{}~#!\n\\]/;

/** The words of a quoted command line, or null when a shell would do more than remove quotes. */
function splitWords(line: string): string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  for (let i = 0; i < line.length; i += 1) {
    const c = line.charAt(i);
    if (c === "'") {
      const end = line.indexOf("'", i + 1);
      if (end < 0) return null;
      word = (word ?? "") + line.slice(i + 1, end);
      i = end;
    } else if (c === '"') {
      const quoted = /^"((?:[^"\\$`]|\\[^\n])*)"/.exec(line.slice(i));
      if (quoted === null) return null;
      word = (word ?? "") + (quoted[1] ?? "").replace(/\\(["\\$`])/g, "$1");
      i += quoted[0].length - 1;
    } else if (WORD_END.test(c)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (c === "\\" && i + 1 < line.length && line.charAt(i + 1) !== "\n") {
      i += 1;
      word = (word ?? "") + line.charAt(i);
    } else if (NEEDS_A_SHELL.test(c)) {
      return null;
    } else {
      word = (word ?? "") + c;
    }
  }
  if (word !== null) words.push(word);
  return words;
}

const SHELLS = /^(?:\/(?:usr\/)?(?:local\/)?bin\/)?(?:ba|z|da)?sh$/;

/** The script inside `/bin/bash -lc '…'` and what runs it; the line itself, run by "", when it is anything else. */
export function unwrapShell(command: string): { script: string; shell: string } {
  const whole = { script: command, shell: "" };
  const head = /^\S+ -l?c /.exec(command);
  if (head === null) return whole;
  const words = splitWords(command);
  if (words === null || words.length !== 3) return whole;
  const [shell, , script] = words;
  return shell !== undefined && SHELLS.test(shell) && script ? { script, shell: head[0].trim() } : whole;
}
