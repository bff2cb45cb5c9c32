// gpu-check.json as a table for people.

export function reportText(check) {
  const machine = check.steps.find(({ name }) => name === 'device')?.result ?? {};
  const head = [
    `resnode gpu-check, ${check.date}, commit ${machine.commit ?? 'unknown'}: ${check.status}`,
    ...Object.entries(machine.facts ?? {}).map(([name, value]) => `  ${name}: ${value}`),
  ];
  const rows = check.steps.map(
    ({ name, status, seconds, reason, result }) =>
      `${name.padEnd(10)} ${status.padEnd(8)} ${seconds === undefined ? ''.padStart(8) : `${seconds.toFixed(1).padStart(6)} s`}  ${[reason, result?.summary].filter(Boolean).join('; ')}`,
  );
  const tables = check.steps
    .filter(({ result }) => result?.rows?.some((row) => 'engine' in row))
    .flatMap(({ name, result }) => ['', `${name}:`, ...benchTable(result)]);
  return [...head, '', ...rows, ...tables].join('\n');
}

function benchTable({ rows, ceilings }) {
  const columns = [
    ['net', 9, ({ depth }) => `ResNet-${depth}`],
    ['batch', 6, ({ batch }) => batch],
    ['precision', 10, ({ precision }) => precision],
    ['engine', 14, ({ engine }) => engine],
    ['beside', 8, ({ beside }) => beside],
    ['images/s', 10, ({ imagesPerSecond }) => number(imagesPerSecond, 0)],
    ['latency ms', 11, ({ latency }) => number(latency?.median, 3)],
    ['p10–p90', 15, ({ latency }) => (latency ? `${number(latency.p10, 3)}–${number(latency.p90, 3)}` : '')],
    ['of roofline', 12, ({ ofRoofline }) => (ofRoofline ? `${(100 * ofRoofline).toFixed(1)} %` : '')],
    ['resnode ×', 10, ({ resnodeIsFasterBy }) => number(resnodeIsFasterBy, 2)],
    ['apart', 9, ({ apart }) => (apart === undefined ? '' : (apart?.toExponential(1) ?? 'no number'))],
    ['', 0, ({ reason }) => reason ?? ''],
  ];
  const line = (cells) =>
    cells
      .map((cell, i) => String(cell ?? '').padStart(columns[i][1]))
      .join(' ')
      .trimEnd();
  const measured = Object.entries(ceilings ?? {}).map(([name, value]) => `${name} ${value}`);
  return [
    `measured ceilings: ${measured.join(', ') || 'not measured'}`,
    line(columns.map(([name]) => name)),
    ...rows.map((row) => line(columns.map(([, , cell]) => cell(row)))),
  ];
}

const number = (value, digits) => (value === undefined ? '' : value.toFixed(digits));
