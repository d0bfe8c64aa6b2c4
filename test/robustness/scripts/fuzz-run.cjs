'use strict';
// Calls the addon's run() and runList() with random op codes, descriptors and buffers: they may throw, nothing else.
//   node fuzz-run.cjs [calls] [seed]
// Guard bytes lie around all memory that ops may write. Prints one line of JSON with what happened.
const path = require('node:path');
const { randomChoices } = require('./random-choices.cjs');
const addon = require('node-gyp-build')(path.join(__dirname, '../../..'));

const calls = Number(process.argv[2] ?? 50_000);
const { random, below, pick } = randomChoices(Number(process.argv[3] ?? 1));

// ---- buffers ----

const guardBytes = 64;
const guardValue = 0xa5;
const guarded = [];

/** Views of one memory, one for each of `types`. */
function guardedArrays(types, length) {
  const bytes = length * Math.max(...types.map((T) => T.BYTES_PER_ELEMENT));
  const all = new Uint8Array(bytes + 2 * guardBytes).fill(guardValue);
  guarded.push({ all, bytes });
  return types.map((T) => {
    const array = new T(all.buffer, guardBytes, length);
    for (let i = 0; i < length; i++) array[i] = below(7);
    return array;
  });
}

function checkGuards(context) {
  for (const { all, bytes } of guarded) {
    for (let i = 0; i < guardBytes; i++) {
      if (all[i] !== guardValue || all[guardBytes + bytes + i] !== guardValue) {
        throw new Error(`memory outside a buffer was written: ${context}`);
      }
    }
  }
}

const dtypes = [Float32Array, Float64Array, Int32Array, Uint8Array];
const lengths = [0, 1, 2, 5, 16, 77, 600, 4096, 4096, 4096];
const typed = dtypes.map((T) => lengths.map((length) => guardedArrays([T], length)[0]));
// Arrays of all types over one memory: what an op writes may change what it has checked.
for (const length of lengths) guardedArrays(dtypes, length).forEach((array, i) => typed[i].push(array));

