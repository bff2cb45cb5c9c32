/** `npm run generate`: writes the files that are generated from ts/operations/schema.ts. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Field, Row } from '../ts/operations/row.ts';
import { schema } from '../ts/operations/schema.ts';

type Fields = Readonly<Record<string, Field>>;

const kinds = Object.entries(schema) as unknown as [kind: string, row: Row<never>][];
const ROOT = new URL('../', import.meta.url);

/** All fields that are lists of rows. Their rows get structs of their own. */
const nested = kinds.flatMap(([, { fields }]) => Object.values(fields).filter(({ type }) => type === 'rows'));

/** Splits a text into lines of at most `width` characters. */
function wrap(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}

const HEAD = 'Written by `npm run generate` from ts/operations/schema.ts; not to be edited by hand.';
const sentence = ({ says, shape }: Field) =>
  says === '' || shape === '' ? says + shape : `${says.replace(/\.$/, '')}, ${shape}.`;

// TypeScript

const TYPESCRIPT_TYPES = {
  parameter: 'ProgramParameterId',
  parameters: 'readonly ProgramParameterId[]',
  operation: 'number',
  pair: 'Pair',
  integer: 'number',
  integers: 'readonly number[]',
  word: 'number',
  number: 'number',
  numbers: 'readonly number[]',
  boolean: 'boolean',
  relu: 'FusedRelu',
};

function typescriptType({ type, values, name }: Field): string {
  if (type === 'choice') return values.map((value) => `'${value}'`).join(' | ');
  return type === 'rows' ? `readonly ${name}[]` : TYPESCRIPT_TYPES[type];
}

const typescriptField = ([name, field]: [string, Field]) => `  /** ${sentence(field)} */
  readonly ${name}: ${typescriptType(field)}${field.optional ? ' | null' : ''};
`;

const typescriptInterface = (name: string, comment: string, kind: string, fields: Fields) => `
/**
${comment}
 */
export interface ${name} {
${kind}${Object.entries(fields).map(typescriptField).join('')}}
`;

const commentLines = (text: string) => wrap(text, 106).map((line) => ` * ${line}`);

const typescript = () => `/** ${HEAD} */

export type TensorId = number;
export type ProgramParameterId = number;

export type Pair = readonly [height: number, width: number];

/** y = max(x, 0) + negativeSlope · min(x, 0), as the last step of another operation. */
export interface FusedRelu {
  readonly negativeSlope: number;
}
${nested.map(({ name, says, fields }) => typescriptInterface(name, commentLines(says).join('\n'), '', fields)).join('')}${kinds
  .map(([kind, { name, says, inputs, outputs, fields }]) =>
    typescriptInterface(
      name,
      [says, `inputs: ${inputs}.`, `outputs: ${outputs}.`].flatMap(commentLines).join('\n'),
      `  readonly kind: '${kind}';\n`,
      fields,
    ),
  )
  .join('')}
/** What one operation computes. */
export type OperationAttributes =
${kinds.map(([, { name }]) => `  | ${name}`).join('\n')};
`;

// C++

const CPP_TYPES = {
  parameter: 'ParameterId',
  parameters: 'std::vector<ParameterId>',
  operation: 'int32_t',
  pair: 'Pair',
  integer: 'int64_t',
  integers: 'std::vector<int64_t>',
  word: 'uint32_t',
  number: 'float',
  numbers: 'std::vector<float>',
  boolean: 'bool',
  relu: 'FusedRelu',
};

function cppType({ type, name, optional }: Field): string {
  const plain = type === 'choice' ? name : type === 'rows' ? `std::vector<${name}>` : CPP_TYPES[type];
  return optional ? `std::optional<${plain}>` : plain;
}

function cppField([name, field]: [string, Field]): string {
  const value = field.default === '' ? '' : ` = ${field.default}`;
  return `  ${cppType(field)} ${name}${value};${field.shape === '' ? '' : `  // ${field.shape}`}\n`;
}

function cppVisit([name, { type, learns, least }]: [string, Field]): string {
  const role =
    type === 'operation'
      ? 'operation'
      : !type.startsWith('parameter')
        ? 'attribute'
        : learns
          ? 'learned'
          : 'parameter';
  const bound = least === null ? '' : `, ${least}`;
  return `    visit(Field{"${name}", Role::${role}${bound}}, self.${name});\n`;
}

/** What the gradient reads, if the schema says it as plain data. Other cases are rules in native/core/verify/training.h. */
function cppReads({ gradient }: Row<never>): string {
  if (gradient === null) return 'noGradient';
  if (typeof gradient === 'function') return 'byRule';
  const { inputs = 'none', outputs = 'none' } = gradient;
  if (inputs === 'all' && outputs === 'none') return 'inputs';
  if (inputs === 'none') return outputs === 'all' ? 'outputs' : 'nothing';
  return 'byRule';
}

const cppConstants = ([kind, row]: [string, Row<never>]) =>
  `  static constexpr const char* kKind = "${kind}";
  static constexpr GradientReads kGradientReads = GradientReads::${cppReads(row)};
  static constexpr bool kIsElementwise = ${row.isElementwise === true};
  static constexpr bool kIsPortable = ${row.isPortable === true};
`;

