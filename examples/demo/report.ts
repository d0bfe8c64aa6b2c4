/** The page that shows a trained network: curves, confusion matrix, mistakes, first-layer kernels. Self-contained. */
import type { data } from 'laminae';
import { nn } from 'laminae';
import { greyPng } from './digits';
import type { EpochMetrics } from '../common/train';

export interface ReportInput {
  readonly title: string;
  /** Facts about the run, shown as a list. */
  readonly facts: Readonly<Record<string, string>>;
  readonly history: readonly EpochMetrics[];
  readonly curves: string;
  readonly classNames: readonly string[];
  readonly test: data.ImageDataset;
  /** Class the network gives each test image. */
  readonly predicted: Int32Array;
  readonly model: nn.Sequential;
}

const mistakesShown = 60;

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

function metricsTable(history: readonly EpochMetrics[]): string {
  const rows = history.map(
    (m) =>
      `<tr><td>${m.epoch}</td><td>${m.loss.toFixed(4)}</td><td>${(m.trainAccuracy * 100).toFixed(2)} %</td>` +
      `<td>${(m.testAccuracy * 100).toFixed(2)} %</td><td>${Math.round(m.examplesPerSecond).toLocaleString('en')}</td></tr>`,
  );
  return `<table class="metrics"><thead><tr><th>epoch</th><th>loss</th><th>training accuracy</th><th>test accuracy</th><th>examples/s</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function confusionTable(input: ReportInput): string {
  const n = input.classNames.length;
  const counts = Array.from({ length: n }, () => new Array<number>(n).fill(0));
  for (let i = 0; i < input.test.length; i++) counts[input.test.label(i)][input.predicted[i]]++;
  const head = input.classNames.map((c) => `<th>${escapeHtml(c)}</th>`).join('');
  const rows = counts.map((row, actual) => {
    const total = row.reduce((a, b) => a + b, 0);
    const cells = row.map((count, guess) => {
      // Mistakes are rare: a root makes them visible beside the diagonal.
      const strength = total === 0 ? 0 : Math.sqrt(count / total);
      const hue = actual === guess ? '43, 108, 176' : '180, 85, 45';
      const ink = strength > 0.6 ? '#fff' : '#222';
      return `<td style="background: rgba(${hue}, ${strength.toFixed(3)}); color: ${ink}">${count === 0 ? '' : count}</td>`;
    });
    return `<tr><th>${escapeHtml(input.classNames[actual])}</th>${cells.join('')}</tr>`;
  });
  return `<table class="confusion"><thead><tr><th class="corner">true \\ predicted</th>${head}</tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function mistakes(input: ReportInput): string {
  const { test, predicted, classNames } = input;
  const wrong: number[] = [];
  for (let i = 0; i < test.length; i++) if (predicted[i] !== test.label(i)) wrong.push(i);
  const figures = wrong.slice(0, mistakesShown).map((i) => {
    const image = greyPng(test.pixels(i), test.width, test.height);
    const text = `${escapeHtml(classNames[predicted[i]])} <s>${escapeHtml(classNames[test.label(i)])}</s>`;
    return `<figure><img src="${image}" width="56" height="56" alt="test image ${i}"><figcaption>${text}</figcaption></figure>`;
  });
  const shown = wrong.length > mistakesShown ? `the first ${mistakesShown} of ` : '';
  return `<p>${shown}${wrong.length} of ${test.length.toLocaleString('en')} test images; what the network says, and the <s>true class</s>.</p><div class="gallery">${figures.join('')}</div>`;
}

function kernels(model: nn.Sequential): string {
  const first = [...model].find((m) => m instanceof nn.Conv2d);
  if (!(first instanceof nn.Conv2d)) return '';
  const [count, channels, height, width] = first.weight.shape;
  const values = first.weight.toTypedArray();
  const size = height * width;
  const limit = Math.max(...Array.from(values, Math.abs)) || 1;
  const figures = Array.from({ length: count }, (_, k) => {
    const cells = Array.from({ length: size }, (_unused, i) => {
      const v = values[k * channels * size + i];
      return Math.round(127.5 + (127.5 * v) / limit);
    });
    return `<figure><img src="${greyPng(cells, width, height, 16)}" alt="kernel ${k}"><figcaption>${k}</figcaption></figure>`;
  });
  return `<p>Grey is 0, white +${limit.toFixed(2)}, black -${limit.toFixed(2)}.</p><div class="gallery">${figures.join('')}</div>`;
}

/** The whole page as HTML text. */
export function reportHtml(input: ReportInput): string {
  const facts = Object.entries(input.facts)
    .map(([k, v]) => `<dt>${escapeHtml(k)}</dt><dd>${escapeHtml(v)}</dd>`)
    .join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(input.title)}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 860px; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; } dt { color: #666; } dd { margin: 0; }
  svg { max-width: 100%; height: auto; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  .metrics td, .metrics th { padding: .25rem .9rem; text-align: right; border-bottom: 1px solid #eee; }
  .confusion { font-size: .85rem; } .confusion td, .confusion th { padding: .3rem .5rem; text-align: right; min-width: 2.2rem; }
  .confusion td { border: 1px solid #eee; } .confusion .corner { font-weight: normal; color: #666; }
  .wide { overflow-x: auto; }
  .gallery { display: flex; flex-wrap: wrap; gap: .5rem; } figure { margin: 0; text-align: center; }
  figcaption { font-size: .8rem; } s { color: #b4552d; } img { image-rendering: pixelated; border: 1px solid #ccc; }
</style>
</head>
<body>
<h1>${escapeHtml(input.title)}</h1>
<dl>${facts}</dl>
<h2>Learning curves</h2>
<div>${input.curves}</div>
<div class="wide">${metricsTable(input.history)}</div>
<h2>Confusion matrix</h2>
<div class="wide">${confusionTable(input)}</div>
<h2>Mistakes</h2>
${mistakes(input)}
<h2>Kernels of the first layer</h2>
${kernels(input.model)}
</body>
</html>
`;
}
