// Signs a file with @signpdf again and again, and says what one signature costs:
// node sign.mjs FILE KEY.p12 PASSPHRASE SECONDS
import { readFile, writeFile } from "node:fs/promises";
import { plainAddPlaceholder } from "@signpdf/placeholder-plain";
import { P12Signer } from "@signpdf/signer-p12";
import { SignPdf } from "@signpdf/signpdf";

const [input, keystore, passphrase, seconds] = process.argv.slice(2);
const p12 = await readFile(keystore);

async function sign() {
  const signer = new P12Signer(p12, { passphrase });
  const pdfBuffer = plainAddPlaceholder({
    pdfBuffer: await readFile(input), reason: "Signed", contactInfo: "", name: "Anna", location: "",
  });
  await writeFile(`${input}.out`, await new SignPdf().sign(pdfBuffer, signer));
}

const large = (await readFile(input)).length > 100e6;
if (!large) await sign(); // warm
const start = process.cpuUsage();
let count = 0, spent = 0;
do {
  await sign();
  count++;
  const used = process.cpuUsage(start);
  spent = (used.user + used.system) / 1e6;
} while (spent < Number(seconds));
console.log(JSON.stringify({ count, seconds: spent, memory: process.resourceUsage().maxRSS * 1024 }));
