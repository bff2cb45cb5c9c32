/** The answers of the main process: the part that does not depend on Electron. */
import { ResnodeError } from 'resnode';
import { openClassifier } from 'resnode/images';

/** @param {string} model A model folder. */
export async function openAnswers(model) {
  const classifier = await openClassifier(model, { maxPixels: 1e8 });
  return {
    /** @param {readonly string[]} files */
    classify: (files) =>
      Promise.all(
        files.map(async (file) => {
          try {
            return { file, classes: await classifier.classify(file, { top: 3 }) };
          } catch (error) {
            if (!(error instanceof ResnodeError)) throw error;
            // An Error loses its code on the way to the page.
            return { file, error: { code: error.code, message: error.message } };
          }
        }),
      ),
    close: () => classifier.close(),
  };
}
