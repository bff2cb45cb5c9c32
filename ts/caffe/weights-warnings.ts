/** Warnings about the weights of a net: layers at their fillers, and values that are not finite. */
import { describeNotFinite, notFiniteBytes } from '../base/not-finite.ts';
import type { Warning } from '../base/warn.ts';
import type { Blob } from './blob.ts';
import type { WeightsFile } from './caffemodel.ts';
import { type LayerReport, type MatchedParameter, matchText, namesTwice } from './match-weights.ts';

/** Weights were given, but some layers of the net have none in the file. */
export function partialWarnings(report: readonly LayerReport[], weights: WeightsFile | null): Warning[] {
  if (weights === null || !report.some(({ status }) => status === 'missing')) return [];
  return [{ code: 'weights/partial', message: `${weights.file}: ${matchText(report)}` }];
}

/**
 * Warns of NaN in weights before anything is computed, because NaN spreads to all results.
 * @param blobs The blobs of the parameters, in their order; null: none was given.
 * @param weights The file of the blobs; null: no file.
 */
export async function notFiniteWarnings(
  parameters: readonly Pick<MatchedParameter, 'layer' | 'index'>[],
  blobs: readonly (Blob | null)[],
  weights: Pick<WeightsFile, 'file' | 'layers'> | null,
): Promise<Warning[]> {
  const warnings: Warning[] = [];
  for (const [id, blob] of blobs.entries()) {
    const found = blob === null ? null : await notFiniteBytes(blob.bytes, blob.dtype);
    if (found === null) continue;
    const { layer, index } = parameters[id]!;
    // For a layer with weights in the prototxt, its position there.
    const file = weights?.layers.findLast(({ name }) => name === layer)?.file ?? weights?.file ?? '';
    warnings.push({
      code: 'weights/not-finite',
      message: `${file === '' ? '' : `${file}: `}layer "${layer}", blob ${index}: ${describeNotFinite(found)}; the net's results are meaningless`,
    });
  }
  return warnings;
}

/** One warning for each such name. */
export function namesTwiceWarnings(
  parameters: readonly Pick<MatchedParameter, 'layer' | 'index'>[],
): Warning[] {
  return namesTwice(parameters).map((name) => ({
    code: 'net/names-twice',
    message: `several layers with parameters are named "${name}": files store weights by name, one set for all of these layers, so the net cannot be saved and loaded; give each layer its own name`,
  }));
}
