/** Parses the XML of annotations: elements, text and entities; attributes and namespaces are ignored. */

export interface Element {
  readonly name: string;
  readonly children: readonly Element[];
  readonly text: string;
}

interface Open {
  readonly name: string;
  readonly children: Element[];
  text: string;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const MOST_DEPTH = 64;
/** A comment, CDATA, a declaration, a tag, or text. */
const TOKEN =
  /<!--[\s\S]*?-->|<!\[CDATA\[([\s\S]*?)\]\]>|<[?!][^>]*>|<(\/?)([^\s/>]+)(?:"[^"]*"|'[^']*'|[^'">])*?(\/?)>|([^<]+)|</g;

/**
 * @param fail Reports invalid XML.
 * @returns The root.
 */
export function parseXml(text: string, fail: (found: string) => never): Element {
  const root: Open = { name: '', children: [], text: '' };
  const open: Open[] = [root];
  for (const [token, cdata, slash, name, closed, words] of text.matchAll(TOKEN)) {
    const current = open.at(-1)!;
    if (cdata !== undefined) current.text += cdata;
    else if (words !== undefined) current.text += unescaped(words);
    else if (name === undefined) {
      if (token === '<') fail('a tag is not closed');
    } else if (slash === '/') {
      if (open.length < 2 || current.name !== name) fail(`</${name}> closes no <${name}>`);
      open.pop();
      open.at(-1)!.children.push(current);
    } else if (closed === '/') current.children.push({ name, children: [], text: '' });
    else if (open.length > MOST_DEPTH) fail(`elements are nested deeper than ${MOST_DEPTH}`);
    else open.push({ name, children: [], text: '' });
  }
  if (open.length > 1) fail(`<${open.at(-1)!.name}> is not closed`);
  const [first] = root.children;
  return first ?? fail('it has no element');
}

const unescaped = (text: string): string =>
  text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w+));/gi, (whole, decimal, hex, name) => {
    const code =
      decimal === undefined ? (hex === undefined ? null : Number.parseInt(hex, 16)) : Number(decimal);
    if (code === null) return ENTITIES[name] ?? whole;
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
