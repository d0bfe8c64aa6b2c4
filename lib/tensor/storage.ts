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
 * First touch of a fresh 4 KiB page costs 1.6 us to over 10 us on small virtual machines, a reused one nothing. Blocks
 * that hold huge pages ask for them, see {@link alignedMemory}.
 */
import os from 'node:os';
import { arrayOf, bytesPerElement, viewOf, type DType, type TypedArray } from '../dtype';
import { AllocationError, ArgumentTypeError, DisposedError } from '../errors';
import { placeBlock } from '../native';

/** Outside of frames, arrays below this many bytes are left to V8: hardly any of them would come back. */
const minLooseBytes = 4096;

/**
 * Free memory beyond this many bytes is left to the garbage collector: 1 GiB, or a quarter of what the machine or the
 * container has.
 */
const maxFreeBytes = Math.min(2 ** 30, memoryLimit() / 4);

function memoryLimit(): number {
  const machine = os.totalmem();
  const container = process.constrainedMemory(); // 0, undefined or above all bounds if there is no limit
  return container > 0 ? Math.min(machine, container) : machine;
}

/** Memory of one storage after the other. */
class Block {
  private view: TypedArray | null = null;
  private viewType: DType | null = null;

  constructor(
    readonly buffer: ArrayBuffer,
    /** First 64-byte aligned byte. */
    readonly start: number,
    readonly size: SizeClass,
    /** The list it returns to. */
    readonly home: FreeList,
  ) {}

  /** False once somebody has transferred the buffer. */
  get isIntact(): boolean {
    return this.buffer.byteLength >= this.start + this.size.bytes;
  }

  /** Steady work asks for the same arrays again and again: making one costs more than the rest of an allocation. */
  array(dtype: DType, length: number): TypedArray {
    if (this.view === null || this.viewType !== dtype || this.view.length !== length) {
      this.view = viewOf(dtype, this.buffer, this.start, length);
      this.viewType = dtype;
    }
    return this.view;
  }
}

/** 2^k * {1.25, 1.5, 1.75, 2}: at most a fifth of a block is wasted, and few distinct sizes remain. */
interface SizeClass {
  readonly bytes: number;
  readonly index: number;
}

const sizeClasses: SizeClass[] = [];

function sizeClassOf(bytes: number): SizeClass {
  // Integers as far as they reach: every allocation passes here.
  const small = bytes <= 2 ** 31;
  const last = Math.max(bytes, 8) - 1;
  const shift = small ? 29 - Math.clz32(last) : Math.floor(Math.log2(last)) - 2;
  const quarters = small ? (last >>> shift) + 1 : Math.ceil(bytes / 2 ** shift);
  const index = shift * 4 + quarters;
  return (sizeClasses[index] ??= { bytes: quarters * 2 ** shift, index });
}

/** Free blocks of one size. */
interface Shelf {
  readonly blocks: Block[];
  /** When somebody last asked for this size or gave it back. */
  lastUse: number;
}

/** Memory that was released, by size. */
class FreeList {
  private shelves: (Shelf | undefined)[] = [];

  take(size: SizeClass): Block | null {
    const shelf = this.shelves[size.index];
    if (shelf === undefined) return null;
    shelf.lastUse = ++clock;
    for (let block = shelf.blocks.pop(); block !== undefined; block = shelf.blocks.pop()) {
      freeBytes -= size.bytes;
      if (block.isIntact) return block;
    }
    return null;
  }

  give(block: Block): void {
    const { bytes, index } = block.size;
    if (bytes > maxFreeBytes) return;
    const shelf = (this.shelves[index] ??= { blocks: [], lastUse: 0 });
    shelf.lastUse = ++clock;
    while (freeBytes + bytes > maxFreeBytes) dropStalest();
    freeBytes += bytes;
    shelf.blocks.push(block);
  }

  /** The shelf that has waited longest, of those with blocks. */
  stalest(): Shelf | null {
    let found: Shelf | null = null;
    for (const shelf of this.shelves) {
      if (shelf === undefined || shelf.blocks.length === 0) continue;
      if (found === null || shelf.lastUse < found.lastUse) found = shelf;
    }
    return found;
  }

