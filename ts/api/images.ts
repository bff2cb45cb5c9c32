/**
 * `resnode/images`: from image files to classes: classifiers, decoding, preprocessing, evaluation, features, class
 * activation maps.
 * @module
 */

export {
  type Classifier,
  type ClassifierOptions,
  type ClassifyOptions,
  openClassifier,
} from '../images/classify/classifier.ts';
export type { Classification } from '../images/classify/likeliest.ts';
export { type ClassifierFiles, readModelFolder } from '../images/classify/model-folder.ts';
export { type DecodeLimits, type DecodeOptions, decodeImage } from '../images/decode.ts';
export type { Detection } from '../images/detect/detection.ts';
export { detectionPicture } from '../images/detect/detection-picture.ts';
export {
  type DetectOptions,
  type Detector,
  type DetectorOptions,
  openDetector,
} from '../images/detect/detector.ts';
export {
  type DetectionSample,
  type EvaluateDetectorOptions,
  type EvaluatedDetector,
  evaluateDetector,
} from '../images/detect/evaluate-detector.ts';
export type { Balance, ClassFigures } from '../images/evaluate/balance.ts';
export { readAnnotations } from '../images/evaluate/boxes/annotations.ts';
export type { CocoScores } from '../images/evaluate/boxes/coco-score.ts';
export {
  type DetectionClassScore,
  type DetectionScores,
  type ScoreOptions,
  scoreDetections,
} from '../images/evaluate/boxes/detection-scores.ts';
export type { AnnotatedImage, FoundObject, ScoredImage, TrueObject } from '../images/evaluate/boxes/truth.ts';
export {
  type DatasetOptions,
  type LabelledFiles,
  type MatchedBy,
  readLabelledImages,
} from '../images/evaluate/dataset.ts';
export type { EachOptions } from '../images/evaluate/each-sample.ts';
export {
  type Evaluated,
  type EvaluateOptions,
  evaluateImages,
  type LazySample,
  type Progress,
  type Sample,
  type SkippedImage,
} from '../images/evaluate/evaluate-images.ts';
export { fullyConvolutional } from '../images/evaluate/fully-convolutional.ts';
export {
  type LabelMap,
  PixelCounts,
  type SegmentationClassScore,
  type SegmentationScores,
} from '../images/evaluate/maps/pixel-counts.ts';
export { type Outcome, outcomeOf } from '../images/evaluate/outcome.ts';
export { openProgressFile, type ProgressFile, type ProgressOf } from '../images/evaluate/progress-file.ts';
export { type PublishedCrops, type PublishedError, publishedErrors } from '../images/evaluate/published.ts';
export {
  type EvaluationRecipe,
  evaluationRecipe,
  type FileHash,
  type RecipeInput,
} from '../images/evaluate/recipe.ts';
export {
  compareResults,
  type EvaluationResult,
  type EvaluationSource,
  type ResultComparison,
} from '../images/evaluate/result.ts';
export {
  type BinaryFigures,
  type BinaryOptions,
  binaryFigures,
  type OperatingPoint,
  type ThresholdPoint,
} from '../images/evaluate/roc.ts';
export { readSamples, type Samples, type SamplesOptions } from '../images/evaluate/samples.ts';
export {
  type EvaluatedLabels,
  type EvaluateLabelsOptions,
  evaluateLabels,
  type LabelFigures,
  type LabelsOptions,
  type LabelsOutcome,
  type LabelsSample,
  type LabelsSummary,
  summariseLabels,
} from '../images/evaluate/several-labels.ts';
export {
  type CalibrationBin,
  type ClassCount,
  type Confusion,
  type OutcomeSummary,
  type Share,
  summariseOutcomes,
  wilsonInterval,
} from '../images/evaluate/statistics.ts';
export { tenCropCorners } from '../images/evaluate/ten-crop.ts';
export { camOverlay } from '../images/features/cam-overlay.ts';
export { camPicture } from '../images/features/cam-picture.ts';
export {
  type CamHead,
  type ClassActivationMap,
  classActivationMap,
  findCamHead,
} from '../images/features/class-activation-map.ts';
export { extractFeatures, type FeatureOptions, type Features } from '../images/features/extract-features.ts';
export type { Box, Resize, Size } from '../images/geometry.ts';
export type { AnyImage, DeepImage, Image } from '../images/image.ts';
export { readLabels } from '../images/labels.ts';
export { readMeanImage } from '../images/mean-file.ts';
export {
  type Corner,
  type MeanImage,
  msraPreprocess,
  type Preprocess,
  preprocessImage,
} from '../images/preprocess.ts';
export {
  loadPreprocess,
  loadWholePreprocess,
  savePreprocess,
  saveWholePreprocess,
} from '../images/preprocess-file.ts';
export {
  type EvaluatedSegmenter,
  type EvaluateSegmenterOptions,
  evaluateSegmenter,
  type SegmentationSample,
} from '../images/segment/evaluate-segmenter.ts';
export type { ClassArea, ClassMap, EdgeMap, Segmentation } from '../images/segment/segmentation.ts';
export { segmentationPicture, segmentationPng } from '../images/segment/segmentation-picture.ts';
export {
  openSegmenter,
  type Segmenter,
  type SegmenterOptions,
  type SegmentOptions,
} from '../images/segment/segmenter.ts';
export type { LatencySummary } from '../images/service/batcher.ts';
export type { ImageService } from '../images/service/image-service.ts';
export type { ServiceOptions } from '../images/service/options.ts';
export type { ServiceStats } from '../images/service/requests.ts';
export type { TaskFiles } from '../images/service/task-files.ts';
export type { WholePreprocess, WholeResize } from '../images/whole.ts';
export type { Window } from '../images/window.ts';
