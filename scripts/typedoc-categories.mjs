// A typedoc plugin that groups exports by their folder in ts/, so that the category is written only once.
import { Comment, CommentTag, Converter, ReflectionKind } from 'typedoc';

/** By the prefix of a path below ts/; the longest match counts. */
const CATEGORIES = {
  architectures: 'Nets to build',
  base: 'Errors and warnings',
  caffe: "Caffe's files",
  'caffe/check-solver.ts': 'Solvers',
  'caffe/solver': 'Solvers',
  compile: 'Devices and models',
  convert: 'Conversion',
  data: 'Data sets',
  device: 'Devices and models',
  gradient: 'Training',
  graph: 'Nets',
  hdf5: 'HDF5',
  images: 'Images',
  'images/classify': 'Classifiers',
  'images/detect': 'Detectors',
  'images/evaluate': 'Evaluation',
  'images/features': 'Features and activation maps',
  'images/segment': 'Segmenters',
  'images/service': 'Classifiers',
  layers: 'Nets',
  native: 'Devices and models',
  operations: 'Single operations',
  pages: 'Pages',
  passes: 'Nets',
  quantize: 'Eight-bit integers',
  'tools/bench': 'Measurements',
  'tools/doctor': 'This machine',
  'tools/lint': 'Lint',
  'tools/parity': 'Comparison',
  'tools/view': 'Pages of nets',
  train: 'Training',
  'train/logs': 'Logs of trainings',
};

const OTHERS = 'Others';

export const categoryOf = (file) => {
  const path = /\/ts\/(.+)$/.exec(file)?.[1] ?? '';
  const fits = Object.keys(CATEGORIES).filter((begin) => path.startsWith(begin));
  return CATEGORIES[fits.sort((a, b) => b.length - a.length)[0]] ?? OTHERS;
};

export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const reflection of project.getReflectionsByKind(ReflectionKind.SomeExport)) {
      const file = reflection.sources?.[0]?.fullFileName;
      if (
        file === undefined ||
        !reflection.parent?.kindOf(ReflectionKind.SomeModule | ReflectionKind.Project)
      )
        continue;
      for (const each of reflection.signatures ?? [reflection]) {
        each.comment ??= new Comment();
        each.comment.blockTags.push(new CommentTag('@category', [{ kind: 'text', text: categoryOf(file) }]));
      }
    }
  });
}
