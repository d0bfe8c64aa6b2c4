/** Two channels in, one out: the cross-correlations of the channels are added. */
import { twoChannelKernel, twoChannels } from './channels-data';
import { corr2d, corr2dMultiIn, zip } from './corr2d';
import { show } from './show';

export function main(): void {
  const X = twoChannels();
  const K = twoChannelKernel();
  show('X', X);
  show('K', K);
  zip(X, K).forEach(([x, k], i) => show(`channel ${i} by itself`, corr2d(x, k)));
  show('corr2dMultiIn(X, K): the sum', corr2dMultiIn(X, K));
}

if (require.main === module) main();
