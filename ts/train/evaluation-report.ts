/** The report of an evaluation: one HTML page. */
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { chartsScript, chartsStyle } from '../pages/chart.ts';
import { escapeHtml, htmlPage } from '../pages/html.ts';
import { type EvaluatedImages, evaluationSections } from './evaluation-section.ts';
import { REPORT_STYLE, sectionHtml } from './report-sections.ts';

/** @throws ResnodeError `file/write`; ImageError where a picture of a miss can no longer be read */
export async function writeEvaluationReport(
  file: string,
  title: string,
  evaluated: EvaluatedImages,
): Promise<void> {
  const sections = await evaluationSections('What was found', evaluated);
  const page = htmlPage({
    title: `${title}: evaluation`,
    style: `${chartsStyle()}${REPORT_STYLE}`,
    script: chartsScript(),
    body: `<h1>${escapeHtml(title)}</h1>
<p class="lead">${evaluated.summary.images.toLocaleString('en')} images with known classes.</p>
<main>
${sections.map(sectionHtml).join('')}</main>`,
  });
  writeFileAtomically(file, [page]);
}
