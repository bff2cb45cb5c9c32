/** Debian's headless Chromium through playwright-core. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { repositoryFolder } from './golden.ts';

/** The path of Chromium, which is installed if possible; null, after printing why the caller skips, if not. */
export function findChromium(): string | null {
  const script = join(repositoryFolder, 'scripts/install-chromium.sh');
  const found = spawnSync('bash', [script], { encoding: 'utf8' });
  if (found.status === 0) return found.stdout.trim();
  console.log(`skipped: no Chromium (${found.stderr.trim().split('\n').at(-1)})`);
  return null;
}

export interface Browser {
  readonly context: BrowserContext;
  close(): Promise<void>;
}

/** Starts Chromium with a new, empty profile. */
export async function startBrowser(path: string, colorScheme: 'light' | 'dark' = 'light'): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'resnode-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: path,
    headless: true,
    colorScheme,
    viewport: { width: 1440, height: 900 },
    offline: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  return {
    context,
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
