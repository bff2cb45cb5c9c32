/**
 * `resnode/images`. From image files to classes: classifiers, decoding, preprocessing, evaluation, features, class activation maps.
 * @module
 */

export {
  type Classifier,
  type ClassifierOptions,
  type ClassifierStats,
  type ClassifyOptions,
  openClassifier,
} from '../classify/classifier.ts';
export type { LatencySummary } from '../classify/latencies.ts';
export type { Classification } from '../classify/likeliest.ts';
export { type ClassifierFiles, readModelFolder } from '../classify/model-folder.ts';
export {
  type DatasetOptions,
  type LabelledFiles,
  type MatchedBy,
  readLabelledImages,
} from '../evaluate/dataset.ts';
export {
  type Evaluated,
  type EvaluateOptions,
  evaluateImages,
  type LazySample,
  type Progress,
  type Sample,
  type SkippedImage,
} from '../evaluate/evaluate-images.ts';
export { fullyConvolutional } from '../evaluate/fully-convolutional.ts';
export { openProgressFile, type ProgressFile } from '../evaluate/progress-file.ts';
export { type PublishedError, type PublishedViews, publishedErrors } from '../evaluate/published.ts';
export {
  type EvaluationRecipe,
  evaluationRecipe,
  type FileHash,
  type RecipeInput,
} from '../evaluate/recipe.ts';
export {
  compareResults,
  type EvaluationResult,
  type EvaluationSource,
  type ResultComparison,
} from '../evaluate/result.ts';
export { readSamples, type Samples, type SamplesOptions } from '../evaluate/samples.ts';
export {
  type CalibrationBin,
  type ClassCount,
  type Confusion,
  type Outcome,
  type OutcomeSummary,
  outcomeOf,
  type Share,
  summariseOutcomes,
  wilsonInterval,
} from '../evaluate/statistics.ts';
export { tenCropCorners } from '../evaluate/ten-crop.ts';
export { camOverlay } from '../features/cam-overlay.ts';
export {
  type CamTail,
  type ClassActivationMap,
  classActivationMap,
  findCamTail,
} from '../features/class-activation-map.ts';
export { extractFeatures, type FeatureOptions, type Features } from '../features/extract-features.ts';
export { type DecodeLimits, type DecodeOptions, decodeImage } from '../image/decode.ts';
export type { Resize, Size } from '../image/geometry.ts';
export type { DeepImage, Image } from '../image/image.ts';
export { readLabels } from '../image/labels.ts';
export { readMeanImage } from '../image/mean-file.ts';
export { type MeanImage, msraPreprocess, type Preprocess, preprocessImage } from '../image/preprocess.ts';
export { loadPreprocess, savePreprocess } from '../image/preprocess-file.ts';
