/** The anywidget module: `render` draws the session of a model until the function that it returns is called. */

import { CommTransport, type Model } from "./comm";
import { readWindow } from "./core/read";
import { SessionView } from "./core/view";

export { Replica } from "./core/state";

function render({ model, el }: { model: Model; el: HTMLElement }): () => void {
  const root = document.createElement("div");
  el.append(root);
  const transport = new CommTransport(model);
  const view = new SessionView(root, transport, readWindow(model.get("window")), model.get("snapshot"));
  const onWindow = (): void => view.setWindow(readWindow(model.get("window")));
  model.on("change:window", onWindow);
  return () => {
    model.off("change:window", onWindow);
    view.dispose();
    transport.dispose();
    root.remove();
  };
}

export default { render };
