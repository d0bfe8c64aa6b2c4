// docs/layers.md, made from the op table, the fixtures and the exports, so that it cannot tell of what is not checked.
import * as lib from '../../lib';
import * as F from '../../lib/functional';

import { fixtureNames, loadFixtures } from './fixtures';
import { opTable } from './op-table';

/** Layers by the function they call. */
const modules: Readonly<Record<string, string>> = {
  batchNorm: 'BatchNorm1d, BatchNorm2d, BatchNorm3d',
  binaryCrossEntropy: 'BCELoss',
  binaryCrossEntropyWithLogits: 'BCEWithLogitsLoss',
  crossEntropy: 'CrossEntropyLoss',
  huberLoss: 'HuberLoss',
  instanceNorm: 'InstanceNorm1d, InstanceNorm2d, InstanceNorm3d',
  interpolate: 'Upsample',
  lpPool1d: 'LPPool1d',
  lpPool2d: 'LPPool2d',
  klDiv: 'KLDivLoss',
  l1Loss: 'L1Loss',
  mseLoss: 'MSELoss',
  nllLoss: 'NLLLoss',
  pad: 'ZeroPad2d, ConstantPad2d, ReflectionPad2d, ReplicationPad2d, CircularPad2d, and 1d, 3d',
  smoothL1Loss: 'SmoothL1Loss',
  elu: 'ELU',
  selu: 'SELU',
  celu: 'CELU',
  gelu: 'GELU',
  glu: 'GLU',
  relu: 'ReLU',
  relu6: 'ReLU6',
  prelu: 'PReLU',
  silu: 'SiLU',
  leakyRelu: 'LeakyReLU',
};

/** PyTorch's name where it is not the same in snake_case. */
const counterparts: Readonly<Record<string, string>> = {
  mul: 'torch.mul',
  index: 'x[...]',
  set: 'x[...] = v',
  indexPairs: 'x[i, j]',
  logSigmoid: 'F.logsigmoid',
  binaryCrossEntropyWithLogits: 'F.binary_cross_entropy_with_logits',
};

/** How a name of the table is reached, where it is no function of that name. */
const reached: Readonly<Record<string, string>> = {
  index: 'x.at(...)',
  indexPairs: 'x.at(i, j)',
  set: 'x.set(index, v)',
  var: 'variance, x.var()',
};

const functional = new Set(Object.keys(F));

function snakeCase(name: string): string {
  return name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replace(/l_1_/g, 'l1_')
    .toLowerCase();
}

function moduleOf(op: string): string {
  const named = modules[op];
  if (named !== undefined) return named;
  const upper = op.charAt(0).toUpperCase() + op.slice(1);
  return upper in lib.nn ? upper : '';
}

function counterpart(op: string): string {
  const known = counterparts[op];
  if (known !== undefined) return known;
  const isLayer =
    moduleOf(op) !== '' ||
    ['Pool', 'conv', 'fold', 'embedding', 'Norm', 'prelu'].some((part) => op.includes(part));
  return `${isLayer ? 'F' : 'torch'}.${snakeCase(op)}`;
}

/** A row per op: what it is called, what it takes, and how it is checked. */
export function layersTable(): string {
  const rows = [...opTable]
    .sort((a, b) => a.op.localeCompare(b.op, 'en'))
    .map(({ op }) => {
      const cases = fixtureNames().includes(op) ? loadFixtures(op) : [];
      const options = [...new Set(cases.flatMap((c) => Object.keys(c.options)))].sort();
      const gradient = cases.some((c) => Object.keys(c.grads).length > 0);
      const call = reached[op] ?? (functional.has(op) ? `F.${op}` : op);
      return [
        `\`${call}\``,
        moduleOf(op),
        options.map((o) => `\`${o}\``).join(', '),
        'float32, float64',
        gradient ? 'yes' : '-',
        String(cases.length),
        `\`${counterpart(op)}\``,
      ];
    });
  const head = ['function', 'module', 'options', 'dtypes', 'gradient', 'cases from PyTorch', 'PyTorch'];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    '# Operations',
    '',
    'Made by `npm run docs` from the table that drives the tests. Every row is checked against plain loops in double',
    "and against the given number of PyTorch's own results, in float32 and float64, on every instruction set of the",
    'machine, with one to three threads (the same bits), on contiguous and strided inputs; where there is a gradient,',
    'it is checked against PyTorch, the loops and central differences.',
    '',
    line(head),
    line(head.map(() => '---')),
    ...rows.map(line),
    '',
  ].join('\n');
}
