/**
 * A WebSocket that is opened again when it breaks.
 *
 * The pauses grow from a quarter of a second to ten seconds, and end early when the machine gets its network back or the
 * page is looked at again.
 */

const SHORTEST_MS = 250;
const LONGEST_MS = 10_000;

export interface SocketListener {
  opened(): void;
  message(data: unknown): void;
  /** It broke, or did not open; with `false` it stays closed. */
  closed(code: number): boolean;
}

export class LastingSocket {
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private pause = SHORTEST_MS;

  constructor(
    private readonly make: () => WebSocket,
    private readonly listener: SocketListener,
  ) {}

  /** Opens it, unless it is open or about to be. */
  open(): void {
    if (this.socket !== null) return;
    this.forgetTimer();
    const socket = this.make();
    this.socket = socket;
    socket.onopen = () => this.listener.opened();
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      this.pause = SHORTEST_MS;
      this.listener.message(data);
    };
    socket.onclose = ({ code }) => {
      this.socket = null;
      if (this.listener.closed(code)) this.openLater();
    };
  }

  /** False when it is not open. */
  send(data: string): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(data);
    return true;
  }

  /** Closes it; the listener hears nothing more. */
  close(): void {
    this.forgetTimer();
    const { socket } = this;
    this.socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  private openLater(): void {
    // Not all in the same moment, when a server comes back to many pages.
    this.timer = setTimeout(this.openNow, this.pause * (0.75 + Math.random() / 2));
    this.pause = Math.min(this.pause * 2, LONGEST_MS);
    globalThis.addEventListener("online", this.openNow);
    document.addEventListener("visibilitychange", this.openWhenSeen);
  }

  private readonly openNow = (): void => this.open();

  private readonly openWhenSeen = (): void => {
    if (document.visibilityState === "visible") this.open();
  };

  private forgetTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    globalThis.removeEventListener("online", this.openNow);
    document.removeEventListener("visibilitychange", this.openWhenSeen);
  }
}
