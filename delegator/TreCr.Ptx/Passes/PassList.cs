using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>The passes from a parsed function to what an emitter needs, in order. A SIMD emitter adds its own (shapes, masks) after these.</summary>
public static class PassList
{
    /// <param name="maxBlock">instructions a block may have, at least 1</param>
    public static FlowGraph Run(PtxFunction function, int maxBlock)
    {
        FlowGraph graph = ControlFlowPass.Run(function, maxBlock);
        SpinPass.Run(graph);
        LivenessPass.Run(graph);
        RegisterClassPass.Run(graph);
        FrameLayoutPass.Run(graph);
        return graph;
    }
}
