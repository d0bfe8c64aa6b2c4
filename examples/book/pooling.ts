/** Pooling: from scratch, then by layers with padding and stride, then on two channels. */
import { arange, cat, nn } from 'laminae';
import { pool2d } from './pool2d';
import { heading, show } from './show';

export function main(): void {
  heading('From scratch');
  const A = arange(9).reshape(3, 3);
  show('A', A);
  show('largest of each 2x2 window', pool2d(A, [2, 2]));
  show('mean of each 2x2 window', pool2d(A, [2, 2], 'avg'));

  heading('Padding and stride');
  const X = arange(16).reshape(1, 1, 4, 4);
  show('X', X);
  show('MaxPool2d(3): the stride is the window', new nn.MaxPool2d(3).forward(X));
  show('MaxPool2d(3), padding 1, stride 2', new nn.MaxPool2d(3, { padding: 1, stride: 2 }).forward(X));
  show('the same from scratch', pool2d(X, [3, 3], 'max', { padding: [1, 1], stride: [2, 2] }));
  show(
    'MaxPool2d(2x3), padding 0x1, stride 2x3',
    new nn.MaxPool2d([2, 3], { padding: [0, 1], stride: [2, 3] }).forward(X),
  );
  show('AvgPool2d(3), padding 1, stride 2', new nn.AvgPool2d(3, { padding: 1, stride: 2 }).forward(X));
  show('the same from scratch', pool2d(X, [3, 3], 'avg', { padding: [1, 1], stride: [2, 2] }));

  heading('Several channels: X and X + 1');
  const two = cat([X, X.add(1)], 1);
  show('both', two);
  show('MaxPool2d(3), padding 1, stride 2', new nn.MaxPool2d(3, { padding: 1, stride: 2 }).forward(two));
  show('the same from scratch', pool2d(two, [3, 3], 'max', { padding: [1, 1], stride: [2, 2] }));
}

if (require.main === module) main();
