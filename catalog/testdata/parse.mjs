// Reads event models with Mermaid's own parser: make mermaid.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, ...files] = process.argv.slice(2);
const parser = resolve(modules, 'node_modules/@mermaid-js/parser/dist/mermaid-parser.core.mjs');
const { parse } = await import(pathToFileURL(parser));

for (const file of files) {
  const text = readFileSync(file, 'utf8');
  const { frames } = await parse('eventmodeling', text);
  const lines = text.split('\n').filter((line) => line.startsWith('rf ')).length;
  if (frames.length !== lines) throw new Error(`${file}: ${lines} frames are written, ${frames.length} are read`);
  console.log(`${file}: ${frames.length} frames`);
}
