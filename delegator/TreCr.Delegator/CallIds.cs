namespace TreCr.Delegator;

/// <summary>Numbers of calls that the delegator treats in a way of their own (declarations: TreCr.Calls.Cuda).</summary>
internal static class CallIds
{
    public const ushort Init = 0x0001, DeviceFacts = 0x0010, PrimaryCtxRetain = 0x0101, CtxDestroy = 0x0106, CtxSynchronize = 0x0108, ModuleLoad = 0x0201, ModuleGetFunction = 0x0203,
        ModuleGetGlobal = 0x0204, MemFree = 0x0303, MemFreeHost = 0x0307, PointerFacts = 0x0310, HtoD = 0x0501, DtoH = 0x0502, Copy2D = 0x0504,
        TakeDeviceOutput = 0x0610, StreamDestroy = 0x0702, StreamSynchronize = 0x0703, StreamQuery = 0x0704, EventQuery = 0x0804, EventSynchronize = 0x0805;
}