  clear(): void {
    this.shelves = [];
  }
}

let freeBytes = 0;
let clock = 0;

/**
 * What is made inside a frame comes back at its end, and goes round in a list of its own. What is made outside comes
 * back only if an operation owns it: the rest is garbage, which V8 collects cheaply as long as it is young. One list for
 * both would feed that garbage with blocks that have grown old, and only full collections would find them.
 */
const framedBlocks = new FreeList();
const looseBlocks = new FreeList();

/**
 * Makes room: what one network left behind must not keep the memory of the next from going round. (MobileNetV2 at batch
 * 8, after VGG-16 and ResNet-50 in the same process: 80 ms on fresh pages every time, 40 with room.)
 */
function dropStalest(): void {
  const framed = framedBlocks.stalest();
  const loose = looseBlocks.stalest();
  const shelf = framed === null || (loose !== null && loose.lastUse < framed.lastUse) ? loose : framed;
  const block = shelf?.blocks.pop();
  if (block === undefined) throw new Error('free memory is counted wrong'); // else the caller would wait for ever
  freeBytes -= block.size.bytes;
}

function takeBlock(bytes: number): Block {
  const size = sizeClassOf(bytes);
  const home = currentFrame === null ? looseBlocks : framedBlocks;
  const free = home.take(size);
  if (free !== null) return free;
  const { buffer, start } = alignedMemory(size.bytes, bytes);
  return new Block(buffer, start, size, home);
}

/**
 * Fresh memory for `bytes`, of which the first `used` are expected to be used, at a boundary of 64 bytes. Where whole
 * huge pages fit, they are asked for.
 *
 * @throws AllocationError
 */
export function alignedMemory(bytes: number, used = bytes): { buffer: ArrayBuffer; start: number } {
  const room = bytes + 64;
  let buffer: ArrayBuffer;
  try {
    buffer = Buffer.allocUnsafeSlow(room).buffer;
  } catch (cause) {
    // Buffer has a smaller limit than ArrayBuffer on some Node versions.
    try {
      buffer = new ArrayBuffer(room);
    } catch {
      throw new AllocationError(
        {
          op: 'tensor',
          argument: '',
          expected: `cannot allocate ${formatBytes(used)}`,
          received: '',
        },
        { cause },
      );
    }
  }
  return { buffer, start: placeBlock(buffer, used) };
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
  /** Gradients in flight that lie here, while a backward pass owns the frame. */
  pending = 0;
  private array: TypedArray | null;
  private readonly block: Block | null;
  /** That of an array without a block, once asked for: the getter of a typed array takes 14 ns. */
  private ownBuffer: ArrayBufferLike | null = null;

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
    if (bytes === 0 || (bytes < minLooseBytes && currentFrame === null)) {
      return new Storage(dtype, length, arrayOf(dtype, length), null);
    }
    const block = takeBlock(bytes);
    return new Storage(dtype, length, block.array(dtype, length), block);
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

  /** The memory that holds the elements. @throws as `data` */
  get buffer(): ArrayBufferLike {
    const { data } = this;
    return this.block === null ? (this.ownBuffer ??= data.buffer) : this.block.buffer;
  }

  /** Where in `buffer` the elements begin, in bytes. */
  get start(): number {
    return this.block === null ? this.data.byteOffset : this.block.start;
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
    block?.home.give(block);
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
      storage.pending = 0;
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
  framedBlocks.clear();
  looseBlocks.clear();
  freeBytes = 0;
}

/** Copies `source` into a storage of `dtype`; refuses what is not a live, in-bounds typed array of numbers. */
export function copyOf(op: string, argument: string, source: TypedArray, dtype: DType): Storage {
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
  const copy = Storage.allocate(dtype, source.length);
  copy.data.set(source);
  return copy;
}

function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength !== 0 || buffer instanceof SharedArrayBuffer) return false;
  try {
    new Uint8Array(buffer);
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
