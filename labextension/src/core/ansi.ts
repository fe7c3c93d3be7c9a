/**
 * Terminal output as lines of styled text.
 *
 * Colours and weights are kept, in the sixteen named colours of the theme; progress bars are resolved to their last
 * state. Every other sequence is dropped: cursor movement, titles, links and whatever else an OSC may ask for.
 */

export interface Span {
  text: string;
  /** Class names of our style sheet; empty for plain text. */
  style: string;
}
export type Line = Span[];

interface Style {
  colour: number | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
}
const PLAIN: Style = { colour: null, bold: false, dim: false, italic: false, underline: false };

/* eslint-disable no-control-regex -- control characters are what this file is about */
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g;
const CSI = /(?:\u001b\[|\u009b)([0-?]*)[ -/]*([@-~])/y;
const STRING = /(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)/y;
const SHORT = /\u001b(?:[ -/]+[0-~]|[0-Z\\`-~])/y;
const UNFINISHED =
  /^(?:\u001b(?:\[[0-?]*[ -/]*|[\]PX^_][^\u0007\u001b\u009c\n]*\u001b?|[ -/]*)|\u009b[0-?]*[ -/]*|[\u0090\u0098\u009d-\u009f][^\u0007\u001b\u009c\n]*\u001b?)$/;
/** A sequence that is still open after so many characters is text. */
const LONGEST = 4096;

/** Takes output in any pieces; `lines` is what stands on the screen, the last one still open. */
export class Screen {
  readonly lines: Line[] = [[]];
  #style = PLAIN;
  #className = "";
  #pending = "";
  /** A carriage return was seen: the next character starts the line anew. */
  #atStart = false;

  /** Returns the index of the first line that changed. */
  write(piece: string): number {
    const first = this.lines.length - 1;
    const text = this.#pending + piece;
    this.#pending = "";
    let at = 0;
    while (at < text.length) {
      CONTROL.lastIndex = at;
      const next = CONTROL.exec(text)?.index ?? text.length;
      if (next > at) this.#print(text.slice(at, next));
      if (next === text.length) break;
      const end = this.#control(text, next);
      if (end === null) {
        this.#pending = text.slice(next);
        break;
      }
      at = end;
    }
    return first;
  }

  get #line(): Line {
    return this.lines[this.lines.length - 1] ?? [];
  }

  #print(text: string): void {
    const line = this.#line;
    if (this.#atStart) line.length = 0;
    this.#atStart = false;
    const last = line[line.length - 1];
    if (last !== undefined && last.style === this.#className) last.text += text;
    else line.push({ text, style: this.#className });
  }

  /** Obeys the control character at `at`; returns where to go on, or null when its sequence is not complete. */
  #control(text: string, at: number): number | null {
    switch (text.charAt(at)) {
      case "\n":
        this.lines.push([]);
        this.#atStart = false;
        return at + 1;
      case "\r":
        this.#atStart = true;
        return at + 1;
      case "\b":
        this.#erase();
        return at + 1;
    }
    CSI.lastIndex = STRING.lastIndex = SHORT.lastIndex = at;
    const csi = CSI.exec(text);
    if (csi !== null) {
      const [whole, parameters = "", final] = csi;
      if (final === "m") this.#restyle(parameters);
      if (final === "K" && (parameters === "2" || this.#atStart)) this.#line.length = 0;
      return at + whole.length;
    }
    const other = STRING.exec(text) ?? SHORT.exec(text);
    if (other !== null) return at + other[0].length;
    const rest = text.slice(at, at + LONGEST);
    return text.length - at < LONGEST && UNFINISHED.test(rest) ? null : at + 1;
  }

  #erase(): void {
    const last = this.#line[this.#line.length - 1];
    if (last === undefined) return;
    last.text = last.text.slice(0, -1);
    if (last.text === "") this.#line.pop();
  }

  #restyle(parameters: string): void {
    const codes = parameters.split(/[;:]/).map((code) => Number(code === "" ? 0 : code));
    let style = { ...this.#style };
    for (let i = 0; i < codes.length; i += 1) {
      const code = codes[i] ?? 0;
      if (code === 0) style = { ...PLAIN };
      else if (code === 1 || code === 7) style.bold = true;
      else if (code === 2) style.dim = true;
      else if (code === 3) style.italic = true;
      else if (code === 4) style.underline = true;
      else if (code === 22) style.bold = style.dim = false;
      else if (code === 23) style.italic = false;
      else if (code === 24) style.underline = false;
      else if (code === 27) style.bold = false;
      else if (code >= 30 && code <= 37) style.colour = code - 30;
      else if (code >= 90 && code <= 97) style.colour = code - 90 + 8;
      else if (code === 39) style.colour = null;
      else if (code === 38 || code === 48) {
        const isIndexed = codes[i + 1] === 5;
        const [r, g, b] = [codes[i + 2] ?? 0, codes[i + 3] ?? 0, codes[i + 4] ?? 0];
        if (code === 38) style.colour = isIndexed ? indexed(r) : nearest(r, g, b);
        i += isIndexed ? 2 : 4;
      }
    }
    this.#style = style;
    this.#className = classOf(style);
  }
}

function classOf(style: Style): string {
  const names = [];
  if (style.colour !== null) names.push(`cnb-ansi-${style.colour}`);
  if (style.bold) names.push("cnb-bold");
  if (style.dim) names.push("cnb-dim");
  if (style.italic) names.push("cnb-italic");
  if (style.underline) names.push("cnb-underline");
  return names.join(" ");
}

/** One of the 256 colours of a terminal, as one of the sixteen. */
function indexed(index: number): number | null {
  if (index < 16) return index;
  if (index >= 232) return nearest((index - 232) * 10 + 8, (index - 232) * 10 + 8, (index - 232) * 10 + 8);
  const level = (step: number): number => (step === 0 ? 0 : step * 40 + 55);
  const cube = index - 16;
  return nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

/** The named colour of the same hue; greys become the dim or the plain colour, so that they can be read anywhere. */
function nearest(r: number, g: number, b: number): number | null {
  const high = Math.max(r, g, b);
  if (high - Math.min(r, g, b) < 48) return high < 170 && high > 60 ? 8 : null;
  const isOn = (value: number): number => (value > high * 0.6 ? 1 : 0);
  return isOn(r) + 2 * isOn(g) + 4 * isOn(b);
}

/** The characters of a line, without its style. */
export function plainText(line: Line): string {
  return line.map((span) => span.text).join("");
}
