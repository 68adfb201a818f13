// Signs in a real browser as a person does: looks at the pages, draws the signature in
// the box, ticks the documents, agrees, and enters the code of the mail.
//
//   node sign.mjs URL phone|desk [FOLDER]
//
// On a phone the finger draws, on a desk the mouse. "code?" on standard output asks for the
// code, which comes as a line on standard input. The last line of the output is a JSON object
// {points, outside, console}: how many points the page recorded, the address of every request
// that left the origin of URL, and what the browser complained about. FOLDER gets pictures.
import { chromium } from "playwright-core";
import { createInterface } from "node:readline/promises";
import { join } from "node:path";

const [url, kind, folder] = process.argv.slice(2);
const phone = kind === "phone";
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const context = await browser.newContext(phone
  ? { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }
  : { viewport: { width: 1280, height: 900 } });
const page = await context.newPage();
const outside = [], complaints = [];
page.on("request", (r) => { if (!r.url().startsWith(new URL(url).origin) && !/^(data|blob):/.test(r.url())) outside.push(r.url()); });
page.on("console", (m) => { if (["error", "warning"].includes(m.type())) complaints.push(m.text()); });
page.on("pageerror", (e) => complaints.push(String(e)));

let pictures = 0;
async function picture(name) {
  if (folder) await page.screenshot({ path: join(folder, `${kind}-${++pictures}-${name}.png`), fullPage: true });
}

await page.goto(url);
await page.locator("[data-pages] canvas").first().waitFor(); // the document is drawn
await picture("review");

const pad = page.locator("[data-pad]");
await pad.scrollIntoViewIfNeeded();
const box = await pad.boundingBox();
const at = (x, y) => ({ x: box.x + x * box.width, y: box.y + y * box.height });
const strokes = [
  [[0.1, 0.7], [0.2, 0.2], [0.3, 0.7], [0.4, 0.3], [0.5, 0.7]],
  [[0.6, 0.5], [0.7, 0.4], [0.8, 0.6], [0.9, 0.5]],
];
if (phone) {
  const touch = await context.newCDPSession(page);
  for (const stroke of strokes) {
    const [first, ...rest] = stroke.map((p) => ({ ...at(...p), force: 0.7 }));
    await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [first] });
    for (const p of rest) await touch.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: [p] });
    await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  }
} else {
  for (const stroke of strokes) {
    const [first, ...rest] = stroke.map((p) => at(...p));
    await page.mouse.move(first.x, first.y);
    await page.mouse.down();
    for (const p of rest) await page.mouse.move(p.x, p.y, { steps: 3 });
    await page.mouse.up();
  }
}
const drawn = JSON.parse(await page.locator("[data-strokes]").inputValue());
const points = drawn.strokes.reduce((sum, s) => sum + s.points.length, 0);
for (const tick of await page.locator('input[type="checkbox"][name="accept"]').all()) await tick.check();
await picture("signed");
await page.locator("form[action$='/consent'] button.primary").click();

const code = page.locator("#code");
await code.waitFor();
await picture("code");
const input = createInterface({ input: process.stdin });
process.stdout.write("code?\n");
for await (const line of input) {
  await code.fill(line.trim());
  break;
}
await page.locator("form[action$='/confirm'] button.primary").click();
await page.waitForURL(/\/done$/);
await page.locator("a[href*='/documents/']").first().waitFor(); // what was signed is there
await picture("done");
await browser.close();
process.stdout.write(JSON.stringify({ points, outside, console: complaints }) + "\n");
process.exit(0);
