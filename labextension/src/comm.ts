/** The comm of an anywidget as a transport: frames and replies are its custom messages. */

import { isObject, textOf } from "./core/json";
import { type JsonObject, type Operation, Refusal, type Transport } from "./tokens";

/** What this view uses of an anywidget model. */
export interface Model {
  get(name: string): unknown;
  on(event: string, callback: (...values: unknown[]) => void): void;
  off(event: string, callback: (...values: unknown[]) => void): void;
  send(content: unknown): void;
}

interface Waiting {
  resolve(answer: JsonObject): void;
  reject(problem: Error): void;
}

export class CommTransport implements Transport {
  readonly #waiting = new Map<string, Waiting>();
  readonly #listeners = new Set<(frame: unknown) => void>();
  /** Several views share one comm, and each answer reaches all of them. */
  readonly #prefix = crypto.getRandomValues(new Uint32Array(2)).join("-");
  #last = 0;

  constructor(private readonly model: Model) {
    model.on("msg:custom", this.#receive);
    model.send({ op: "hello", viewer: this.#prefix });
  }

  request(operation: Operation): Promise<JsonObject> {
    const id = `${this.#prefix}-${++this.#last}`;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.model.send({ id, ...operation });
    });
  }

  requestSnapshot(): void {
    this.model.send({ op: "snapshot" });
  }

  listen(onFrame: (frame: unknown) => void): () => void {
    this.#listeners.add(onFrame);
    onFrame({ frame: "link", state: "live" });
    return () => this.#listeners.delete(onFrame);
  }

  dispose(): void {
    this.model.off("msg:custom", this.#receive);
    this.#listeners.clear();
    for (const { reject } of this.#waiting.values()) reject(new Refusal("The view was closed.", ""));
    this.#waiting.clear();
    this.model.send({ op: "bye", viewer: this.#prefix });
  }

  readonly #receive = (message: unknown): void => {
    if (!isObject(message)) return;
    if (!("reply" in message)) {
      for (const listener of this.#listeners) listener(message);
      return;
    }
    const id = String(message.reply);
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (isObject(message.error)) {
      const { error } = message;
      waiting?.reject(new Refusal(textOf(error.message) || "The session refused.", textOf(error.hint)));
    } else {
      waiting?.resolve(isObject(message.ok) ? message.ok : {});
    }
  };
}
