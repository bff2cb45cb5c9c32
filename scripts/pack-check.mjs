// What pack-check.sh requires of an installed package: CLASSIFIED.json TRUTH.tsv DOCTOR.json
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

const [classified, truth, doctor] = process.argv.slice(2).map((file) => readFileSync(file, 'utf8'));
const classes = new Map(
  truth
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .map(([file, label]) => [file, Number(label)]),
);
const results = classified
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));
const wrong = results.filter(({ file, top: [first] }) => first.index !== classes.get(basename(file)));
// The example's net misclassifies a few images.
const isRight = results.length === classes.size && wrong.length <= 0.1 * classes.size;
const diagnosis = JSON.parse(doctor);
const shown = ['addon', 'CPU device', 'CUDA library'];
const found = new Map(diagnosis.findings.map((finding) => [finding.name, finding]));
// A prebuilt CUDA library loads without a driver; a build from source has one if there is a GPU.
const cudaIsRight = found.get('CUDA library').ok || !found.get('addon').details.prebuilt;
console.log(
  `pack-check: ${results.length - wrong.length} of ${classes.size} images classified right; doctor: ${diagnosis.findings
    .filter(({ name }) => shown.includes(name))
    .map(({ name, found }) => `${name}: ${found}`)
    .join('; ')}`,
);
if (!isRight || !diagnosis.ok || !cudaIsRight) {
  console.error(JSON.stringify({ wrong, diagnosis }, null, 1));
  process.exitCode = 1;
}
