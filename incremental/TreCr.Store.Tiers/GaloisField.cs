namespace TreCr.Store.Tiers;

/// <summary>The field of 256 elements with the polynomial x⁸+x⁴+x³+x²+1 (0x11D), as tables. Addition is XOR. Part of the format of erasure-coded tiers.</summary>
internal static class GaloisField
{
    private const int Polynomial = 0x11D;
    private static readonly byte[] s_exp = new byte[512], s_log = new byte[256];

    static GaloisField()
    {
        for (int i = 0, x = 1; i < 255; i++)
        {
            s_exp[i] = s_exp[i + 255] = (byte)x;
            s_log[x] = (byte)i;
            x <<= 1;
            if (x > 255) x ^= Polynomial;
        }
    }

    internal static byte Multiply(byte a, byte b) => a == 0 || b == 0 ? (byte)0 : s_exp[s_log[a] + s_log[b]];

    /// <param name="a">not 0</param>
    internal static byte Invert(byte a) => s_exp[255 - s_log[a]];

    /// <summary>Inverts a square matrix, row by row.</summary>
    /// <returns>false: it has no inverse</returns>
    internal static bool TryInvert(byte[,] matrix, out byte[,] inverse)
    {
        int n = matrix.GetLength(0);
        byte[,] a = (byte[,])matrix.Clone(), b = new byte[n, n];
        inverse = b;
        for (int i = 0; i < n; i++) b[i, i] = 1;
        for (int column = 0; column < n; column++)
        {
            int pivot = column;
            while (pivot < n && a[pivot, column] == 0) pivot++;
            if (pivot == n) return false;
            for (int j = 0; j < n && pivot != column; j++)
            {
                (a[column, j], a[pivot, j]) = (a[pivot, j], a[column, j]);
                (b[column, j], b[pivot, j]) = (b[pivot, j], b[column, j]);
            }
            byte scale = Invert(a[column, column]);
            for (int j = 0; j < n; j++) (a[column, j], b[column, j]) = (Multiply(a[column, j], scale), Multiply(b[column, j], scale));
            for (int row = 0; row < n; row++)
            {
                byte factor = a[row, column];
                if (row == column || factor == 0) continue;
                for (int j = 0; j < n; j++)
                {
                    a[row, j] ^= Multiply(factor, a[column, j]);
                    b[row, j] ^= Multiply(factor, b[column, j]);
                }
            }
        }
        return true;
    }
}
