using System.Reflection;
using System.Reflection.Emit;
using TreCr.Ptx.Ast;
using TreCr.SoftDevice.Backend;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>Calls of functions that the driver supplies.</summary>
unsafe partial class ScalarEmitter
{
    static readonly Dictionary<string, MethodInfo> RuntimeFunctions = typeof(DeviceRuntime).GetMethods(BindingFlags.Static | BindingFlags.Public).ToDictionary(m => m.Name);
    static readonly MethodInfo HeapAllocate = typeof(DeviceHeap).GetMethod(nameof(DeviceHeap.Allocate))!, HeapFree = typeof(DeviceHeap).GetMethod(nameof(DeviceHeap.Free))!;

    /// <summary>Functions that the driver supplies.</summary>
    private protected void EmitRuntimeCall(PtxFunction callee, PtxOperand? returns, PtxOperand? arguments)
    {
        PtxOperand[] a = arguments?.Elements ?? [];
        void Argument(int n, OpCode load) { FrameAddress(ScopeOffset(a[n])); il.Op(load); }
        switch (callee.Name)
        {
            case "vprintf" when a.Length == 2 && returns is not null:
                FrameAddress(ScopeOffset(returns.Elements[0]));
                il.Ldarg(0);
                il.Ldloc(thread);
                Argument(0, OpCodes.Ldind_I8);
                Argument(1, OpCodes.Ldind_I8);
                Call("Printf");
                il.Op(OpCodes.Stind_I4);
                break;
            case "__assertfail" when a.Length == 5:
                il.Ldarg(0);
                il.Ldloc(thread);
                for (int n = 0; n < 4; n++) Argument(n, n == 2 ? OpCodes.Ldind_I4 : OpCodes.Ldind_I8);
                Call("AssertFail");
                break;
            case "malloc" when a.Length == 1 && returns is not null:
                FrameAddress(ScopeOffset(returns.Elements[0]));
                il.LdcI8((long)program.AddressOf(SoftModule.HeapName));
                Argument(0, OpCodes.Ldind_I8);
                il.Call(HeapAllocate);
                il.Op(OpCodes.Stind_I8);
                break;
            case "free" when a.Length == 1:
                il.Ldloc(thread);
                il.LdcI8((long)program.AddressOf(SoftModule.HeapName));
                Argument(0, OpCodes.Ldind_I8);
                il.Call(HeapFree);
                break;
            default:
                if (!RuntimeFunctions.TryGetValue(callee.Name, out MethodInfo? function)) throw Unsupported($"device function {callee.Name}");
                EmitDeviceRuntime(callee, function, returns, a);
                break;
        }
    }

    /// <summary>Calls a method of <see cref="DeviceRuntime"/>.</summary>
    private protected void EmitDeviceRuntime(PtxFunction callee, MethodInfo function, PtxOperand? returns, PtxOperand[] arguments)
    {
        List<PtxVariable> parameters = callee.Signature.Parameters;
        if (parameters.Count != function.GetParameters().Length - 2 || parameters.Count != arguments.Length || returns is null) throw Unsupported($"device function {callee.Name}, declared otherwise");
        FrameAddress(ScopeOffset(returns.Elements[0]));
        il.Ldarg(0);
        il.Ldloc(thread);
        for (int n = 0; n < arguments.Length; n++)
        {
            FrameAddress(ScopeOffset(arguments[n]));
            if (parameters[n].SizeBytes <= 8) il.Op(parameters[n].SizeBytes == 8 ? OpCodes.Ldind_I8 : OpCodes.Ldind_I4);
        }
        il.Call(function);
        il.Op(function.ReturnType == typeof(int) ? OpCodes.Stind_I4 : OpCodes.Stind_I8);
    }
}
