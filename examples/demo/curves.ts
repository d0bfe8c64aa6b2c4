/** The learning curves as one SVG picture. */
import * as echarts from 'echarts';
import type { EpochMetrics } from '../common/train';

/** Loss on the left axis, accuracies on the right one, over the epochs. */
export function curvesSvg(history: readonly EpochMetrics[], title: string): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 760, height: 420 });
  const epochs = history.map((m) => m.epoch);
  const lowest = Math.min(...history.flatMap((m) => [m.trainAccuracy, m.testAccuracy]));
  const floor = Math.max(0, Math.floor(lowest * 20) / 20);
  const highestLoss = Math.max(...history.map((m) => m.loss));
  const line = (
    name: string,
    values: number[],
    yAxisIndex: number,
    color: string,
    symbol: string,
  ): object => ({
    name,
    type: 'line',
    yAxisIndex,
    data: values,
    color,
    symbol,
    symbolSize: 7,
    lineStyle: { width: 2.5 },
  });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'system-ui, sans-serif' },
    title: { text: title, left: 'center', top: 8, textStyle: { fontSize: 16 } },
    legend: { bottom: 6, itemGap: 36 },
    grid: { left: 64, right: 64, top: 52, bottom: 80 },
    xAxis: { type: 'category', data: epochs, name: 'epoch', nameLocation: 'middle', nameGap: 26 },
    yAxis: [
      { type: 'value', name: 'loss', min: 0, max: Math.ceil(highestLoss * 10) / 10, splitNumber: 5 },
      {
        type: 'value',
        name: 'accuracy',
        min: floor,
        max: 1,
        interval: Math.max(0.01, (1 - floor) / 5),
        splitLine: { show: false },
        axisLabel: { formatter: (v: number) => `${Math.round(v * 100)} %` },
      },
    ],
    series: [
      line(
        'training loss',
        history.map((m) => m.loss),
        0,
        '#b4552d',
        'circle',
      ),
      line(
        'training accuracy',
        history.map((m) => m.trainAccuracy),
        1,
        '#2b6cb0',
        'rect',
      ),
      line(
        'test accuracy',
        history.map((m) => m.testAccuracy),
        1,
        '#2f855a',
        'triangle',
      ),
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
