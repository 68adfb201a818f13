// Reads files with pdf.js, one path a line, and answers each with a line of JSON.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { getDocument, VerbosityLevel } from "pdfjs-dist/legacy/build/pdf.mjs";

for await (const path of createInterface({ input: process.stdin })) {
  try {
    const data = new Uint8Array(await readFile(path));
    const document = await getDocument({ data, verbosity: VerbosityLevel.ERRORS, useSystemFonts: true }).promise;
    const signatures = [];
    const pages = [];
    for (let n = 1; n <= document.numPages; n++) {
      const page = await document.getPage(n);
      for (const a of await page.getAnnotations()) {
        if (a.fieldType === "Sig") {
          signatures.push(a.fieldName);
        }
      }
      pages.push((await page.getTextContent()).items.map((i) => i.str).join(" "));
    }
    console.log(JSON.stringify({ signatures, pages }));
    await document.destroy();
  } catch (e) {
    console.log(JSON.stringify({ error: String(e) }));
  }
}
