/** The small input and kernel of the sections on channels. */
import { arange, stack, tensor, type Tensor } from 'laminae';

/** [2, 3, 3]: 0..8 and 1..9 */
export function twoChannels(): Tensor {
  const first = arange(9).reshape(3, 3);
  return stack([first, first.add(1)]);
}

/** [2, 2, 2]: 0..3 and 1..4 */
export function twoChannelKernel(): Tensor {
  const first = tensor([
    [0, 1],
    [2, 3],
  ]);
  return stack([first, first.add(1)]);
}
