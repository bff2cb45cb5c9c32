/** The parts of a row of the schema: fields of each type, and what the gradient reads. */

/** A field of an operation. Every field has a value; that of an absent one is `null`. */
export interface Field {
  readonly type:
    | 'parameter'
    | 'parameters'
    | 'operation'
    | 'pair'
    | 'integer'
    | 'integers'
    | 'word'
    | 'number'
    | 'numbers'
    | 'boolean'
    | 'relu'
    | 'choice'
    | 'rows';
  /** Its description. */
  readonly says: string;
  /** Whether it may be null. */
  readonly optional: boolean;
  /** The initial value in the C++ struct. */
  readonly default: string;
  /** The smallest value of an integer, of each in a list, and of both in a pair. */
  readonly least: number | null;
  /** For a parameter: whether its diff has a place among the outputs of a gradient. */
  readonly learns: boolean;
  /** For a parameter: its shape. */
  readonly shape: string;
  /** For a choice: its values. */
  readonly values: readonly string[];
  /** For a choice or rows: the name of the C++ enum or struct. */
  readonly name: string;
  /** For rows: the fields of each row. */
  readonly fields: Readonly<Record<string, Field>>;
}

const field = (type: Field['type'], says: string, rest: Partial<Field> = {}): Field => ({
  type,
  says,
  optional: false,
  default: '',
  least: null,
  learns: false,
  shape: '',
  values: [],
  name: '',
  fields: {},
  ...rest,
});

/** A blob that the solver updates with its diff. */
export const learned = (shape: string, says = ''): Field =>
  field('parameter', says, { shape, learns: true, default: '-1' });
/** A blob without a diff. */
export const statistics = (shape: string, says = ''): Field =>
  field('parameter', says, { shape, default: '-1' });
/** Ids of parameters. */
export const parameters = (says: string): Field => field('parameters', says);
/** The index of an earlier operation. */
export const operation = (says: string): Field => field('operation', says, { default: '-1' });
/** [height, width]. */
export const pair = (least: number, says: string): Field => field('pair', says, { least });
/** An integer of at most 2^53. */
export const integer = (least: number, fallback: number, says: string): Field =>
  field('integer', says, { least, default: String(fallback) });
/** A list of integers of at most 2^53. */
export const integers = (least: number, says: string): Field => field('integers', says, { least });
/** An unsigned 32-bit integer. */
export const word = (says: string): Field => field('word', says, { default: '0' });
/** A float32 in native code; may be infinite or not a number. */
export const number = (fallback: number, says: string): Field =>
  field('number', says, {
    default: /[.e]/.test(String(fallback)) ? `${fallback}f` : String(fallback),
  });
/** A list of float32s. */
export const numbers = (says: string): Field => field('numbers', says);
export const boolean = (fallback: boolean, says: string): Field =>
  field('boolean', says, { default: String(fallback) });
/** One of a few words. The default is the first unless `fallback` names another. `name` is the C++ enum. */
export const choice = (name: string, values: readonly string[], says: string, fallback = values[0]!): Field =>
  field('choice', says, { name, values, default: `${name}::${fallback}` });
/** A list of rows with fields of their own. `name` is the C++ struct. */
export const rows = (name: string, fields: Readonly<Record<string, Field>>, says: string): Field =>
  field('rows', says, { name, fields });
/** The same field, which may be null. */
export const optional = (of: Field): Field => ({ ...of, optional: true, default: '' });
/** y = max(x, 0) + negativeSlope · min(x, 0) as the operation's last step. */
export const relu: Field = optional(field('relu', 'A ReLU as the last step.'));

/** The inputs or outputs of an operation for which something holds: all, none, or an answer for each (false beyond them). */
export type Places = 'all' | 'none' | readonly boolean[];

/** The diffs that are requested: of the inputs, and of the learnable parameters, in the order of their fields. */
export interface Asked {
  readonly inputs: readonly boolean[];
  readonly parameters: readonly boolean[];
  /** How many outputs the operation has. */
  readonly made: number;
}

/** The inputs and outputs of an operation that its gradient reads. By default it reads none. */
export interface Reads {
  readonly inputs?: Places;
  readonly outputs?: Places;
}

/** One kind of operation. */
export interface Row<Operation> {
  /** The TypeScript interface and the C++ struct. */
  readonly name: string;
  /** Its description in the docs and in the types. */
  readonly says: string;
  /** The inputs, by position. */
  readonly inputs: string;
  /** The outputs, by position. */
  readonly outputs: string;
  /** A function of one value, which native/operations/elementwise/elementwise.h has, with its derivative. */
  readonly isElementwise?: true;
  /** Its loops are written once for all devices, in native/operations/<kind>/<kind>.h; native/core/portable.h explains how. */
  readonly isPortable?: true;
  /** Learnable parameters have places among the outputs of a gradient in this order. */
  readonly fields: Readonly<Record<string, Field>>;
  /** What the gradient reads; null if there is no gradient. The less it reads, the less memory a training step takes. */
  readonly gradient: Reads | ((operation: Operation, asked: Asked) => Reads) | null;
  /** The inputs and outputs that have a diff: not labels, masks or statistics. Default: all, or none without a gradient. */
  readonly differentiable?: { readonly inputs?: Places; readonly outputs?: Places };
}
