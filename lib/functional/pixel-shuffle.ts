/** Moving elements between channels and pixels (Shi et al., "Sub-pixel convolution", 2016). */
import { integer, shapeError } from '../shape';
import { type Tensor, expectTensor } from '../tensor/tensor';
import { permute, reshape } from './views';

function checkImage(op: string, input: Tensor, rule: string, ok: boolean): void {
  if (input.ndim >= 3 && ok) return;
  throw shapeError(op, 'input', rule, input.shape);
}

/**
 * Turns r*r channels into r x r pixels.
 *
 * **Shape**: [..., c * r^2, h, w] -> [..., c, h * r, w * r]
 *
 * @example
 * F.pixelShuffle(randn([1, 9, 4, 4]), 3).shape; // [1, 1, 12, 12]
 */
export function pixelShuffle(input: Tensor, upscaleFactor: number): Tensor {
  const op = 'pixelShuffle';
  expectTensor(op, 'input', input);
  const r = integer(op, 'upscaleFactor', upscaleFactor, 1);
  const [channels, h, w] = input.shape.slice(-3);
  checkImage(op, input, `must be [..., C, H, W] with C divisible by ${r * r}`, channels % (r * r) === 0);
  const lead = input.shape.slice(0, -3);
  const k = lead.length;
  const parts = reshape(input, [...lead, channels / (r * r), r, r, h, w]);
  const order = [...lead.keys(), k, k + 3, k + 1, k + 4, k + 2];
  return reshape(permute(parts, order), [...lead, channels / (r * r), h * r, w * r]);
}

/**
 * Turns r x r pixels into r*r channels: the inverse of {@link pixelShuffle}.
 *
 * **Shape**: [..., c, h * r, w * r] -> [..., c * r^2, h, w]
 */
export function pixelUnshuffle(input: Tensor, downscaleFactor: number): Tensor {
  const op = 'pixelUnshuffle';
  expectTensor(op, 'input', input);
  const r = integer(op, 'downscaleFactor', downscaleFactor, 1);
  const [channels, h, w] = input.shape.slice(-3);
  checkImage(op, input, `must be [..., C, H, W] with H and W divisible by ${r}`, h % r === 0 && w % r === 0);
  const lead = input.shape.slice(0, -3);
  const k = lead.length;
  const parts = reshape(input, [...lead, channels, h / r, r, w / r, r]);
  const order = [...lead.keys(), k, k + 2, k + 4, k + 1, k + 3];
  return reshape(permute(parts, order), [...lead, channels * r * r, h / r, w / r]);
}
