/** Every instruction set of the machine that runs the tests. */
import { cpuInfo, getNumThreads, setIsa, setNumThreads } from '../../lib';

/** Calls `body` on each of them; afterwards it and the number of threads are as before. */
export function onEveryIsa(body: (isa: string) => void): void {
  const { isa, available } = cpuInfo();
  const threads = getNumThreads();
  try {
    for (const chosen of available) {
      setIsa(chosen);
      body(chosen);
    }
  } finally {
    setIsa(isa);
    setNumThreads(threads);
  }
}
