/**
 * Where tensor elements live, and how memory is reused.
 *
 * A Storage is one typed array that V8 owns; tensors are views of storages. Nothing ever has to be freed by hand: what
 * becomes unreachable is collected. Two things make steady work run on warm pages all the same:
 *
 * - `release` puts the memory of a storage that nobody else can see into a free list; the autograd engine does so with
 *   the gradients of intermediates and with saved statistics;
 * - `scope(fn)` releases at its end all that was made inside and neither returned nor kept.
 *
 * First touch of a fresh 4 KiB page costs over 10 us on small virtual machines, a reused one nothing.
 */
import { arrayOf, bytesPerElement, viewOf, type DType, type TypedArray } from '../dtype';
import { AllocationError, ArgumentTypeError, DisposedError } from '../errors';
import { alignment } from '../native';

/** Arrays below this many bytes are not pooled: V8 makes them faster than the list finds them. */
const minPooledBytes = 4096;

/** Free memory beyond this many bytes is left to the garbage collector. */
const maxFreeBytes = 2 ** 30;

interface Block {
  readonly buffer: ArrayBuffer;
  /** First 64-byte aligned byte. */
  readonly start: number;
  readonly bytes: number;
}

const freeBlocks = new Map<number, Block[]>();
let freeBytes = 0;

/** Rounds up to 2^k * {1, 1.25, 1.5, 1.75}: at most a quarter is wasted, and few distinct sizes remain. */
function sizeClass(bytes: number): number {
  const quarter = 2 ** (Math.floor(Math.log2(bytes)) - 2);
  return Math.ceil(bytes / quarter) * quarter;
}

function takeBlock(bytes: number): Block {
  const size = sizeClass(bytes);
  const list = freeBlocks.get(size);
  for (let block = list?.pop(); block !== undefined; block = list?.pop()) {
    freeBytes -= block.bytes;
    if (block.buffer.byteLength >= block.start + block.bytes) return block; // else: found detached, dropped
  }
  let buffer: ArrayBufferLike;
  try {
    buffer = Buffer.allocUnsafeSlow(size + 64).buffer;
  } catch (cause) {
    // Buffer has a smaller limit than ArrayBuffer on some Node versions.
    try {
      buffer = new ArrayBuffer(size + 64);
    } catch {
      throw new AllocationError(
        {
          op: 'tensor',
          argument: '',
          expected: `cannot allocate ${formatBytes(bytes)}`,
          received: '',
        },
        { cause },
      );
    }
  }
  return { buffer: buffer as ArrayBuffer, start: alignment(buffer as ArrayBuffer), bytes: size };
}

function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let i = 0;
  for (; bytes >= 1000 && i < units.length - 1; i++) bytes /= 1000;
  return `${bytes.toFixed(i === 0 ? 0 : 1)} ${units[i]}`;
}

/** Storages made since a point in time, so that they can be released together. */
export class Frame {
  readonly made: Storage[] = [];
  constructor(readonly parent: Frame | null) {}
}

let currentFrame: Frame | null = null;

/** Elements of one type, shared by the tensors that view them. */
export class Storage {
  /** Bumped by every in-place edit; lets backward notice that a saved tensor changed. */
  version = 0;
  /** The frame that will release this storage, or null if nobody will. */
  frame: Frame | null;
  private array: TypedArray | null;
  private readonly block: Block | null;

  private constructor(
    readonly dtype: DType,
    readonly length: number,
    array: TypedArray,
    block: Block | null,
  ) {
    this.array = array;
    this.block = block;
    this.frame = currentFrame;
    if (currentFrame !== null) currentFrame.made.push(this);
  }

  /** Memory for `length` elements, not initialised. */
  static allocate(dtype: DType, length: number): Storage {
    const bytes = length * bytesPerElement[dtype];
    if (bytes < minPooledBytes) return new Storage(dtype, length, arrayOf(dtype, length), null);
    const block = takeBlock(bytes);
    return new Storage(dtype, length, viewOf(dtype, block.buffer, block.start, length), block);
  }

  /** A storage over memory the caller gives away. */
  static adopt(dtype: DType, array: TypedArray): Storage {
    return new Storage(dtype, array.length, array, null);
  }

