/** Text form of tensors, after PyTorch's: aligned columns, four decimals, long dimensions cut. */
import { inspect } from 'node:util';
import { isFloating } from '../dtype';
import { formatShape } from '../shape';
import { Tensor } from './tensor';

/** Tensors with more elements are cut to `edgeItems` at both ends of every dimension. */
const threshold = 1000;
const edgeItems = 3;
const precision = 4;
const lineWidth = 80;
const prefix = 'tensor(';

/** Positions of a dimension to show, -1 for the gap. */
function shown(size: number, cut: boolean): number[] {
  if (!cut || size <= 2 * edgeItems) return Array.from({ length: size }, (_, i) => i);
  const ends = Array.from({ length: edgeItems }, (_, i) => i);
  return [...ends, -1, ...ends.map((i) => size - edgeItems + i)];
}

function visible(t: Tensor, cut: boolean): number[] {
  const out: number[] = [];
  const walk = (dim: number, at: number): void => {
    if (dim === t.ndim) out.push(t.storage.data[at]);
    else for (const i of shown(t.shape[dim], cut)) if (i >= 0) walk(dim + 1, at + i * t.strides[dim]);
  };
  walk(0, t.offset);
  return out;
}

function special(v: number): string {
  return Number.isNaN(v) ? 'nan' : v > 0 ? 'inf' : '-inf';
}

/** One format for all elements: integers as `1.`, plain decimals, or exponents when the range is wide. */
function formatter(values: readonly number[]): (v: number) => string {
  const finite = values.filter(Number.isFinite);
  const absolute = finite.map(Math.abs).filter((v) => v > 0);
  const largest = Math.max(0, ...absolute);
  const smallest = Math.min(Infinity, ...absolute);
  if (finite.every(Number.isInteger)) {
    return largest >= 1e8 ? scientific : (v) => (Number.isFinite(v) ? `${v.toFixed(0)}.` : special(v));
  }
  if (largest / smallest > 1000 || largest > 1e8 || smallest < 1e-4) return scientific;
  return (v) => (Number.isFinite(v) ? v.toFixed(precision) : special(v));
}

function scientific(v: number): string {
  if (!Number.isFinite(v)) return special(v);
  return v.toExponential(precision).replace(/e([+-])(\d)$/, 'e$10$2');
}

function body(t: Tensor): string {
  const cut = t.numel > threshold;
  const values = visible(t, cut);
  const format =
    t.dtype === 'bool'
      ? (v: number): string => (v !== 0 ? 'true' : 'false')
      : isFloating(t.dtype)
        ? formatter(values)
        : String;
  const width = Math.max(0, ...values.map((v) => format(v).length));
  const cell = (v: number): string => format(v).padStart(width);
  const walk = (dim: number, at: number, indent: number): string => {
    if (dim === t.ndim) return cell(t.storage.data[at]);
    const parts = shown(t.shape[dim], cut).map((i) =>
      i < 0 ? '...' : walk(dim + 1, at + i * t.strides[dim], indent + 1),
    );
    if (dim === t.ndim - 1) return `[${wrap(parts, indent + 1)}]`;
    const gap = `,${'\n'.repeat(t.ndim - dim - 1)}${' '.repeat(indent + 1)}`;
    return `[${parts.join(gap)}]`;
  };
  return walk(0, t.offset, prefix.length);
}

function wrap(cells: readonly string[], indent: number): string {
  const perLine = Math.max(1, Math.floor((lineWidth - indent) / ((cells[0]?.length ?? 0) + 2)));
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += perLine) lines.push(cells.slice(i, i + perLine).join(', '));
  return lines.join(`,\n${' '.repeat(indent)}`);
}

/** The tensor as `tensor([[19., 25.], [37., 43.]])`, with dtype and gradient where they are not the usual. */
export function formatTensor(t: Tensor): string {
  if (t.storage.isDisposed) return `tensor(<disposed>, shape=${formatShape(t.shape)})`;
  const notes: string[] = [];
  if (t.numel === 0 && t.ndim !== 1) notes.push(`shape=${formatShape(t.shape)}`);
  if (t.dtype !== 'float32' && t.dtype !== 'bool') notes.push(`dtype=${t.dtype}`);
  if (t.gradFn !== null) notes.push(`gradFn=<${t.gradFn.op}>`);
  else if (t.requiresGrad) notes.push('requiresGrad=true');
  return `${prefix}${[t.numel === 0 ? '[]' : body(t), ...notes].join(', ')})`;
}

Object.defineProperty(Tensor.prototype, 'toString', {
  value(this: Tensor): string {
    return formatTensor(this);
  },
  writable: true,
  configurable: true,
});
Object.defineProperty(Tensor.prototype, inspect.custom, {
  value(this: Tensor): string {
    return formatTensor(this);
  },
  writable: true,
  configurable: true,
});
