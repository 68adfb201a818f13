// The scripts of the signing pages. Every page works without them, except that the
// pages of a PDF are drawn here.

document.documentElement.classList.add("js");

const textBlock = document.getElementById("texts");
const texts = textBlock ? JSON.parse(textBlock.textContent) : {};

/** text returns the text under key with its {values} put in. */
export function text(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

showTimes();
focusProblem();
linkAllBox();
sendOnce();
watchState();

const signature = document.querySelector("[data-signature]");
if (signature) {
  const { startSignature } = await import("./signature.js");
  startSignature(signature, text);
}

const viewers = document.querySelectorAll("[data-viewer]");
if (viewers.length > 0) {
  startViewers(viewers);
}

/** showTimes writes times in the zone and the manner of the reader. */
function showTimes() {
  const lang = document.documentElement.lang;
  const format = new Intl.DateTimeFormat(navigator.languages.find((l) => l.startsWith(lang)) ?? lang, { dateStyle: "long", timeStyle: "short" });
  for (const element of document.querySelectorAll("time[datetime]")) {
    element.textContent = format.format(new Date(element.dateTime));
  }
}

/** focusProblem brings what is wrong before the reader at once. */
function focusProblem() {
  document.querySelector("[data-focus]")?.focus();
}

/** linkAllBox ties the box for all documents to the boxes of each. */
function linkAllBox() {
  const all = document.querySelector("[data-all]");
  if (!all) return;
  const boxes = [...document.querySelectorAll('input[name="accept"]')];
  const follow = () => { all.checked = boxes.every((box) => box.checked); };
  all.addEventListener("change", () => boxes.forEach((box) => { box.checked = all.checked; }));
  boxes.forEach((box) => box.addEventListener("change", follow));
  if (all.checked) boxes.forEach((box) => { box.checked = true; });
}

/** sendOnce keeps a second click from sending a form twice. */
function sendOnce() {
  for (const form of document.querySelectorAll("form")) {
    form.addEventListener("submit", () => {
      // After the browser has read the form, or the button would not be sent.
      setTimeout(() => form.querySelectorAll("button[type=submit]").forEach((b) => { b.disabled = true; }), 0);
    });
  }
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("button[type=submit]").forEach((b) => { b.disabled = false; });
  });
}

/** watchState asks now and then whether a waiting page has something new to show. */
function watchState() {
  const waiting = document.querySelector("[data-wait]");
  if (!waiting) return;
  let pause = 1000;
  const look = async () => {
    try {
      const answer = await fetch(waiting.dataset.wait, { cache: "no-store" });
      if (!answer.ok || (await answer.json()).status !== waiting.dataset.status) {
        location.replace(location.pathname.replace(/\/[a-z]+$/, "/done"));
        return;
      }
    } catch {
      // The network is away for a moment; the next look tells.
    }
    pause = Math.min(pause * 1.3, 15000);
    setTimeout(look, pause);
  };
  setTimeout(look, pause);
}

/** startViewers draws each document when it comes near the window. */
function startViewers(elements) {
  const near = new IntersectionObserver(async (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      const { startViewer } = await import("./viewer.js");
      startViewer(entry.target, text);
    }
  }, { rootMargin: "300px 0px" });
  elements.forEach((element) => near.observe(element));
}
