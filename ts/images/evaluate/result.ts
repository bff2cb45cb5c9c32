/** The result of an evaluation as a file: the results, the recipe, and the comparison with another result. */
import { isDeepStrictEqual } from 'node:util';
import { ArgumentError } from '../../base/errors.ts';
import { anything, having, type Kind, list, number } from '../../base/kinds.ts';
import { fields, required, signature } from '../../base/options.ts';
import { readJsonFile } from '../../caffe/json.ts';
import type { Balance } from './balance.ts';
import type { Evaluated } from './evaluate-images.ts';
import type { PublishedError } from './published.ts';
import type { EvaluationRecipe } from './recipe.ts';
import type { Samples } from './samples.ts';
import type { OutcomeSummary } from './statistics.ts';

export const RESULT_FORMAT = 'resnode-evaluation/1';

/** The files with the images, their classes and the mean, with their paths as given. */
export interface EvaluationSource {
  readonly images: string;
  readonly matchedBy: Samples['matchedBy'];
  readonly sha256: string;
  readonly limit: number | null;
  readonly skipBroken: boolean;
  readonly labels: string | null;
  readonly mean: string | null;
  readonly preprocess: string | null;
  /** The given order of a database's raw images; null for the order recorded beside the database. */
  readonly databaseOrder: 'BGR' | 'RGB' | null;
}

export interface EvaluationResult extends OutcomeSummary, Pick<Evaluated, 'skipped'> {
  readonly format: typeof RESULT_FORMAT;
  /** Null if the net is not one of MSRA's, or was evaluated in another way. */
  readonly published: PublishedError | null;
  /** The class names. */
  readonly labels: readonly string[] | null;
  readonly source: EvaluationSource;
  /** The speed of this run; everything else is the same each time. */
  readonly imagesPerSecond: number;
  readonly recipe: EvaluationRecipe;
}

/**
 * Reads a result.
 * @throws ArgumentError if the file is not a result that can be repeated
 */
export function readResult(file: string): EvaluationResult {
  const misfit = (found: string) =>
    new ArgumentError('replay', 'a result of "resnode evaluate --out"', file, found);
  const json = readJsonFile(file, 'evaluation', misfit) as Partial<EvaluationResult> | null;
  if (json?.format !== RESULT_FORMAT) throw misfit(`its format is ${JSON.stringify(json?.format)}`);
  if (json.recipe?.weights?.sha256 === undefined || json.source?.sha256 === undefined)
    throw misfit('it has no recipe');
  if (json.balance !== undefined && !Array.isArray((json.balance as Partial<Balance> | null)?.classes))
    throw misfit('its balance has no list of classes');
  return json as EvaluationResult;
}

export interface ResultComparison {
  /** `bits`: everything is equal; `counts`: which images were right and how they were classified; `none`. */
  readonly equal: 'bits' | 'counts' | 'none';
  /** The change of the expected calibration error. */
  readonly calibrationDifference: number;
  /** The parts that differ, such as `top1`. */
  readonly differing: readonly string[];
  /** The recipe entries that differ, such as `versions.sharp: 0.34.1, now 0.34.5`: the possible reason. */
  readonly changes: readonly string[];
}

const result = fields<Pick<EvaluationResult, 'calibration' | 'recipe'>>('an EvaluationResult', {
  calibration: required(
    fields<EvaluationResult['calibration']>('a calibration', {
      expectedError: required(number(), 'The expected calibration error of the confidences.'),
      bins: required(
        list(anything as Kind<EvaluationResult['calibration']['bins'][number]>),
        'Bins of equal width.',
      ),
    }),
    'The calibration of the confidences.',
  ),
  recipe: required(having<EvaluationResult['recipe']>('an object'), 'The recipe that produced the result.'),
});

const COMPARE_RESULTS = signature('compareResults', {
  before: required(result, 'The earlier result.'),
  after: required(result, 'The later result.'),
});

/** Whether two results are the same, apart from speed. */
export function compareResults(before: EvaluationResult, after: EvaluationResult): ResultComparison {
  COMPARE_RESULTS.check(before, after);
  const parts = ['images', 'top1', 'top5', 'classes', 'confusions', 'skipped'] as const;
  const asJson = (value: unknown) => JSON.parse(JSON.stringify(value));
  const differs = (part: keyof EvaluationResult) =>
    !isDeepStrictEqual(asJson(before[part]), asJson(after[part]));
  // Values that depend on confidences; results of earlier versions have no balance.
  const fine =
    before.balance === undefined ? (['calibration'] as const) : (['calibration', 'balance'] as const);
  const differing = [...parts, ...fine].filter(differs);
  return {
    equal: differing.length === 0 ? 'bits' : parts.some(differs) ? 'none' : 'counts',
    calibrationDifference: Math.abs(before.calibration.expectedError - after.calibration.expectedError),
    differing,
    changes: differences(asJson(before.recipe), asJson(after.recipe)),
  };
}

/** All leaves that differ between two JSON values. */
export function differences(before: unknown, after: unknown, path = ''): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const text = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 200);
  if (!isObject(before) || !isObject(after)) return [`${path}: ${text(before)}, now ${text(after)}`];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
    differences(before[key], after[key], path === '' ? key : `${path}.${key}`),
  );
}
