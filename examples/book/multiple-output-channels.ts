/** Several channels out: one kernel with all input channels for each of them. */
import { stack } from 'laminae';
import { twoChannelKernel, twoChannels } from './channels-data';
import { corr2dMultiInOut } from './corr2d';
import { show, showShape } from './show';

export function main(): void {
  const X = twoChannels();
  const first = twoChannelKernel();
  const K = stack([first, first.add(1), first.add(2)]);
  showShape('shape of K, [out, in, height, width]', K);
  show('corr2dMultiInOut(X, K)', corr2dMultiInOut(X, K));
}

if (require.main === module) main();
