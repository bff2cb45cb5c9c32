/** The report of a training: one HTML page with its curves, and the same as JSON beside it. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { ArgumentError } from '../../base/errors.ts';
import { path, string } from '../../base/kinds.ts';
import { optional, required, signature } from '../../base/options.ts';
import { writeFileAtomically } from '../../caffe/atomic-file.ts';
import type { SolverEvent } from '../events.ts';
import { ReportCollector, type ReportData, type ReportSection } from './data.ts';
import { reportPage } from './page.ts';

export interface Report {
  /** Takes one event of a solver; cheap, and its memory bounded, so that it may be called for every one. */
  add(event: SolverEvent): void;
  /** A table beside the training's own. */
  addSection(section: ReportSection): void;
  /**
   * Writes the page and, with its extension replaced by `.json`, the data; each whole or not at all. Call it
   * when the training is over, and after an error too.
   * @throws ResnodeError `file/write`
   */
  close(): Promise<ReportData>;
}

/** @throws ArgumentError where no page can be written there: before hours of work */
export function checkReportFile(file: string): void {
  if (!/\.html?$/i.test(file)) throw new ArgumentError('report', 'a file name that ends in .html', file);
  if (!statSync(dirname(file), { throwIfNoEntry: false })?.isDirectory())
    throw new ArgumentError('report', 'a file in a folder that exists', file);
}

const OPEN_REPORT = signature('openReport', {
  file: required(path, 'The path of the page to write.'),
  title: optional(string, "the net's name", 'The heading of the page.'),
});

/**
 * @param file Where the page goes, e.g. `runs/report.html`.
 * @param title The page's heading. Default: the net's name.
 * @throws ArgumentError where the name does not end in .html or its folder is not there: before hours of training
 * @example
 * const report = openReport('report.html');
 * for await (const event of solver.run()) report.add(event);
 * await report.close();
 */
export function openReport(file: string, title?: string): Report {
  OPEN_REPORT.check(file, title);
  checkReportFile(file);
  const collector = new ReportCollector();
  return {
    add: (event) => collector.add(event),
    addSection: (section) => collector.addSection(section),
    close: async () => {
      const data = collector.data();
      const page = reportPage(data, title ?? data.start?.net ?? 'Training');
      writeFileAtomically(file, [page]);
      writeFileAtomically(file.replace(/\.html?$/i, '.json'), [`${JSON.stringify(data, null, 1)}\n`]);
      return data;
    },
  };
}
