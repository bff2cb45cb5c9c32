/**
 * Reads a pickle as data. Nothing is imported or called. A global is a name: the caller's table maps it to a function of
 * resnode, or else the file is refused with that name. Protocols 0 to 5 are supported, with the opcodes that CPython's
 * Lib/pickletools.py documents.
 */

import { WeightsError } from '../../base/errors.ts';
import { MAX_PICKLE_OPCODES } from '../../base/files.ts';
import { PickleReader } from './pickle-reader.ts';

/** Lists and tuples are arrays, dicts are Maps, bytes are views of the file. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | Global
  | Made;

/** A name that a pickle may use. REDUCE and NEWOBJ call it if it can be called. */
export interface Global {
  readonly global: string;
  /** The result is an opaque object with that name. All operations on it are ignored. */
  readonly isOpaque?: boolean;
  /** Throws a string if the arguments are not as expected. */
  readonly call?: (args: PickleValue[]) => PickleValue;
}

/** The value of a global or of a persistent id. */
export interface Made {
  readonly made: string;
  /** Receives the argument of BUILD. Throws a string if it is not as expected. */
  readonly build?: (state: PickleValue) => void;
}

export interface UnpickleOptions {
  /** The name for errors. */
  readonly file: string;
  /** Where the pickle begins. Default 0. */
  readonly offset?: number;
  /** Maps `module.name` to its value. Names without an entry are refused. */
  readonly globals: (name: string) => Global | undefined;
  /** Returns the value of a persistent id. Throws a string if the id is not as expected. */
  readonly persistent: (id: PickleValue) => PickleValue;
  /** Python 2's strings may be bytes: each byte becomes a character. Default false: they are UTF-8. */
  readonly isPython2?: boolean;
  /** The hint for a name that is not allowed. Default: the one for a checkpoint of torch. */
  readonly cure?: string;
}

export interface Unpickled {
  readonly value: PickleValue;
  /** The byte after the pickle's STOP. */
  readonly end: number;
}

const TORCH_CURE =
  'only tensors in dicts and lists are read, nothing is executed; save only model.state_dict(), with torch.save(model.state_dict(), "weights.pth")';

const MARK = Symbol('mark');
type Stack = (PickleValue | typeof MARK)[];

