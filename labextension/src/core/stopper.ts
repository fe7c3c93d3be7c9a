/**
 * Stopping a turn: one press for all the buttons of a view.
 *
 * The press shows at once. When the turn still runs after five seconds, another press is taken, and offers the end of the
 * session as well.
 */

import type { Context } from "./context";
import { messageOf } from "./text";

const PATIENCE_MS = 5000;

export interface Stopping {
  phase: "ready" | "stopping" | "slow";
  /** The second press was in vain as well: the end of the session is offered. */
  isStuck: boolean;
  problem: string;
}

const READY: Stopping = { phase: "ready", isStuck: false, problem: "" };

export class Stopper {
  /** What would be stopped: a turn, or the start of the session; null when there is nothing to stop. */
  #target: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #now = READY;

  constructor(
    private readonly context: Context,
    private readonly onChange: (stopping: Stopping) => void,
  ) {}

  get state(): Stopping {
    return this.#now;
  }

  aim(target: string | null): void {
    if (target === this.#target) return;
    this.#target = target;
    this.#rest(READY);
  }

  press(): void {
    if (this.#target === null || this.#now.phase === "stopping") return;
    const isStuck = this.#now.phase === "slow";
    this.#rest({ phase: "stopping", isStuck, problem: "" });
    const target = this.#target;
    this.#timer = setTimeout(() => this.#change({ ...this.#now, phase: "slow" }), PATIENCE_MS);
    this.context.request({ op: "interrupt" }).catch((problem: unknown) => {
      if (this.#target === target) this.#rest({ ...READY, isStuck, problem: messageOf(problem) });
    });
  }

  dispose(): void {
    clearTimeout(this.#timer);
  }

  #rest(state: Stopping): void {
    clearTimeout(this.#timer);
    this.#change(state);
  }

  #change(state: Stopping): void {
    this.#now = state;
    this.onChange(state);
  }
}
