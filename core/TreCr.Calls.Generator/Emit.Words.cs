using TreCr.Calls.Generator.Model;

namespace TreCr.Calls.Generator;

/// <summary>How a parameter becomes an argument word and back.</summary>
internal static partial class Emit
{
    private const string Ns = "global::TreCr.Calls.", Records = Ns + "Records.", Dispatching = Ns + "Dispatch.", CUresult = Ns + "Cuda.CUresult";

    /// <summary>Expression of type ulong for a value in the program.</summary>
    private static string ToWord(ParameterModel p, string value) => p.Wraps switch
    {
        "ulong" => value + ".Value",
        "int" => "(uint)" + value + ".Value",
        _ => p.ElementType switch
        {
            "int" => "(uint)" + value,
            "long" or "nint" => "(ulong)" + value,
            "float" => "global::System.BitConverter.SingleToUInt32Bits(" + value + ")",
            "byte" or "ushort" or "uint" or "ulong" or "nuint" => value,
            _ => "(uint)" + value,
        },
    };

    /// <summary>Expression of the parameter's type for an argument word.</summary>
    private static string FromWord(ParameterModel p, string word) => p.Wraps switch
    {
        "ulong" => "new " + p.ElementType + "(" + word + ")",
        "int" => "new " + p.ElementType + "((int)(uint)" + word + ")",
        _ => p.ElementType switch
        {
            "int" => "(int)(uint)" + word,
            "float" => "global::System.BitConverter.UInt32BitsToSingle((uint)" + word + ")",
            "byte" or "ushort" or "uint" or "ulong" or "nuint" or "nint" or "long" => "(" + p.ElementType + ")" + word,
            _ => "(" + p.ElementType + ")(uint)" + word,
        },
    };

    /// <summary>Code that the wrapper and the dispatch answer for a handle that is none: contexts have their own.</summary>
    private static string BadHandle(ParameterModel p) => CUresult + (p.HandleKind == "Context" ? ".CUDA_ERROR_INVALID_CONTEXT" : ".CUDA_ERROR_INVALID_HANDLE");

    private static bool IsByteRole(ParameterModel p) => p.Role is ParameterRole.In or ParameterRole.InBytes or ParameterRole.InString;
}
