using System.Runtime.InteropServices;
using TreCr.Ptx.Passes;

namespace TreCr.SoftDevice.Engine;

/// <summary>Blocks whose threads run in groups. Groups whose lanes part become single threads; both kinds meet at barriers.</summary>
sealed unsafe partial class BlockRunner
{
    /// <summary>Groups that became single threads, in all launches of the process; for tests.</summary>
    internal static long LeftGroups;

    SimdVariant? simd;
    nuint groupCapacity, groupFrameCapacity;
    int groups, leftGroups;
    readonly bool[] left = new bool[128];
    /// <summary>code of single threads, and its methods</summary>
    CompiledKernel code = null!;

    void PrepareSimd()
    {
        BlockContext* c = context;
        groups = (c->ThreadCount + simd!.Lanes - 1) / simd.Lanes;
        c->GroupsAtATime = launch.BlockX % (uint)simd.Lanes == 0 ? (int)launch.BlockX / simd.Lanes : groups;
        if (c->Scratch == null) c->Scratch = (byte*)NativeMemory.AlignedAlloc(SimdVariant.ScratchBytes, 64);
        NativeMemory.Clear(c->Scratch + SimdVariant.MasksOffset, (nuint)(simd.Shape.Blocks * sizeof(int)));
        nuint frames = (nuint)(simd.Shape.FrameBytes * groups);
        if (frames > groupFrameCapacity)
        {
            NativeMemory.AlignedFree(c->GroupFrames);
            c->GroupFrames = (byte*)NativeMemory.AlignedAlloc(groupFrameCapacity = frames, 64);
        }
        if (!simd.UsesGroups || (nuint)groups <= groupCapacity) return;
        NativeMemory.AlignedFree(c->Groups);
        groupCapacity = (nuint)groups;
        c->Groups = (GroupSlot*)NativeMemory.AlignedAlloc(groupCapacity * (nuint)sizeof(GroupSlot), 64);
    }

    void BeginSimd()
    {
        if (leftGroups > 0) Array.Clear(left);
        leftGroups = 0;
        if (!simd!.UsesGroups) return;
        for (int n = 0; n < 16; n++) context->Arrived[n] = 0;
        for (int n = 0; n < groups; n++) context->Groups[n] = default;
    }

    /// <summary>Frames and slots of single threads.</summary>
    void PrepareThreads()
    {
        BlockContext* c = context;
        c->FrameStride = code.FrameBytes;
        c->Frames = Grow(c->Frames, ref frameCapacity, (nuint)((long)code.FrameBytes * c->ThreadCount));
        nuint slotBytes = (nuint)(sizeof(ThreadSlot) * c->ThreadCount);
        if (slotBytes > slotCapacity)
        {
            NativeMemory.AlignedFree(c->Slots);
            c->Slots = (ThreadSlot*)NativeMemory.AlignedAlloc(slotCapacity = slotBytes, 64);
        }
        c->StateFrameBytes = code.StateFrameBytes;
        c->StateLocalBytes = code.StateLocalBytes;
        c->StateCount = code.ChunkOfState.Length;
    }

    public void LeaveGroup(int group, int blockA, uint maskA, int blockB, uint maskB)
    {
        MakeThreads(group, blockA, maskA, blockB, maskB);
        FinishLeft(group);
    }

    /// <summary>Threads of a group that was given up run to their end at once where no barrier can hold them up: their block may not be the last of its run.</summary>
    void FinishLeft(int group)
    {
        if (simd!.UsesGroups) return;
        int first = group * simd.Lanes, last = Math.Min(first + simd.Lanes, context->ThreadCount);
        while (true)
        {
            bool yielded = false;
            do RunWarp(code.Chunks, first, last);
            while (ResolveWarp(first, last, ref yielded));
            if (yielded) { Wake(first, last); continue; }
            for (int t = first; t < last; t++)
                if (context->Slots[t].Status != (int)ThreadStatus.Done) throw StuckFault();
            return;
        }
    }

