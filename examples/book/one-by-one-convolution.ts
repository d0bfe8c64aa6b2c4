/** A 1x1 convolution is a matrix product over the channels, pixel by pixel. */
import { normal, type DType, type Tensor } from 'laminae';
import { corr1x1, corr2dMultiInOut } from './corr2d';
import { show, showShape } from './show';

function sumOfDifferences(X: Tensor, K: Tensor): number {
  return corr1x1(X, K).sub(corr2dMultiInOut(X, K)).abs().sum().item();
}

export function main(): void {
  // In float32 the two differ by the rounding of 18 sums of three products, which alone can come to 1e-6.
  const dtype: DType = 'float64';
  const X = normal(0, 1, [3, 3, 3], { dtype });
  const K = normal(0, 1, [2, 3, 1, 1], { dtype });
  showShape('X', X);
  showShape('K', K);
  show('as a matrix product', corr1x1(X, K));
  show('as a cross-correlation', corr2dMultiInOut(X, K));
  const difference = sumOfDifferences(X, K);
  console.log(
    `sum of absolute differences: ${difference.toExponential(1)}, below 1e-6: ${difference < 1e-6}`,
  );
  const single = sumOfDifferences(X.to('float32'), K.to('float32'));
  console.log(`in float32: ${single.toExponential(1)}`);
}

if (require.main === module) main();
