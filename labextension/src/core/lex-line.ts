/** One line of Markdown, of which containers take their marks and indentation away from the left. */

const TAB = 4;

export class Line {
  #column = 0;

  constructor(public rest: string) {}

  get isBlank(): boolean {
    return this.rest.trim() === "";
  }

  /** The columns of white space that the rest begins with; a tab reaches to the next fourth column. */
  get indent(): number {
    let end = this.#column;
    for (const character of this.rest) {
      if (character === " ") end += 1;
      else if (character === "\t") end += TAB - (end % TAB);
      else break;
    }
    return end - this.#column;
  }

  /** The rest without its indentation. */
  get words(): string {
    return this.rest.trimStart();
  }

  /** Takes away a number of columns of white space, or as many as there are; what is left of a tab becomes spaces. */
  dropSpace(columns: number): void {
    for (let left = columns; left > 0; ) {
      const width = this.rest.startsWith("\t") ? TAB - (this.#column % TAB) : this.rest.startsWith(" ") ? 1 : 0;
      if (width === 0) return;
      const taken = Math.min(width, left);
      this.rest = " ".repeat(width - taken) + this.rest.slice(1);
      this.#column += taken;
      left -= taken;
    }
  }

  /** Takes away a mark of so many characters, which is no white space. */
  dropMark(length: number): void {
    this.rest = this.rest.slice(length);
    this.#column += length;
  }

  /** Takes away the mark of a block quote, with one space; false where there is none. */
  dropQuote(): boolean {
    const { indent } = this;
    if (indent >= TAB || !this.words.startsWith(">")) return false;
    this.dropSpace(indent);
    this.dropMark(1);
    this.dropSpace(1);
    return true;
  }
}
