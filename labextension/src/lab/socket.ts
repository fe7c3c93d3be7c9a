/** A WebSocket that is opened again when it breaks. */

import { Retry } from "../core/retry";

export interface SocketListener {
  opened(): void;
  message(data: unknown): void;
  /** It broke, or did not open; with `false` it stays closed. */
  closed(code: number): boolean;
}

export class LastingSocket {
  #socket: WebSocket | null = null;
  readonly #retry = new Retry(() => this.open());

  constructor(
    private readonly make: () => WebSocket,
    private readonly listener: SocketListener,
  ) {}

  /** Opens it, unless it is open or about to be. */
  open(): void {
    if (this.#socket !== null) return;
    this.#retry.cancel();
    const socket = this.make();
    this.#socket = socket;
    socket.onopen = () => this.listener.opened();
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      this.#retry.reset();
      this.listener.message(data);
    };
    socket.onclose = ({ code }) => {
      this.#socket = null;
      if (this.listener.closed(code)) this.#retry.later();
    };
  }

  /** False when it is not open. */
  send(data: string): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(data);
    return true;
  }

  /** Closes it; the listener hears nothing more. */
  close(): void {
    this.#retry.cancel();
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}
