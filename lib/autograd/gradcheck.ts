/** Checking gradients against central differences, in float64. */
import { ArgumentTypeError, LaminaeError, checkFunction } from '../errors';
import { checkOptions, formatShape, readList } from '../shape';
import { arrayOf } from '../dtype';
import { Storage } from '../tensor/storage';
import { Tensor, expectTensor } from '../tensor/tensor';
import { backward } from './engine';
import { noGrad } from './grad-mode';

export interface GradcheckOptions {
  /** Half width of the difference quotient. Default 1e-6. */
  readonly eps?: number;
  /** Allowed absolute difference. Default 1e-7. */
  readonly atol?: number;
  /** Allowed difference relative to the numeric value. Default 1e-5. */
  readonly rtol?: number;
}

/** Fixed weights, no two alike, so that no two output elements can stand in for each other. */
function projection(like: Tensor): Tensor {
  const data = arrayOf('float64', like.numel);
  for (let i = 0; i < data.length; i++)
    data[i] = 0.5 + Math.abs(Math.sin(12.9898 * (i + 1))) * (i % 3 === 1 ? -1 : 1);
  const flat = Storage.adopt('float64', data);
  const strides = new Array<number>(like.ndim);
  let step = 1;
  for (let i = like.ndim - 1; i >= 0; i--) {
    strides[i] = step;
    step *= like.shape[i];
  }
  return new Tensor(flat, like.shape, strides, 0);
}

function weighted(y: Tensor, w: Tensor): number {
  const values = y.toTypedArray();
  const weights = w.storage.data;
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] * weights[i];
  return total;
}

/** Storage positions of the elements of `t` in row-major order. */
function positions(t: Tensor): number[] {
  const out: number[] = [];
  const walk = (dim: number, at: number): void => {
    if (dim === t.ndim) out.push(at);
    else for (let i = 0; i < t.shape[dim]; i++) walk(dim + 1, at + i * t.strides[dim]);
  };
  walk(0, t.offset);
  return out;
}

/**
 * Compares the gradients that `fn`'s backward gives with central differences for every element of every input that
 * requires a gradient. Returns true; throws an error that names input, element and both values otherwise.
 *
 * @param fn from the inputs to one tensor, deterministic
 * @param inputs float64 leaves; those with `requiresGrad` are checked, also when they are views of larger memory
 * @throws LaminaeError on disagreement; ArgumentTypeError for inputs that are not float64
 *
 * @example
 * const x = tensor([[0.3, -1.2]], { dtype: 'float64', requiresGrad: true });
 * gradcheck((t) => t.sigmoid().mul(t), [x]); // true
 */
export function gradcheck(
  fn: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): boolean {
  checkFunction('gradcheck', 'fn', fn);
  checkOptions('gradcheck', options);
  readList('gradcheck', 'inputs', inputs, 'tensors').forEach((t, i) => {
    expectTensor('gradcheck', `inputs[${i}]`, t);
  });
  const { eps = 1e-6, atol = 1e-7, rtol = 1e-5 } = options;
  inputs.forEach((t, i) => {
    if (t.requiresGrad && t.dtype !== 'float64') {
      throw new ArgumentTypeError({
        op: 'gradcheck',
        argument: `inputs[${i}]`,
        expected: 'must be float64: differences drown in float32 rounding',
        received: t.dtype,
      });
    }
    t.clearGrad();
  });
  const y = fn(...inputs);
  const w = projection(y);
  backward(y, w);
  inputs.forEach((input, i) => {
    if (!input.requiresGrad) return;
    const analytic = input.grad?.toTypedArray();
    const { data } = input.storage;
    positions(input).forEach((at, element) => {
      const value = data[at];
      const sample = (v: number): number => {
        data[at] = v;
        return weighted(
          noGrad(() => fn(...inputs)),
          w,
        );
      };
      const numeric = (sample(value + eps) - sample(value - eps)) / (2 * eps);
      data[at] = value;
      const got = analytic?.[element] ?? 0;
      if (!(Math.abs(got - numeric) <= atol + rtol * Math.abs(numeric))) {
        throw new LaminaeError('ERR_OUT_OF_RANGE', {
          op: 'gradcheck',
          argument: `inputs[${i}] of shape ${formatShape(input.shape)}, element ${element}`,
          expected: `must have gradient ${numeric} (central difference)`,
          received: String(got),
        });
      }
    });
  });
  return true;
}
