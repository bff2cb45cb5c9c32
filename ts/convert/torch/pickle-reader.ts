/** Reads the arguments of a pickle's opcodes, each of which is checked against the end of the file. */
import { WeightsError } from '../../base/errors.ts';

const MAX_LONG = 1024;

export class PickleReader {
  position: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #file: string;
  #opcodeAt = 0;

  constructor(bytes: Uint8Array, position: number, file: string) {
    this.position = position;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#file = file;
  }

  fail(message: string): never {
    throw new WeightsError(
      'torch/pickle',
      { file: this.#file },
      `the pickle cannot be read at byte ${this.#opcodeAt}: ${message}; the file is damaged or has another kind`,
    );
  }

  opcode(): string {
    this.#opcodeAt = this.position;
    return String.fromCharCode(this.#bytes[this.skip(1)]!);
  }

  /** @returns the position of the skipped bytes */
  skip(count: number): number {
    const start = this.position;
    if (!(start + count <= this.#bytes.length))
      this.fail(`${count} bytes are needed, ${this.#bytes.length - start} are left`);
    this.position += count;
    return start;
  }

  byte(): number {
    return this.#bytes[this.skip(1)]!;
  }

  uint16(): number {
    return this.#view.getUint16(this.skip(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.skip(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  uint64(): number {
    return Number(this.#view.getBigUint64(this.skip(8), true));
  }

  /** Big-endian, as in BINFLOAT. */
  float64(): number {
    return this.#view.getFloat64(this.skip(8), false);
  }

  bytes(length: number): Uint8Array {
    const start = this.skip(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(length: number): string {
    return Buffer.from(this.bytes(length)).toString('utf8');
  }

  /** Little-endian two's complement of any length. */
  long(length: number): number | bigint {
    if (length > MAX_LONG) this.fail(`an integer of ${length} bytes`);
    const bytes = this.bytes(length);
    const magnitude = bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
    return simplest(BigInt.asIntN(8 * length, magnitude));
  }

  /** Up to the next newline, without it. */
  line(encoding: 'utf8' | 'latin1' = 'utf8'): string {
    const end = this.#bytes.indexOf(10, this.position);
    if (end < 0) this.fail('a line has no end');
    const bytes = this.bytes(end - this.position);
    this.position++;
    return Buffer.from(bytes).toString(encoding);
  }

  /** A line in Python's raw-unicode-escape, in which protocol 0 writes text. */
  unicodeLine(): string {
    return this.line('latin1').replace(
      /\\u([0-9a-f]{4})|\\U([0-9a-f]{8})/gi,
      (_, short?: string, long?: string) => {
        const code = Number.parseInt(short ?? long!, 16);
        return code <= 0x10ffff ? String.fromCodePoint(code) : this.fail('a character beyond Unicode');
      },
    );
  }

  decimal(text: string): number | bigint {
    if (!/^[+-]?\d{1,1024}$/.test(text)) this.fail(`${JSON.stringify(text.slice(0, 40))} is not an integer`);
    return simplest(BigInt(text.replace(/^\+/, '')));
  }

  index(text: string): number {
    const value = this.decimal(text);
    return typeof value === 'number' && value >= 0 ? value : this.fail(`${text} is not an index`);
  }

  floating(text: string): number {
    if (!/^[+-]?(?:\d[\d.e+-]*|\.\d[\d.e+-]*|inf|nan)$/i.test(text))
      this.fail(`${JSON.stringify(text.slice(0, 40))} is not a number`);
    const special = /^([+-]?)(inf|nan)$/i.exec(text);
    if (special === null) return Number(text);
    return special[2]!.toLowerCase() === 'nan' ? Number.NaN : special[1] === '-' ? -Infinity : Infinity;
  }

  /** Protocol 0 writes strings as Python prints them. */
  quoted(text: string): string {
    const [, , inner] = /^(['"])(.*)\1$/.exec(text) ?? this.fail('a string without quotes');
    return inner!.replace(/\\(?:x([0-9a-f]{2})|(.))/gi, (_, hex?: string, plain?: string) =>
      hex === undefined
        ? ({ n: '\n', r: '\r', t: '\t' }[plain!] ?? plain!)
        : String.fromCharCode(Number.parseInt(hex, 16)),
    );
  }
}

const simplest = (value: bigint): number | bigint =>
  Number.isSafeInteger(Number(value)) ? Number(value) : value;
