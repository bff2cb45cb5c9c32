/**
 * `resnode/tools`. What diagnoses and draws nets: lint, view, parity.
 * @module
 */

export { type Finding, type LintOptions, lintFile, lintPrototxt } from '../lint/lint.ts';
export type { Level as FindingLevel } from '../lint/rule.ts';
export { type LintRule, lintRules } from '../lint/rules.ts';
export type { Cause, CauseName } from '../parity/against-cause.ts';
export { type Dump, readDump } from '../parity/against-dump.ts';
export { compareInput, type InputCauseName, type InputComparison } from '../parity/against-input.ts';
export {
  type CompareOptions,
  compareLayers,
  type LayerDifference,
  type LayersComparison,
} from '../parity/against-layers.ts';
export { deviceTops, type NetToRun, type Tops, type TopsSource } from '../parity/against-tops.ts';
export type { FloatPrecision } from '../parity/check-case.ts';
export type { ActivationOptions } from '../view/activation-pictures.ts';
export { type DescribeOptions, type Description, describeNet } from '../view/describe-net.ts';
export { type ForkMarks, readNetWithMarks } from '../view/fork-marks.ts';
export { type MeasuredOperation, type MeasuredTimes, readTimes } from '../view/measured-times.ts';
export type * from '../view/page-data.ts';
export { addActivations, addFilters } from '../view/page-pictures.ts';
export type { PartialGraph } from '../view/partial-graph.ts';
export type { TracedBlob, TracedLayer } from '../view/trace-layers.ts';
export { pageText } from '../view/write-page.ts';
