/** Text that a person judges by eye. */

const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;

/**
 * Makes characters visible that a person cannot see or that reorder what is seen: `⟨U+202E⟩`.
 *
 * Line feeds and tabs stay; a carriage return shows as ␍.
 */
export function reveal(text: string): string {
  return text.replace(HIDDEN, (character) => {
    if (character === "\n" || character === "\t") return character;
    if (character === "\r") return "␍";
    const code = character.codePointAt(0) ?? 0;
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}
