/** Where the terminal of a session stands: what the bar says, what stands in place of the frame, and what can be done. */

import type { Terminal } from "./read";
import { type Situation, isOver } from "./standing";

export interface FrameState {
  /** How far the frame is: open, on its way, or why not. */
  name: "connecting" | "open" | "lost" | "unreachable" | "refused";
  /** What the server said of it. */
  words: string;
}

export interface TerminalSituation extends Pick<Situation, "session" | "link"> {
  terminal: Terminal | null;
  frame: FrameState;
  /** This page can show the frame. */
  isFramed: boolean;
  /** A person asked for the terminal, and the session has not answered yet. */
  isAsked: boolean;
  /** What it answered instead of opening one. */
  refusal: string;
}

export interface Stage {
  /** The dot beside the word; `done` while a terminal runs. */
  dot: "done" | "starting" | "lost" | "closed" | "failed";
  /** For the bar. */
  word: string;
  /** A sentence in place of the frame; "" while the frame is open. */
  text: string;
  detail?: string;
  /** The label of the button that opens a terminal, where there is something to open. */
  again?: "Start" | "Restart" | "Try again" | false;
  /** Whether the frame is to be in the page, be it behind the sentence. */
  isFramed?: boolean;
}

const STARTING: Stage = { dot: "starting", word: "Starting", text: "Starting the terminal…" };
const OF_FRAME: Record<FrameState["name"], Stage> = {
  connecting: { dot: "starting", word: "Connecting…", text: "Connecting to the terminal…" },
  open: { dot: "done", word: "Running", text: "" },
  lost: { dot: "lost", word: "Reconnecting…", text: "The connection to the terminal broke. Trying again…" },
  unreachable: { dot: "lost", word: "Host unreachable", text: "The host of the session does not answer. Trying again…" },
  refused: { dot: "failed", word: "Not shown", text: "The Jupyter server does not show this terminal.", again: "Try again" },
};

export function stageOf({ session, terminal, link, frame, isFramed, isAsked, refusal }: TerminalSituation): Stage {
  const { status = "", exitStatus = null, detail = "" } = terminal ?? {};
  const isLive = link === "live";
  if (isOver(session) || link === "gone") return { dot: "closed", word: "Session closed", text: "The session is closed." };
  if (status === "running") {
    if (isFramed) return { ...OF_FRAME[frame.name], isFramed, detail: frame.words };
    return { dot: "done", word: "Running", text: "The terminal runs. JupyterLab and Notebook 7 can show it." };
  }
  if (isAsked) return STARTING;
  if (refusal !== "") return { dot: "failed", word: "Not started", text: refusal, again: isLive && "Try again" };
  if (status === "starting") return { ...STARTING, detail };
  if (status === "failed") {
    return { dot: "failed", word: "Failed", text: detail || "The terminal failed.", again: isLive && "Restart" };
  }
  if (status === "ended") {
    const dot = exitStatus ? "failed" : "closed";
    const word = exitStatus === null ? "Ended" : `Ended (exit ${exitStatus})`;
    return { dot, word, text: detail || "Codex in the terminal has ended.", again: isLive && "Restart" };
  }
  if (!isLive) return { ...OF_FRAME[link], text: "Waiting for the session…" };
  if (session.status === "starting") return { ...STARTING, text: "Starting Codex…", detail: session.detail };
  return { dot: "closed", word: "Not started", text: "No terminal is open in this session.", again: "Start" };
}

/** Whether to open a terminal for a person who wants to see it; one that failed shows why before. */
export function isToOpen(terminal: Terminal | null): boolean {
  return terminal === null || (terminal.status === "ended" && !terminal.exitStatus);
}
