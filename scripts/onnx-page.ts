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

\`resnode convert\` writes nets as ONNX (opset 17) and reads them (from opset 7). To check a conversion it runs both nets on
the same inputs, with onnxruntime-node if it is installed and on the CPU device. The operators that a layer becomes depend on
the kinds of its operations, listed below. [operations.md](operations.md) describes the kinds.
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
      : schema[kind as keyof typeof schema].says.split('. ')[0]!.replace(/\.$/, '');
  const reasonOf = (rule: unknown) => (rule as { readonly reason?: string }).reason;
  const refused = kinds.filter(([, rule]) => reasonOf(rule) !== undefined);
  const writes = kinds.filter(([, rule]) => reasonOf(rule) === undefined);
  return `${HEAD}
## Written

${table(
  '| kind | what it computes |',
  writes.map(([kind]) => [`\`${kind}\``, says(kind)]),
)}
Layers with these operations are refused. The error names the layer and the reason:

${table(
  '| kind | why |',
  refused.map(([kind, rule]) => [`\`${kind}\``, reasonOf(rule)!]),
)}
A Filter becomes Compress. After it, only layers that compute each item separately can be written. Detections and regions
(\`detectionOutput\`, \`proposal\`) are selected by NonMaxSuppression, so ONNX returns as many rows as there are detections, as
resnode does. Constants without an equivalent in ONNX, such as \`eta\` below 1, are refused too.

## Read

${Object.keys(read.operators)
  .sort()
  .map((name) => `\`${name}\``)
  .join(', ')}.

ONNX has no operator for DetectionOutput, Proposal, PSROIPooling and Cascade R-CNN's ROIAlign, so resnode writes several
operators for each. When it reads such a model, it recognises these operators node by node and restores the layer. A TopK of a
constant number of values becomes ArgMax.

Shapes that a graph computes from shapes (Shape, Gather, Concat, Where, …) are computed during the conversion. Some operators
become several layers: a resize without aligned corners, a padding with a value other than zero, and a rearrangement of values
along an axis become products with constant matrices, for inputs of one size.

${table(
  '| refused | why, and what to do |',
  Object.entries(read.withoutLayer).map(([name, reason]) => [`\`${name}\``, reason]),
)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(ONNX_PAGE, onnxPage());
