/** The table of all rules. */
import { batchNormRules } from './batch-norm-rules.ts';
import { dataRules } from './data-rules.ts';
import { denseRules } from './dense-rules.ts';
import { detectionRules } from './detection-rules.ts';
import { layerRules } from './layer-rules.ts';
import { learningRules } from './learning-rules.ts';
import type { Level, Rule } from './rule.ts';
import { solverRules } from './solver-rules.ts';
import { syntaxRules } from './syntax-rules.ts';

export const rules: readonly Rule[] = [
  ...syntaxRules,
  ...batchNormRules,
  ...layerRules,
  ...denseRules,
  ...detectionRules,
  ...learningRules,
  ...dataRules,
  ...solverRules,
];

/** What a rule of `lintPrototxt` finds and why. `level` is its usual level. */
export interface LintRule {
  readonly name: string;
  readonly level: Level;
  readonly finds: string;
  readonly why: string;
  readonly fix: string;
}

/** All rules, by name. */
export const lintRules: readonly LintRule[] = rules.map(({ name, level, finds, why, fix }) => ({
  name,
  level,
  finds,
  why,
  fix,
}));
