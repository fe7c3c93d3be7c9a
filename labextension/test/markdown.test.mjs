// The lexer of Markdown: what it reads, that it reads what marked reads, and that no text holds it up.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import test from "node:test";
import { documents } from "./documents.mjs";
import { blocksOf, ours, theirs } from "./reading.mjs";

const REPOSITORY = new URL("../../", import.meta.url);
const CASES = JSON.parse(await readFile(new URL("cases.json", import.meta.url), "utf8"));
const SEED = 20_260_101;

/** Where we read another thing than marked: the text, what we read in it, and what marked does. */
const DIFFERENCES = {
  "a line without its mark goes on with a paragraph only": [
    "> # a\nb",
    [["blockquote", ["h1", "a"]], ["paragraph", "b"]],
    [["blockquote", ["h1", "a"], ["paragraph", "b"]]],
  ],
  "such a line underlines no heading": [
    "- a\nb\n===",
    [["ul", ["item", "a b ==="]]],
    [["ul", ["item", ["h1", "a b"]]]],
  ],
  "a table below a list without a blank line is not in the list": [
    "- a\n|b|\n|-|",
    [["ul", ["item", "a"]], ["table", ["row", ["cell", "b"]]]],
    [["ul", ["item", "a", ["table", ["row", ["cell", "b"]]]]]],
  ],
  "a line with bars that heads no table cuts no paragraph in two": [
    "a\nb | c\n|-|",
    [["paragraph", "a b | c |-|"]],
    [["paragraph", "a"], ["paragraph", "b | c |-|"]],
  ],
  "a formula ends a table": [
    "|a|\n|-|\n$$b$$",
    [["table", ["row", ["cell", "a"]]], ["formula", "$$b$$"]],
    [["table", ["row", ["cell", "a"]], ["row", ["cell", ["formula", "$$b$$"]]]]],
  ],
  "a fence without an end interrupts a paragraph": [
    "a\n```",
    [["paragraph", "a"], ["code", ""]],
    [["paragraph", "a ```"]],
  ],
  "the indentation of a fence is taken away from lines that have less": [
    "  ```\n a\n  ```",
    [["code", "a"]],
    [["code", " a"]],
  ],
  "there are no links in links": [
    "[a [b](c) d](e)",
    [["paragraph", "[a ", ["link", "c", "b"], " d](e)"]],
    [["paragraph", ["link", "e", "a ", ["link", "c", "b"], " d"]]],
  ],
  "a bare address ends with the brackets around it": [
    "[see https://a.example]",
    [["paragraph", "[see ", ["link", "https://a.example", "https://a.example"], "]"]],
    [["paragraph", "[see ", ["link", "https://a.example]", "https://a.example]"]]],
  ],
  "a bare address ends at a Chinese full stop": [
    "https://a.example。b",
    [["paragraph", ["link", "https://a.example", "https://a.example"], "。b"]],
    [["paragraph", ["link", "https://a.example。b", "https://a.example。b"]]],
  ],
  "a version is no mail address": [
    "a@1.2.3",
    [["paragraph", "a@1.2.3"]],
    [["paragraph", ["link", "mailto:a@1.2.3", "a@1.2.3"]]],
  ],
  "a formula is stronger than emphasis around it": [
    "*a $b*c$ d*",
    [["paragraph", ["em", "a ", ["formula", "$b*c$"], " d"]]],
    [["paragraph", ["em", "a $b"], "c$ d*"]],
  ],
};

for (const [group, cases] of Object.entries(CASES)) {
  test(`Markdown is read: ${group}`, () => {
    for (const [text, expected] of cases) assert.deepEqual(ours(text), expected, JSON.stringify(text));
  });
}

test("there are cases enough, and no two are the same", () => {
  const texts = Object.values(CASES).flat().map(([text]) => text);

  assert.ok(texts.length >= 120);
  assert.equal(new Set(texts).size, texts.length);
});

for (const [name, [text, expected, other]] of Object.entries(DIFFERENCES)) {
  test(`unlike with marked, ${name}`, () => {
    assert.deepEqual(ours(text), expected);
    assert.deepEqual(theirs(text), other);
  });
}

/** All strings in a value that came from JSON. */
function stringsIn(value) {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}

