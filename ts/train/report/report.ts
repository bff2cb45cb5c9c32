/** The report of a training: one HTML page with its curves, and its data as JSON. */
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
  /** Adds an event of a solver. This is cheap and takes bounded memory, so it can be called for all events. */
  add(event: SolverEvent): void;
  /** Adds a table to those of the training. */
  addSection(section: ReportSection): void;
  /**
   * Writes the page, and the data under the same name with the extension `.json`, each completely or not at all. Call
   * it when the training ends, with or without an error.
   * @throws ResnodeError `file/write`
   */
  close(): Promise<ReportData>;
}

/** @throws ArgumentError if no page can be written there, before hours of work */
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
 * @param file The path of the page, e.g. `runs/report.html`.
 * @param title The page's heading. Default: the net's name.
 * @throws ArgumentError if the name does not end in .html or its folder does not exist, before hours of training
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
