// node-gyp-build ships no types. It loads <dir>/build/Release/*.node, or else the fitting file of <dir>/prebuilds.
declare module 'node-gyp-build' {
  function load(dir: string): unknown;
  namespace load {
    /** The file that `load(dir)` would load; throws when there is none. */
    function resolve(dir: string): string;
  }
  export = load;
}
