/** A 1x1 convolution is a matrix product over the channels, pixel by pixel. */
import { normal } from 'laminae';
import { corr1x1, corr2dMultiInOut } from './corr2d';
import { show, showShape } from './show';

export function main(): void {
  const X = normal(0, 1, [3, 3, 3]);
  const K = normal(0, 1, [2, 3, 1, 1]);
  const product = corr1x1(X, K);
  const sliding = corr2dMultiInOut(X, K);
  showShape('X', X);
  showShape('K', K);
  show('as a matrix product', product);
  show('as a cross-correlation', sliding);
  const difference = product.sub(sliding).abs().sum().item();
  console.log(
    `sum of the absolute differences: ${difference.toExponential(2)}, below 1e-6: ${difference < 1e-6}`,
  );
}

if (require.main === module) main();
