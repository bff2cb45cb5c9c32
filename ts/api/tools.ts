/**
 * `resnode/tools`: tools that diagnose and draw nets: lint, view, parity.
 * @module
 */

export { type Finding, type LintOptions, lintFile, lintPrototxt } from '../tools/lint/lint.ts';
export type { Level as FindingLevel } from '../tools/lint/rule.ts';
export { type LintRule, lintRules } from '../tools/lint/rules.ts';
export type { Cause, CauseName } from '../tools/parity/against/cause.ts';
export { type Dump, readDump } from '../tools/parity/against/dump.ts';
export { compareInput, type InputCauseName, type InputComparison } from '../tools/parity/against/input.ts';
export {
  type CompareOptions,
  compareLayers,
  type LayerDifference,
  type LayersComparison,
} from '../tools/parity/against/layers.ts';
export { deviceTops, type NetToRun, type Tops, type TopsSource } from '../tools/parity/against/tops.ts';
export type { FloatPrecision } from '../tools/parity/check-case.ts';
export type { ActivationOptions } from '../tools/view/activation-pictures.ts';
export { type DescribeOptions, type Description, describeNet } from '../tools/view/describe-net.ts';
export type { FilterOptions } from '../tools/view/filter-pictures.ts';
export { type ForkMarks, readNetWithMarks } from '../tools/view/fork-marks.ts';
export { type MeasuredOperation, type MeasuredTimes, readTimes } from '../tools/view/measured-times.ts';
export type * from '../tools/view/page-data.ts';
export { addActivations, addFilters } from '../tools/view/page-pictures.ts';
export type { PartialGraph } from '../tools/view/partial-graph.ts';
export type { TracedBlob, TracedLayer } from '../tools/view/trace-layers.ts';
export { pageText } from '../tools/view/write-page.ts';
