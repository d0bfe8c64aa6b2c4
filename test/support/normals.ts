// Normally distributed test data.
import { seededTensor } from './op-values';

/** Numbers of a normal distribution, the same on every machine. */
export function normals(count: number, mean: number, seed = 1): Float32Array {
  const { data } = seededTensor([2 * count], seed, [0, 1], 'real');
  return Float32Array.from({ length: count }, (_, i) => {
    const radius = Math.sqrt(-2 * Math.log(1 - data[2 * i]));
    return mean + radius * Math.cos(2 * Math.PI * data[2 * i + 1]);
  });
}
