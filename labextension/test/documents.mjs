// Documents put together at random from what models write, the same in each run.

const SNIPPETS = [
  "Some words of a paragraph,\ngoing on in a second line.",
  "# A heading",
  "### Another heading ###",
  "Heading below\n===",
  "Second level\n---",
  "**bold** and *italic* and ***both***",
  "a **bold *nested* text** and __strong__ _em_",
  "snake_case_name and file_name.py, 2*3*4",
  "**bold:** text, **bold**: text",
  "`code` and ``code with ` tick`` and `a*b*c`",
  "~~gone~~ and ~~also **gone**~~",
  "- one\n- two\n- three",
  "* star\n* star two",
  "1. first\n2. second\n3. third",
  "7) seven\n8) eight",
  "- outer\n  - inner\n    - innermost\n- outer again",
  "1. step\n   - detail\n   - detail two\n2. next step",
  "- [ ] to do\n- [x] done",
  "- loose\n\n- list",
  "- item\n\n  with a second paragraph",
  "1. code:\n\n   ```sh\n   make all\n   ```\n\n2. after",
  "- code:\n  ```\n  x = 1\n  ```",
  "```python\ndef f(x):\n    return x\n\nprint(f(1))\n```",
  "~~~\ntildes ``` inside\n~~~",
  "    indented code\n\n    goes on",
  "> a quote\n> goes on",
  "> quote\nlazy line",
  "> > nested\n>\n> outer",
  "> - list in a quote\n> - second",
  "---",
  "* * *",
  "| a | b |\n|---|:-:|\n| 1 | `2` |\n| 3 \\| 4 | **5** |",
  "left | right\n:--- | ---:\nx | y",
  "[link](https://a.example/x_y_z) and [another](<b c.md> \"title\")",
  "![picture](p.png \"title\") [![badge](b.svg)](https://c.example)",
  "[reference] and [text][Reference] and [none]\n\n[reference]: https://r.example 'title'",
  "<https://auto.example> https://bare.example/p?q=1&r=2. www.w.example, me@mail.example",
  "hard break  \nnext\\\nlast",
  "\\*not em\\* \\# \\[no link\\] &amp; &lt;b&gt; 5 < 6 > 4",
  "a<br>b and <b>bold</b> html",
  "<div class=\"x\">\nhtml *block*\n</div>",
  "<!-- comment -->",
  "inline $x_1 + y_1$ and \\(a*b*c\\), $5 and $6",
  "$$\nE = mc^2\n$$",
  "\\[ x_1 \\]",
];
const SEPARATORS = ["\n\n", "\n\n", "\n", " "];
const PLAIN = ["", ""];
const FRAMES = [
  PLAIN,
  PLAIN,
  PLAIN,
  ["> ", "> "],
  ["- ", "  "],
  ["1. ", "   "],
  ["- - ", "    "],
];

/** Numbers between 0 and 1 that look random, after "mulberry32". */
export function numbersOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a line without its marks may go on with: there, marked and CommonMark read lines differently. */
const CONTAINER = /^(?:[-*>] |\d+[.)] | {4})/m;

/** After words in the same line, a table has another number of columns in its head; it goes on until a block begins. */
const TABLE = /^.*\|.*\n[|:-]/;

/** So many documents of one to six snippets, some of them in a quote or an item. */
export function documents(count, seed) {
  const next = numbersOf(seed);
  const pick = (all) => all[Math.floor(next() * all.length)];
  return Array.from({ length: count }, () => {
    let text = "";
    let mayJoin = false;
    for (let left = 1 + Math.floor(next() * 6); left > 0; left -= 1) {
      const [first, rest] = pick(FRAMES);
      const snippet = pick(SNIPPETS);
      const framed = snippet.split("\n").map((line, i) => `${i === 0 ? first : rest}${line}`.trimEnd() + (line.endsWith("  ") ? "  " : ""));
      const isPlain = first === "";
      const separator = mayJoin && isPlain ? pick(TABLE.test(snippet) ? ["\n\n", "\n"] : SEPARATORS) : "\n\n";
      text += (text === "" ? "" : separator) + framed.join("\n");
      mayJoin = isPlain && !CONTAINER.test(snippet) && !TABLE.test(snippet);
    }
    return `${text}\n`;
  });
}
