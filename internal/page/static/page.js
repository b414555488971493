// Keeps the page up to date: fetches it anew every few seconds and puts what it shows in place of what was shown.
"use strict";
(() => {
  const interval = 3000; // ms, between an answer and the next question
  const patience = 8000; // ms, for an answer
  const lost = document.getElementById("lost");
  const pause = document.getElementById("pause");
  let paused = false;
  let timer = 0;
  let asking = false;

  // What is selected, such as a command to be copied, is left alone.
  const selecting = () => {
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed;
  };

  // A live region speaks when it changes: so it changes only when there is something to say.
  const say = (element, from) => {
    if (element.textContent === from.textContent && element.className === from.className) return;
    element.className = from.className;
    element.textContent = from.textContent;
  };

  const swap = (next) => {
    if (next.documentElement.dataset.build !== document.documentElement.dataset.build) {
      location.reload(); // the program is another one now, and so are its script and style
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
      if (!response.ok) throw new Error(`it answers ${response.status}`);
      const next = new DOMParser().parseFromString(await response.text(), "text/html");
      if (!paused && !selecting()) swap(next);
      lost.hidden = true;
    } catch (error) {
      if (lost.hidden) lost.textContent = `⚠ The service cannot be reached. What is shown may be old. (${error.message})`;
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
