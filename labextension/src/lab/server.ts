/** What the page asks of our server extension, below the base URL and with the credentials of JupyterLab. */

import { URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";
import { isObject, listOf, numberOf, textOf } from "../core/json";
import { type Json, type JsonObject, Refusal, type Window } from "../tokens";

const ROOT = "codex-nb";

/** A session as the list of sessions shows it. */
export interface Entry {
  id: string;
  name: string;
  host: string;
  cwd: string;
  /** Path of the notebook that asked for it, absolute, or "". */
  notebook: string;
  status: string;
  /** Questions that wait for an answer. */
  waiting: number;
  /** Unix seconds; null while no turn runs. */
  turnStartedAt: number | null;
  createdAt: number;
  /** Why it ended; "" while it runs. */
  ended: string;
}

export function readEntry(it: JsonObject): Entry {
  return {
    id: textOf(it.id),
    name: textOf(it.name),
    host: textOf(it.host),
    cwd: textOf(it.cwd),
    notebook: textOf(it.notebook),
    status: textOf(it.status),
    waiting: numberOf(it.waiting) ?? 0,
    turnStartedAt: numberOf(it.turn_started_at),
    createdAt: numberOf(it.created_at) ?? 0,
    ended: textOf(it.ended),
  };
}

/** What a notebook is to keep of some turns: a MIME bundle, current up to event `n`. */
export interface Bundle {
  n: number;
  data: JsonObject;
}

export class Server {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  openEvents(session: string, since: number | null): WebSocket {
    return this.#open(["sessions", session, "events"], since === null ? {} : { since: String(since) });
  }

  openWatch(): WebSocket {
    return this.#open(["watch"], {});
  }

  async sessions(): Promise<Entry[]> {
    const answer = await this.#ask("GET", ["sessions"]);
    return listOf(isObject(answer) ? answer.sessions : null).filter(isObject).map(readEntry);
  }

  /** Whether the server has our extension; null when it cannot be asked. */
  async hasExtension(): Promise<boolean | null> {
    try {
      await this.sessions();
      return true;
    } catch (problem) {
      return problem instanceof ServerConnection.ResponseError && problem.response.status === 404 ? false : null;
    }
  }

  async interrupt(session: string): Promise<void> {
    await this.#ask("POST", ["sessions", session, "interrupt"]);
  }

  async openTerminal(session: string): Promise<void> {
    await this.#ask("POST", ["sessions", session, "terminal"]);
  }

  terminalUrl(session: string): string {
    return URLExt.join(this.settings.baseUrl, ROOT, "terminal", session, "/");
  }

  async close(session: string): Promise<void> {
    await this.#ask("DELETE", ["sessions", session]);
  }

  async bundle(session: string, { from, to }: Window): Promise<Bundle | null> {
    const range = { from: String(from), ...(to === null ? {} : { to: String(to) }) };
    const answer = await this.#ask("GET", ["sessions", session, "bundle"], range);
    if (!isObject(answer) || !isObject(answer.data)) return null;
    return { n: numberOf(answer.n) ?? -1, data: answer.data };
  }

  #open(path: string[], query: Record<string, string>): WebSocket {
    const { settings } = this;
    const url = URLExt.join(settings.wsUrl, ROOT, ...path.map(encodeURIComponent));
    const token = settings.appendToken && settings.token !== "" ? { token: settings.token } : {};
    return new settings.WebSocket(url + URLExt.objectToQueryString({ ...query, ...token }));
  }

  /** Rejects with a `Refusal` when our extension refuses, and with an error of ServerConnection otherwise. */
  async #ask(method: string, path: string[], query: Record<string, string> = {}): Promise<Json> {
    const { settings } = this;
    const url = URLExt.join(settings.baseUrl, ROOT, ...path.map(encodeURIComponent));
    const response = await ServerConnection.makeRequest(url + URLExt.objectToQueryString(query), { method }, settings);
    const text = await response.text();
    const answer = parse(text);
    if (response.ok) return answer;
    if (isObject(answer) && textOf(answer.hint) !== "") throw new Refusal(textOf(answer.message), textOf(answer.hint));
    throw new ServerConnection.ResponseError(response, `The Jupyter server answered ${response.status}.`);
  }
}

function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}
