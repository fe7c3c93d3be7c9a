// The first script of ttyd's page in a notebook: it keeps the terminal from taking the keyboard, gives
// a way out of it, tells the page around it about the connection, and lets people select text.
//
// To the page around it, of the same origin only:
//   {"codex-nb": "leave"}                                 the person wants to leave the terminal
//   {"codex-nb": "state", "state": "connecting" | "open"} the connection
//   {"codex-nb": "state", "state": "closed", "code": n}   with the WebSocket's close code
//
// Checked against ttyd 1.7.7 with its xterm.js.
(() => {
  "use strict";

  const tell = message => {
    if (window.parent !== window) {
      window.parent.postMessage(message, window.location.origin);
    }
  };

  // ttyd focuses its terminal whenever it connects, in the middle of what is typed elsewhere. So
  // nothing here takes the focus but by an act of the person, until the focus goes elsewhere again.
  let isInvited = false;
  const focus = HTMLElement.prototype.focus;
  HTMLElement.prototype.focus = function (...options) {
    if (isInvited) {
      focus.apply(this, options);
    }
  };
  const invite = () => {
    isInvited = true;
  };
  window.addEventListener("pointerdown", invite, true);
  window.addEventListener("mousedown", invite, true);
  window.addEventListener("focus", event => {
    invite();
    // The page around gave the focus to the frame: it is meant for the terminal.
    if (event.target === window && document.activeElement === document.body) {
      window.term?.focus();
    }
  });
  window.addEventListener("blur", event => {
    if (event.target === window) {
      isInvited = false;
    }
  });

  // Tab and Escape belong to the program, so there are other keys to leave it. Some systems keep the
  // first for themselves.
  const leaves = event =>
    (event.key === "Escape" && event.ctrlKey && event.shiftKey) ||
    (event.key === "F6" && !event.ctrlKey && !event.altKey && !event.metaKey);
  window.addEventListener(
    "keydown",
    event => {
      if (!leaves(event)) {
        return;
      }
      event.preventDefault();
      event.stopImmediatePropagation();
      isInvited = false;
      document.activeElement?.blur();
      tell({ "codex-nb": "leave" });
    },
    true
  );

  // A program that takes the mouse, for the wheel, would take the selection of text as well. So a
  // plain press selects, and one with Shift is for the program.
  const isMac = /^Mac/.test(navigator.platform);
  window.addEventListener(
    "mousedown",
    event => {
      const isTaken = (window.term?.modes.mouseTrackingMode ?? "none") !== "none";
      if (event.button === 0 && isTaken && !event.ctrlKey && !event.metaKey) {
        // xterm.js selects nevertheless when this modifier is held.
        Object.defineProperty(event, isMac ? "altKey" : "shiftKey", { value: !event.shiftKey });
      }
    },
    true
  );

  // ttyd shows in its page alone how the connection is.
  window.WebSocket = class extends WebSocket {
    constructor(...target) {
      super(...target);
      tell({ "codex-nb": "state", state: "connecting" });
      this.addEventListener("open", () => tell({ "codex-nb": "state", state: "open" }));
      this.addEventListener("close", event =>
        tell({ "codex-nb": "state", state: "closed", code: event.code })
      );
    }
  };
})();
