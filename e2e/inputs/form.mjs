// Makes a form with pdf-lib: node form.mjs OUT
import { writeFile } from "node:fs/promises";
import { PDFDocument, StandardFonts } from "pdf-lib";

const document = await PDFDocument.create();
document.setTitle("Form of pdf-lib");
const font = await document.embedFont(StandardFonts.Helvetica);
const page = document.addPage([595, 842]);
page.drawText("A form of pdf-lib", { x: 130, y: 780, size: 20, font });
const form = document.getForm();
const name = form.createTextField("person.name");
name.setText("Carla");
name.addToPage(page, { x: 60, y: 700, width: 200, height: 24, font });
const agreed = form.createCheckBox("person.agreed");
agreed.check();
agreed.addToPage(page, { x: 60, y: 660, width: 18, height: 18 });
const town = form.createDropdown("town");
town.addOptions(["Bologna", "Modena"]);
town.select("Modena");
town.addToPage(page, { x: 60, y: 620, width: 120, height: 24, font });
await document.attach(new TextEncoder().encode("a;b\n1;2\n"), "table.csv", { mimeType: "text/csv" });
await writeFile(process.argv[2], await document.save());
