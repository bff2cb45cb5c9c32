/** One self-contained HTML page: the template, style and scripts of page/ with the data put in. */
import { readFileSync } from 'node:fs';
import { having, list, string } from '../../base/kinds.ts';
import { fields, optional, required, signature } from '../../base/options.ts';
import { ownFile } from '../../base/own-package.ts';
import { escapeHtml } from '../../pages/html.ts';
import type { PageData, PagePictures } from './page-data.ts';

/** In the order in which they must run. Each imports only earlier ones. */
const SCRIPTS = [
  'elements.js',
  'net.js',
  'selection.js',
  'viewport.js',
  'drawing.js',
  'overview.js',
  'panel.js',
  'search.js',
  'keyboard.js',
  'main.js',
];

const read = (name: string) => readFileSync(ownFile(`tools/view/page/${name}`), 'utf8');

const PAGE_TEXT = signature('pageText', {
  data: required(
    fields<Pick<PageData, 'title' | 'layers'>>('PageData of describeNet', {
      title: required(string, 'The title of the page.'),
      layers: required(list(having<PageData['layers'][number]>('a layer')), 'The layers of the page.'),
    }),
    'The result of describeNet.',
  ),
  pictures: optional(having<PagePictures>('pictures'), 'none', 'Pictures, by index of the layer.'),
});

/** The page as text. It loads nothing from the network, and its policy forbids that. */
export function pageText(data: PageData, pictures: PagePictures = {}): string {
  PAGE_TEXT.check(data, pictures);
  const parts: Record<string, string> = {
    title: escapeHtml(data.title),
    style: read('page.css'),
    data: escapeJson(data),
    pictures: escapeJson(pictures),
    script: SCRIPTS.map((name) => withoutModules(read(name))).join('\n'),
  };
  return read('page.html').replace(
    /(<[^>]* data-part="(\w+)"[^>]*>)/g,
    (_, element: string, name: string) => `${element}${parts[name]!}`,
  );
}

/** A module becomes a function, and its exports become constants of the page. Imports find them by the same names. */
function withoutModules(script: string): string {
  const names = [...script.matchAll(/^export (?:const|function) (\w+)/gm)].map(([, name]) => name);
  const body = script.replace(/^import [^;]*;\n/gm, '').replace(/^export /gm, '');
  return `const { ${names.join(', ')} } = (() => {\n${body}return { ${names.join(', ')} };\n})();`;
}

/** Inside a script element no text may look like the element's end. */
const escapeJson = (value: unknown) => JSON.stringify(value).replaceAll('<', '\\u003c');
