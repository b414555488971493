// Keeps the page up to date: fetches it every few seconds and replaces its content.
"use strict";
(() => {
  const interval = 3000; // ms, from a response to the next request
  const patience = 8000; // ms, timeout of a request
  const lost = document.getElementById("lost");
  const pause = document.getElementById("pause");
  let paused = false;
  let timer = 0;
  let asking = false;

  // A selection, such as a command to be copied, must survive: no update then.
  const selecting = () => {
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed;
  };

  // Screen readers announce a live region whenever it changes, so change it only if its content differs.
  const say = (element, from) => {
    if (element.textContent === from.textContent && element.className === from.className) return;
    element.className = from.className;
    element.textContent = from.textContent;
  };

  const swap = (next) => {
    if (next.documentElement.dataset.build !== document.documentElement.dataset.build) {
      location.reload(); // another version of the service, with another script and style
      return;
    }
    const main = document.querySelector("main");
    const focused = main.contains(document.activeElement) ? document.activeElement.id : "";
    const boxes = [...main.querySelectorAll(".scroll[id]")].map((box) => [box.id, box.scrollLeft, box.scrollTop]);
    const { scrollX, scrollY } = window;
    main.replaceChildren(...document.adoptNode(next.querySelector("main")).childNodes);
    for (const [id, left, top] of boxes) document.getElementById(id)?.scrollTo(left, top);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    window.scrollTo(scrollX, scrollY);
    say(document.getElementById("state"), next.getElementById("state"));
    document.getElementById("updated").replaceChildren(...next.getElementById("updated").childNodes);
    document.title = next.title;
  };

  const look = async () => {
    if (asking) return;
    asking = true;
    try {
      const response = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(patience) });
      if (!response.ok) throw new Error(`HTTP status ${response.status}`);
      const next = new DOMParser().parseFromString(await response.text(), "text/html");
      if (!paused && !selecting()) swap(next);
      lost.hidden = true;
    } catch (error) {
      if (lost.hidden) lost.textContent = `⚠ Cannot reach the service. This page may be out of date. (${error.message})`;
      lost.hidden = false;
      document.title = "? Tenant provisioner";
    }
    asking = false;
    schedule();
  };

  const schedule = () => {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(look, interval);
  };

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Resume updates" : "Pause updates";
    if (paused) schedule();
    else look();
  });
  document.addEventListener("visibilitychange", () => (document.hidden || paused ? schedule() : look()));
  schedule();
})();
