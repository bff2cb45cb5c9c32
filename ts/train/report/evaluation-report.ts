/** The report of an evaluation: one HTML page. */
import { writeFileAtomically } from '../../caffe/atomic-file.ts';
import { chartsScript, chartsStyle } from '../../pages/chart.ts';
import { escapeHtml, htmlPage } from '../../pages/html.ts';
import type { ReportSection } from './data.ts';
import { type EvaluatedImages, evaluationSections } from './evaluation-section.ts';
import { type EvaluatedLabelImages, labelsSections } from './labels-section.ts';
import { REPORT_STYLE, sectionHtml } from './sections.ts';

/**
 * Writes the report.
 * @throws ResnodeError `file/write`; ImageError if the picture of a misclassified image can no longer be read
 */
export async function writeEvaluationReport(
  file: string,
  title: string,
  evaluated: EvaluatedImages,
): Promise<void> {
  const { images } = evaluated.summary;
  writeReport(file, title, images, await evaluationSections(TITLE, evaluated));
}

/**
 * The same for images with several labels.
 * @throws the same errors
 */
export async function writeLabelsReport(
  file: string,
  title: string,
  evaluated: EvaluatedLabelImages,
): Promise<void> {
  writeReport(file, title, evaluated.summary.images, await labelsSections(TITLE, evaluated));
}

const TITLE = 'Results';

function writeReport(file: string, title: string, images: number, sections: readonly ReportSection[]): void {
  const page = htmlPage({
    title: `${title}: evaluation`,
    style: `${chartsStyle()}${REPORT_STYLE}`,
    script: chartsScript(),
    body: `<h1>${escapeHtml(title)}</h1>
<p class="lead">${images.toLocaleString('en')} images with known classes.</p>
<main>
${sections.map(sectionHtml).join('')}</main>`,
  });
  writeFileAtomically(file, [page]);
}
