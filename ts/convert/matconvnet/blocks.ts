/**
 * MatConvNet's nets as blocks: DagNN's `layers` and `params` as stored, and SimpleNN's chain converted to a DagNN as in
 * fromSimpleNN.m.
 */
import { WeightsError } from '../../base/errors.ts';
import { fieldsOf, type MatFields, type MatValue, numbersOf, textOf, textsOf } from '../matlab/mat-value.ts';

/** A layer of MatConvNet: its class without `dagnn.`, its variables and parameters. */
export interface Block {
  readonly name: string;
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly params: readonly MatValue[];
  /** The block's properties. Older versions lack some of them. */
  readonly properties: MatFields;
}

export interface MatNet {
  readonly blocks: readonly Block[];
  readonly meta: MatFields;
}

const NONE: MatFields = new Map();

/**
 * @param variables The file's variables: the net's fields, or a variable `net` with these fields.
 * @throws WeightsError
 */
export function blocksOf(variables: MatFields, file: string): MatNet {
  const fields = variables.has('layers') ? variables : (fieldsOf(variables.get('net')) ?? NONE);
  const layers = fields.get('layers');
  if (layers?.kind !== 'struct' && layers?.kind !== 'cell')
    throw new WeightsError(
      'convert/matconvnet',
      { file },
      `it has no layers of MatConvNet, but ${[...variables.keys()].slice(0, 5).join(', ') || 'nothing'}; expected the result of save('-struct', 'net') for a DagNN (net.saveobj()) or a SimpleNN`,
    );
  const meta = fieldsOf(fields.get('meta')) ?? fields;
  return {
    blocks: layers.kind === 'struct' ? dag(layers.items, fields, file) : chain(layers.items, file),
    meta,
  };
}

function dag(layers: readonly MatFields[], fields: MatFields, file: string): Block[] {
  const params = fields.get('params');
  const values = new Map(
    (params?.kind === 'struct' ? params.items : []).map((param) => [
      textOf(param.get('name')),
      param.get('value'),
    ]),
  );
  return layers.map((layer, i) => {
    const name = textOf(layer.get('name')) ?? `layer${i + 1}`;
    return {
      name,
      type: (textOf(layer.get('type')) ?? '').replace(/^dagnn\./, ''),
      inputs: textsOf(layer.get('inputs')),
      outputs: textsOf(layer.get('outputs')),
      params: textsOf(layer.get('params')).map((param) => {
        const value = values.get(param);
        if (value === undefined)
          throw new WeightsError(
            'convert/matconvnet',
            { file, layer: name },
            `layer "${name}": its parameter "${param}" is missing`,
          );
        return value;
      }),
      properties: fieldsOf(layer.get('block')) ?? NONE,
    };
  });
}

const SIMPLE: Readonly<Record<string, string>> = {
  conv: 'Conv',
  convt: 'ConvTranspose',
  pool: 'Pooling',
  relu: 'ReLU',
  bnorm: 'BatchNorm',
  normalize: 'LRN',
  lrn: 'LRN',
  softmax: 'SoftMax',
  dropout: 'DropOut',
  sigmoid: 'Sigmoid',
  softmaxloss: 'Loss',
  loss: 'Loss',
};

function chain(layers: readonly MatValue[], file: string): Block[] {
  let input = 'data';
  return layers.map((value, i) => {
    const properties = fieldsOf(value) ?? NONE;
    const name = textOf(properties.get('name')) || `layer${i + 1}`;
    const type = textOf(properties.get('type')) ?? '';
    const weights = properties.get('weights');
    // Before 2015 filters and biases were separate fields (vl_simplenn_tidy.m).
    const params =
      weights?.kind === 'cell'
        ? weights.items
        : [properties.get('filters'), properties.get('biases')].filter((each) => each !== undefined);
    if (!Object.hasOwn(SIMPLE, type))
      throw new WeightsError(
        'convert/layer',
        { file, layer: name },
        `layer "${name}": layers of type "${type}" are not converted`,
      );
    const output = `x${i + 1}`;
    const block = { name, type: SIMPLE[type]!, inputs: [input], outputs: [output], params, properties };
    input = output;
    return block;
  });
}

/** One, two or four numbers of a property. */
export const numbers = (properties: MatFields, name: string): number[] =>
  numbersOf(properties.get(name)) ?? [];
