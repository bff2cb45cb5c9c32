/** `resnode parity` replays what a real Caffe recorded. */

import { basename } from 'node:path';
import { Command } from 'commander';
import { ResnodeError } from '../base/errors.ts';
import { type CaseResult, type Check, checkCase } from '../tools/parity/check-case.ts';
import { findGoldenCases, type GoldenCase, readGoldenCase } from '../tools/parity/golden-case.ts';
import { own } from './flag.ts';
import { deviceOptions, openFlagged, precisionOption } from './options.ts';
import { type AgainstFlags, againstOptions, parityAgainst } from './parity-against.ts';

interface Flags extends AgainstFlags {
  blobs?: boolean;
}

export function parity(): Command {
  const command = new Command()
    .argument('[dir...]', 'recorded cases (format caffe-golden/1), or folders of them')
    .addOption(own('allBlobs'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
Recorded cases: the tolerance is 20 × the recorded noise + 1e-6 of the array's largest value or, with a --precision other than
float32, half a unit in the last place of that value for each layer up to it and four more. The exit status is 1 if an array exceeds it.

With --against, the top of every layer, run as written on --device, is compared with the other side's. The first layer that differs is
then computed alone on the other side's bottoms, as written and with common mistakes (pool rounding, BatchNorm's factor and eps, order
of channels, a lost bias, stride position, in-place order); the variant that agrees is named.

Examples:
  resnode parity golden/layers golden/mini-resnet --device reference
  resnode parity --model deploy.prototxt --weights net.caffemodel --against onnx --images photos/ --mean-value 104,117,123
  python scripts/caffe-dump.py deploy.prototxt net.caffemodel dump cat.jpg --mean 104,117,123
  resnode parity --model deploy.prototxt --weights net.caffemodel --against dump`,
    );
  againstOptions(precisionOption(deviceOptions(command)));
  return command.action(async (folders: string[], flags: Flags) => {
    if (folders.length === 0) return parityAgainst(command, flags);
    if (flags.model !== undefined || flags.against !== undefined)
      return command.error('error: expected recorded cases, or --model and --against, not both', {
        exitCode: 2,
      });
    const cases = folders.flatMap(findGoldenCases).map(readGoldenCase);
    await using device = await openFlagged(flags);
    const results: CaseResult[] = [];
    for (const golden of cases) {
      const result = await checkCase(device, golden, flags.precision).catch((error: unknown) =>
        failedCase(golden, error),
      );
      results.push(result);
      if (!flags.json) console.log(caseText(result, flags.blobs ?? false));
    }
    const failed = results.filter(({ ok }) => !ok).length;
    const count = results.reduce((sum, { checks }) => sum + checks.length, 0);
    const compared = results.filter(({ checks }) => checks.length > 0).length;
    if (flags.json) console.log(JSON.stringify({ device: device.kind, ok: failed === 0, results }));
    else
      console.log(
        `${compared} cases, ${count} comparisons on ${device.kind}: ${failed === 0 ? 'all within tolerance' : `${failed} cases beyond tolerance`}${compared < results.length ? `; ${results.length - compared} cases not compared` : ''}`,
      );
    if (failed > 0) process.exitCode = 1;
  });
}

// A case that cannot be loaded or run does not prevent the others from being compared.
function failedCase({ folder, kind }: GoldenCase, error: unknown): CaseResult {
  if (!(error instanceof ResnodeError)) throw error;
  return { folder, kind, ok: false, checks: [], firstDivergence: null, notChecked: [error.message] };
}

function caseText({ folder, ok, checks, firstDivergence, notChecked }: CaseResult, isLong: boolean): string {
  const worst = checks.reduce<Check | null>(
    (most, check) => (most === null || share(check) > share(most) ? check : most),
    null,
  );
  const status = !ok
    ? checks.length === 0
      ? 'FAILED'
      : 'DIVERGES'
    : checks.length === 0
      ? 'not compared'
      : 'ok';
  const head = `${basename(folder).padEnd(28)} ${status.padEnd(13)} ${String(checks.length).padStart(4)} arrays${worst === null ? '' : `, worst: ${checkText(worst)}`}`;
  return [
    head,
    ...(isLong ? checks.map((check) => `  ${check.ok ? '  ' : '! '}${checkText(check)}`) : []),
    ...(firstDivergence === null
      ? []
      : [`  first beyond tolerance: layer "${firstDivergence.layer}", ${checkText(firstDivergence)}`]),
    ...notChecked.map((text) => `  not compared: ${text}`),
  ].join('\n');
}

function checkText({ name, mode, pass, absolute, relative, tolerance }: Check): string {
  return `${name} (${mode}${pass > 0 ? `, pass ${pass + 1}` : ''}): ${absolute.toExponential(2)} absolute, ${relative.toExponential(2)} relative, tolerance ${tolerance.toExponential(2)}`;
}

const share = ({ absolute, tolerance }: Check) => (absolute === 0 ? 0 : absolute / tolerance);
