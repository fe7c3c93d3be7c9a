/**
 * When to try again what broke.
 *
 * The pauses grow from a quarter of a second to ten seconds, and end early when the machine gets its network back or the
 * page is looked at again.
 */

const SHORTEST_MS = 250;
const LONGEST_MS = 10_000;

export class Retry {
  #waiting: AbortController | null = null;
  #pause = SHORTEST_MS;

  constructor(private readonly act: () => void) {}

  /** Acts after a pause, unless it waits already. */
  later(): void {
    if (this.#waiting !== null) return;
    this.#waiting = new AbortController();
    const { signal } = this.#waiting;
    const now = (): void => {
      this.cancel();
      this.act();
    };
    // Not all in the same moment, when a server comes back to many pages.
    const timer = setTimeout(now, this.#pause * (0.75 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, LONGEST_MS);
    globalThis.addEventListener("online", now, { signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && now(), { signal });
    signal.onabort = () => clearTimeout(timer);
  }

  cancel(): void {
    this.#waiting?.abort();
    this.#waiting = null;
  }

  /** It works: the next pause is a short one. */
  reset(): void {
    this.#pause = SHORTEST_MS;
  }
}