    void MakeThreads(int group, int blockA, uint maskA, int blockB, uint maskB)
    {
        BlockContext* c = context;
        Interlocked.Increment(ref LeftGroups);
        if (leftGroups++ == 0)
        {
            code = simd!.Resumable;
            PrepareThreads();
        }
        left[group] = true;
        if (simd!.UsesGroups) c->Groups[group].Status = GroupSlot.Left;
        int first = group * simd.Lanes, count = Math.Min(simd.Lanes, c->ThreadCount - first);
        byte* from = c->GroupFrames + (long)group * simd.Shape.FrameBytes;
        for (int n = 0; n < count; n++)
        {
            bool a = (maskA >> n & 1) != 0, b = (maskB >> n & 1) != 0;
            ThreadSlot* s = c->Slots + first + n;
            s->Status = (int)(a || b ? ThreadStatus.Running : ThreadStatus.Done);
            s->State = a ? blockA : blockB;
            s->Frame = 0;
        }
        if (maskA != 0) CopyRegisters(blockA, maskA, from, first, count);
        if (maskB != 0) CopyRegisters(blockB, maskB, from, first, count);
    }

    void CopyRegisters(int block, uint mask, byte* from, int first, int count)
    {
        GroupFacts facts = simd!.Facts;
        FlowGraph g = facts.Graph;
        ulong[] live = g.Blocks[block].LiveIn;
        for (int w = 0; w < live.Length; w++)
            for (ulong bits = live[w]; bits != 0; bits &= bits - 1)
            {
                int r = w * 64 + System.Numerics.BitOperations.TrailingZeroCount(bits), at = facts.Layout.Offset[r];
                if (at < 0) continue;
                bool wide = g.Classes[r] is RegisterClass.I64 or RegisterClass.F64, predicate = g.Classes[r] == RegisterClass.Pred;
                long stride = facts.Shapes.Stride[r];
                for (int n = 0; n < count; n++)
                {
                    if ((mask >> n & 1) == 0) continue;
                    byte* to = context->Frames + (long)(first + n) * context->FrameStride + g.SlotOffset[r];
                    if (wide) *(long*)to = stride == Shapes.Varying ? ((long*)(from + at))[n] : *(long*)(from + at) + n * stride;
                    else *(int*)to = predicate ? stride == 0 ? *(int*)(from + at) : *(int*)(from + at) >> n & 1 : stride == Shapes.Varying ? ((int*)(from + at))[n] : *(int*)(from + at) + (int)(n * stride);
                }
            }
    }

    /// <summary>In the kind of a collective: a barrier, with its number.</summary>
    public const int AtBarrier = 0x2000;

    /// <summary>Goes on with a group whose lanes have parted; where masks cannot do it, its threads go on one by one.</summary>
    public int RunMasked(int group, int way)
    {
        if (simd!.Masked is { } masked) return masked(context, group, way);
        LeaveMasked(group, 0, 0, 0, 0);
        return -1;
    }

    public void LeaveMasked(int group, int state, int kind, uint members, uint waiting)
    {
        int* masks = (int*)(context->Scratch + SimdVariant.MasksOffset);
        MakeThreads(group, 0, 0, 0, 0);
        BlockContext* c = context;
        int first = group * simd!.Lanes, count = Math.Min(simd.Lanes, c->ThreadCount - first);
        byte* from = c->GroupFrames + (long)group * simd.Shape.FrameBytes;
        for (int b = 0; b < simd.Shape.Blocks; b++)
        {
            uint mask = (uint)masks[b];
            if (mask == 0) continue;
            for (int n = 0; n < count; n++)
                if ((mask >> n & 1) != 0) (c->Slots[first + n].Status, c->Slots[first + n].State) = ((int)ThreadStatus.Running, b);
            CopyRegisters(b, mask, from, first, count);
            masks[b] = 0;
        }
        if (waiting != 0)
        {
            CopyRegisters(state, waiting, from, first, count);
            Wait(group, state, kind, members, waiting);
        }
        FinishLeft(group);
    }

    public void LeaveGroupWaiting(int group, int state, int kind, uint mask)
    {
        MakeThreads(group, state, uint.MaxValue, 0, 0);
        Wait(group, state, kind, mask, uint.MaxValue);
        FinishLeft(group);
    }