async function written() {
  const docs = (await readdir(new URL("docs/", REPOSITORY))).filter((name) => name.endsWith(".md"));
  const texts = [new URL("README.md", REPOSITORY), ...docs.map((name) => new URL(`docs/${name}`, REPOSITORY))];
  const views = await readdir(new URL("tests/data/views/", REPOSITORY));
  const data = views.map((name) => new URL(`tests/data/views/${name}`, REPOSITORY));
  const read = (urls) => Promise.all(urls.map((url) => readFile(url, "utf8")));
  return [...(await read(texts)), ...(await read(data)).flatMap((text) => stringsIn(JSON.parse(text)))];
}

function assertSame(text) {
  assert.deepEqual(ours(text), theirs(text), JSON.stringify(text));
  assert.equal(blocksOf(text).map(({ raw }) => raw).join(""), text);
}

test("what this repository holds is read as marked reads it", async () => {
  const texts = await written();

  assert.ok(texts.length > 200);
  for (const text of texts) assertSame(text);
});

test("documents put together at random are read as marked reads them", () => {
  for (const text of documents(5000, SEED)) assertSame(text);
});

/** The blocks of a text that are drawn. */
function drawn(text) {
  return blocksOf(text)
    .filter(({ type }) => type !== "space")
    .map(({ type, raw }) => [type, raw.trimEnd()]);
}

for (const seed of [1, 2, 3]) {
  test(`in every beginning of a long document, all but the last two blocks stand (${seed})`, () => {
    const text = documents(12, seed).join("\n");
    let standing = [];
    for (let end = 0; end <= text.length; end += 1) {
      const start = text.slice(0, end);
      assert.equal(blocksOf(start).map(({ raw }) => raw).join(""), start);
      const now = drawn(start);
      assert.deepEqual(now.slice(0, standing.length), standing, JSON.stringify(start.slice(-80)));
      standing = now.slice(0, -2);
    }
  });
}

test("from the start of any block on, a document is read as it is within the whole", () => {
  for (const text of documents(500, 4)) {
    const tokens = blocksOf(text);
    let start = 0;
    for (const [i, { type, raw }] of tokens.entries()) {
      const rest = tokens.slice(i).filter((token) => token.type !== "space");
      if (type !== "space") assert.deepEqual(drawn(text.slice(start)), rest.map((token) => [token.type, token.raw.trimEnd()]));
      start += raw.length;
    }
  }
});

test("text that is longer than the page can draw is no Markdown", () => {
  assert.notEqual(blocksOf("a".repeat(300_000)), null);
  assert.equal(blocksOf("a".repeat(300_001)), null);
});

test("what nests without end nests to a bound", () => {
  const depthOf = (value) => (typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0);
  for (const text of ["> ".repeat(5000), "- ".repeat(5000) + "a", "*".repeat(5000) + "a" + "*".repeat(5000), "![".repeat(5000) + "](a)".repeat(5000)]) {
    assert.ok(depthOf(blocksOf(text)) < 150, text.slice(0, 10));
  }
});

// What backtracks takes minutes; a slow machine does not.
const LIMIT_MS = 5000;
const NASTY = "[ * ` > - | < ( _a **a *_ ` `` [a]( ![ ] \\ $ <a <!-- & ~~a http:// www. a@ [a]:b # 1. [a][ * _ *a_b a* ***a".split(" ").concat("- ", "> ", "\t", "\n", "* * ");

/** The least processor time of some runs: the first of them compile, and other work must not count. */
function quickest(text) {
  const times = [1, 2, 3, 4, 5].map(() => {
    const start = process.cpuUsage();
    blocksOf(text);
    return process.cpuUsage(start).user / 1000;
  });
  return Math.min(...times);
}

test("no text of 100,000 characters takes long", () => {
  for (const part of new Set(NASTY)) {
    const text = `a\n\n${part.repeat(100_000).slice(0, 100_000)}\nb`;
    const time = quickest(text);
    assert.ok(time < LIMIT_MS, `${JSON.stringify(part)}: ${time} ms`);
  }
});

test("documents of 300,000 characters do not take long", () => {
  const [long] = [documents(3000, 5).join("\n").slice(0, 300_000)];
  for (const text of [long, "a word ".repeat(42_000), "- item **b** `c`\n".repeat(17_000), "|a|`b`|\n|-|-|\n" + "|c|d|\n".repeat(49_000)]) {
    const time = quickest(text);
    assert.ok(time < LIMIT_MS, `${JSON.stringify(text.slice(0, 20))}: ${time} ms`);
  }
});
