/** Reads the top-level fields of a message's beginning, in both of protobuf's forms. */

export interface TopLevelField {
  readonly number: number;
  readonly wireType: number;
}

/** This many fields identify a message. */
const ENOUGH = 64;

/**
 * The first fields of a message in the wire format. The last one may be incomplete.
 * @returns null if this is not such a message
 */
export function topLevelFields(head: Uint8Array): TopLevelField[] | null {
  const fields: TopLevelField[] = [];
  let offset = 0;
  const varint = (): number | null => {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = head[offset++];
      if (byte === undefined) return Number.POSITIVE_INFINITY;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    return null;
  };
  while (offset < head.length && fields.length < ENOUGH) {
    const tag = varint();
    if (tag === null) return null;
    if (tag === Number.POSITIVE_INFINITY) break;
    const [number, wireType] = [Math.floor(tag / 8), tag % 8];
    if (number < 1 || number >= 2 ** 29 || ![0, 1, 2, 5].includes(wireType)) return null;
    const length = wireType === 1 ? 8 : wireType === 5 ? 4 : varint();
    if (length === null) return null;
    fields.push({ number, wireType });
    if (wireType !== 0) offset += length;
  }
  return fields;
}

/** The words at brace depth 0 that are followed by ":" or a message: the fields that a prototxt sets. */
export function topLevelWords(text: string): string[] {
  const words: string[] = [];
  let depth = 0;
  // Comments and strings, words with what follows, braces. Each word matches in any context. Otherwise the search would try
  // again from each of its letters.
  const pattern = /#[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|([A-Za-z_]\w*)(?=(\s*[:{<])?)|[{}<>[\]]/g;
  for (const [token, word, follows] of text.matchAll(pattern)) {
    if (word !== undefined) {
      if (depth === 0 && follows !== undefined) words.push(word);
    } else if ('{<['.includes(token)) depth++;
    else if ('}>]'.includes(token)) depth = Math.max(0, depth - 1);
  }
  return words;
}
