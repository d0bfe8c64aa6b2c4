/** Finding libraries that are no dependency of this package. */
import { createRequire } from 'node:module';
import path from 'node:path';

export interface PeerPackage {
  readonly exports: unknown;
  readonly version: string;
  readonly directory: string;
}

/**
 * Loads `name` from the node_modules of `folder`, or from where this package finds it.
 * @returns null if it is not installed
 * @throws whatever the library throws while it loads
 */
export function loadPeer(name: string, folder: string | null): PeerPackage | null {
  const require = createRequire(folder === null ? __filename : path.join(path.resolve(folder), 'index.js'));
  let manifest: string;
  try {
    manifest = require.resolve(`${name}/package.json`);
  } catch {
    return null;
  }
  const { version } = require(manifest) as { version: string };
  return { exports: require(name) as unknown, version, directory: path.dirname(manifest) };
}
