// The pages of a PDF with the places of the actor marked on them. Pages are drawn when
// they come near and forgotten when they are far, so that a long document costs a phone
// no more than a short one.

import { getDocument, GlobalWorkerOptions } from "./vendor/pdfjs/build/pdf.min.mjs";

const vendor = new URL("./vendor/pdfjs/", import.meta.url);
GlobalWorkerOptions.workerSrc = new URL("build/pdf.worker.min.mjs", vendor).href;

const maxPixels = 8_000_000; // of one page; phones refuse larger canvases
const measureAll = 40; // pages; in a longer document all are taken to be like the first
const zooms = [1, 1.25, 1.5, 2, 2.5, 3];

/** startViewer shows one document. */
export async function startViewer(root, text) {
  const data = JSON.parse(root.querySelector(".viewer-data").textContent);
  const status = root.querySelector("[data-status]");
  const box = root.querySelector("[data-pages]");
  try {
    const pdf = await getDocument({
      url: data.url,
      standardFontDataUrl: new URL("standard_fonts/", vendor).href,
      wasmUrl: new URL("wasm/", vendor).href,
      isEvalSupported: false,
      disableAutoFetch: true,
      rangeChunkSize: 1 << 18,
    }).promise;
    const viewer = new Viewer(root, box, data, pdf, text);
    await viewer.start(root);
    status.textContent = "";
  } catch (fault) {
    console.warn("the pages cannot be drawn", fault);
    box.hidden = true;
    status.textContent = text(fault?.status === 410 ? "viewer.gone" : "viewer.failed");
  }
}

class Viewer {
  constructor(root, box, data, pdf, text) {
    Object.assign(this, { box, data, pdf, text });
    this.count = root.querySelector("[data-count]");
    this.next = root.querySelector("[data-next]");
    this.smaller = root.querySelector("[data-smaller]");
    this.larger = root.querySelector("[data-larger]");
    this.zoom = 0;
    this.sheets = [];
    this.places = [];
    this.turn = -1;
  }

