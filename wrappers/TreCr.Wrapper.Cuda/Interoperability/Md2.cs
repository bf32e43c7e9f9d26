namespace TreCr.Wrapper.Cuda;

/// <summary>The MD2 digest (RFC 1319) and HMAC (RFC 2104) with it. .NET has neither any more; as a protection MD2 is broken, here it only has to agree.</summary>
internal static class Md2
{
    private const int BlockBytes = 16;

    /// <summary>Permutation made from the digits of pi (RFC 1319, section 3.2).</summary>
    private static ReadOnlySpan<byte> Substitution =>
    [
        41, 46, 67, 201, 162, 216, 124, 1, 61, 54, 84, 161, 236, 240, 6, 19,
        98, 167, 5, 243, 192, 199, 115, 140, 152, 147, 43, 217, 188, 76, 130, 202,
        30, 155, 87, 60, 253, 212, 224, 22, 103, 66, 111, 24, 138, 23, 229, 18,
        190, 78, 196, 214, 218, 158, 222, 73, 160, 251, 245, 142, 187, 47, 238, 122,
        169, 104, 121, 145, 21, 178, 7, 63, 148, 194, 16, 137, 11, 34, 95, 33,
        128, 127, 93, 154, 90, 144, 50, 39, 53, 62, 204, 231, 191, 247, 151, 3,
        255, 25, 48, 179, 72, 165, 181, 209, 215, 94, 146, 42, 172, 86, 170, 198,
        79, 184, 56, 210, 150, 164, 125, 182, 118, 252, 107, 226, 156, 116, 4, 241,
        69, 157, 112, 89, 100, 113, 135, 32, 134, 91, 207, 101, 230, 45, 168, 2,
        27, 96, 37, 173, 174, 176, 185, 246, 28, 70, 97, 105, 52, 64, 126, 15,
        85, 71, 163, 35, 221, 81, 175, 58, 195, 92, 249, 206, 186, 197, 234, 38,
        44, 83, 13, 110, 133, 40, 132, 9, 211, 223, 205, 244, 65, 129, 77, 82,
        106, 220, 55, 200, 108, 193, 171, 250, 36, 225, 123, 8, 12, 189, 177, 74,
        120, 136, 149, 139, 227, 99, 232, 109, 233, 203, 213, 254, 59, 0, 29, 57,
        242, 239, 183, 14, 102, 88, 208, 228, 166, 119, 114, 248, 235, 117, 75, 10,
        49, 68, 80, 180, 143, 237, 31, 26, 219, 153, 141, 51, 159, 17, 131, 20,
    ];

    /// <summary>HMAC-MD2 with a key of one block.</summary>
    /// <param name="key">[16]</param><param name="message">at most 512 bytes</param><param name="digest">[16]</param>
    public static void Keyed(ReadOnlySpan<byte> key, ReadOnlySpan<byte> message, Span<byte> digest)
    {
        Span<byte> inner = stackalloc byte[BlockBytes + 512];
        Span<byte> outer = stackalloc byte[2 * BlockBytes];
        for (int i = 0; i < BlockBytes; i++)
        {
            inner[i] = (byte)(key[i] ^ 0x36);
            outer[i] = (byte)(key[i] ^ 0x5c);
        }
        message.CopyTo(inner[BlockBytes..]);
        Hash(inner[..(BlockBytes + message.Length)], outer[BlockBytes..]);
        Hash(outer, digest);
    }

    /// <summary>MD2 of a message.</summary>
    /// <param name="digest">[16]</param>
    public static void Hash(ReadOnlySpan<byte> message, Span<byte> digest)
    {
        Span<byte> state = stackalloc byte[48], checksum = stackalloc byte[BlockBytes], block = stackalloc byte[BlockBytes];
        state.Clear();
        checksum.Clear();
        byte last = 0;
        int blocks = message.Length / BlockBytes + 1;
        for (int i = 0; i < blocks; i++)
        {
            int from = i * BlockBytes, have = Math.Min(BlockBytes, message.Length - from);
            // The last block is filled up with its missing count; a full message gets a block of sixteens.
            block.Fill((byte)(BlockBytes - have));
            message.Slice(from, have).CopyTo(block);
            for (int j = 0; j < BlockBytes; j++) last = checksum[j] ^= Substitution[block[j] ^ last];
            Mix(state, block);
        }
        Mix(state, checksum);
        state[..BlockBytes].CopyTo(digest);
    }

    private static void Mix(Span<byte> state, ReadOnlySpan<byte> block)
    {
        for (int j = 0; j < BlockBytes; j++)
        {
            state[16 + j] = block[j];
            state[32 + j] = (byte)(block[j] ^ state[j]);
        }
        byte t = 0;
        for (int round = 0; round < 18; round++)
        {
            for (int k = 0; k < 48; k++) t = state[k] ^= Substitution[t];
            t = (byte)(t + round);
        }
    }
}