  /**
   * The elements.
   * @throws DisposedError after the scope that made them has ended
   * @throws ArgumentTypeError ERR_DETACHED if somebody transferred the memory
   */
  get data(): TypedArray {
    const { array } = this;
    if (array === null || array.length !== this.length) throw this.lossOf(array);
    return array;
  }

  private lossOf(array: TypedArray | null): Error {
    if (array === null) {
      return new DisposedError({
        op: 'tensor',
        argument: '',
        expected: 'was used after its scope ended',
        received: '',
        hint: 'return it from the scope, or keep(t) it inside',
      });
    }
    return new ArgumentTypeError(
      {
        op: 'tensor',
        argument: '',
        expected: 'has lost its memory (its buffer was transferred)',
        received: '',
      },
      'ERR_DETACHED',
    );
  }

  get isDisposed(): boolean {
    return this.array === null;
  }

  /** Takes the storage out of every scope: it lives until it is unreachable. */
  keep(): void {
    this.frame = null;
  }

  /** Gives the memory back. Only for storages that nobody else can see. */
  release(): void {
    const { array, block } = this;
    if (array === null) return;
    this.array = null;
    this.frame = null;
    if (block === null || freeBytes + block.bytes > maxFreeBytes) return;
    freeBytes += block.bytes;
    const list = freeBlocks.get(block.bytes);
    if (list === undefined) freeBlocks.set(block.bytes, [block]);
    else list.push(block);
  }
}

/** Opens a frame: storages made from now on belong to it, until {@link popFrame}. */
export function pushFrame(): Frame {
  currentFrame = new Frame(currentFrame);
  return currentFrame;
}

/** Closes `frame` and releases what still belongs to it, except the storages in `survivors`: those move outwards. */
export function popFrame(frame: Frame, survivors: ReadonlySet<Storage>): void {
  currentFrame = frame.parent;
  for (const storage of frame.made) {
    if (storage.frame !== frame) continue;
    if (survivors.has(storage)) {
      storage.frame = frame.parent;
      frame.parent?.made.push(storage);
    } else {
      storage.release();
    }
  }
}

/** Runs `fn` as if `frame` were not open: what it makes belongs to the frame around it. */
export function outsideFrame<T>(frame: Frame, fn: () => T): T {
  const inner = currentFrame;
  currentFrame = frame.parent;
  try {
    return fn();
  } finally {
    currentFrame = inner;
  }
}

/** Bytes in the free list: memory that was released and waits for reuse. */
export function pooledBytes(): number {
  return freeBytes;
}

/** Leaves all memory of the free list to the garbage collector. */
export function emptyCache(): void {
  freeBlocks.clear();
  freeBytes = 0;
}

/** Copies `source` into a fresh array of `dtype`; refuses what is not a live, in-bounds typed array of numbers. */
export function copyOf(op: string, argument: string, source: TypedArray, dtype: DType): TypedArray {
  const buffer = source.buffer as ArrayBufferLike & {
    readonly detached?: boolean;
    readonly resizable?: boolean;
  };
  // A detached array and one whose resizable buffer shrank below it both report length 0 and offset 0 bytes; a live
  // empty array has a buffer that is at least readable.
  if (buffer.detached === true || isDetached(buffer)) {
    throw new ArgumentTypeError(
      {
        op,
        argument,
        expected: 'must not be detached (its buffer was transferred)',
        received: 'a detached array',
      },
      'ERR_DETACHED',
    );
  }
  if (buffer.resizable === true && source.length === 0 && isOutOfBounds(source)) {
    throw new ArgumentTypeError(
      {
        op,
        argument,
        expected: 'view is out of bounds of its resizable buffer',
        received: 'a view past the end',
      },
      'ERR_DETACHED',
    );
  }
  const copy = arrayOf(dtype, source.length);
  copy.set(source);
  return copy;
}

function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength !== 0 || buffer instanceof SharedArrayBuffer) return false;
  try {
    new Uint8Array(buffer as ArrayBuffer);
    return false;
  } catch {
    return true;
  }
}

/** Array methods throw a TypeError on an out-of-bounds view, where `length` merely says 0. */
function isOutOfBounds(source: TypedArray): boolean {
  try {
    source.at(0);
    return false;
  } catch {
    return true;
  }
}