  async start(root) {
    const first = await this.pdf.getPage(1);
    const size = sizeOf(first);
    for (let n = 1; n <= this.pdf.numPages; n++) this.sheets.push(this.newSheet(n, size));
    const measure = this.pdf.numPages <= measureAll
      ? this.sheets.map((sheet) => sheet.n)
      : [...new Set(this.data.marks.map((mark) => mark.page))].filter((n) => n <= this.pdf.numPages);
    for (const n of measure) this.measure(this.sheets[n - 1], await this.pdf.getPage(n));
    this.addPlaces();
    this.layout();
    this.box.append(...this.sheets.map((sheet) => sheet.element));

    const near = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const sheet = this.sheets[Number(entry.target.dataset.n) - 1];
        sheet.near = entry.isIntersecting;
        if (sheet.near) this.draw(sheet); else this.forget(sheet);
      }
    }, { root: this.box, rootMargin: "100% 0px" });
    this.sheets.forEach((sheet) => near.observe(sheet.element));

    this.box.addEventListener("scroll", () => this.showCount(), { passive: true });
    this.next.addEventListener("click", () => this.goNext());
    this.smaller.addEventListener("click", () => this.setZoom(this.zoom - 1));
    this.larger.addEventListener("click", () => this.setZoom(this.zoom + 1));
    let width = this.box.clientWidth;
    new ResizeObserver(() => {
      // Only a new width matters; a phone changes the height all the time.
      if (this.box.clientWidth === width || this.box.clientWidth === 0) return;
      width = this.box.clientWidth;
      this.redraw();
    }).observe(this.box);
    root.querySelector("[data-zoom]").hidden = false;
    this.count.hidden = false;
    this.setZoom(0);
    this.showCount();
    this.showNext();
  }

  newSheet(n, size) {
    const element = document.createElement("div");
    element.className = "sheet";
    element.dataset.n = n;
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", this.text("viewer.page", { n, count: this.pdf.numPages }));
    return { n, element, ...size, near: false, task: null, drawn: 0 };
  }

  /** measure takes over the true size of a page. */
  measure(sheet, page) {
    const size = sizeOf(page);
    if (size.width === sheet.width && size.height === sheet.height) return;
    Object.assign(sheet, size);
    this.fit(sheet);
  }

  /** addPlaces marks where the actor's signature and approvals will be. */
  addPlaces() {
    const marks = this.data.marks.filter((mark) => mark.page <= this.sheets.length);
    marks.sort((a, b) => a.page - b.page || b.ury - a.ury || a.llx - b.llx);
    marks.forEach((mark, i) => {
      const sheet = this.sheets[mark.page - 1];
      const element = document.createElement("div");
      element.className = `place ${mark.kind}`;
      element.tabIndex = -1;
      element.setAttribute("role", "note");
      element.setAttribute("aria-label", this.text("viewer.place", { label: mark.label, n: i + 1, count: marks.length }));
      element.style.left = `${100 * mark.llx / sheet.width}%`;
      element.style.width = `${100 * (mark.urx - mark.llx) / sheet.width}%`;
      element.style.top = `${100 * (sheet.height - mark.ury) / sheet.height}%`;
      element.style.height = `${100 * (mark.ury - mark.lly) / sheet.height}%`;
      const label = document.createElement("span");
      label.textContent = mark.label;
      element.append(label);
      sheet.element.append(element);
      this.places.push({ element, sheet });
    });
  }

  fit(sheet) {
    const style = getComputedStyle(this.box);
    const room = this.box.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const width = Math.max(50, Math.min(room, 900)) * zooms[this.zoom];
    sheet.element.style.width = `${width}px`;
    sheet.element.style.height = `${width * sheet.height / sheet.width}px`;
    sheet.cssWidth = width;
  }

  layout() { this.sheets.forEach((sheet) => this.fit(sheet)); }

  /** redraw lays the pages out again and keeps the place where the reader is. */
  redraw() {
    const part = this.box.scrollTop / Math.max(1, this.box.scrollHeight);
    const across = (this.box.scrollLeft + this.box.clientWidth / 2) / Math.max(1, this.box.scrollWidth);
    this.layout();
    this.box.scrollTop = part * this.box.scrollHeight;
    this.box.scrollLeft = across * this.box.scrollWidth - this.box.clientWidth / 2;
    this.sheets.filter((sheet) => sheet.near).forEach((sheet) => this.draw(sheet));
  }

  setZoom(step) {
    this.zoom = Math.min(zooms.length - 1, Math.max(0, step));
    this.smaller.disabled = this.zoom === 0;
    this.larger.disabled = this.zoom === zooms.length - 1;
    this.redraw();
  }

  async draw(sheet) {
    const wanted = sheet.cssWidth;
    if (sheet.drawn === wanted || sheet.drawing === wanted) return;
    sheet.drawing = wanted;
    sheet.task?.cancel();
    try {
      const page = await this.pdf.getPage(sheet.n);
      if (!sheet.near || sheet.drawing !== wanted) return;
      this.measure(sheet, page);
      let scale = sheet.cssWidth / sheet.width * Math.min(window.devicePixelRatio || 1, 2.5);
      scale = Math.min(scale, Math.sqrt(maxPixels / (sheet.width * sheet.height)));
      const viewport = page.getViewport({ scale });
      const canvas = document.createElement("canvas");
      canvas.width = Math.ceil(viewport.width);
      canvas.height = Math.ceil(viewport.height);
      canvas.setAttribute("aria-hidden", "true");
      sheet.task = page.render({ canvas, viewport });
      await sheet.task.promise;
      if (!sheet.near || sheet.drawing !== wanted) return;
      this.dropCanvas(sheet);
      sheet.element.prepend(canvas);
      sheet.canvas = canvas;
      sheet.drawn = wanted;
      await this.addText(sheet, page);
    } catch (fault) {
      if (fault?.name !== "RenderingCancelledException") console.warn(`page ${sheet.n} cannot be drawn`, fault);
    } finally {
      if (sheet.drawing === wanted) sheet.drawing = 0;
    }
  }

  /** addText gives a screen reader the words of a page. */
  async addText(sheet, page) {
    if (sheet.text) return;
    const content = await page.getTextContent();
    sheet.text = document.createElement("p");
    sheet.text.className = "sheet-text";
    sheet.text.textContent = content.items.map((item) => item.str + (item.hasEOL ? "\n" : "")).join("");
    sheet.element.prepend(sheet.text);
  }

  forget(sheet) {
    sheet.task?.cancel();
    sheet.drawing = 0;
    this.dropCanvas(sheet);
  }

  dropCanvas(sheet) {
    if (!sheet.canvas) return;
    sheet.canvas.width = sheet.canvas.height = 0; // frees the memory at once on iOS
    sheet.canvas.remove();
    sheet.canvas = null;
    sheet.drawn = 0;
  }

  showCount() {
    const middle = this.box.scrollTop + this.box.clientHeight / 2;
    let now = this.sheets[0];
    for (const sheet of this.sheets) {
      if (sheet.element.offsetTop > middle) break;
      now = sheet;
    }
    const label = this.text("viewer.pageOf", { n: now.n, count: this.sheets.length });
    if (this.count.textContent !== label) this.count.textContent = label;
  }

  showNext() {
    const count = this.places.length;
    if (count === 0) return;
    this.next.hidden = false;
    this.next.textContent = this.text("viewer.next", { n: (this.turn + 1) % count + 1, count });
  }

  /** goNext brings the next place before the reader. */
  goNext() {
    this.places[this.turn]?.element.classList.remove("here");
    this.turn = (this.turn + 1) % this.places.length;
    const { element, sheet } = this.places[this.turn];
    element.classList.add("here");
    this.box.scrollTop = sheet.element.offsetTop + element.offsetTop - this.box.clientHeight / 2 + element.offsetHeight / 2;
    this.box.scrollLeft = sheet.element.offsetLeft + element.offsetLeft - this.box.clientWidth / 2 + element.offsetWidth / 2;
    element.focus({ preventScroll: true });
    this.box.scrollIntoView({ block: "nearest" });
    this.showNext();
  }
}

/** sizeOf returns the size of a page as it is displayed, in PDF points. */
function sizeOf(page) {
  const viewport = page.getViewport({ scale: 1 });
  return { width: viewport.width, height: viewport.height };
}
