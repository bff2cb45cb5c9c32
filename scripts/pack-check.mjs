// What pack-check.sh expects of an installed package: CLASSIFIED.json TRUTH.tsv DOCTOR.json
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

const [classified, truth, doctor] = process.argv.slice(2).map((file) => readFileSync(file, 'utf8'));
const expected = new Map(
  truth
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .map(([file, , top, probability]) => [file, { top: Number(top), probability: Number(probability) }]),
);
const results = classified
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));
const wrong = results.filter(({ file, top: [first] }) => {
  const { top, probability } = expected.get(basename(file));
  return first.index !== top || Math.abs(first.probability - probability) > 1e-5;
});
const diagnosis = JSON.parse(doctor);
const shown = ['addon', 'CPU device', 'CUDA library'];
const found = new Map(diagnosis.findings.map((finding) => [finding.name, finding]));
// Prebuilt, the CUDA library loads where no driver is; a build from source has one where there is a GPU.
const cudaIsRight = found.get('CUDA library').ok || !found.get('addon').details.prebuilt;
console.log(
  `pack-check: ${results.length - wrong.length} of ${expected.size} images classified as recorded; doctor: ${diagnosis.findings
    .filter(({ name }) => shown.includes(name))
    .map(({ name, found }) => `${name}: ${found}`)
    .join('; ')}`,
);
if (wrong.length > 0 || results.length !== expected.size || !diagnosis.ok || !cudaIsRight) {
  console.error(JSON.stringify({ wrong, diagnosis }, null, 1));
  process.exitCode = 1;
}
