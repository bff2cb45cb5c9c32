/** The precisions in which a net can be trained, and the factor of diffs in each. */
import type { Precision } from '../native/binding.ts';

export type TrainPrecision = Exclude<Precision, 'int8'>;

/** Whether feature maps are stored in 16 bits. */
export const isNarrow = (precision: TrainPrecision | undefined): boolean =>
  precision === 'float16' || precision === 'bfloat16';

/** A number, or `dynamic`: as large as the diffs allow (Micikevicius et al., arXiv 1710.03740, section 3.2). */
export type LossScaleOption = number | 'dynamic';

/** `lossScale`, or its default. float16's smallest value is 6e-8; the others have float32's range. */
export const lossScaleOf = ({
  precision,
  lossScale,
}: {
  readonly precision?: TrainPrecision;
  readonly lossScale?: number;
}): number => lossScale ?? (precision === 'float16' ? 1024 : 1);
