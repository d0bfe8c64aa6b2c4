/** The rows as a page that needs nothing else: charts as SVG, and all numbers in a table. */
import * as echarts from 'echarts';
import { threadsText } from './text';
import type { Report, Row } from './types';

const colors = ['#2b6cb0', '#b4552d', '#d99a3d', '#8a6d3b', '#2f855a', '#805ad5', '#718096'];

function escape(text: string): string {
  const names: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (c) => names[c]);
}

const labelOf = (row: Row): string => `${row.case} · ${row.pass}`;

function render(height: number, option: echarts.EChartsCoreOption): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 960, height });
  chart.setOption({ animation: false, textStyle: { fontFamily: 'system-ui, sans-serif' }, ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

/** Horizontal bars, one group a row, one colour a contender. */
function bars(
  rows: readonly Row[],
  axis: string,
  scale: 'log' | 'value',
  valueOf: (row: Row) => number | null,
): string {
  const labels = [...new Set(rows.map(labelOf))];
  const contenders = [...new Set(rows.map((row) => row.contender))];
  const value = (contender: string, label: string): number | null => {
    const row = rows.find((r) => r.contender === contender && labelOf(r) === label);
    const v = row === undefined ? null : valueOf(row);
    return v === null ? null : Number(v.toPrecision(3));
  };
  return render(90 + labels.length * (8 + 12 * contenders.length), {
    legend: { top: 0, itemGap: 44 },
    grid: { left: 330, right: 50, top: 36, bottom: 46 },
    xAxis: { type: scale, name: axis, nameLocation: 'middle', nameGap: 28 },
    yAxis: {
      type: 'category',
      inverse: true,
      data: labels,
      axisLabel: { width: 320, overflow: 'truncate', fontSize: 11 },
    },
    series: contenders.map((contender, i) => ({
      name: contender,
      type: 'bar',
      color: colors[i % colors.length],
      barGap: '10%',
      data: labels.map((label) => value(contender, label)),
      label: { show: contender === 'laminae', position: 'right', fontSize: 10 },
    })),
  });
}

function rooflineChart(report: Report, threads: number): string {
  const peaks = report.machine.peaks.find((p) => p.threads === threads);
  const memory = peaks?.readBandwidth.at(-1)?.gbps ?? 0;
  const points = report.rows.flatMap((row) =>
    row.contender === 'laminae' &&
    row.threads === threads &&
    row.gflops !== null &&
    row.gbps !== null &&
    row.gflops > 0
      ? [{ name: row.case, value: [row.gflops / row.gbps, row.gflops] }]
      : [],
  );
  const peak = peaks?.gflops ?? 0;
  const roof = [1 / 8, peak / Math.max(memory, 1), 1024].map((x) => [x, Math.min(peak, x * memory)]);
  return render(520, {
    grid: { left: 70, right: 40, top: 30, bottom: 56 },
    xAxis: {
      type: 'log',
      name: 'operations per byte',
      nameLocation: 'middle',
      nameGap: 30,
      min: 0.125,
      max: 1024,
    },
    yAxis: { type: 'log', name: 'GFLOP/s' },
    series: [
      { type: 'line', data: roof, symbol: 'none', color: '#718096', lineStyle: { width: 2 } },
      {
        type: 'scatter',
        data: points,
        symbolSize: 9,
        color: colors[0],
        label: { show: true, position: 'right', formatter: '{b}', fontSize: 9 },
        labelLayout: { hideOverlap: true },
      },
    ],
  });
}

const columns: readonly (readonly [head: string, cell: (row: Row) => string])[] = [
  ['case', (row) => row.case],
  ['pass', (row) => row.pass],
  ['threads', (row) => String(row.threads)],
  ['contender', (row) => (row.setting === '' ? row.contender : `${row.contender} (${row.setting})`)],
  ['ms, minimum', (row) => row.msMin?.toPrecision(3) ?? ''],
  ['ms, median', (row) => row.msMedian?.toPrecision(3) ?? ''],
  ['GFLOP/s', (row) => row.gflops?.toPrecision(3) ?? ''],
  ['GB/s', (row) => row.gbps?.toPrecision(3) ?? ''],
  ['% of peak', (row) => row.percentOfPeak?.toFixed(0) ?? ''],
  ['ratio', (row) => row.ratioToBestPeer?.toFixed(2) ?? row.wrong ?? ''],
];

function table(rows: readonly Row[]): string {
  const line = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`;
  const head = line(
    columns.map(([name]) => name),
    'th',
  );
  return `<table>${head}${rows
    .map((row) =>
      line(
        columns.map(([, cell]) => cell(row)),
        'td',
      ),
    )
    .join('')}</table>`;
}

function section(report: Report, threads: number): string {
  const rows = report.rows.filter((row) => row.threads === threads && row.msMin !== null);
  const hasPeers = rows.some((row) => row.ratioToBestPeer !== null);
  const parts = [`<h2>${threadsText(threads)}</h2>`];
  if (report.suite === 'roofline') parts.push(rooflineChart(report, threads));
  if (hasPeers)
    parts.push(
      bars(rows, 'times as fast as the best of the other libraries', 'log', (row) => row.ratioToBestPeer),
    );
  else if (report.suite === 'overhead')
    parts.push(bars(rows, 'µs, median', 'value', (row) => (row.msMedian ?? 0) * 1000));
  else parts.push(bars(rows, '% of the peak of this machine', 'value', (row) => row.percentOfPeak));
  return parts.join('\n');
}

/** The page. */
export function reportHtml(report: Report): string {
  const { machine } = report;
  const versions = Object.entries(report.versions).map(([name, version]) => `${name} ${version}`);
  const facts = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}`,
    `instruction set ${report.isa}; ${versions.join(', ')}`,
    ...report.conditions,
  ];
  const threads = [...new Set(report.rows.map((row) => row.threads))];
  const style =
    'body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#1a202c}' +
    'table{border-collapse:collapse;font-size:12px}td,th{padding:2px 8px;text-align:left;border-bottom:1px solid #e2e8f0}' +
    'ul{color:#4a5568;font-size:13px}svg{max-width:100%;height:auto}';
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    `<title>laminae: benchmark of ${report.suite}</title><style>${style}</style></head><body>`,
    `<h1>Benchmark: ${report.suite}</h1><p>${escape(report.date)}</p>`,
    `<ul>${facts.map((fact) => `<li>${escape(fact)}</li>`).join('')}</ul>`,
    ...threads.map((n) => section(report, n)),
    '<h2>All numbers</h2>',
    table(report.rows),
    '</body></html>\n',
  ].join('\n');
}
