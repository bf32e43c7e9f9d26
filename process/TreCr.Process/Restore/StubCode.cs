namespace TreCr.Process.Restore;

/// <summary>Machine code of the process that becomes the restored one, and the ELF file that starts it (process.md §11).</summary>
internal static class StubCode
{
    /// <summary>Offsets into <see cref="Code"/>.</summary>
    public const int Runner = 0, Pause = 0x30, PauseSyscall = 0x35;

    // Runner (rbx = table of { nr, a1..a6, result }, r12 = count; no stack; ends in int3):
    //   test r12,r12; jz end; mov rax,[rbx]; mov rdi,[rbx+8]; rsi,[+16]; rdx,[+24]; r10,[+32]; r8,[+40]; r9,[+48]; syscall;
    //   mov [rbx+56],rax; add rbx,64; dec r12; jmp start; end: int3
    // Pause: mov eax,34 (pause); syscall; jmp Pause
    public static readonly byte[] Code = Convert.FromHexString(
        "4d85e4742a488b03488b7b08488b7310488b53184c8b53204c8b43284c8b4b300f05488943384883c34049ffccebd1cc" + "b8220000000f05ebf7");

    /// <summary>One tile instruction, then int3: enlarges a thread's register buffer for AMX (rsi: 64 bytes of tile configuration).</summary>
    public static readonly byte[] TileStep = Convert.FromHexString("c4e2784906c4e27b49c0cc");

    /// <summary>A static executable of 8 KiB at <paramref name="address"/> that waits for signals; its code stands one page in.</summary>
    public static byte[] Elf(ulong address)
    {
        byte[] b = new byte[0x2000];
        void Put(int offset, ulong value, int bytes) { for (int i = 0; i < bytes; i++) b[offset + i] = (byte)(value >> (8 * i)); }
        ((ReadOnlySpan<byte>)[0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1]).CopyTo(b);
        Put(16, 2, 2); Put(18, 62, 2); Put(20, 1, 4); Put(24, address + 0x1000 + Pause, 8); Put(32, 64, 8); Put(52, 64, 2); Put(54, 56, 2); Put(56, 2, 2); Put(58, 64, 2);
        Put(64, 1, 4); Put(68, 7, 4); Put(80, address, 8); Put(88, address, 8); Put(96, (ulong)b.Length, 8); Put(104, (ulong)b.Length, 8); Put(112, 4096, 8); // PT_LOAD rwx
        Put(120, 0x6474e551, 4); Put(124, 6, 4); Put(168, 16, 8); // PT_GNU_STACK rw
        Code.CopyTo(b, 0x1000);
        return b;
    }
}
