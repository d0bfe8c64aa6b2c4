/** How padding and stride set the size of the output: floor((n + 2 padding - kernel) / stride) + 1. */
import { arange, F, nn, rand, tensor } from 'laminae';
import { show } from './show';

/** The layers of the section: each takes one 8 x 8 image. */
export const paddingCases = [
  ['kernel 3, padding 1', () => new nn.Conv2d(1, 1, 3, { padding: 1 })],
  ['kernel 5x3, padding 2x1', () => new nn.Conv2d(1, 1, [5, 3], { padding: [2, 1] })],
  ['kernel 3, padding 1, stride 2', () => new nn.Conv2d(1, 1, 3, { padding: 1, stride: 2 })],
  [
    'kernel 3x5, padding 0x1, stride 3x4',
    () => new nn.Conv2d(1, 1, [3, 5], { padding: [0, 1], stride: [3, 4] }),
  ],
] as const;

export function main(): void {
  const X = rand([8, 8]);
  for (const [text, make] of paddingCases) {
    // Batch and channel dimensions of size 1 go before the image, and are left out of the printed size.
    const [height, width] = make()
      .forward(X.reshape([1, 1, ...X.shape]))
      .shape.slice(2);
    console.log(`${text}: 8 x 8 -> ${height} x ${width}`);
  }
  const A = arange(9).reshape(1, 1, 3, 3);
  const K = tensor([
    [0, 1],
    [2, 3],
  ]).reshape(1, 1, 2, 2);
  show('0..8 as 3 x 3 with [[0, 1], [2, 3]], padding 1', F.conv2d(A, K, null, { padding: 1 }).reshape(4, 4));
  show('and stride 3x2', F.conv2d(A, K, null, { padding: 1, stride: [3, 2] }).reshape(2, 2));
}

if (require.main === module) main();
