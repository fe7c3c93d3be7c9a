/**
 * The anywidget module: `render` draws the session of a model until the function that it returns is called.
 *
 * Where our JupyterLab extension is on the page, the session comes by its WebSocket and the comm stays silent; elsewhere, and
 * for a session that the server does not know (a kernel on another machine), it comes by the comm.
 */

import { CommTransport, type Model } from "./comm";
import { Feed } from "./core/feed";
import { isObject } from "./core/json";
import { labConfig } from "./core/lab-config";
import { readFace, readWindow } from "./core/shown";
import { SessionView } from "./core/view";
import { type Page, pageOf } from "./page";
import type { Services } from "./tokens";

export { Replica } from "./core/state";

/** A view that is drawn anew, as every update of an output does it, finds the feed of the one before. */
const LINGER_MS = 5000;

interface Held {
  feed: Feed;
  holders: number;
  ending: ReturnType<typeof setTimeout> | null;
}

const held = new WeakMap<Model, Held>();

function holdFeed(model: Model): { feed: Feed; release(): void } {
  let known = held.get(model);
  if (known === undefined) {
    known = { feed: new Feed(new CommTransport(model)), holders: 0, ending: null };
    held.set(model, known);
  }
  const mine = known;
  if (mine.ending !== null) clearTimeout(mine.ending);
  mine.ending = null;
  mine.holders += 1;
  const snapshot = model.get("snapshot");
  if (isObject(snapshot)) mine.feed.receive({ ...snapshot, frame: "snapshot" });
  // What was sent between the making of the snapshot and this moment is lost.
  mine.feed.askForSnapshot();
  const end = (): void => {
    held.delete(model);
    mine.feed.dispose();
  };
  return {
    feed: mine.feed,
    release() {
      mine.holders -= 1;
      if (mine.holders === 0) mine.ending = setTimeout(end, LINGER_MS);
    },
  };
}

/** Without our JupyterLab extension, what the page says of its server: enough to show a terminal, not to offer one. */
function servicesOf(page: Page | null): Services {
  const serverUrl = labConfig("baseUrl");
  return page?.services ?? (serverUrl === "" ? {} : { serverUrl });
}

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const page = pageOf();
  const session = model.get("session");
  const root = document.createElement("div");
  el.append(root);
  const draw = (held: { feed: Feed; release(): void }): (() => void) => {
    const face = readFace(model.get("_face"));
    const view = new SessionView(root, held.feed, readWindow(model.get("window")), { services: servicesOf(page), face });
    const onWindow = (): void => view.setWindow(readWindow(model.get("window")));
    const onFace = (): void => view.faces.show(readFace(model.get("_face")));
    model.on("change:window", onWindow);
    model.on("change:_face", onFace);
    return () => {
      model.off("change:window", onWindow);
      model.off("change:_face", onFace);
      view.dispose();
      held.release();
    };
  };
  let clear: () => void;
  const served = page !== null && typeof session === "string" && session !== "" ? page.open(session) : null;
  const isUnserved = (): boolean => served?.feed.link === "gone" && served.feed.replica.n < 0;
  if (served === null) {
    clear = draw(holdFeed(model));
  } else if (isUnserved()) {
    served.release();
    clear = draw(holdFeed(model));
  } else {
    const end = draw(served);
    const detach = served.feed.attach(() => {
      if (!isUnserved()) return;
      clear();
      clear = draw(holdFeed(model));
    });
    clear = () => {
      detach();
      end();
    };
  }
  return () => {
    clear();
    root.remove();
  };
}

export default { render };
