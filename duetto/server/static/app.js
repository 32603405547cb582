// Only what htmx cannot: where the focus goes, the dialog, other tabs, and a server that cannot be reached.
(() => {
  const at = (id) => document.getElementById(id);
  const tabs = new BroadcastChannel("duetto");

  const notice = (text) => {
    const box = at("notice");
    box.textContent = text;
    box.hidden = !text;
  };

  document.addEventListener("htmx:beforeSwap", (event) => {
    notice("");
    const xhr = event.detail.xhr;
    if (xhr && !(xhr.getResponseHeader("Content-Type") || "").startsWith("text/html")) {
      event.detail.shouldSwap = false;
      if (xhr.status >= 400) notice("That did not work: reload the page and try again.");
    }
  });
  document.addEventListener("htmx:sendError", () => notice("The server cannot be reached: try again in a moment."));

  document.addEventListener("htmx:afterSwap", (event) => {
    const { target, requestConfig } = event.detail;
    if (!requestConfig) return;
    if (target.id === "turns" && requestConfig.verb === "post") {
      const form = at("say");
      if (requestConfig.elt === form && !requestConfig.parameters.quick && !requestConfig.parameters.silent) form.reset();
      const last = target.lastElementChild;
      last.focus({ preventScroll: true });
      last.scrollIntoView({ block: "start" });
      tabs.postMessage(form.dataset.thread);
    }
    if (target.id === "panel" && document.activeElement === document.body) at("panel").focus({ preventScroll: true });
    if (target.id === "voices") {
      target.showModal();
      target.querySelector("h2").focus();
    }
  });

  tabs.onmessage = (message) => {
    const form = at("say");
    if (form && form.dataset.thread === message.data) htmx.trigger(at("elsewhere"), "elsewhere");
  };

  // A backdrop has no element of its own.
  document.addEventListener("click", (event) => {
    if (event.target.matches && event.target.matches("dialog[open]")) event.target.close();
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    const open = document.activeElement && document.activeElement.closest("details[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });

  document.addEventListener("error", (event) => {
    if (event.target.tagName === "IMG") event.target.closest(".card")?.classList.remove("pictured");
  }, true);
})();
