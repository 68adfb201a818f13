// Signs a file with @signpdf: node sign.mjs IN OUT KEYSTORE.p12 PASSWORD
import { readFile, writeFile } from "node:fs/promises";
import { plainAddPlaceholder } from "@signpdf/placeholder-plain";
import { P12Signer } from "@signpdf/signer-p12";
import { SignPdf } from "@signpdf/signpdf";

const [input, output, keystore, passphrase] = process.argv.slice(2);
const pdfBuffer = plainAddPlaceholder({
  pdfBuffer: await readFile(input),
  reason: "Agreed",
  contactInfo: "carla@example.com",
  name: "Carla",
  location: "Modena",
});
const signer = new P12Signer(await readFile(keystore), { passphrase });
await writeFile(output, await new SignPdf().sign(pdfBuffer, signer));