    void Wait(int group, int state, int kind, uint members, uint waiting)
    {
        uint* brought = (uint*)context->Scratch;
        bool shuffle = (CollectiveKind)kind is CollectiveKind.ShflUp or CollectiveKind.ShflDown or CollectiveKind.ShflBfly or CollectiveKind.ShflIdx, barrier = (kind & AtBarrier) != 0;
        for (int n = 0; n < simd!.Lanes; n++)
        {
            if ((waiting >> n & 1) == 0) continue;
            ThreadSlot* s = context->Slots + group * simd.Lanes + n;
            s->State = state;
            s->Status = (int)(barrier ? ThreadStatus.Barrier : ThreadStatus.Warp);
            s->Kind = barrier ? kind & 15 : kind;
            s->Mask = barrier ? 0 : members;
            s->Value = shuffle ? brought[n] : brought[0] >> n & 1;
            s->A = shuffle ? brought[64 + n] : 0;
            s->B = shuffle ? brought[128 + n] : 0;
        }
    }

    BlockProgress StepSimd()
    {
        BlockContext* c = context;
        while (true)
        {
            chunks[0](c, 0, groups);
            if (!simd!.UsesGroups) return BlockProgress.Done;
            if (leftGroups == 0 && AllTogether(out bool ended))
            {
                if (ended) return BlockProgress.Done;
                continue;
            }
            bool yielded = false;
            for (int n = 0; n < groups; n++)
            {
                if (left[n])
                {
                    int first = n * simd.Lanes, last = Math.Min(first + simd.Lanes, c->ThreadCount);
                    do RunWarp(code.Chunks, first, last);
                    while (ResolveWarp(first, last, ref yielded));
                }
                else yielded |= c->Groups[n].Status == (int)ThreadStatus.Yielded;
            }
            bool released = ResolveBarriers();
            if (finished == c->ThreadCount) return BlockProgress.Done;
            if (yielded)
            {
                for (int n = 0; n < groups; n++)
                    if (left[n]) Wake(n * simd.Lanes, Math.Min(n * simd.Lanes + simd.Lanes, c->ThreadCount));
                    else if (c->Groups[n].Status == (int)ThreadStatus.Yielded) c->Groups[n].Status = (int)ThreadStatus.Running;
                if (!released) return BlockProgress.Spinning;
            }
            else if (!released) throw StuckFault();
        }
    }

    /// <summary>True where all groups stand at one barrier, which opens, or all have ended: nearly always, where no group is given up.</summary>
    bool AllTogether(out bool ended)
    {
        GroupSlot* slots = context->Groups;
        int status = slots->Status, barrier = slots->Barrier;
        ended = status == (int)ThreadStatus.Done;
        if (!ended && status != (int)ThreadStatus.Barrier) return false;
        for (int n = 1; n < groups; n++)
            if (slots[n].Status != status || !ended && slots[n].Barrier != barrier) return false;
        if (ended) return true;
        context->Arrived[barrier] = 0;
        for (int n = 0; n < groups; n++) slots[n].Status = (int)ThreadStatus.Running;
        return true;
    }

    void Wake(int first, int last)
    {
        for (int t = first; t < last; t++)
            if (context->Slots[t].Status == (int)ThreadStatus.Yielded) context->Slots[t].Status = (int)ThreadStatus.Running;
    }

    /// <summary>Counts the groups at barriers that are not single threads.</summary>
    void CountGroups(Span<int> came, ref int done)
    {
        for (int n = 0; n < groups; n++)
        {
            if (left[n]) continue;
            int status = simd!.UsesGroups ? context->Groups[n].Status : (int)ThreadStatus.Done;
            int count = Math.Min(simd.Lanes, context->ThreadCount - n * simd.Lanes), live = status == (int)ThreadStatus.Barrier ? System.Numerics.BitOperations.PopCount((uint)context->Groups[n].Mask) : 0;
            if (status == (int)ThreadStatus.Done) done += count;
            else if (status == (int)ThreadStatus.Barrier)
            {
                came[context->Groups[n].Barrier] += live;
                done += count - live;
            }
        }
    }

    void ReleaseGroups(uint open)
    {
        if (!simd!.UsesGroups) return;
        for (int n = 0; n < groups; n++)
        {
            GroupSlot* s = context->Groups + n;
            if (s->Status == (int)ThreadStatus.Barrier && (open >> s->Barrier & 1) != 0) s->Status = (int)ThreadStatus.Running;
        }
    }
}
