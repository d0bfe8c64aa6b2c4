import { describe, expect, it } from '@jest/globals';
import { findSpills } from '../../scripts/spills.cjs';

const head = '0000000000000000 <void ns::tile<float, 3>(long)>:\n';

function listing(...texts: string[]): string {
  return head + texts.map((text, i) => `  ${(16 * i).toString(16)}:\t${text}`).join('\n') + '\n';
}

describe('findSpills', () => {
  it('finds a planted spill in an innermost loop', () => {
    const text = listing(
      'xor    %eax,%eax',
      'vmovups (%rsi,%rax,4),%zmm1',
      'vfmadd231ps 0x40(%rsp),%zmm1,%zmm2',
      'add    $0x10,%rax',
      'jne    10 <void ns::tile<float, 3>(long)+0x10>',
      'ret',
    );
    expect(findSpills(text, /::tile</)).toEqual([
      { name: 'void ns::tile<float, 3>(long)', count: 1, first: 'vfmadd231ps 0x40(%rsp),%zmm1,%zmm2' },
    ]);
    expect(findSpills(text, /::other</)).toEqual([]);
  });

  it('takes rbp for the stack only in functions with a frame', () => {
    const loop = ['vmovaps %ymm3,-0x40(%rbp)', 'jne    10 <f+0x10>', 'ret'];
    expect(findSpills(listing('mov    %rsp,%rbp', ...loop), /tile/)).toHaveLength(1);
    expect(findSpills(listing('mov    %rdi,%rbp', ...loop), /tile/)).toEqual([]);
  });

  it('lets scalars, code outside loops and outer loops use the stack', () => {
    const text = listing(
      'vmovaps %zmm0,0x8(%rsp)',
      'vmovaps 0x8(%rsp),%zmm3',
      'mov    (%rsp),%rcx',
      'vfmadd231ps (%rcx),%zmm1,%zmm2',
      'jne    20 <f+0x20>',
      'jne    10 <f+0x10>',
      'ret',
    );
    expect(findSpills(text, /tile/)).toEqual([]);
  });

  it('reads AArch64', () => {
    const loop = ['ldr\tq6, [sp, #160]', 'fmla\tv0.4s, v1.4s, v6.s[0]', 'b.ne\t10 <f+0x10>  // b.any', 'ret'];
    expect(findSpills(listing('mov\tx1, #0x0', ...loop), /tile/)).toHaveLength(1);
    const clean = ['ldr\tx6, [sp, #160]', 'ldr\tq6, [x6]', 'cbnz\tx1, 10 <f+0x10>', 'ret'];
    expect(findSpills(listing('mov\tx1, #0x0', ...clean), /tile/)).toEqual([]);
  });
});
