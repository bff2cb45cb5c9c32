/** Values in the words of a message: `but received …`. */

/** What was found, in words, where no value shows what is wrong with it. */
export class InWords {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Stands for a missing argument. */
export const NOTHING = new InWords('nothing');

const MOST_CHARACTERS = 200;

/** Describes any value briefly, even if it cannot be read (a Proxy, a getter that throws). */
export function describe(value: unknown, depth = 0): string {
  try {
    if (typeof value === 'string') {
      const cut = value.length > MOST_CHARACTERS ? `${value.slice(0, MOST_CHARACTERS)}…` : value;
      return JSON.stringify(cut);
    }
    if (value instanceof InWords) return value.text;
    if (typeof value === 'bigint') return `${value}n`;
    if (typeof value === 'function') return 'a function';
    if (ArrayBuffer.isView(value))
      return `${value.constructor.name}(${(value as Uint8Array).length ?? value.byteLength})`;
    if (Array.isArray(value)) {
      if (depth > 1) return '[…]';
      const items = value.slice(0, 8).map((item) => describe(item, depth + 1));
      return `[${items.join(', ')}${value.length > 8 ? ', …' : ''}]`;
    }
    if (typeof value === 'object' && value !== null)
      return `an object (${value.constructor?.name ?? 'no prototype'})`;
    return String(value);
  } catch {
    return 'an object that cannot be read';
  }
}
