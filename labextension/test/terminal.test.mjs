// Where a terminal stands, in words, and which address its frame may have.

import assert from "node:assert/strict";
import test from "node:test";
import { load } from "./loading.mjs";

globalThis.location = { origin: "http://host:8888", href: "http://host:8888/user/a/lab/tree/x.ipynb" };
const { isToOpen, stageOf, terminalUrl } = await load(
  `export { isToOpen, stageOf } from "./terminal-stage"; export { terminalUrl } from "./terminal-frame";`,
);

const ENDED = { status: "ended", kind: "thread", exitStatus: 0, detail: "", screen: "" };
const SITUATION = {
  session: { status: "idle", detail: "" },
  link: "live",
  terminal: null,
  frame: { name: "connecting", words: "" },
  isFramed: true,
  isAsked: false,
  refusal: "",
};
const running = { ...ENDED, status: "running", exitStatus: null };
const framed = (name, words = "") => ({ terminal: running, frame: { name, words } });

/** What is so, and what the bar says, what can be pressed, and whether there is a frame. */
const STAGES = {
  "none was opened": [{}, "Not started", "Start", false],
  "one was asked for": [{ isAsked: true }, "Starting", undefined, false],
  "the session refused": [{ refusal: "There is no tmux." }, "Not started", "Try again", false],
  "one starts": [{ terminal: { ...ENDED, status: "starting" } }, "Starting", undefined, false],
  "one runs, and its frame connects": [framed("connecting"), "Connecting…", undefined, true],
  "one runs": [framed("open"), "Running", undefined, true],
  "one runs, though one was asked for": [{ ...framed("open"), isAsked: true }, "Running", undefined, true],
  "the connection broke": [framed("lost"), "Reconnecting…", undefined, true],
  "the host does not answer": [framed("unreachable"), "Host unreachable", undefined, true],
  "the server refuses": [framed("refused", "No."), "Not shown", "Try again", true],
  "one runs, and this page has no frames": [{ terminal: running, isFramed: false }, "Running", undefined, false],
  "one ended well": [{ terminal: ENDED }, "Ended (exit 0)", "Restart", false],
  "one ended badly": [{ terminal: { ...ENDED, exitStatus: 3 } }, "Ended (exit 3)", "Restart", false],
  "one ended, and nobody knows how": [{ terminal: { ...ENDED, exitStatus: null } }, "Ended", "Restart", false],
  "one ended, and the session is out of reach": [{ terminal: ENDED, link: "lost" }, "Ended (exit 0)", false, false],
  "one failed": [{ terminal: { ...ENDED, status: "failed" } }, "Failed", "Restart", false],
  "the session is closed": [{ ...framed("open"), session: { status: "closed" } }, "Session closed", undefined, false],
  "the session is gone": [{ ...framed("open"), link: "gone" }, "Session closed", undefined, false],
  "the session connects": [{ link: "connecting" }, "Connecting…", undefined, false],
  "the session starts": [{ session: { status: "starting", detail: "" } }, "Starting", undefined, false],
};

for (const [name, [situation, word, again, isFramed]] of Object.entries(STAGES)) {
  test(`the bar is right when ${name}`, () => {
    const stage = stageOf({ ...SITUATION, ...situation });
    assert.deepEqual([stage.word, stage.again, stage.isFramed ?? false], [word, again, isFramed]);
  });
}

test("what the server and the session say is told", () => {
  const told = [framed("refused", "No. Ask."), { refusal: "No tmux." }, { terminal: { ...ENDED, detail: "It was left." } }];
  const words = told.map((it) => stageOf({ ...SITUATION, ...it })).map(({ text, detail }) => [text, detail]);
  assert.deepEqual(words, [
    ["The Jupyter server does not show this terminal.", "No. Ask."],
    ["No tmux.", undefined],
    ["It was left.", undefined],
  ]);
});

test("one that failed shows why before it is opened again", () => {
  const terminals = [null, ENDED, { ...ENDED, exitStatus: 1 }, { ...ENDED, status: "failed" }, running];
  assert.deepEqual(terminals.map(isToOpen), [true, true, false, false, false]);
});

test("a frame has an address of this server, and a session's id in it", () => {
  const here = "http://host:8888/user/a/codex-nb/terminal/s-1/";
  const addresses = ["/user/a/", "/user/a", "http://host:8888/user/a/", "http://other:8888/", "//other/", "javascript:0"];
  const ids = ["s", "20260101-9_a", "", "../x", "a/b", "a?b", "-a", "%2e", "a".repeat(65)];
  assert.deepEqual(
    [addresses.map((it) => terminalUrl(it, "s-1")), ids.map((it) => terminalUrl("/", it) !== null)],
    [
      [here, here, here, null, null, null],
      [true, true, false, false, false, false, false, false, false],
    ],
  );
});
