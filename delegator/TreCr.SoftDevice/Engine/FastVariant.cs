using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Engine;

/// <summary>A second compilation of a kernel without the checks of some accesses, for blocks where <see cref="RangeProof"/> shows that they cannot fault.</summary>
/// <param name="Chunks">as in <see cref="CompiledKernel.Chunks"/>; the same states</param>
/// <param name="Accesses">numbers, in the kernel's range program, of the accesses without a check</param>
sealed record FastVariant(ChunkMethod[] Chunks, int[] Accesses);