const cppComment = (text: string) =>
  wrap(text, 120)
    .map((line) => `// ${line}\n`)
    .join('');

function cppStruct(name: string, says: string, kind: string, fields: Fields): string {
  const all = Object.entries(fields);
  const self = all.length === 0 ? '' : ' self';
  const visit = all.length === 0 ? '' : ' visit';
  return `
${cppComment(says)}struct ${name} {
${kind}${all.map(cppField).join('')}
  template <class Self, class Visit>
  static void visitFields(Self&${self}, Visit&&${visit}) {${all.length === 0 ? '' : `\n${all.map(cppVisit).join('')}  `}}
};
`;
}

/** An enumeration that several kinds share is defined before the first of these kinds. */
const firstKindOf = new Map<string, string>();
for (const [kind, { fields }] of kinds)
  for (const { type, name } of Object.values(fields) as Field[])
    if (type === 'choice' && !firstKindOf.has(name)) firstKindOf.set(name, kind);

function cppChoices(kind: string, fields: Fields): string {
  return Object.values(fields)
    .filter(({ type, name }) => type === 'choice' && firstKindOf.get(name) === kind)
    .map(
      ({ name, values }) => `
enum class ${name} { ${values.join(', ')} };
constexpr std::array<const char*, ${values.length}> namesOf(${name}) { return {{${values.map((value) => `"${value}"`).join(', ')}}}; }
`,
    )
    .join('');
}

const namesOf = (has: (row: Row<never>) => true | undefined) =>
  kinds
    .filter(([, row]) => has(row))
    .map(([, { name }]) => name)
    .join(', ');

const cpp = () => `// ${HEAD}
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "native/core/fields.h"
#include "native/core/one-of.h"

namespace resnode {
${nested.map(({ name, says, fields }) => cppStruct(name, says, '', fields)).join('')}${kinds
  .map(
    ([kind, row]) =>
      cppChoices(kind, row.fields) + cppStruct(row.name, row.says, cppConstants([kind, row]), row.fields),
  )
  .join('')}
using Attributes = OneOf<
${wrap(kinds.map(([, { name }]) => name).join(', '), 110)
  .map((line) => `    ${line}`)
  .join('\n')}>;

// Functions of one value, in native/operations/elementwise/elementwise.h.
using Elementwise = OneOf<${namesOf(({ isElementwise }) => isElementwise)}>;

// Operations that are written once for all devices, as native/core/portable.h explains.
using Portable = OneOf<${namesOf(({ isPortable }) => isPortable)}>;

}  // namespace resnode
`;

const inKebab = (kind: string) => kind.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const cppPortable = () => `// ${HEAD}
#pragma once

${kinds
  .filter(([, { isPortable }]) => isPortable)
  .map(([kind]) => `#include "native/operations/${inKebab(kind)}/${inKebab(kind)}.h"`)
  .sort()
  .join('\n')}
`;

// The docs

const DOC_TYPES = {
  parameter: 'parameter',
  parameters: 'parameters',
  operation: 'operation',
  pair: '[height, width]',
  integer: 'integer',
  integers: 'integers',
  word: 'unsigned 32-bit integer',
  number: 'float32',
  numbers: 'float32s',
  boolean: 'boolean',
  relu: '{ negativeSlope }',
  rows: 'rows',
};

function docRow(prefix: string, [name, field]: [string, Field]): string {
  const { type, optional, least, shape, learns, values, says, fields } = field;
  const kind = type === 'choice' ? values.map((value) => `\`${value}\``).join(', ') : DOC_TYPES[type];
  const bound = least !== null && Number.isSafeInteger(least) ? ` from ${least}` : '';
  const also = [`${kind}${bound}`, shape, learns ? 'learnable' : '', optional ? 'may be null' : ''].filter(
    (text) => text !== '',
  );
  return [
    `| \`${prefix}${name}\` | ${also.join('; ')} | ${says} |`,
    ...Object.entries(fields).map((each) => docRow(`${name}[].`, each)),
  ].join('\n');
}

const docSection = ([kind, { says, inputs, outputs, fields }]: [string, Row<never>]) => `
## ${kind}

${says}

- inputs: ${inputs}
- outputs: ${outputs}
${
  Object.keys(fields).length === 0
    ? ''
    : `
| field | type | meaning |
|---|---|---|
${Object.entries(fields)
  .map((each) => docRow('', each))
  .join('\n')}
`
}`;

const docs = () => `# Operations

${HEAD.replaceAll('ts/operations/schema.ts', '`ts/operations/schema.ts`')}

A Program for native code consists of these kinds of operations. Each operation has the name of its layer, the tensors that
it reads and makes, by position, its kind, and all fields of its kind.
${kinds.map(docSection).join('')}`;

/** The text of each generated file, as the schema defines it now. */
export const generated: Readonly<Record<string, string>> = {
  'ts/operations/operations.ts': typescript(),
  'native/core/operations.h': cpp(),
  'native/reference/portable-kinds.h': cppPortable(),
  'docs/operations.md': docs(),
};

/** The path of a generated file. */
export const generatedPath = (name: string): string => fileURLToPath(new URL(name, ROOT));

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const [name, text] of Object.entries(generated)) {
    const path = generatedPath(name);
    // Unchanged files keep their times, so that nothing is compiled again.
    if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
  }
