// Judges an AsyncAPI file with the community's parser. Prints every problem and ends
// with 1 when there is an error or a warning; a hint is printed and let pass.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Parser } from '@asyncapi/parser';

const names = ['error', 'warning', 'info', 'hint'];
const path = resolve(process.argv[2]);
const { document, diagnostics } = await new Parser().parse(await readFile(path, 'utf8'), { source: path });
for (const d of diagnostics) {
  console.log(`${names[d.severity]} ${d.range.start.line + 1}:${d.range.start.character + 1} ${d.code} ${d.path.join('.')}: ${d.message}`);
}
if (!document || diagnostics.some((d) => d.severity <= 1)) {
  process.exit(1);
}
const channels = document.channels().all();
console.log(JSON.stringify({ channels: channels.length, operations: document.operations().all().length, messages: document.allMessages().all().length }));
