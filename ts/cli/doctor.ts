/** `resnode doctor` */

import { Command } from 'commander';
import { type Diagnosis, diagnose } from '../tools/doctor.ts';
import { own } from './flag.ts';

export function doctor(): Command {
  return new Command()
    .addOption(own('json'))
    .addHelpText(
      'after',
      '\nThe exit status is 0 if the CPU device works; a missing GPU is not a failure.\n\nExample:\n  resnode doctor',
    )
    .action(async ({ json }: { json?: boolean }) => {
      const diagnosis = await diagnose();
      console.log(json ? JSON.stringify(diagnosis) : diagnosisText(diagnosis));
      if (!diagnosis.ok) process.exitCode = 1;
    });
}

function diagnosisText({ ok, cuda, version, findings }: Diagnosis): string {
  // Without a driver a missing cuDNN does not matter. --json lists every path.
  const hasDriver = findings.some(({ name, ok: isThere }) => name === 'NVIDIA driver' && isThere);
  const lines = findings.flatMap(({ name, ok: isThere, found, tried, fix }) => [
    `${isThere ? '  ' : '! '}${name.padEnd(14)} ${found}`,
    ...(hasDriver ? (tried ?? []) : []).map((path) => `${' '.repeat(17)}tried ${path}`),
    ...(fix === undefined ? [] : [`${' '.repeat(17)}fix: ${fix}`]),
  ]);
  const verdict = `resnode ${version}: the CPU device ${ok ? 'works' : 'does not work'}, ${cuda ? 'a CUDA device works' : 'no CUDA device'}`;
  return [...lines, verdict].join('\n');
}
