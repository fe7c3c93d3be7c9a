/**
 * The words that the view shares with its transports: types of the transcript, frames and operations.
 *
 * Nothing here has a side effect. docs/architecture.md is the source; values that arrive are `Json` until
 * core/read.ts has looked at them.
 */

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export type Decision = "accept" | "accept_for_session" | "accept_rule" | "decline" | "cancel";

/** A file that goes with a message; `data` is base64. */
export interface Attachment {
  name: string;
  type: string;
  data: string;
}

/** What a view asks of the session; a transport adds the request id. */
export type Operation =
  | { op: "send"; text: string; attachments?: Attachment[] }
  | { op: "steer"; text: string; attachments?: Attachment[] }
  | { op: "unqueue"; message: string }
  | { op: "models" }
  | { op: "select"; model?: string; effort?: string }
  | { op: "interrupt" }
  | { op: "answer"; approval: string; decision: Decision; reason?: string }
  | { op: "open_terminal" }
  | { op: "close_terminal" }
  | { op: "dismiss_link"; link: string }
  | { op: "close" };

/** The two ways to show a thread. */
export type Face = "conversation" | "terminal";

/** The turns that a view shows: indices into transcript.turns, `to` exclusive, null for "and all that follow". */
export interface Window {
  from: number;
  to: number | null;
}

/** Where a page stands with a session: lost is being mended, gone means that no session host serves it. */
export type Link = "connecting" | "live" | "lost" | "gone";

/** How a page reaches a session: a WebSocket of the server extension, or the comm of a widget. */
export interface Transport {
  /** Sends one operation and answers what the session says; rejects with a `Refusal` when it refuses. */
  request(operation: Operation): Promise<JsonObject>;
  /** Asks for a snapshot frame, which comes to the listener of `listen`. */
  requestSnapshot(): void;
  /** Calls back for every frame, link frames included, until the function that it returns is called. */
  listen(onFrame: (frame: unknown) => void): () => void;
  /** Hangs up; what was asked and not answered is rejected. */
  dispose(): void;
}

/** What the page around a view can do; what is missing, the view does without. */
export interface Services {
  /** Typesets the LaTeX inside of an element. */
  typeset?(element: HTMLElement): void;
  /** Fills an element with highlighted code; it holds the code as plain text before. */
  highlight?(code: string, language: string, target: HTMLElement): void;
  /** Whether a file, by its absolute path, can be opened here. */
  canOpen?(path: string): boolean;
  openFile?(path: string): void;
  /** The base URL of the Jupyter server, for frames. */
  serverUrl?: string;
  /** Shows the terminal of a session in a tab of its own; where this is there, terminals are offered. */
  openTerminal?(session: string): void;
}

/** The session answered an operation with an error. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly hint: string,
  ) {
    super(message);
    this.name = "Refusal";
  }
}

/** No answer came, for the connection broke. What may be asked twice can be asked again. */
export class Unanswered extends Refusal {}

export interface Session {
  id: string;
  name: string;
  host: string;
  cwd: string;
  status: string;
  detail: string;
  hint: string;
  threadId: string;
  model: string;
  effort: string;
  sandbox: string;
  network: boolean;
  ask: string;
  replay: string;
  codexVersion: string;
}

export interface TurnError {
  message: string;
  kind: string;
  detail: string;
  hint: string;
  statusCode: number | null;
}

export interface Turn {
  id: string;
  status: string;
  startedAt: number | null;
  completedAt: number | null;
  error: TurnError | null;
}

export interface Item {
  id: string;
  turn: string;
  thread: string;
  type: string;
  status: string;
  text: string;
  output: string;
  startedAt: number | null;
  completedAt: number | null;
  body: JsonObject;
}

export interface FileChange {
  path: string;
  kind: "add" | "delete" | "update";
  movedTo: string;
  /** The content of the file for add and delete, hunks of a unified diff for update. */
  diff: string;
}

export interface Approval {
  id: string;
  kind: string;
  item: string;
  turn: string;
  title: string;
  reason: string;
  command: string;
  cwd: string;
  host: string;
  changes: FileChange[];
  permissions: Json;
  decisions: Decision[];
  rule: string;
  status: string;
  decision: string;
  note: string;
  createdAt: number | null;
  expiresAt: number | null;
}

export interface Notice {
  id: string;
  level: string;
  text: string;
  hint: string;
  at: number | null;
}

export interface Plan {
  turn: string;
  explanation: string;
  steps: { step: string; status: string }[];
}

export interface Usage {
  total: number;
  last: number;
  contextWindow: number | null;
}
