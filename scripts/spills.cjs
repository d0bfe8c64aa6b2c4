'use strict';
// Finds vector registers that live on the stack inside the innermost loops of hot kernels, in the text that
// `objdump -d -C --no-show-raw-insn` gives. A kernel with a tile one register too large stays correct and becomes
// slow, and no test of its results would tell.

/** Functions of a disassembly: `{ name, instructions: [{ address, text }] }`. */
function functionsOf(disassembly) {
  const functions = [];
  for (const line of disassembly.split('\n')) {
    const label = /^[0-9a-f]+ <(.*)>:$/.exec(line);
    if (label) {
      functions.push({ name: label[1], instructions: [] });
      continue;
    }
    const instruction = /^\s*([0-9a-f]+):\s+(.*?)\s*$/.exec(line);
    if (instruction && functions.length > 0) {
      const [, address, text] = instruction;
      functions.at(-1).instructions.push({ address: parseInt(address, 16), text });
    }
  }
  return functions;
}

/** Backward jumps of x86 (j*) and AArch64 (b, b.cond, cbz, cbnz, tbz, tbnz) whose loop contains no other loop. */
function innermostLoops({ instructions }) {
  const loops = [];
  for (const { address, text } of instructions) {
    const jump = /^(?:j\w+|b(?:\.\w+)?|cbn?z|tbn?z)\s+(?:.*,\s*)?(?:0x)?([0-9a-f]+)(?:\s+<.*)?$/.exec(text);
    const target = jump ? parseInt(jump[1], 16) : Infinity;
    if (target <= address && target >= instructions[0].address) loops.push({ begin: target, end: address });
  }
  return loops.filter(
    (loop) => !loops.some((other) => other !== loop && other.begin >= loop.begin && other.end <= loop.end),
  );
}

/** Vector instructions with an operand on the stack. */
function stackPattern({ instructions }) {
  if (!instructions.some(({ text }) => text.includes('%'))) {
    return /^(?:ldr|str|ldp|stp|ldur|stur|ld1|st1)\s+.*\b[qv]\d+\b.*\[(?:sp|x29)\b/; // AArch64
  }
  // Without a frame pointer, rbp is a register like any other.
  const framed = instructions.some(({ text }) => /^mov\s+%rsp,%rbp/.test(text));
  return framed ? /^(?=.*%[xyz]mm).*\(%r[sb]p[,)]/ : /^(?=.*%[xyz]mm).*\(%rsp[,)]/;
}

/** `[{ name, count, first }]` for the functions whose name `wanted` matches and that spill in an innermost loop. */
function findSpills(disassembly, wanted) {
  const found = [];
  for (const fn of functionsOf(disassembly)) {
    if (!wanted.test(fn.name)) continue;
    const loops = innermostLoops(fn);
    const pattern = stackPattern(fn);
    const spills = fn.instructions.filter(
      ({ address, text }) =>
        pattern.test(text) && loops.some(({ begin, end }) => address >= begin && address <= end),
    );
    if (spills.length > 0) found.push({ name: fn.name, count: spills.length, first: spills[0].text });
  }
  return found;
}

module.exports = { findSpills, functionsOf };
