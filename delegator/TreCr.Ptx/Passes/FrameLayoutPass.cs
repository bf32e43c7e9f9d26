using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>
/// Places everything a stopped thread needs in its frame: header (16 bytes: state to return to, bytes back to the caller's
/// frame, local offset), returned values, parameters, values of call scopes, register slots; and .local variables in local memory.
/// </summary>
public static class FrameLayoutPass
{
    public const int HeaderBytes = 16;

    public static void Run(FlowGraph g)
    {
        int at = HeaderBytes;
        PtxFunction f = g.Function;
        if (!f.IsEntry)
        {
            // Callers lay out the same two areas from the signature alone.
            (g.ReturnsOffset, g.ParametersOffset, at) = Areas(f.Signature);
        }
        int local = 0;
        foreach (PtxVariable v in f.Locals.Values)
        {
            if (v.Space == PtxSpace.Param && !f.Signature.Parameters.Contains(v) && !f.Signature.Returns.Contains(v))
            {
                at = Align(at, Math.Max(8, v.AlignBytes));
                g.CallParameterOffset[v.Name] = at;
                at += Math.Max(8, (int)v.SizeBytes);
            }
            else if (v.Space == PtxSpace.Local)
            {
                local = Align(local, v.AlignBytes);
                g.LocalOffset[v.Name] = local;
                local += (int)v.SizeBytes;
            }
        }
        at = Align(at, 8);
        g.LocalBytes = Align(local, 16);
        g.SlotOffset = new int[f.Registers.Count];
        Array.Fill(g.SlotOffset, -1);
        for (int r = 0; r < f.Registers.Count; r++)
        {
            // Only registers that live across blocks can ever be saved.
            if (g.OnlyBlock[r] != -1) continue;
            g.SlotOffset[r] = at;
            at += 8;
        }
        g.FrameBytes = Align(at, 16);
    }

    /// <summary>Offsets of the areas of a callee's frame, from its signature.</summary>
    public static (int Returns, int Parameters, int End) Areas(PtxSignature s)
    {
        int returns = HeaderBytes, parameters = Align(returns + SizeOf(s.Returns), 16);
        return (returns, parameters, Align(parameters + SizeOf(s.Parameters), 16));
    }

    static int SizeOf(List<PtxVariable> list)
    {
        long end = 0;
        foreach (PtxVariable v in list) end = Math.Max(end, v.Offset + v.SizeBytes);
        return (int)end;
    }

    static int Align(int n, int to) => n + to - 1 & -to;
}
