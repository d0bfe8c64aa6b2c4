/** The error that `action` throws, checked to be of `kind`: for tests that look at its fields. */
export function thrownBy<E extends Error>(
  action: () => unknown,
  kind: abstract new (...args: never) => E,
): E {
  try {
    action();
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new Error(`expected ${kind.name} to be thrown`);
}

/** The same for a promise. */
export async function rejectionOf<E extends Error>(
  promise: Promise<unknown>,
  kind: abstract new (...args: never) => E,
): Promise<E> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new Error(`expected a rejection with ${kind.name}`);
}