/**
 * @throws WeightsError `torch/global` for a name that is not allowed, `torch/pickle` with the offset where the data is
 * damaged or truncated
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions): Unpickled {
  const reader = new PickleReader(bytes, options.offset ?? 0, options.file);
  const machine = new Machine(reader, options);
  for (let count = 1; ; count++) {
    const opcode = reader.opcode();
    if (count > MAX_PICKLE_OPCODES)
      throw new WeightsError(
        'torch/limit',
        { file: options.file },
        `its pickle has more than ${MAX_PICKLE_OPCODES} steps; a checkpoint of a thousand tensors has 100,000`,
      );
    if (opcode === '.') return { value: machine.pop(), end: reader.position };
    const step = Object.hasOwn(STEPS, opcode) ? STEPS[opcode]! : null;
    if (step === null) reader.fail(`the opcode ${JSON.stringify(opcode)} is not known`);
    else step(machine, reader);
  }
}

class Machine {
  readonly #stack: Stack = [];
  readonly #memo = new Map<number, PickleValue>();
  readonly #reader: PickleReader;
  readonly #options: UnpickleOptions;

  constructor(reader: PickleReader, options: UnpickleOptions) {
    this.#reader = reader;
    this.#options = options;
  }

  push(value: PickleValue): void {
    this.#stack.push(value);
  }

  mark(): void {
    this.#stack.push(MARK);
  }

  pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) return this.#reader.fail('the stack has no value');
    return value;
  }

  /** POP also removes a mark. */
  drop(): void {
    if (this.#stack.pop() === undefined) this.#reader.fail('the stack has no value');
  }

  top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) return this.#reader.fail('the stack has no value');
    return value;
  }

  /** Removes and returns everything above the last mark, and the mark. */
  popToMark(): PickleValue[] {
    const at = this.#stack.lastIndexOf(MARK);
    if (at < 0) return this.#reader.fail('the stack has no mark');
    const values = this.#stack.splice(at) as PickleValue[];
    values.shift();
    return values;
  }

  remember(key = this.#memo.size): void {
    this.#memo.set(key, this.top());
  }

  recall(key: number): void {
    const value = this.#memo.get(key);
    if (value === undefined) this.#reader.fail(`nothing was stored under ${key}`);
    this.push(value);
  }

  global(module: string, name: string): void {
    const path = `${module}.${name}`;
    const global = this.#options.globals(path);
    if (global === undefined)
      throw new WeightsError(
        'torch/global',
        { file: this.#options.file },
        `its pickle refers to ${path}, which is code: ${this.#options.cure ?? TORCH_CURE}`,
      );
    this.push(global);
  }

  stackGlobal(): void {
    const [name, module] = [this.pop(), this.pop()];
    if (typeof name !== 'string' || typeof module !== 'string') this.#reader.fail('a global has no name');
    this.global(module, name);
  }

  call(): void {
    const args = this.pop();
    const callee = this.pop();
    if (isGlobal(callee) && callee.isOpaque) {
      this.push(opaque(callee));
      return;
    }
    if (!isGlobal(callee) || callee.call === undefined)
      this.#reader.fail(`${isGlobal(callee) ? callee.global : 'a value'} cannot be called`);
    if (!Array.isArray(args)) this.#reader.fail(`${callee.global} is called without a tuple`);
    this.push(this.#named(callee.global, () => callee.call!(args)));
  }

  persistent(id: PickleValue): void {
    this.push(this.#named('a persistent id', () => this.#options.persistent(id)));
  }

  /** An object's attributes are not read unless its value accepts them; only its items are read. */
  build(): void {
    const state = this.pop();
    const value = this.top();
    if (typeof value !== 'object' || value === null || !('build' in value) || value.build === undefined)
      return;
    const { build, made } = value;
    this.#named(made, () => {
      build(state);
      return null;
    });
  }

  /** A string of Python 2. */
  oldString(bytes: Uint8Array): void {
    this.push(Buffer.from(bytes).toString(this.#options.isPython2 ? 'latin1' : 'utf8'));
  }

  append(values: PickleValue[]): void {
    const list = this.top();
    if (isOpaque(list)) return;
    if (list instanceof Set) for (const value of values) list.add(value);
    else if (Array.isArray(list)) for (const value of values) list.push(value);
    else this.#reader.fail('values are appended to something that is not a list');
  }

  setItems(values: PickleValue[]): void {
    const dict = this.top();
    if (isOpaque(dict)) return;
    if (!(dict instanceof Map) || values.length % 2 !== 0)
      this.#reader.fail('items are set in something that is not a dict');
    for (let i = 0; i < values.length; i += 2) dict.set(values[i]!, values[i + 1]!);
  }

  #named(what: string, make: () => PickleValue): PickleValue {
    try {
      return make();
    } catch (error) {
      if (typeof error !== 'string') throw error;
      return this.#reader.fail(`${what}: ${error}`);
    }
  }
}

const opaque = ({ global }: Global): Made => ({ made: `opaque ${global}` });

const isOpaque = (value: PickleValue): boolean =>
  typeof value === 'object' && value !== null && 'made' in value && value.made.startsWith('opaque ');

const isGlobal = (value: PickleValue): value is Global =>
  typeof value === 'object' && value !== null && 'global' in value;

function dictOf(values: PickleValue[], machine: Machine): void {
  machine.push(new Map());
  machine.setItems(values);
}

function tuple(machine: Machine, count: number): void {
  const values = Array.from({ length: count }, () => machine.pop());
  machine.push(values.reverse());
}

// Named by the opcode's character, as in pickletools.py.
const STEPS: Readonly<Record<string, (machine: Machine, reader: PickleReader) => void>> = {
  // Frames and the protocol need no action.
  '\x80': (_, reader) => {
    const protocol = reader.byte();
    if (protocol > 5) reader.fail(`pickle protocol ${protocol} is unknown; expected 0 to 5`);
  },
  '\x95': (_, reader) => reader.skip(8),
  // Constants.
  N: (machine) => machine.push(null),
  '\x88': (machine) => machine.push(true),
  '\x89': (machine) => machine.push(false),
  I: (machine, reader) => {
    const line = reader.line();
    machine.push(line === '01' ? true : line === '00' ? false : reader.decimal(line));
  },
  L: (machine, reader) => machine.push(reader.decimal(reader.line().replace(/L$/, ''))),
  F: (machine, reader) => machine.push(reader.floating(reader.line())),
  J: (machine, reader) => machine.push(reader.int32()),
  K: (machine, reader) => machine.push(reader.byte()),
  M: (machine, reader) => machine.push(reader.uint16()),
  G: (machine, reader) => machine.push(reader.float64()),
  '\x8a': (machine, reader) => machine.push(reader.long(reader.byte())),
  '\x8b': (machine, reader) => machine.push(reader.long(reader.uint32())),
  // Text and bytes; Python 2's strings are text.
  S: (machine, reader) => machine.push(reader.quoted(reader.line())),
  V: (machine, reader) => machine.push(reader.unicodeLine()),
  U: (machine, reader) => machine.oldString(reader.bytes(reader.byte())),
  T: (machine, reader) => machine.oldString(reader.bytes(reader.uint32())),
  X: (machine, reader) => machine.push(reader.text(reader.uint32())),
  '\x8c': (machine, reader) => machine.push(reader.text(reader.byte())),
  '\x8d': (machine, reader) => machine.push(reader.text(reader.uint64())),
  C: (machine, reader) => machine.push(reader.bytes(reader.byte())),
  B: (machine, reader) => machine.push(reader.bytes(reader.uint32())),
  '\x8e': (machine, reader) => machine.push(reader.bytes(reader.uint64())),
  '\x96': (machine, reader) => machine.push(reader.bytes(reader.uint64())),
  // Containers.
  '(': (machine) => machine.mark(),
  ')': (machine) => machine.push([]),
  ']': (machine) => machine.push([]),
  '}': (machine) => machine.push(new Map()),
  '\x8f': (machine) => machine.push(new Set()),
  t: (machine) => machine.push(machine.popToMark()),
  l: (machine) => machine.push(machine.popToMark()),
  d: (machine) => dictOf(machine.popToMark(), machine),
  '\x91': (machine) => machine.push(new Set(machine.popToMark())),
  '\x85': (machine) => tuple(machine, 1),
  '\x86': (machine) => tuple(machine, 2),
  '\x87': (machine) => tuple(machine, 3),
  a: (machine) => machine.append([machine.pop()]),
  e: (machine) => machine.append(machine.popToMark()),
  '\x90': (machine) => machine.append(machine.popToMark()),
  s: (machine) => {
    const [value, key] = [machine.pop(), machine.pop()];
    machine.setItems([key, value]);
  },
  u: (machine) => machine.setItems(machine.popToMark()),
  // The stack and the memo.
  '0': (machine) => machine.drop(),
  '1': (machine) => {
    machine.popToMark();
  },
  '2': (machine) => machine.push(machine.top()),
  p: (machine, reader) => machine.remember(reader.index(reader.line())),
  q: (machine, reader) => machine.remember(reader.byte()),
  r: (machine, reader) => machine.remember(reader.uint32()),
  '\x94': (machine) => machine.remember(),
  g: (machine, reader) => machine.recall(reader.index(reader.line())),
  h: (machine, reader) => machine.recall(reader.byte()),
  j: (machine, reader) => machine.recall(reader.uint32()),
  // Names and calls.
  c: (machine, reader) => {
    const module = reader.line();
    machine.global(module, reader.line());
  },
  '\x93': (machine) => machine.stackGlobal(),
  i: (machine, reader) => {
    const args = machine.popToMark();
    const module = reader.line();
    machine.global(module, reader.line());
    machine.push(args);
    machine.call();
  },
  o: (machine) => {
    const [callee, ...args] = machine.popToMark();
    machine.push(callee ?? null);
    machine.push(args);
    machine.call();
  },
  R: (machine) => machine.call(),
  '\x81': (machine) => machine.call(),
  '\x92': (machine, reader) => {
    machine.pop(); // keyword arguments
    const args = machine.pop();
    const callee = machine.top();
    if (!isGlobal(callee) || !callee.isOpaque) reader.fail('objects with keyword arguments are not read');
    machine.push(args);
    machine.call();
  },
  b: (machine) => machine.build(),
  P: (machine, reader) => machine.persistent(reader.line()),
  Q: (machine) => machine.persistent(machine.pop()),
  // Extension registry and buffers outside the pickle.
  '\x82': (_, reader) =>
    reader.fail("an entry of Python's extension registry refers to code, which is not read"),
  '\x83': (_, reader) =>
    reader.fail("an entry of Python's extension registry refers to code, which is not read"),
  '\x84': (_, reader) =>
    reader.fail("an entry of Python's extension registry refers to code, which is not read"),
  '\x97': (_, reader) => reader.fail('buffers outside the pickle are not read'),
  '\x98': (_, reader) => reader.fail('buffers outside the pickle are not read'),
};
