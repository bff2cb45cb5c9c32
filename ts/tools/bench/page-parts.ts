/** What the pages of the processor's and of a GPU's reports share. */
import { BARS_STYLE } from '../../pages/bars.ts';
import { escapeHtml } from '../../pages/html.ts';

export const section = (title: string, body: string) =>
  `<section><h2>${escapeHtml(title)}</h2>\n${body}\n</section>`;

export const STYLE = `${BARS_STYLE}
:root { --text: #1c1d22; --muted: #5d606b; --line: #e6e7ec; --edge: #b9bcc6; --back: #fff;
  --first: #2864c7; --second: #c2571a; --third: #2c8a57; --fourth: #8a4fbf }
@media (prefers-color-scheme: dark) { :root { --text: #e9eaf0; --muted: #a3a6b3; --line: #2c2e37; --edge: #4a4d5a;
  --back: #16171c; --first: #7aa7f5; --second: #f09a5f; --third: #6ac597; --fourth: #c29bea } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 2rem auto; max-width: 62rem; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2.5rem 0 0.5rem }
.lead, figcaption { color: var(--muted) } figcaption { font-size: 0.85rem }
figure { margin: 1rem 0; max-width: 48rem }
.problem { border-left: 4px solid var(--second); padding-left: 0.75rem }
table { border-collapse: collapse; font-size: 0.85rem } th, td { text-align: left; padding: 0.25rem 0.75rem 0.25rem 0; vertical-align: top }
tr { border-bottom: 1px solid var(--line) } .numbers td:not(:first-child) { font-variant-numeric: tabular-nums } .scroll { overflow-x: auto }
`;