function detached() {
  const array = new Float32Array(8);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

function outOfBounds() {
  const buffer = new ArrayBuffer(64, { maxByteLength: 128 });
  const array = new Float32Array(buffer, 16, 8);
  buffer.resize(20);
  return array;
}

const strangers = [
  null,
  undefined,
  detached(),
  outOfBounds(),
  new Float32Array(new SharedArrayBuffer(400)),
  new Int8Array(100),
  new Uint16Array(100),
  new Uint32Array(100),
  new Uint8ClampedArray(100),
  new BigInt64Array(100),
  new DataView(new ArrayBuffer(100)),
  new ArrayBuffer(100),
  Buffer.alloc(100),
  new Proxy(new Float32Array(100), {}),
  {},
  [],
  'text',
  5,
  5n,
  true,
  Symbol('s'),
  () => 0,
];

/** Element types that ops ask for by the name of the buffer, as places in `dtypes`. */
const usualDtype = { target: 2, index: 2, chosen: 3, condition: 3, total_weight: 1 };

function anyBuffer(name, dtype) {
  const chance = random();
  if (chance < 0.9) return pick(typed[usualDtype[name] ?? dtype]);
  if (chance < 0.95) return pick(pick(typed));
  return pick(strangers);
}

// ---- numbers ----

const wild = [
  NaN, Infinity, -Infinity, -1, -2, 0.5, -0, 1e-310, 2 ** 31, 2 ** 31 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52, 2 ** 53,
  2 ** 53 - 1, 2 ** 53 + 2, 2 ** 62, 2 ** 63, 2 ** 64, 1e300, -(2 ** 31), -(2 ** 53), 4096, 65_536,
]; // prettier-ignore
const small = [0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 5, 8, 12];

// ---- the run ----

const slots = new Float64Array(new SharedArrayBuffer(128 * 8));
addon.bind(slots);
const ops = addon.opTable().map((row) => ({
  name: row.name,
  list: row.list,
  buffers: row.buffers.split(';').slice(0, -1),
  fields: row.fields
    .split(';')
    .slice(0, -1)
    .map((field) => field.split(':')[0]),
  counts: row.fields
    .split(';')
    .slice(0, -1)
    .map((field) => Number(/\d$/.exec(field)?.[0] ?? 1)),
}));

const floatsOfVector = { avx512: 16, avx2: 8 }[addon.cpuInfo().isa] ?? 4;

/** Makes the windows of a convolution or pooling fit, where the op has them: chance alone never would. */
function fitWindows(op) {
  const at = {};
  op.fields.reduce((slot, name, i) => ((at[name] = slot), slot + op.counts[i]), op.buffers.length);
  if (op.name === 'to_lanes') {
    slots[at.lanes] = floatsOfVector;
    slots[at.n] = floatsOfVector * below(3);
  }
  if (!('in' in at && 'out' in at)) return;
  for (let d = 0; d < 3; d++) {
    const size = 1 + below(6);
    slots[at.in + d] = size;
    if (!('kernel' in at)) continue;
    const kernel = 1 + below(Math.min(size, 3));
    const dilation = 'dilation' in at && (kernel - 1) * 2 < size ? 1 + below(2) : 1;
    const padding = below(kernel / 2 + 1);
    const stride = 1 + below(2);
    slots[at.kernel + d] = kernel;
    slots[at.stride + d] = stride;
    slots[at.padding + d] = padding;
    if ('dilation' in at) slots[at.dilation + d] = dilation;
    slots[at.out + d] = Math.floor((size + 2 * padding - (kernel - 1) * dilation - 1) / stride) + 1;
  }
  if ('groups' in at) {
    const groups = 1 + below(2);
    slots[at.groups] = groups;
    slots[at.c_in] = groups * (1 + below(3));
    slots[at.c_out] = groups * (1 + below(3));
    slots[at.algorithm] = below(6);
  }
  if ('lanes' in at && random() < ('fn' in at ? 0.9 : 0.3)) layInLanes(at);
}

/** Makes a convolution one of images in lanes, whose results are planes of even height and width. */
function layInLanes(at) {
  slots[at.lanes] = random() < 0.8 ? floatsOfVector : pick([2, 4, 8, 16]);
  slots[at.n] = slots[at.lanes] * pick([1, 1, 1, 2]);
  slots[at.groups] = 1;
  slots[at.c_in] = pick([1, 1, 1, 2]);
  slots[at.c_out] = pick([1, 1, 1, 2]);
  slots[at.algorithm] = 0;
  for (let d = 0; d < 3; d++) {
    const [kernel, padding] = d === 0 ? [1, 0] : [pick([1, 1, 2, 3, 5]), 0];
    const out = d === 0 ? 1 : pick([2, 2, 2, 4, 10]);
    slots[at.in + d] = out + kernel - 1 - 2 * padding;
    slots[at.kernel + d] = kernel;
    slots[at.stride + d] = 1;
    slots[at.padding + d] = padding;
    slots[at.dilation + d] = 1;
    slots[at.out + d] = out;
  }
}

// Memory of list ops: its own size is the limit, so there is no room for guards.
const memory = [0, 4, 64, 68, 800, 8192].map((bytes) => new ArrayBuffer(bytes));

/** Arguments of runList for up to six items, and whether all lie inside their memory. */
function listCall(op, wildness) {
  const n = op.buffers.length;
  const args = [];
  let fits = true;
  let at = op.counts.reduce((a, b) => a + b, 0);
  for (let i = 0; i < slots.length; i++) slots[i] = random() < wildness ? pick(wild) : pick(small);
  for (let items = below(6); items > 0; items--) {
    slots[at] = random() < wildness ? pick(wild) : pick([0, 1, 3, 16, 60]);
    slots[at + 1] = random() < wildness ? pick(wild) : below(2);
    const bytes = slots[at] * (slots[at + 1] === 1 ? 8 : 4);
    for (let b = 0; b < n; b++) {
      const start = random() < wildness ? pick(wild) : pick([0, 0, 0, 8, 16, 4, 3]);
      const chance = random();
      const buffer = chance < 0.9 ? pick(memory) : chance < 0.95 ? null : pick(strangers);
      slots[at + 2 + b] = start;
      args.push(buffer);
      if (buffer instanceof ArrayBuffer && !(start >= 0 && start + bytes <= buffer.byteLength)) fits = false;
    }
    at += n + 2;
  }
  if (random() < 0.02) args.pop();
  return { args, fits };
}

const outcome = {};
const succeeded = {};
const allowed = new Set(['ERR_NATIVE', 'ERR_INVALID_TYPE', 'ERR_DETACHED', 'ERR_ALLOC']);
const wildCodes = [-1, ops.length, 1.5, NaN, Infinity, 2 ** 32, '0', null, undefined, {}, 0n, Symbol('s')];

for (let call = 0; call < calls; call++) {
  // Ops of many buffers seldom get as far as computing, so those that never did are tried more often.
  const waiting = random() < 0.25 ? ops.filter(({ name }) => !(name in succeeded)) : [];
  const op = pick(waiting.length > 0 ? waiting : ops);
  const index = ops.indexOf(op);
  // Most descriptors are small numbers, so that many calls get as far as computing.
  const wildness = pick([0, 0, 0, 0.02, 0.3]);
  const n = op.buffers.length;
  for (let i = n; i < slots.length; i++) slots[i] = pick(small);
  if (random() < 0.8) fitWindows(op);
  for (let i = n; i < slots.length; i++) if (random() < wildness) slots[i] = pick(wild);
  for (let i = 0; i < n; i++) slots[i] = random() < 0.1 ? pick([...small, ...wild]) : 0;
  const dtype = random() < 0.5 ? 0 : below(dtypes.length);
  const buffers = [];
  const list = random() < (op.list ? 0.9 : 0.02) ? listCall(op, wildness) : null;
  const count = random() < 0.98 ? n : below(14);
  for (let i = 0; i < count; i++) buffers.push(random() < 0.1 ? null : anyBuffer(op.buffers[i], dtype));
  const code = random() < 0.99 ? index : pick(wildCodes);
  try {
    if (list === null) {
      addon.run(code, ...buffers);
    } else {
      addon.runList(code, ...list.args);
      if (code === index && !list.fits) throw new Error(`${op.name} left its memory in call ${call}`);
    }
    outcome.ok = (outcome.ok ?? 0) + 1;
    if (code === index) succeeded[op.name] = (succeeded[op.name] ?? 0) + 1;
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError) || !allowed.has(error.code)) throw error;
    outcome[error.code] = (outcome[error.code] ?? 0) + 1;
  }
  if (call % 64 === 0) checkGuards(`at or before call ${call} (${op.name})`);
}
checkGuards('at the end');
const never = ops.map((op) => op.name).filter((name) => !(name in succeeded));
console.log(JSON.stringify({ calls, outcome, never }));
