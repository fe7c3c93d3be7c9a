/** One word for where a session stands: how its turn ended, what it does, or that it is out of reach. */

import type { Link, Session, Turn } from "../tokens";

export interface Situation {
  session: Session;
  /** The last turn that the view shows. */
  turn: Turn | null;
  isWaiting: boolean;
  /** The view shows the end of the session, not a part that lies behind. */
  isLatest: boolean;
  link: Link;
}

export interface Standing {
  name:
    | "starting"
    | "working"
    | "waiting"
    | "done"
    | "interrupted"
    | "failed"
    | "closed"
    | "ready"
    | "lost"
    | "ended";
  word: string;
}

const OF_TURN: Record<string, Standing> = {
  completed: { name: "done", word: "Done" },
  interrupted: { name: "interrupted", word: "Interrupted" },
  failed: { name: "failed", word: "Failed" },
};
const OF_SESSION: Record<string, Standing> = {
  idle: { name: "ready", word: "Ready" },
  running: { name: "working", word: "Working" },
  waiting: { name: "waiting", word: "Waiting for you" },
  failed: { name: "failed", word: "Failed" },
  closed: { name: "closed", word: "Closed" },
};
const OF_LINK: Record<Exclude<Link, "live">, Standing> = {
  connecting: { name: "lost", word: "Connecting…" },
  lost: { name: "lost", word: "Reconnecting…" },
  gone: { name: "ended", word: "Ended" },
};

export function standingOf({ session, turn, isWaiting, isLatest, link }: Situation): Standing {
  const ended = turn === null ? undefined : OF_TURN[turn.status];
  const own = OF_SESSION[session.status] ?? { name: "starting", word: "Starting" };
  // What is over stays what it was; anything else cannot be told without a connection.
  if (link !== "live" && !isOver(session) && (ended === undefined || (isLatest && link === "lost"))) return OF_LINK[link];
  if (ended !== undefined) return ended;
  if (isOver(session)) return own;
  if (isWaiting) return { name: "waiting", word: "Waiting for you" };
  return turn === null ? own : { name: "working", word: "Working" };
}

export function isOver({ status }: Session): boolean {
  return status === "failed" || status === "closed";
}

/** Whether a turn runs, as far as the transcript says. */
export function isRunning({ session, turn }: Pick<Situation, "session" | "turn">): boolean {
  return turn?.status === "in_progress" && !isOver(session);
}
