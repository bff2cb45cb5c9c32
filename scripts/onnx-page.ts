/** Writes docs/onnx.md from the rules of ts/convert: `npm run onnx-page`. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as read from '../ts/convert/from-onnx-operators.ts';
import * as written from '../ts/convert/to-onnx-operators.ts';
import { schema } from '../ts/operations/schema.ts';

/** The page's path. */
export const ONNX_PAGE = fileURLToPath(new URL('../docs/onnx.md', import.meta.url));

const HEAD = `# ONNX

Written by \`npm run onnx-page\` from the rules of \`ts/convert\`; not to be edited by hand.

\`resnode convert\` writes nets as ONNX (opset 17) and reads them (from opset 7), and runs both sides on the same inputs: on
onnxruntime-node, where it is installed, and on the CPU device. Layers become operators by what they compute, the kinds of
operation below; [operations.md](operations.md) says what each is.
`;

const cell = (text: string) => text.replaceAll('|', '\\|');
const table = (head: string, rows: readonly (readonly string[])[]) =>
  `${head}\n|---|---|\n${rows.map((row) => `| ${row.map(cell).join(' | ')} |\n`).join('')}`;

/** Kinds that exist only in the graph, and the layers that make them. */
const ONLY_GRAPH: Readonly<Record<string, string>> = {
  affine: 'BatchNorm with global statistics, Scale, Bias',
  file: "InfogainLoss's matrix in a file",
  identity: 'Dropout in phase TEST, Split',
  recall: 'the state of RNN and LSTM',
};

/** The whole page. */
export function onnxPage(): string {
  const kinds = Object.entries(written.operators).sort(([a], [b]) => (a < b ? -1 : 1));
  const says = (kind: string) =>
    Object.hasOwn(ONLY_GRAPH, kind)
      ? ONLY_GRAPH[kind]!
      : schema[kind as keyof typeof schema].says.split('. ')[0]!;
  const reasonOf = (rule: unknown) => (rule as { readonly reason?: string }).reason;
  const refused = kinds.filter(([, rule]) => reasonOf(rule) !== undefined);
  const writes = kinds.filter(([, rule]) => reasonOf(rule) === undefined);
  return `${HEAD}
## Written

${table(
  '| kind | what it computes |',
  writes.map(([kind]) => [`\`${kind}\``, says(kind)]),
)}
These are refused by the layer's name, with the reason:

${table(
  '| kind | why |',
  refused.map(([kind, rule]) => [`\`${kind}\``, reasonOf(rule)!]),
)}
What a Filter selects is picked by Compress; behind it only layers that compute item by item are written.
Detections and regions (\`detectionOutput\`, \`proposal\`) are picked by NonMaxSuppression; ONNX then gives as many rows as there are,
as resnode does. Constants with which an operator has no equal, such as \`eta\` below 1, are refused too.

## Read

${Object.keys(read.operators)
  .sort()
  .map((name) => `\`${name}\``)
  .join(', ')}.

What resnode writes several operators for because ONNX has none (DetectionOutput, Proposal, PSROIPooling, Cascade R-CNN's ROIAlign)
is found again in a model, node by node, and becomes that layer. A TopK of a constant number of values is ArgMax.

Shapes that a graph computes from shapes (Shape, Gather, Concat, Where, …) are computed before. What Caffe's layers know only in
another form is composed of several layers: a resize other than corners on corners, a padding that is no zero, and values in
other places along an axis are products with constant matrices, for inputs of one size.

${table(
  '| refused | why, and what to do |',
  Object.entries(read.withoutLayer).map(([name, reason]) => [`\`${name}\``, reason]),
)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(ONNX_PAGE, onnxPage());
