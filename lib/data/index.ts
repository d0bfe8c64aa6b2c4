/** Datasets and their files, exported by the package as `data`. */
export { DataLoader, type DataLoaderOptions } from './data-loader';
export { Dataset, ImageDataset, Subset, TensorDataset, type ImageData } from './dataset';
export { downloadFashionMnist, type DownloadOptions } from './download';
export { parseIdx, readIdxFile, type IdxArray, type IdxOptions } from './idx';
export {
  loadMnist,
  loadMnistSplit,
  locateMnist,
  type MnistData,
  type MnistName,
  type MnistOptions,
  type MnistSplit,
} from './mnist';
