/**
 * One connection to each session that the page shows, for all who show it.
 *
 * A feed is kept for some seconds after its last view went, because a notebook that is scrolled or redrawn takes views away
 * and brings them back.
 */

import { Feed } from "../core/feed";
import type { Server } from "./server";
import { SocketTransport } from "./transport";
import type { Watch } from "./watch";

const LINGER_MS = 5000;
/** A session host that took over from another is listed before the end of the other is told. */
const SECOND_LOOK_MS = 2000;

/** One holder's share of a feed; to be released once. */
export interface Held {
  feed: Feed;
  release(): void;
}

interface Connection {
  feed: Feed;
  transport: SocketTransport;
  holders: number;
  ending: ReturnType<typeof setTimeout> | null;
  looking: ReturnType<typeof setTimeout> | null;
}

export class SessionHub {
  readonly #connections = new Map<string, Connection>();

  constructor(
    private readonly server: Server,
    private readonly watch: Watch,
  ) {
    watch.changed.connect(() => {
      for (const session of this.#connections.keys()) this.#lookAgain(session);
    });
  }

  /** A share of the feed of a session; `isStarting` for one whose session host may not be known yet. */
  open(session: string, { isStarting = false } = {}): Held {
    const connection = this.#connections.get(session) ?? this.#connect(session);
    if (isStarting) connection.transport.expectStart();
    if (connection.ending !== null) clearTimeout(connection.ending);
    connection.ending = null;
    connection.holders += 1;
    let isHeld = true;
    return {
      feed: connection.feed,
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        connection.holders -= 1;
        if (connection.holders > 0) return;
        connection.ending = setTimeout(() => this.#disconnect(session), LINGER_MS);
      },
    };
  }

  /** Connects again to a session that was gone: somebody heard of it from elsewhere. */
  revive(session: string): void {
    const connection = this.#connections.get(session);
    if (connection?.transport.isGone === true) connection.transport.open();
  }

  #connect(session: string): Connection {
    const { server, watch } = this;
    const transport: SocketTransport = new SocketTransport({
      server,
      session,
      since: () => feed.replica.n,
      isUnserved: () => watch.state === "absent",
    });
    const feed: Feed = new Feed(transport);
    const connection: Connection = { feed, transport, holders: 0, ending: null, looking: null };
    this.#connections.set(session, connection);
    feed.attach(() => {
      if (!transport.isGone || connection.looking !== null) return;
      connection.looking = setTimeout(() => {
        connection.looking = null;
        this.#lookAgain(session);
      }, SECOND_LOOK_MS);
    });
    transport.open();
    return connection;
  }

  #lookAgain(session: string): void {
    if (this.watch.isRunning(session)) this.revive(session);
  }

  #disconnect(session: string): void {
    const connection = this.#connections.get(session);
    if (connection === undefined) return;
    this.#connections.delete(session);
    if (connection.looking !== null) clearTimeout(connection.looking);
    connection.feed.dispose();
  }
}
