/** Functional operations, exported by the package as `F`. */
export * from './elementwise';
export { linear, matmul } from './matmul';
