using TreCr.Ptx.Ast;

namespace TreCr.SoftDevice.Engine;

/// <summary>How one matrix lies in the registers of a warp.</summary>
sealed class Fragment
{
    public int Rows { get; }
    public int Columns { get; }
    public PtxType Type { get; }
    /// <summary>registers of a lane: of 64 bits for f64, else of 32</summary>
    public int Registers { get; }
    /// <summary>elements of a lane; an element may have several places</summary>
    public int Slots { get; }
    /// <summary>[32 * Slots] row * Columns + column of each element of each lane</summary>
    public ushort[] Places { get; }
    /// <summary>elements of a lane that have no place before</summary>
    public int Distinct => Rows * Columns / 32;

    Fragment(int rows, int columns, PtxType type, int registers, Func<int, int, (int Row, int Column)> place)
    {
        (Rows, Columns, Type, Registers) = (rows, columns, type, registers);
        Slots = registers * Math.Max(1, 32 / type.Bits());
        Places = new ushort[32 * Slots];
        for (int lane = 0; lane < 32; lane++)
            for (int n = 0; n < Slots; n++)
            {
                (int row, int column) = place(lane, n);
                Places[lane * Slots + n] = (ushort)(row * columns + column);
            }
    }

    static int RegistersFor(int elements, PtxType type) => elements * type.Bits() / 32 / (type == PtxType.F64 ? 64 : 32);

    /// <summary>Of mma.sync, whose places the PTX ISA states ("Matrix Fragments for mma").</summary>
    public static Fragment OfMma(char matrix, int m, int n, int k, PtxType type)
    {
        int pack = Math.Max(1, 32 / type.Bits());
        return matrix switch
        {
            // Registers go through the two halves of the rows first, then through blocks of columns.
            'a' => new(m, k, type, RegistersFor(m * k, type), (lane, e) => m == 8 ? ((lane >> 2), (lane & 3) * pack + e % pack)
                : ((lane >> 2) + (e / pack & 1) * 8, (lane & 3) * pack + e % pack + (e / pack >> 1) * 4 * pack)),
            'b' => new(k, n, type, RegistersFor(k * n, type), (lane, e) => ((lane & 3) * pack + e % pack + e / pack * 4 * pack, lane >> 2)),
            // Pairs of columns, then the lower half of the rows.
            _ => new(m, n, type, RegistersFor(m * n, type), (lane, e) => ((lane >> 2) + (e >> 1) * 8, (lane & 3) * 2 + (e & 1))),
        };
    }

    /// <summary>Of mma.m8n8k4 in f16, which Volta's quad pairs work on: lanes 4q to 4q + 3 and 16 + 4q to 16 + 4q + 3 have a product of their own. The four are one here, along the diagonal of a product of 32 by 32.</summary>
    /// <param name="byRows">A or B lies in rows: a lane has the next elements of a row, else of a column</param>
    public static Fragment OfQuadPairs(char matrix, PtxType type, bool byRows)
    {
        return matrix switch
        {
            'a' => new(32, 4, type, 2, (lane, e) => byRows ? (First(lane) + (lane & 3), e) : (First(lane) + e, lane & 3)),
            'b' => new(4, 32, type, 2, (lane, e) => byRows ? (lane & 3, First(lane) + e) : (e, First(lane) + (lane & 3))),
            _ when type == PtxType.F16 => new(32, 32, type, 4, (lane, e) => (First(lane) + (lane & 3), Corner(lane) + e)),
            _ => new(32, 32, type, 8, (lane, e) => (First(lane) + (lane & 1) + (e & 2), Corner(lane) + (e & 4) + (lane & 2) + (e & 1))),
        };
        // Where a pair's product begins, and the half of it that a lane has.
        static int Corner(int lane) => (lane >> 2 & 3) * 8;
        static int First(int lane) => Corner(lane) + (lane >> 4) * 4;
    }

    /// <summary>Of wmma, whose places are nobody's business: each lane has the next elements in the order of rows. In f16 factors each element stands twice (the ISA says how many registers there are).</summary>
    public static Fragment OfWmma(char matrix, int m, int n, int k, PtxType type)
    {
        (int rows, int columns) = matrix switch { 'a' => (m, k), 'b' => (k, n), _ => (m, n) };
        int each = rows * columns / 32, registers = matrix is 'a' or 'b' && type == PtxType.F16 ? 8 : RegistersFor(rows * columns, type);
        return new(rows, columns, type, registers, (lane, e) => ((lane * each + e % each) / columns, (lane * each + e % each) % columns));
    }
}
