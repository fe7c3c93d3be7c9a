// The login by device code: a link, the code with a copy button, a countdown, a button that cancels.
// Everything is put in as text; the link leads only to https, or to this machine in tests.

function element(name, text, parent) {
  const made = document.createElement(name);
  made.textContent = text;
  parent.append(made);
  return made;
}

function button(text, parent) {
  const made = element("button", text, parent);
  made.type = "button";
  made.style.cssText = "font:inherit;padding:.15em .8em;border-radius:3px;cursor:pointer;" +
    "border:1px solid var(--jp-border-color1,GrayText);background:var(--jp-layout-color1,transparent);" +
    "color:var(--jp-ui-font-color1,inherit)";
  return made;
}

function isSafe(url) {
  try {
    const { protocol, hostname } = new URL(url);
    return protocol === "https:" || (protocol === "http:" && ["127.0.0.1", "localhost"].includes(hostname));
  } catch {
    return false;
  }
}

function render({ model, el }) {
  // A box of our own: the styles of `el` are those of the widget's layout, which comes later.
  const box = element("div", "", el);
  box.className = "codex-nb-login";
  box.style.cssText = "display:flex;flex-wrap:wrap;gap:.6em;align-items:center;padding:.4em 0;" +
    "color:var(--jp-content-font-color1,inherit)";
  let timer = 0;

  function draw() {
    clearInterval(timer);
    box.replaceChildren();
    const url = model.get("url");
    if (!url) {
      element("span", model.get("text"), box).setAttribute("role", "status");
      return;
    }
    element("span", "Open", box);
    if (isSafe(url)) {
      const link = element("a", url, box);
      link.href = url;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      link.style.color = "var(--jp-content-link-color, LinkText)";
    } else {
      element("code", url, box);
    }
    element("span", "and enter", box);
    // The code and its button stay side by side where the line is too short for everything.
    const pair = element("span", "", box);
    pair.style.cssText = "display:inline-flex;gap:.4em;align-items:center";
    const code = element("code", model.get("code"), pair);
    code.style.cssText = "font-size:1.3em;letter-spacing:.08em;user-select:all;padding:.05em .45em;" +
      "border-radius:3px;background:var(--jp-layout-color2,transparent)";
    const copy = button("Copy", pair);
    copy.setAttribute("aria-label", "Copy the code");
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(model.get("code"));
        copy.textContent = "Copied";
      } catch {
        // Pages that are not served over https may not write; then the code is selected instead.
        getSelection().selectAllChildren(code);
      }
    });
    const left = element("span", "", box);
    left.setAttribute("role", "timer");
    left.style.color = "var(--jp-ui-font-color2, inherit)";
    const cancel = button("Cancel", box);
    cancel.addEventListener("click", () => {
      cancel.disabled = true;
      model.send({ op: "cancel" });
    });
    function count() {
      // The kernel, whose clock counts, says when it is over.
      const seconds = Math.max(0, Math.round(model.get("expires_at") - Date.now() / 1000));
      left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`;
    }
    count();
    timer = setInterval(count, 1000);
  }

  draw();
  model.on("change", draw);
  return () => {
    clearInterval(timer);
    model.off("change", draw);
    box.remove();
  };
}

export default { render };
