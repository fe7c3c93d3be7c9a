/**
 * Watches one place of a page while numbered words stream into it.
 *
 * Each frame is looked at after it was painted, so a time is when a person could have read the word. Times are Unix
 * milliseconds, by the same clock as those of the events.
 */
(() => {
  const OriginalSocket = window.WebSocket;
  let received = 0;
  window.WebSocket = class extends OriginalSocket {
    constructor(...args) {
      super(...args);
      this.addEventListener("message", ({ data }) => {
        received += data.byteLength ?? data.length;
      });
    }
  };

  function lastNumber(place, pattern) {
    const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    let text = "";
    for (let node = walker.lastChild(); node !== null && text.length < 400; node = walker.previousNode()) {
      text = node.data.slice(-400) + text;
    }
    return Number([...text.matchAll(pattern)].pop()?.[1] ?? -1);
  }

  window.watch = (selector, pattern) => {
    const expression = new RegExp(pattern, "g");
    const frames = [];
    const seen = [];
    const tasks = [];
    const messages = [];
    const before = received;
    let last = -1;
    let mostNodes = 0;
    let isOver = false;
    const painted = new MessageChannel();
    painted.port1.onmessage = () => {
      const now = Date.now();
      frames.push(now);
      const place = [...document.querySelectorAll(selector)].pop();
      const number = place === undefined ? -1 : lastNumber(place, expression);
      if (number > last) seen.push([(last = number), now]);
    };
    const onFrame = () => {
      if (isOver) return;
      painted.port2.postMessage(0);
      requestAnimationFrame(onFrame);
    };
    requestAnimationFrame(onFrame);
    const observer = new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries()) tasks.push([performance.timeOrigin + startTime, duration]);
    });
    observer.observe({ type: "longtask" });
    const counting = setInterval(() => {
      mostNodes = Math.max(mostNodes, document.querySelectorAll(".jp-Notebook *").length);
    }, 1000);
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    const onMessage = (_, message) => messages.push([Date.now(), message.header.msg_type]);
    kernel.iopubMessage.connect(onMessage);
    window.watched = {
      get last() {
        return last;
      },
      stop() {
        isOver = true;
        observer.disconnect();
        clearInterval(counting);
        kernel.iopubMessage.disconnect(onMessage);

        const text = [...document.querySelectorAll(selector)].map((place) => place.textContent).join("\n");
        const shown = [...text.matchAll(expression)].map(([, number]) => Number(number));
        return { frames, seen, tasks, messages, received: received - before, shown, nodes: mostNodes };
      },
    };
  };

  /** Opens a notebook and tells how the number of selected elements rose in it, and which tasks were long. */
  window.openAndCount = async (path, selector, settledMs) => {
    const grown = [];
    const tasks = [];
    let most = 0;
    let isOver = false;
    const painted = new MessageChannel();
    painted.port1.onmessage = () => {
      const count = document.querySelectorAll(selector).length;
      if (count > most) grown.push([(most = count), Date.now()]);
    };
    const onFrame = () => {
      if (isOver) return;
      painted.port2.postMessage(0);
      requestAnimationFrame(onFrame);
    };
    requestAnimationFrame(onFrame);
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) tasks.push(duration);
    });
    observer.observe({ type: "longtask" });
    const start = Date.now();
    const widget = await window.jupyterapp.commands.execute("docmanager:open", { path });
    const isSettled = () => grown.length > 0 && Date.now() - grown[grown.length - 1][1] > settledMs;
    while (!isSettled() && Date.now() - start < 60_000) await new Promise((done) => setTimeout(done, 100));
    isOver = true;
    observer.disconnect();
    const elements = widget.node.querySelectorAll(".jp-OutputArea *").length;
    await widget.context.sessionContext.ready;
    await widget.context.sessionContext.shutdown();
    widget.context.model.dirty = false; // or it would ask whether to save
    widget.dispose();
    return { start, grown, tasks, elements };
  };
})();
