/** What a row of the schema can say: fields by their type, and what a gradient needs. */

/** Numbers stand for numbers, `null` for what is not there; nothing is left away. */
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
  readonly says: string;
  /** May be null. */
  readonly optional: boolean;
  /** What a C++ struct begins with. */
  readonly default: string;
  /** Of integers, lists of them and pairs. */
  readonly least: number | null;
  /** Of a parameter: whether its diff has a place among the outputs of a gradient. */
  readonly learns: boolean;
  /** Of a parameter. */
  readonly shape: string;
  /** Of a choice. */
  readonly values: readonly string[];
  /** Of a choice and of rows: the C++ enum or struct. */
  readonly name: string;
  /** Of rows. */
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

/** A blob that the solver changes by its diff. */
export const learned = (shape: string, says = ''): Field =>
  field('parameter', says, { shape, learns: true, default: '-1' });
/** A blob without a diff. */
export const statistics = (shape: string, says = ''): Field =>
  field('parameter', says, { shape, default: '-1' });
/** Ids of parameters. */
export const parameters = (says: string): Field => field('parameters', says);
/** The index of an operation that stands before this one. */
export const operation = (says: string): Field => field('operation', says, { default: '-1' });
/** [height, width]. */
export const pair = (least: number, says: string): Field => field('pair', says, { least });
/** Up to 2^53. */
export const integer = (least: number, fallback: number, says: string): Field =>
  field('integer', says, { least, default: String(fallback) });
/** A list, up to 2^53 each. */
export const integers = (least: number, says: string): Field => field('integers', says, { least });
/** 32 bits, unsigned. */
export const word = (says: string): Field => field('word', says, { default: '0' });
/** A float32 in native code; may be infinite or not a number. */
export const number = (fallback: number, says: string): Field =>
  field('number', says, {
    default: /[.e]/.test(String(fallback)) ? `${fallback}f` : String(fallback),
  });
/** float32. */
export const numbers = (says: string): Field => field('numbers', says);
export const boolean = (fallback: boolean, says: string): Field =>
  field('boolean', says, { default: String(fallback) });
/** One of a few words; the first is the default unless `fallback` is another. `name`: the C++ enum. */
export const choice = (name: string, values: readonly string[], says: string, fallback = values[0]!): Field =>
  field('choice', says, { name, values, default: `${name}::${fallback}` });
/** A list of rows with fields of their own; `name`: the C++ struct. */
export const rows = (name: string, fields: Readonly<Record<string, Field>>, says: string): Field =>
  field('rows', says, { name, fields });
/** The same, or null. */
export const optional = (of: Field): Field => ({ ...of, optional: true, default: '' });
/** y = max(x, 0) + negativeSlope · min(x, 0) as the operation's last step. */
export const relu: Field = optional(field('relu', 'A ReLU as the last step.'));

/** Which inputs and outputs of an operation something holds for: all, none, or one answer a place (false beyond them). */
export type Places = 'all' | 'none' | readonly boolean[];

/** Whose diffs are asked for: of the inputs, and of the parameters that learn, in the order of their fields. */
export interface Asked {
  readonly inputs: readonly boolean[];
  readonly parameters: readonly boolean[];
  /** How many outputs the operation has. */
  readonly made: number;
}

/** What the gradient of an operation reads again; what is not named it does not read. */
export interface Reads {
  readonly inputs?: Places;
  readonly outputs?: Places;
}

/** One kind of operation. */
export interface Row<Operation> {
  /** The TypeScript interface and the C++ struct. */
  readonly name: string;
  /** Sentences for the docs and for whoever reads the types. */
  readonly says: string;
  /** By position. */
  readonly inputs: string;
  readonly outputs: string;
  /** A function of each value alone: native/operations/elementwise/elementwise.h has it, with its derivative. */
  readonly isElementwise?: true;
  /** Its loops are written once for all devices: native/operations/<kind>/<kind>.h (native/core/portable.h says how). */
  readonly isPortable?: true;
  /** In order; parameters have a place of their own among the outputs of a gradient in this order. */
  readonly fields: Readonly<Record<string, Field>>;
  /** Reads as little as it can: the less, the less memory a training step takes. Null: there is none. */
  readonly gradient: Reads | ((operation: Operation, asked: Asked) => Reads) | null;
  /** Which inputs and outputs have a diff: labels, masks and statistics have none. Default: all, or none without a gradient. */
  readonly differentiable?: { readonly inputs?: Places; readonly outputs?: Places };
}
