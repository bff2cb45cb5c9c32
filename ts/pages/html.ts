/** The parts of report pages, which load nothing from elsewhere. */
import { createHash } from 'node:crypto';

/** Text in an HTML page, between tags or inside a quoted attribute. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** A whole page. It may fetch nothing and run only `script`. The parts are inserted unchanged. */
export function htmlPage({
  title,
  style,
  body,
  script,
}: {
  readonly title: string;
  readonly style: string;
  readonly body: string;
  /** Runs when the body is complete; must not contain `</script`. */
  readonly script?: string;
}): string {
  // https://www.w3.org/TR/CSP3/#external-hash: allows only the script with this text.
  const scripts =
    script === undefined
      ? ''
      : `; script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'${scripts}">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
${body}
${script === undefined ? '' : `<script>${script}</script>\n`}</body>
</html>
`;
}

/** A table of numbers with a heading, in a box that scrolls. */
export function numbersTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: string, texts: readonly string[]) =>
    `<tr>${texts.map((text) => `<${tag}>${escapeHtml(text)}</${tag}>`).join('')}</tr>`;
  return `<div class="scroll"><table class="numbers"><thead>${cells('th', head)}</thead><tbody>${rows
    .map((texts) => cells('td', texts))
    .join('')}</tbody></table></div>`;
}

/** A table of names and descriptions. */
export function factsTable(facts: readonly (readonly [name: string, value: string])[]): string {
  const rows = facts.map(
    ([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`,
  );
  return `<table>${rows.join('')}</table>`;
}
