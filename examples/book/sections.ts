/** The sections, in the order of the book. */
import * as batchNorm from './batch-norm';
import * as batchNormLeNet from './batch-norm-lenet';
import * as edgeDetection from './edge-detection';
import * as leNet from './lenet';
import * as multipleInputChannels from './multiple-input-channels';
import * as multipleOutputChannels from './multiple-output-channels';
import * as oneByOneConvolution from './one-by-one-convolution';
import * as paddingAndStride from './padding-and-stride';
import * as pooling from './pooling';
import type { TrainingSize } from './training';

export interface Section {
  readonly name: string;
  readonly summary: string;
  /** Prints what the section shows; sections that train take their size. */
  readonly main: (size?: Partial<TrainingSize>) => unknown;
}

export const sections: readonly Section[] = [
  { name: 'edge-detection', summary: 'cross-correlation, edges, a learnt kernel', main: edgeDetection.main },
  { name: 'padding-and-stride', summary: 'sizes of the output', main: paddingAndStride.main },
  {
    name: 'multiple-input-channels',
    summary: 'cross-correlation of several channels, added',
    main: multipleInputChannels.main,
  },
  {
    name: 'multiple-output-channels',
    summary: 'one kernel per output channel',
    main: multipleOutputChannels.main,
  },
  {
    name: 'one-by-one-convolution',
    summary: '1x1 convolution as a matrix product',
    main: oneByOneConvolution.main,
  },
  { name: 'pooling', summary: 'largest value and mean, padding, stride, channels', main: pooling.main },
  { name: 'lenet', summary: 'LeNet on a part of MNIST', main: leNet.main },
  { name: 'batch-norm', summary: 'batch normalisation from scratch and concise', main: batchNorm.main },
  {
    name: 'batch-norm-lenet',
    summary: 'LeNet with batch normalisation on a part of MNIST',
    main: batchNormLeNet.main,
  },
];
