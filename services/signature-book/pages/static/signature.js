// The signature of the actor: his typed name in a script hand, or a drawing.

const maxPoints = 3900; // the server takes 4000
const maxStrokes = 98; // and 100
const maxTime = 60 * 60 * 1000;
const minStep = 0.004; // of the width; what lies closer adds nothing to see

/** startSignature starts the part of the form in which the actor signs. */
export function startSignature(root, text) {
  if (root.hasAttribute("data-hand")) { // nothing but a drawing, and how it was drawn
    startPad(root, text, true).resize();
    return;
  }
  const typed = root.querySelector("[data-typed]");
  const drawn = root.querySelector("[data-drawn]");
  const pad = startPad(root, text, false);
  const show = () => {
    const draws = root.querySelector('input[name="autograph"]:checked').value === "drawn";
    typed.hidden = draws;
    drawn.hidden = !draws;
    if (draws) pad.resize();
  };
  root.querySelectorAll('input[name="autograph"]').forEach((radio) => radio.addEventListener("change", show));
  show();

  const name = root.querySelector('input[name="name"]');
  const preview = root.querySelector("[data-preview]");
  const write = () => { preview.textContent = name.value; };
  name.addEventListener("input", write);
  write();
}

/**
 * startPad starts the drawing area; its strokes go to a hidden field of the form. A point is
 * [x, y]; with hand it is [x, y, pressure, milliseconds since the first point], and every
 * point that the device tells of is kept.
 */
function startPad(root, text, hand) {
  const canvas = root.querySelector("[data-pad]");
  const field = root.querySelector("[data-strokes]");
  const status = root.querySelector("[data-pad-status]");
  const undo = root.querySelector("[data-undo]");
  const clear = root.querySelector("[data-clear]");
  const context = canvas.getContext("2d");
  let { ratio, strokes } = readDrawing(field.value);
  let current = null;
  let start = null; // the time of the first point

  const count = () => strokes.reduce((sum, stroke) => sum + stroke.length, 0);
  const full = () => count() >= maxPoints || strokes.length >= maxStrokes;

  function resize() {
    const density = Math.min(window.devicePixelRatio || 1, 3);
    const box = canvas.getBoundingClientRect();
    if (box.width === 0) return;
    canvas.width = Math.round(box.width * density);
    canvas.height = Math.round(box.height * density);
    ratio = canvas.width / canvas.height;
    draw();
  }

  function draw() {
    context.clearRect(0, 0, canvas.width, canvas.height);
    const base = canvas.height * 0.78;
    context.strokeStyle = "#b8c0ce";
    context.lineWidth = Math.max(1, canvas.height / 200);
    context.beginPath();
    context.moveTo(canvas.width * 0.05, base);
    context.lineTo(canvas.width * 0.95, base);
    context.stroke();
    context.strokeStyle = "#12224d";
    context.fillStyle = "#12224d";
    context.lineWidth = canvas.height / 55;
    context.lineCap = "round";
    context.lineJoin = "round";
    for (const stroke of strokes) trace(stroke);
  }

  function trace(stroke) {
    const at = ([x, y]) => [x * canvas.width, y * canvas.height];
    context.beginPath();
    const [x0, y0] = at(stroke[0]);
    if (stroke.length === 1) {
      context.arc(x0, y0, context.lineWidth / 2, 0, 2 * Math.PI);
      context.fill();
      return;
    }
    context.moveTo(x0, y0);
    for (let i = 1; i < stroke.length; i++) {
      const [x, y] = at(stroke[i]);
      const [px, py] = at(stroke[i - 1]);
      context.quadraticCurveTo(px, py, (px + x) / 2, (py + y) / 2);
    }
    context.lineTo(...at(stroke[stroke.length - 1]));
    context.stroke();
  }

  function point(event) {
    const box = canvas.getBoundingClientRect();
    const part = (value) => Math.round(Math.min(1, Math.max(0, value)) * 10000) / 10000;
    const place = [part((event.clientX - box.left) / box.width), part((event.clientY - box.top) / box.height)];
    return hand ? [...place, part(event.pressure), time(event)] : place;
  }

  /** time never runs backwards, whatever the device tells; while the page is away it stands still. */
  function time(event) {
    const last = strokes.at(-1)?.at(-1)?.[3] ?? 0;
    start ??= event.timeStamp - last;
    return Math.min(maxTime, Math.max(last, Math.round(event.timeStamp - start)));
  }

  function add(event) {
    for (const e of event.getCoalescedEvents?.() ?? [event]) {
      const p = point(e);
      const last = current[current.length - 1];
      const far = hand || Math.hypot(p[0] - last[0], p[1] - last[1]) >= minStep;
      if (far && count() < maxPoints) current.push(p);
    }
    draw();
  }

  function save() {
    field.value = strokes.length === 0 ? "" : JSON.stringify({
      ratio,
      strokes: hand ? strokes.map((stroke) => ({ pointer: stroke.kind, points: stroke })) : strokes,
    });
    undo.disabled = clear.disabled = strokes.length === 0;
    status.textContent = text(full() ? "pad.full" : strokes.length === 0 ? "pad.empty" : "pad.drawn");
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (current || full() || (event.pointerType === "mouse" && event.button !== 0)) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    current = [point(event)];
    current.pointer = event.pointerId;
    current.kind = ["pen", "touch"].includes(event.pointerType) ? event.pointerType : "mouse";
    strokes.push(current);
    draw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (current?.pointer === event.pointerId) add(event);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => {
      if (current?.pointer !== event.pointerId) return;
      current = null;
      save();
    });
  }
  undo.addEventListener("click", () => { strokes.pop(); start = strokes.length > 0 ? start : null; draw(); save(); });
  clear.addEventListener("click", () => { strokes = []; start = null; draw(); save(); });
  window.addEventListener("resize", resize);
  save();
  return { resize };
}

/** readDrawing reads a drawing that the server sent back, or none. */
function readDrawing(value) {
  const none = { ratio: 2.5, strokes: [] };
  if (!value) return none;
  try {
    const { ratio, strokes } = JSON.parse(value);
    const lists = strokes.map((stroke) => (stroke.points ? Object.assign(stroke.points, { kind: stroke.pointer }) : stroke));
    return { ratio, strokes: lists.filter((stroke) => stroke.length > 0) };
  } catch {
    return none;
  }
}
